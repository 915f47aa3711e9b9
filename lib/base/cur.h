/*
 * cur - the cursor all parsers read with.
 *
 * It owns the pointer arithmetic. The first error sticks: after cur_fail()
 * every read fails, so a grammar rule is a chain of calls with one check at
 * its end. `why` is a static text for the log or the reply.
 * A true result of a reading function means that it consumed its bytes.
 */
#ifndef BASE_CUR_H
#define BASE_CUR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct cur {
	const char *p, *end;
	const char *why; /* NULL while all is well */
};

void cur_init(struct cur *, struct str);
bool cur_ok(const struct cur *);
bool cur_fail(struct cur *, const char *why); /* always false */
bool cur_done(const struct cur *);	      /* no error, nothing left */
size_t cur_left(const struct cur *);
struct str cur_rest(const struct cur *);

/* looking: never fails the cursor */
bool cur_at(const struct cur *, char c);
bool cur_look(const struct cur *, struct str);
bool cur_look_nocase(const struct cur *, struct str);
int cur_peek(const struct cur *); /* 0..255, or -1 at the end */

/* optional: consumes if it is there, does not fail the cursor */
bool cur_try(struct cur *, char c);
bool cur_try_str(struct cur *, struct str);
bool cur_try_nocase(struct cur *, struct str);

/* required: fails the cursor */
bool cur_byte(struct cur *, char c);
bool cur_skip(struct cur *, size_t n);
bool cur_take(struct cur *, size_t n, struct str *out);
bool cur_dec(struct cur *, uint64_t max, uint64_t *out); /* 1*DIGIT */

/* runs: the longest prefix of bytes that are (are not) in the set; may be
 * empty */
struct str cur_span(struct cur *, bool (*is)(unsigned char));
struct str cur_until(struct cur *, char c);

/* little-endian integers, for our own files and messages */
bool cur_u8(struct cur *, uint8_t *);
bool cur_u16(struct cur *, uint16_t *);
bool cur_u32(struct cur *, uint32_t *);
bool cur_u64(struct cur *, uint64_t *);
/* u32 length and that many bytes */
bool cur_blob(struct cur *, struct str *);

#endif

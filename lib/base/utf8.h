/*
 * utf8 - UTF-8 (RFC 3629): strict, no surrogates, nothing overlong.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* The next code point of *s, advancing it; -1 on a bad sequence. */
int32_t utf8_next(struct str *s);
bool utf8_valid(struct str);
bool utf8_is_ascii(struct str);
void utf8_put(struct buf *, uint32_t cp);
/* Copy, every bad byte replaced by U+FFFD. */
void utf8_scrub(struct buf *, struct str);

#endif

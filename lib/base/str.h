/*
 * str - borrowed byte strings.
 *
 * A struct str is a view: pointer and length, not NUL-ended, owned by
 * somebody else. Everything that comes from the network or the disk is one.
 * Case functions fold ASCII only, as the mail protocols do.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
	const char *p;
	size_t n;
};

/* literals: STR() in code, STR_INIT() in static tables */
#define STR_INIT(lit)                  \
	{                              \
		(lit), sizeof(lit) - 1 \
	}
#ifdef __cplusplus /* which has no compound literals */
#define STR(lit) (str{ (lit), sizeof(lit) - 1 })
#else
#define STR(lit) ((struct str){ (lit), sizeof(lit) - 1 })
#endif
/* printf("%.*s", STR_ARG(s)) */
#define STR_ARG(s) (int)(s).n, (s).p

struct str str_from(const char *cstr); /* NULL gives an empty str */
struct str str_make(const char *p, size_t n);
struct str str_sub(struct str, size_t from, size_t n); /* clipped to s */
bool str_eq(struct str, struct str);
bool str_eq_nocase(struct str, struct str);
int str_cmp(struct str, struct str); /* bytewise; shorter first */
int str_cmp_nocase(struct str, struct str);
bool str_starts(struct str s, struct str prefix);
bool str_starts_nocase(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_has(struct str s, char c);
struct str str_trim(struct str); /* SP, HT, CR, LF at both ends */
/* Index of the first c, or s.n. */
size_t str_find(struct str s, char c);
/* Index of the first occurrence of needle, or s.n. */
size_t str_search(struct str s, struct str needle);
/*
 * Cut at the first c: *head gets what stands before it, the rest after it is
 * left in *s. Without c: *head is everything, *s is empty, false.
 */
bool str_cut(struct str *s, char c, struct str *head);
/* Decimal without sign, whole string, at most max; false otherwise. */
bool str_uint(struct str s, uint64_t max, uint64_t *out);
/* n octets as 2n hexadecimal digits of either case, whole string. */
bool str_hex(struct str s, uint8_t *out, size_t n);
/* A NUL-ended copy; dies when memory is out. Free with free(). */
char *str_dup(struct str);
/* Copy into a fixed array, NUL-ended; false (and empty) if it does not fit. */
bool str_copy(struct str, char *dst, size_t size);
uint64_t str_hash(struct str, uint64_t seed); /* not for hostile keys */

char ascii_lower(char c);
char ascii_upper(char c);
bool ascii_isdigit(char c);
bool ascii_isalpha(char c);
bool ascii_isalnum(char c);
int ascii_hexval(char c); /* -1 if none */

#endif

/*
 * xalloc - allocation that succeeds or ends the process.
 *
 * Input limits bound memory; when the system still has none the process says
 * so on standard error and exits with 71 (EX_OSERR): the disk is recoverable
 * at any moment and the supervisor starts it again.
 */
#ifndef BASE_XALLOC_H
#define BASE_XALLOC_H

#include <stddef.h>

void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif

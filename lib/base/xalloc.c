#include "base/xalloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *
check(void *p)
{
	static const char msg[] = "out of memory\n";

	if (p == NULL) {
		ssize_t rc = write(STDERR_FILENO, msg, sizeof(msg) - 1);

		(void)rc;
		_exit(71);
	}
	return p;
}

void *
xmalloc(size_t n)
{
	return check(malloc(n == 0 ? 1 : n));
}

void *
xcalloc(size_t n, size_t size)
{
	return check(calloc(n == 0 ? 1 : n, size == 0 ? 1 : size));
}

void *
xrealloc(void *p, size_t n)
{
	return check(realloc(p, n == 0 ? 1 : n));
}

void *
xreallocarray(void *p, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		return check(NULL);
	return xrealloc(p, total);
}

char *
xstrdup(const char *s)
{
	return check(strdup(s));
}

char *
xasprintf(const char *fmt, ...)
{
	char *p = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&p, fmt, ap);
	va_end(ap);
	return check(n == -1 ? NULL : p);
}

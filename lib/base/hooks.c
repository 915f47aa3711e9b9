#include "base/hooks.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
hook_log(const struct hooks *h, enum hook_level level, const char *event,
    const char *fmt, ...)
{
	char text[512];
	va_list ap;
	size_t i;

	if (h == NULL || h->log == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (i = 0; text[i] != '\0'; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
	h->log(h->arg, level, event, text);
}

void
hook_count(const struct hooks *h, const char *metric, const char *label)
{
	if (h != NULL && h->count != NULL)
		h->count(h->arg, metric, label);
}

void
hook_took(
    const struct hooks *h, const char *metric, const char *label, int64_t ms)
{
	if (h != NULL && h->took != NULL)
		h->took(h->arg, metric, label, ms);
}

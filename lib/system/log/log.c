#include "system/log/log.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/date.h"

static const char *const names[] = { "error", "warn", "info", "debug", "trace",
	"traceauth", "tracedata" };

static struct {
	char prog[24], sid[40];
	int fd;
	enum log_level level;
	uint64_t dropped;
} lg = { .prog = "quire", .fd = STDERR_FILENO, .level = LOG_LEVEL_INFO };

void
log_init(const char *prog, int fd, enum log_level level)
{
	log_set_prog(prog);
	lg.fd = fd;
	lg.level = level;
}

void
log_set_prog(const char *prog)
{
	str_copy(str_from(prog), lg.prog, sizeof(lg.prog));
}

void
log_set_level(enum log_level level)
{
	lg.level = level;
}

enum log_level
log_level_now(void)
{
	return lg.level;
}

bool
log_wants(enum log_level level)
{
	return level <= lg.level;
}

void
log_set_sid(struct str sid)
{
	str_copy(sid, lg.sid, sizeof(lg.sid));
}

bool
log_level_parse(struct str s, enum log_level *out)
{
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_eq(s, str_from(names[i]))) {
			*out = (enum log_level)i;
			return true;
		}
	return false;
}

const char *
log_level_name(enum log_level level)
{
	return names[level];
}

static bool
is_bare(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '=' ||
		    s.p[i] == '\\' || s.p[i] == 0x7f)
			return false;
	return s.n > 0;
}

static void
put_value(struct buf *b, struct str s)
{
	size_t i;

	if (is_bare(s)) {
		buf_put(b, s);
		return;
	}
	buf_putc(b, '"');
	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\') {
			buf_putc(b, '\\');
			buf_putc(b, (char)c);
		} else if (c == '\n')
			buf_puts(b, "\\n");
		else if (c == '\r')
			buf_puts(b, "\\r");
		else if (c < ' ' || c == 0x7f)
			buf_printf(b, "\\x%02x", c);
		else
			buf_putc(b, (char)c);
	}
	buf_putc(b, '"');
}

static void
put_field(struct buf *b, const struct log_field *f)
{
	buf_putc(b, ' ');
	buf_puts(b, f->key);
	buf_putc(b, '=');
	switch (f->type) {
	case LOG_F_STR:
		put_value(b, f->s);
		break;
	case LOG_F_INT:
		buf_printf(b, "%lld", (long long)f->i);
		break;
	case LOG_F_HEX:
		buf_printf(b, "%llx", (long long)f->i);
		break;
	}
}

static void
put_head(struct buf *b, enum log_level level, const char *ev)
{
	int64_t us = date_now_us();

	buf_puts(b, "ts=");
	date_print_iso(b, us / 1000000, (int)(us / 1000 % 1000));
	buf_printf(b, " level=%s prog=%s pid=%d", names[level], lg.prog,
	    (int)getpid());
	if (lg.sid[0] != '\0')
		buf_printf(b, " sid=%s", lg.sid);
	buf_printf(b, " ev=%s", ev);
}

void
log_write(
    enum log_level level, const char *ev, const struct log_field *f, size_t n)
{
	int saved = errno;
	struct buf b;
	size_t i;

	buf_init(&b, LOG_LINE);
	put_head(&b, level, ev);
	for (i = 0; i < n; i++) {
		size_t before = b.n;

		put_field(&b, &f[i]);
		if (b.full) { /* keep whole fields only, and say so */
			buf_truncate(&b, before);
			b.full = false;
			b.max += 32;
			buf_puts(&b, " cut=1");
			break;
		}
	}
	if (lg.dropped > 0)
		buf_printf(&b, " dropped=%llu", (unsigned long long)lg.dropped);
	b.full = false;
	b.max += 64;
	buf_putc(&b, '\n');
	if (write(lg.fd, b.p, b.n) == (ssize_t)b.n)
		lg.dropped = 0;
	else
		lg.dropped++;
	buf_release(&b);
	errno = saved;
}

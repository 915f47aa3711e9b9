/*
 * log - one event per line, logfmt (quire-log(5)).
 *
 *	LOG_INFO("rcpt.refused", F_STR("rcpt", addr), F_INT("code", 550));
 *	ts=2026-03-02T10:11:12.345Z level=info prog=smtpd pid=71 ev=rcpt.refused
 *...
 *
 * Lines go to one descriptor (standard error: quired's log pipe). It is
 * non-blocking there: a line that does not fit is dropped and counted, and
 * the next line that fits says how many were. A line is at most LOG_LINE
 * bytes, so that the pipe keeps it whole. Values are escaped. Never pass a
 * secret or a message body, except at the levels made for that.
 */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define LOG_LINE 4000 /* below PIPE_BUF */

enum log_level {
	LOG_LEVEL_ERROR, /* a person should act */
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO, /* what happened; also a peer's mistakes */
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_TRACE,     /* the dialogue, without secrets and bodies */
	LOG_LEVEL_TRACEAUTH, /* authentication exchanges too */
	LOG_LEVEL_TRACEDATA, /* message data too */
};

struct log_field {
	const char *key;
	enum { LOG_F_STR, LOG_F_INT, LOG_F_HEX } type;
	struct str s;
	int64_t i;
};

#define F_STR(k, v) \
	((struct log_field){ .key = (k), .type = LOG_F_STR, .s = (v) })
#define F_CSTR(k, v) F_STR(k, str_from(v))
#define F_INT(k, v) \
	((struct log_field){ .key = (k), .type = LOG_F_INT, .i = (int64_t)(v) })
#define F_HEX(k, v) \
	((struct log_field){ .key = (k), .type = LOG_F_HEX, .i = (int64_t)(v) })
#define F_ERR(e) F_STR("err", str_from((e)->text))

#define LOG_AT(level, ev, ...)                                        \
	do {                                                          \
		if (log_wants(level)) {                               \
			const struct log_field f_[] = { { .key = 0 }, \
				##__VA_ARGS__ };                      \
			log_write(level, ev, f_ + 1,                  \
			    sizeof(f_) / sizeof(f_[0]) - 1);          \
		}                                                     \
	} while (0)
#define LOG_ERROR(ev, ...) LOG_AT(LOG_LEVEL_ERROR, ev, ##__VA_ARGS__)
#define LOG_WARN(ev, ...)  LOG_AT(LOG_LEVEL_WARN, ev, ##__VA_ARGS__)
#define LOG_INFO(ev, ...)  LOG_AT(LOG_LEVEL_INFO, ev, ##__VA_ARGS__)
#define LOG_DEBUG(ev, ...) LOG_AT(LOG_LEVEL_DEBUG, ev, ##__VA_ARGS__)
#define LOG_TRACE(ev, ...) LOG_AT(LOG_LEVEL_TRACE, ev, ##__VA_ARGS__)

void log_init(const char *prog, int fd, enum log_level);
void log_set_prog(const char *prog);
void log_set_level(enum log_level);
enum log_level log_level_now(void);
bool log_wants(enum log_level);
/* Session or queue id added to every line until changed; "" for none. */
void log_set_sid(struct str);
void
log_write(enum log_level, const char *ev, const struct log_field *, size_t n);
bool log_level_parse(struct str, enum log_level *);
const char *log_level_name(enum log_level);

#endif

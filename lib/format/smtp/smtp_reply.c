/* Replies (RFC 5321, 4.2; RFC 2034): the writer and the reader. */
#include "format/smtp/smtp.h"

#include <string.h>

#define MAX_LINE      (SMTP_MAX_REPLY_LINE - 2)
#define MAX_READ_LINE 4096 /* other servers exceed 512 */

const char *
smtp_too_large(uint64_t max_size)
{
	return max_size < SMTP_USUAL_SIZE ? "5.2.3" : "5.3.4";
}

/* One line "250-2.1.5 text"; the last one has a space for the "-". */
static void
put_line(struct buf *b, int code, const char *enhanced, struct str text,
    bool is_last)
{
	size_t i;
	char c;

	buf_printf(b, "%03d%c", code, is_last ? ' ' : '-');
	if (enhanced != NULL) {
		buf_puts(b, enhanced);
		if (text.n > 0)
			buf_putc(b, ' ');
	}
	for (i = 0; i < text.n; i++) {
		c = text.p[i];
		buf_putc(
		    b, (c >= 0 && c < ' ' && c != '\t') || c == 127 ? '?' : c);
	}
	buf_puts(b, "\r\n");
}

/* How much of text fits a line: up to a space if there is one, and never the
 * half of a character. */
static size_t
fit(struct str text, size_t room)
{
	size_t n = room, space;

	if (text.n <= room)
		return text.n;
	for (space = room; space > room / 2; space--)
		if (text.p[space] == ' ')
			return space;
	while (n > room - 4 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

void
smtp_reply_put(struct buf *b, int code, const char *enhanced, struct str text,
    struct str cid)
{
	struct str line, rest;
	size_t room, n, tail = cid.n > 0 ? cid.n + STR(" (cid )").n : 0;
	struct buf last;
	bool more = true;

	room = MAX_LINE - 4 - (enhanced == NULL ? 0 : strlen(enhanced) + 1);
	while (more) {
		more = str_cut(&text, '\n', &line);
		for (rest = line; more || rest.n + tail > room;) {
			n = fit(rest, more ? room : room - tail);
			put_line(b, code, enhanced, str_sub(rest, 0, n), false);
			rest = str_sub(rest, n, SIZE_MAX);
			if (rest.n > 0 && rest.p[0] == ' ')
				rest = str_sub(rest, 1, SIZE_MAX);
			if (more && rest.n == 0)
				break;
		}
	}
	buf_init(&last, MAX_LINE);
	buf_put(&last, rest);
	if (tail > 0) {
		buf_puts(&last, rest.n > 0 ? " (cid " : "(cid ");
		buf_put(&last, cid);
		buf_putc(&last, ')');
	}
	put_line(b, code, enhanced, buf_str(&last), true);
	buf_release(&last);
}

void
smtp_reply_init(struct smtp_reply_parser *p)
{
	*p = (struct smtp_reply_parser){ .state = SMTP_REPLY_DONE };
	buf_init(&p->line, MAX_READ_LINE);
	buf_init(&p->text, SMTP_MAX_REPLY);
}

void
smtp_reply_release(struct smtp_reply_parser *p)
{
	buf_release(&p->line);
	buf_release(&p->text);
}

/* status-code ::= class "." subject "." detail, each 1*3DIGIT, and a space
 * or the end  RFC 3463, 2; the class must be the reply's (RFC 2034, 4) */
static size_t
enhanced_length(struct str s, int code)
{
	size_t i, digits = 0, dots = 0;

	if (s.n == 0 || s.p[0] != '0' + code / 100)
		return 0;
	for (i = 0; i < s.n && s.p[i] != ' '; i++) {
		if (s.p[i] == '.') {
			if (digits == 0 || ++dots > 2)
				return 0;
			digits = 0;
		} else if (!ascii_isdigit(s.p[i]) || ++digits > 3)
			return 0;
	}
	return dots == 2 && digits > 0 ? i : 0;
}

/* Reply-line = *( Reply-code "-" [ textstring ] CRLF )
 *	Reply-code [ SP textstring ] CRLF  RFC 5321, 4.2 */
static enum smtp_reply_state
take_line(struct smtp_reply_parser *p, struct str line)
{
	uint64_t code;
	size_t n;
	bool is_last;

	if (str_ends(line, STR("\r")))
		line.n--;
	if (!str_uint(str_sub(line, 0, 3), 599, &code) || line.n < 3 ||
	    code < 200 || memchr(line.p, '\0', line.n) != NULL)
		return SMTP_REPLY_BAD;
	is_last = line.n == 3 || line.p[3] == ' ';
	if (!is_last && line.p[3] != '-')
		return SMTP_REPLY_BAD;
	if (p->reply.code != 0 && p->reply.code != (int)code)
		return SMTP_REPLY_BAD; /* RFC 5321, 4.2.1: all the same */
	line = str_sub(line, 4, SIZE_MAX);
	n = enhanced_length(line, (int)code);
	if (n > 0 && n < sizeof(p->reply.enhanced)) {
		if (p->reply.code == 0 || p->reply.enhanced[0] != '\0')
			str_copy(str_sub(line, 0, n), p->reply.enhanced,
			    sizeof(p->reply.enhanced));
		line = str_sub(line, n + 1, SIZE_MAX);
	}
	if (p->reply.code != 0)
		buf_putc(&p->text, '\n');
	p->reply.code = (int)code;
	buf_put(&p->text, line);
	if (p->text.full)
		return SMTP_REPLY_BAD;
	p->reply.text = buf_str(&p->text);
	return is_last ? SMTP_REPLY_DONE : SMTP_REPLY_MORE;
}

enum smtp_reply_state
smtp_reply_push(struct smtp_reply_parser *p, struct str *in)
{
	struct str line;

	if (p->state == SMTP_REPLY_DONE && in->n > 0) {
		p->reply = (struct smtp_reply){ .text = STR("") };
		buf_clear(&p->text);
		buf_clear(&p->line);
		p->state = SMTP_REPLY_MORE;
	}
	while (p->state == SMTP_REPLY_MORE && in->n > 0) {
		line = str_sub(*in, 0, str_find(*in, '\n'));
		buf_put(&p->line, line);
		if (p->line.full) {
			p->state = SMTP_REPLY_BAD;
			break;
		}
		if (line.n == in->n) {
			*in = str_sub(*in, in->n, 0);
			break;
		}
		*in = str_sub(*in, line.n + 1, SIZE_MAX);
		p->state = take_line(p, buf_str(&p->line));
		buf_clear(&p->line);
	}
	return p->state == SMTP_REPLY_DONE && p->reply.code == 0 ?
		   SMTP_REPLY_MORE :
		   p->state;
}

/*
 * The data after DATA, line by line without ever holding a line:
 *
 *	at_start   at the beginning of a line; after_lf: a bare LF ended
 *	           the one before
 *	has_dot    the line so far is "." (not passed on yet: it is the end
 *	           or a stuffed dot, RFC 5321, 4.5.2)
 *	has_cr     the octet before was CR (not passed on yet)
 */
#include "format/smtp/smtp.h"

#include <string.h>

void
smtp_data_init(struct smtp_data *d, uint64_t max_size)
{
	*d = (struct smtp_data){
		.max_size = max_size, .at_start = true, .line_is_empty = true
	};
}

static bool
has_8bit(struct str s)
{
	uint64_t v;

	for (; s.n >= 8; s = str_sub(s, 8, SIZE_MAX)) {
		memcpy(&v, s.p, 8);
		if (v & 0x8080808080808080ULL)
			return true;
	}
	while (s.n > 0)
		if ((unsigned char)s.p[--s.n] >= 0x80)
			return true;
	return false;
}

static void
emit(struct smtp_data *d, struct str s, struct buf *out)
{
	if (s.n > d->max_size - d->size) {
		d->is_over = true;
		d->size = d->max_size;
	}
	if (d->is_over)
		return;
	d->size += s.n;
	if (!d->is_8bit)
		d->is_8bit = has_8bit(s);
	buf_put(out, s);
}

/* The header is watched for its end and for Received fields. */
static void
watch_text(struct smtp_data *d, struct str s)
{
	size_t n;

	if (d->has_blank)
		return;
	d->line_is_empty = false;
	if (d->n_name >= sizeof(d->name))
		return;
	n = sizeof(d->name) - d->n_name;
	if (n > s.n)
		n = s.n;
	memcpy(d->name + d->n_name, s.p, n);
	d->n_name += (uint8_t)n;
	if (d->n_name == sizeof(d->name) &&
	    str_eq_nocase(str_make(d->name, d->n_name), STR("Received:")))
		d->n_received++;
}

static void
end_line(struct smtp_data *d, bool bare_lf, struct buf *out)
{
	emit(d, STR("\r\n"), out);
	d->has_blank = d->has_blank || d->line_is_empty;
	d->line_is_empty = true;
	d->n_name = 0;
	d->at_start = true;
	d->after_lf = bare_lf;
	d->has_dot = d->has_cr = false;
}

/* From here on only CRLF "." CRLF is looked for; n_end octets of it are
 * there already. */
static void
smuggled(struct smtp_data *d, unsigned n_end)
{
	d->is_smuggled = true;
	d->n_end = (uint8_t)n_end;
}

static bool
skip_to_end(struct smtp_data *d, struct str *in)
{
	static const char end[] = "\r\n.\r\n";

	while (in->n > 0) {
		char c = in->p[0];

		*in = str_sub(*in, 1, SIZE_MAX);
		if (c == end[d->n_end])
			d->n_end++;
		else
			d->n_end = c == '\r';
		if (d->n_end == sizeof(end) - 1)
			return d->is_done = true;
	}
	return false;
}

/* The octet after a CR. true at the end of the data. */
static bool
after_cr(struct smtp_data *d, struct str *in, struct buf *out)
{
	if (in->p[0] != '\n') {
		smuggled(d, 1);
		return false;
	}
	*in = str_sub(*in, 1, SIZE_MAX);
	if (d->has_dot && d->after_lf)
		smuggled(d, 2);
	else if (d->has_dot)
		return d->is_done = true;
	else
		end_line(d, false, out);
	return false;
}

/* Octets up to the next line end, which is left as a state. */
static void
take_text(struct smtp_data *d, struct str *in, struct buf *out)
{
	size_t lf = str_find(*in, '\n');
	struct str text = str_sub(*in, 0, lf);

	text.n = str_find(text, '\r');
	if (text.n > 0) {
		/* a dot before it was a stuffed one: it is dropped */
		d->has_dot = d->at_start = false;
		watch_text(d, text);
		emit(d, text, out);
		*in = str_sub(*in, text.n, SIZE_MAX);
	}
	if (in->n == 0)
		return;
	if (in->p[0] == '\r')
		d->has_cr = true;
	else if (d->has_dot)
		smuggled(d, 0);
	else
		end_line(d, true, out);
	d->at_start = in->p[0] == '\n';
	*in = str_sub(*in, 1, SIZE_MAX);
}

bool
smtp_data_push(struct smtp_data *d, struct str *in, struct buf *out)
{
	while (in->n > 0 && !d->is_done) {
		if (d->is_smuggled)
			skip_to_end(d, in);
		else if (d->has_cr)
			after_cr(d, in, out);
		else if (d->at_start && in->p[0] == '.') {
			d->at_start = false;
			d->has_dot = true;
			*in = str_sub(*in, 1, SIZE_MAX);
		} else
			take_text(d, in, out);
	}
	return d->is_done;
}

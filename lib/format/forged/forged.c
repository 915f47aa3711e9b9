#include "format/forged/forged.h"

#include "format/authres/authres.h"

void
forged_init(struct forged *f, const struct forged_names *names)
{
	*f = (struct forged){
		.names = *names, .state = FORGED_START, .field = FORGED_PASS
	};
	buf_init(&f->line, FORGED_MAX_NAME);
	buf_init(&f->held, FORGED_MAX_FIELD);
}

void
forged_release(struct forged *f)
{
	buf_release(&f->line);
	buf_release(&f->held);
}

static struct str
ftext(struct str line)
{
	size_t n = 0;

	while (n < line.n && line.p[n] > ' ' && line.p[n] < 127 &&
	       line.p[n] != ':')
		n++;
	return str_sub(line, 0, n);
}

/* What a line is by its beginning: up to the colon, which white space may
 * precede (RFC 5322, 3.6.8 and 4.5), or FORGED_MAX_NAME octets without one;
 * then it is judged as if the colon came. */
static enum forged_state
kind_of(struct str line)
{
	struct str name = ftext(line), after = str_sub(line, name.n, line.n);
	bool is_cut = !str_has(line, ':') && line.n >= FORGED_MAX_NAME;

	after = str_trim(after);
	if (!str_eq(after, STR(":")) && !(is_cut && after.n == 0))
		return FORGED_PASS; /* no field */
	if (str_eq_nocase(name, STR("Authentication-Results")))
		return is_cut ? FORGED_DROP : FORGED_HOLD;
	if (str_eq_nocase(name, STR("Delivered-To")))
		return is_cut ? FORGED_DROP : FORGED_DELIVERED;
	if (str_eq_nocase(name, STR("Received")))
		return is_cut ? FORGED_PASS : FORGED_RECEIVED;
	if (str_eq_nocase(name, STR("Return-Path")) ||
	    str_starts_nocase(name, STR("X-Quire-")))
		return FORGED_DROP;
	return FORGED_PASS;
}

/* "by" and the next word, RFC 5321, 4.4: is it us? */
static bool
is_by(struct str value, struct str hostname)
{
	struct str word, rest = value;
	bool was_by = false;

	while (rest.n > 0) {
		size_t n = 0;

		while (n < rest.n && !str_has(STR(" \t\r\n;("), rest.p[n]))
			n++;
		word = str_sub(rest, 0, n);
		rest = str_sub(rest, n + 1, rest.n);
		if (word.n == 0)
			continue;
		if (was_by)
			return str_eq_nocase(word, hostname);
		was_by = str_eq_nocase(word, STR("by"));
	}
	return false;
}

/* The field that was held back has ended: whose is it? */
static void
settle(struct forged *f, struct buf *out)
{
	struct str field = buf_str(&f->held), value;

	value = str_sub(field, str_find(field, ':') + 1, field.n);
	if (f->field == FORGED_HOLD) {
		if (f->held.full || authres_claims(value, f->names.authserv_id))
			f->n++;
		else
			buf_put(out, field);
	} else if (f->field == FORGED_DELIVERED) {
		f->n++;
		if (f->names.recipient.n > 0 &&
		    str_eq_nocase(str_trim(value), f->names.recipient))
			f->is_loop = true;
	} else if (f->field == FORGED_RECEIVED) {
		buf_put(out, field);
		if (f->names.hostname.n > 0 &&
		    is_by(value, f->names.hostname) &&
		    ++f->n_hops >= FORGED_MAX_HOPS)
			f->is_loop = true;
	}
	buf_clear(&f->held);
}

static void
put(struct forged *f, struct str s, struct buf *out)
{
	if (f->state == FORGED_RECEIVED && s.n > FORGED_MAX_FIELD - f->held.n) {
		/* too long to be one of ours */
		buf_put(out, buf_str(&f->held));
		buf_clear(&f->held);
		f->state = f->field = FORGED_PASS;
	}
	if (f->state == FORGED_PASS || f->state == FORGED_BODY)
		buf_put(out, s);
	else if (f->state != FORGED_DROP)
		buf_put(&f->held, s);
}

/* Enough of the line is there to say what it is. */
static void
begin_line(struct forged *f, struct buf *out)
{
	struct str line = buf_str(&f->line);

	if (str_eq(line, STR("\r\n")) || str_eq(line, STR("\n"))) {
		settle(f, out);
		f->state = f->field = FORGED_BODY;
	} else {
		settle(f, out);
		f->state = f->field = kind_of(line);
		f->n += f->state == FORGED_DROP;
	}
	put(f, line, out);
	if (str_ends(line, STR("\n")) && f->state != FORGED_BODY)
		f->state = FORGED_START;
	buf_clear(&f->line);
}

/* Collect until the line is known: its end, its colon, or too much. */
static struct str
start_line(struct forged *f, struct str in, struct buf *out)
{
	struct str part = str_sub(in, 0, FORGED_MAX_NAME - f->line.n);
	bool is_known = false;
	size_t n = 0;

	while (n < part.n && !is_known) {
		is_known = part.p[n] == '\n' || part.p[n] == ':';
		n++;
	}
	buf_put(&f->line, str_sub(part, 0, n));
	if (is_known || f->line.n == FORGED_MAX_NAME)
		begin_line(f, out);
	return str_sub(in, n, in.n);
}

static bool
is_folded(const struct forged *f, char first)
{
	return f->state == FORGED_START && f->line.n == 0 &&
	       (first == ' ' || first == '\t');
}

void
forged_push(struct forged *f, struct str in, struct buf *out)
{
	while (in.n > 0) {
		size_t n;

		if (is_folded(f, in.p[0]))
			f->state = f->field; /* as the line before */
		if (f->state == FORGED_START) {
			in = start_line(f, in, out);
			continue;
		}
		n = f->state == FORGED_BODY ? in.n : str_find(in, '\n');
		if (n == in.n) {
			put(f, in, out);
			return;
		}
		put(f, str_sub(in, 0, n + 1), out);
		in = str_sub(in, n + 1, in.n);
		f->state = FORGED_START;
	}
}

void
forged_finish(struct forged *f, struct buf *out)
{
	if (f->line.n > 0)
		begin_line(f, out);
	settle(f, out);
	f->field = FORGED_PASS;
}

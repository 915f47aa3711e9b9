/* Encoded words (RFC 2047) in unstructured text and phrases. */
#include "format/mime/mime_int.h"

#include "base/utf8.h"

#define MAX_CHARSET 64 /* as the charset labels */

struct word {
	struct str charset;
	enum mime_encoding encoding;
	struct str text;
};

struct words {
	struct buf *out;
	struct mime_charset *cs; /* of the run of words being decoded */
	struct str charset;
	bool no_end; /* there is no "?=" any more: do not look again */
};

/* encoded-word = "=?" charset ["*" language] "?" encoding "?" text "?="
 * RFC 2047, 2; RFC 2231, 5. The text may have spaces, which is seen. */
static bool
take_word(struct words *w, struct cur *at, struct word *out)
{
	struct cur c = *at;
	struct str rest;
	size_t n;

	if (w->no_end || !cur_try_str(&c, STR("=?")))
		return false;
	rest = str_sub(cur_rest(&c), 0, MAX_CHARSET);
	n = str_find(rest, '?');
	if (n == 0 || n == rest.n)
		return false;
	out->charset = str_sub(rest, 0, n);
	str_cut(&(struct str){ rest.p, n }, '*', &out->charset);
	cur_skip(&c, n + 1);
	if (cur_try_nocase(&c, STR("q?")))
		out->encoding = MIME_ENC_QP;
	else if (cur_try_nocase(&c, STR("b?")))
		out->encoding = MIME_ENC_BASE64;
	else
		return false;
	rest = cur_rest(&c);
	n = str_search(rest, STR("?="));
	if (n == rest.n) {
		w->no_end = true;
		return false;
	}
	out->text = str_sub(rest, 0, n);
	cur_skip(&c, n + 2);
	*at = c;
	return true;
}

/* The "Q" encoding: "_" is a space  RFC 2047, 4.2 */
static void
q_decode(struct buf *out, struct str s)
{
	size_t i;
	int hi, lo;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '=' && s.n - i > 2 &&
		    (hi = ascii_hexval(s.p[i + 1])) >= 0 &&
		    (lo = ascii_hexval(s.p[i + 2])) >= 0) {
			buf_putc(out, (char)(hi << 4 | lo));
			i += 2;
		} else if (s.p[i] != '\r' && s.p[i] != '\n')
			buf_putc(out, s.p[i] == '_' ? ' ' : s.p[i]);
	}
}

static void
end_run(struct words *w)
{
	if (w->cs != NULL)
		mime_charset_finish(w->cs, w->out);
	mime_charset_free(&w->cs);
}

/* Words of one charset that follow each other are one stream: characters
 * are cut in the middle by enough senders. */
static void
put_word(struct words *w, const struct word *word)
{
	struct mime_decoder d;
	struct buf bytes;

	if (w->cs == NULL || !str_eq_nocase(w->charset, word->charset)) {
		end_run(w);
		w->cs = mime_charset_new(word->charset);
		w->charset = word->charset;
	}
	buf_init(&bytes, word->text.n + 8);
	if (word->encoding == MIME_ENC_QP)
		q_decode(&bytes, word->text);
	else {
		mime_decoder_init(&d, MIME_ENC_BASE64);
		mime_decoder_push(&d, word->text, &bytes);
		mime_decoder_finish(&d, &bytes);
	}
	mime_charset_push(w->cs, buf_str(&bytes), w->out);
	buf_release(&bytes);
}

static void
put_unfolded(struct buf *out, struct str s)
{
	struct str line;

	while (s.n > 0) {
		str_cut(&s, '\n', &line);
		while (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		buf_put(out, line);
	}
}

/* Text between words: unfolded; 8-bit text is UTF-8 or windows-1252. */
static void
put_text(struct words *w, struct str s)
{
	struct mime_charset *cs;
	struct str line;

	end_run(w);
	if (s.n == 0)
		return;
	if (utf8_is_ascii(s)) {
		put_unfolded(w->out, s);
		return;
	}
	cs = mime_charset_new(STR("us-ascii"));
	while (s.n > 0) {
		str_cut(&s, '\n', &line);
		while (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		mime_charset_push(cs, line, w->out);
	}
	mime_charset_finish(cs, w->out);
	mime_charset_free(&cs);
}

void
mime_words_decode(struct buf *out, struct str value)
{
	struct words w = { .out = out };
	struct word word;
	struct cur c;
	const char *text, *p;
	struct str between;
	bool after_word = false;

	cur_init(&c, str_trim(mime_or_empty(value)));
	text = c.p;
	while (cur_left(&c) > 0) {
		cur_until(&c, '=');
		p = c.p;
		if (!take_word(&w, &c, &word)) {
			cur_skip(&c, cur_left(&c) > 0 ? 1 : 0);
			continue;
		}
		/* white space between two words is not shown: RFC 2047, 6.2 */
		between = str_make(text, (size_t)(p - text));
		if (!after_word || str_trim(between).n > 0)
			put_text(&w, between);
		put_word(&w, &word);
		after_word = true;
		text = c.p;
	}
	put_text(&w, str_make(text, (size_t)(c.end - text)));
}

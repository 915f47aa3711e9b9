#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "format/arc/arc.h"
#include "format/authres/authres.h"
#include "format/mime/mime.h"
#include "system/fs/fs.h"
#include "tools.h"
#include "tools_file.h"

/* quire arc verify FILE | seal ... FILE */

#define MAX_HEADERS 100

static const char usage[] =
    "usage: quire arc verify [--now T] FILE\n"
    "       quire arc seal --key FILE --authserv ID --selector S --domain D "
    "[--headers A:B:..] [--time T] FILE";

static int
verify(struct tool *t, const struct tools_signing *a)
{
	const struct arc_options o = { .now = a->now,
		.wants_oldest_pass = true };
	const struct dns_question *q;
	const struct arc_result *r;
	struct arc_verify *v;
	struct str header, body;
	struct buf b;
	size_t i;
	int rc;

	buf_init(&b, TOOLS_MAX_FILE);
	rc = tools_read_message(a->rest[0], &b, &header, &body);
	if (rc == 0)
		rc = tool_dns(t);
	if (rc == 0) {
		v = arc_verify_begin(&t->arena, header, &o);
		arc_verify_body(v, body);
		for (i = 0; (q = arc_verify_question(v, i)) != NULL; i++)
			arc_verify_answer(
			    v, i, dns_lookup(t->dns, &t->arena, q));
		r = arc_verify_finish(v);
		tool_put(t, "cv", str_from(arc_cv_name(r->cv)));
		if (t->json) {
			tool_put_int(t, "sets", r->n_sets);
			tool_put(t, "sealer", r->sealer);
			tool_put_bool(t, "authentic", r->is_secure);
			if (r->oldest_pass != ARC_NOT_KNOWN)
				tool_put_int(t, "oldest_pass", r->oldest_pass);
			if (r->why != NULL)
				tool_put(t, "why", str_from(r->why));
		}
		arc_verify_free(&v);
	}
	buf_release(&b);
	return rc;
}

/* "A:B" or "A, B" */
static size_t
split_headers(struct tool *t, const char *list, struct str *v)
{
	struct str all = str_from(list), one;
	struct buf b;
	size_t n = 0, i;

	buf_init(&b, 65536);
	for (i = 0; i < all.n; i++)
		buf_putc(&b, all.p[i] == ',' ? ':' : all.p[i]);
	all = arena_str(&t->arena, buf_str(&b));
	buf_release(&b);
	while (all.n > 0 && n < MAX_HEADERS) {
		str_cut(&all, ':', &one);
		one = str_trim(one);
		if (one.n > 0)
			v[n++] = one;
	}
	return n;
}

/*
 * The message's own Authentication-Results of that authserv-id, the topmost:
 * its text is sealed, its arc= says what the chain was on arrival.
 */
static bool
own_results(
    struct tool *t, struct str header, const char *id, struct arc_sealer *s)
{
	struct authres ar;
	struct mime_field f;
	struct str rest = header;
	size_t i;

	while (mime_field_next(&rest, &f)) {
		if (!str_eq_nocase(f.name, STR("Authentication-Results")) ||
		    !authres_parse(&t->arena, f.value, &ar, NULL) ||
		    !str_eq_nocase(ar.authserv_id, str_from(id)))
			continue;
		for (i = 0; i < ar.n; i++)
			if (str_eq(ar.v[i].method, STR("arc")))
				(void)arc_cv_from(ar.v[i].result, &s->cv);
		s->authres = str_trim(f.value);
		return true;
	}
	return false;
}

static int
seal_message(struct tool *t, const struct tools_signing *a,
    struct arc_sealer *s, struct str header, struct str body)
{
	struct arc_seal *seal;
	struct err e;

	if (!own_results(t, header, a->authserv, s))
		return quire_fail(EX_DATAERR,
		    "%s: no Authentication-Results of %s to seal", a->rest[0],
		    a->authserv);
	seal = arc_seal_begin(&t->arena, header, s);
	arc_seal_body(seal, body);
	if (arc_seal_finish(&seal, &t->out, &e) == -1)
		return quire_fail(EX_DATAERR, "%s", e.text);
	if (fs_write_all(STDOUT_FILENO, buf_str(&t->out)) == -1)
		return quire_fail(EX_IOERR, "write failed");
	return 0;
}

static int
seal(struct tool *t, const struct tools_signing *a)
{
	struct str headers[MAX_HEADERS], header, body;
	struct arc_sealer s = { .domain = str_from(a->domain),
		.selector = str_from(a->selector),
		.header_canon = DKIM_RELAXED,
		.body_canon = DKIM_RELAXED,
		.now = a->now,
		.cv = ARC_NONE };
	struct buf b;
	int rc;

	if (a->key == NULL || a->authserv == NULL || a->selector == NULL ||
	    a->domain == NULL)
		return quire_fail(EX_USAGE, "%s", usage);
	if (a->headers != NULL) {
		s.headers = headers;
		s.n_headers = split_headers(t, a->headers, headers);
	}
	s.key = tools_read_key(a->key);
	if (s.key == NULL)
		return EX_NOINPUT;
	buf_init(&b, TOOLS_MAX_FILE);
	rc = tools_read_message(a->rest[0], &b, &header, &body);
	if (rc == 0)
		rc = seal_message(t, a, &s, header, body);
	buf_release(&b);
	EVP_PKEY_free(s.key);
	return rc;
}

int
cmd_arc(struct quire *q, int argc, char **argv)
{
	struct tools_signing a = { 0 };
	struct tool t;
	bool is_seal;
	int rc = tool_begin(&t, &argc, argv);

	is_seal = argc > 1 && strcmp(argv[1], "seal") == 0;
	if (rc == 0 && !is_seal && (argc < 2 || strcmp(argv[1], "verify") != 0))
		rc = quire_fail(EX_USAGE, "%s", usage);
	if (rc == 0)
		rc = tools_signing_args(&a, argc - 1, argv + 1, is_seal, usage);
	if (rc == 0 && a.n_rest != 1)
		rc = quire_fail(EX_USAGE, "%s", usage);
	if (rc == 0)
		rc = is_seal ? seal(&t, &a) : verify(&t, &a);
	t.is_silent = is_seal;
	return tool_end(&t, rc);
}

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "format/dkim/dkim.h"
#include "system/fs/fs.h"
#include "tools.h"
#include "tools_file.h"

/* quire dkim verify | sign | keygen | txt | lookup */

static const char usage[] =
    "usage: quire dkim verify [--now T] FILE\n"
    "       quire dkim sign --key FILE --domain D --selector S [--time T] "
    "FILE\n"
    "       quire dkim keygen rsa | ed25519\n"
    "       quire dkim txt KEYFILE\n"
    "       quire dkim lookup SELECTOR DOMAIN";

static void
ask_keys(struct tool *t, struct dkim_verify *v)
{
	size_t n, skipped, i, k = 0;
	const struct dkim_result *r = dkim_verify_results(v, &n, &skipped);
	struct dns_question q[DKIM_MAX_SIGNATURES];
	struct dns_answer *out[DKIM_MAX_SIGNATURES];

	for (i = 0; i < n; i++)
		if (r[i].question != NULL)
			q[k++] = *r[i].question;
	dns_ask(t->dns, &t->arena, q, k, out);
	for (i = 0, k = 0; i < n; i++)
		if (r[i].question != NULL)
			dkim_verify_answer(v, i, out[k++]);
}

static void
put_result(struct tool *t, const struct dkim_result *r)
{
	tool_put(t, "result", str_from(dkim_status_name(r->status)));
	tool_put(t, "domain", r->sig->domain);
	tool_put(t, "selector", r->sig->selector);
	tool_put(
	    t, "algorithm", str_from(dkim_algorithm_name(r->sig->algorithm)));
	if (r->bits > 0)
		tool_put_int(t, "bits", r->bits);
	tool_put_bool(t, "authentic", r->is_secure);
	if (r->insecure_at.n > 0)
		tool_put(t, "insecure_at", r->insecure_at);
	if (r->n_unsigned > 0)
		tool_put_int(t, "unsigned", (int64_t)r->n_unsigned);
	if (r->why != NULL)
		tool_put(t, "why", str_from(r->why));
}

/* One line (or object) for each signature, from the top. */
static void
put_results(struct tool *t, const struct dkim_verify *v)
{
	size_t n, skipped, i;
	const struct dkim_result *r = dkim_verify_results(v, &n, &skipped);

	if (n == 0)
		tool_put(t, "result", STR("none"));
	for (i = 0; i < n; i++) {
		if (i > 0) {
			buf_puts(&t->out, t->json ? "}\n" : "\n");
			t->n_out = 0;
		}
		put_result(t, &r[i]);
	}
}

static int
verify(struct tool *t, const struct tools_signing *a)
{
	const struct dkim_options o = { .now = a->now };
	struct str header, body;
	struct dkim_verify *v;
	struct buf b;
	int rc;

	if (a->n_rest != 1)
		return quire_fail(EX_USAGE, "%s", usage);
	buf_init(&b, TOOLS_MAX_FILE);
	rc = tools_read_message(a->rest[0], &b, &header, &body);
	if (rc == 0)
		rc = tool_dns(t);
	if (rc == 0) {
		v = dkim_verify_begin(&t->arena, header, &o);
		dkim_verify_body(v, body);
		ask_keys(t, v);
		dkim_verify_finish(v);
		put_results(t, v);
		dkim_verify_free(&v);
	}
	buf_release(&b);
	return rc;
}

/* The message with its signature in front. */
static int
sign(struct tool *t, const struct tools_signing *a)
{
	struct dkim_signer who = { .domain = str_from(a->domain),
		.selector = str_from(a->selector),
		.auid = STR(""),
		.header_canon = DKIM_RELAXED,
		.body_canon = DKIM_RELAXED,
		.is_oversigning = true,
		.now = a->now,
		.expire_s = 72 * 3600 };
	struct dkim_sign *s;
	struct str header, body;
	struct buf b;
	struct err e;
	int rc;

	if (a->n_rest != 1 || a->domain == NULL || a->selector == NULL)
		return quire_fail(EX_USAGE, "%s", usage);
	who.key = tools_read_key(a->key);
	if (who.key == NULL)
		return EX_NOINPUT;
	buf_init(&b, TOOLS_MAX_FILE);
	rc = tools_read_message(a->rest[0], &b, &header, &body);
	if (rc == 0) {
		s = dkim_sign_begin(&t->arena, header, &who, 1);
		dkim_sign_body(s, body);
		if (dkim_sign_finish(&s, &t->out, &e) == -1)
			rc = quire_fail(EX_DATAERR, "%s", e.text);
		else if (fs_write_all(STDOUT_FILENO, buf_str(&t->out)) == -1 ||
			 fs_write_all(STDOUT_FILENO, buf_str(&b)) == -1)
			rc = quire_fail(EX_IOERR, "write: %s", strerror(errno));
	}
	buf_release(&b);
	EVP_PKEY_free(who.key);
	return rc;
}

static int
keygen(const struct tools_signing *a)
{
	EVP_PKEY *key = NULL;
	int rc = 0;

	if (a->n_rest == 1 && strcmp(a->rest[0], "rsa") == 0)
		key = EVP_RSA_gen(2048);
	else if (a->n_rest == 1 && strcmp(a->rest[0], "ed25519") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else
		return quire_fail(EX_USAGE, "%s", usage);
	if (key == NULL ||
	    PEM_write_PrivateKey(stdout, key, NULL, NULL, 0, NULL, NULL) != 1)
		rc = quire_fail(EX_SOFTWARE, "no key could be made");
	EVP_PKEY_free(key);
	return rc;
}

static int
txt(struct tool *t, const struct tools_signing *a)
{
	EVP_PKEY *key;
	struct err e;
	int rc = 0;

	if (a->n_rest != 1)
		return quire_fail(EX_USAGE, "%s", usage);
	key = tools_read_key(a->rest[0]);
	if (key == NULL)
		return EX_NOINPUT;
	if (dkim_print_key(&t->out, key, &e) == -1)
		rc = quire_fail(EX_DATAERR, "%s", e.text);
	else
		printf("%s\n", buf_cstr(&t->out));
	EVP_PKEY_free(key);
	return rc;
}

static int
lookup(struct tool *t, const struct tools_signing *a)
{
	struct dkim_sig sig = { 0 };
	struct dns_question q;
	const struct dns_answer *r;
	struct dkim_key key;
	const char *why = "no such record";
	int rc;

	if (a->n_rest != 2)
		return quire_fail(EX_USAGE, "%s", usage);
	if ((rc = tool_dns(t)) != 0)
		return rc;
	sig.selector = str_from(a->rest[0]);
	sig.domain = str_from(a->rest[1]);
	dkim_key_question(&t->arena, &sig, &q);
	r = dns_lookup(t->dns, &t->arena, &q);
	tool_put(t, "status", str_from(dns_status_name(r->status)));
	tool_put_bool(t, "authentic", r->is_secure);
	if (r->status == DNS_OK) {
		bool good = dkim_key_parse(&t->arena, r->v[0].text, &key, &why);

		tool_put_bool(t, "valid", good);
		if (!good)
			tool_put(t, "why", str_from(why));
		tool_put(t, "record", r->v[0].text);
	}
	return 0;
}

int
cmd_dkim(struct quire *q, int argc, char **argv)
{
	struct tools_signing a = { 0 };
	struct tool t;
	const char *what;
	bool prints_itself = false;
	int rc = tool_begin(&t, &argc, argv);

	if (rc == 0 && argc < 2)
		rc = quire_fail(EX_USAGE, "%s", usage);
	if (rc == 0)
		rc = tools_signing_args(&a, argc - 1, argv + 1, false, usage);
	if (rc != 0)
		return tool_end(&t, rc);
	what = argv[1];
	if (strcmp(what, "verify") == 0)
		rc = verify(&t, &a);
	else if (strcmp(what, "lookup") == 0)
		rc = lookup(&t, &a);
	else {
		prints_itself = true;
		if (strcmp(what, "sign") == 0)
			rc = sign(&t, &a);
		else if (strcmp(what, "keygen") == 0)
			rc = keygen(&a);
		else if (strcmp(what, "txt") == 0)
			rc = txt(&t, &a);
		else
			rc = quire_fail(EX_USAGE, "%s", usage);
	}
	if (prints_itself)
		t.is_silent = true;
	return tool_end(&t, rc);
}

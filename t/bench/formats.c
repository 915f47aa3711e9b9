/*
 * formats - how often a second the modules of mail authentication and MIME do
 * their work, beside what OpenSSL alone takes for the arithmetic in it.
 *
 * One thread, everything in memory, no DNS: answers are given at once.
 */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/dkim/dkim.h"
#include "format/mime/mime.h"
#include "format/spf/spf.h"

#define RUN_MS 1000

static struct arena arena;

static double
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "formats: %s\n", what);
	exit(1);
}

/* How often a second of CPU. */
static double
rate(void (*work)(void *), void *arg)
{
	double start = now_ms(), end;
	unsigned n = 0;

	do {
		work(arg);
		n++;
	} while ((end = now_ms()) < start + RUN_MS);
	return n * 1000.0 / (end - start);
}

/* ---- DKIM ---- */

struct mail {
	EVP_PKEY *key;
	struct dkim_keys *keys; /* or NULL */
	struct buf text;	/* signed */
	struct buf record;
	size_t split;
	uint8_t hash[32], signature[512];
	size_t signature_n;
};

static void
make_text(struct buf *b, size_t body)
{
	buf_puts(b, "From: Alice <alice@good.example>\r\nTo: b@here.example\r\n"
		    "Subject: figures\r\nDate: Mon, 2 Mar 2026 10:11:12 +0000"
		    "\r\nMessage-ID: <1@good.example>\r\n\r\n");
	while (body > 78) {
		buf_puts(b, "seventy-six octets of text in a line, as mail has "
			    "them when nobody was careful.\r\n");
		body -= 78;
	}
}

static void
sign(struct mail *m, EVP_PKEY *key, size_t body)
{
	struct dkim_signer signer = { .key = key,
		.domain = STR("good.example"),
		.selector = STR("sel"),
		.header_canon = DKIM_RELAXED,
		.body_canon = DKIM_RELAXED,
		.is_oversigning = true,
		.now = 1000 };
	struct dkim_sign *s;
	struct buf plain;
	size_t split;
	struct err e;

	buf_init(&plain, 64 << 20);
	make_text(&plain, body);
	split = mime_header_length(buf_str(&plain));
	s = dkim_sign_begin(
	    &arena, str_sub(buf_str(&plain), 0, split), &signer, 1);
	dkim_sign_body(s, str_sub(buf_str(&plain), split, plain.n));
	buf_init(&m->text, 64 << 20);
	need(dkim_sign_finish(&s, &m->text, &e) == 0, "sign");
	buf_put(&m->text, buf_str(&plain));
	buf_release(&plain);
	m->key = key;
	m->split = mime_header_length(buf_str(&m->text));
	buf_init(&m->record, 4096);
	need(dkim_print_key(&m->record, key, &e) == 0, "key");
	arena_clear(&arena);
}

static void
verify(void *arg)
{
	struct mail *m = arg;
	const struct dkim_options o = { .now = 2000, .keys = m->keys };
	struct dns_record record = { .type = DNS_TXT,
		.text = buf_str(&m->record) };
	struct dns_answer an = { .v = &record, .n = 1, .status = DNS_OK };
	struct str text = buf_str(&m->text);
	struct dkim_verify *v =
	    dkim_verify_begin(&arena, str_sub(text, 0, m->split), &o);
	size_t n;

	dkim_verify_body(v, str_sub(text, m->split, text.n));
	dkim_verify_answer(v, 0, &an);
	dkim_verify_finish(v);
	need(dkim_verify_results(v, &n, NULL)->status == DKIM_PASS, "verify");
	dkim_verify_free(&v);
	arena_clear(&arena);
}

/* The arithmetic of it: the key's operation and two digests. */
static void
bare_verify(void *arg)
{
	struct mail *m = arg;
	struct str text = buf_str(&m->text);
	uint8_t hash[32];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool rsa = EVP_PKEY_get_base_id(m->key) == EVP_PKEY_RSA;

	EVP_Digest(text.p, m->split, hash, NULL, EVP_sha256(), NULL);
	EVP_Digest(text.p + m->split, text.n - m->split, hash, NULL,
	    EVP_sha256(), NULL);
	need(EVP_DigestVerifyInit(
		 ctx, NULL, rsa ? EVP_sha256() : NULL, NULL, m->key) == 1 &&
		 EVP_DigestVerify(ctx, m->signature, m->signature_n, m->hash,
		     sizeof(m->hash)) == 1,
	    "OpenSSL");
	EVP_MD_CTX_free(ctx);
}

static void
bare_sign(struct mail *m)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool rsa = EVP_PKEY_get_base_id(m->key) == EVP_PKEY_RSA;

	m->signature_n = sizeof(m->signature);
	need(EVP_DigestSignInit(
		 ctx, NULL, rsa ? EVP_sha256() : NULL, NULL, m->key) == 1 &&
		 EVP_DigestSign(ctx, m->signature, &m->signature_n, m->hash,
		     sizeof(m->hash)) == 1,
	    "OpenSSL signs");
	EVP_MD_CTX_free(ctx);
}

static void
dkim_row(const char *what, EVP_PKEY *key, size_t body)
{
	struct mail m = { 0 };
	double ours, bare, new;

	sign(&m, key, body);
	bare_sign(&m);
	new = rate(verify, &m);
	m.keys = dkim_keys_new();
	ours = rate(verify, &m);
	bare = rate(bare_verify, &m);
	printf(
	    "| DKIM verify, %s, body of %zu octets | %.0f /s, key seen before "
	    "%.0f /s | OpenSSL alone %.0f /s: %.2f, %.2f |\n",
	    what, body, new, ours, bare, new / bare, ours / bare);
	fflush(stdout);
	buf_release(&m.text);
	buf_release(&m.record);
	dkim_keys_free(&m.keys);
}

/* ---- SPF ---- */

static const struct {
	const char *name, *text;
} records[] = {
	{ "good.example",
	    "v=spf1 include:a.example include:b.example mx -all" },
	{ "a.example", "v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/25 "
		       "ip6:2001:db8::/32 ~all" },
	{ "b.example", "v=spf1 a:one.example exists:%{ir}.%{v}.b.example "
		       "ip4:203.0.113.0/28 -all" },
};

static void
spf_answer_from_table(const struct dns_question *q, struct dns_answer *an)
{
	static struct dns_record r;
	size_t i;

	*an = (struct dns_answer){ .v = &r, .status = DNS_NXDOMAIN };
	memset(&r, 0, sizeof(r));
	for (i = 0; i < sizeof(records) / sizeof(records[0]); i++)
		if (q->type == DNS_TXT &&
		    str_eq(q->name, str_from(records[i].name))) {
			r.type = DNS_TXT;
			r.text = str_from(records[i].text);
			an->n = 1;
			an->status = DNS_OK;
		}
	if (q->type == DNS_A && str_eq(q->name, STR("one.example"))) {
		r.type = DNS_A;
		memcpy(r.ip, "\300\000\001\001", 4);
		an->n = 1;
		an->status = DNS_OK;
	}
}

static void
spf(void *arg)
{
	struct spf_client c = { .helo = STR("mx.good.example"),
		.local = STR("alice"),
		.domain = STR("good.example"),
		.receiver = STR("here.example"),
		.now = 1000 };
	struct dns_answer an;
	enum spf_verdict v;
	struct spf *s;

	(void)arg;
	memcpy(c.ip, "\313\000\161\005", 4); /* 203.0.113.5 */
	s = spf_begin(&arena, &c);
	while ((v = spf_next(s)) == SPF_NEED_DNS) {
		spf_answer_from_table(spf_question(s), &an);
		spf_answer(s, &an);
	}
	need(v == SPF_PASS, "SPF");
	arena_clear(&arena);
}

/* ---- MIME ---- */

static void
make_mime(struct buf *b, size_t size)
{
	size_t i;

	buf_puts(b, "From: a@b.example\r\nTo: c@d.example\r\nSubject: "
		    "=?utf-8?q?=C3=A4?=\r\nMIME-Version: 1.0\r\nContent-Type: "
		    "multipart/mixed; boundary=\"outer\"\r\n\r\n--outer\r\n"
		    "Content-Type: multipart/alternative; boundary=in\r\n\r\n"
		    "--in\r\nContent-Type: text/plain\r\n\r\nhello\r\n--in\r\n"
		    "Content-Type: text/html\r\n\r\n<p>hello</p>\r\n--in--\r\n"
		    "--outer\r\nContent-Type: application/pdf; name=a.pdf\r\n"
		    "Content-Transfer-Encoding: base64\r\n\r\n");
	for (i = 0; i < size / 78; i++)
		buf_puts(b, "TG9yZW0gaXBzdW0gZG9sb3Igc2l0IGFtZXQsIGNvbnNlY3Rl"
			    "dHVyIGFkaXBpc2NpbmcgZWxpdC4u\r\n");
	buf_puts(b, "--outer--\r\n");
}

static void
scan(void *arg)
{
	struct mime_part *root = mime_parse(&arena, buf_str(arg), 0);

	need(root != NULL && mime_part_walk(root) != NULL, "MIME");
	arena_clear(&arena);
}

static void
digest(void *arg)
{
	struct str s = buf_str(arg);
	uint8_t hash[32];

	EVP_Digest(s.p, s.n, hash, NULL, EVP_sha256(), NULL);
}

static void
mime_row(size_t size)
{
	double ours, bare, mib;
	struct buf b;

	buf_init(&b, 64 << 20);
	make_mime(&b, size);
	mib = (double)b.n / (1 << 20);
	ours = rate(scan, &b);
	bare = rate(digest, &b);
	printf("| MIME scan, %zu octets | %.0f /s, %.0f MiB/s | SHA-256 of the "
	       "same %.0f MiB/s: %.2f |\n",
	    b.n, ours, ours * mib, bare * mib, ours / bare);
	fflush(stdout);
	buf_release(&b);
}

int
main(void)
{
	EVP_PKEY *rsa = EVP_RSA_gen(2048);
	EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	need(rsa != NULL && ed != NULL, "keys");
	arena_init(&arena, SPF_ARENA_MAX);
	dkim_row("RSA 2048", rsa, 4096);
	dkim_row("RSA 2048", rsa, 1 << 20);
	dkim_row("Ed25519", ed, 4096);
	printf("| SPF, two includes, seven questions | %.0f /s | |\n",
	    rate(spf, NULL));
	mime_row(4096);
	mime_row(1 << 20);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ed);
	arena_release(&arena);
	return 0;
}

#include <check.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "format/dkim/dkim_int.h"
#include "format/mime/mime.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

/* clang-format off */

/* RFC 6376, appendix C */
#define KEY_6376 "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQ" \
	"KBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt" \
	"IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v" \
	"/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhi" \
	"tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"

#define MAIL_6376                                                         \
	"From: Joe SixPack <joe@football.example.com>\r\n"                \
	"To: Suzie Q <suzie@shopping.example.net>\r\n"                    \
	"Subject: Is dinner ready?\r\n"                                   \
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"                 \
	"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n" \
	"\r\n"                                                            \
	"Hi.\r\n"                                                         \
	"\r\n"                                                            \
	"We lost the game. Are you hungry yet?\r\n"                      \
	"\r\n"                                                            \
	"Joe.\r\n"

/* RFC 6376, A.2, folded with FOLD. The RFC prints two spaces after "game.";
 * its body hash is that of one. */
#define SIGNED_6376(FOLD)                                                 \
	"DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n" \
	FOLD "c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n" \
	FOLD "h=Received : From : To : Subject : Date : Message-ID;\r\n"   \
	FOLD "bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"        \
	FOLD "b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n"  \
	FOLD "4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n"    \
	FOLD "KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n"    \
	FOLD "4bmp/YzhwvcubU4=;\r\n"                                       \
	"Received: from client1.football.example.com  [192.0.2.1]\r\n"    \
	FOLD "by submitserver.example.com with SUBMISSION;\r\n"            \
	FOLD "Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n" MAIL_6376

/* RFC 8463, A.2 and A.3 */
#define KEY_8463_ED "v=DKIM1; k=ed25519; " \
	"p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define KEY_8463_RSA "v=DKIM1; k=rsa; " \
	"p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR" \
	"iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC" \
	"DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3" \
	"Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
#define SIG_ED                                                              \
	"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"     \
	" d=football.example.com; i=@football.example.com;\r\n"             \
	" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"           \
	" subject : date : message-id : from : subject : date;\r\n"         \
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"             \
	" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"   \
	" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
#define SIG_RSA                                                             \
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"         \
	" d=football.example.com; i=@football.example.com;\r\n"             \
	" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"     \
	" date : message-id : from : subject : date;\r\n"                   \
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"             \
	" b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"   \
	" DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"   \
	" dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"

static const struct {
	const char *rfc, *key, *mail;
	enum dkim_status status;
	unsigned bits;
} vectors[] = {
	{ "6376, A.2", KEY_6376, SIGNED_6376("      "), DKIM_PASS, 1024 },
	{ "6376, 3.4.1: simple keeps folds", KEY_6376, SIGNED_6376("  "),
	    DKIM_FAIL, 1024 },
	{ "8463, A.3", KEY_8463_ED, SIG_ED MAIL_6376, DKIM_PASS, 256 },
	{ "8463, A.3", KEY_8463_RSA, SIG_RSA MAIL_6376, DKIM_PASS, 1024 },
	{ "8463, other key type", KEY_8463_RSA, SIG_ED MAIL_6376,
	    DKIM_PERMERROR, 0 },
	{ "5.4.2: From added above", KEY_8463_RSA,
	    SIG_RSA "From: eve@x.test\r\n" MAIL_6376, DKIM_FAIL, 1024 },
	{ "3.4.2: relaxed forgives spaces", KEY_8463_ED,
	    SIG_ED "X: y\r\n" MAIL_6376 "\r\n\r\n", DKIM_PASS, 256 },
};

/* Refusals of a signature; %s is "From: a\r\n\r\nbody\r\n" behind it. */
#define L50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L63 L50 "aaaaaaaaaaaaa"
#define GOOD "v=1; a=rsa-sha256; d=a.test; s=s; h=from; bh=AAAA; b=AAAA"
static const struct {
	const char *rfc, *value, *why; /* NULL: good, for the key to decide */
} signatures[] = {
	{ "3.5", GOOD, NULL },
	{ "3.5", GOOD ";", NULL },
	{ "3.5", GOOD "; unknown=x; c=relaxed; q=x:dns/txt; z=a:b|c", NULL },
	{ "3.5", "a=rsa-sha256; d=a.test; s=s; h=from; bh=AAAA; b=AAAA", "bad version" },
	{ "3.5", "v=2; a=rsa-sha256; d=a.test; s=s; h=from; bh=AAAA; b=AAAA", "bad version" },
	{ "3.2", GOOD "; b=AAAA", "tag given twice" },
	{ "3.2", GOOD "; nothing", "tag without value" },
	{ "3.2", GOOD "; =x", "bad tag name" },
	{ "3.2", "", "tag without value" },
	{ "3.5", "v=1; a=rsa-md5; d=a.test; s=s; h=from; bh=AAAA; b=AAAA", "unknown algorithm" },
	{ "8301, 3.1", "v=1; a=rsa-sha1; d=a.test; s=s; h=from; bh=AAAA; b=AAAA", "rsa-sha1 is historic" },
	{ "3.5", "v=1; a=rsa-sha256; d=test; s=s; h=from; bh=AAAA; b=AAAA", "bad domain" },
	{ "3.5", "v=1; a=rsa-sha256; d=a..test; s=s; h=from; bh=AAAA; b=AAAA", "bad domain" },
	{ "3.5", "v=1; a=rsa-sha256; d=a.test; s=; h=from; bh=AAAA; b=AAAA", "no selector" },
	{ "5.4", "v=1; a=rsa-sha256; d=a.test; s=s; h=to:cc; bh=AAAA; b=AAAA", "From is not signed" },
	{ "3.5", "v=1; a=rsa-sha256; d=a.test; s=s; h=from; bh=A*AA; b=AAAA", "bad base64" },
	{ "3.5", GOOD "; c=nofws", "unknown canonicalization" },
	{ "3.5", GOOD "; q=http", "unknown query method" },
	{ "3.5", GOOD "; l=-1", "bad body length" },
	{ "3.5", GOOD "; l=99999999999999999999999999", "bad body length" },
	{ "3.5", GOOD "; i=@b.test", "i= is not within d=" },
	{ "3.5", GOOD "; i=@xa.test", "i= is not within d=" },
	{ "3.5", GOOD "; i=us=65r@b.a.test", NULL },
	{ "3.5", GOOD "; x=999", "signature has expired" },
	{ "3.5", GOOD "; x=1001; t=900", NULL },
	{ "3.5", GOOD "; x=9999999999999999", NULL },
	{ "3.5", GOOD "; x=1001; t=1002", "expires before it was made" },
	{ "3.5", GOOD "; t=9999", "signed in the future" },
	{ "3.6.2.1", "v=1; a=rsa-sha256; d=a.test; s=" L63 "." L63 "." L63 "." L50 "; h=from; bh=AAAA; b=AAAA", "key name is too long" },
	{ "6.1.1", "v=1; a=rsa-sha256; d=co.suffix; s=s; h=from; bh=AAAA; b=AAAA", "d= is a public suffix" },
};

static const struct {
	const char *rfc, *text, *why; /* NULL: of a body that does not match */
	enum dns_status dns;
	enum dkim_status status;
} keys[] = {
	{ "3.6.1", KEY_8463_RSA, NULL, DNS_OK, DKIM_FAIL },
	{ "3.6.1", "p=AAAA", NULL, DNS_OK, DKIM_FAIL },
	{ "6.1.2", "p=AAAA", "no answer for the key", DNS_TEMPFAIL, DKIM_TEMPERROR },
	{ "6.1.2", "p=AAAA", "no answer for the key", DNS_BOGUS, DKIM_TEMPERROR },
	{ "6.1.2", NULL, "no key record", DNS_NXDOMAIN, DKIM_PERMERROR },
	{ "6.1.2", "v=DKIM1; p=", "key is revoked", DNS_OK, DKIM_PERMERROR },
	{ "3.6.1", "v=DKIM2; p=AAAA", "key record of another version", DNS_OK, DKIM_PERMERROR },
	{ "3.6.1", "p=AAAA; v=DKIM1", "key record of another version", DNS_OK, DKIM_PERMERROR },
	{ "3.6.1", "v=DKIM1; k=dsa; p=AAAA", "unknown key type", DNS_OK, DKIM_PERMERROR },
	{ "3.6.1", "v=DKIM1; h=sha1; p=AAAA", "key is not for SHA-256", DNS_OK, DKIM_PERMERROR },
	{ "3.6.1", "v=DKIM1; h=sha1 : sha256; p=AAAA", NULL, DNS_OK, DKIM_FAIL },
	{ "3.6.1", "v=DKIM1; s=other; p=AAAA", "key is not for mail", DNS_OK, DKIM_PERMERROR },
	{ "8460, 3", "v=DKIM1; s=tlsrpt; p=AAAA", "key is not for mail", DNS_OK, DKIM_PERMERROR },
	{ "3.6.1", "v=DKIM1; s=other:email; p=AAAA", NULL, DNS_OK, DKIM_FAIL },
	{ "3.6.1", "v=DKIM1; t=y:s; p=AAAA", "i= is not d=, as the key asks", DNS_OK, DKIM_PERMERROR },
	{ "3.6.1", "v=DKIM1", "key record without key", DNS_OK, DKIM_PERMERROR },
	{ "3.6.1", "v=spf1 -all", "key record of another version", DNS_OK, DKIM_PERMERROR },
};

/* RFC 6376, 3.4.5: the examples, and the corners of 3.4.3 and 3.4.4 */
static const struct {
	enum dkim_canon canon;
	const char *in, *out;
} bodies[] = {
	{ DKIM_RELAXED, " C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n" },
	{ DKIM_SIMPLE, " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n" },
	{ DKIM_SIMPLE, "", "\r\n" },
	{ DKIM_RELAXED, "", "" },
	{ DKIM_SIMPLE, "\r\n\r\n", "\r\n" },
	{ DKIM_RELAXED, "\r\n\r\n", "" },
	{ DKIM_RELAXED, " \t\r\n  \r\n", "" },
	{ DKIM_SIMPLE, " \t\r\n  \r\n", " \t\r\n  \r\n" },
	{ DKIM_SIMPLE, "a", "a\r\n" },
	{ DKIM_RELAXED, "a ", "a\r\n" },
	{ DKIM_RELAXED, "a\r\n\r\n \r\nb", "a\r\n\r\n\r\nb\r\n" },
	{ DKIM_SIMPLE, "a\nb\n\n", "a\r\nb\r\n" },
	{ DKIM_SIMPLE, "a\rb\r\r\n", "a\rb\r\r\n" },
	{ DKIM_RELAXED, "a \rb \r\r\n", "a \rb \r\r\n" },
};

static const struct {
	enum dkim_canon canon;
	const char *in, *out;
} fields[] = {
	{ DKIM_RELAXED, "A: X\r\n", "a:X\r\n" },
	{ DKIM_RELAXED, "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n" },
	{ DKIM_SIMPLE, "B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n" },
	{ DKIM_SIMPLE, "B : Y\t\n\tZ  \n", "B : Y\t\r\n\tZ  \r\n" },
	{ DKIM_RELAXED, "A:\r\n", "a:\r\n" },
	{ DKIM_RELAXED, "A: \t\n", "a:\r\n" },
};
/* clang-format on */

static struct arena arena;
static struct buf out;

static void
setup(void)
{
	arena_init(&arena, 16 << 20);
	buf_init(&out, 1 << 20);
}

static void
teardown(void)
{
	arena_release(&arena);
	buf_release(&out);
}

static bool
is_suffix(void *arg, struct str domain)
{
	return str_eq(domain, STR("co.suffix"));
}

static struct dkim_keys *kept;

/* One key for all questions; pieces of that size. */
static struct dkim_result
verify(struct str mail, const char *key, enum dns_status status, size_t piece,
    size_t which)
{
	const struct dkim_options o = { .now = 1000 + 1528637909 * (which > 9),
		.is_public_suffix = is_suffix,
		.keys = kept };
	struct dns_record record = { .type = DNS_TXT, .text = str_from(key) };
	struct dns_answer an = { .v = &record,
		.n = status == DNS_OK,
		.status = status,
		.is_secure = true };
	size_t split = mime_header_length(mail), n, i;
	const struct dkim_result *r;
	struct dkim_result out_r;
	struct dkim_verify *v;
	struct str body;

	v = dkim_verify_begin(&arena, str_sub(mail, 0, split), &o);
	for (body = str_sub(mail, split, mail.n); body.n > 0;
	     body = str_sub(body, piece, body.n))
		dkim_verify_body(v, str_sub(body, 0, piece));
	r = dkim_verify_results(v, &n, NULL);
	ck_assert_uint_ge(n, 1);
	for (i = 0; i < n; i++)
		if (r[i].question != NULL)
			dkim_verify_answer(v, i, &an);
	dkim_verify_finish(v);
	out_r = r[which > 9 ? 0 : which];
	dkim_verify_free(&v);
	return out_r;
}

#define LATE 10 /* the first signature, in 2018 */

START_TEST(vector_table)
{
	struct str mail = str_from(vectors[_i].mail);
	struct dkim_result r;
	struct buf lf;
	size_t i;

	for (i = 1; i < 9999; i = i * 3 + 1) {
		r = verify(mail, vectors[_i].key, DNS_OK, i, LATE);
		ck_assert_msg(r.status == vectors[_i].status, "%s: %s, %s",
		    vectors[_i].rfc, dkim_status_name(r.status), r.why);
		ck_assert_uint_eq(r.bits, vectors[_i].bits);
	}
	/* the same as a file with LF */
	buf_init(&lf, mail.n);
	for (i = 0; i < mail.n; i++)
		if (mail.p[i] != '\r')
			buf_putc(&lf, mail.p[i]);
	r = verify(buf_str(&lf), vectors[_i].key, DNS_OK, 7, LATE);
	ck_assert_int_eq(r.status, vectors[_i].status);
	buf_release(&lf);
}
END_TEST

/* Each octet of the message and of the signature counts (relaxed: but for
 * white space and the case of names). */
/* What is kept changes no result, and every key is its own. */
START_TEST(kept_keys)
{
	static const size_t order[] = { 0, 0, 3, 0, 3, 1, 4, 2, 5, 6, 3, 0 };
	struct str mail;
	size_t i, k;

	kept = dkim_keys_new();
	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		k = order[i];
		mail = str_from(vectors[k].mail);
		ck_assert_int_eq(
		    verify(mail, vectors[k].key, DNS_OK, mail.n, LATE).status,
		    vectors[k].status);
	}
	dkim_keys_free(&kept);
}
END_TEST

START_TEST(bounded_keys)
{
	struct dkim_keys *k = dkim_keys_new();
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), *got;
	char octets[1101] = { 0 };
	int i, n = 0;

	for (i = 0; i < 1000; i++) {
		memcpy(octets, &i, sizeof(i));
		ck_assert_ptr_null(dkim_keys_get(k, str_make(octets, 300)));
		dkim_keys_put(k, str_make(octets, 300), key);
	}
	for (i = 0; i < 1000; i++) {
		memcpy(octets, &i, sizeof(i));
		ck_assert_ptr_null(dkim_keys_get(k, str_make(octets, 299)));
		got = dkim_keys_get(k, str_make(octets, 300));
		n += got != NULL;
		EVP_PKEY_free(got);
	}
	ck_assert_int_gt(n, DKIM_KEYS / 2);
	ck_assert_int_le(n, DKIM_KEYS);
	dkim_keys_put(k, str_make(octets, sizeof(octets)), key);
	ck_assert_ptr_null(dkim_keys_get(k, str_make(octets, sizeof(octets))));
	dkim_keys_put(NULL, STR("x"), key);
	ck_assert_ptr_null(dkim_keys_get(NULL, STR("x")));
	dkim_keys_free(&k);
	EVP_PKEY_free(key);
}
END_TEST

START_TEST(altered)
{
	static const char mail[] = SIG_ED MAIL_6376;
	size_t header = sizeof(SIG_ED) - 1, i, n = sizeof(mail) - 1;
	struct dkim_result r;
	char copy[sizeof(mail)];

	for (i = header; i < n; i++) {
		if (strchr(" \r\n:", mail[i]) != NULL)
			continue;
		memcpy(copy, mail, sizeof(copy));
		copy[i] ^= 1;
		r = verify(str_make(copy, n), KEY_8463_ED, DNS_OK, n, LATE);
		ck_assert_msg(r.status == DKIM_FAIL, "octet %zu", i);
	}
	for (i = header; i < n - 2; i++) {
		r = verify(str_make(mail, i), KEY_8463_ED, DNS_OK, n, LATE);
		ck_assert_msg(r.status == DKIM_FAIL || i == n - 2 ||
				  mail[i] == '\r' || mail[i] == '\n',
		    "cut at %zu", i);
	}
}
END_TEST

START_TEST(signature_table)
{
	struct dkim_result r;

	buf_printf(&out, "DKIM-Signature: %s\r\nFrom: a\r\n\r\nbody\r\n",
	    signatures[_i].value);
	r = verify(buf_str(&out), "p=AAAA", DNS_OK, 5, 0);
	if (signatures[_i].why == NULL) {
		ck_assert_msg(r.status == DKIM_FAIL, "%s: %s",
		    signatures[_i].value, r.why);
		return;
	}
	ck_assert_msg(r.status == DKIM_PERMERROR &&
			  strcmp(r.why, signatures[_i].why) == 0,
	    "%s: %s", signatures[_i].value, r.why);
	ck_assert_ptr_null(r.question);
}
END_TEST

START_TEST(key_table)
{
	struct dkim_result r;

	buf_puts(&out, "DKIM-Signature: " GOOD
		       "; i=x@sub.a.test\r\nFrom: a\r\n\r\nbody\r\n");
	r = verify(buf_str(&out), keys[_i].text, keys[_i].dns, 5, 0);
	ck_assert_msg(r.status == keys[_i].status, "%s: %s: %s", keys[_i].text,
	    dkim_status_name(r.status), r.why);
	if (keys[_i].why != NULL)
		ck_assert_str_eq(r.why, keys[_i].why);
	ck_assert(r.is_secure);
}
END_TEST

/* RFC 8460, 3: a key for reports is good for a report */
START_TEST(report_key)
{
	struct dkim_result r;

	buf_puts(&out,
	    "DKIM-Signature: " GOOD "\r\nFrom: a\r\nTLS-Report-Domain: b.test"
	    "\r\n\r\nbody\r\n");
	r = verify(buf_str(&out), "v=DKIM1; s=tlsrpt; p=AAAA", DNS_OK, 5, 0);
	ck_assert_str_eq(r.why, "body hash does not match");
}
END_TEST

START_TEST(body_table)
{
	struct str in = str_from(bodies[_i].in),
		   want = str_from(bodies[_i].out);
	struct dkim_body *b;
	uint8_t hash[32];
	size_t piece, i, w;
	uint64_t n;

	EVP_Digest(want.p, want.n, hash, NULL, EVP_sha256(), NULL);
	for (piece = 1; piece <= in.n + 1; piece++) {
		b = dkim_body_new();
		w = dkim_body_want(b, bodies[_i].canon, false, 0);
		for (i = 0; i < in.n; i += piece)
			dkim_body_push(b, str_sub(in, i, piece));
		dkim_body_finish(b);
		ck_assert_msg(memcmp(dkim_body_hash(b, w, &n), hash, 32) == 0,
		    "body %d, pieces of %zu", _i, piece);
		ck_assert_uint_eq(n, want.n);
		dkim_body_free(&b);
	}
}
END_TEST

START_TEST(field_table)
{
	dkim_canon_field(&out, str_from(fields[_i].in), fields[_i].canon);
	ck_assert_str_eq(buf_cstr(&out), fields[_i].out);
}
END_TEST

static EVP_PKEY *
make_key(int which)
{
	if (which == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	return EVP_PKEY_Q_keygen(
	    NULL, NULL, "RSA", which == 1 ? (size_t)2048 : (size_t)1024);
}

static const char round_mail[] =
    "From: A <a@a.test>\r\nSubject:  folded\r\n\t and  spaced \r\n"
    "Received: one\r\nReceived: two\r\nTo: b@b.test\r\n"
    "\r\nBody \t text \r\n\r\n with  spaces\r\n\r\n\r\n";

/* All canonical forms, both key types: what we sign verifies. */
START_TEST(round_trip)
{
	static const struct str names[] = { STR_INIT("from"),
		STR_INIT("Received"), STR_INIT("subject"), STR_INIT("X-None") };
	struct str mail = str_make(round_mail, sizeof(round_mail) - 1);
	struct dkim_signer by[2] = { 0 };
	size_t split = mime_header_length(mail), i;
	struct dkim_sign *s;
	struct dkim_result r;
	struct buf key;
	struct err e;

	buf_init(&key, 4096);
	for (i = 0; i < 2; i++) {
		by[i].key = make_key(_i & 1);
		by[i].domain = STR("a.test");
		by[i].selector = STR("sel");
		by[i].header_canon = _i >> 1 & 1 ? DKIM_RELAXED : DKIM_SIMPLE;
		by[i].body_canon = _i >> 2 & 1 ? DKIM_RELAXED : DKIM_SIMPLE;
		by[i].now = 900;
		by[i].expire_s = 3600;
		by[i].auid = i == 0 ? STR("@sub.a.test") : STR("");
		by[i].headers = i == 0 ? names : NULL;
		by[i].n_headers = N(names);
		by[i].is_oversigning = i == 1;
	}
	s = dkim_sign_begin(&arena, str_sub(mail, 0, split), by, 2);
	for (i = split; i < mail.n; i += 3)
		dkim_sign_body(s, str_sub(mail, i, 3));
	ck_assert_msg(dkim_sign_finish(&s, &out, &e) == 0, "%s", e.text);
	ck_assert_ptr_null(s);
	buf_put(&out, mail);
	for (i = 0; i < 2; i++) {
		buf_clear(&key);
		ck_assert_int_eq(dkim_print_key(&key, by[i].key, &e), 0);
		r = verify(buf_str(&out), buf_cstr(&key), DNS_OK, 4, i);
		ck_assert_msg(r.status == DKIM_PASS, "%s: %s\n%s",
		    dkim_status_name(r.status), r.why, buf_cstr(&out));
		/* the other one's key */
		r = verify(buf_str(&out), buf_cstr(&key), DNS_OK, 4, 1 - i);
		ck_assert_int_eq(r.status, DKIM_FAIL);
		ck_assert_str_eq(r.why, "signature does not verify");
	}
	for (i = 0; i < 2; i++)
		EVP_PKEY_free(by[i].key);
	/* lines of 78 at most */
	for (i = 0; i < out.n;) {
		struct str line = str_sub(buf_str(&out), i, out.n);

		line.n = str_find(line, '\n');
		ck_assert_uint_le(line.n, 79);
		i += line.n + 1;
	}
	buf_release(&key);
}
END_TEST

/* RFC 6376, 8.15: a signed-for field that is not there cannot be added */
START_TEST(oversigned)
{
	struct str mail = str_make(round_mail, sizeof(round_mail) - 1);
	size_t split = mime_header_length(mail);
	struct dkim_signer by = { .domain = STR("a.test"),
		.selector = STR("s"),
		.is_oversigning = true };
	struct dkim_sign *s;
	struct buf key;
	struct err e;

	by.key = make_key(0);
	buf_init(&key, 4096);
	dkim_print_key(&key, by.key, &e);
	s = dkim_sign_begin(&arena, str_sub(mail, 0, split), &by, 1);
	dkim_sign_body(s, str_sub(mail, split, mail.n));
	ck_assert_int_eq(dkim_sign_finish(&s, &out, &e), 0);
	buf_puts(&out, "Subject: another\r\n");
	buf_put(&out, mail);
	ck_assert_int_eq(
	    verify(buf_str(&out), buf_cstr(&key), DNS_OK, 9, 0).status,
	    DKIM_FAIL);
	EVP_PKEY_free(by.key);
	buf_release(&key);
}
END_TEST

/* RFC 8301, 3.2: by a valid signature of a short key */
START_TEST(short_rsa)
{
	struct dkim_signer by = { .domain = STR("a.test") };
	unsigned char *der = NULL;
	struct dkim_key key = { .is_rsa = true };
	struct dkim_sign *s;
	const char *why;
	unsigned bits;
	struct err e;
	int n;

	by.key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)768);
	s = dkim_sign_begin(&arena, STR("From: a\r\n\r\n"), &by, 1);
	ck_assert_int_eq(dkim_sign_finish(&s, &out, &e), -1);
	n = i2d_PublicKey(by.key, &der);
	key.p = str_make((const char *)der, (size_t)n);
	ck_assert_int_eq(dkim_check(NULL, DKIM_RSA_SHA256, &key, STR("x"),
			     STR("y"), &bits, &why),
	    DKIM_PERMERROR);
	ck_assert_str_eq(why, "RSA key is too short");
	ck_assert_uint_eq(bits, 768);
	OPENSSL_free(der);
	EVP_PKEY_free(by.key);
}
END_TEST

/* RFC 6376, 3.5: what l= leaves out is reported */
START_TEST(body_length)
{
	struct dkim_body *b = dkim_body_new();
	size_t w3, w0, all, again;
	uint8_t hash[32];
	uint64_t n;

	w3 = dkim_body_want(b, DKIM_SIMPLE, true, 3);
	w0 = dkim_body_want(b, DKIM_SIMPLE, true, 0);
	all = dkim_body_want(b, DKIM_SIMPLE, false, 0);
	again = dkim_body_want(b, DKIM_SIMPLE, true, 3);
	ck_assert_uint_eq(w3, again);
	dkim_body_push(b, STR("abcdef"));
	dkim_body_finish(b);
	EVP_Digest("abc", 3, hash, NULL, EVP_sha256(), NULL);
	ck_assert(memcmp(dkim_body_hash(b, w3, &n), hash, 32) == 0);
	ck_assert_uint_eq(n, 8);
	EVP_Digest("", 0, hash, NULL, EVP_sha256(), NULL);
	ck_assert(memcmp(dkim_body_hash(b, w0, &n), hash, 32) == 0);
	EVP_Digest("abcdef\r\n", 8, hash, NULL, EVP_sha256(), NULL);
	ck_assert(memcmp(dkim_body_hash(b, all, &n), hash, 32) == 0);
	dkim_body_free(&b);
}
END_TEST

START_TEST(many_signatures)
{
	const struct dkim_options o = { .now = 1000 };
	size_t n, skipped, i;
	struct dkim_verify *v;

	for (i = 0; i < 10000; i++)
		buf_puts(&out, "DKIM-Signature: " GOOD "\r\n");
	v = dkim_verify_begin(&arena, buf_str(&out), &o);
	dkim_verify_results(v, &n, &skipped);
	ck_assert_uint_eq(n, DKIM_MAX_SIGNATURES);
	ck_assert_uint_eq(n + skipped, 10000);
	dkim_verify_free(&v);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("dkim");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, vector_table, 0, N(vectors));
	tcase_add_test(t, kept_keys);
	tcase_add_test(t, bounded_keys);
	tcase_add_test(t, altered);
	tcase_add_loop_test(t, signature_table, 0, N(signatures));
	tcase_add_loop_test(t, key_table, 0, N(keys));
	tcase_add_test(t, report_key);
	tcase_add_loop_test(t, body_table, 0, N(bodies));
	tcase_add_loop_test(t, field_table, 0, N(fields));
	tcase_add_loop_test(t, round_trip, 0, 8);
	tcase_add_test(t, oversigned);
	tcase_add_test(t, short_rsa);
	tcase_add_test(t, body_length);
	tcase_add_test(t, many_signatures);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}

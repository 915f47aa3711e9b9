#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/b64.h"
#include "format/sasl/sasl.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

static void
eq(struct str got, struct str want)
{
	ck_assert_msg(str_eq(got, want), "got '%.*s' want '%.*s'", STR_ARG(got),
	    STR_ARG(want));
}

static struct sasl_scram
keys(const char *password)
{
	struct sasl_scram k = { .iterations = 4096, .n_salt = 16 };
	struct buf b;

	buf_init(&b, 16);
	ck_assert(b64_decode(&b, STR("W22ZaJ0SNY7soEsUEjb6gQ==")));
	memcpy(k.salt, b.p, 16);
	buf_release(&b);
	sasl_scram_derive(&k, str_from(password));
	return k;
}

#define CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"

/* RFC 7677, 3 */
START_TEST(rfc7677_example)
{
	struct sasl_config f = { .nonce = STR(SERVER_NONCE),
		.secret = STR("secret"),
		.iterations = 4096 };
	struct sasl_client_config cf = { .user = STR("user"),
		.password = STR("pencil"),
		.nonce = STR(CLIENT_NONCE) };
	struct sasl_server *s = sasl_server_new(STR("SCRAM-SHA-256"), &f);
	struct sasl_client *c = sasl_client_new(STR("scram-sha-256"), &cf);
	struct sasl_scram k = keys("pencil");
	struct buf out;

	buf_init(&out, SASL_MAX_MESSAGE);
	ck_assert_int_eq(sasl_client_step(c, STR(""), &out), SASL_CLIENT_SEND);
	eq(buf_str(&out), STR("n,,n=user,r=" CLIENT_NONCE));
	ck_assert_int_eq(sasl_server_step(s, false, STR("")), SASL_CHALLENGE);
	eq(sasl_server_data(s), STR(""));
	ck_assert_int_eq(
	    sasl_server_step(s, true, buf_str(&out)), SASL_WANT_SCRAM);
	eq(sasl_server_user(s), STR("user"));
	ck_assert_int_eq(sasl_server_looked_up(s, &k), SASL_CHALLENGE);
	eq(sasl_server_data(s), STR("r=" CLIENT_NONCE SERVER_NONCE
				    ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
	ck_assert_int_eq(
	    sasl_client_step(c, sasl_server_data(s), &out), SASL_CLIENT_SEND);
	eq(buf_str(&out),
	    STR("c=biws,r=" CLIENT_NONCE SERVER_NONCE
		",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
	ck_assert_int_eq(sasl_server_step(s, true, buf_str(&out)), SASL_OK);
	eq(sasl_server_data(s),
	    STR("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
	ck_assert_int_eq(
	    sasl_client_step(c, sasl_server_data(s), &out), SASL_CLIENT_DONE);
	buf_release(&out);
	sasl_server_free(&s);
	sasl_client_free(&c);
}
END_TEST

/* RFC 7914, 11 */
START_TEST(pbkdf2_vector)
{
	uint8_t out[32];
	char hex[65];

	sasl_hi(STR("passwd"), (const uint8_t *)"salt", 4, 1, out);
	sodium_bin2hex(hex, sizeof(hex), out, sizeof(out));
	ck_assert_str_eq(hex, "55ac046e56e3089fec1691c22544b605"
			      "f94185216dde0465e68b9d57c20dacbc");
	sasl_hi(STR("Password"), (const uint8_t *)"NaCl", 4, 80000, out);
	sodium_bin2hex(hex, sizeof(hex), out, sizeof(out));
	ck_assert_str_eq(hex, "4ddcd8f60b98be21830cee5ef22701f9"
			      "641a4418d04c0414aeff08876b34ab56");
}
END_TEST

struct talk {
	const char *mechanism, *user, *password;
	const char *binding_type, *binding; /* the client's */
	bool lacks_plus;
	const char *exporter, *end_point; /* the server's */
	bool plus;
	enum sasl_step want; /* account is joe@x.example, "open sesame" */
};

static const struct talk talks[] = {
	{ "PLAIN", "joe@x.example", "open sesame", "", "", 0, "", "", 0,
	    SASL_OK },
	{ "PLAIN", "Joe@X.example", "open sesame", "", "", 0, "", "", 0,
	    SASL_OK },
	{ "PLAIN", "joe@x.example", "wrong", "", "", 0, "", "", 0, SASL_BAD },
	{ "PLAIN", "other", "open sesame", "", "", 0, "", "", 0, SASL_BAD },
	{ "LOGIN", "joe@x.example", "open sesame", "", "", 0, "", "", 0,
	    SASL_OK },
	{ "LOGIN", "joe@x.example", "wrong", "", "", 0, "", "", 0, SASL_BAD },
	{ "SCRAM-SHA-256", "joe@x.example", "open sesame", "", "", 0, "", "", 0,
	    SASL_OK },
	/* RFC 8265, 4.2.2: another space, the same password */
	{ "SCRAM-SHA-256", "joe@x.example", "open\xc2\xa0sesame", "", "", 0, "",
	    "", 0, SASL_OK },
	{ "SCRAM-SHA-256", "joe@x.example", "wrong", "", "", 0, "", "", 0,
	    SASL_BAD },
	{ "SCRAM-SHA-256", "other", "open sesame", "", "", 0, "", "", 0,
	    SASL_BAD },
	/* the client could bind and was not offered to: true, or a lie */
	{ "SCRAM-SHA-256", "joe@x.example", "open sesame", "", "", 1, "", "", 0,
	    SASL_OK },
	{ "SCRAM-SHA-256", "joe@x.example", "open sesame", "", "", 1, "e", "",
	    1, SASL_BINDING },
	{ "SCRAM-SHA-256", "joe@x.example", "open sesame", "", "", 0, "e", "",
	    1, SASL_OK },
	{ "SCRAM-SHA-256-PLUS", "joe@x.example", "open sesame", "tls-exporter",
	    "0123456789", 0, "0123456789", "end", 1, SASL_OK },
	{ "SCRAM-SHA-256-PLUS", "joe@x.example", "open sesame",
	    "tls-server-end-point", "end", 0, "0123456789", "end", 1, SASL_OK },
	{ "SCRAM-SHA-256-PLUS", "joe@x.example", "open sesame", "tls-exporter",
	    "0123456780", 0, "0123456789", "end", 1, SASL_BINDING },
	{ "SCRAM-SHA-256-PLUS", "joe@x.example", "open sesame", "tls-exporter",
	    "end", 0, "", "end", 1, SASL_BINDING },
	{ "SCRAM-SHA-256-PLUS", "joe@x.example", "open sesame", "tls-unique",
	    "x", 0, "x", "x", 1, SASL_BINDING },
};

/* Let the two talk to the end, as an authd would. */
static enum sasl_step
run(struct sasl_server *s, struct sasl_client *c)
{
	struct sasl_scram k = keys("open sesame");
	struct buf out;
	enum sasl_step step;
	enum sasl_client_step cs = SASL_CLIENT_SEND;
	bool is_joe;

	buf_init(&out, SASL_MAX_MESSAGE);
	cs = sasl_client_step(c, STR(""), &out);
	step = out.n > 0 ? sasl_server_step(s, true, buf_str(&out)) :
			   sasl_server_step(s, false, STR(""));
	for (;;) {
		is_joe = str_eq(sasl_server_user(s), STR("joe@x.example"));
		if (step == SASL_WANT_PASSWORD)
			step = sasl_server_checked(
			    s, is_joe && str_eq(sasl_server_password(s),
					     STR("open sesame")));
		else if (step == SASL_WANT_SCRAM)
			step = sasl_server_looked_up(s, is_joe ? &k : NULL);
		else if (step == SASL_CHALLENGE) {
			cs = sasl_client_step(c, sasl_server_data(s), &out);
			ck_assert_int_eq(cs, SASL_CLIENT_SEND);
			step = sasl_server_step(s, true, buf_str(&out));
		} else
			break;
	}
	if (step == SASL_OK && sasl_server_data(s).n > 0)
		ck_assert_int_eq(sasl_client_step(c, sasl_server_data(s), &out),
		    SASL_CLIENT_DONE);
	buf_release(&out);
	return step;
}

START_TEST(conversations)
{
	const struct talk *t = &talks[_i];
	struct sasl_config f = { .nonce = STR("serverpart"),
		.secret = STR("secret"),
		.iterations = 4096,
		.plus_advertised = t->plus,
		.exporter = str_from(t->exporter),
		.end_point = str_from(t->end_point) };
	struct sasl_client_config cf = { .user = str_from(t->user),
		.password = str_from(t->password),
		.nonce = STR("clientpart"),
		.binding_type = str_from(t->binding_type),
		.binding = str_from(t->binding),
		.server_lacks_plus = t->lacks_plus };
	struct sasl_server *s = sasl_server_new(str_from(t->mechanism), &f);
	struct sasl_client *c = sasl_client_new(str_from(t->mechanism), &cf);

	ck_assert_int_eq(run(s, c), t->want);
	sasl_server_free(&s);
	sasl_client_free(&c);
}
END_TEST

#define F  "n,,n=joe@x.example,r=abc"
#define R2 "abcserverpart"

/* first and second message of a client, how the server ends */
static const struct {
	const char *first, *second;
	enum sasl_step want;
	const char *data;
} scrams[] = {
	{ "", NULL, SASL_SYNTAX, "e=other-error" },
	{ "x,,n=a,r=b", NULL, SASL_SYNTAX, "e=other-error" },
	{ "n,n=a,r=b", NULL, SASL_SYNTAX, "e=other-error" },
	{ "yn,,n=a,r=b", NULL, SASL_SYNTAX, "e=other-error" },
	{ "p=tls-exporter,,n=a,r=b", NULL, SASL_SYNTAX,
	    "e=channel-binding-not-supported" },
	{ "n,,m=x,n=a,r=b", NULL, SASL_SYNTAX, "e=extensions-not-supported" },
	{ "n,,n=a,r=", NULL, SASL_SYNTAX, "e=other-error" },
	{ "n,,n=a", NULL, SASL_SYNTAX, "e=other-error" },
	{ "n,,n=,r=b", NULL, SASL_BAD, "e=invalid-username-encoding" },
	{ "n,,n=a=b,r=b", NULL, SASL_BAD, "e=invalid-username-encoding" },
	{ "n,,n=\xff,r=b", NULL, SASL_BAD, "e=invalid-username-encoding" },
	{ "n,a=joe,n=jim,r=b", NULL, SASL_BAD, "e=invalid-username-encoding" },
	{ "n,a=joe@x.example,n=joe@x.example,r=abc", "c=,r=" R2 ",p=AAAA",
	    SASL_BINDING, "e=channel-bindings-dont-match" },
	{ F, "", SASL_SYNTAX, "e=other-error" },
	{ F, "c=biws,r=" R2, SASL_SYNTAX, "e=other-error" },
	{ F, "c=biws,r=abcother,p=AAAA", SASL_SYNTAX, "e=other-error" },
	{ F, "c=eSws,r=" R2 ",p=AAAA", SASL_BINDING,
	    "e=channel-bindings-dont-match" },
	{ F, "c=biws,r=" R2 ",p=AAAA", SASL_BAD, "e=invalid-proof" },
	{ F, "c=biws,r=" R2 ",p=!", SASL_BAD, "e=invalid-proof" },
	{ F, "c=biws,r=" R2 ",x=1,p=", SASL_BAD, "e=invalid-proof" },
};

START_TEST(scram_messages)
{
	struct sasl_config f = { .nonce = STR("serverpart"),
		.secret = STR("secret"),
		.iterations = 4096 };
	struct sasl_server *s = sasl_server_new(STR("SCRAM-SHA-256"), &f);
	struct sasl_scram k = keys("open sesame");
	enum sasl_step step;

	step = sasl_server_step(s, true, str_from(scrams[_i].first));
	if (scrams[_i].second != NULL) {
		ck_assert_int_eq(step, SASL_WANT_SCRAM);
		ck_assert_int_eq(sasl_server_looked_up(s, &k), SASL_CHALLENGE);
		step = sasl_server_step(s, true, str_from(scrams[_i].second));
	}
	ck_assert_int_eq(step, scrams[_i].want);
	eq(sasl_server_data(s), str_from(scrams[_i].data));
	sasl_server_free(&s);
}
END_TEST

/* The salt of somebody who does not exist is always the same. */
START_TEST(unknown_names)
{
	struct sasl_config f = { .nonce = STR("serverpart"),
		.secret = STR("secret"),
		.iterations = 4096 };
	struct buf first;
	int i;

	buf_init(&first, 4096);
	for (i = 0; i < 3; i++) {
		struct sasl_server *s =
		    sasl_server_new(STR("SCRAM-SHA-256"), &f);

		sasl_server_step(s, true,
		    i < 2 ? STR("n,,n=nobody,r=abc") : STR("n,,n=none,r=abc"));
		sasl_server_looked_up(s, NULL);
		if (i == 0)
			buf_put(&first, sasl_server_data(s));
		else
			ck_assert((i == 1) ==
				  str_eq(buf_str(&first), sasl_server_data(s)));
		ck_assert_int_eq(sasl_server_step(s, true,
				     STR("c=biws,r=abcserverpart,p="
					 "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmi"
					 "z7AndVQ=")),
		    SASL_BAD);
		eq(sasl_server_data(s), STR("e=invalid-proof"));
		sasl_server_free(&s);
	}
	buf_release(&first);
}
END_TEST

static const struct {
	struct str in;
	enum sasl_step want;
} plains[] = {
	{ STR_INIT("\0joe\0secret"), SASL_WANT_PASSWORD },
	{ STR_INIT("joe\0joe\0secret"), SASL_WANT_PASSWORD },
	{ STR_INIT("JOE\0joe\0secret"), SASL_WANT_PASSWORD },
	{ STR_INIT("jim\0joe\0secret"), SASL_BAD },
	{ STR_INIT("\0\0secret"), SASL_BAD },
	{ STR_INIT("\0joe\0"), SASL_SYNTAX },
	{ STR_INIT("\0joe"), SASL_SYNTAX },
	{ STR_INIT("joe"), SASL_SYNTAX },
	{ STR_INIT(""), SASL_SYNTAX },
	{ STR_INIT("\0joe\0a\0b"), SASL_SYNTAX },
	{ STR_INIT("\0a b\0secret"), SASL_BAD },
};

START_TEST(plain_messages)
{
	struct sasl_config f = { .nonce = STR("x") };
	struct sasl_server *s = sasl_server_new(STR("PLAIN"), &f);

	ck_assert_int_eq(
	    sasl_server_step(s, true, plains[_i].in), plains[_i].want);
	sasl_server_free(&s);
	ck_assert_ptr_null(sasl_server_new(STR("CRAM-MD5"), &f));
	ck_assert_ptr_null(sasl_server_new(STR("SCRAM-SHA-256-PLUS"), &f));
}
END_TEST

/* RFC 8265, 3.5 and 4.3 */
static const struct {
	const char *in, *user, *password; /* NULL: refused */
} preps[] = {
	{ "juliet@example.com", "juliet@example.com", "juliet@example.com" },
	{ "fussball", "fussball", "fussball" },
	{ "fu\xc3\x9f"
	  "ball",
	    "fu\xc3\x9f"
	    "ball",
	    "fu\xc3\x9f"
	    "ball" },
	{ "\xcf\x80", "\xcf\x80", "\xcf\x80" },
	{ "\xce\xa3", "\xcf\x83", "\xce\xa3" },
	{ "foo bar", NULL, "foo bar" },
	{ "", NULL, NULL },
	{ "henry\xe2\x85\xa3", NULL, "henry\xe2\x85\xa3" },
	{ "\xe2\x99\x9a", NULL, "\xe2\x99\x9a" },
	{ "Correct Horse Battery Staple", NULL,
	    "Correct Horse Battery Staple" },
	{ "foo\xe1\x9a\x80"
	  "bar",
	    NULL, "foo bar" },
	{ "my cat is a \x09"
	  "by",
	    NULL, NULL },
	{ "\xef\xbc\xa1\xef\xbc\xa2", "ab", "\xef\xbc\xa1\xef\xbc\xa2" },
	{ "e\xcc\x81", "\xc3\xa9", "\xc3\xa9" },
	{ "a\xe2\x80\x8d", NULL, NULL },
	{ "a\xc2\xad", NULL, NULL },
	{ "a\xff", NULL, NULL },
};

START_TEST(precis)
{
	struct buf b;

	buf_init(&b, 4096);
	ck_assert(sasl_prep_username(&b, str_from(preps[_i].in)) ==
		  (preps[_i].user != NULL));
	eq(buf_str(&b), str_from(preps[_i].user));
	buf_clear(&b);
	ck_assert(sasl_prep_password(&b, str_from(preps[_i].in)) ==
		  (preps[_i].password != NULL));
	eq(buf_str(&b), str_from(preps[_i].password));
	buf_release(&b);
}
END_TEST

START_TEST(names_in_scram)
{
	struct sasl_config f = { .nonce = STR("serverpart"),
		.secret = STR("secret"),
		.iterations = 4096 };
	struct sasl_client_config cf = { .user = STR("a,b=c"),
		.password = STR("x"),
		.nonce = STR("clientpart") };
	struct sasl_server *s = sasl_server_new(STR("SCRAM-SHA-256"), &f);
	struct sasl_client *c = sasl_client_new(STR("SCRAM-SHA-256"), &cf);
	struct buf out;

	buf_init(&out, 4096);
	sasl_client_step(c, STR(""), &out);
	eq(buf_str(&out), STR("n,,n=a=2Cb=3Dc,r=clientpart"));
	ck_assert_int_eq(
	    sasl_server_step(s, true, buf_str(&out)), SASL_WANT_SCRAM);
	eq(sasl_server_user(s), STR("a,b=c"));
	/* servers that are not to be trusted */
	ck_assert_int_eq(
	    sasl_client_step(c, STR("r=clientpartx,s=AAAA,i=10"), &out),
	    SASL_CLIENT_BAD);
	buf_release(&out);
	sasl_server_free(&s);
	sasl_client_free(&c);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sasl");
	TCase *t = tcase_create("all");
	SRunner *r;

	if (sodium_init() == -1)
		return 1;
	tcase_set_timeout(t, 30);
	tcase_add_test(t, rfc7677_example);
	tcase_add_test(t, pbkdf2_vector);
	tcase_add_loop_test(t, conversations, 0, N(talks));
	tcase_add_loop_test(t, scram_messages, 0, N(scrams));
	tcase_add_test(t, unknown_names);
	tcase_add_loop_test(t, plain_messages, 0, N(plains));
	tcase_add_loop_test(t, precis, 0, N(preps));
	tcase_add_test(t, names_in_scram);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}

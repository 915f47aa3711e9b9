#include <check.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/auth/auth.h"
#include "system/fs/fs.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

static const struct auth_cost cheap = { crypto_pwhash_MEMLIMIT_MIN,
	crypto_pwhash_OPSLIMIT_MIN, 4096 };

static void
eq(struct str got, struct str want)
{
	ck_assert_msg(str_eq(got, want), "got '%.*s' want '%.*s'", STR_ARG(got),
	    STR_ARG(want));
}

static const struct {
	const char *hash, *password;
	enum auth_answer want;
} hashes[] = {
	{ "{PLAIN}Password", "Password", AUTH_RIGHT },
	{ "{plain}Password", "password", AUTH_WRONG },
	{ "{PLAIN}", "x", AUTH_WRONG },
	{ "{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/"
	  "O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
	    "Hello world!", AUTH_RIGHT },
	{ "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/"
	  "O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
	    "Hello world?", AUTH_WRONG },
	{ "{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC."
	  "E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
	    "U*U", AUTH_RIGHT },
	{ "{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC."
	  "E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
	    "U*V", AUTH_WRONG },
	{ "{SSHA512}gQcZYj+mfApNFPNPs52TD9MqLPObIxq+/x9uslH+x9WeL"
	  "0M3UfF8LKco1ERUl/wMd7+wWxOepMHW1RhkTEM273NhbHQ=",
	    "password1", AUTH_RIGHT },
	{ "{SSHA512}gQcZYj+mfApNFPNPs52TD9MqLPObIxq+/x9uslH+x9WeL"
	  "0M3UfF8LKco1ERUl/wMd7+wWxOepMHW1RhkTEM273NhbHQ=",
	    "password2", AUTH_WRONG },
	{ "{SSHA512}AAAA", "password2", AUTH_CANNOT_CHECK },
	{ "{PLAIN-MD5}AAAA", "password2", AUTH_CANNOT_CHECK },
	{ "{BLF-CRYPT}", "password2", AUTH_CANNOT_CHECK },
	{ "{BLF-CRYPT}*0", "password2", AUTH_CANNOT_CHECK },
	{ "{ARGON2ID}", "password2", AUTH_WRONG },
	{ "", "password2", AUTH_CANNOT_CHECK },
	{ "{PLAIN}x", "", AUTH_WRONG },
	/* hashed as the client sent it */
	{ "{PLAIN}a\xc2\xa0"
	  "b",
	    "a\xc2\xa0"
	    "b",
	    AUTH_RIGHT },
	{ "{PLAIN}a b",
	    "a\xc2\xa0"
	    "b",
	    AUTH_RIGHT },
};

START_TEST(foreign_hashes)
{
	ck_assert_int_eq(auth_check(str_from(hashes[_i].hash),
			     str_from(hashes[_i].password)),
	    hashes[_i].want);
}
END_TEST

START_TEST(derived_records)
{
	struct auth_record r, again;
	struct arena a;
	struct err e;
	struct buf b;

	arena_init(&a, 1 << 20);
	buf_init(&b, AUTH_MAX_RECORD);
	ck_assert_int_eq(auth_derive(&a, STR("Joe@X.example"),
			     STR("open sesame"), &cheap, &r, &e),
	    0);
	eq(r.name, STR("joe@x.example"));
	auth_record_print(&b, &r);
	ck_assert(auth_record_parse(&a, str_trim(buf_str(&b)), &again));
	eq(again.name, r.name);
	eq(again.hash, r.hash);
	ck_assert(
	    again.has_scram &&
	    memcmp(&again.scram.stored_key, &r.scram.stored_key, 32) == 0 &&
	    memcmp(&again.scram.server_key, &r.scram.server_key, 32) == 0);
	ck_assert_int_eq(
	    auth_check(again.hash, STR("open sesame")), AUTH_RIGHT);
	ck_assert_int_eq(
	    auth_check(again.hash, STR("open\xc2\xa0sesame")), AUTH_RIGHT);
	ck_assert_int_eq(auth_check(again.hash, STR("open sesam")), AUTH_WRONG);
	ck_assert(sasl_scram_verify(&again.scram, STR("open sesame")));
	ck_assert(!sasl_scram_verify(&again.scram, STR("open sesam")));
	/* the default cost is the one stated */
	ck_assert_int_eq(
	    auth_derive(&a, STR("joe"), STR("12345678"), NULL, &r, &e), 0);
	ck_assert_uint_eq(r.scram.iterations, AUTH_ITERATIONS);
	ck_assert_uint_lt(
	    str_search(r.hash, STR("$m=19456,t=2,p=1$")), r.hash.n);
	/* refused ones */
	ck_assert_int_eq(
	    auth_derive(&a, STR("joe"), STR("1234567"), &cheap, &r, &e), -1);
	ck_assert_int_eq(
	    auth_derive(&a, STR("joe"), STR("\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"),
		&cheap, &r, &e),
	    -1);
	ck_assert_int_eq(
	    auth_derive(&a, STR("joe"), STR("12345\t678"), &cheap, &r, &e), -1);
	ck_assert_int_eq(
	    auth_derive(&a, STR("j oe"), STR("12345678"), &cheap, &r, &e), -1);
	ck_assert_int_eq(
	    auth_derive(&a, STR("j:oe"), STR("12345678"), &cheap, &r, &e), -1);
	buf_release(&b);
	arena_release(&a);
}
END_TEST

static const struct {
	const char *line;
	bool ok;
	const char *hash;
	bool disabled;
} lines[] = {
	{ "joe:{PLAIN}x:1000:1000::/home/joe::userdb_quota=1G", true,
	    "{PLAIN}x", false },
	{ "joe:{PLAIN}x", true, "{PLAIN}x", false },
	{ "joe:", true, "", false },
	{ "joe:!{PLAIN}x::::::", true, "{PLAIN}x", true },
	{ "joe:x::::::quire_scram_sha_256=1,AAAA,AAAA,AAAA", false, NULL,
	    false },
	{ "joe:x::::::quire_scram_sha_256=", false, NULL, false },
	{ "joe", false, NULL, false },
	{ ":x", false, NULL, false },
	{ "# joe:x", false, NULL, false },
	{ "", false, NULL, false },
};

START_TEST(record_lines)
{
	struct auth_record r;
	struct arena a;

	arena_init(&a, 1 << 20);
	ck_assert(auth_record_parse(&a, str_from(lines[_i].line), &r) ==
		  lines[_i].ok);
	if (lines[_i].ok) {
		eq(r.name, STR("joe"));
		eq(r.hash, str_from(lines[_i].hash));
		ck_assert(r.is_disabled == lines[_i].disabled);
	}
	arena_release(&a);
}
END_TEST

START_TEST(passwd_file)
{
	struct str file = STR("# users\njim:{PLAIN}a\r\n\njoe:{PLAIN}b\n"
			      "joe:{PLAIN}c");
	struct auth_record r;
	struct arena a;

	arena_init(&a, 1 << 20);
	ck_assert(auth_record_find(&a, file, STR("joe"), &r));
	eq(r.hash, STR("{PLAIN}b"));
	ck_assert(auth_record_find(&a, file, STR("jim"), &r));
	eq(r.hash, STR("{PLAIN}a"));
	ck_assert(!auth_record_find(&a, file, STR("jo"), &r));
	arena_release(&a);
}
END_TEST

START_TEST(files)
{
	static const char *const names[] = { "joe@x.example", "../x", ".tmp-a",
		"a/b", "caf\xc3\xa9", "%41", "joe" };
	char dir[] = "/tmp/check_auth.XXXXXX";
	struct auth_record r, got;
	struct arena a;
	struct err e = { 0 };
	struct stat st;
	int fd, i;

	arena_init(&a, 1 << 20);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	for (i = 0; i < N(names); i++) {
		r = (struct auth_record){ .name = str_from(names[i]),
			.hash = STR("{PLAIN}x") };
		ck_assert_int_eq(
		    auth_read(&a, fd, r.name, &got, &e), AUTH_NO_RECORD);
		ck_assert_int_eq(auth_write(fd, &r, &e), 0);
		r.hash = STR("{PLAIN}y");
		ck_assert_int_eq(auth_write(fd, &r, &e), 0);
	}
	for (i = 0; i < N(names); i++) {
		ck_assert_int_eq(
		    auth_read(&a, fd, str_from(names[i]), &got, &e),
		    AUTH_FOUND);
		eq(got.name, str_from(names[i]));
		eq(got.hash, STR("{PLAIN}y"));
	}
	ck_assert_int_eq(fstatat(fd, "joe", &st, 0), 0);
	ck_assert_int_eq((int)(st.st_mode & 0777), 0600);
	/* damage and versions to come are errors, not "no record" */
	ck_assert_int_eq(fs_replace(fd, ".t", "joe", 0600,
			     STR("# quire-auth 2\njoe:x\n"), &e),
	    0);
	ck_assert_int_eq(auth_read(&a, fd, STR("joe"), &got, &e), AUTH_ERROR);
	ck_assert_int_eq(fs_replace(fd, ".t", "joe", 0600,
			     STR("# quire-auth 1\njim:x\n"), &e),
	    0);
	ck_assert_int_eq(auth_read(&a, fd, STR("joe"), &got, &e), AUTH_ERROR);
	for (i = 0; i < N(names); i++)
		ck_assert_int_eq(auth_remove(fd, str_from(names[i]), &e), 0);
	ck_assert_int_eq(
	    auth_read(&a, fd, STR("joe"), &got, &e), AUTH_NO_RECORD);
	close(fd);
	ck_assert_int_eq(rmdir(dir), 0);
	arena_release(&a);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("auth");
	TCase *t = tcase_create("all");
	SRunner *r;

	if (sodium_init() == -1)
		return 1;
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, foreign_hashes, 0, N(hashes));
	tcase_add_test(t, derived_records);
	tcase_add_loop_test(t, record_lines, 0, N(lines));
	tcase_add_test(t, passwd_file);
	tcase_add_test(t, files);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}

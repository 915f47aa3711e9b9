#include "lda.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "service/store/account.h"
#include "service/store/incoming.h"
#include "system/fs/fs.h"

static const char usage[] =
    "usage: quire-mda [-f sender] [-m mailbox] -d user < message\n"
    "       quire-mda [-f sender] [-m mailbox] -M maildir < message\n"
    "Delivers one message from standard input. Exit status: 0 filed, 75 try\n"
    "again later, 64 wrong usage, 67 no such user.\n";

struct lda {
	const char *user, *maildir, *sender, *mailbox;
};

/* Every failure is temporary for the MTA but those that never change. */
static int
fail(const struct err *e)
{
	fprintf(stderr, "quire-mda: %s\n", e->text);
	return EX_TEMPFAIL;
}

static int
write_all(struct incoming *in, const struct lda *o, struct err *e)
{
	char buf[65536];
	ssize_t n;
	bool first = true;

	if (o->sender != NULL) {
		struct buf h;
		int rc;

		buf_init(&h, 4096);
		buf_printf(&h, "Return-Path: <%s>\r\n", o->sender);
		rc = h.full || strpbrk(o->sender, "\r\n<>") != NULL ?
			 err_set(e, ERR_PERM, "bad sender address") :
			 incoming_write(in, buf_str(&h), e);
		buf_release(&h);
		if (rc == -1)
			return -1;
	}
	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) != 0) {
		struct str s = str_make(buf, n > 0 ? (size_t)n : 0);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_sys(e, "read standard input");
		/* the mbox separator some MTAs put in front */
		if (first && str_starts(s, STR("From "))) {
			size_t nl = str_find(s, '\n');

			s = str_sub(s, nl + 1, s.n);
		}
		first = false;
		if (incoming_write(in, s, e) == -1)
			return -1;
	}
	return 0;
}

static int
deliver(const struct lda *o, int dir)
{
	const struct incoming_opts in_opts = { .is_new = true };
	char host[256] = "localhost";
	struct account_opts opts = { .hostname = host };
	struct account *a = NULL;
	struct mailbox *m = NULL;
	struct incoming *in = NULL;
	uint32_t uid;
	struct err e;
	int rc = EX_OK;

	gethostname(host, sizeof(host) - 1);
	if (account_open(&a, dir, &opts, &e) == -1)
		return fail(&e);
	switch (account_open_mailbox(a, str_from(o->mailbox), false, &m, &e)) {
	case ACCOUNT_OK:
		break;
	case ACCOUNT_NOTFOUND:
		fprintf(stderr, "quire-mda: no mailbox '%s'\n", o->mailbox);
		rc = EX_CANTCREAT;
		break;
	default:
		rc = fail(&e);
	}
	if (rc == EX_OK &&
	    (incoming_new(&in, m, &in_opts, &e) == -1 ||
		write_all(in, o, &e) == -1 || incoming_sync(in, &e) == -1 ||
		mailbox_commit(m, &in, 1, &uid, &e) == -1))
		rc = fail(&e);
	incoming_free(&in);
	mailbox_close(&m);
	account_close(&a);
	return rc;
}

static int
run(struct lda *o)
{
	char *made = NULL;
	const struct passwd *pw;
	struct err e;
	int dir, rc;

	if (o->maildir == NULL) {
		errno = 0;
		pw = getpwnam(o->user);
		if (pw == NULL) {
			fprintf(stderr, "quire-mda: no user '%s'\n", o->user);
			return errno == 0 || errno == ENOENT ? EX_NOUSER :
							       EX_TEMPFAIL;
		}
		o->maildir = made = xasprintf("%s/Maildir", pw->pw_dir);
		if (geteuid() == 0 &&
		    (setgid(pw->pw_gid) == -1 || setuid(pw->pw_uid) == -1))
			return EX_TEMPFAIL;
	}
	if (fs_mkdir_p(o->maildir, 0700, &e) == -1 ||
	    (dir = open(o->maildir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) ==
		-1) {
		fprintf(
		    stderr, "quire-mda: %s: %s\n", o->maildir, strerror(errno));
		free(made);
		return EX_TEMPFAIL;
	}
	rc = deliver(o, dir);
	close(dir);
	free(made);
	return rc;
}

int
lda_main(int argc, char **argv)
{
	struct lda o = { .mailbox = "INBOX" };
	int c;

	while ((c = getopt(argc, argv, "d:f:m:M:")) != -1)
		switch (c) {
		case 'd':
			o.user = optarg;
			break;
		case 'f':
			o.sender = optarg;
			break;
		case 'm':
			o.mailbox = optarg;
			break;
		case 'M':
			o.maildir = optarg;
			break;
		default:
			fputs(usage, stderr);
			return EX_USAGE;
		}
	if (optind != argc || (o.user == NULL) == (o.maildir == NULL)) {
		fputs(usage, stderr);
		return EX_USAGE;
	}
	return run(&o);
}

#include "lda.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
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
    "usage: quire-mda [-f sender] [-m mailbox] [--index-root dir] [--coexist]\n"
    "           -d user | -M maildir < message\n"
    "Delivers one message from standard input. Exit status: 0 filed, 75 try\n"
    "again later, 64 wrong usage, 67 no such user.\n";

struct lda {
	const char *user, *maildir, *sender, *mailbox;
	const char *index; /* root, of LAYOUT=fs; else NULL */
	bool coexist;	   /* Dovecot serves it at the same time */
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
deliver(const struct lda *o, int dir, int index)
{
	const struct incoming_opts in_opts = { .is_new = true };
	char host[256] = "localhost";
	struct account_opts opts = { .hostname = host,
		.is_fs = index != -1,
		.indexfd = index,
		.coexist = o->coexist };
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

/* 0, or an exit status. */
static int
become(const char *user, char **maildir)
{
	const struct passwd *pw;

	errno = 0;
	pw = getpwnam(user);
	if (pw == NULL) {
		fprintf(stderr, "quire-mda: no user '%s'\n", user);
		return errno == 0 || errno == ENOENT ? EX_NOUSER : EX_TEMPFAIL;
	}
	*maildir = xasprintf("%s/Maildir", pw->pw_dir);
	if (geteuid() == 0 &&
	    (initgroups(pw->pw_name, pw->pw_gid) == -1 ||
		setgid(pw->pw_gid) == -1 || setuid(pw->pw_uid) == -1)) {
		fprintf(stderr, "quire-mda: become %s: %s\n", user,
		    strerror(errno));
		return EX_TEMPFAIL;
	}
	return 0;
}

/* A directory, made if need be; -1 after saying why. */
static int
open_made(const char *path)
{
	struct err e = { 0 };
	int fd = -1;

	if (fs_mkdir_p(path, 0700, &e) == -1)
		fprintf(stderr, "quire-mda: %s\n", e.text);
	else if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		fprintf(stderr, "quire-mda: %s: %s\n", path, strerror(errno));
	return fd;
}

static int
run(struct lda *o)
{
	char *made = NULL;
	int dir = -1, index = -1, rc = 0;

	if (o->maildir == NULL) {
		rc = become(o->user, &made);
		o->maildir = made;
	}
	if (rc == 0 &&
	    ((dir = open_made(o->maildir)) == -1 ||
		(o->index != NULL && (index = open_made(o->index)) == -1)))
		rc = EX_TEMPFAIL;
	if (rc == 0)
		rc = deliver(o, dir, index);
	if (dir != -1)
		close(dir);
	if (index != -1)
		close(index);
	free(made);
	return rc;
}

int
lda_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "index-root", required_argument, NULL, 'i' },
		{ "coexist", no_argument, NULL, 'c' },
		{ 0 },
	};
	struct lda o = { .mailbox = "INBOX" };
	int c;

	while ((c = getopt_long(argc, argv, "d:f:m:M:", options, NULL)) != -1)
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
		case 'i':
			o.index = optarg;
			break;
		case 'c':
			o.coexist = true;
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

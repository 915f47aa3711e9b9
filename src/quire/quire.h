/*
 * quire - the command line: what an admin does by hand. A table of
 * subcommands; each returns an exit status (sysexits).
 */
#ifndef QUIRE_H
#define QUIRE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "service/config/config.h"
#include "service/store/account.h"
#include "system/ipc/msg.h"

struct quire {
	const char *dir; /* configuration directory, -C */
	int dirfd;
	struct config *config; /* after quire_config() */
	char hostname[256];    /* of this machine */
};

struct quire_command {
	const char *name, *args, *help;
	int (*run)(struct quire *, int argc, char **argv);
	bool needs_dir; /* opens -C DIR and takes its owner's rights first */
};

/* Say it on standard error, with the program's name; returns status. */
int quire_fail(int status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/*
 * Open q->dir; 0 or an exit status. root who administers somebody else's
 * instance works with that owner's rights: what is written then belongs to
 * the instance, and no file of its owner can lead root astray.
 */
int quire_open_dir(struct quire *);
/*
 * While one looks into a directory, as root, with its owner's rights: root is
 * led nowhere by what lies there, and what is made belongs to the owner.
 */
struct owner {
	bool is_taken;
};
int owner_begin(struct owner *, int dirfd, const char *path); /* exit status */
void owner_end(struct owner *);
/* Load and check the configuration; 0 or an exit status. */
int quire_config(struct quire *);
/* Would the fronts take its certificates? 0 or an exit status. */
int quire_check_tls(struct quire *);
/* Ask a running quired; its text goes to standard output. -1: none runs. */
int quire_control(struct quire *, enum control_op, const char *arg, bool quiet);
/* Tell a running quired to take the changed configuration, if there is one. */
int quire_reload_if_running(struct quire *);

/*
 * Do something in a Maildir, with its owner's rights: in `dir` if it is not
 * NULL, else in those of the named accounts (n 0: all). act() gets NULL for
 * the account of `dir`. The first exit status that is not 0, but every one is
 * tried.
 */
struct quire_maildir {
	const struct config_account *account;
	const char *path;
	int fd;
	bool is_fs;	/* LAYOUT=fs, and our own files lie in */
	int indexfd;	/* -1: not made yet (is_look) */
	bool has_marks; /* of an account, as in struct account_opts */
	int marksfd;
};
struct quire_places {
	const char *dir, *index; /* index: dir has LAYOUT=fs */
	char *const *names;
	int n;
	bool is_look; /* nothing is to be made */
	int (*act)(void *, const struct quire_maildir *);
	void *arg;
};
int quire_maildirs(struct quire *, const struct quire_places *);
/* What opening the account of one needs. */
struct account_opts
quire_account_opts(const struct quire *, const struct quire_maildir *);
/* Which ones, on a command line: in the table, in the switch, after both. */
#define QUIRE_PLACE_OPTIONS                                \
	{ "maildir", required_argument, NULL, 'm' },       \
	{                                                  \
		"index-root", required_argument, NULL, 'i' \
	}
bool quire_place_option(struct quire_places *, int c, char *value);
/* Does Dovecot serve the same accounts, as the configuration has it? */
bool quire_coexists(const struct quire *);

int cmd_localserve(struct quire *, int, char **);
int cmd_account(struct quire *, int, char **);
int cmd_passwd(struct quire *, int, char **);
int cmd_changes(struct quire *, int, char **);
int cmd_config(struct quire *, int, char **);
int cmd_status(struct quire *, int, char **);
int cmd_stop(struct quire *, int, char **);
int cmd_reload(struct quire *, int, char **);
int cmd_loglevel(struct quire *, int, char **);
int cmd_cid(struct quire *, int, char **);
int cmd_address(struct quire *, int, char **);
int cmd_idna(struct quire *, int, char **);
int cmd_dns(struct quire *, int, char **);
int cmd_verify(struct quire *, int, char **);
int cmd_adopt(struct quire *, int, char **);
int cmd_rebuild(struct quire *, int, char **);
int cmd_export_state(struct quire *, int, char **);
int cmd_spf(struct quire *, int, char **);
int cmd_dkim(struct quire *, int, char **);
int cmd_psl(struct quire *, int, char **);
int cmd_arc(struct quire *, int, char **);
int cmd_dmarc(struct quire *, int, char **);
int cmd_iprev(struct quire *, int, char **);
int cmd_explain(struct quire *, int, char **);
int cmd_dnsbl(struct quire *, int, char **);

/* A configuration file for an account, and its first password. */
struct new_account {
	const char *name, *maildir, *user;
	const char *const *addresses;
	int naddresses;
	long uid, gid; /* -1: not given */
};
int account_write(int dirfd, const struct new_account *, struct err *);
/* If it has none yet. */
int account_first_password(
    struct quire *, const char *name, struct str password, struct err *);
int account_set_password(
    struct quire *, const char *name, struct str password, struct err *);

/* Certificates for localserve: a CA of its own, and one for localhost. */
int certs_make(int dirfd, struct err *);

#endif

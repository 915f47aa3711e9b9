#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <sodium.h>

#include "quire.h"

static int cmd_help(struct quire *, int, char **);
static int cmd_version(struct quire *, int, char **);

static const struct quire_command commands[] = {
	{ "localserve",
	    "[--dir DIR] [--ip ADDR] [--port-offset N] [--maildir DIR] "
	    "[--init-only]",
	    "a mail server for this machine, in one directory", cmd_localserve,
	    false },
	{ "account",
	    "add NAME ADDRESS... [--maildir DIR] [--user USER | --uid N "
	    "--gid N] | list | remove NAME",
	    "the accounts", cmd_account, true },
	{ "passwd", "ACCOUNT", "set a password (also from standard input)",
	    cmd_passwd, true },
	{ "config", "check", "read the configuration, report every error",
	    cmd_config, true },
	{ "status", "[--metrics]",
	    "what runs; or what was counted, for Prometheus", cmd_status,
	    true },
	{ "reload", "", "take the changed configuration", cmd_reload, true },
	{ "stop", "", "stop the server", cmd_stop, true },
	{ "loglevel", "[LEVEL]",
	    "show or change the log level of the running server", cmd_loglevel,
	    true },
	{ "cid", "ID", "the log's number of a connection id in an error reply",
	    cmd_cid, true },
	{ "address", "check ADDRESS", "is it a mailbox (RFC 5321)?",
	    cmd_address, false },
	{ "idna", "DOMAIN", "its form for DNS", cmd_idna, false },
	{ "dns", "lookup TYPE NAME", "ask the resolver", cmd_dns, false },
	{ "spf", "check --ip IP --helo NAME --from ADDRESS",
	    "may that address send for that domain?", cmd_spf, false },
	{ "dkim", "verify [--now T] FILE | sign | keygen | txt | lookup",
	    "signatures, keys and their records", cmd_dkim, false },
	{ "arc", "verify FILE | seal ... FILE", "chains of forwarders", cmd_arc,
	    false },
	{ "dmarc",
	    "check --from DOMAIN --spf RESULT:DOMAIN --dkim "
	    "RESULT:DOMAIN[,...] | lookup DOMAIN",
	    "policy and alignment", cmd_dmarc, false },
	{ "psl", "DOMAIN", "its organizational domain", cmd_psl, false },
	{ "iprev", "IP", "does its name point back to it?", cmd_iprev, false },
	{ "dnsbl", "check ZONE IP | health ZONE", "block lists", cmd_dnsbl,
	    false },
	{ "explain", "FILE --ip IP --helo NAME --from ADDRESS --rcpt ADDRESS",
	    "what would become of this message, step by step", cmd_explain,
	    false },
	{ "verify", "[--deep] [--json] [[--index-root DIR] DIR]",
	    "check the mail of all accounts, or the Maildir DIR; change "
	    "nothing",
	    cmd_verify, false },
	{ "adopt",
	    "[--dry-run] [--json] [--maildir DIR [--index-root DIR] | "
	    "ACCOUNT...]",
	    "take over Maildirs of another server, or tell what that would "
	    "give",
	    cmd_adopt, false },
	{ "changes",
	    "[--since TOKEN] [--wait SECONDS] [--json] (--maildir DIR | "
	    "ACCOUNT)",
	    "what changed since, and a token for the next time", cmd_changes,
	    false },
	{ "rebuild",
	    "[--json] [--new-uidvalidity] (--maildir DIR | ACCOUNT) "
	    "[MAILBOX...]",
	    "make the private files again from dovecot-uidlist and file names",
	    cmd_rebuild, false },
	{ "export-state",
	    "[--sync] [--run-doveadm] [--doveadm COMMAND] [--user USER] "
	    "[--separator CHAR] [--new-uidvalidity] [--maildir DIR] "
	    "[ACCOUNT...]",
	    "complete what Dovecot needs to take the mail over again",
	    cmd_export_state, false },
	{ "version", "", "print the version", cmd_version, false },
	{ "help", "", "this text", cmd_help, false },
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

int
quire_fail(int status, const char *fmt, ...)
{
	va_list ap;

	fputs("quire: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

static int
cmd_version(struct quire *q, int argc, char **argv)
{
	printf("quire %s\n", QUIRE_VERSION);
	return 0;
}

static int
cmd_help(struct quire *q, int argc, char **argv)
{
	size_t i;

	printf("usage: quire [-C DIR] COMMAND [ARGUMENTS]\n"
	       "  -C DIR  the server's configuration directory (default "
	       "/etc/quire)\n"
	       "  tools take --json, --resolver IP:PORT, --dns-timeout "
	       "TIME\n\n");
	for (i = 0; i < NCOMMANDS; i++)
		printf("  %s %s\n      %s\n", commands[i].name,
		    commands[i].args, commands[i].help);
	return 0;
}

int
quire_open_dir(struct quire *q)
{
	struct stat st;

	q->dirfd = open(q->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (q->dirfd == -1 || fstat(q->dirfd, &st) == -1)
		return quire_fail(EX_NOINPUT,
		    "%s: %s (name the configuration directory with -C DIR)",
		    q->dir, strerror(errno));
	if (geteuid() == 0 && st.st_uid != 0 &&
	    (setgroups(0, NULL) == -1 || setgid(st.st_gid) == -1 ||
		setuid(st.st_uid) == -1))
		return quire_fail(EX_OSERR, "change to uid %u: %s",
		    (unsigned)st.st_uid, strerror(errno));
	return 0;
}

int
owner_begin(struct owner *o, int dirfd, const char *path)
{
	struct stat st;

	*o = (struct owner){ .is_taken = geteuid() == 0 };
	if (fstat(dirfd, &st) == -1)
		return quire_fail(EX_OSERR, "%s: %s", path, strerror(errno));
	if (o->is_taken &&
	    (setegid(st.st_gid) == -1 || seteuid(st.st_uid) == -1))
		return quire_fail(EX_OSERR, "%s: %s", path, strerror(errno));
	return 0;
}

void
owner_end(struct owner *o)
{
	if (o->is_taken && (seteuid(0) == -1 || setegid(0) == -1))
		exit(EX_OSERR);
}

int
quire_config(struct quire *q)
{
	struct conf_errors errors;

	conf_errors_init(&errors);
	q->config = config_load(q->dirfd, &errors);
	if (q->config == NULL)
		fputs(buf_cstr(&errors.text), stderr);
	conf_errors_release(&errors);
	return q->config == NULL ? EX_CONFIG : 0;
}

int
main(int argc, char **argv)
{
	struct quire q = {
		.dir = "/etc/quire", .dirfd = -1, .hostname = "localhost"
	};
	size_t i;
	int rc;

	if (sodium_init() == -1)
		return EX_OSERR;
	umask(077);
	gethostname(q.hostname, sizeof(q.hostname) - 1);
	while (argc > 1 && strcmp(argv[1], "-C") == 0) {
		if (argc < 3)
			return quire_fail(EX_USAGE, "-C needs a directory");
		q.dir = argv[2];
		argc -= 2;
		argv += 2;
	}
	if (argc < 2) {
		cmd_help(&q, 0, NULL);
		return EX_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0)
		return cmd_help(&q, 0, NULL);
	for (i = 0; i < NCOMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			break;
	if (i == NCOMMANDS)
		return quire_fail(EX_USAGE,
		    "unknown command '%s'; 'quire help' lists them", argv[1]);
	if (commands[i].needs_dir && (rc = quire_open_dir(&q)) != 0)
		return rc;
	rc = commands[i].run(&q, argc - 1, argv + 1);
	config_free(&q.config);
	return rc;
}

#include "service/store/export.h"

#include <errno.h>
#include <getopt.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "quire.h"
#include "tools.h"

/*
 * quire export-state: what Dovecot needs to take the mail over again. A line
 * for each mailbox, what Dovecot cannot keep, and the commands by which
 * Dovecot learns the highest modseq: with a lower one a QRESYNC client would
 * never be told of a change again.
 */
#define MAX_WORDS 32
#define OWN_WORDS 10 /* of those, after what --doveadm says */

extern char **environ;

struct going_back {
	struct quire *quire;
	bool sync, run, new_uidvalidity;
	const char *doveadm, *user;
	char separator;
	struct account *account; /* that is being written */
	struct buf address;	 /* of it */
	struct buf commands;	 /* NUL-ended words, an empty one at the end */
	unsigned long ncommands, expunged;
};

/* ---- commands ---- */

static void
put_word(struct buf *b, struct str s)
{
	buf_put(b, s);
	buf_putc(b, '\0');
}

/* INBOX/a: the levels as Dovecot's namespace separates them */
static void
put_mailbox(struct buf *b, struct str name, char separator)
{
	size_t i;

	for (i = 0; i < name.n; i++)
		buf_putc(b, name.p[i] == '/' ? separator : name.p[i]);
	buf_putc(b, '\0');
}

static void
put_number(struct buf *b, const char *option, uint64_t n)
{
	put_word(b, str_from(option));
	buf_put_uint(b, n);
	buf_putc(b, '\0');
}

static void
add_command(struct going_back *g, const struct export_box *box)
{
	struct str words = str_from(g->doveadm), word;
	struct buf *b = &g->commands;

	while (words.n > 0) {
		str_cut(&words, ' ', &word);
		if (word.n > 0)
			put_word(b, word);
	}
	put_word(b, STR("mailbox"));
	put_word(b, STR("update"));
	if (g->user != NULL || g->address.n > 0) {
		put_word(b, STR("-u"));
		put_word(b,
		    g->user != NULL ? str_from(g->user) : buf_str(&g->address));
	}
	put_number(b, "--min-highest-modseq", box->highestmodseq);
	if (g->new_uidvalidity && box->expunged > 0)
		put_number(b, "--uid-validity",
		    store_new_uidvalidity(g->account, box->name));
	/* what looks like an option is none */
	if (str_starts(box->name, STR("-")))
		put_word(b, STR("--"));
	put_mailbox(b, box->name, g->separator);
	buf_putc(b, '\0');
	g->ncommands++;
}

static bool
is_plain_word(const char *s)
{
	return s[0] != '\0' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789-_./:@%+=,") == strlen(s);
}

static void
print_command(char *const *argv)
{
	const char *p;

	for (; *argv != NULL; argv++) {
		if (is_plain_word(*argv))
			fputs(*argv, stdout);
		else {
			putchar('\'');
			for (p = *argv; *p != '\0'; p++)
				if (*p == '\'')
					fputs("'\\''", stdout);
				else
					putchar(*p);
			putchar('\'');
		}
		putchar(argv[1] == NULL ? '\n' : ' ');
	}
}

static int
run_command(char *const *argv)
{
	pid_t pid;
	int status, sys;

	fflush(stdout);
	sys = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (sys != 0)
		return quire_fail(
		    EX_UNAVAILABLE, "%s: %s", argv[0], strerror(sys));
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return quire_fail(EX_OSERR, "%s", strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return quire_fail(EX_UNAVAILABLE,
		    "%s failed: repeat it by hand before a client connects",
		    argv[0]);
	return 0;
}

/* The commands of all accounts, with the rights of who called us. */
static int
finish_commands(struct going_back *g)
{
	char *p = g->commands.p, *end = p + g->commands.n;
	char *argv[MAX_WORDS + 1];
	int rc, worst = 0;

	while (p < end) {
		int n = 0;

		for (; *p != '\0' && n < MAX_WORDS; p += strlen(p) + 1)
			argv[n++] = p;
		argv[n] = NULL;
		p++;
		print_command(argv);
		rc = g->run ? run_command(argv) : 0;
		if (rc != 0)
			worst = rc;
	}
	return worst;
}

/* ---- mailboxes ---- */

static void say(const struct export_box *box, const char *what, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));

static void
say(const struct export_box *box, const char *what, const char *fmt, ...)
{
	struct buf b;
	va_list ap;

	buf_init(&b, 1 << 16);
	buf_printf(&b, "%s ", what);
	tool_plain(&b, box->name);
	buf_putc(&b, ' ');
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	puts(buf_cstr(&b));
	buf_release(&b);
}

static void
written(void *arg, const struct export_box *box)
{
	struct going_back *g = arg;
	unsigned i;

	say(box, "written",
	    "uidvalidity=%u uidnext=%u messages=%u "
	    "highestmodseq=%llu",
	    box->uidvalidity, box->uidnext, box->messages,
	    (unsigned long long)box->highestmodseq);
	for (i = 0; i < box->nkeywords; i++)
		say(box, "lost", "keyword %.*s: Dovecot has room for 26",
		    STR_ARG(box->keywords[i]));
	if (box->nmarked > 0)
		say(box, "lost", "%u messages have such a keyword",
		    box->nmarked);
	if (box->is_name_odd)
		say(box, "lost",
		    "a '.' in a name: Dovecot shows the folder "
		    "as it is called on disk");
	if (box->unburied > 0)
		say(box, "left", "%u files of removed messages: run this again",
		    box->unburied);
	if (box->expunged > 0)
		say(box, "expunged", "%u messages: %s", box->expunged,
		    g->new_uidvalidity ? "it gets a new UIDVALIDITY" :
					 "QRESYNC clients may go on showing "
					 "those that came and went here");
	g->expunged += box->expunged;
	add_command(g, box);
}

static int
export_maildir(void *arg, const struct quire_maildir *m)
{
	struct going_back *g = arg;
	struct account_opts opts = quire_account_opts(g->quire, m);
	struct err e;
	int rc = 0;

	opts.exports = ACCOUNT_EXPORT_DOVECOT;
	buf_clear(&g->address);
	if (m->account != NULL)
		buf_put(&g->address, m->account->addresses.n > 0 ?
					 m->account->addresses.v[0] :
					 m->account->name);
	if (account_open(&g->account, m->fd, &opts, &e) == -1)
		return quire_fail(EX_DATAERR, "%s: %s", m->path, e.text);
	if (store_export(g->account, g->sync, written, g, &e) == -1)
		rc = quire_fail(EX_IOERR, "%s: %s", m->path, e.text);
	account_close(&g->account);
	return rc;
}

/* ---- the command ---- */

static size_t
count_words(const char *s)
{
	struct str rest = str_from(s), word;
	size_t n = 0;

	while (rest.n > 0) {
		str_cut(&rest, ' ', &word);
		n += word.n > 0;
	}
	return n;
}

static int
check(const struct going_back *g, const struct quire_places *p)
{
	size_t n = count_words(g->doveadm);

	if (p->dir != NULL ? p->n > 0 : p->index != NULL)
		return quire_fail(EX_USAGE,
		    "give either --maildir DIR [--index-root DIR] or accounts");
	if (n == 0 || n > MAX_WORDS - OWN_WORDS)
		return quire_fail(EX_USAGE, "--doveadm takes 1 to %d words",
		    MAX_WORDS - OWN_WORDS);
	if (g->user != NULL && g->user[0] == '\0')
		return quire_fail(EX_USAGE, "--user takes a name");
	return 0;
}

static int
parse(struct going_back *g, struct quire_places *p, int argc, char **argv)
{
	static const struct option options[] = {
		{ "sync", no_argument, NULL, 's' },
		{ "run-doveadm", no_argument, NULL, 'r' },
		{ "doveadm", required_argument, NULL, 'd' },
		{ "user", required_argument, NULL, 'u' },
		{ "separator", required_argument, NULL, 'S' },
		{ "new-uidvalidity", no_argument, NULL, 'v' },
		QUIRE_PLACE_OPTIONS,
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 's':
			g->sync = true;
			break;
		case 'r':
			g->run = true;
			break;
		case 'd':
			g->doveadm = optarg;
			break;
		case 'u':
			g->user = optarg;
			break;
		case 'S':
			g->separator = optarg[0];
			if (strlen(optarg) != 1)
				return quire_fail(EX_USAGE,
				    "--separator takes one character");
			break;
		case 'v':
			g->new_uidvalidity = true;
			break;
		default:
			if (!quire_place_option(p, c, optarg))
				return EX_USAGE;
		}
	p->names = argv + optind;
	p->n = argc - optind;
	return check(g, p);
}

int
cmd_export_state(struct quire *q, int argc, char **argv)
{
	struct going_back g = {
		.quire = q, .doveadm = "doveadm", .separator = '.'
	};
	struct quire_places places = { .act = export_maildir, .arg = &g };
	int rc = parse(&g, &places, argc, argv), done;

	if (rc != 0)
		return rc;
	buf_init(&g.address, 1024);
	buf_init(&g.commands, 64u << 20);
	rc = quire_maildirs(q, &places);
	if (g.ncommands > 0 && !g.run)
		puts("# when Dovecot runs, before clients may connect:");
	done = finish_commands(&g);
	if (rc == 0)
		rc = done;
	if (g.expunged > 0 && !g.new_uidvalidity)
		puts("# messages were expunged here: a client with QRESYNC "
		     "that saw them keeps showing\n# them. Accept that, or run "
		     "this with --new-uidvalidity: all clients then load\n"
		     "# those mailboxes again.");
	buf_release(&g.address);
	buf_release(&g.commands);
	return rc;
}

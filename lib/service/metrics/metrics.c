#include "service/metrics/metrics.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* What RFC 5321, 4.2.3, and the extensions that we know have; the last two
 * stand for all others. */
static const int codes[] = { 421, 450, 451, 452, 454, 455, 500, 501, 502, 503,
	504, 521, 523, 525, 530, 534, 535, 538, 550, 551, 552, 553, 554, 555,
	556 };
#define OTHER_4XX N(codes)
#define OTHER_5XX (N(codes) + 1)
_Static_assert(OTHER_5XX + 1 == METRICS_CODES, "a slot for each code");

/* enum auth_verdict */
static const char *const verdicts[AUTH_VERDICTS] = { "ok", "bad", "mechanism",
	"binding", "syntax", "temporary", "limited" };
static const char *const results[METRICS_IMAP] = { "NO", "BAD", "BYE" };

size_t
metrics_code(int code)
{
	size_t i;

	for (i = 0; i < N(codes); i++)
		if (codes[i] == code)
			return i;
	return code < 500 ? OTHER_4XX : OTHER_5XX;
}

int
metrics_create(struct err *e)
{
	int fd = memfd_create("quire-metrics", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1)
		return err_sys(e, "memfd");
	/* who maps it must not be killed by the other side's truncation */
	if (ftruncate(fd, (off_t)sizeof(struct metrics)) == -1 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) ==
		-1) {
		err_sys(e, "memfd");
		close(fd);
		return -1;
	}
	return fd;
}

struct metrics *
metrics_map(int fd, bool is_writer, struct err *e)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) == -1) {
		err_sys(e, "metrics");
		return NULL;
	}
	if (st.st_size != (off_t)sizeof(struct metrics)) {
		err_set(e, ERR_PERM, "metrics: %lld octets, not %zu",
		    (long long)st.st_size, sizeof(struct metrics));
		return NULL;
	}
	p = mmap(NULL, sizeof(struct metrics),
	    is_writer ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		err_sys(e, "metrics");
		return NULL;
	}
	return p;
}

/* ---- printing ---- */

/* A family's first lines; its series follow. */
static void
put_help(struct buf *b, const char *name, const char *help)
{
	buf_printf(b, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
}

/* One number: that of all pages, which are laid out alike. */
static uint64_t
sum(const struct metrics *const *v, size_t n, size_t offset)
{
	uint64_t total = 0;
	size_t i;

	for (i = 0; i < n; i++)
		total += atomic_load_explicit(
		    (const metric *)((const char *)v[i] + offset),
		    memory_order_relaxed);
	return total;
}
#define SUM(field) sum(v, n, offsetof(struct metrics, field))

static void
put_by_service(struct buf *b, const char *name, const char *help,
    const struct metrics *const *v, size_t n, size_t offset)
{
	size_t i;

	put_help(b, name, help);
	for (i = 0; i < SERVICES; i++)
		buf_printf(b, "%s{service=\"%s\"} %llu\n", name,
		    service_names[i],
		    (unsigned long long)sum(v, n, offset + i * sizeof(metric)));
}

static void
put_logins(struct buf *b, const struct metrics *const *v, size_t n)
{
	static const char name[] = "quire_logins_total";
	size_t s, r;

	put_help(b, name, "Logins tried, by what became of them.");
	for (s = 0; s < SERVICES; s++)
		for (r = 0; r < AUTH_VERDICTS; r++)
			buf_printf(b, "%s{service=\"%s\",result=\"%s\"} %llu\n",
			    name, service_names[s], verdicts[r],
			    (unsigned long long)SUM(logins[s][r]));
}

static void
put_code(struct buf *b, size_t code)
{
	if (code < N(codes))
		buf_printf(b, "%d", codes[code]);
	else
		buf_puts(b, code == OTHER_4XX ? "4xx" : "5xx");
}

/* Only what happened: most pairs of a command and a code never do. */
static void
put_smtp(struct buf *b, const struct metrics *const *v, size_t n)
{
	static const char name[] = "quire_smtp_errors_total";
	size_t verb, code;

	put_help(b, name, "SMTP commands that failed, by command and reply.");
	for (verb = 0; verb < SMTP_VERBS; verb++)
		for (code = 0; code < METRICS_CODES; code++) {
			uint64_t k = SUM(smtp_errors[verb][code]);

			if (k == 0)
				continue;
			buf_printf(b, "%s{command=\"%s\",code=\"", name,
			    verb == SMTP_UNKNOWN ?
				"other" :
				smtp_verb_name((enum smtp_verb)verb));
			put_code(b, code);
			buf_printf(b, "\"} %llu\n", (unsigned long long)k);
		}
}

static void
put_imap(struct buf *b, const struct metrics *const *v, size_t n)
{
	static const char name[] = "quire_imap_errors_total";
	size_t verb, r;

	put_help(b, name,
	    "IMAP commands that failed before login, by command and result.");
	for (verb = 0; verb <= IMAP_VERBS; verb++)
		for (r = 0; r < METRICS_IMAP; r++) {
			struct str s = verb == IMAP_VERBS ?
					   STR("other") :
					   imap_verb_name((enum imap_verb)verb);
			uint64_t k = SUM(imap_errors[verb][r]);

			if (k > 0)
				buf_printf(b,
				    "%s{command=\"%.*s\",result=\"%s\"} "
				    "%llu\n",
				    name, STR_ARG(s), results[r],
				    (unsigned long long)k);
		}
}

void
metrics_print(struct buf *b, const struct metrics *const *v, size_t n)
{
	put_by_service(b, "quire_connections_total",
	    "Connections that came in.", v, n,
	    offsetof(struct metrics, connections));
	put_by_service(b, "quire_connections_refused_total",
	    "Connections refused by a limit.", v, n,
	    offsetof(struct metrics, refused));
	put_logins(b, v, n);
	put_smtp(b, v, n);
	put_imap(b, v, n);
}

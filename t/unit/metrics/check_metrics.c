/* Counts in a shared page, and their text for Prometheus. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "service/metrics/metrics.h"

static struct buf out;
static struct err e;

static void
setup(void)
{
	buf_init(&out, IPC_MAX - 64); /* as quired has it */
}

static void
teardown(void)
{
	buf_release(&out);
}

static struct metrics *
page(int *fd)
{
	struct metrics *m;

	*fd = metrics_create(&e);
	ck_assert_int_ne(*fd, -1);
	m = metrics_map(*fd, true, &e);
	ck_assert_ptr_nonnull(m);
	return m;
}

static bool
has(const char *line)
{
	struct str rest = buf_str(&out), one;

	while (str_cut(&rest, '\n', &one))
		if (str_eq(one, str_from(line)))
			return true;
	return false;
}

static const struct {
	int code;
	const char *line;
} codes[] = {
	{ 421, "quire_smtp_errors_total{command=\"RCPT\",code=\"421\"} 1" },
	{ 550, "quire_smtp_errors_total{command=\"RCPT\",code=\"550\"} 1" },
	{ 556, "quire_smtp_errors_total{command=\"RCPT\",code=\"556\"} 1" },
	{ 400, "quire_smtp_errors_total{command=\"RCPT\",code=\"4xx\"} 1" },
	{ 499, "quire_smtp_errors_total{command=\"RCPT\",code=\"4xx\"} 1" },
	{ 599, "quire_smtp_errors_total{command=\"RCPT\",code=\"5xx\"} 1" },
};

START_TEST(test_code)
{
	const struct metrics *v[1];
	struct metrics *m;
	int fd;

	v[0] = m = page(&fd);
	metric_count(&m->smtp_errors[SMTP_RCPT][metrics_code(codes[_i].code)]);
	metrics_print(&out, v, 1);
	ck_assert_msg(has(codes[_i].line), "%s", buf_cstr(&out));
	close(fd);
}
END_TEST

START_TEST(test_sum)
{
	const struct metrics *v[2];
	struct metrics *smtpd, *imapd;
	int fd[2];

	v[0] = smtpd = page(&fd[0]);
	v[1] = imapd = page(&fd[1]);
	metric_count(&smtpd->connections[SERVICE_SMTP]);
	metric_count(&smtpd->connections[SERVICE_SMTP]);
	metric_count(&imapd->connections[SERVICE_IMAPS]);
	metric_count(&imapd->refused[SERVICE_IMAP]);
	metric_count(&smtpd->logins[SERVICE_SUBMISSION][AUTH_LIMITED]);
	metric_count(&smtpd->smtp_errors[SMTP_UNKNOWN][metrics_code(500)]);
	metric_count(&imapd->imap_errors[IMAP_LOGIN][METRICS_NO]);
	metric_count(&imapd->imap_errors[IMAP_VERBS][METRICS_BYE]);
	metrics_print(&out, v, 2);
	ck_assert(has("quire_connections_total{service=\"smtp\"} 2"));
	ck_assert(has("quire_connections_total{service=\"imaps\"} 1"));
	ck_assert(has("quire_connections_total{service=\"imap\"} 0"));
	ck_assert(has("quire_connections_refused_total{service=\"imap\"} 1"));
	ck_assert(has("quire_logins_total{service=\"submission\","
		      "result=\"limited\"} 1"));
	ck_assert(
	    has("quire_smtp_errors_total{command=\"other\",code=\"500\"} 1"));
	ck_assert(
	    has("quire_imap_errors_total{command=\"LOGIN\",result=\"NO\"} 1"));
	ck_assert(
	    has("quire_imap_errors_total{command=\"other\",result=\"BYE\"} 1"));
	close(fd[0]);
	close(fd[1]);
}
END_TEST

/* Every series at its largest is still one message, with room for what quired
 * says of itself. */
START_TEST(test_bound)
{
	const struct metrics *v[1];
	struct metrics *m;
	int fd;

	v[0] = m = page(&fd);
	memset(m, 0xff, sizeof(*m));
	metrics_print(&out, v, 1);
	ck_assert(!out.full);
	ck_assert_uint_lt(out.n, IPC_MAX - 8192);
	close(fd);
}
END_TEST

START_TEST(test_page)
{
	struct metrics *m, *reader;
	int fd;

	m = page(&fd);
	/* the size is for good: nobody's reading ends in SIGBUS */
	ck_assert_int_eq(ftruncate(fd, 0), -1);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), -1);
	reader = metrics_map(fd, false, &e);
	ck_assert_ptr_nonnull(reader);
	metric_count(&m->connections[SERVICE_SMTP]);
	ck_assert_uint_eq(atomic_load(&reader->connections[SERVICE_SMTP]), 1);
	close(fd);
	/* another thing is refused */
	fd = memfd_create("other", 0);
	ck_assert_ptr_null(metrics_map(fd, true, &e));
	close(fd);
	ck_assert_ptr_null(metrics_map(-1, true, &e));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("metrics");
	TCase *t = tcase_create("metrics");
	SRunner *r = srunner_create(s);

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(
	    t, test_code, 0, (int)(sizeof(codes) / sizeof(codes[0])));
	tcase_add_test(t, test_sum);
	tcase_add_test(t, test_bound);
	tcase_add_test(t, test_page);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}

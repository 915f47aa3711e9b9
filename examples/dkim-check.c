/*
 * dkim-check - DKIM of a message, with Quire's protocol library and a resolver
 * of one's own.
 *
 * The modules below format/ do no input or output: they give out questions and
 * take answers. Here a datagram to one name server is all the resolver there
 * is, so nothing of c-ares is linked; an event loop, a cache or a file of
 * answers would do as well. Prints a line for each signature.
 *
 * Build it against an installed Quire:
 *
 *	cc -o dkim-check dkim-check.c $(pkg-config --cflags --libs libquire)
 *
 * usage: dkim-check IP PORT <message
 * exit status: 0 if one passes, 1 if none does, 64 and up for other reasons
 */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "format/dkim/dkim.h"
#include "format/dnsmsg/dnsmsg.h"
#include "format/mime/mime.h"

#define MAX_HEADER (1 << 20)
#define WAIT_MS	   5000

/* Our resolver: one question, one datagram, one answer. What goes wrong is
 * DNS_TEMPFAIL, which becomes a temperror of the signature. */
static void
look_up(int sock, struct arena *a, const struct dns_question *q,
    struct dns_answer *out)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	static uint16_t id; /* a real one draws it */
	struct dnsmsg m;
	char wire[65536];
	struct buf b;
	ssize_t n;

	*out = (struct dns_answer){ .status = DNS_TEMPFAIL, .ede = -1 };
	buf_init(&b, 512);
	if (dnsmsg_query(&b, ++id, q, 0) &&
	    send(sock, b.p, b.n, 0) == (ssize_t)b.n)
		while (poll(&p, 1, WAIT_MS) == 1 &&
		       (n = recv(sock, wire, sizeof(wire), 0)) > 0) {
			if (!dnsmsg_parse(
				a, str_make(wire, (size_t)n), &m, NULL) ||
			    !dnsmsg_answers(&m, id, q))
				continue;    /* somebody else's */
			if (!m.is_truncated) /* else TCP would be next */
				dnsmsg_result(a, &m, q, false, out);
			break;
		}
	buf_release(&b);
}

/* Header and body of what is read; the body goes by in pieces. */
static struct dkim_verify *
read_message(struct arena *a, struct buf *header)
{
	const struct dkim_options o = { .now = time(NULL) };
	struct dkim_verify *v;
	struct str read;
	char piece[65536];
	size_t n, end; /* where the body begins */

	do {
		n = fread(piece, 1, sizeof(piece), stdin);
		buf_put(header, str_make(piece, n));
		read = buf_str(header);
		end = mime_header_length(read);
	} while (n == sizeof(piece) && end == read.n && !header->full);
	if (header->full)
		return NULL;
	v = dkim_verify_begin(a, str_sub(read, 0, end), &o);
	dkim_verify_body(v, str_sub(read, end, read.n));
	while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0)
		dkim_verify_body(v, str_make(piece, n));
	return v;
}

static int
check(int sock, struct arena *a, struct buf *header)
{
	struct dkim_verify *v = read_message(a, header);
	const struct dkim_result *r;
	struct dns_answer answer;
	int rc = 1;
	size_t i, n;

	if (v == NULL) {
		fprintf(stderr, "dkim-check: header beyond %d octets\n",
		    MAX_HEADER);
		return 65;
	}
	r = dkim_verify_results(v, &n, NULL);
	for (i = 0; i < n; i++)
		if (r[i].question != NULL) {
			look_up(sock, a, r[i].question, &answer);
			dkim_verify_answer(v, i, &answer);
		}
	dkim_verify_finish(v);
	for (i = 0; i < n; i++) {
		printf("%s d=%.*s s=%.*s%s%s\n", dkim_status_name(r[i].status),
		    STR_ARG(r[i].sig->domain), STR_ARG(r[i].sig->selector),
		    r[i].why == NULL ? "" : ": ",
		    r[i].why == NULL ? "" : r[i].why);
		if (r[i].status == DKIM_PASS)
			rc = 0;
	}
	dkim_verify_free(&v);
	return rc;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct buf header; /* the results point into it */
	struct arena a;
	int sock, rc;

	if (argc != 3 || inet_pton(AF_INET, argv[1], &at.sin_addr) != 1) {
		fprintf(stderr, "usage: dkim-check IP PORT <message\n");
		return 64;
	}
	at.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
	sock = socket(AF_INET, SOCK_DGRAM, 0);
	if (sock == -1 ||
	    connect(sock, (struct sockaddr *)&at, sizeof(at)) == -1) {
		perror("dkim-check: socket");
		return 71;
	}
	buf_init(&header, MAX_HEADER);
	arena_init(&a, 3 * MAX_HEADER + DKIM_ARENA +
			   DKIM_MAX_SIGNATURES * DNSMSG_ARENA_MAX);
	rc = check(sock, &a, &header);
	arena_release(&a);
	buf_release(&header);
	close(sock);
	return rc;
}

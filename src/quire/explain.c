#include "explain.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/date.h"
#include "format/forged/forged.h"
#include "format/mime/mime.h"
#include "format/smtp/smtp.h"
#include "system/fs/fs.h"
#include "tools_file.h"

/*
 * quire explain: the receive path on a message in a file, with the code that
 * smtpd, quire-check and the mda run. Nothing is delivered.
 */
#define MAX_RECEIVED 100 /* as src/smtpd/session.c */

static const char usage[] =
    "usage: quire explain FILE --ip IP --helo NAME --from ADDRESS --rcpt "
    "ADDRESS [--rcpt ADDRESS ...] [--json] [--resolver IP:PORT] "
    "[--dns-timeout TIME]";

void
explain_step(struct explain *x, const char *step, const char *result,
    const char *fmt, ...)
{
	struct buf detail, *out = &x->t.out;
	va_list ap;

	buf_init(&detail, 65536);
	va_start(ap, fmt);
	buf_vprintf(&detail, fmt, ap);
	va_end(ap);
	if (x->t.json) {
		buf_puts(out, x->n_steps == 0 ? "[" : ",\n");
		buf_puts(out, "{\"step\":");
		tool_json_string(out, str_from(step));
		buf_puts(out, ",\"result\":");
		tool_json_string(out, str_from(result));
		buf_puts(out, ",\"detail\":");
		tool_json_string(out, buf_str(&detail));
		buf_putc(out, '}');
	} else {
		buf_printf(out, "%-10s %-10s ", step, result);
		tool_plain(out, buf_str(&detail));
		buf_putc(out, '\n');
	}
	x->n_steps++;
	buf_release(&detail);
}

void
explain_refuse(struct explain *x, int code, const char *enhanced,
    const char *text, const char *reason)
{
	if (x->code != 0)
		return;
	x->code = code;
	x->enhanced = enhanced;
	x->text = text;
	x->reason = reason;
}

/* --- arguments --- */

/* "" and "<>" are the null path. */
static bool
parse_from(struct explain *x, const char *arg)
{
	struct addr_path *p = &x->client.reverse_path;
	struct str s = str_from(arg);

	if (s.n > 1 && s.p[0] == '<' && s.p[s.n - 1] == '>')
		s = str_sub(s, 1, s.n - 2);
	x->from = s;
	p->kind = s.n == 0 ? ADDR_PATH_NULL : ADDR_PATH;
	return s.n == 0 || addr_from_str(&x->t.arena, s, ADDR_UTF8, &p->addr);
}

static int
take_option(struct explain *x, int ch, const char *arg)
{
	switch (ch) {
	case 'i':
		if (!mailauth_client_ip(&x->client, str_from(arg)))
			return quire_fail(
			    EX_USAGE, "--ip %s is not an IP address", arg);
		return 0;
	case 'h':
		x->client.helo = str_from(arg);
		return 0;
	case 'f':
		if (!parse_from(x, arg))
			return quire_fail(
			    EX_USAGE, "--from %s is not an address", arg);
		return 0;
	case 'r':
		if (x->n_rcpts == EXPLAIN_MAX_RCPTS ||
		    !addr_from_str(&x->t.arena, str_from(arg), ADDR_UTF8,
			&x->rcpt[x->n_rcpts]))
			return quire_fail(EX_USAGE,
			    "--rcpt %s is not an address, or one too many",
			    arg);
		x->n_rcpts++;
		return 0;
	}
	return EX_USAGE;
}

static int
parse_args(struct explain *x, int argc, char **argv)
{
	static const struct option options[] = {
		{ "ip", required_argument, NULL, 'i' },
		{ "helo", required_argument, NULL, 'h' },
		{ "from", required_argument, NULL, 'f' },
		{ "rcpt", required_argument, NULL, 'r' },
		{ 0 },
	};
	int ch, rc;

	x->from.p = NULL;
	while ((ch = getopt_long(argc, argv, "", options, NULL)) != -1)
		if ((rc = take_option(x, ch, optarg)) != 0)
			return rc;
	if (optind + 1 != argc || x->client.remote.n == 0 ||
	    x->client.helo.n == 0 || x->from.p == NULL || x->n_rcpts == 0)
		return quire_fail(EX_USAGE, "%s", usage);
	x->file = argv[optind];
	return 0;
}

/* --- the dialogue --- */

static void
decided(struct explain *x, const char *step, struct str about,
    const struct mailauth_decision *d)
{
	explain_step(x, step,
	    d->code == 250 ? "ok" :
	    d->code < 500  ? "put off" :
			     "refused",
	    "%.*s%s%s", STR_ARG(about), d->code == 250 ? "" : ": ", d->text);
	if (d->code != 250)
		explain_refuse(x, d->code, d->enhanced, d->text, d->reason);
}

static void
explain_envelope(struct explain *x)
{
	struct mailauth_decision d;

	mailauth_helo(&x->t.arena, &x->setup, x->client.helo, &d);
	if (d.code == 250)
		explain_step(x, "helo", "ok", "%.*s", STR_ARG(x->client.helo));
	else /* who says EHLO is not asked */
		explain_step(x, "helo", "refused",
		    "%.*s: %s (with HELO; EHLO may say anything)",
		    STR_ARG(x->client.helo), d.text);
	if (x->client.reverse_path.kind != ADDR_PATH) {
		explain_step(x, "sender", "ok", "null reverse path");
		return;
	}
	mailauth_sender(&x->t.arena, &x->setup, &x->client.reverse_path, &d);
	decided(x, "sender", x->from, &d);
}

static bool
explain_rcpt(struct explain *x, const struct addr *rcpt)
{
	const struct config_account *a;
	struct buf b;
	bool is_ours = true;

	buf_init(&b, 1024);
	addr_print(&b, rcpt);
	if (x->config == NULL)
		explain_step(x, "rcpt", "ok",
		    "%s (not looked up: no configuration, see -C)",
		    buf_cstr(&b));
	else
		switch (config_find(x->config, rcpt->local, rcpt->domain, &a)) {
		case RCPT_OK:
			explain_step(x, "rcpt", "ok", "%s: account %.*s",
			    buf_cstr(&b), STR_ARG(a->name));
			break;
		case RCPT_NOUSER:
			explain_step(x, "rcpt", "unknown",
			    "%s: no such user; refused after DATA",
			    buf_cstr(&b));
			is_ours = false;
			break;
		case RCPT_NODOMAIN:
			explain_step(x, "rcpt", "refused",
			    "%s: not a domain of this server", buf_cstr(&b));
			is_ours = false;
			break;
		}
	buf_release(&b);
	return is_ours;
}

static void
explain_rcpts(struct explain *x)
{
	size_t i, ours = 0;

	for (i = 0; i < x->n_rcpts; i++)
		ours += explain_rcpt(x, &x->rcpt[i]);
	if (ours == 0)
		explain_refuse(x, 550, "5.1.1", "no such user", "no-recipient");
	if (x->n_rcpts < 2)
		return;
	if (x->client.reverse_path.kind == ADDR_PATH &&
	    mailauth_spf(&x->t.arena, &x->setup, &x->client) == SPF_PASS)
		explain_step(x, "several", "ok",
		    "%zu recipients: SPF of the sender passes", x->n_rcpts);
	else
		explain_step(x, "several", "put off",
		    "452 4.5.3 from the second recipient on: SPF of the "
		    "sender does not pass, or it is null");
}

/* --- the message, before anybody is asked --- */

static void
explain_size(struct explain *x)
{
	uint64_t max = x->config == NULL ? 0 : x->config->limits.message_size;
	bool is_over = max != 0 && x->message.n > max;

	explain_step(
	    x, "size", is_over ? "refused" : "ok", "%zu octets", x->message.n);
	if (is_over)
		explain_refuse(x, 552, smtp_too_large(max), "message too large",
		    "message-size");
}

static void
explain_hops(struct explain *x)
{
	struct str rest = x->header;
	struct mime_field f;
	unsigned n = 0;

	while (mime_field_next(&rest, &f))
		n += str_eq_nocase(f.name, STR("Received"));
	explain_step(x, "hops", n > MAX_RECEIVED ? "refused" : "ok",
	    "%u Received fields, at most %d", n, MAX_RECEIVED);
	if (n > MAX_RECEIVED)
		explain_refuse(x, 550, "5.4.6",
		    "too many Received fields: a mail loop", "mail-loop");
}

/* What of the message would go, and whether it was here before. */
static void
explain_forged(struct explain *x, struct str authserv_id)
{
	struct forged_names names = { authserv_id, x->setup.hostname, STR("") };
	size_t i, loops = 0;
	unsigned removed = 0;
	struct buf out, rcpt;

	buf_init(&out, x->header.n + FORGED_MAX_FIELD);
	buf_init(&rcpt, 1024);
	for (i = 0; i < x->n_rcpts; i++) {
		struct forged f;

		addr_print(&rcpt, &x->rcpt[i]);
		names.recipient = buf_str(&rcpt);
		forged_init(&f, &names);
		forged_push(&f, x->header, &out);
		forged_finish(&f, &out);
		removed = f.n;
		loops += f.is_loop;
		if (f.is_loop)
			explain_step(x, "loop", "refused",
			    "was here before, for %s: 550 5.4.6",
			    buf_cstr(&rcpt));
		forged_release(&f);
		buf_clear(&out);
		buf_clear(&rcpt);
	}
	if (loops == 0)
		explain_step(x, "loop", "ok", "it was not here before");
	else if (loops == x->n_rcpts)
		explain_refuse(x, 550, "5.4.6",
		    "this message was here before: a mail loop", "mail-loop");
	explain_step(x, "forged", removed == 0 ? "none" : "removed",
	    "%u fields that claim to be of this server", removed);
	buf_release(&out);
	buf_release(&rcpt);
}

static void
explain_end(struct explain *x)
{
	if (x->code == 0)
		explain_step(x, "decision", "250",
		    "2.6.0 message accepted (no-bad-signals)");
	else {
		char code[16];

		snprintf(code, sizeof(code), "%d", x->code);
		explain_step(x, "decision", code, "%s %s (%s)", x->enhanced,
		    x->text, x->reason);
	}
	if (x->t.json)
		buf_puts(&x->t.out, "]\n");
	fputs(buf_cstr(&x->t.out), stdout);
}

/* --- */

/* The server's own, if there is one; explaining works without. */
static int
load_config(struct explain *x, struct quire *q)
{
	int rc;

	if (access(q->dir, F_OK) == -1 && strcmp(q->dir, "/etc/quire") == 0)
		return 0;
	rc = quire_open_dir(q);
	if (rc == 0)
		rc = quire_config(q);
	x->config = q->config;
	return rc;
}

static int
set_up(struct explain *x, const char *hostname)
{
	struct mailauth_setup *s = &x->setup;
	const struct config *c = x->config;
	uint32_t draw;
	int rc;

	if (c != NULL && x->t.resolver == NULL && c->checks.resolver.n > 0)
		x->t.resolver = arena_cstr(&x->t.arena, c->checks.resolver);
	if ((rc = tool_dns(&x->t)) != 0)
		return rc;
	s->dns = x->t.dns;
	s->hostname = c == NULL ? str_from(hostname) : c->hostname;
	s->dnsbl = c == NULL ? NULL : c->checks.dnsbl.v;
	s->n_dnsbl = c == NULL ? 0 : c->checks.dnsbl.n;
	s->wants_oldest_pass = true;
	s->is_tree_walk =
	    c != NULL && c->checks.organization == ORGANIZATION_TREE_WALK;
	s->limit_ms = x->t.dns_timeout_ms != 0 ? x->t.dns_timeout_ms :
		      c != NULL		       ? (unsigned)c->limits.check_ms :
						 MAILAUTH_LIMIT_MS;
	s->psl = psl_load();
	if (s->psl == NULL)
		return quire_fail(EX_UNAVAILABLE,
		    "no public suffix list: install publicsuffix");
	fs_random(&draw, sizeof(draw));
	x->client.draw = draw % 100;
	x->client.now = date_now();
	return 0;
}

static void
explain(struct explain *x)
{
	if (x->config != NULL && !config_has_checks(x->config))
		explain_step(x, "checks", "off",
		    "this server asks DNS nothing (checks { enable }); if it "
		    "did:");
	explain_envelope(x);
	explain_rcpts(x);
	explain_size(x);
	explain_hops(x);
	explain_auth(x);
	explain_forged(x, x->config == NULL ? x->setup.hostname :
					      config_authserv_id(x->config));
	explain_end(x);
}

int
cmd_explain(struct quire *q, int argc, char **argv)
{
	struct explain x = { .quire = q };
	struct psl *psl;
	struct buf b;
	int rc = tool_begin(&x.t, &argc, argv);

	x.t.is_silent = true;
	buf_init(&b, TOOLS_MAX_FILE);
	if (rc == 0)
		rc = parse_args(&x, argc, argv);
	/* first the message: the configuration may cost us our rights */
	if (rc == 0)
		rc = tools_read_message(x.file, &b, &x.header, &x.body);
	if (rc == 0)
		rc = load_config(&x, q);
	if (rc == 0)
		rc = set_up(&x, q->hostname);
	if (rc == 0) {
		x.message = buf_str(&b);
		explain(&x);
	}
	psl = (struct psl *)(uintptr_t)x.setup.psl;
	psl_unload(&psl);
	buf_release(&b);
	return tool_end(&x.t, rc);
}

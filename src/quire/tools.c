#include "tools.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/utf8.h"

static int
parse_timeout(const char *arg, unsigned *ms)
{
	struct str s = str_from(arg);
	uint64_t v, factor = 1;

	if (str_ends(s, STR("ms")))
		s.n -= 2;
	else if (str_ends(s, STR("s"))) {
		s.n -= 1;
		factor = 1000;
	}
	if (!str_uint(s, 600000, &v) || v * factor > 600000 || v == 0)
		return quire_fail(EX_USAGE,
		    "--dns-timeout %s: a time like 500ms or 5s, at most 600s",
		    arg);
	*ms = (unsigned)(v * factor);
	return 0;
}

/*
 * Is argv[*at] that option, "--name VALUE" or "--name=VALUE"? Then *value; NULL
 * if it is another one. 0, or an exit status.
 */
static int
take_value(int argc, char **argv, int *at, const char *name, const char **value)
{
	size_t n = strlen(name);

	*value = NULL;
	if (strncmp(argv[*at], name, n) != 0)
		return 0;
	if (argv[*at][n] == '=')
		*value = argv[*at] + n + 1;
	else if (argv[*at][n] == '\0') {
		if (*at + 1 == argc)
			return quire_fail(
			    EX_USAGE, "%s: a value must follow", name);
		*value = argv[++*at];
	}
	return 0;
}

int
tool_begin(struct tool *t, int *argc, char **argv)
{
	const char *timeout, *resolver;
	int from, to = 0, rc = 0;

	*t = (struct tool){ 0 };
	arena_init(&t->arena, (size_t)256 << 20);
	buf_init(&t->out, 4 << 20);
	for (from = 0; rc == 0 && from < *argc; from++) {
		int at = from;

		if (strcmp(argv[from], "--json") == 0) {
			t->json = true;
			continue;
		}
		rc = take_value(*argc, argv, &from, "--resolver", &resolver);
		if (rc == 0 && resolver == NULL)
			rc = take_value(
			    *argc, argv, &from, "--dns-timeout", &timeout);
		if (rc != 0)
			break;
		if (resolver != NULL)
			t->resolver = resolver;
		else if (timeout != NULL)
			rc = parse_timeout(timeout, &t->dns_timeout_ms);
		else
			argv[to++] = argv[at];
	}
	*argc = to;
	return rc;
}

int
tool_dns(struct tool *t)
{
	const struct dns_opts o = { t->resolver, t->dns_timeout_ms, false,
		NULL };
	struct err e;

	if (dns_new(&t->dns, &o, &e) == -1)
		return quire_fail(EX_USAGE, "%s", e.text);
	return 0;
}

void
tool_json_string(struct buf *b, struct str s)
{
	bool is_utf8 = utf8_valid(s);
	size_t i;

	buf_putc(b, '"');
	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\') {
			buf_putc(b, '\\');
			buf_putc(b, (char)c);
		} else if (c < 0x20 || c == 0x7f || (c > 0x7f && !is_utf8))
			buf_printf(b, "\\u%04x", c);
		else
			buf_putc(b, (char)c);
	}
	buf_putc(b, '"');
}

void
tool_plain(struct buf *b, struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		buf_putc(b, (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ?
				'?' :
				s.p[i]);
}

static void
put_key(struct tool *t, const char *key)
{
	if (t->json)
		buf_printf(
		    &t->out, "%s\"%s\":", t->n_out == 0 ? "{" : ",", key);
	else
		buf_printf(&t->out, "%s%s=", t->n_out == 0 ? "" : " ", key);
	t->n_out++;
}

struct str
tool_domain(const char *arg)
{
	struct str s = str_from(arg);

	if (s.n > 1 && s.p[s.n - 1] == '.')
		s.n--;
	return s;
}

void
tool_put(struct tool *t, const char *key, struct str value)
{
	put_key(t, key);
	if (t->json)
		tool_json_string(&t->out, value);
	else
		tool_plain(&t->out, value);
}

void
tool_put_bool(struct tool *t, const char *key, bool value)
{
	put_key(t, key);
	buf_puts(&t->out,
	    t->json ? (value ? "true" : "false") : (value ? "yes" : "no"));
}

void
tool_put_int(struct tool *t, const char *key, int64_t value)
{
	put_key(t, key);
	buf_printf(&t->out, "%lld", (long long)value);
}

void
tool_put_list(struct tool *t, const char *key, const struct str *v, size_t n)
{
	size_t i;

	put_key(t, key);
	if (t->json)
		buf_putc(&t->out, '[');
	for (i = 0; i < n; i++) {
		if (i > 0)
			buf_puts(&t->out, t->json ? "," : ", ");
		if (t->json)
			tool_json_string(&t->out, v[i]);
		else
			tool_plain(&t->out, v[i]);
	}
	if (t->json)
		buf_putc(&t->out, ']');
}

int
tool_end(struct tool *t, int status)
{
	if (status == 0 && !t->is_silent) {
		if (t->json)
			buf_puts(&t->out, t->n_out == 0 ? "{}" : "}");
		printf("%s\n", buf_cstr(&t->out));
	}
	dns_free(&t->dns);
	buf_release(&t->out);
	arena_release(&t->arena);
	return status;
}

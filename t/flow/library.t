#!/bin/sh
# The protocol library as others get it: installed, found by pkg-config, an
# example compiled against it and run; every header stands alone.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
. "$SRCDIR/t/lib/knot.sh"
command -v pkg-config >/dev/null || skip_all "pkg-config is not installed"
CC=${CC:-cc}
command -v "$CC" >/dev/null || skip_all "no compiler"
knot_have || skip_all "knot cannot be had here"
flow_init 19000
skip_one() { pass "$1 # SKIP $2"; }
# make install of a staging tree, as packagers do it; `make uninstall' later
D=$T/staged
P_=$(sed -n 's/^prefix = //p' "$BUILDDIR/Makefile")
I=$D$P_
staged() {
	make -s -C "$BUILDDIR" "$1" DESTDIR="$D" >"$T/$1.log" 2>&1 ||
	    { diag "$(tail -5 "$T/$1.log")"; return 1; }
}
ok "make install DESTDIR=" staged install
flags() {
	PKG_CONFIG_PATH=$I/lib/pkgconfig pkg-config --define-prefix "$@" libquire
}
like "pkg-config knows it" "$(flags --cflags)" "$I/include/quire"
like "and its version" "$(flags --modversion)" '^[0-9]'
is "the file says where configure was told" \
    "$(PKG_CONFIG_PATH=$I/lib/pkgconfig \
    pkg-config --dont-define-prefix --variable=prefix libquire)" "$P_"
# nothing of the tree it came from, no headers but the public ones
is "no word of the build" "$(grep -rlE "$SRCDIR|$BUILDDIR|config\.h|_int\.h" \
    "$I/include" "$I/lib/pkgconfig")" ""
bad=
for h in $(cd "$I/include/quire" && find . -name '*.h'); do
	for i in $(sed -n 's/^#include "\(.*\)"/\1/p' "$I/include/quire/$h"); do
		[ -f "$I/include/quire/$i" ] || bad="$bad $h:$i"
	done
done
is "headers include installed ones alone" "$bad" ""

# Others' compilers, with warnings of theirs as errors
C11="-std=c11 -pedantic -Wall -Wextra -Werror"
CPP11="-std=c++11 -pedantic -Wall -Wextra -Werror -x c++"
bad=
for h in $(cd "$I/include/quire" && find . -name '*.h' | sort); do
	printf '#include "%s"\nint x;\n' "${h#./}" >"$T/h.c"
	for as_ in "$CC $C11" "${CXX:-c++} $CPP11"; do
		command -v "${as_%% *}" >/dev/null || continue
		# shellcheck disable=SC2046,SC2086
		$as_ $(flags --cflags) -fsyntax-only \
		    "$T/h.c" >>"$T/headers.log" 2>&1 || bad="$bad $h"
	done
done
is "every header stands alone, for C and C++" "$bad" ""
[ -z "$bad" ] || diag "$(head -5 "$T/headers.log")"

# Names: those of the headers are quire_x, all others quire__x
nm -g "$I/lib/libquire.a" >"$T/nm" 2>/dev/null
is "the archive has names of ours alone" "$(awk 'NF == 3 && $3 !~ /^(quire_|__)/ \
    { print $3 }' "$T/nm")" ""
is "and what it has not is a library's" "$(awk 'NF == 3 { has[$3] }
    NF == 2 { want[$2] }
    END { for (w in want) if (w ~ /^quire_/ && !(w in has)) print w }' "$T/nm")" ""
like "what no header declares is no name to be used" \
    "$(awk '{ print $3 }' "$T/nm")" '^quire__xmalloc$'
is "every name of names.h is there" "$(awk 'FNR == 1 { f++ }
    f == 1 { has[$3]; next } !($3 in has) { print $2 }' \
    "$T/nm" "$I/include/quire/base/names.h")" ""
like "such as" "$(cat "$I/include/quire/base/names.h")" \
    '^#define spf_begin quire_spf_begin$'

SAN=
grep -q __asan_init "$T/nm" && SAN="-fsanitize=address,undefined"
# build NAME SOURCE [FLAG..]: a program against what is installed
build() {
	_out=$T/bin/$1 _src=$2
	shift 2
	# shellcheck disable=SC2046,SC2086
	(cd "$T" && "$CC" $C11 $SAN "$@" -o "$_out" "$_src" \
	    $(flags --cflags --libs)) || return 1
	chmod a+rx "$_out"
}
cp "$SRCDIR/examples/spf-filter.c" "$SRCDIR/examples/dkim-check.c" "$T/"
ok "the example compiles" build spf-filter "$T/spf-filter.c" -Wno-unused-parameter
ok "and the other" build dkim-check "$T/dkim-check.c"
sed -n '/^\.Bd -literal/,/^\.Ed/p' "$SRCDIR/doc/man/libquire.3" |
    sed -e '/^\.[BE]d/d' -e 's/\\e/\\/g' >"$T/manual.c"
ok "and the manual's" build manual "$T/manual.c"
# a program may have names that we use inside, and ours where it does not
# include the header
cat >"$T/names.c" <<'C'
#include <stdlib.h>
#include "base/arena.h"
void *xmalloc(size_t n);
int buf_init(void), parse_date(void);
void *xmalloc(size_t n) { (void)n; abort(); }
int buf_init(void) { return 1; }
int parse_date(void) { return 2; }
int
main(void)
{
	struct arena a;

	arena_init(&a, 100);
	if (arena_alloc(&a, 10) == NULL)
		return 1;
	arena_release(&a);
	return buf_init() + parse_date() == 3 ? 0 : 1;
}
C
ok "names of the program's own" build names "$T/names.c"
ok "are its own" "$T/bin/names"
if command -v "${CXX:-c++}" >/dev/null; then
	# shellcheck disable=SC2046,SC2086
	ok "the manual's as C++" "${CXX:-c++}" $CPP11 $SAN -o "$T/bin/manual++" \
	    "$T/manual.c" -x none $(flags --cflags --libs)
	chmod a+rx "$T/bin/manual++"
else
	skip_one "the manual's as C++" "no C++ compiler"
fi
if [ -n "$SAN" ]; then
	: # sanitizers are shared libraries
elif [ ! -f "$(pkg-config --variable=libdir libpsl)/libpsl.a" ]; then
	skip_one "linked statically" "no archives of other libraries"
else
	# getaddrinfo() of c-ares and dlopen() of OpenSSL say so
	# shellcheck disable=SC2046,SC2086
	ok "linked statically" "$CC" $C11 -static -o "$T/bin/static" \
	    "$T/manual.c" $(flags --cflags --libs --static) -Wl,--no-warnings
	chmod a+rx "$T/bin/static"
fi
# a program with one call of each of those that no example uses
cat >"$T/calls.c" <<'C'
#include <stdio.h>
#include "format/imap/command.h"
#include "format/imap/reader.h"
#include "format/limit/limit.h"
#include "format/proxy/proxy.h"
#include "format/sasl/sasl.h"
#include "format/xclient/xclient.h"
int
main(void)
{
	struct str in = STR("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
	struct proxy_header h;
	struct xclient x;
	struct limit_addr a;
	struct arena arena;
	struct buf b;
	const char *why;
	size_t need;

	arena_init(&arena, 65536);
	buf_init(&b, 100);
	printf("%d %d %d %d\n", proxy_parse(in, &h, &need) == PROXY_OK,
	    xclient_parse(&arena, STR("ADDR=192.0.2.1"), &x, &why),
	    limit_addr_parse(&a, STR("192.0.2.1")),
	    sasl_prep_password(&b, STR("pass word")));
	return 0;
}
C
ok "the other modules link" build calls "$T/calls.c"
is "and work" "$("$T/bin/calls" 2>&1)" "1 1 1 1"
printf 'From: a@good.test\nSubject: x\n\n' >"$T/message"
seq 1 40000 >>"$T/message"
as quire dkim keygen rsa >"$T/key.pem"
as quire dkim sign --key "$T/key.pem" --domain good.test --selector s \
    "$T/message" >"$T/signed"
{ cat "$T/signed"; echo "a line more"; } >"$T/forged"
# all checks of a message at once; log and metrics are printed as they come
cat >"$T/whole.c" <<'C'
#include <stdio.h>
#include "format/mime/mime.h"
#include "service/mailauth/mailauth.h"

static void
on_log(void *arg, enum hook_level level, const char *event, const char *text)
{
	fprintf(arg, "log %d %s: %s\n", level, event, text);
}

static void
on_count(void *arg, const char *metric, const char *label)
{
	fprintf(arg, "count %s %s\n", metric, label);
}

static void
on_took(void *arg, const char *metric, const char *label, int64_t ms)
{
	fprintf(arg, "took %s %s %d\n", metric, label, ms >= 0);
}

/* whole RESOLVER IP DOMAIN <message */
int
main(int argc, char **argv)
{
	struct hooks hooks = { 0 };
	struct dns_opts opts = { 0 };
	struct mailauth_setup setup = { 0 };
	struct mailauth_client client = { 0 };
	static char text[1 << 20];
	struct str message;
	struct mailauth *m;
	struct arena arena;
	struct psl *psl;
	struct err e;
	size_t end;

	if (argc != 4)
		return 64;
	hooks.arg = stdout;
	hooks.log = on_log;
	hooks.count = on_count;
	hooks.took = on_took;
	opts.servers = argv[1];
	opts.hooks = setup.hooks = &hooks;
	if (dns_new(&setup.dns, &opts, &e) == -1)
		return 75;
	setup.psl = psl = psl_load();
	setup.keys = dkim_keys_new();
	setup.hostname = STR("here.test");
	setup.limit_ms = MAILAUTH_LIMIT_MS;
	if (!mailauth_client_ip(&client, str_from(argv[2])))
		return 64;
	client.helo = str_from(argv[3]);
	client.reverse_path.addr.local = STR("a");
	client.reverse_path.addr.domain = str_from(argv[3]);
	client.now = 4000000000;
	message = str_make(text, fread(text, 1, sizeof(text), stdin));
	end = mime_header_length(message);
	arena_init(&arena, MAILAUTH_ARENA + 6 * sizeof(text));
	m = mailauth_begin(
	    &arena, &setup, &client, str_sub(message, 0, end));
	mailauth_body(m, str_sub(message, end, message.n));
	(void)mailauth_finish(m);
	mailauth_free(&m);
	arena_release(&arena);
	dkim_keys_free(&setup.keys);
	psl_unload(&psl);
	dns_free(&setup.dns);
	return 0;
}
C
ok "all checks at once compile" build whole "$T/whole.c"
zone good.test <<Z
@ TXT "v=spf1 ip4:192.0.2.0/24 -all"
s._domainkey TXT $(as quire dkim txt "$T/key.pem" | fold -w 200 |
    sed 's/.*/"&"/' | tr '\n' ' ')
Z
knot_start || { fail "name server starts"; done_testing; exit 0; }
trap 'knot_stop; flow_cleanup' EXIT
ask() {
	printf 'request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=%s\nhelo_name=x.good.test\nsender=%s\n\n' "$1" "$2"
}
{ ask 192.0.2.1 a@good.test; ask 198.51.100.1 a@good.test
ask 192.0.2.1 a@none.good.test; ask nonsense a@good.test; } |
    as "$T/bin/spf-filter" -v -r "127.0.0.1:$KNOT_PORT" >"$T/out" 2>"$T/err"
out=$(cat "$T/out")
like "pass: the field" "$out" '^action=PREPEND Received-SPF: pass .*client-ip=192\.0\.2\.1;'
like "fail: refused" "$out" '^action=550 5\.7\.23 SPF of good\.test'
like "none: the field" "$out" '^action=PREPEND Received-SPF: none'
like "not to be judged" "$out" '^action=DUNNO$'
is "four answers" "$(grep -c '^$' "$T/out")" 4
like "its log: the program's" "$(cat "$T/err")" 'spf-filter: dns: TXT good\.test: ok'
like "its metrics as well" "$(cat "$T/err")" 'spf-filter: fail 1'
like "and answers counted" "$(cat "$T/err")" '3 answers of DNS'
ask 192.0.2.1 a@good.test |
    as "$T/bin/spf-filter" -r 127.0.0.1:1 >"$T/out" 2>&1
like "no resolver: put off" "$(cat "$T/out")" '^action=DEFER_IF_PERMIT 4\.4\.3'
as "$T/bin/whole" "127.0.0.1:$KNOT_PORT" 192.0.2.1 good.test \
    <"$T/signed" >"$T/out" 2>&1
is "all checks at once" $? 0
out=$(cat "$T/out")
for want in 'count mailauth_spf pass' 'count mailauth_dkim permerror' \
    'count mailauth_dmarc none' 'count mailauth_arc none' \
    'count mailauth_iprev [a-z]*' 'took mailauth_ms in time 1' \
    'count dns_answers ok' 'took dns_answer_ms TXT 1' \
    'log 3 dns: TXT good\.test: ok .*' 'log 2 mailauth: 192\.0\.2\.1 spf=pass dkim=1 .*'; do
	like "tells $want" "$out" "^$want\$"
done
check() { as "$T/bin/dkim-check" 127.0.0.1 "$1" <"$2" 2>&1; echo "status $?"; }
is "DKIM by its own resolver" "$(check "$KNOT_PORT" "$T/signed")" \
    "pass d=good.test s=s
status 0"
is "forged" "$(check "$KNOT_PORT" "$T/forged")" \
    "fail d=good.test s=s: body hash does not match
status 1"
is "no resolver" "$(check 1 "$T/signed")" \
    "temperror d=good.test s=s: no answer for the key
status 1"
is "no signature" "$(check "$KNOT_PORT" "$T/message")" "status 1"
for prog in manual manual++ static; do
	[ -f "$T/bin/$prog" ] || continue
	is "$prog: pass" "$(as "$T/bin/$prog" 192.0.2.1 x a good.test \
	    "127.0.0.1:$KNOT_PORT" 2>&1)" "pass"
	is "$prog: fail" "$(as "$T/bin/$prog" 198.51.100.1 x a good.test \
	    "127.0.0.1:$KNOT_PORT" 2>&1)" "fail"
done
ok "make uninstall" staged uninstall
is "leaves no file" "$(find "$D" ! -type d)" ""
done_testing

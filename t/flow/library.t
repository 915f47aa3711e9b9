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
I=$T/installed
ok "make install" sh -c 'make -s -C "$1" install prefix="$2" >"$3" 2>&1' \
    x "$BUILDDIR" "$I" "$T/install.log"
[ -f "$I/lib/pkgconfig/libquire.pc" ] || diag "$(tail -5 "$T/install.log")"
# the file says where configure was told to install
flags() { PKG_CONFIG_PATH=$I/lib/pkgconfig pkg-config --define-prefix "$@" libquire; }
like "pkg-config knows it" "$(flags --cflags)" "$I/include/quire"
like "and its version" "$(flags --modversion)" '^[0-9]'
bad=
for h in $(cd "$I/include/quire" && find . -name '*.h' | sort); do
	printf '#include "%s"\n' "${h#./}" >"$T/h.c"
	# shellcheck disable=SC2046
	"$CC" -std=c11 -Wall -Wextra -Werror $(flags --cflags) -fsyntax-only \
	    "$T/h.c" >>"$T/headers.log" 2>&1 || bad="$bad $h"
done
is "every header stands alone" "$bad" ""
[ -z "$bad" ] || diag "$(head -5 "$T/headers.log")"
SAN=
nm "$I/lib/libquire.a" 2>/dev/null | grep -q __asan_init &&
    SAN="-fsanitize=address,undefined"
# shellcheck disable=SC2046,SC2086
ok "the example compiles" "$CC" -std=c11 -Wall $SAN -o "$T/bin/spf-filter" \
    "$SRCDIR/examples/spf-filter.c" $(flags --cflags --libs)
chmod a+rx "$T/bin/spf-filter"
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
# shellcheck disable=SC2046,SC2086
ok "the other modules link" "$CC" -std=c11 -Wall $SAN -o "$T/bin/calls" \
    "$T/calls.c" $(flags --cflags --libs)
is "and work" "$("$T/bin/calls" 2>&1)" "1 1 1 1"
zone good.test <<Z
@ TXT "v=spf1 ip4:192.0.2.0/24 -all"
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
done_testing

#!/bin/sh
# Strangers attack the receive path while normal mail comes in: smuggling,
# floods of header fields and signatures, MIME bombs, a name server that
# lies, two thousand slow clients. Normal mail arrives once, in time, and no
# program grows or dies.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
flow_init 14000
DNS=$((P + 53))
as quire localserve --dir "$D" --ip 127.0.0.1 --port-offset "$P" \
    --init-only >/dev/null
# limits of an address are off on loopback: they have a test of their own,
# door.t
cat >>"$D/quire.conf" <<C
checks {
	enable yes
	resolver 127.0.0.1:$DNS
	authserv-id mx.here.test
}
limits { check 3s }
C
as quire dkim keygen rsa >"$T/rsa.pem"
as quire dkim txt "$T/rsa.pem" >"$T/key"
printf 'From: a@good.test\nTo: quire@localhost\nSubject: s\n\nbody\n' >"$T/m"
as quire dkim sign --key "$T/rsa.pem" --domain good.test --selector rsa \
    "$T/m" >"$T/signed"
ulimit -n 8192 2>/dev/null
FLOW_UNDER="/usr/bin/python3 $T/attack.py peak $D/peak"
flow_start || { fail "server starts"; done_testing; exit 0; }
as /usr/bin/python3 "$T/attack.py" run "$SMTP" "$IMAP" "$DNS" "$MD" \
    "$T/signed" "$T/key" "${SLOW:-2000}" "$FLOW_PID" >"$T/py" 2>&1
while read -r line; do
	case $line in
	"ok "*) pass "${line#ok * - }" ;;
	"not ok "*) fail "${line#not ok * - }" ;;
	*) diag "$line" ;;
	esac
done <"$T/py"
ok "the script ran to its end" grep -q 'the script ran to its end' "$T/py"
as quire -C "$D" status >"$T/status"
while read -r name pid _; do
	hwm=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$pid/status" 2>/dev/null)
	[ -z "$hwm" ] || diag "$name: VmHWM $hwm KiB"
done <"$T/status"
flow_stop
# sanitizers keep what was freed for a while
limit=65536
[ -z "${QUIRE_SANITIZED-}" ] || limit=1000000
peak=$(cat "$D/peak")
diag "largest program, those that ended too: $peak KiB"
ok "no program has grown beyond $((limit / 1024)) MiB" [ "$peak" -le "$limit" ]
done_testing

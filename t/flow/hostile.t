#!/bin/sh
# Truncated, oversized, binary and interleaved input on every port, slow and
# deaf peers, smuggling, two thousand idle connections.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
flow_init 11000
as quire localserve --dir "$D" --ip 127.0.0.1 --port-offset "$P" \
    --init-only >/dev/null
printf 'limits {\n smtp-read 2s\n imap-login 2s\n tls-handshake 3s\n write 2s\n}\n' |
    as tee -a "$D/quire.conf" >/dev/null
flow_start || { fail "server starts"; done_testing; exit 0; }
ulimit -n 8192 2>/dev/null
as /usr/bin/python3 "$T/hostile.py" "$SMTP" "$SUBMISSION" \
    "$SUBMISSIONS" "$IMAP" "$IMAPS" "$D/run/control" "${IDLE:-2000}" \
    >"$T/py" 2>&1
while read -r line; do
	case $line in
	"ok "*) pass "${line#ok * - }" ;;
	"not ok "*) fail "${line#not ok * - }" ;;
	*) diag "$line" ;;
	esac
done <"$T/py"
ok "the script ran to its end" grep -q 'the server is well' "$T/py"
rss=$(ps -o rss= --ppid "$FLOW_PID" | sort -n | tail -n 1 | tr -d ' ')
diag "largest program: $rss KiB"
# sanitizers keep what was freed for a while
limit=65536
[ -z "${QUIRE_SANITIZED-}" ] || limit=1000000
ok "no program has grown beyond $((limit / 1024)) MiB" [ "$rss" -lt "$limit" ]
flow_stop
done_testing

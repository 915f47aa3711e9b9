#!/bin/sh
# kill -9 over every program while messages come in: nothing acknowledged is
# lost, nothing acknowledged at once is there twice.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
FLOW_CRASHES=expected
flow_init 52000
flow_start || { fail "server starts"; done_testing; exit 0; }
out=$(as /usr/bin/python3 "$T/kill.py" "$SMTP" "$MD" "$FLOW_PID" \
    "${KILL_MESSAGES:-5000}" "${KILL_KILLS:-40}" 2>&1)
rc=$?
diag "$out"
is "nothing lost, nothing doubled" "$rc" 0
flow_stop
done_testing

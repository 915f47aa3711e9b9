#!/bin/sh
# Strangers with name servers that never answer cannot keep others out: the
# places of quire-check are shared.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
flow_init 12000
as_exec /usr/bin/python3 "$T/places.py" serve $((P + 53)) &
NS_PID=$!
trap 'kill $NS_PID 2>/dev/null; flow_cleanup' EXIT
as quire localserve --dir "$D" --ip 127.0.0.1 --port-offset "$P" --init-only >/dev/null
cat >>"$D/quire.conf" <<C
checks {
	enable yes
	resolver 127.0.0.1:$((P + 53))
}
limits { check 60s }
C
flow_start || { fail "server starts"; done_testing; exit 0; }
out=$(as /usr/bin/python3 "$T/places.py" fill "$SMTP" 2>&1)
like "two networks take all places, within their shares" "$out" 'refused at once: 0'
like "others are served: the first when somebody had his time" "$out" \
    'others: 250, first waits for a place, then at once'
like "a third such network has its share too" "$out" 'a third network: 0 refused'
like "who gives way is put off" "$out" 'gave way: some, all 451: True'
diag "$out"
like "the log says so" "$(cat "$T/log")" 'ev=check\.busy .*the oldest gives way'
flow_stop
done_testing

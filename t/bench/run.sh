#!/bin/sh
# make bench: the server, a peer if it can be had, and the figures.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
. "$SRCDIR/t/lib/dovecot.sh"
flow_init 17000
cp "$BUILDDIR/t/bench/bare" "$T/bin/" || exit 1
chmod 755 "$T/bin/bare"
flow_start || exit 1
for i in 0 1 2 3 4 5 6 7 8 9; do
	as quire -C "$D" account add "b$i" "b$i@localhost" >/dev/null
done
as mkdir -p "$T/work/dove" "$T/dv/home"
set --
sh "$SRCDIR/t/lib/peers.sh" dovecot >/dev/null 2>&1
if dovecot_possible; then
	dovecot_conf "$T/dv" "$T/work/dove" "$((P + 1))"
	dovecot_start "$T/dv" && set -- "$((P + 1))" "$DOVECOT_PID"
fi
# as root if we are: other processes' memory can be read then
/usr/bin/python3 "$SRCDIR/t/bench/bench.py" "$T/bin/bare" "$SMTP" "$IMAP" \
    "$FLOW_PID" "$MD" "$T/work" "$@"
[ $# -eq 0 ] || dovecot_stop
flow_stop >/dev/null

#!/bin/sh
# A tree written by Debian's Dovecot, opened by Quire: UIDVALIDITY, UIDs,
# flags, keywords, dates and bodies are the same; and again after Quire
# changed it, to Dovecot.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
. "$SRCDIR/t/lib/dovecot.sh"
sh "$SRCDIR/t/lib/peers.sh" dovecot >/dev/null 2>&1
dovecot_possible || skip_all "Dovecot cannot be run here (needs root and apt)"
flow_init 15000
as mkdir -p "$T/dv/home"
dovecot_conf "$T/dv" "$T/Maildir" "$((P + 1))"
ok "Dovecot starts" dovecot_start "$T/dv"
ok "Dovecot makes the tree" as /usr/bin/python3 "$T/snapshot.py" \
    "$((P + 1))" quire fill
as /usr/bin/python3 "$T/snapshot.py" "$((P + 1))" quire \
    >"$T/dovecot.txt"
dovecot_stop
flow_start --maildir "$T/Maildir" || { fail "server starts"; done_testing; exit 0; }
as /usr/bin/python3 "$T/snapshot.py" "$IMAP" quire@localhost \
    >"$T/quire.txt"
is "there was something to compare" "$(grep -c uid "$T/dovecot.txt")" \
    "$(grep -c uid "$T/quire.txt")"
if cmp -s "$T/dovecot.txt" "$T/quire.txt"; then
	pass "Quire shows what Dovecot showed"
else
	fail "Quire shows what Dovecot showed"
	diag "$(diff "$T/dovecot.txt" "$T/quire.txt" | head -40)"
fi
like "subscriptions came along" "$(curl -s "imap://127.0.0.1:$IMAP/" \
    -X 'LSUB "" *' -u quire@localhost:quirequire)" 'Archive/2024'
flow_stop
done_testing

#!/bin/sh
# A tree written by Debian's Courier, with mail by its maildrop, opened by
# Quire: UIDVALIDITY, UIDs, flags, keywords, dates, bodies and subscriptions.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
. "$SRCDIR/t/lib/courier.sh"
sh "$SRCDIR/t/lib/peers.sh" courier >/dev/null 2>&1
flow_init 15000
courier_possible || skip_all "Courier cannot be run here (needs apt)"

snapshot() { as /usr/bin/python3 "$T/snapshot.py" "$@"; }
MAIL="$T/Maildir"
courier_run maildirmake.courier "$MAIL"
imapd=$(courier_imapd "$MAIL")
ok "Courier makes the tree" snapshot --run "$imapd" fill
echo "to \"$MAIL\"" >"$T/filter"
chown "$FLOW_UID" "$T/filter"
chmod 600 "$T/filter"
# a second apart: within one, Courier orders names as text, M99 after M100
for i in 1 2 3; do
	sleep 1.1
	printf 'From: a@b.example\nSubject: dropped %s\n\nby maildrop\n' "$i" |
	    courier_run maildrop "$T/filter"
done
is "maildrop delivers" "$(find "$MAIL/new" -type f | wc -l)" 3
snapshot --run "$imapd" >"$T/courier.txt"
ok "Courier keeps keywords apart" \
    find "$MAIL/courierimapkeywords" -type f -name '1*'
before=$(cd "$MAIL" && find . -printf '%p %m %T@ %C@ %s\n' | sort | cksum)
like "quire adopt --dry-run tells" \
    "$(as quire adopt --dry-run --maildir "$MAIL")" \
    'INBOX kind=courier messages=13 .*uids-kept=10 uids-new=3 .*keywords=4'
is "and writes nothing" "$(cd "$MAIL" &&
    find . -printf '%p %m %T@ %C@ %s\n' | sort | cksum)" "$before"
flow_start --maildir "$MAIL" || { fail "server starts"; done_testing; exit 0; }
snapshot "$IMAP" quire@localhost >"$T/quire.txt"
is "there was something to compare" "$(grep -c uid "$T/courier.txt")" \
    "$(grep -c uid "$T/quire.txt")"
if cmp -s "$T/courier.txt" "$T/quire.txt"; then
	pass "Quire shows what Courier showed"
else
	fail "Quire shows what Courier showed"
	diag "$(diff "$T/courier.txt" "$T/quire.txt" | head -40)"
fi
like "subscriptions came along" "$(curl -s "imap://127.0.0.1:$IMAP/" \
    -X 'LSUB "" *' -u quire@localhost:quirequire)" 'Archive/2024'
flow_stop
done_testing

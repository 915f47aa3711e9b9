#!/bin/sh
# coexist dovecot: dovecot-lda and Dovecot's IMAP sessions work on one Maildir
# while Quire delivers by SMTP and serves IMAP sessions there. BOTH seconds
# (60); `make check-both` takes ten minutes.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
. "$SRCDIR/t/lib/dovecot.sh"
sh "$SRCDIR/t/lib/peers.sh" dovecot >/dev/null 2>&1
dovecot_possible || skip_all "Dovecot cannot be run here (needs root and apt)"
flow_init 33000

DV=$T/dv
as mkdir -p "$DV/home" "$T/Maildir"
dovecot_conf "$DV" "$T/Maildir" "$((P + 1))"
ok "Dovecot starts" dovecot_start "$DV"
as quire localserve --dir "$D" --ip 127.0.0.1 --port-offset "$P" \
    --maildir "$T/Maildir" --init-only >/dev/null
as sh -c "echo 'coexist dovecot' >>'$D/quire.conf'"
flow_start --maildir "$T/Maildir" || { fail "server starts"; done_testing; exit 0; }
dovecot_in /usr/bin/python3 "$T/both.py" "$DV" "$((P + 1))" "$IMAP" "$SMTP" \
    "${BOTH:-60}" >"$T/py" 2>&1
while read -r verdict what; do
	case $verdict in
	ok) pass "$what" ;;
	not) fail "${what#ok }" ;;
	*) diag "$verdict $what" ;;
	esac
done <"$T/py"
ok "the script ran to its end" grep -q '^ok the end$' "$T/py"
flow_stop
dovecot_stop
is "Dovecot does not complain" "$(grep -v 'Killed with signal 15' "$DV/dovecot.log" |
    grep -E 'Warning|Error|Panic|Fatal|Broken|uplicate|reappeared|corrupt')" ""
# an mda that was idle for two generations compares its view with the new one
is "Quire does not either" "$(grep -aE 'level=(error|warn)' "$T/log" |
    grep -v ev=store.reload)" ""
for f in "$T/Maildir/dovecot-uidlist" "$T/Maildir/.Archive/dovecot-uidlist"; do
	is "no UID twice in a list" "$(tail -n +2 "$f" | cut -d ' ' -f 1 | sort | uniq -d)" ""
	is "no file twice" "$(tail -n +2 "$f" | sed 's/.*://' | sort | uniq -d)" ""
	ok "in order" sh -c "tail -n +2 '$f' | cut -d ' ' -f 1 | sort -nc"
done
as quire verify --deep "$T/Maildir" >"$T/verify"
is "quire verify finds nothing" "$(grep -E '^(warning|error)' "$T/verify")" ""
done_testing

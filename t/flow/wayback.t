#!/bin/sh
# There and back: a tree made by Debian's Dovecot, adopted and used by Quire,
# exported, and given back to Dovecot, which shows what Quire showed and has
# nothing to complain of. Clients that kept what they knew load nothing twice.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
. "$SRCDIR/t/lib/dovecot.sh"
sh "$SRCDIR/t/lib/peers.sh" dovecot >/dev/null 2>&1
dovecot_possible || skip_all "Dovecot cannot be run here (needs root and apt)"
flow_init 31000
command -v swaks >/dev/null || skip_all "needs swaks"

client() { as /usr/bin/python3 "$T/wayback.py" "$@"; }
snapshot() { as /usr/bin/python3 "$T/snapshot.py" "$@"; }
dove() { _w=$1; shift; client "$_w" "$((P + 1))" quire "$@"; }
quire_client() { _w=$1; shift; client "$_w" "$IMAP" quire@localhost "$@"; }

# ---- Dovecot
DV=$T/dv
as mkdir -p "$DV/home"
dovecot_conf "$DV" "$T/Maildir" "$((P + 1))"
ok "Dovecot starts" dovecot_start "$DV"
ok "Dovecot makes the tree" snapshot "$((P + 1))" quire fill
ok "a client learns it from Dovecot" dove state "$T/a.json" INBOX
dovecot_stop

# ---- Quire
flow_start --maildir "$T/Maildir" || { fail "server starts"; done_testing; exit 0; }
ok "the tree is used" quire_client change
is "what a silent session took in is exported" \
    "$(quire_client silent "$T/Maildir")" "silent True
idle True"
ok "a client learns it from Quire" quire_client state "$T/b.json" INBOX
is "the first client comes along" "$(quire_client resync "$T/a.json" INBOX |
    grep -E 'ghosts|wrong')" "ghosts none
wrong none"
ok "and used more" quire_client later
ok "another client learns it from Quire" quire_client state "$T/c.json" INBOX
ok "mail comes in" swaks --server "127.0.0.1:$SMTP" --from a@example.org \
    --to quire@localhost --body delivered --silent 2
snapshot "$IMAP" quire@localhost >"$T/quire.txt"
quire_client subs >"$T/quire.subs"
flow_stop

# ---- export
ok "quire verify has no error" as quire verify --deep "$T/Maildir"
as quire export-state --sync --separator / --user quire \
    --maildir "$T/Maildir" >"$T/export.txt"
is "export-state ends well" $? 0
like "it says what it wrote" "$(cat "$T/export.txt")" \
    "^written INBOX uidvalidity="
is "it says which keywords Dovecot cannot keep" \
    "$(grep -c '^lost Leer keyword kw' "$T/export.txt")" 4
like "it says that messages were expunged" "$(cat "$T/export.txt")" \
    "^expunged INBOX 6 messages: QRESYNC clients may"
grep '^doveadm ' "$T/export.txt" >"$T/commands"
is "a command for each mailbox" "$(wc -l <"$T/commands")" \
    "$(grep -c '^written' "$T/export.txt")"
as quire export-state --new-uidvalidity --run-doveadm --doveadm "echo RAN -c x" \
    --user "a b" --maildir "$T/Maildir" >"$T/run.txt"
is "commands are run" "$(grep -c '^RAN -c x mailbox update -u a b --min-highest' \
    "$T/run.txt")" "$(wc -l <"$T/commands")"
is "with a new UIDVALIDITY where messages were expunged" \
    "$(grep '^RAN.*--uid-validity' "$T/run.txt" | sed 's/.* //' | sort | tr '\n' ' ')" \
    "INBOX "
as quire export-state --run-doveadm --doveadm false --maildir "$T/Maildir" \
    >/dev/null 2>&1
is "a command that fails is told" $? 69

# ---- Dovecot again
lines=$(wc -l <"$DV/dovecot.log")
ok "Dovecot starts again" dovecot_start "$DV"
# as printed; -c is where this Dovecot's configuration lies
_bad=
while read -r line; do
	eval "set -- $line"
	shift
	dovecot_run "$DV" doveadm "$@" </dev/null >>"$T/doveadm.out" 2>&1 || _bad="$_bad $line"
done <"$T/commands"
is "Dovecot takes the commands" "$_bad" ""
# every client first: nothing has looked at the changed names yet
is "the client that saw all loads what came since" \
    "$(dove resync "$T/c.json" INBOX | sed 's/loads [0-9]*$/loads one/')" "loads one
ghosts none
wrong none"
# UID 14 came and went with Quire: the doubt that export-state speaks of
is "the client that saw half of it too, but for one that is gone" \
    "$(dove resync "$T/b.json" INBOX | sed 's/loads [0-9]*$/loads one/')" "loads one
ghosts 14
wrong none"
is "and the one that saw Dovecot only" \
    "$(dove resync "$T/a.json" INBOX | grep -E 'ghosts|wrong')" "ghosts none
wrong none"
snapshot "$((P + 1))" quire >"$T/dovecot.txt"
# what cannot be kept was said
sed -i 's/ kw[0-9]*//g' "$T/quire.txt" "$T/dovecot.txt"
if cmp -s "$T/quire.txt" "$T/dovecot.txt"; then
	pass "Dovecot shows what Quire showed"
else
	fail "Dovecot shows what Quire showed"
	diag "$(diff "$T/quire.txt" "$T/dovecot.txt" | head -40)"
fi
ok "there was something to compare" grep -q 'flags .*fresh' "$T/quire.txt"
is "and the same subscriptions" "$(dove subs)" "$(cat "$T/quire.subs")"
dovecot_stop
is "Dovecot does not complain" "$(tail -n "+$((lines + 1))" "$DV/dovecot.log" |
    grep -v 'Killed with signal 15' | grep -E 'Warning|Error|Panic|Fatal|Broken|uplicate|reappeared|corrupt')" ""

# ---- and there again
D=$T/server2
flow_start --maildir "$T/Maildir" || fail "server starts again"
snapshot "$IMAP" quire@localhost | sed 's/ kw[0-9]*//g' >"$T/again.txt"
if cmp -s "$T/quire.txt" "$T/again.txt"; then
	pass "Quire shows it once more"
else
	fail "Quire shows it once more"
	diag "$(diff "$T/quire.txt" "$T/again.txt" | head -40)"
fi
flow_stop
done_testing

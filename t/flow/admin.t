#!/bin/sh
# The command line on a running instance: accounts, passwords, status,
# configuration errors, log level, stop.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
flow_init 31000
q() { as quire -C "$D" "$@"; }
ok "init only" as "$T/bin/quire" localserve --dir "$D" --ip 127.0.0.1 \
    --port-offset "$P" --init-only
ok "init again changes nothing" as quire localserve --dir "$D" --init-only
like "config check" "$(q config check)" 'no errors, 1 domains, 1 accounts'
flow_start || { fail "server starts"; done_testing; exit 0; }
st=$(q status)
for p in quired quire-smtpd quire-imapd quire-authd quire-userdb quire-mda \
    quire-imap; do
	like "status shows $p" "$st" "^$p +[0-9]+ .* running"
done
as mkdir -p "$D/state/marks"
as cp "$SRCDIR/README" "$D/state/marks/bob"
ok "account add" q account add bob bob@localhost
ok "no marks of another bob" test ! -e "$D/state/marks/bob"
like "account list" "$(q account list)" '^bob	.*bob@localhost'
echo bobs-secret | q passwd bob
is "passwd from standard input" "$?" 0
out=$(printf 'short\n' | q passwd bob 2>&1)
like "short password refused" "$out" '8'
ok "login of the new account" curl -s "imap://127.0.0.1:$IMAP/" \
    -u bob@localhost:bobs-secret -o "$T/null"
like "its special-use mailboxes" "$(curl -s "imap://127.0.0.1:$IMAP/" \
    -u bob@localhost:bobs-secret)" 'Sent'
ok "mail for bob is bob's" sh -c "printf 'Subject: x\r\n\r\nhi\r\n' |
    curl -s smtp://127.0.0.1:$SMTP --mail-from a@b.example \
    --mail-rcpt bob@localhost -T -"
is "filed there" "$(find "$D/mail/bob/Maildir/new" -type f | wc -l)" 1
ok "marks are kept" test -s "$D/state/marks/bob"
ok "account remove" q account remove bob
ok "with its marks" test ! -e "$D/state/marks/bob"
out=$(curl -s "imap://127.0.0.1:$IMAP/" -u bob@localhost:bobs-secret)
is "no login any more" "$?" 67
is "its mail is still there" \
    "$(find "$D/mail/bob/Maildir" -type f -name '*,S=*' | wc -l)" 1
is "log level" "$(q loglevel)" info
ok "change it" q loglevel debug
is "changed" "$(q loglevel)" debug
out=$(q loglevel nonsense)
like "unknown level" "$out" 'levels: error'

printf 'hostnam x\nlistener a {\n address 127.0.0.1\n smtpp 25\n}\n' \
    >"$D/bad.conf"
cp "$D/quire.conf" "$T/good.conf"
echo 'include bad.conf' >>"$D/quire.conf"
out=$(q config check 2>&1)
is "errors: exit status 78" "$?" 78
like "file, line, column and the nearest word" "$out" \
    "^bad.conf:1:1: unknown word 'hostnam', did you mean 'hostname'"
like "all errors at once" "$out" "^bad.conf:4:2: .*did you mean 'smtp'"
out=$(q reload 2>&1)
like "reload refuses it" "$out" "unknown word 'hostnam'"
kill -HUP "$FLOW_PID"
n=0
until grep -q 'ev=reload.failed' "$T/log" || [ $n -gt 50 ]; do
	n=$((n + 1))
	sleep 0.1
done
like "SIGHUP refuses it and keeps the old one" "$(cat "$T/log")" \
    'ev=reload.failed .*hostnam'
ok "login still works" curl -s "imap://127.0.0.1:$IMAP/" \
    -u quire@localhost:quirequire -o "$T/null"
cat "$T/good.conf" >"$D/quire.conf"
ok "reload of the repaired one" q reload
out=$(as quire localserve --dir "$D" 2>&1)
like "a second one on the same directory is told so" "$out" 'already running'
out=$(as quire frobnicate 2>&1)
is "unknown command: usage" "$?" 64
printf 'A: b\n\nc\n' | as quire-mda -M "$T/mail" -f a@example.org
out=$(as quire verify --deep "$T/mail" 2>&1)
is "verify: nothing to find" "$?: $out" \
    "0: checked mailboxes=6 messages=1 notes=0 warnings=0 errors=0"
rm "$T"/mail/*/[0-9]*.M*
out=$(as quire verify "$T/mail" 2>&1)
is "verify: exit status 2 after a loss" "$?" 2
like "verify: which message" "$out" '^error INBOX missing uid=1 file=.*: '
like "verify: counts" "$out" 'errors=1 missing=1$'
flow_stop
out=$(q status 2>&1)
is "status without a server" "$?" 69
done_testing

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
# what was counted: nothing is known of the series but by what was done
m=$(q status --metrics)
like "metrics: connections" "$m" \
    'quire_connections_total\{service="smtp"\} 1
quire_connections_total\{service="submission"\} 0'
like "metrics: logins" "$m" \
    'quire_logins_total\{service="imap",result="ok"\} 2'
is "metrics: no failed command" \
    "$(echo "$m" | grep -E '_errors_total\{' )" ''
printf 'NOOP\r\nMAIL FROM:<a@b.example>\r\nFROBNICATE\r\nEHLO x\r\nMAIL FROM:<big@b.example> SIZE=9999999999\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@localhost> FOO=1\r\nRCPT TO:<temperror@localhost>\r\nDATA\r\n\r\n.\r\nQUIT\r\n' |
    curl -s -m 20 "telnet://127.0.0.1:$SMTP" >"$T/null"
curl -s "imap://127.0.0.1:$IMAP/" -u bob@localhost:wrong -o "$T/null"
printf 'a NOOP\r\nb SELECT x\r\nc FROB\r\nd LOGOUT\r\n' |
    curl -s -m 20 "telnet://127.0.0.1:$IMAP" >"$T/null"
m=$(q status --metrics)
for s in 'smtp_errors_total{command="MAIL",code="503"} 1' \
    'smtp_errors_total{command="other",code="500"} 1' \
    'smtp_errors_total{command="RCPT",code="555"} 1' \
    'smtp_errors_total{command="DATA",code="451"} 1' \
    'imap_errors_total{command="AUTHENTICATE",result="NO"} 1' \
    'imap_errors_total{command="other",result="BAD"} 2' \
    'logins_total{service="imap",result="bad"} 1'; do
	is "metrics: $s" "$(echo "$m" | grep -F "$s")" "quire_$s"
done
is "every line is a comment or a number of ours" "$(echo "$m" |
    grep -vE '^(# (HELP|TYPE) quire_[a-z_]+ .+|quire_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9]+)$')" ''
is "every series has its type" "$(echo "$m" | sed -n 's/^\(quire_[a-z_]*\).*/\1/p' |
    sort -u)" "$(echo "$m" | sed -n 's/^# TYPE \(quire_[a-z_]*\) .*/\1/p' | sort -u)"
like "a refusal names the sender" "$(grep 'ev=smtp.reject' "$T/log")" \
    'level=info .*command=RCPT code=555 .*msgfrom=<a@b\.example>'
like "also that of a MAIL that is refused" "$(grep 'ev=smtp.reject' "$T/log")" \
    'command=MAIL code=552 .*msgfrom=<big@b\.example>'
like "there is none before MAIL" "$(grep 'ev=smtp.reject' "$T/log")" \
    'level=info .*command=MAIL code=503 .*msgfrom="" '
kill -KILL "$(pgrep -P "$FLOW_PID" -f quire-smtpd)"
until q status --metrics |
    grep -qx 'quire_program_restarts_total{program="quire-smtpd"} 1' &&
    q status | grep -q 'quire-smtpd .*running'; do sleep 0.1; done
like "counts outlive the front that died" "$(q status --metrics)" \
    'smtp_errors_total\{command="MAIL",code="503"\} 1'
FLOW_CRASHES=1 # that one
out=$(q status --metric 2>&1)
is "status: usage" "$?" 64
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

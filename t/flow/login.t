#!/bin/sh
# Logins that cannot be served now, with further commands right behind them:
# each has one answer, the next command is read, and imapd lives on.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
FLOW_CRASHES=1 # authd is killed
flow_init 43500
ulimit -s 1024 # what calls itself for each command is found out
flow_start || { fail "server starts"; done_testing; exit 0; }
login() {
	as /usr/bin/python3 "$T/login.py" "$IMAP" "$1" 2>&1
}
authd() {
	pgrep -P "$FLOW_PID" -f quire-authd
}

no_mailbox="* BYE goodbye
a NO [UNAVAILABLE] your mailbox cannot be opened now; the administrator's log says why (cid)
z OK LOGOUT completed"
as touch "$D/mail" # made with the first session
is "the mailbox cannot be opened" "$(login 1)" "$no_mailbox
1 replies"
is "again and again" "$(login 3)" "$no_mailbox
3 replies"
is "each was tried once" "$(grep -c 'ev=session.refused' "$T/log")" 4
as rm "$D/mail"
like "it can again" "$(login 1)" "a OK"

# it is started again after a pause that doubles
for _ in 1 2 3 4 5 6; do
	until pid=$(authd); do sleep 0.05; done
	kill -KILL "$pid"
	while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
done
is "no authd: each has its answer" "$(login 4000)" "* BYE goodbye
a NO [UNAVAILABLE] cannot check passwords now, try later
z OK LOGOUT completed
4000 replies"
until authd >/dev/null; do sleep 0.1; done
like "authd is back" "$(login 1)" "a OK"
is "imapd has not died" "$(grep -a 'ev=child.died program=quire-imapd' \
    "$T/log")" ""
flow_stop
done_testing

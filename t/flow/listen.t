#!/bin/sh
# Sockets that a service manager passes, what it is told, and listeners that
# a reload adds, changes and removes.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
flow_init 5000
q() { as quire -C "$D" "$@"; }
greets() { as /usr/bin/python3 -c "
import socket, sys
try:
    s = socket.create_connection(('$1', $2), timeout=20)
    print(s.makefile().readline()[:4].strip())
except ConnectionRefusedError:
    print('refused')"; }
# listen TEXT: the listeners of the configuration
listen() { echo "$1" | as tee "$D/listen.conf" >/dev/null; }
# quired_start COMMAND..: until ready, or its exit status in $rc
quired_start() {
	rm -f "$T/out"
	as_exec env NOTIFY_SOCKET="$T/notify" "$@" >"$T/out" 2>>"$T/log" &
	FLOW_PID=$!
	n=0
	until grep -qx ready "$T/out" 2>/dev/null; do
		n=$((n + 1))
		if [ $n -gt 300 ] || ! kill -0 "$FLOW_PID" 2>/dev/null; then
			wait "$FLOW_PID"
			rc=$?
			FLOW_PID=
			return 1
		fi
		sleep 0.1
	done
}
pass_to() { quired_start /usr/bin/python3 "$T/pass.py" "$@" -- quired -f -C "$D"; }
refused() { # WHAT PATTERN SPEC..
	_what=$1 _like=$2
	shift 2
	: >"$T/log"
	if pass_to "$@"; then
		fail "$_what: started"
		flow_stop
	else
		is "$_what: exit status" "$rc" 71
		like "$_what" "$(cat "$T/log")" "$_like"
	fi
}
as quire localserve --dir "$D" --ip 127.0.0.1 --port-offset "$P" \
    --init-only >/dev/null
A=$((1 + P)) B=$((2 + P)) C=$((3 + P)) E=$((4 + P))
listen "listener one {
	address 127.0.0.1
	smtp $A
	imap $B
	plain-login yes
}"
# what the manager hears
as_exec /usr/bin/python3 -c "
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind('$T/notify')
while True:
    m = s.recv(4096).decode()
    print(m.replace('\n', ' '), flush=True)" >"$T/told" 2>&1 &
MANAGER=$!
trap 'kill $MANAGER 2>/dev/null; flow_cleanup' EXIT
until [ -S "$T/notify" ]; do sleep 0.05; done
told() { sed 's/USEC=[0-9]\{1,\}$/USEC=n/' "$T/told" | tr '\n' ';'; }

# --- passed sockets ---
if pass_to "x=127.0.0.1:$A" "one.imap=127.0.0.1:$C"; then
	is "by address: it is served" "$(greets 127.0.0.1 $A)" 220
	is "by name, elsewhere: it is served" "$(greets 127.0.0.1 $C)" "* OK"
	is "and its own address is not bound" "$(greets 127.0.0.1 $B)" refused
	like "status says where" "$(q status)" "listening  imap +127.0.0.1:$C"
	pid=$(pgrep -P "$FLOW_PID" -f quire-smtpd)
	is "no program inherits what is not its own" \
	    "$(find "/proc/$pid/fd" -lname 'socket:*' | while read -r f; do
		grep -s "$(readlink "$f" | tr -dc 0-9)" /proc/net/tcp; done |
	    grep -c ' 0A ')" 1
	ok "reload keeps them" q reload
	is "still served" "$(greets 127.0.0.1 $C)" "* OK"
	kill -KILL "$(pgrep -P "$FLOW_PID" -f quire-imapd)"
	is "by the next imapd, too" "$(greets 127.0.0.1 $C)" "* OK"
	listen "listener two {
	address 127.0.0.1
	smtp $A
}"
	like "a reload without one of them is refused" "$(q reload 2>&1)" \
	    "descriptor 4 \(one\.imap\) listens on 127.0.0.1:$C, which no"
	is "nothing has changed" "$(greets 127.0.0.1 $C)" "* OK"
	FLOW_CRASHES=1
	flow_stop
	FLOW_CRASHES=
else
	fail "starts with passed sockets: $(cat "$T/log")"
fi
is "the manager was told" "$(told)" \
    'READY=1;RELOADING=1 MONOTONIC_USEC=n;READY=1;RELOADING=1 MONOTONIC_USEC=n;READY=1;STOPPING=1;'
listen "listener one {
	address 127.0.0.1
	smtp $A
	imap $B
	plain-login yes
}"
refused "no listener has it" \
    "descriptor 4 \(y\) listens on 127.0.0.1:$C, which no listener has" \
    "x=127.0.0.1:$A" "y=127.0.0.1:$C"
refused "a name of no service" 'descriptor 3 \(one.smtps\) listens on' \
    "one.smtps=127.0.0.1:$C"
refused "no TCP" 'descriptor 3 \(x\) is no listening TCP socket' \
    "x=127.0.0.1:$A:udp"
refused "not listening" 'descriptor 3 \(x\) is no listening TCP socket' \
    "x=127.0.0.1:$A:idle"
PASS_PID=1
export PASS_PID
: >"$T/log"
pass_to && flow_stop
is "for another process: not taken" "$(cat "$T/log" | grep -c LISTEN_FDS)" 0
unset PASS_PID
: >"$T/log"
quired_start /usr/bin/python3 -c "
import os
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='9999')
os.execvp('quired', ['quired', '-C', '$D'])"
like "too many" "$(cat "$T/log")" "LISTEN_FDS is '9999': a number up to 64"

# systemd's default: one socket for both families
if [ -e /proc/net/if_inet6 ] && [ -s /proc/net/if_inet6 ]; then
	listen "listener one {
	address :: 0.0.0.0
	smtp $A
	no-limits yes
}"
	if pass_to "x=[::]:$A"; then
		is "[::] takes IPv4" "$(greets 127.0.0.1 $A)" 220
		is "and IPv6" "$(greets ::1 $A)" 220
		like "the peer is what it is" "$(cat "$T/log")" \
		    'ev=connect remote=127\.0\.0\.1 '
		flow_stop
	else
		fail "starts with [::]: $(cat "$T/log")"
	fi
	listen "listener one {
	address ::
	smtp $A
}"
	refused "[::] for IPv6 alone" 'takes IPv4 too: add .address 0.0.0.0' \
	    "x=[::]:$A"
	pass_to "v6=[::]:$A" && flow_stop
fi
if command -v systemd-socket-activate >/dev/null; then
	listen "listener one {
	address 127.0.0.1
	smtp $A
	imap $B
}"
	rm -f "$T/out"
	as_exec systemd-socket-activate -E ASAN_OPTIONS -l "127.0.0.1:$A" -l "127.0.0.1:$C" \
	    --fdname=here:one.imap quired -f -C "$D" >"$T/out" 2>>"$T/log" &
	FLOW_PID=$!
	n=0
	until out=$(greets 127.0.0.1 $A) && [ "$out" != refused ] || [ $n -gt 50 ]; do
		n=$((n + 1))
		sleep 0.1
	done
	is "systemd: the connection that started it" "$out" 220
	is "systemd: by name" "$(greets 127.0.0.1 $C)" "* OK"
	flow_stop
fi

# --- a reload changes listeners ---
listen "listener one {
	address 127.0.0.1
	smtp $A
	imap $B
	plain-login yes
}"
quired_start quired -f -C "$D" || fail "starts: $(cat "$T/log")"
mkdir -m 777 "$T/steps"
as /usr/bin/python3 "$T/listen.py" "$A" "$B" "$T/steps" >"$T/py" 2>&1 &
client=$!
until [ -e "$T/steps/open" ] || ! kill -0 $client; do sleep 0.05; done
listen "listener one {
	address 127.0.0.1
	imap $A
	plain-login yes
}
listener two {
	address 127.0.0.1 ::ffff:127.0.0.1
	smtp $C
}"
as /usr/bin/python3 -c "
import socket, time, os
s = socket.create_server(('127.0.0.1', $C))
open('$T/steps/taken', 'w').close()
while not os.path.exists('$T/steps/free'): time.sleep(0.05)" &
taker=$!
until [ -e "$T/steps/taken" ]; do sleep 0.05; done
out=$(q reload 2>&1)
is "a port that another has: refused" "$?" 1
like "and says so" "$out" "listen on 127.0.0.1 port $C \(another program has it"
is "all is as it was: smtp" "$(greets 127.0.0.1 $A)" 220
is "all is as it was: imap" "$(greets 127.0.0.1 $B)" "* OK"
touch "$T/steps/free"
wait $taker
sed '/::ffff/s/ ::ffff:127.0.0.1//' "$D/listen.conf" >"$T/listen"
as cp "$T/listen" "$D/listen.conf"
ok "reload" q reload
is "added" "$(greets 127.0.0.1 $C)" 220
is "another service on the same port" "$(greets 127.0.0.1 $A)" "* OK"
is "removed" "$(greets 127.0.0.1 $B)" refused
touch "$T/steps/changed"
wait $client
is "sessions go on" "$(cat "$T/py")" "greetings 220 * O
kept 250 * B"
like "plain login is allowed there" \
    "$(curl -s -v "imap://127.0.0.1:$A/" -u quire@localhost:quirequire 2>&1)" \
    'a00. OK|A00. OK'
sed 's/plain-login yes/plain-login no/' "$D/listen.conf" >"$T/listen"
as cp "$T/listen" "$D/listen.conf"
ok "reload: no plain login" q reload
like "it is not allowed any more" \
    "$(curl -s -v "imap://127.0.0.1:$A/" -u quire@localhost:quirequire 2>&1)" \
    'LOGINDISABLED'
for p in smtpd imapd; do
	kill -KILL "$(pgrep -P "$FLOW_PID" -f quire-$p)"
done
FLOW_CRASHES=1
is "programs that were started again: smtp" "$(greets 127.0.0.1 $C)" 220
is "programs that were started again: imap" "$(greets 127.0.0.1 $A)" "* OK"
listen "listener one {
	address 0.0.0.0
	smtp $C
}"
like "all addresses in place of one" "$(q reload 2>&1)" \
    "listen on 0.0.0.0 port $C \(a socket of the present .* needs a restart"
listen "listener one {
	address 127.0.0.1
	smtp $C
}
listener two {
	address 127.0.0.1
	imap $C
}"
like "twice" "$(q reload 2>&1)" \
    "127.0.0.1 port $C is given twice: listeners one and two"
listen "listener one {
	address 127.0.0.1 0.0.0.0
	smtp $E
}"
like "one and all" "$(q reload 2>&1)" \
    "0.0.0.0 port $E \(another listener of this configuration has it"
is "and $E is not bound then" "$(greets 127.0.0.1 $E)" refused
is "it still serves" "$(greets 127.0.0.1 $C)" 220
# more often than there are places
for n in $(seq 1 70); do
	listen "listener n$n {
	address 127.0.0.1
	smtp $C
	imap $((A + n % 2))
	plain-login yes
}"
	q reload || break
done
is "70 reloads, each with other listeners" "$n" 70
is "the last one counts: imap" "$(greets 127.0.0.1 $A)" "* OK"
is "and no other" "$(greets 127.0.0.1 $B)" refused
is "smtp all the time" "$(greets 127.0.0.1 $C)" 220
# a front that is not told, because it does not read what quired says
pid=$(pgrep -P "$FLOW_PID" -f quire-smtpd)
lost() { grep -c 'ev=child.send program=quire-smtpd' "$T/log"; }
ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }
kill -STOP "$pid"
n=0
until [ "$(lost)" -gt 0 ] || [ $n -ge 2000 ]; do
	n=$((n + 1))
	q reload
done
ok "a stopped smtpd: its channel is full at last" [ "$(lost)" -gt 0 ]
listen "listener one {
	address 127.0.0.1
	imap $B
	plain-login yes
}"
ok "a reload without its listener" q reload
kill -CONT "$pid"
is "it is gone" "$(greets 127.0.0.1 $C)" refused
n=0
until grep -q 'ev=listener.closed .*service=smtp' "$T/log" || [ $n -gt 50 ]; do
	n=$((n + 1))
	sleep 0.1
done
is "smtpd says so once" \
    "$(grep -c 'ev=listener.closed .*service=smtp' "$T/log")" 1
# what it has been told since is a second's work
used=100 n=0
until [ "$used" -lt 20 ] || [ $n -ge 10 ]; do
	before=$(ticks)
	sleep 1
	used=$(($(ticks) - before))
	n=$((n + 1))
done
ok "and then has nothing to do ($used ticks in a second)" [ "$used" -lt 20 ]
flow_stop
done_testing

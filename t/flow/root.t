#!/bin/sh
# Started by root, as a service: every program under its own uid and with no
# more rights than its task, a session under its mailbox owner's, localserve
# under the owner of its directory. A crashed session costs its own
# connection and one line in the log.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
[ "$(id -u)" -eq 0 ] || skip_all "needs root"
flow_init 9000
A=64301 B=64302 # two mailbox owners without names
mkdir -p "$T/conf/domains" "$T/conf/accounts" "$T/mail/a" "$T/mail/b"
chown $A:$A "$T/mail/a"
chown $B:$B "$T/mail/b"
chmod 700 "$T/mail/a" "$T/mail/b"
chown root:root "$T"
cat >"$T/conf/quire.conf" <<C
hostname mail.example.org
state-dir $T/state
run-dir $T/run
mail-roots $T/mail
users {
	smtpd daemon
	imapd mail
	authd bin
	userdb bin
	mda nobody
	imap nobody
	check games
}
checks {
	enable no # there may be no resolver
}
listener l {
	address 127.0.0.1
	smtp $SMTP
	imap $IMAP
	plain-login yes
	no-limits yes
}
C
: >"$T/conf/domains/example.org.conf"
for u in a b c; do
	eval "id=\$$(echo $u | tr ab AB)"
	[ $u = c ] && id=$A
	printf 'address %s@example.org\nuid %s\ngid %s\nmaildir %s/mail/%s\n' \
	    $u "$id" "$id" "$T" $u >"$T/conf/accounts/$u.conf"
done
sed -i "s|^maildir.*|maildir $T/mail/b|" "$T/conf/accounts/c.conf"
for u in a b c; do
	echo "secret-of-$u" | quire -C "$T/conf" passwd $u
done
quired -f -C "$T/conf" >"$T/out" 2>"$T/log" &
FLOW_PID=$!
D=$T/conf
n=0
until grep -qx ready "$T/out" || [ $n -gt 100 ]; do
	n=$((n + 1))
	sleep 0.1
done
ok "the service starts" grep -qx ready "$T/out"
st=$(quire -C "$D" status)
pid_of() { printf '%s\n' "$st" | awk -v p="$1" '$1 == p { print $2 }'; }
owner() { ps -o user= -p "$(pid_of "$1")"; }
is "check is games" "$(owner quire-check)" games
is "smtpd is daemon" "$(owner quire-smtpd)" daemon
is "imapd is mail" "$(owner quire-imapd)" mail
is "authd is bin" "$(owner quire-authd)" bin
is "the nursery of imap is nobody" "$(owner quire-imap)" nobody
caps() { sed -n 's/^CapEff:[[:space:]]*//p' "/proc/$(pid_of "$1")/status"; }
is "smtpd has no capability" "$(caps quire-smtpd)" 0000000000000000
is "the nursery has SETUID and SETGID only" "$(caps quire-mda)" \
    00000000000000c0
[ -n "${QUIRE_SANITIZED-}" ] || like "seccomp filters authd" \
    "$(cat "/proc/$(pid_of quire-authd)/status")" 'Seccomp:	2'
login() { curl -s "imap://127.0.0.1:$IMAP/" -u "$1@example.org:secret-of-$1"; }
like "a logs in" "$(login a)" Sent
out=$(login c 2>&1)
is "a directory of somebody else is refused" "$?" 67
like "and the log says why" "$(cat "$T/log")" \
    'ev=session.refused account=c err=".*belongs to uid 64302, the account is uid 64301'
printf 'Subject: x\r\n\r\nhi\r\n' | curl -s "smtp://127.0.0.1:$SMTP" \
    --mail-from x@y.example --mail-rcpt b@example.org -T -
f=$(find "$T/mail/b/new" -type f)
is "mail for b is b's" "$(stat -c %u "$f")" $B
# two sessions of a; one crashes
python3 - "$IMAP" "$T" <<'P' >"$T/py" 2>&1
import imaplib, os, signal, subprocess, sys, time
port = int(sys.argv[1])
def session(u):
    m = imaplib.IMAP4("127.0.0.1", port)
    m.login(u + "@example.org", "secret-of-" + u)
    m.select()
    return m
one, two = session("a"), session("a")
pids = [int(p) for p in subprocess.check_output(["ps", "-o", "pid=", "-u", "64301"]).split()]
print("sessions", len(pids))
st = open("/proc/%d/status" % pids[0]).read()
print("caps", [l.split()[1] for l in st.splitlines() if l.startswith("CapEff")])
os.kill(max(pids), signal.SIGABRT)
time.sleep(0.5)
alive = 0
for m in (one, two):
    try:
        m.noop()
        alive += 1
    except Exception:
        pass
print("alive", alive)
print("again", session("a").state)
P
is "a's mailbox is a's" "$(stat -c %u "$T/mail/a/cur" "$T/mail/a/quire/journal" |
    sort -u)" $A
is "so are its marks, which it cannot open" \
    "$(stat -c '%u %a' "$T/state/marks/a"; stat -c '%u %a' "$T/state/marks")" \
    "$A 600
0 700"
ok "and they are written to" test -s "$T/state/marks/a"
like "both run under their owner" "$(cat "$T/py")" 'sessions 2'
like "without capabilities" "$(cat "$T/py")" "caps \['0000000000000000'\]"
like "one crashes, the other goes on" "$(cat "$T/py")" 'alive 1'
like "the next one starts" "$(cat "$T/py")" 'again SELECTED'
is "one line says so, with the cause" \
    "$(grep -c 'ev=worker.crashed .*cause=Aborted' "$T/log")" 1
quire -C "$D" stop
wait "$FLOW_PID"
is "ended cleanly" "$?" 0
FLOW_PID=

# localserve by root: the owner of DIR, of --maildir, or the fixed uid
local_owner() {
	quire localserve --ip 127.0.0.1 --port-offset "$P" "$@" \
	    >"$T/out" 2>>"$T/log" &
	FLOW_PID=$!
	n=0
	until grep -qx ready "$T/out" || [ $n -gt 100 ]; do
		n=$((n + 1))
		sleep 0.1
	done
	ps -o uid= -p "$FLOW_PID" | tr -d ' '
	ps -o uid= --ppid "$FLOW_PID" | tr -d ' ' | sort -u
	kill "$FLOW_PID"
	wait "$FLOW_PID"
	FLOW_PID=
}
chmod 755 "$T"
is "a new directory: the fixed uid" "$(local_owner --dir "$T/ls1" | sort -u)" 64190
is "again: the same" "$(local_owner --dir "$T/ls1" | sort -u)" 64190
is "an adopted tree: its owner" \
    "$(local_owner --dir "$T/ls2" --maildir "$T/mail/a" | sort -u)" $A
out=$(quire localserve --dir "$T/ls3" --maildir "$T/conf" --init-only 2>&1)
like "a tree of root's is refused" "$out" 'belongs to root'
done_testing

#!/bin/sh
# A message for several recipients: all get it or none does, a refused copy
# beside accepted ones is in Rejects, and no death of a deliverer loses one.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
flow_init 15000
as quire localserve --dir "$D" --ip 127.0.0.1 --port-offset "$P" --init-only >/dev/null
for a in two three; do
	printf 'address %s@localhost\nmaildir %s/mail/%s/Maildir\n' "$a" "$D" "$a" |
	    as tee "$D/accounts/$a.conf" >/dev/null
done
flow_start || { fail "server starts"; done_testing; exit 0; }
M2=$D/mail/two/Maildir M3=$D/mail/three/Maildir
printf 'From: a@b.example\nSubject: s\n\nbody\n' >"$T/m"
send() { # FILE RCPT..
	file=$1
	shift
	as /usr/bin/python3 "$T/smtp.py" "$SMTP" 127.0.0.1 x a@b.example \
	    "$file" "$@" 2>&1
}
files() { find "$@" -type f 2>/dev/null | wc -l; }
filed() { files "$MD/new" "$MD/cur" "$M2/new" "$M2/cur" "$M3/new" "$M3/cur"; }
clear_all() { find "$D/mail" -path '*/new/*' -type f -delete; }

like "three accept" "$(send "$T/m" quire@localhost two@localhost three@localhost)" 'END 250'
is "one copy each" "$(files "$MD/new") $(files "$M2/new") $(files "$M3/new")" "1 1 1"
is "each says for whom it is" "$(grep -h '^Delivered-To:' "$M2"/new/*)" "Delivered-To: two@localhost"
is "and does not name the others" "$(grep -c 'three@' "$M2"/new/*)" 0
clear_all
like "the same mailbox twice" "$(send "$T/m" two@localhost two+x@localhost)" 'END 250'
is "two copies" "$(files "$M2/new")" 2
clear_all

# temporary for one: for all
as chmod 500 "$M2/tmp"
like "one that cannot write: 4xx" "$(send "$T/m" quire@localhost two@localhost three@localhost)" 'END 451 4\.3\.0'
is "nothing is filed" "$(filed)" 0
is "nothing is left" "$(files "$MD/tmp" "$M3/tmp")" 0
as chmod 700 "$M2/tmp"
like "one refused for now" "$(send "$T/m" two@localhost x.temperror@localhost)" 'END 451 4\.0\.0'
is "nothing is filed either" "$(filed)" 0
like "then again" "$(send "$T/m" quire@localhost two@localhost three@localhost)" 'END 250'
is "all have it" "$(filed)" 3
clear_all

# refused for good by one
like "one refused for good, the others accept" \
    "$(send "$T/m" two@localhost x.permerror@localhost)" 'END 250'
is "filed where it was accepted" "$(files "$M2/new")" 1
f=$(find "$MD/.Rejects/cur" -type f)
like "the other copy is in Rejects, seen" "$f" ':2,S$'
like "and says why" "$(sed -n 1p "$f")" '^X-Quire-Reason: refused; 550 5\.0\.0 '
like "and of what" "$(sed -n 2p "$f")" '^X-Quire-Rejected: - [0-9a-f]{32}$'
like "above our other fields" "$(sed -n 3p "$f")" '^Delivered-To: x\.permerror@localhost'
clear_all
like "all refused: nothing is kept" "$(send "$T/m" x.permerror@localhost y.permerror@localhost)" 'END 550'
is "nor in Rejects" "$(files "$MD/.Rejects/cur" "$MD/.Rejects/new")" 1
{ printf 'Delivered-To: two@localhost\n'; cat "$T/m"; } >"$T/loop"
like "a loop" "$(send "$T/loop" two@localhost)" 'END 550 5\.4\.6'
is "is not filed" "$(files "$M2/new" "$M2/.Rejects")" 0
like "a loop of one recipient" "$(send "$T/loop" quire@localhost two@localhost)" 'END 250'
is "goes to the other" "$(files "$MD/new") $(files "$M2/new")" "1 0"
like "and to Rejects" "$(cat "$M2"/.Rejects/cur/* | sed -n 1p)" '^X-Quire-Reason: mail-loop'
clear_all
{
	i=0
	while [ $i -lt 10 ]; do
		printf 'Received: from a.example\n\tby localhost ([127.0.0.1]) via tcp; x\n'
		i=$((i + 1))
	done
	cat "$T/m"
} >"$T/loop"
like "ten times through this server" "$(send "$T/loop" two@localhost)" 'END 550 5\.4\.6'
sed '1,2d' "$T/loop" >"$T/nine"
like "nine times is no loop" "$(send "$T/nine" two@localhost)" 'END 250'
clear_all
like "postmaster without a domain" "$(send "$T/m" postmaster)" 'END 250'
like "has one" "$(grep -h '^Delivered-To' "$MD"/new/*)" 'ostmaster@localhost'
clear_all

all=$(i=0; while [ $i -lt 1000 ]; do echo "r${i}x@localhost"; i=$((i + 1)); done)
# shellcheck disable=SC2086
like "a thousand recipients" "$(send "$T/m" $all)" 'END 250'
is "a thousand copies" "$(files "$MD/new")" 1000
clear_all

# deliverers die at any time
cat >"$T/kill.py" <<'P'
import os, random, signal, smtplib, subprocess, sys, threading, time
port, D = int(sys.argv[1]), sys.argv[2]
boxes = [D + "/mail/%s/Maildir/" % a for a in ("quire", "two", "three")]
rcpts = ["quire@localhost", "two@localhost", "three@localhost"]
acked, failed, kills, done = [], [], 0, False
pids = [l.split()[1] for l in subprocess.run(["quire", "-C", D, "status"],
    stdout=subprocess.PIPE).stdout.decode().splitlines() if l.startswith("quire-mda")]
def children(pid):
    try:
        return open("/proc/%s/task/%s/children" % (pid, pid)).read().split()
    except OSError:
        return []
def killer():
    global kills
    while not done:
        time.sleep(random.uniform(0.005, 0.03))
        for p in pids:
            c = children(p)
            if c:
                try:
                    os.kill(int(random.choice(c)), signal.SIGKILL)
                    kills += 1
                except OSError:
                    pass
t = threading.Thread(target=killer)
t.start()
for i in range(250):
    try:
        s = smtplib.SMTP("127.0.0.1", port, timeout=60)
        s.sendmail("a@b.example", rcpts, "X-Id: %d\r\n\r\nbody\r\n" % i)
        acked.append(i)
        s.close()
    except smtplib.SMTPException:
        failed.append(i)
done = True
t.join()
time.sleep(1)
count = [{} for b in boxes]
for k, b in enumerate(boxes):
    for d in ("new", "cur"):
        for f in os.listdir(b + d):
            i = [int(l[6:]) for l in open(b + d + "/" + f) if l.startswith("X-Id: ")]
            if i:
                count[k][i[0]] = count[k].get(i[0], 0) + 1
lost = [(i, k) for i in acked for k in range(3) if count[k].get(i, 0) == 0]
twice = [(i, k) for i in acked for k in range(3) if count[k].get(i, 0) > 1]
print("acknowledged %d failed %d kills %d lost %s twice %s" % (len(acked), len(failed), kills, lost, twice))
P
out=$(as /usr/bin/python3 "$T/kill.py" "$SMTP" "$D" 2>&1)
diag "$out"
like "none that was acknowledged is lost or doubled" "$out" 'lost \[\] twice \[\]'
ok "deliverers were killed" [ "$(printf '%s' "$out" | sed 's/.*kills \([0-9]*\).*/\1/')" -gt 5 ]
ok "most came through" [ "$(printf '%s' "$out" | sed 's/acknowledged \([0-9]*\).*/\1/')" -gt 125 ]
is "nothing else died" "$(grep -aE 'ev=child.died|runtime error|AddressSanitizer|Assertion' "$T/log")" ""
FLOW_CRASHES=1
flow_stop
done_testing

#!/bin/sh
# The first message of a sender waits before it is filed, for that recipient,
# as long as the listener says; who leaves meanwhile leaves nothing behind.
# The name server is Debian's knot.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
. "$SRCDIR/t/lib/knot.sh"
knot_have || skip_all "knot cannot be had here"
flow_init 24000
FLOW_CRASHES=1 # an mda is killed
OUR=127.0.0.5 OTHER=127.0.0.6
zone dns.test <<Z
ns A 127.0.0.1
Z
# without a policy: who is not confirmed may write all the same
zone some.test <<Z
@ MX 10 mail
mail A $OUR
@ TXT "v=spf1 ip4:$OUR ?all"
mail TXT "v=spf1 a ?all"
Z
zone 127.in-addr.arpa <<Z
5.0.0 PTR mail.some.test.
Z
knot_start || { fail "name server starts"; done_testing; exit 0; }
trap 'knot_stop; flow_cleanup' EXIT
as quire localserve --dir "$D" --ip 127.0.0.1 --port-offset "$P" --init-only >/dev/null
like "localserve makes nobody wait" "$(cat "$D/listen.conf")" 'first-time-sender-delay 0s'
cat >>"$D/quire.conf" <<C
checks {
	enable yes
	resolver 127.0.0.1:$KNOT_PORT
}
include first.conf
C
# listeners DELAY: of the one that the script changes
listeners() {
	as tee "$D/first.conf" >/dev/null <<C
listener changed {
	address 127.0.0.1
	smtp $((1 + P))
	first-time-sender-delay $1
}
listener long {
	address 127.0.0.1
	smtp $((2 + P))
	first-time-sender-delay 60s
}
listener usual {
	address 127.0.0.1
	smtp $((3 + P))
}
listener free {
	address 127.0.0.1
	smtp $((4 + P))
	no-limits yes
	first-time-sender-delay 60s
}
listener ours {
	address 127.0.0.1
	submission $((5 + P))
	plain-login yes
	first-time-sender-delay 60s
}
C
}
listeners 2s
account() {
	{
		printf 'address %s@localhost\nmaildir %s/mail/%s/Maildir\n' \
		    "$1" "$D" "$1"
		cat
	} | as tee "$D/accounts/$1.conf" >/dev/null
}
account two </dev/null
account strict <<C
require-alignment yes
C
account exempt <<C
first-time-sender-delay no
C
account far </dev/null
printf 'layout fs\nindex-root %s/far-index\n' "$D" |
    as tee -a "$D/accounts/far.conf" >/dev/null
flow_start || { fail "server starts"; done_testing; exit 0; }
run() {
	as /usr/bin/python3 "$T/first.py" "$@" "$D" "$P" "$FLOW_PID" >"$T/py" 2>&1
	while read -r line; do
		case $line in
		"ok "*) pass "${line#ok - }" ;;
		"not ok "*) fail "${line#not ok - }" ;;
		*) diag "$line" ;;
		esac
	done <"$T/py"
	ok "the script ran to its end: $1" grep -q 'the script is at its end' "$T/py"
}
run waits
like "the log says so" "$(cat "$T/log")" \
    'prog=quire-smtpd pid=[0-9]+ sid=[^ ]+ ev=deliver.wait from=one@some.test confirmed=1 ms=2000'
is "the index root has what its account knows" \
    "$(ls "$D/far-index/acct/senders" 2>&1)" "$D/far-index/acct/senders"

# quire explain knows it too
explain() {
	printf 'From: One <%s@some.test>\nSubject: s\n\nbody\n' \
	    "${3-one}" >"$T/m"
	as quire -C "$D" explain "$T/m" --ip "$1" --helo mail.some.test \
	    --from one@some.test --rcpt "$2" --dns-timeout 3s | grep '^first'
}
like "explain: known" "$(explain $OUR quire@localhost)" \
    "^first +known +one@some.test has written to account quire before, last noted on $(date -u +%Y-%m-%d)"
like "explain: unknown" "$(explain $OTHER two@localhost)" \
    '^first +unknown +one@some.test \(not confirmed\) has not written to account two: waits 2000 ms at listener changed, 60000 ms at listener long, 15000 ms at listener usual$'
like "explain: a refused message, in Rejects, makes nobody known" \
    "$(explain $OTHER strict@localhost refused)" \
    '^first +unknown +refused@some.test \(not confirmed\)'
like "explain: exempt" "$(explain $OTHER exempt@localhost)" '^first +exempt '
like "explain: LAYOUT=fs" "$(explain $OUR far@localhost)" '^first +known '

for d in 4s 0s 2s; do
	listeners $d
	n=$(grep -c ev=reload "$T/log")
	as quire -C "$D" reload >/dev/null
	i=0
	until [ "$(grep -c ev=reload "$T/log")" -gt "$n" ] || [ $i -gt 50 ]; do
		i=$((i + 1))
		sleep 0.1
	done
	sleep 0.5
	run $d
done
run leaving
run dying

# a stop does not wait, and files nothing
run stop
is "nothing is left of it" \
    "$(find "$D"/mail/*/Maildir/tmp -type f)" ""
flow_stop
like "verify has nothing against it" \
    "$(as quire -C "$D" verify --deep 2>&1)" ' warnings=0 errors=0$'
done_testing

#!/bin/sh
# Certificates by the name that a client asks for, the minimum of versions,
# and both changed by a reload.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
command -v openssl >/dev/null || skip_all "openssl is not installed"
flow_init 19000
as quire localserve --dir "$D" --ip 127.0.0.1 --port-offset "$P" \
    --init-only >/dev/null

# cert FILE CN SAN..: a certificate and its key
cert() {
	_f="$D/$1" _cn=$2
	shift 2
	as openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
	    -nodes -days 30 -keyout "$_f.key" -out "$_f.pem" -subj "/CN=$_cn" \
	    -addext "subjectAltName=$(printf ',DNS:%s' "$@" | cut -c 2-)" \
	    2>>"$T/openssl"
}
cert mail "the hostname's" mail.here.test '*.wild.test'
cert imap "of imap" imap.here.test
cert other "of other" other.test
sed '/^hostname/d; /^tls {/,/^}/d' "$D/quire.conf" >"$T/rest"
# conf MINIMUM [HOST FILE]..
conf() {
	{
		cat "$T/rest"
		printf 'hostname mail.here.test\ntls {\n'
		printf '\tcertificate "%s/mail.pem"\n\tkey "%s/mail.key"\n' \
		    "$D" "$D"
		printf '\tminimum %s\n' "$1"
		shift
		while [ $# -gt 0 ]; do
			printf '\thost %s {\n\t\tcertificate "%s/%s.pem"\n' \
			    "$1" "$D" "$2"
			printf '\t\tkey "%s/%s.key"\n\t}\n' "$D" "$2"
			shift 2
		done
		printf '}\n'
	} >"$T/conf"
	as cp "$T/conf" "$D/quire.conf"
}
conf 1.2 imap.here.test imap other.test other
like "config check looks into certificates" "$(as quire -C "$D" config check)" \
    'no errors'
flow_start || { fail "server starts"; done_testing; exit 0; }

# shake SERVICE [OPTION..]: whose certificate, or the alert
shake() {
	case $1 in
	smtp) _c="$SMTP -starttls smtp" ;;
	submission) _c="$SUBMISSION -starttls smtp" ;;
	submissions) _c=$SUBMISSIONS ;;
	imap) _c="$IMAP -starttls imap" ;;
	imaps) _c=$IMAPS ;;
	esac
	shift
	# shellcheck disable=SC2086 # port and options
	openssl s_client -connect 127.0.0.1:$_c "$@" </dev/null >"$T/s" 2>&1
	sed -n 's/^subject=CN = //p; s/.*SSL alert number \([0-9]*\)$/alert \1/p' \
	    "$T/s" | head -n 1
}
for s in smtp submission submissions imap imaps; do
	is "$s: no name is the hostname" "$(shake $s -noservername)" \
	    "the hostname's"
	is "$s: the hostname" "$(shake $s -servername mail.here.test)" \
	    "the hostname's"
	is "$s: a name in its certificate" \
	    "$(shake $s -servername x.wild.test)" "the hostname's"
	is "$s: a host, in any case" "$(shake $s -servername Imap.Here.test)" \
	    "of imap"
	is "$s: another" "$(shake $s -servername other.test)" "of other"
	[ $s = smtp ] && want="the hostname's" || want="alert 112"
	for v in -tls1_2 -tls1_3; do
		is "$s: a name of others, $v" \
		    "$(shake $s -servername sub.other.test $v)" "$want"
	done
	is "$s: an address is no name" "$(shake $s -servername 127.0.0.1)" \
	    "the hostname's"
	is "$s: TLS 1.1 is refused" \
	    "$(shake $s -tls1_1 -cipher DEFAULT@SECLEVEL=0)" "alert 70"
	like "$s: TLS 1.2 is not" "$(shake $s -tls1_2; cat "$T/s")" \
	    'Protocol *: TLSv1\.2'
done
like "the log says why" "$(cat "$T/log")" \
    'ev=disconnect .*why="no certificate for the name it asked for"'
ok "curl verifies the one it asked for" curl -s --cacert "$D/imap.pem" \
    --resolve "imap.here.test:$IMAPS:127.0.0.1" \
    "imaps://imap.here.test:$IMAPS/" -u quire@localhost:quirequire -o "$T/null"

for h in mail imap other; do
	is "a login is bound to the certificate of $h" \
	    "$(as /usr/bin/python3 "$T/scram.py" "$IMAPS" \
	    "$(echo $h | sed 's/mail/mail.here/; s/imap/imap.here/').test" \
	    "$D/$h.pem" 2>&1)" "server proved
OK"
done

# a handshake that began before a reload is finished with the old table
as /usr/bin/python3 - "$SUBMISSIONS" "$D" "$T" >"$T/py" 2>&1 <<'P' &
import os, socket, ssl, sys, time
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
i, o = ssl.MemoryBIO(), ssl.MemoryBIO()
c = ssl.create_default_context(cafile=sys.argv[2] + "/other.pem")
t = c.wrap_bio(i, o, server_hostname="other.test")
try:
    t.do_handshake()
except ssl.SSLWantReadError:
    pass
hello = o.read()
s.sendall(hello[:20])
open(sys.argv[3] + "/half", "w").close()
while not os.path.exists(sys.argv[3] + "/reloaded"):
    time.sleep(0.05)
s.sendall(hello[20:])
s.settimeout(10)
while True:
    try:
        t.do_handshake()
        break
    except ssl.SSLWantReadError:
        i.write(s.recv(65536))
print("up", t.version())
P
half=$!
until [ -e "$T/half" ]; do sleep 0.05; done
sleep 0.3
conf 1.3 imap.here.test other
ok "reload" as quire -C "$D" reload
is "reload: the new certificate" "$(shake imaps -servername imap.here.test)" \
    "of other"
is "reload: a host that is gone" "$(shake imaps -servername other.test)" \
    "alert 112"
as touch "$T/reloaded"
wait $half
is "reload: who had begun is served" "$(cat "$T/py")" "up TLSv1.3"
for s in smtp imaps; do
	is "$s: TLS 1.2 is refused" "$(shake $s -tls1_2)" "alert 70"
	is "$s: TLS 1.3 is not" "$(shake $s -tls1_3)" "the hostname's"
done

# a key of another certificate, then a file that is not there
as cp "$D/mail.key" "$T/mail.key"
as cp "$D/imap.key" "$D/mail.key"
out=$(as quire -C "$D" reload 2>&1)
is "reload refuses a wrong key" "$?" 78
like "and says whose" "$out" 'certificate of mail\.here\.test: private key: '
like "so does config check" "$(as quire -C "$D" config check 2>&1)" \
    'certificate of mail\.here\.test'
kill -HUP "$FLOW_PID"
n=0
until grep -q 'ev=tls.config' "$T/log" || [ $n -gt 50 ]; do
	n=$((n + 1))
	sleep 0.1
done
like "a reload by signal keeps the old one, too" "$(cat "$T/log")" \
    'level=error .*ev=tls.config err="certificate of mail\.here\.test'
is "it is still served" "$(shake imaps -noservername)" "the hostname's"
as cp "$T/mail.key" "$D/mail.key"
as rm "$D/other.key"
out=$(as quire -C "$D" reload 2>&1)
like "a file that is not there" "$out" 'other\.key: No such file'
kill -HUP "$FLOW_PID"
n=0
until grep -q 'ev=reload.failed .*other.key' "$T/log" || [ $n -gt 50 ]; do
	n=$((n + 1))
	sleep 0.1
done
like "quired says so" "$(cat "$T/log")" 'ev=reload.failed .*other\.key: No such'
is "with all as before" "$(shake imaps -servername imap.here.test)" "of other"

# none at all: it is not offered any more, and again
sed '/imaps\|submissions/d' "$D/listen.conf" >"$T/listen"
as cp "$D/listen.conf" "$T/listen.all"
as cp "$T/listen" "$D/listen.conf"
{ cat "$T/rest"; echo 'hostname mail.here.test'; } >"$T/conf"
as cp "$T/conf" "$D/quire.conf"
offers() {
	printf 'EHLO x\r\nSTARTTLS\r\nQUIT\r\n' |
	    curl -s -m 20 "telnet://127.0.0.1:$SMTP" | tr -d '\r' |
	    grep -E 'STARTTLS|TLS not'
}
is "TLS is offered" "$(offers | cut -c 5-12)" "STARTTLS"
ok "reload without tls" as quire -C "$D" reload
like "it is not any more" "$(offers)" '^502 5\.5\.1 TLS not available'
as cp "$T/listen.all" "$D/listen.conf"
conf 1.2
ok "reload with tls" as quire -C "$D" reload
is "it is again" "$(shake smtp -noservername)" "the hostname's"
is "and its listeners are back" "$(shake imaps -noservername)" "the hostname's"
flow_stop
done_testing

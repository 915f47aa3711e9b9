#!/bin/sh
# What the header says of DNSSEC: the same domain signed, unsigned and with a
# broken chain of trust, from a name server (knot) behind a validating
# resolver (unbound) on this machine.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
. "$SRCDIR/t/lib/knot.sh"
knot_have || skip_all "knot cannot be had here"
sh "$SRCDIR/t/lib/peers.sh" unbound >/dev/null 2>&1
[ -x "$KNOT/usr/sbin/unbound" ] || skip_all "unbound cannot be had here"
flow_init 17000
OUR=127.0.0.5
UNBOUND_PORT=$((P + 54))
as quire dkim keygen ed25519 >"$T/key.pem"
key=$(as quire dkim txt "$T/key.pem")
for z in signed plain broken; do
	zone $z.test <<Z
@ MX 10 mail
mail A $OUR
@ TXT "v=spf1 a:mail.$z.test -all"
key._domainkey TXT "$key"
_dmarc TXT "v=DMARC1; p=reject"
Z
done
# keys and hosts elsewhere, in zones that are signed or not
cat >>"$T/knot/zones/signed.test.zone" <<Z
there CNAME mail.plain.test.
twice CNAME mid
mid CNAME mail.plain.test.
here CNAME mail
key2._domainkey CNAME key._domainkey.plain.test.
mark A $OUR
_dmarc.mark CNAME _dmarc.plain.test.
Z
cat >>"$T/knot/zones/plain.test.zone" <<Z
back CNAME mail.signed.test.
7.ptr PTR host7
host7 A 127.0.0.7
Z
REVERSE='7.0.0 CNAME 7.ptr.plain.test.' # RFC 2317
zone 127.in-addr.arpa <<Z
5.0.0 PTR mail.signed.test.
6.0.0 PTR mail.plain.test.
$REVERSE
Z
KNOT_SIGNED="signed.test broken.test 127.in-addr.arpa"
KNOT_TEMPLATES="  - id: signed
    storage: $T/knot/zones
    file: \"%s.zone\"
    zonefile-sync: -1
    dnssec-signing: on"
knot_start || { fail "name server starts"; done_testing; exit 0; }
trap 'kill $UNBOUND_PID 2>/dev/null; knot_stop; flow_cleanup' EXIT

# unbound knows the keys of two zones, and a wrong one of the third
mkdir "$T/peer2" # knotd is running from the other one
cp -L "$KNOT/usr/sbin/keymgr" "$KNOT/usr/sbin/unbound" "$T/peer2/"
cp -L "$KNOT"/usr/lib/*-linux-gnu/*.so* "$T/peer2/" 2>/dev/null
chmod -R a+rX "$T/peer2"
ds() {
	LD_LIBRARY_PATH=$T/peer2 as "$T/peer2/keymgr" -c "$T/knot/knot.conf" \
	    "$1." ds 2>/dev/null | grep ' 13 2 '
}
anchor() { ds "$1" | sed 's/.*/	trust-anchor: "&"/'; }
as mkdir "$T/unbound"
{
	cat <<C
server:
	interface: 127.0.0.1@$UNBOUND_PORT
	do-not-query-localhost: no
	chroot: ""
	directory: "$T/unbound"
	pidfile: ""
	username: ""
	use-syslog: no
	num-threads: 1
	module-config: "validator iterator"
	ede: yes
	val-log-level: 2
	local-zone: "test." nodefault
	local-zone: "127.in-addr.arpa." nodefault
C
	anchor signed.test
	anchor 127.in-addr.arpa
	anchor broken.test | sed 's/ 13 2 ..../ 13 2 0000/'
	for z in signed.test plain.test broken.test 127.in-addr.arpa; do
		printf 'forward-zone:\n\tname: "%s."\n\tforward-addr: 127.0.0.1@%s\n' \
		    $z "$KNOT_PORT"
	done
	printf 'remote-control:\n\tcontrol-enable: no\n'
} >"$T/unbound/unbound.conf"
chmod a+r "$T/unbound/unbound.conf"
LD_LIBRARY_PATH=$T/peer2 as_exec "$T/peer2/unbound" -d \
    -c "$T/unbound/unbound.conf" >"$T/unbound.log" 2>&1 &
UNBOUND_PID=$!
R=127.0.0.1:$UNBOUND_PORT
n=0
until as quire dns lookup MX plain.test --resolver "$R" \
    --dns-timeout 500ms | grep -q status=ok || [ $n -gt 40 ]; do
	n=$((n + 1))
	sleep 0.1
done
[ $n -le 40 ] || diag "$(tail -5 "$T/unbound.log")"
q() { as quire dns lookup "$@" --resolver "$R" --dns-timeout 5s; }
like "signed: authentic" "$(q MX signed.test)" 'status=ok authentic=yes'
like "a name that is not there, authentic" "$(q A nope.signed.test)" 'status=nxdomain authentic=yes'
like "unsigned: not authentic" "$(q MX plain.test)" 'status=ok authentic=no'
like "broken: bogus, and why" "$(q MX broken.test)" 'status=bogus authentic=no ede=[0-9]+'
like "a chain within a signed zone" "$(q A here.signed.test)" 'status=ok authentic=yes records'
like "out of it: where that ends" "$(q A there.signed.test)" \
    'status=ok authentic=no insecure_at=mail.plain.test '
like "after two steps" "$(q A twice.signed.test)" 'authentic=no insecure_at=mail.plain.test '
like "into it: not authentic from the beginning" "$(q A back.plain.test)" 'authentic=no records'

as quire localserve --dir "$D" --ip 127.0.0.1 --port-offset "$P" --init-only >/dev/null
cat >>"$D/quire.conf" <<C
checks {
	enable yes
	resolver $R
}
limits { check 10s }
C
flow_start || { fail "server starts"; done_testing; exit 0; }
like "the log says that DNSSEC is believed" "$(cat "$T/log")" 'ev=check.resolver .*dnssec=1'

# receive IP MAIL-FROM FROM-DOMAIN: signed by that domain
receive() {
	rm -f "$MD"/new/*
	printf 'From: a@%s\r\nTo: quire@localhost\r\nSubject: s\r\n\r\nbody\r\n' \
	    "$3" >"$T/m"
	as quire dkim sign --key "$T/key.pem" --domain "$3" --selector key \
	    "$T/m" >"$T/signed"
	out=$(as /usr/bin/python3 "$T/smtp.py" "$SMTP" "$1" mail.plain.test \
	    "$2" "$T/signed" quire@localhost 2>&1)
	head=$(cat "$MD"/new/* 2>/dev/null | sed '/^$/q' | tr -d '\n' | tr '\t' ' ')
}
receive $OUR a@signed.test signed.test
like "signed: accepted" "$out" 'END 250'
like "iprev with dnssec" "$head" 'iprev=pass \(with dnssec\)'
like "dkim with dnssec" "$head" 'dkim=pass \([^)]*, with dnssec\) header.d=signed.test'
like "spf with dnssec" "$head" 'spf=pass \(with dnssec\) smtp.mailfrom=a@signed.test'
like "dmarc with dnssec" "$head" 'dmarc=pass \(p=reject, with dnssec\)'
like "Received-SPF with dnssec" "$head" 'Received-SPF: pass \([^)]*with dnssec\)'
printf 'From: a@signed.test\r\nTo: quire@localhost\r\nSubject: s\r\n\r\nbody\r\n' >"$T/m"
as quire dkim sign --key "$T/key.pem" --domain signed.test --selector key2 "$T/m" >"$T/signed"
like "a key elsewhere: the tool says where it ends" \
    "$(as quire dkim verify "$T/signed" --resolver "$R")" \
    '^result=pass .*authentic=no insecure_at=key._domainkey.plain.test'
rm -f "$MD"/new/*
as /usr/bin/python3 "$T/smtp.py" "$SMTP" $OUR mail.plain.test a@signed.test "$T/signed" quire@localhost >/dev/null 2>&1
like "and so does the header" "$(cat "$MD"/new/* | sed '/^$/q' | tr -d '\n' | tr '\t' ' ')" \
    'dkim=pass \([^)]*dnssec as far as key._domainkey.plain.test, without dnssec\) header.d=signed.test'
sed 's/^From:.*/From: a@mark.signed.test\r/' "$T/m" >"$T/mark"
as quire dkim sign --key "$T/key.pem" --domain signed.test --selector key "$T/mark" >"$T/signed"
rm -f "$MD"/new/*
as /usr/bin/python3 "$T/smtp.py" "$SMTP" 127.0.0.7 mail.plain.test a@signed.test "$T/signed" quire@localhost >/dev/null 2>&1
head=$(cat "$MD"/new/* | sed '/^$/q' | tr -d '\n' | tr '\t' ' ')
like "a policy elsewhere" "$head" 'dmarc=pass \(p=reject, dnssec as far as _dmarc.plain.test, without dnssec\)'
like "a reverse name elsewhere" "$head" 'iprev=pass \(dnssec as far as 7.ptr.plain.test, without dnssec\)'
receive 127.0.0.6 a@plain.test plain.test
like "unsigned: DKIM passes" "$head" 'dkim=pass \([^)]*, without dnssec\) header.d=plain.test'
like "SPF fails, unsigned" "$head" 'spf=fail \(without dnssec\)'
like "its address has no name that points back" "$head" 'iprev=fail \(without dnssec\)'
like "dmarc without dnssec" "$head" 'dmarc=pass \(p=reject, without dnssec\)'
receive $OUR a@broken.test broken.test
like "broken: as if there were no answer" "$out" 'MAIL 451 4\.4\.0'
receive $OUR a@plain.test broken.test
like "broken signer and author: not known yet, put off" "$out" 'END 451 4\.4\.3'
is "nothing is filed" "$head" ""
printf 'From: a@plain.test\r\nTo: quire@localhost\r\nSubject: s\r\n\r\nbody\r\n' >"$T/m"
as quire dkim sign --key "$T/key.pem" --domain plain.test --selector key "$T/m" >"$T/one"
as quire dkim sign --key "$T/key.pem" --domain broken.test --selector key "$T/one" >"$T/signed"
rm -f "$MD"/new/*
out=$(as /usr/bin/python3 "$T/smtp.py" "$SMTP" $OUR mail.plain.test a@plain.test "$T/signed" quire@localhost 2>&1)
like "a broken signer beside a good one" "$out" 'END 250'
like "is a temperror" "$(cat "$MD"/new/* | sed '/^$/q' | tr -d '\n' | tr '\t' ' ')" \
    'dkim=temperror .*header.d=broken.test.*dkim=pass .*header.d=plain.test.*dmarc=pass'
flow_stop
done_testing

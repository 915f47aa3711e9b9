#!/bin/sh
# What becomes of mail from strangers: every result of every method in the
# header, refusals by DMARC and block lists, DNS that is slow or away,
# forged header fields. The name server is Debian's knot.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
. "$SRCDIR/t/lib/knot.sh"
knot_have || skip_all "knot cannot be had here"
flow_init 7000
OUR=127.0.0.5 BAD=127.0.0.6 LISTED=127.0.0.9
for k in rsa ed25519; do
	as quire dkim keygen $k >"$T/$k.pem"
done
txt() { as quire dkim txt "$T/$1.pem" | fold -w 200 | sed 's/.*/"&"/' | tr '\n' ' '; }
zone dns.test <<Z
ns A 127.0.0.1
Z
zone good.test <<Z
@ MX 10 mail
mail A $OUR
@ TXT "v=spf1 ip4:$OUR -all"
mail TXT "v=spf1 a -all"
rsa._domainkey TXT $(txt rsa)
ed._domainkey TXT $(txt ed25519)
revoked._domainkey TXT "v=DKIM1; p="
_dmarc TXT "v=DMARC1; p=reject"
Z
zone quar.test <<Z
@ MX 10 mail.good.test.
_dmarc TXT "v=DMARC1; p=quarantine; sp=none"
sub A $OUR
Z
zone pct.test <<Z
@ MX 10 mail.good.test.
_dmarc TXT "v=DMARC1; p=reject; pct=0"
Z
zone plain.test <<Z
@ A $OUR
soft A $OUR
soft TXT "v=spf1 ~all"
neutral A $OUR
neutral TXT "v=spf1 ?all"
broken A $OUR
broken TXT "v=spf1 ip4:nonsense -all"
badmarc A $OUR
_dmarc.badmarc TXT "v=DMARC1; p=perhaps"
nomail TXT "neither MX nor address"
null MX 0 .
Z
zone none.test <<Z
@ A $OUR
_dmarc TXT "v=DMARC1; p=none"
Z
# the server has it and cannot load it: SERVFAIL
zone lost.none.test <<Z
@ NOTYPE "lost"
Z
zone 127.in-addr.arpa <<Z
5.0.0 PTR mail.good.test.
6.0.0 PTR mail.good.test.
Z
zone bl.test <<Z
2.0.0.127 A 127.0.0.2
9.0.0.127 A 127.0.0.4
Z
zone sick.test <<Z
* A 127.0.0.2
Z
knot_start || { fail "name server starts"; done_testing; exit 0; }
trap 'knot_stop; flow_cleanup' EXIT
as quire localserve --dir "$D" --ip 127.0.0.1 --port-offset "$P" --init-only >/dev/null
cat >>"$D/quire.conf" <<C
checks {
	enable yes
	resolver 127.0.0.1:$KNOT_PORT
	dnsbl bl.test sick.test
	authserv-id mx.here.test
}
limits {
	check 3s
	write 8s
}
listener strict {
	address 127.0.0.1
	smtp $((1 + P))
	first-time-sender-delay 0s
}
C
cat >>"$D/domains/localhost.conf" <<C
dmarc-reports postmaster
tls-reports quire
C
printf 'address two@localhost\nmaildir %s/mail/two/Maildir\nrequire-alignment yes\n' "$D" |
    as tee "$D/accounts/two.conf" >/dev/null
flow_start || { fail "server starts"; done_testing; exit 0; }

# message FROM-DOMAIN: a message of that author
message() { printf 'From: a@%s\nTo: quire@localhost\nSubject: s\nX-N: %s\n\nbody\n' "$1" "$2"; }
n=0
# receive IP MAIL-FROM FILE [ARG..]: the replies; new file in $f
receive() {
	ip=$1 from=$2 file=$3
	shift 3
	n=$((n + 1))
	rm -f "$MD"/new/*
	as /usr/bin/python3 "$T/smtp.py" "$@" "$SMTP" "$ip" mail.good.test \
	    "$from" "$file" quire@localhost >"$T/replies" 2>&1
	out=$(cat "$T/replies")
	f=$(ls "$MD"/new/* 2>/dev/null)
	[ -n "$f" ] && head=$(sed '/^$/q' "$f" | tr -d '\n' | tr '\t' ' ') || head=
}
sign() { as quire dkim sign --key "$T/$1.pem" --domain "$2" --selector "$3" "$4"; }

message good.test 1 >"$T/m"
sign rsa good.test rsa "$T/m" >"$T/signed"
sign ed25519 good.test ed "$T/signed" >"$T/signed2"
receive $OUR a@good.test "$T/signed2"
like "accepted" "$out" 'END 250'
like "order of our fields" "$(sed '/^$/q' "$f" | grep -oE '^[A-Za-z-]+:' | head -n 5 | tr '\n' ' ')" \
    '^Delivered-To: Return-Path: Authentication-Results: Received-SPF: Received: $'
like "authserv-id" "$head" 'Authentication-Results: mx\.here\.test;'
like "iprev=pass" "$head" "iprev=pass \(without dnssec\) policy.iprev=$OUR"
like "dkim=pass, rsa" "$head" 'dkim=pass \(2048 bits, without dnssec\) header.d=good.test header.s=rsa header.a=rsa-sha256 header.b="?[A-Za-z0-9+/]{12}'
like "dkim=pass, ed25519" "$head" 'dkim=pass .* header.a=ed25519-sha256'
like "spf=pass of MAIL FROM" "$head" 'spf=pass \(without dnssec\) smtp.mailfrom=a@good.test'
like "spf=pass of HELO" "$head" 'spf=pass \(without dnssec\) smtp.helo=mail.good.test'
like "dmarc=pass" "$head" 'dmarc=pass \(p=reject, without dnssec\) header.from=good.test'
like "arc=none" "$head" 'arc=none'
like "Received-SPF" "$head" "Received-SPF: pass .*client-ip=$OUR;.*identity=mailfrom"
like "verified name in Received" "$head" "Received: from mail.good.test \(mail.good.test \[$OUR\]\)"
cp "$f" "$T/stored"
is "below our fields all is as it was sent" \
    "$(sed '1,/^Received:/d; s/\r$//' "$T/stored" | sed '1,/^[A-Z]/{/^[[:space:]]/d;}')" \
    "$(tr -d '\r' <"$T/signed2")"

receive $BAD a@good.test "$T/m"
like "neither SPF nor DKIM: refused by DMARC" "$out" 'END 550 5\.7\.26'
is "and not filed" "$f" ""
receive $BAD a@good.test "$T/signed"
like "DKIM alone is enough" "$out" 'END 250'
like "spf=fail" "$head" 'spf=fail .*dmarc=pass'
like "iprev=fail" "$head" 'iprev=fail'
receive 127.0.0.7 a@good.test "$T/signed"
like "iprev=permerror" "$head" 'iprev=permerror'
sed 's/^body/bodie/' "$T/signed" >"$T/x"
receive $OUR a@good.test "$T/x"
like "SPF alone is enough" "$head" 'dkim=fail \(body hash does not match.*spf=pass.*dmarc=pass'
receive $BAD a@plain.test "$T/x"
like "both fail" "$out" 'END 550 5\.7\.26'
message plain.test 2 >"$T/m"
receive $OUR a@plain.test "$T/m"
like "no records at all" "$head" 'dkim=none.*spf=none .*dmarc=none \(no record'
receive $OUR a@soft.plain.test "$T/m"
like "spf=softfail" "$head" 'spf=softfail'
receive $OUR a@neutral.plain.test "$T/m"
like "spf=neutral" "$head" 'spf=neutral'
receive $OUR a@broken.plain.test "$T/m"
like "spf=permerror" "$head" 'spf=permerror'
receive $OUR "" "$T/m"
like "null path: SPF of HELO" "$head" 'spf=pass \(without dnssec\) smtp.helo=mail.good.test'
is "once" "$(printf '%s' "$head" | grep -o 'spf=' | wc -l)" 1
like "and its Received-SPF" "$head" 'Received-SPF: pass .*identity=helo'
sign rsa good.test revoked "$T/m" >"$T/x"
receive $OUR a@plain.test "$T/x"
like "dkim=permerror" "$head" 'dkim=permerror \(key is revoked'
message badmarc.plain.test 3 >"$T/m"
receive $OUR a@plain.test "$T/m"
like "dmarc=permerror" "$head" 'dmarc=permerror'
message quar.test 4 >"$T/m"
receive $OUR a@plain.test "$T/m"
like "quarantine is refused as well" "$out" 'END 550 5\.7\.26'
message sub.quar.test 5 >"$T/m"
receive $OUR a@plain.test "$T/m"
like "sp=none" "$head" 'dmarc=fail \(sp=none'
message pct.test 6 >"$T/m"
receive $OUR a@plain.test "$T/m"
like "pct=0 asks for nothing" "$head" 'dmarc=fail \(p=reject, outside of pct'
{ printf 'From: a@good.test\n'; message good.test 7; } >"$T/m"
receive $OUR a@good.test "$T/m"
like "several From: no credit" "$head" 'dmarc=none \(From does not name one domain'
message plain.test 8 >"$T/m"
receive $LISTED a@plain.test "$T/m"
like "a block list puts off, vaguely" "$out" 'END 451 4\.3\.0 error processing'
is "a zone that lists everything is not used" "$(grep -c 'reason=dns-blocklisted' "$T/log")" 1

# what is refused by policy is in Rejects, once
R=$MD/.Rejects
rejects() { find "$R/cur" "$R/new" -type f 2>/dev/null | wc -l; }
find "$R/cur" "$R/new" -type f -delete
as quire -C "$D" stop >/dev/null; wait "$FLOW_PID"; flow_start # deliverers forget
message good.test 20 >"$T/m"
receive $BAD a@good.test "$T/m"
like "refused" "$out" 'END 550 5\.7\.26'
is "filed there, seen" "$(find "$R/cur" -name '*:2,S' | wc -l)$f" 1
x=$(cat "$R"/cur/*)
like "with the reason" "$x" '^X-Quire-Reason: dmarc-policy; 550 5\.7\.26 refused, as'
like "and what was found" "$(printf '%s' "$x" | tr -d '\n')" 'Authentication-Results: mx\.here\.test;.*dmarc=fail'
receive $BAD a@good.test "$T/m"
receive $BAD a@good.test "$T/m"
like "tried again" "$out" 'END 550 5\.7\.26'
is "not filed again" "$(rejects)" 1
sed 's/^Subject/Message-ID: <One@x.test>\n&/' "$T/m" >"$T/x"
receive $BAD a@good.test "$T/x"
is "another one is" "$(rejects)" 2
{ sed 's/<One@/<one@/' "$T/x"; echo changed; } >"$T/y"
receive $BAD a@good.test "$T/y"
is "not one with the same Message-ID" "$(rejects)" 2
sed 's/<One@/<Two@/' "$T/x" >"$T/y"
receive $BAD a@good.test "$T/y"
is "but with another" "$(rejects)" 3
as quire -C "$D" stop >/dev/null; wait "$FLOW_PID"; flow_start
receive $BAD a@good.test "$T/x"
is "a new deliverer knows them" "$(rejects)" 3
message plain.test 21 >"$T/m"
receive $LISTED a@plain.test "$T/m"
like "what a block list puts off as well" "$out$(cat "$R"/cur/* | grep -c 'X-Quire-Reason: dns-blocklisted; 451 4.3.0')" 'END 451.*1$'
message good.test 22 >"$T/m"
head -c 17000000 /dev/zero | tr '\0' 'x' | fold -w 990 >>"$T/m"
receive $BAD a@good.test "$T/m"
like "a large one is refused" "$out" 'END 550 5\.7\.26'
is "and not kept" "$(rejects)" 4
as chmod 500 "$R/tmp"
message good.test 23 >"$T/m"
receive $BAD a@good.test "$T/m"
like "if it cannot be kept it is refused all the same" "$out" 'END 550 5\.7\.26'
as chmod 700 "$R/tmp"
receive $BAD a@good.test "$T/m"
is "and kept when that is possible again" "$(rejects)" 5
message quar.test 24 >"$T/m"
as /usr/bin/python3 "$T/smtp.py" "$SMTP" $OUR mail.good.test a@good.test "$T/m" \
    quire@localhost abuse@localhost >"$T/replies" 2>&1
like "for two recipients: one refusal" "$(cat "$T/replies")" 'END 550 5\.7\.26'
is "one copy in the mailbox of both" "$(rejects)" 6
is "nothing delivered" "$(ls "$MD/new")" ""

# a recipient who wants more of From
M2=$D/mail/two/Maildir
two() { # MAIL-FROM FILE RCPT..
	find "$M2" "$MD/new" -path '*/new/*' -type f -delete 2>/dev/null
	from=$1 file=$2
	shift 2
	as /usr/bin/python3 "$T/smtp.py" "$SMTP" $OUR mail.good.test "$from" \
	    "$file" "$@" 2>&1
}
count() { find "$@" -type f 2>/dev/null | wc -l; }
message plain.test 30 >"$T/m"
like "From is not confirmed: refused" "$(two a@good.test "$T/m" two@localhost)" 'END 550 5\.7\.26 .*as this recipient asks'
like "and in Rejects" "$(cat "$M2"/.Rejects/cur/*)" '^X-Quire-Reason: msg-auth-required; 550 5\.7\.26'
like "another recipient takes it" "$(two a@good.test "$T/m" two@localhost quire@localhost)" 'END 250'
is "he alone" "$(count "$MD/new") $(count "$M2/new") $(count "$M2/.Rejects/cur")" "1 0 1"
message soft.plain.test 31 >"$T/m"
like "SPF that does not pass confirms nothing" "$(two a@soft.plain.test "$T/m" two@localhost)" 'END 550 5\.7\.26'
message good.test 32 >"$T/m"
like "confirmed by SPF" "$(two a@mail.good.test "$T/m" two@localhost)" 'END 250'
message pct.test 33 >"$T/m"
sed 's/^From: .*/From: a@mail.good.test/' "$T/m" >"$T/x"
sign rsa good.test rsa "$T/x" >"$T/signed"
like "by DKIM" "$(two a@plain.test "$T/signed" two@localhost)" 'END 250'
is "both there" "$(count "$M2/new")" 1
message none.test 34 >"$T/m"
sign rsa lost.none.test rsa "$T/m" >"$T/x"
like "cannot be found out now: put off" "$(two a@good.test "$T/x" two@localhost)" 'END 451 4\.7\.26'
like "who does not ask for it has it: nobody else does" "$(two a@good.test "$T/x" quire@localhost)" 'END 250'
is "and not in Rejects" "$(count "$M2/.Rejects/cur")" 2
like "explain says so" "$(message plain.test 35 | as quire -C "$D" explain - --ip $OUR --helo mail.good.test \
    --from a@good.test --rcpt two@localhost --dns-timeout 5s | tail -n 1)" '^decision +550 +5\.7\.26 .*msg-auth-required'
as quire -C "$D" loglevel debug >/dev/null
sleep 6 # deliverers that know of the old level end
message good.test 36 >"$T/m"
two a@good.test "$T/m" postmaster@localhost quire@localhost >/dev/null
as quire -C "$D" loglevel info >/dev/null
is "where reports go is known on the way" "$(grep -o 'ev=deliver .*reports=[0-3]' "$T/log" |
    sed 's/.*rcpt=\([^ ]*\) .*reports=/\1 /' | sort | tr '\n' ' ')" \
    "postmaster@localhost 1 quire@localhost 2 "

# forged fields
message plain.test 8 >"$T/m"
{
	cat <<'M'
Return-Path: <boss@good.test>
Delivered-To: forged@localhost
X-Quire-Reason: all is well
Authentication-Results: mx.here.test; dmarc=pass header.from=good.test
AUTHENTICATION-RESULTS : (comment) mx.here.test 1;
	dkim=pass header.d=good.test
Authentication-Results: other.test; spf=pass smtp.mailfrom=a@plain.test
M
	cat "$T/m"
} >"$T/x"
receive $OUR a@plain.test "$T/x"
is "forged results are gone" "$(grep -ci '^authentication-results *: *mx' "$f")" 1
is "those of others stay" "$(grep -c '^Authentication-Results: other.test; spf=pass smtp.mailfrom=a@plain.test' "$f")" 1
is "forged Return-Path, Delivered-To, X-Quire" "$(grep -cE 'boss|forged@|all is well' "$f")" 0

# who brought what was refused is served slowly, and nobody else
message good.test 12 >"$T/m"
slow() { as /usr/bin/python3 - "$((1 + P))" "$1" "$2" "$T/m" <<'P'
import socket, sys, time
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20, (sys.argv[2], 0))
f = s.makefile("rb")
def say(text):
    s.sendall(text + b"\r\n")
    t = time.time()
    first = f.read(3).decode()
    t = time.time() - t
    line = first + f.readline().decode()
    while line[3:4] == "-":
        line = f.readline().decode()
    return line.split()[:2], t
f.readline()
say(b"EHLO mail.good.test")
for text in ("MAIL FROM:<%s>" % sys.argv[3], "RCPT TO:<quire@localhost>", "DATA"):
    r = say(text.encode())
body = open(sys.argv[4], "rb").read().replace(b"\n", b"\r\n")
for what, text in (("END", body + b"."), ("NOOP", b"NOOP")):
    (code, enhanced), t = say(text)
    print(what, code, enhanced, "slow" if t > 1.5 else "quick")
P
}
is "refused by policy: octet by octet" "$(slow $BAD a@good.test | tr '\n' ' ')" \
    "END 550 5.7.26 slow NOOP 250 2.0.0 slow "
is "accepted: not" "$(slow $OUR a@good.test | tr '\n' ' ')" \
    "END 250 2.6.0 quick NOOP 250 2.0.0 quick "

# before DATA
rcpt() { as /usr/bin/python3 "$T/smtp.py" "$@" 2>&1; }
like "null MX" "$(rcpt "$SMTP" $OUR x a@null.plain.test '' quire@localhost)" 'MAIL 550 5\.7\.27 .*null MX'
like "neither MX nor address" "$(rcpt "$SMTP" $OUR x a@nomail.plain.test '' quire@localhost)" 'MAIL 550 5\.7\.27'
like "no such domain" "$(rcpt "$SMTP" $OUR x a@nope.plain.test '' quire@localhost)" 'MAIL 550 5\.7\.27'
like "an address literal" "$(rcpt "$SMTP" $OUR x "a@[$OUR]" '' quire@localhost)" 'MAIL 550'
like "HELO of no host" "$(rcpt --helo "$SMTP" $OUR nope.plain.test a@plain.test '' quire@localhost)" 'HELO 550 5\.5\.0'
like "EHLO is not looked at" "$(rcpt "$SMTP" $OUR nope.plain.test a@plain.test '' quire@localhost)" 'RCPT 250'
like "HELO of a host" "$(rcpt --helo "$SMTP" $OUR mail.good.test a@plain.test '' quire@localhost)" 'RCPT 250'
out=$(rcpt "$SMTP" $OUR x a@plain.test '' quire@localhost b@localhost)
like "a second recipient wants SPF pass" "$out" 'RCPT 452 4\.5\.3'
out=$(rcpt "$SMTP" $OUR x a@good.test '' quire@localhost b@localhost c@localhost)
is "with it there may be more" "$(printf '%s\n' "$out" | grep -c '^RCPT 250')" 3
out=$(rcpt "$SMTP" $OUR x '' '' quire@localhost b@localhost)
like "a null sender has one" "$out" 'RCPT 452 4\.5\.3'

# quire explain: the same code by hand
message good.test 10 >"$T/m"
sign rsa good.test rsa "$T/m" >"$T/signed"
e() { as quire -C "$D" explain "$@" --helo mail.good.test --dns-timeout 5s 2>&1; }
out=$(e "$T/signed" --ip $OUR --from a@good.test --rcpt quire@localhost)
like "explain: iprev" "$out" "iprev +pass +$OUR is mail.good.test"
like "explain: SPF and what decided" "$out" 'spf +pass +good.test: by ip4:'
like "explain: DKIM" "$out" 'dkim +pass +d=good.test s=rsa a=rsa-sha256'
like "explain: policy" "$out" 'policy +reject +v=DMARC1; ?p=reject.* at good.test'
like "explain: alignment" "$out" 'aligned +dkim +good.test signs for good.test'
like "explain: block lists" "$out" 'dnsbl +clear +bl.test'
like "explain: a sick list" "$out" 'dnsbl +sick +sick.test'
like "explain: the header" "$out" 'header +Authentication-Results: mx.here.test;'
like "explain: decision" "$(printf '%s\n' "$out" | tail -n 1)" '^decision +250 '
out=$(e "$T/m" --ip $BAD --from a@good.test --rcpt quire@localhost)
like "explain: refused" "$(printf '%s\n' "$out" | tail -n 1)" '^decision +550 +5\.7\.26 .*dmarc-policy'
out=$(e "$T/m" --ip $BAD --from a@nomail.plain.test --rcpt quire@localhost)
like "explain: the first refusal counts" "$(printf '%s\n' "$out" | tail -n 1)" '^decision +550 +5\.7\.27'
out=$(e --json "$T/m" --ip $OUR --from '<>' --rcpt quire@localhost)
is "explain: JSON" "$(printf '%s' "$out" | /usr/bin/python3 -c \
    'import json,sys; print(json.load(sys.stdin)[-1]["step"])' 2>&1)" decision

message plain.test 11 >"$T/m"

# TLS all the way (RFC 8689)
like "REQUIRETLS without TLS" "$(rcpt --mail REQUIRETLS "$SMTP" $OUR x a@plain.test "$T/m" quire@localhost)" \
    'MAIL 523 5\.7\.10'
rm -f "$MD"/new/*
out=$(rcpt --tls --mail REQUIRETLS "$SMTP" $OUR x a@plain.test "$T/m" quire@localhost)
like "announced under TLS" "$out" 'REQUIRETLS'
like "accepted" "$out" 'END 250'
like "and noted" "$(tr -d '\n' <"$(echo "$MD"/new/*)")" 'with ESMTPS \(requiretls\) id .*TLSv1\.3'
for i in $(seq 101); do echo "Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000"; done >"$T/x"
cat "$T/m" >>"$T/x"
like "too many hops" "$(rcpt "$SMTP" $OUR x a@plain.test "$T/x" quire@localhost)" 'END 550 5\.4\.6'

# trouble with DNS
kill -STOP "$KNOT_PID"
message slow.test 9 >"$T/m"
start=$(date +%s)
out=$(rcpt "$SMTP" $OUR x a@unheard.test "$T/m" quire@localhost)
like "no answer: 451 at MAIL" "$out" 'MAIL 451 4\.4\.0'
ok "in time" [ $(($(date +%s) - start)) -le 8 ]
rm -f "$MD"/new/*
# an address nobody has asked about: answers are kept
out=$(rcpt "$SMTP" 127.0.0.77 unheard.test '' "$T/m" quire@localhost)
like "no answer after DATA: put off, not taken by accident" "$out" 'END 451 4\.4\.3'
is "and nowhere" "$(ls "$MD/new")$(grep -l 'dmarc-temperror' "$R"/cur/* 2>/dev/null)" ""
like "and logged" "$(grep 'ev=checked' "$T/log" | tail -n 1)" \
    'code=451 reason=dmarc-temperror iprev=temperror spf=temperror .*dmarc=temperror'
# without a domain in From there is nobody whose policy it could be
sed '/^From:/d' "$T/m" >"$T/x"
out=$(rcpt "$SMTP" 127.0.0.77 unheard.test '' "$T/x" quire@localhost)
like "what nothing depends on is told in the header" "$out" 'END 250'
like "as temperror" "$(cat "$MD"/new/* | sed '/^$/q' | tr -d '\n' | tr '\t' ' ')" \
    'iprev=temperror .*spf=temperror .*dmarc=none'
# one address cannot take all the places
out=$(as /usr/bin/python3 - "$SMTP" $BAD <<'P'
import socket, sys, time
def client(ip):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20, (ip, 0))
    f = s.makefile("rb")
    f.readline()
    s.sendall(b"EHLO x\r\n")
    while f.readline()[3:4] == b"-":
        pass
    s.sendall(b"MAIL FROM:<a@slow.test>\r\n")
    return s, f
start = time.time()
many = [client(sys.argv[2]) for i in range(40)]
time.sleep(0.5)
quick = 0
for s, f in many:
    s.setblocking(False)
    try:
        quick += s.recv(100).startswith(b"451 4.3.0")
    except BlockingIOError:
        pass
    s.setblocking(True)
one = client("127.0.0.8")
print("busy %d; another address waits as others do: %s" % (quick, one[1].readline().decode()))
P
)
like "the 33rd question of one address is put off at once" "$out" '^busy 8;'
like "others are asked for" "$out" 'do: 451 4\.4\.0'
is "no daemon crashed" "$(grep -aE \
    'ev=(child.died|worker.crashed)|runtime error|AddressSanitizer|Assertion' "$T/log")" ""
kill -CONT "$KNOT_PID"
knot_stop
out=$(rcpt "$SMTP" $OUR x a@gone.test "$T/m" quire@localhost)
like "no name server: 451 at MAIL" "$out" 'MAIL 451 4\.4\.0'
pid=$(as quire -C "$D" status | awk '$1 == "quire-check" { print $2 }')
kill -STOP "$pid"
start=$(date +%s)
out=$(rcpt "$SMTP" $OUR x a@gone.test "$T/m" quire@localhost)
like "quire-check says nothing: 451" "$out" 'MAIL 451 4\.3\.0'
ok "after its deadline" [ $(($(date +%s) - start)) -le 12 ]
out=$(rcpt "$SMTP" $OUR x '' "$T/m" quire@localhost)
like "also after DATA" "$out" 'END 451 4\.3\.0'
like "which makes nobody slow" "$(slow $OUR '' | tr '\n' ' ')" \
    'END 451 4\.3\.0 slow NOOP 250 2\.0\.0 quick'
kill -KILL "$pid"
n=0
until as quire -C "$D" status | grep 'quire-check .*running' | grep -qv " $pid " || [ $n -gt 50 ]; do
	n=$((n + 1))
	sleep 0.1
done
knot_start
message plain.test 40 >"$T/m"
out=$(rcpt "$SMTP" $OUR x a@plain.test "$T/m" quire@localhost)
like "a new one is at work" "$out" 'END 250'
# the first of two name servers is not there
sed "s/resolver 127/resolver 127.0.0.1:1,127/" "$D/quire.conf" >"$T/conf"
as cp "$T/conf" "$D/quire.conf"
as quire -C "$D" reload >/dev/null
n=0
until grep -q 'ev=check.resolver .*127\.0\.0\.1:1,' "$T/log" || [ $n -gt 50 ]; do
	n=$((n + 1))
	sleep 0.1
done
message good.test 41 >"$T/m"
sign rsa good.test rsa "$T/m" >"$T/signed"
receive $OUR a@good.test "$T/signed"
like "the second is asked, in time" "$head" 'iprev=pass .*dkim=pass .*spf=pass .*spf=pass .*dmarc=pass'
FLOW_CRASHES=1
flow_stop
done_testing

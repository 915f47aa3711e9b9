#!/bin/sh
# The protocol tools against a real name server (Debian's knot): SPF with
# includes and an explanation, DKIM keys made, published, signed with and
# verified, look-ups of every kind.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
. "$SRCDIR/t/lib/knot.sh"
knot_have || skip_all "knot cannot be had here"
flow_init 6000
R=127.0.0.1:$((P + 53))
q() { as quire "$@" --resolver "$R" --dns-timeout 3s; }
for k in rsa ed25519; do
	as quire dkim keygen $k >"$T/$k.pem"
done
long=$(as quire dkim txt "$T/rsa.pem")
half=$(printf '%s' "$long" | cut -c1-200)
rest=$(printf '%s' "$long" | cut -c201-)
zone example.test <<Z
@ MX 10 mx1
@ MX 20 mx2
mx1 A 192.0.2.25
mx2 AAAA 2001:db8::25
www CNAME mx1
@ TXT "v=spf1 mx include:_spf.example.test -all exp=why.example.test"
_spf TXT "v=spf1 ip4:198.51.100.0/24 ~all"
why TXT "%{i} is not one of %{d}'s mailers"
loop TXT "v=spf1 include:loop.example.test -all"
multi TXT "v=spf1 +all"
multi TXT "v=spf1 -all"
rsa._domainkey TXT "$half" "$rest"
ed._domainkey TXT "$(as quire dkim txt "$T/ed25519.pem")"
revoked._domainkey TXT "v=DKIM1; p="
_dmarc TXT "v=DMARC1; p=reject; sp=quarantine; adkim=s; rua=mailto:r@example.test"
_dmarc.none TXT "v=DMARC1; p=none"
octets TXT "a\128\255, b"
octets TXT "x"
_25._tcp.mx1 TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
@ CAA 0 issue "ca.example"
_imaps._tcp SRV 0 1 993 mx1
Z
zone bl.test <<Z
2.0.0.127 A 127.0.0.2
9.113.0.203 A 127.0.0.4
9.113.0.203 TXT "seen sending junk"
8.113.0.203 A 192.0.2.1
7.113.0.203 A 127.255.255.254
Z
zone in-addr.arpa <<Z
25.2.0.192 PTR other.example.test.
25.2.0.192 PTR mx1.example.test.
26.2.0.192 PTR mx1.example.test.
Z
zone test <<Z
_dmarc TXT "v=DMARC1; p=none; sp=reject; psd=y"
Z
knot_start || diag "knot does not answer"
trap 'knot_stop; flow_cleanup' EXIT

like "MX" "$(q dns lookup MX example.test)" \
    'status=ok .*records=10 mx1.example.test, 20 mx2.example.test'
like "A through a CNAME" "$(q dns lookup A www.example.test)" '192.0.2.25'
like "AAAA" "$(q dns lookup AAAA mx2.example.test)" '2001:db8::25'
like "TLSA" "$(q dns lookup TLSA _25._tcp.mx1.example.test)" '3 1 1 0123456789abcdef'
like "CAA" "$(q dns lookup CAA example.test)" '0 issue ca.example'
like "SRV" "$(q dns lookup SRV _imaps._tcp.example.test)" '0 1 993 mx1'
like "a long TXT, by TCP if need be" \
    "$(q dns lookup TXT rsa._domainkey.example.test)" 'IDAQAB'
like "no such name" "$(q dns lookup A nope.example.test)" 'status=nxdomain'
like "no such type" "$(q dns lookup AAAA mx1.example.test)" 'status=nodata'
like "no resolver" "$(as quire dns lookup A x.test --resolver 127.0.0.1:1 \
    --dns-timeout 1s)" 'status=tempfail'

is "iprev: a name points back" "$(q iprev 192.0.2.25)" \
    "result=pass name=mx1.example.test authentic=no"
like "iprev: no name does" "$(q iprev 192.0.2.26)" 'result=fail'
like "iprev: no name" "$(q iprev 192.0.2.27)" 'result=permerror'
is "dnsbl: listed" "$(q dnsbl check bl.test 203.0.113.9)" \
    "result=listed reason=seen sending junk"
is "dnsbl: not listed" "$(q dnsbl check bl.test 203.0.113.1)" result=clear
is "dnsbl: not an answer of a list" "$(q dnsbl check bl.test 203.0.113.8)" \
    result=clear
is "dnsbl: you may not ask" "$(q dnsbl check bl.test 203.0.113.7)" result=sick
is "dnsbl: health" "$(q dnsbl health bl.test)" health=ok
like "dnsbl: no list" "$(q dnsbl health example.test)" 'health=bad'
is "psl" "$(as quire psl a.b.example.co.uk)" org=example.co.uk
is "psl: a suffix itself" "$(as quire psl co.uk)" org=none
is "psl: private section" "$(as quire psl x.y.github.io)" org=y.github.io

spf() { q spf check --ip "$1" --helo mail.example.test --from "$2"; }
is "SPF: mx" "$(spf 192.0.2.25 a@example.test)" result=pass
is "SPF: mx, IPv6" "$(spf 2001:db8::25 a@example.test)" result=pass
is "SPF: include" "$(spf 198.51.100.7 a@example.test)" result=pass
is "SPF: fail, and why" "$(spf 203.0.113.9 a@example.test)" \
    "$(printf "result=fail\nexplanation=203.0.113.9 is not one of example.test's mailers")"
is "SPF: softfail of the included alone" "$(spf 203.0.113.9 a@_spf.example.test 2>&1 |
    sed 's/quire: --from.*/result=softfail/')" result=softfail
is "SPF: no record" "$(spf 203.0.113.9 a@mx1.example.test)" result=none
is "SPF: a loop" "$(spf 203.0.113.9 a@loop.example.test)" result=permerror
is "SPF: two records" "$(spf 203.0.113.9 a@multi.example.test)" result=permerror
like "SPF: as JSON" "$(q spf check --json --ip 192.0.2.25 --helo h.example.test \
    --from a@example.test)" '"mechanism":"mx"'

printf 'From: a@example.test\r\nTo: b@c.test\r\nSubject: s\r\n\r\nline\r\n\r\n' \
    >"$T/m.eml"
sign() { as quire dkim sign --key "$T/$1.pem" --domain example.test \
    --selector "$2" "$3"; }
sign rsa rsa "$T/m.eml" >"$T/one.eml"
like "DKIM: rsa" "$(q dkim verify "$T/one.eml")" '^result=pass .*bits=2048'
sign ed25519 ed "$T/one.eml" >"$T/two.eml"
is "DKIM: two signatures, both pass" \
    "$(q dkim verify "$T/two.eml" | grep -c '^result=pass')" 2
sed 's/^line/lime/' "$T/two.eml" >"$T/bad.eml"
is "DKIM: a changed body fails both" \
    "$(q dkim verify "$T/bad.eml" | grep -c '^result=fail')" 2
{ printf 'Subject: other\r\n'; cat "$T/two.eml"; } >"$T/bad.eml"
is "DKIM: a second Subject breaks the oversigned one" \
    "$(q dkim verify "$T/bad.eml" | grep -c '^result=fail')" 2
sign rsa revoked "$T/m.eml" >"$T/r.eml"
like "DKIM: a revoked key" "$(q dkim verify "$T/r.eml")" '^result=permerror'
like "DKIM: an expired signature" "$(q dkim verify --now 9999999999 "$T/one.eml")" \
    '^result=(fail|permerror|policy|neutral)'
like "DKIM: no signature" "$(q dkim verify "$T/m.eml")" '^result=none'
like "DKIM: key look-up" "$(q dkim lookup ed example.test)" 'valid=yes'
# a chain of two forwarders
is "ARC: none" "$(q arc verify "$T/one.eml")" cv=none
hop() { # FILE RESULTS OUT
	{ printf 'Authentication-Results: mx.example.test; %s\r\n' "$2"
	cat "$1"; } >"$T/hop.eml"
	{ as quire arc seal --key "$T/ed25519.pem" --authserv mx.example.test \
	    --selector ed --domain example.test "$T/hop.eml"
	cat "$T/hop.eml"; } >"$3"
}
hop "$T/one.eml" "dkim=pass header.d=example.test; arc=none" "$T/arc1.eml"
is "ARC: one set" "$(q arc verify "$T/arc1.eml")" cv=pass
hop "$T/arc1.eml" "arc=pass" "$T/arc2.eml"
is "ARC: two sets" "$(q arc verify "$T/arc2.eml")" cv=pass
like "ARC: how many" "$(q arc verify --json "$T/arc2.eml")" '"sets":2'
like "ARC: unchanged on its way" "$(q arc verify --json "$T/arc2.eml")" \
    '"oldest_pass":0'
sed 's/^line/lime/' "$T/arc1.eml" >"$T/bad.eml"
hop "$T/bad.eml" "arc=pass" "$T/changed.eml"
like "ARC: changed by the second" \
    "$(q arc verify --json "$T/changed.eml")" '"cv":"pass".*"oldest_pass":2'
like "explain: the same" "$(q explain "$T/changed.eml" --ip 192.0.2.25 \
    --helo mx1.example.test --from a@example.test --rcpt b@example.test)" \
    'unchanged since set 2'
sed 's/^line/lime/' "$T/arc2.eml" >"$T/bad.eml"
is "ARC: a changed body" "$(q arc verify "$T/bad.eml")" cv=fail
sed 's/i=1; a=ed25519-sha256; t=/i=1; a=ed25519-sha256; t=1/' "$T/arc2.eml" >"$T/bad.eml"
is "ARC: a changed seal" "$(q arc verify "$T/bad.eml")" cv=fail
sed '/^ARC-Seal: i=1/,/^[A-Z]/{/^ARC-Seal: i=1/d;/^[[:space:]]/d;}' "$T/arc2.eml" >"$T/bad.eml"
is "ARC: a gap in the chain" "$(q arc verify "$T/bad.eml")" cv=fail
dmarc() { q dmarc check --from "$1" --spf "$2" --dkim "$3"; }
is "DMARC: SPF aligned" \
    "$(dmarc example.test pass:example.test none:example.test)" \
    "result=pass policy=reject"
is "DMARC: SPF of another domain" \
    "$(dmarc example.test pass:other.test fail:example.test)" \
    "result=fail policy=reject"
is "DMARC: DKIM strict, a subdomain does not do" \
    "$(dmarc example.test fail:x.test pass:sub.example.test)" \
    "result=fail policy=reject"
is "DMARC: one of two signatures" \
    "$(dmarc example.test fail:x.test fail:example.test,pass:example.test)" \
    "result=pass policy=reject"
is "DMARC: a subdomain has sp=" \
    "$(dmarc deep.example.test fail:x.test fail:x.test)" \
    "result=fail policy=quarantine"
is "DMARC: its own record goes first" \
    "$(dmarc none.example.test fail:x.test fail:x.test)" \
    "result=fail policy=none"
like "DMARC: look-up" "$(q dmarc lookup deep.example.test)" \
    'status=found record_domain=example.test .*p=reject'
like "DMARC: no policy" "$(q dmarc lookup bl.test)" 'status=none'
is "DMARC, tree walk: the suffix's policy" \
    "$(q dmarc lookup --tree-walk a.other.test)" \
    "status=found record_domain=test org=other.test authentic=no record=v=DMARC1; p=none; sp=reject; psd=y"
is "DMARC, tree walk: an organization below it" \
    "$(q dmarc check --tree-walk --from a.none.example.test --spf pass:none.example.test)" \
    "result=pass policy=quarantine"
is "DMARC, tree walk: another below it" \
    "$(q dmarc check --tree-walk --from a.other.test --spf pass:example.test --dkim pass:test)" \
    "result=fail policy=reject"
like "DMARC, tree walk: as JSON" "$(q dmarc lookup --json --tree-walk deep.example.test)" \
    '"status":"found","record_domain":"example.test","org":"example.test"'
if /usr/bin/python3 -c 'import dkim' 2>/dev/null; then
	is "python3-dkim agrees" "$(/usr/bin/python3 - "$T/one.eml" "$long" <<'PY'
import dkim, sys
msg = open(sys.argv[1], "rb").read()
print(dkim.verify(msg, dnsfunc=lambda name, timeout=5: sys.argv[2].encode()))
PY
	)" True
fi
# every form there is, as one line and as an object that says the same, and
# with a resolver that is not there: form | the line | key | without resolver
cat >"$T/forms" <<F
spf check --ip 192.0.2.25 --helo h.example.test --from a@example.test|^result=pass\$|result|^result=temperror
dkim verify $T/one.eml|^result=pass domain=example.test|bits|^result=temperror
dkim verify --now 9999999999 $T/one.eml|why=signature has expired|why|why=signature has expired
dkim lookup ed example.test|^status=ok .*valid=yes|record|^status=tempfail
arc verify $T/arc2.eml|^cv=pass\$|cv|^cv=fail
arc verify --now 9999999999 $T/arc1.eml|^cv=|cv|^cv=fail
dmarc check --from example.test --spf pass:example.test --dkim none:example.test|^result=pass policy=reject\$|policy|^result=temperror policy=none\$
dmarc check --from example.test --spf fail:x.test --dkim fail:x.test,pass:example.test|^result=pass policy=reject\$|result|^result=temperror
dmarc lookup example.test|^status=found record_domain=example.test|record|^status=temperror
dns lookup MX example.test|^status=ok authentic=no records=|records|^status=tempfail authentic=no
dns lookup A nope.example.test|^status=nxdomain|status|^status=tempfail
dnsbl check bl.test 203.0.113.9|^result=listed reason=|reason|^result=temperror
dnsbl health bl.test|^health=ok\$|health|^health=bad
iprev 192.0.2.25|^result=pass name=mx1.example.test|name|^result=temperror
psl a.example.co.uk|^org=example.co.uk\$|org|-
psl com|^org=none\$|org|-
idna m\303\274nchen.example|^ascii=xn--mnchen-3ya.example\$|ascii|-
idna a..b|^ascii=error\$|ascii|-
idna m\303\274nchen.example.|^ascii=xn--mnchen-3ya.example\$|ascii|-
idna a.|^ascii=a\$|ascii|-
idna a..|^ascii=error\$|ascii|-
idna .|^ascii=error\$|ascii|-
psl a.example.co.uk.|^org=example.co.uk\$|org|-
psl co.uk.|^org=none\$|org|-
psl .|^org=none\$|org|-
address check a@b.example.|^valid=no\$|valid|-
address check a@b.test|^valid=yes\$|valid|-
address check a@b@c|^valid=no\$|valid|-
F
# its value in the object is a word of the line
says_same() { # KEY LINE-FILE JSON-FILE
	/usr/bin/python3 - "$1" "$2" "$3" <<'P'
import json, sys
key, line, objects = sys.argv[1], open(sys.argv[2]).read(), open(sys.argv[3]).read()
objects = [json.loads(l) for l in objects.splitlines()]
v = objects[0][key]
if isinstance(v, bool):
    v = "yes" if v else "no"
if isinstance(v, list):
    v = ", ".join(v)
print("same" if "%s=%s" % (key, v) in line else (v, line))
P
}
while IFS='|' read -r form line key dead; do
	form=$(printf '%b' "$(printf '%s' "$form" | sed 's/\\\([0-9]\)/\\0\1/g')")
	# shellcheck disable=SC2086
	q $form >"$T/line" 2>&1 </dev/null
	like "$form" "$(cat "$T/line")" "$line"
	is "  one line" "$(wc -l <"$T/line")" 1
	q $form --json >"$T/json" 2>&1 </dev/null
	is "  as JSON" "$(says_same "$key" "$T/line" "$T/json" 2>&1)" same
	[ "$dead" = - ] && continue
	start=$(date +%s)
	like "  no resolver" "$(as quire $form --resolver 127.0.0.1:1 \
	    --dns-timeout 300ms 2>&1 </dev/null)" "$dead"
	ok "  in time" [ $(($(date +%s) - start)) -le 3 ]
done <"$T/forms"
is "dns lookup: records and the way to them as JSON" \
    "$(q dns lookup A www.example.test --json | /usr/bin/python3 -c \
    'import json,sys; a = json.load(sys.stdin); print(a["records"], a["cname"], a["ttl"] <= 300)' 2>&1)" \
    "['192.0.2.25'] ['mx1.example.test'] True"
is "what is not UTF-8 is JSON all the same" \
    "$(q dns lookup TXT octets.example.test --json | /usr/bin/python3 -c \
    'import json,sys; print(ascii(sorted(json.loads(sys.stdin.buffer.read().decode())["records"])))' 2>&1)" \
    "['a\\x80\\xff, b', 'x']"
# options in either form, and what is missing
like "--option=VALUE" "$(as quire iprev 192.0.2.25 "--resolver=$R" --dns-timeout=3s)" '^result=pass'
like "a value is missing" "$(as quire iprev 192.0.2.25 --resolver 2>&1)" '^quire: --resolver: a value must follow'
like "no option of it" "$(as quire spf check --nothing 2>&1)" 'usage: quire spf check'
like "no resolver at all" "$(as quire iprev 192.0.2.25 --resolver here 2>&1)" '^quire: resolver here: '
# one of several name servers that is there
like "another resolver is asked" "$(as quire iprev 192.0.2.25 --resolver "127.0.0.1:1,$R")" '^result=pass'
x64=$(printf 'a%.0s' $(seq 64))
is "idna: a label that DNS cannot carry" "$(as quire idna "$x64.test")" ascii=error
is "address: sizes of RFC 5321" "$(for a in "$x64@b.test" "a$x64@b.test" "a@$x64.test"; do
	as quire address check "$a"; done | tr '\n' ' ')" "valid=yes valid=no valid=no "
# those that print a file, not a line
like "dkim keygen" "$(as quire dkim keygen ed25519)" '^-----BEGIN PRIVATE KEY'
like "dkim txt" "$(as quire dkim txt "$T/ed25519.pem")" '^v=DKIM1; h=sha256; k=ed25519; p='
like "dkim sign --time" "$(as quire dkim sign --key "$T/rsa.pem" --domain example.test \
    --selector rsa --time 1700000000 "$T/m.eml" | tr -d '\r\n')" '^DKIM-Signature: .*t=1700000000'
{ printf 'Authentication-Results: mx.example.test; arc=none\r\n'
cat "$T/m.eml"; } >"$T/hop.eml"
as quire arc seal --key "$T/rsa.pem" --authserv mx.example.test --selector rsa \
    --domain example.test --headers From:To:Subject --time 1700000000 \
    "$T/hop.eml" >"$T/seal" 2>&1
is "arc seal: three fields" "$(grep -oE '^ARC-[A-Za-z-]+:' "$T/seal" | sort | tr '\n' ' ')" \
    "ARC-Authentication-Results: ARC-Message-Signature: ARC-Seal: "
like "arc seal: of these headers, at that time" "$(tr -d '\r\n\t ' <"$T/seal")" \
    't=1700000000;.*h=From:To:Subject;'
is "quire explain as JSON" "$(q explain "$T/one.eml" --ip 192.0.2.25 --helo h.example.test \
    --from a@example.test --rcpt b@c.test --json | /usr/bin/python3 -c \
    'import json,sys; print(json.load(sys.stdin)[-1]["step"])' 2>&1)" decision
like "a domain that cannot have a key" "$(as quire dkim sign --key "$T/rsa.pem" --domain a..b \
    --selector s "$T/m.eml" 2>&1)" '^quire: --domain a\.\.b is not a domain name'
like "a selector that is none" "$(as quire arc seal --key "$T/rsa.pem" --authserv mx.example.test \
    --domain example.test --selector a..b "$T/hop.eml" 2>&1)" '^quire: --selector a\.\.b is not a name'
is "an option that is none of this command" "$(as quire dkim verify --authserv x "$T/m.eml" >/dev/null 2>&1; echo $?)" 64
done_testing

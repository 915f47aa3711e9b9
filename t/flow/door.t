#!/bin/sh
# Limits of connections and of failed logins, each reached with a small number
# and changed by a reload.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
command -v swaks >/dev/null || skip_all "swaks is not installed"
flow_init 21000
as quire localserve --dir "$D" --ip 127.0.0.1 --port-offset "$P" \
    --init-only >/dev/null
FREE=$((1 + P))
# an ordinary server: not every address exists
sed 's/^include listen.conf.*/include door.conf\ninclude limits.conf/
/^any-domain/d; /^error-localparts/d' "$D/quire.conf" >"$T/conf"
as cp "$T/conf" "$D/quire.conf"
as tee "$D/door.conf" >/dev/null <<C
listener strict {
	address 127.0.0.1
	smtp $SMTP
	submission $SUBMISSION
	imap $IMAP
	plain-login yes
}
listener behind {
	address 127.0.0.1
	smtp $((2 + P))
	submissions $((3 + P))
	imap $((4 + P))
	imaps $((7 + P))
	plain-login yes
	proxy yes
	proxy-from 127.9.0.0/24
}
listener fronts {
	address 127.0.0.1
	smtp $((5 + P))
	submission $((6 + P))
	plain-login yes
	xclient-from 127.9.8.0/24
}
listener free {
	address 127.0.0.1
	smtp $FREE
	no-limits yes
}
C
as tee "$D/limits.conf" </dev/null >/dev/null
flow_start || { fail "server starts"; done_testing; exit 0; }
as /usr/bin/python3 "$T/door.py" "$D" "$SMTP" "$SUBMISSION" "$IMAP" "$FREE" \
    >"$T/py" 2>&1
while read -r line; do
	case $line in
	"ok "*) pass "${line#ok * - }" ;;
	"not ok "*) fail "${line#not ok * - }" ;;
	*) diag "$line" ;;
	esac
done <"$T/py"
like "Received names the client" \
    "$(cat "$MD"/new/* "$MD"/cur/* 2>/dev/null | tr -d '\n')" \
    'Received: from x\.example \(.*198\.51\.100\.7'
heads=$(cat "$MD"/new/* "$MD"/cur/* 2>/dev/null | tr -d '\n')
like "and the one a front speaks for" "$heads" 'Received: from c\.example \(.*203\.0\.113\.20.*by '
like "with where it came to" "$heads" 'Received: from swaks\.example \(\[203\.0\.113\.50\]\).*by localhost \(\[192\.0\.2\.25\]\)'
like "as IPv6 under TLS" "$heads" '\[IPv6:2001:db8::50\]\).*with ESMTPS'
ok "the script ran to its end" grep -q 'the script is at its end' "$T/py"
flow_stop
done_testing

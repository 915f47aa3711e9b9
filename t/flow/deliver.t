#!/bin/sh
# Mail in over SMTP with swaks and curl, into the Maildir, out over IMAP with
# curl: bytes compared on disk and over the wire.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
command -v swaks >/dev/null || skip_all "swaks is not installed"
command -v curl >/dev/null || skip_all "curl is not installed"
flow_init
flow_start || { fail "server starts"; done_testing; exit 0; }
pass "server starts"
like "it says where it listens" "$(cat "$T/out")" "imap +127.0.0.1:$IMAP"

cat >"$T/msg" <<'M'
From: Alice <alice@example.org>
To: quire@localhost
Subject: first
Message-ID: <1@example.org>

Hello,
.a line that begins with a dot
..and one with two
end
M
send() { swaks --server 127.0.0.1 --port "$SMTP" --silent 1 --hide-all "$@"; }
ok "swaks delivers" send --from alice@example.org --to quire@localhost \
    --data "@$T/msg"
f=$(ls "$MD"/new/* 2>/dev/null)
is "one file in new/" "$(echo "$f" | wc -l)" 1
cp "$f" "$T/stored"
is "body is what was sent" "$(sed '1,/^$/d' "$f")" "$(sed '1,/^$/d' "$T/msg")"
like "Delivered-To" "$(sed -n 1p "$f")" '^Delivered-To: quire@localhost'
like "Return-Path" "$(sed -n 2p "$f")" '^Return-Path: <alice@example.org>'
like "Received" "$(sed '/^$/q' "$f" | tr -d '\n')" \
    'Received: from .*127\.0\.0\.1.*by localhost .*for <quire@localhost>'
is "stored with LF" "$(grep -c "$(printf '\r')" "$f")" 0
like "name has sizes" "$f" ',S=[0-9]+,W=[0-9]+$'
like "S= is the size" "$f" ",S=$(stat -c %s "$f"),"

got=$(curl -s "imap://127.0.0.1:$IMAP/INBOX;MAILINDEX=1" \
    -u quire@localhost:quirequire | tr -d '\r')
is "curl reads the same over IMAP" "$got" "$(cat "$T/stored")"
got=$(curl -s --cacert "$D/ca.pem" \
    "imaps://localhost:$IMAPS/INBOX;MAILINDEX=1" --resolve \
    "localhost:$IMAPS:127.0.0.1" -u quire@localhost:quirequire | tr -d '\r')
is "and over TLS, certificate verified" "$got" "$(cat "$T/stored")"
sleep 1
is "SELECT moved it to cur/" "$(ls "$MD/cur" | wc -l)" 1
# a confined process cannot read the boot id: it must have been read before, or
# each takes the others' for processes of before a power cut, and syncs again
cp "$MD/quire/pub" "$T/pub"
curl -s "imap://127.0.0.1:$IMAP/INBOX" -u quire@localhost:quirequire \
    -X 'FETCH 1 (FLAGS)' >/dev/null
ok "another session trusts what is published" cmp "$MD/quire/pub" "$T/pub"

ok "delivers under STARTTLS" send --from a@example.org --to b@example.net -tls \
    --data "@$T/msg"
like "any address lands here, TLS is in Received" \
    "$(cat "$MD"/new/* | tr -d '\n')" 'with ESMTPS .*TLSv1\.3'
ok "null sender" send --from '<>' --to quire@localhost --data "@$T/msg"
ok "suffix after a separator" send --from a@x.example \
    --to quire+list@localhost --data "@$T/msg"
ok "quoted local part" send --from a@x.example --to '"a b"@localhost' \
    --data "@$T/msg"
ok "empty local part" send --from a@x.example --to '""@localhost' \
    --data "@$T/msg"
for a in x.temperror@localhost:451 x.permerror@localhost:550 x.452@localhost:452 \
    rcptto.550@localhost:550; do
	out=$(swaks --server 127.0.0.1 --port "$SMTP" --from a@x.example \
	    --to "${a%:*}" --data "@$T/msg" 2>&1)
	like "${a%:*} answers ${a#*:}" "$out" "<\*\* ${a#*:} .*\(.*cid .*\)"
done
sleep 6 # longer than an mda stays
ok "mail that nobody looked at stays in new/" sh -c "ls '$MD'/new | grep -q ."
cid=$(printf '%s' "$out" | sed -n 's/.*cid \([A-Za-z0-9_-]\{22\}\).*/\1/p' |
    head -n 1)
like "quire cid decodes what the reply says" \
    "$(as quire -C "$D" cid "$cid")" '^cid=[0-9]+$'
out=$(swaks --server 127.0.0.1 --port "$SUBMISSION" --from quire@localhost \
    --to quire@localhost --data "@$T/msg" 2>&1)
like "submission wants a login" "$out" '<\*\* 530 '
for m in PLAIN LOGIN; do
	ok "submission with AUTH $m" swaks --server 127.0.0.1 \
	    --port "$SUBMISSION" --silent 1 --from quire@localhost \
	    --to quire@localhost --auth "$m" --auth-user quire@localhost \
	    --auth-password quirequire --data "@$T/msg"
done
like "submission: auth=pass" "$(grep -h -A 1 '^Authentication-Results:' "$MD"/new/* | tr -d '\n')" \
    'Authentication-Results: localhost;.auth=pass'
out=$(swaks --server 127.0.0.1 --port "$SUBMISSION" --from quire@localhost \
    --to quire@localhost --auth PLAIN --auth-user quire@localhost \
    --auth-password wrongwrong --data "@$T/msg" 2>&1)
like "wrong password" "$out" '<\*\* 535 5\.7\.8'
ok "curl submits over TLS" curl -s --cacert "$D/ca.pem" \
    "smtps://localhost:$SUBMISSIONS" --resolve \
    "localhost:$SUBMISSIONS:127.0.0.1" -u quire@localhost:quirequire \
    --mail-from quire@localhost --mail-rcpt quire@localhost -T "$T/msg"
{ cat "$T/msg"; head -c 3000000 /dev/urandom | base64; } | head -c -1 >"$T/big"
ok "a message larger than memory allows" send --from a@x.example \
    --to quire+big@localhost --data "@$T/big"
f=$(grep -l 'Delivered-To: quire+big@' "$MD"/new/*)
# but for the line end that swaks adds
is "arrives whole" "$(sed '1,/^$/d' "$f" | head -c 4052000 | cksum)" \
    "$(sed '1,/^$/d' "$T/big" | head -c 4052000 | cksum)"
is "nothing is left in the spool" "$(find "$D/state/spool" -type f | wc -l)" 0
if command -v gsasl >/dev/null; then
	# gsasl's plain SCRAM fails under TLS, where it offers a binding
	for m in "SCRAM-SHA-256 --no-starttls" SCRAM-SHA-256-PLUS; do
		# shellcheck disable=SC2086
		like "gsasl logs in with $m" "$(gsasl --imap \
		    --connect "localhost:$IMAP" --x509-ca-file="$D/ca.pem" \
		    -m $m -a quire@localhost -p quirequire </dev/null 2>&1)" \
		    'authentication finished'
	done
fi
as quire -C "$D" loglevel tracedata >/dev/null
ok "logged in at tracedata" curl -s "imap://127.0.0.1:$IMAP/" \
    -u quire@localhost:quirequire
is "no password in the log" "$(grep -c quirequire "$T/log")" 0
flow_stop
done_testing

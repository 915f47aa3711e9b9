#!/bin/sh
# Trees written by Debian's Dovecot, opened by Quire: UIDVALIDITY, UIDs,
# flags, keywords, dates and bodies are the same, also when Dovecot has kept
# the bodies compressed.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
. "$SRCDIR/t/lib/dovecot.sh"
sh "$SRCDIR/t/lib/peers.sh" dovecot >/dev/null 2>&1
dovecot_possible || skip_all "Dovecot cannot be run here (needs root and apt)"
flow_init 15000

snapshot() { as /usr/bin/python3 "$T/snapshot.py" "$@"; }

# state DIR: everything but when it was read
state() {
	(cd "$1" && find . -printf '%p %y %m %T@ %C@ %s %n %u %g %i\n' | sort &&
	    find . -type f -exec cat {} +) | cksum
}

# look CASE: without writing, by the command line and by a session
look() {
	before=$(state "$T/$1/Maildir")
	like "$1: quire adopt --dry-run tells" \
	    "$(as quire adopt --dry-run --maildir "$T/$1/Maildir")" \
	    'INBOX kind=dovecot-3 messages=10 .*uids-kept=10 uids-new=0 .*keywords=4'
	like "$1: also in JSON" "$(as quire adopt --dry-run --json \
	    --maildir "$T/$1/Maildir" | /usr/bin/python3 -c \
	    'import json, sys; print(json.load(sys.stdin)["problems"])')" '^0$'
	like "$1: a session that may not write" "$(printf '%s\r\n' \
	    '1 SELECT INBOX' '2 FETCH 1 BODY[TEXT]' '3 LOGOUT' |
	    as quire-imap --preauth --read-only "$T/$1/Maildir" 2>&1)" 'body 0'
	is "$1: and nothing is written" "$(state "$T/$1/Maildir")" "$before"
}

# adopt_dovecot CASE: fill by Dovecot, look with both
adopt_dovecot() {
	as mkdir -p "$T/$1/home"
	dovecot_conf "$T/$1" "$T/$1/Maildir" "$((P + 1))"
	ok "$1: Dovecot starts" dovecot_start "$T/$1"
	ok "$1: Dovecot makes the tree" snapshot "$((P + 1))" quire fill
	snapshot "$((P + 1))" quire >"$T/$1/dovecot.txt"
	dovecot_stop
	look "$1"
	D="$T/$1/server"
	flow_start --maildir "$T/$1/Maildir" || {
		fail "$1: server starts"
		return
	}
	snapshot "$IMAP" quire@localhost >"$T/$1/quire.txt"
	is "$1: there was something to compare" \
	    "$(grep -c uid "$T/$1/dovecot.txt")" "$(grep -c uid "$T/$1/quire.txt")"
	if cmp -s "$T/$1/dovecot.txt" "$T/$1/quire.txt"; then
		pass "$1: Quire shows what Dovecot showed"
	else
		fail "$1: Quire shows what Dovecot showed"
		diag "$(diff "$T/$1/dovecot.txt" "$T/$1/quire.txt" | head -40)"
	fi
	like "$1: subscriptions came along" "$(curl -s "imap://127.0.0.1:$IMAP/" \
	    -X 'LSUB "" *' -u quire@localhost:quirequire)" 'Archive/2024'
}

# first_octets CASE: of the files in its INBOX, in hex
first_octets() {
	for f in "$T/$1"/Maildir/cur/*; do od -An -tx1 -N4 "$f"; done | sort -u
}

adopt_dovecot plain
flow_stop

for save in gz zstd; do
	DOVECOT_SAVE=$save
	adopt_dovecot "$save"
	case $save in gz) magic='1f 8b 08' ;; *) magic='28 b5 2f fd' ;; esac
	like "$save: the files are compressed" "$(first_octets $save)" "^ $magic"
	is "$save: all of them" "$(first_octets $save | grep -cv "^ $magic")" 0
	# partial fetches, a command each, of the long one
	is "$save: a part of a long message" "$(curl -s \
	    "imap://127.0.0.1:$IMAP/Sent/;UID=1/;SECTION=TEXT/;PARTIAL=600000.20" \
	    -u quire@localhost:quirequire | wc -c)" 20
	# the first message has the oldest date
	f=$(find "$T/$save/Maildir/cur" -type f -printf '%T@ %p\n' | sort -n |
	    head -n 1 | cut -d ' ' -f 2)
	truncate -s 20 "$f"
	out=$(curl -sv "imap://127.0.0.1:$IMAP/INBOX;UID=1/" \
	    -u quire@localhost:quirequire 2>&1)
	like "$save: a damaged file is refused" "$out" 'NO .*damaged'
	like "$save: others are served" "$(curl -s \
	    "imap://127.0.0.1:$IMAP/INBOX;UID=2/" \
	    -u quire@localhost:quirequire)" 'body 1'
	flow_stop
done
done_testing

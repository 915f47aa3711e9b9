#!/bin/sh
# Trees written by Debian's Dovecot, opened by Quire: UIDVALIDITY, UIDs,
# flags, keywords, dates and bodies are the same, also when Dovecot has kept
# the bodies compressed; and clients that come back, mbsync and one with
# QRESYNC, load nothing again.
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

# index CASE: the option that LAYOUT=fs needs
index() { [ -z "${DOVECOT_LAYOUT-}" ] || echo "--index-root $T/$1/index"; }

# look CASE: without writing, by the command line and by a session
# shellcheck disable=SC2046
look() {
	as mkdir -p "$T/$1/index"
	before=$(state "$T/$1/Maildir")
	like "$1: quire adopt --dry-run tells" \
	    "$(as quire adopt --dry-run --maildir "$T/$1/Maildir" $(index "$1"))" \
	    'INBOX kind=dovecot-3 messages=9 .*uids-kept=9 uids-new=0 .*keywords=4'
	like "$1: also in JSON" "$(as quire adopt --dry-run --json \
	    --maildir "$T/$1/Maildir" $(index "$1") | /usr/bin/python3 -c \
	    'import json, sys; print(json.load(sys.stdin)["problems"])')" '^0$'
	like "$1: a session that may not write" "$(printf '%s\r\n' \
	    '1 SELECT INBOX' '2 FETCH 1 BODY[TEXT]' '3 LOGOUT' |
	    as quire-imap --preauth --read-only $(index "$1") \
	    "$T/$1/Maildir" 2>&1)" 'body 0'
	is "$1: and nothing is written" "$(state "$T/$1/Maildir")" "$before"
}

# client VERB PORT USER ARG..: as in wayback.t
client() { as /usr/bin/python3 "$T/wayback.py" "$@"; }

# sync CASE PORT USER: mbsync, into CASE/near
sync() {
	as mkdir -p "$T/$1/near"
	cat >"$T/$1/mbsyncrc" <<C
IMAPAccount host
Host 127.0.0.1
Port $2
User $3
Pass quirequire
SSLType None
AuthMechs LOGIN

IMAPStore far
Account host

MaildirStore near
Path $T/$1/near/
Inbox $T/$1/near/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Expunge Near
Sync All
SyncState *
C
	chmod 644 "$T/$1/mbsyncrc"
	as mbsync -c "$T/$1/mbsyncrc" -q all
}

# near CASE: what mbsync has, by inode: a body loaded again is another file
near() {
	find "$T/$1/near" -type f \( -path '*/cur/*' -o -path '*/new/*' \) \
	    -printf '%i %s %P\n' | sort
}

# while the clients are away
meanwhile() {
	for c in "STORE 2 +FLAGS (\\Flagged)" "STORE 4 +FLAGS (\\Deleted)" EXPUNGE; do
		curl -s "imap://127.0.0.1:$((P + 1))/INBOX" -u quire:quirequire \
		    -X "$c" >/dev/null
	done
}

# come_back CASE: their state is of Dovecot, the server is Quire
come_back() {
	is "$1: a QRESYNC client loads nothing again and knows all" \
	    "$(client resync "$IMAP" quire@localhost "$T/$1/qresync" INBOX)" \
	    "loads nothing
ghosts none
wrong none"
	command -v mbsync >/dev/null || return
	near "$1" >"$T/$1/near.before"
	is "$1: mbsync has had them" "$(grep -c . "$T/$1/near.before")" 20
	ok "$1: mbsync goes on with its state" sync "$1" "$IMAP" quire@localhost
	near "$1" >"$T/$1/near.after"
	# names carry flags: the inode tells
	is "$1: mbsync loads nothing again" "$(cut -d ' ' -f 1 \
	    "$T/$1/near.after" | grep -vxF "$(cut -d ' ' -f 1 \
	    "$T/$1/near.before")")" ""
	is "$1: mbsync hears of one deleted" \
	    "$(($(wc -l <"$T/$1/near.before") - $(wc -l <"$T/$1/near.after")))" 1
	like "$1: and of a flag" "$(grep ' INBOX/cur/' "$T/$1/near.after")" ':2,F'
}

# adopt_dovecot CASE: fill by Dovecot, look with both
adopt_dovecot() {
	as mkdir -p "$T/$1/home"
	dovecot_conf "$T/$1" "$T/$1/Maildir" "$((P + 1))"
	ok "$1: Dovecot starts" dovecot_start "$T/$1"
	ok "$1: Dovecot makes the tree" snapshot "$((P + 1))" quire fill
	client state "$((P + 1))" quire "$T/$1/qresync" INBOX
	sync "$1" "$((P + 1))" quire
	meanwhile
	snapshot "$((P + 1))" quire >"$T/$1/dovecot.txt"
	dovecot_stop
	look "$1"
	D="$T/$1/server"
	if [ -n "${DOVECOT_LAYOUT-}" ]; then
		as quire localserve --init-only --dir "$D" --ip 127.0.0.1 \
		    --port-offset "$P" --maildir "$T/$1/Maildir" >/dev/null
		printf 'layout fs\nindex-root %s\n' "$T/$1/index" \
		    >>"$D/accounts/quire.conf"
		set -- "$1" --dir "$D"
	else
		set -- "$1" --maildir "$T/$1/Maildir"
	fi
	flow_start "$2" "$3" || {
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
	come_back "$1"
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

# directories in directories: all of it again, and what IMAP changes there
DOVECOT_SAVE='' DOVECOT_LAYOUT=fs
adopt_dovecot fs
is "fs: no directory of ours is in the tree" \
    "$(find "$T/fs/Maildir" -name 'quire' -o -name '.Sent')" ""
printf 'Subject: filed\n\nby smtp\n' | as /usr/bin/python3 -c '
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1]))
s.sendmail("a@b.example", ["quire@localhost"], sys.stdin.read())' "$SMTP"
for c in 'CREATE Neu/Unter' 'RENAME Archive Alt' 'SUBSCRIBE Alt/2024' \
    'DELETE Sent'; do
	curl -s "imap://127.0.0.1:$IMAP/" -X "$c" \
	    -u quire@localhost:quirequire >/dev/null || fail "fs: $c"
done
ok "fs: folders are where Dovecot looks" test -d "$T/fs/Maildir/Alt/2024/cur" \
    -a -d "$T/fs/Maildir/Neu/Unter/cur" -a ! -e "$T/fs/Maildir/Archive"
ok "fs: one is removed" test ! -e "$T/fs/Maildir/Sent/cur"
snapshot "$IMAP" quire@localhost >"$T/fs/quire.txt"
flow_stop
# and back: Dovecot goes on with what Quire has made of it
ok "fs: Dovecot starts again" dovecot_start "$T/fs"
snapshot "$((P + 1))" quire >"$T/fs/dovecot.txt"
dovecot_stop
if cmp -s "$T/fs/dovecot.txt" "$T/fs/quire.txt"; then
	pass "fs: Dovecot shows what Quire showed"
else
	fail "fs: Dovecot shows what Quire showed"
	diag "$(diff "$T/fs/dovecot.txt" "$T/fs/quire.txt" | head -40)"
fi
done_testing

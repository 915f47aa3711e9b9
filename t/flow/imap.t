#!/bin/sh
# Python's imaplib through every command of daily use, with the Maildir
# looked at meanwhile and changed by others; then mbsync both ways.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
flow_init 42000
flow_start || { fail "server starts"; done_testing; exit 0; }
as /usr/bin/python3 "$T/imap.py" "$IMAP" "$MD" >"$T/py" 2>&1
sed -n 's/^\(ok\|not ok\) [0-9]* - /\1 /p' "$T/py" >"$T/py.tap"
while read -r line; do
	case $line in
	ok\ *) pass "${line#ok }" ;;
	*) fail "${line#not ok }" ;;
	esac
done <"$T/py.tap"
if grep -qE '^(not ok|Traceback)' "$T/py"; then diag "$(tail -40 "$T/py")"; fi
ok "the script ran to its end" grep -q 'LOGOUT' "$T/py"

if command -v mbsync >/dev/null; then
	as mkdir "$T/local"
	cat >"$T/mbsyncrc" <<M
IMAPAccount q
Host 127.0.0.1
Port $IMAP
User quire@localhost
Pass quirequire
SSLType None
AuthMechs PLAIN

IMAPStore far
Account q

MaildirStore near
Path $T/local/
Inbox $T/local/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
M
	ok "mbsync pulls" as mbsync -q -c "$T/mbsyncrc" c
	is "as many messages" "$(find "$T/local/Archive" -type f -path '*/[cn]*/*' \
	    ! -name '.*' | wc -l)" "$(find "$MD/.Archive/cur" "$MD/.Archive/new" \
	    -type f | wc -l)"
	one=$(find "$T/local/Archive/cur" "$T/local/Archive/new" -type f |
	    head -n 1)
	base=$(basename "${one%:2,*}")
	as mv "$one" "$T/local/Archive/cur/$base:2,FRS"
	ok "mbsync pushes a flag" as mbsync -q -c "$T/mbsyncrc" c
	ok "it is on the server's disk" sh -c \
	    "ls '$MD/.Archive/cur' | grep -q ':2,.*F.*R.*S'"
	before=$(find "$T/local" -type f | sort)
	ok "mbsync again" as mbsync -q -c "$T/mbsyncrc" c
	is "nothing new to do" "$(find "$T/local" -type f | sort)" "$before"
fi
flow_stop
done_testing

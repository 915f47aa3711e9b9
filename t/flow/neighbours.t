#!/bin/sh
# Others change the Maildir meanwhile: five that deliver by hand, change flags by
# rename, delete, move between folders, rename as mbsync does and read as a
# backup, and one that delivers by SMTP, while eight IMAP sessions are open, four
# of them in IDLE. At the end every session sees what the directory has, and
# verify finds nothing. SOAK: seconds.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
flow_init 27000
flow_start || { fail "server starts"; done_testing; exit 0; }
as /usr/bin/python3 "$T/neighbours.py" "$IMAP" "$SMTP" "$MD" \
    "${SOAK:-15}" >"$T/py" 2>&1
while read -r verdict what; do
	case $verdict in
	ok) pass "$what" ;;
	not) fail "${what#ok }" ;;
	*) diag "$verdict $what" ;;
	esac
done <"$T/py"
ok "the script ran to its end" grep -q '^ok the end$' "$T/py"
ok "verify finds nothing wrong" as quire verify --deep "$MD"
flow_stop
done_testing

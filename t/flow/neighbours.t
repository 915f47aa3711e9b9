#!/bin/sh
# Others change the Maildir meanwhile: deliveries by hand and by SMTP, flags
# by rename, files deleted, moved between folders and renamed as mbsync does,
# while four IMAP sessions are open, two of them in IDLE. At the end every
# session sees what the directory has.
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
flow_stop
done_testing

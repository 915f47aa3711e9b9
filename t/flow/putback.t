#!/bin/sh
# All mail is put back to a former day, as a file system's snapshot does it:
# no UID comes to mean another message, and a client with QRESYNC that knew
# more than the mail does now gets to the truth. Without the marks in the
# state directory the same goes wrong.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
flow_init 17000
client() { # STATE WHAT [ARG..]
	as /usr/bin/python3 "$T/putback.py" "$IMAP" "$SMTP" "$@" 2>&1
}
restart() {
	flow_stop
	flow_start || { fail "server starts again"; done_testing; exit 0; }
}

# The same inodes with what they had: files made since go, others get their
# former contents in place.
put_back() {
	(cd "$MD" && find . -type f) | while read -r f; do
		[ -e "$T/S/$f" ] || rm "$MD/$f"
	done
	(cd "$T/S" && find . -type f) | while read -r f; do
		if [ -e "$MD/$f" ]; then
			cat "$T/S/$f" >"$MD/$f"
		else
			cp -p "$T/S/$f" "$MD/$f"
			chown --reference="$MD" "$MD/$f"
		fi
	done
	# directories too: nothing is to tell of it but the marks
	(cd "$T/S" && find . -depth -type d) | while read -r d; do
		touch -r "$T/S/$d" "$MD/$d"
	done
}

flow_start || { fail "server starts"; done_testing; exit 0; }
client "$T/state" deliver 1 2 3 4 5
client "$T/state" sync
restart
rm -rf "$T/S" && cp -a "$MD" "$T/S"
client "$T/state" deliver 6 7 8
is "a client changes things" "$(client "$T/state" change)" ""
is "which it knows" "$(client "$T/state" compare)" "same
uidnext higher"
flow_stop
ok "marks are kept" test -s "$D/state/marks/quire"
is "outside the mail" "$(find "$D/mail" -name '*marks*')" ""
put_back
cp "$T/state" "$T/state2" && chmod 666 "$T/state2"
rm -rf "$T/M2" && cp -a "$MD" "$T/M2"
cp -a "$D/state/marks" "$T/marks"

# the test of the test
rm -r "$D/state/marks"
flow_start || fail "server starts"
client "$T/state2" deliver new1 new2 new3 new4
like "without marks the client is wrong" "$(client "$T/state2" compare)" "differs"
flow_stop

(cd "$MD" && find . -type f) | while read -r f; do
	[ -e "$T/S/$f" ] || rm "$MD/$f"
done
put_back
rm -rf "$D/state/marks" && cp -a "$T/marks" "$D/state/marks"
flow_start || fail "server starts"
client "$T/state" deliver new1 new2 new3 new4
is "with them it gets to the truth" "$(client "$T/state" compare)" "same
uidnext higher"
is "and stays there" "$(client "$T/state" compare)" "same
uidnext higher"
like "the log says so" "$(grep -c 'ev=store.restored' "$T/log")" '^[1-9]'
flow_stop
ok "the mail is sound" as quire -C "$D" verify --deep
done_testing

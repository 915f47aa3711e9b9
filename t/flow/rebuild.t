#!/bin/sh
# The private files are lost: under open sessions, while nobody looks, and on
# purpose by quire rebuild. Clients see the same UIDs, flags and keywords.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
flow_init 35000
command -v swaks >/dev/null || skip_all "needs swaks"
as quire localserve --dir "$D" --ip 127.0.0.1 --port-offset "$P" --init-only >/dev/null
as sh -c "echo 'export dovecot' >>'$D/quire.conf'"
flow_start || { fail "server starts"; done_testing; exit 0; }

# without dates: a file's time has no zone
snapshot() {
	as /usr/bin/python3 "$T/snapshot.py" "$IMAP" quire@localhost "$@" |
	    sed 's/ date .* body/ body/'
}
same() {
	snapshot >"$T/now.txt"
	if cmp -s "$T/was.txt" "$T/now.txt"; then
		pass "$1"
	else
		fail "$1"
		diag "$(diff "$T/was.txt" "$T/now.txt" | head -40)"
	fi
}
private() { find "$MD" -type d -name quire; }

snapshot fill >/dev/null
snapshot >"$T/was.txt"
ok "there is something to compare" grep -q private "$T/was.txt"

# ---- under a session
as /usr/bin/python3 - "$IMAP" "$MD" >"$T/py" 2>&1 <<'PY'
import imaplib, shutil, subprocess, sys
port, root = int(sys.argv[1]), sys.argv[2]
m = imaplib.IMAP4("127.0.0.1", port)
m.login("quire@localhost", "quirequire")
m.select("INBOX")
before = m.uid("FETCH", "1:*", "(FLAGS)")[1]
for d in subprocess.check_output(["find", root, "-type", "d", "-name", "quire"]).split():
    shutil.rmtree(d)
print(m.noop()[0], m.uid("FETCH", "1:*", "(FLAGS)")[1] == before,
      m.append("INBOX", r"(\Flagged)", None, b"Subject: later\r\n\r\n\r\n")[0],
      m.noop()[0], m.uid("STORE", "1", "+FLAGS", r"(\Draft)")[0],
      m.uid("STORE", "1", "-FLAGS", r"(\Draft)")[0],
      m.uid("STORE", "13", "+FLAGS", r"(\Deleted)")[0], m.expunge()[0],
      m.create("Another")[0], m.delete("Another")[0])
m.logout()
PY
is "a session goes on without them" "$(cat "$T/py")" "OK True OK OK OK OK OK OK OK OK"
same "another sees the same"
ok "mail comes in" swaks --server "127.0.0.1:$SMTP" --from a@example.org \
    --to quire@localhost --silent 2
flow_stop

# ---- while nobody looks
for d in $(private); do rm -r "$d"; done
is "nothing of ours is left" "$(private)" ""
flow_start || fail "server starts again"
snapshot >"$T/now.txt"
is "what was there is the same" "$(grep -vxFf "$T/now.txt" "$T/was.txt")" ""
is "and the mail that came since" "$(diff "$T/was.txt" "$T/now.txt" | grep -c '^>')" 1
mv "$T/now.txt" "$T/was.txt"
flow_stop
ok "verify finds no error" as quire verify --deep "$MD"

# ---- on purpose
as quire -C "$D" rebuild quire >"$T/rebuilt"
is "rebuild ends well" $? 0
is "every mailbox keeps its UIDs" "$(grep -c 'from=dovecot-3 .* uids-new=0 ' \
    "$T/rebuilt")" "$(wc -l <"$T/rebuilt")"
is "and its flags" "$(grep -E '(renumbered|flags-changed|files-gone|keywords-lost)=[1-9]' \
    "$T/rebuilt")" ""
like "it says what is lost" "$(cat "$T/rebuilt")" 'lost=savedates,zones,expunges'
ok "the old journal is kept" test -s "$MD/quire/journal.old"
flow_start || fail "server starts once more"
same "clients see the same"
as quire -C "$D" rebuild --json --new-uidvalidity quire Sent >"$T/json"
like "numbered anew, while it runs" "$(cat "$T/json")" \
    '"mailbox":"Sent","from":"bare"'
snapshot >"$T/now.txt"
is "only that mailbox has another UIDVALIDITY" \
    "$(diff "$T/was.txt" "$T/now.txt" | grep '^[<>]' | cut -d ' ' -f 2,3 | sort -u)" "mailbox Sent"
flow_stop
as mkdir -p "$T/none" "$T/dir/cur"
for c in adopt 'adopt --dry-run' rebuild export-state changes; do
	# shellcheck disable=SC2086
	as quire $c --maildir "$T/none" >/dev/null 2>&1
	is "$c: what is no Maildir is refused" $? 66
done
is "and does not become one" "$(ls -A "$T/none")" ""
as quire adopt --maildir "$T/dir" --index-root "$T/dir/a/b" >/dev/null 2>&1
is "an index root within the Maildir is refused" $? 64
is "and not made" "$(ls -A "$T/dir")" cur
for c in '--separator //' '--doveadm ' '--user '; do
	as quire export-state "${c%% *}" "${c#* }" --maildir "$MD" >/dev/null 2>&1
	is "export-state $c is refused" $? 64
done
is "an account that is none is told" "$(as quire -C "$D" rebuild nobody 2>&1)" \
    "quire: no account nobody"
ok "verify finds no error" as quire verify --deep "$MD"
done_testing

#!/bin/sh
# quire-imap --preauth on a pipe: a client library, a client that types, and
# two sessions on one Maildir.
. "${SRCDIR:=.}/t/lib/tap.sh"
: "${BUILDDIR:=build}"
IMAP=$BUILDDIR/bin/quire-imap
T=$(mktemp -d) || exit 99
trap 'rm -rf "$T"' EXIT
[ -x "$IMAP" ] || skip_all "quire-imap is not built"

# say TEXT: what the server answers to these lines, without carriage returns
say() { printf '%s\r\n' "$@" | "$IMAP" --preauth "$T/m" | tr -d '\r'; }

like "a new account greets" "$(say 'a LOGOUT')" \
    '^\* PREAUTH \[CAPABILITY IMAP4rev2 IMAP4rev1 '
like "it has the usual mailboxes" "$(say 'a LIST "" *' 'b LOGOUT')" \
    '^\* LIST \(\\HasNoChildren \\Sent\) "/" Sent$'
out=$(say 'a APPEND INBOX {15+}' 'Subject: hi' '' '' 'b LOGOUT')
like "APPEND without waiting" "$out" '^a OK \[APPENDUID [0-9]+ 1\]'
is "the message is in the Maildir" "$(find "$T/m/cur" "$T/m/new" -type f | wc -l)" 1
out=$(say 'a SELECT INBOX' 'b UID FETCH 1 (FLAGS BODY.PEEK[])' 'c LOGOUT')
like "it is served with CRLF" "$out" '^\* 1 FETCH \(UID 1 FLAGS \(.*\) BODY\[\] \{15\}$'
out=$(say 'a SELECT INBOX' 'b FETCH 1 BODY[' 'c NOOP' 'd LOGOUT')
like "a syntax error is told" "$out" '^b BAD '
like "and the next command is read" "$out" '^c OK '
out=$(printf 'a NOOP\n' | "$IMAP" --preauth "$T/m" | tr -d '\r')
like "lines may end in LF" "$out" '^a OK'
"$IMAP" --preauth "$T/m/nothing/here" </dev/null >/dev/null 2>&1
is "no such place" $? 73
"$IMAP" "$T/m" </dev/null >/dev/null 2>&1
is "wrong usage" $? 64
"$IMAP" --preauth --read-only "$T/m" </dev/null >"$T/out" 2>&1
is "end of input is no error" $? 0
out=$(printf 'a SELECT INBOX\r\nb STORE 1 +FLAGS \\Deleted\r\n' |
    "$IMAP" --preauth --read-only "$T/m" | tr -d '\r')
like "read-only selects so" "$out" '^a OK \[READ-ONLY\]'
like "and changes nothing" "$out" '^b NO '

command -v /usr/bin/python3 >/dev/null || { done_testing; exit 0; }
cat >"$T/client.py" <<'PY'
import imaplib, os, select, sys, time
imap, root = sys.argv[1], sys.argv[2]
n = 0
def ok(what, good, got=""):
    print(("ok" if good else "not ok"), what)
    if not good:
        print("#", repr(got))
def client():
    return imaplib.IMAP4_stream("%s --preauth %s" % (imap, root))
def mail(i, body="hello\r\n"):
    return ("From: A <a@x.org>\r\nTo: b@y.org\r\nSubject: number %d\r\n"
        "Date: Tue, 1 Feb 2000 10:00:0%d +0000\r\n\r\n%s" % (i, i, body)).encode()

M = client()
typ, d = M.select("INBOX")
ok("select", typ == "OK", d)
typ, d = M.create("Work/2026")
ok("create", typ == "OK", d)
for i in range(5):
    typ, d = M.append("Work/2026", "(\\Flagged)" if i == 2 else None,
        '" 1-Feb-2000 10:00:00 +0100"', mail(i))
    ok("append %d" % i, typ == "OK" and b"APPENDUID" in d[0], d)
typ, d = M.append("Nowhere", None, None, mail(1))
ok("append to nowhere", typ == "NO" and b"TRYCREATE" in d[0], d)
typ, d = M.select("Work/2026")
ok("five messages", d == [b"5"], d)
typ, d = M.fetch("3", "(FLAGS INTERNALDATE RFC822.SIZE)")
ok("fetch flags", b"\\Flagged" in d[-1] and b" 1-Feb-2000 10:00:00 +0100" in d[-1], d)
typ, d = M.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
ok("fetch headers", [x[1] for x in d if isinstance(x, tuple)] ==
    [b"Subject: number %d\r\n\r\n" % i for i in range(5)], d)
typ, d = M.fetch("2", "(BODY[])")
ok("fetch a message", d[0][1] == mail(1), d)
typ, d = M.uid("FETCH", "4", "(ENVELOPE BODYSTRUCTURE)")
ok("fetch structure", b'"number 3"' in d[0] and b'"text" "plain"' in d[0], d)
typ, d = M.search(None, "UNSEEN")
ok("search unseen", d == [b"1 3 4 5"], d)
typ, d = M.search(None, "SUBJECT", '"NUMBER 4"')
ok("search subject", d == [b"5"], d)
typ, d = M.uid("SEARCH", "BODY", "HELLO", "NOT", "UID", "2:4")
ok("uid search", d == [b"1 5"], d)
typ, d = M.store("1:2", "+FLAGS.SILENT", "(\\Deleted important)")
ok("store", typ == "OK", d)
typ, d = M.search(None, "KEYWORD", "important")
ok("search keyword", d == [b"1 2"], d)
typ, d = M.copy("3", "Archive")
ok("copy", typ == "OK" and b"COPYUID" in d[0], d)
typ, d = M.uid("MOVE", "4", "Trash")
ok("move", typ == "OK", d)
typ, d = M.status("Trash", "(MESSAGES UIDNEXT)")
ok("moved", b"MESSAGES 1 UIDNEXT 2" in d[0], d)
typ, d = M.expunge()
ok("expunge", typ == "OK", d)
typ, d = M.search(None, "ALL")
ok("two are left", d == [b"1 2"], d)

# a second session changes things while the first one sleeps
M.send(b"i1 IDLE\r\n")
line = M.readline()
ok("idle", line.startswith(b"+"), line)
N = client()
N.select("Work/2026")
N.store("1", "+FLAGS", "(\\Answered)")
N.append("Work/2026", None, None, mail(7))
seen = b""
end = time.time() + 10
while time.time() < end and not (b"\\Answered" in seen and b"3 EXISTS" in seen):
    r, _, _ = select.select([M.process.stdout], [], [], 1)
    if r:
        seen += os.read(M.process.stdout.fileno(), 65536)
ok("idle tells of a flag and of new mail", b"\\Answered" in seen and b"3 EXISTS" in seen, seen)
M.send(b"DONE\r\n")
while not seen.endswith(b"\r\n") or b"i1 OK" not in seen:
    seen += os.read(M.process.stdout.fileno(), 65536)
ok("idle ends", b"i1 OK" in seen, seen)
N.store("1:*", "+FLAGS.SILENT", "(\\Deleted)")
N.expunge()
typ, d = M.fetch("1:3", "(UID)")
ok("numbers stay during FETCH", typ == "OK" and len(d) >= 3, d)
typ, d = M.noop()
ok("NOOP tells of expunges", len(M.untagged_responses.get("EXPUNGE", [])) == 3, M.untagged_responses)
typ, d = M.rename("Work", "Old")
ok("rename a tree", typ == "OK", d)
M.unselect() if hasattr(M, "unselect") else M.close()
typ, d = M.delete("Old/2026")
ok("delete", typ == "OK", d)
typ, d = M.list('""', "Old*")
ok("the parent is left", len(d) == 1 and b"Old" in d[0], d)
N.logout()
M.logout()
print("ok the script ran to its end")
PY
/usr/bin/python3 "$T/client.py" "$IMAP" "$T/p" >"$T/py" 2>&1
while read -r verdict what; do
	case $verdict in
	ok) pass "$what" ;;
	not) fail "${what#ok }" ;;
	*) diag "$verdict $what" ;;
	esac
done <"$T/py"
ok "imaplib was content" grep -q '^ok the script ran to its end$' "$T/py"
done_testing

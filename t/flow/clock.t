#!/bin/sh
# The clock a day back, ten years ahead and back again: UIDs and MODSEQs go
# on ascending, UIDVALIDITY stays, nothing is lost.
. "${SRCDIR:=.}/t/lib/tap.sh"
: "${BUILDDIR:=build}"
T=$(mktemp -d) || exit 99
trap 'rm -rf "$T"' EXIT
command -v "${CC:-cc}" >/dev/null || skip_all "no C compiler"
"${CC:-cc}" -D_GNU_SOURCE -shared -fPIC -o "$T/clock.so" \
    "$SRCDIR/t/lib/clock.c" || { fail "clock.c compiles"; done_testing; exit 0; }
# with sanitizers, their library must be the first
preload=$(ldd "$BUILDDIR/bin/quire-mda" | awk '/lib(clang_rt.)?asan/ { print $3 }')
preload="$preload $T/clock.so"
year=$(LD_PRELOAD=$preload QUIRE_CLOCK_OFFSET=315360000 date +%Y)
is "the clock is moved" "$year" \
    "$(date -d "@$(($(date +%s) + 315360000))" +%Y)"

cat >"$T/clock.py" <<'PY'
import imaplib, os, re, subprocess, sys, time
bindir, root, preload = sys.argv[1:4]
DAY, YEAR = 86400, 31536000
def say(what, good, got=""):
    print("ok" if good else "not ok", what)
    if not good:
        print("#", repr(got)[:600])
def env(offset):
    return dict(os.environ, LD_PRELOAD=preload,
        QUIRE_CLOCK_OFFSET=str(offset), ASAN_OPTIONS="detect_leaks=0")
def deliver(offset, text):
    return subprocess.run([bindir + "/quire-mda", "-M", root],
        input=b"Subject: " + text + b"\n\nhello\n",
        env=env(offset)).returncode
class Client(imaplib.IMAP4_stream):
    def __init__(self, offset):
        self.clock = offset
        super().__init__("%s/quire-imap --preauth %s" % (bindir, root))
    def open(self, *args, **kw):
        old = dict(os.environ)
        os.environ.update(env(self.clock))
        try:
            super().open(*args, **kw)
        finally:
            os.environ.clear()
            os.environ.update(old)
    def code(self, name):
        typ, d = self.response(name)
        return int(d[0]) if d and d[0] else None
class Seen:
    pass
def look(offset):
    s = Seen()
    m = Client(offset)
    m.enable("CONDSTORE")
    typ, d = m.select("INBOX")
    s.exists = int(d[0])
    s.uidvalidity, s.uidnext = m.code("UIDVALIDITY"), m.code("UIDNEXT")
    s.highest = m.code("HIGHESTMODSEQ")
    typ, d = m.uid("FETCH", "1:*", "(FLAGS MODSEQ BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    s.uids, s.flags, s.modseq, s.subjects = [], {}, {}, {}
    for x in d:
        if not isinstance(x, tuple):
            continue
        head = x[0].decode()
        uid = int(re.search(r"UID (\d+)", head).group(1))
        s.uids.append(uid)
        s.flags[uid] = set(re.search(r"FLAGS \(([^)]*)\)", head).group(1)
            .split()) - {"\\Recent"}
        s.modseq[uid] = int(re.search(r"MODSEQ \((\d+)\)", head).group(1))
        s.subjects[uid] = x[1].split(b":")[1].strip()
    m.logout()
    return s
def store(offset, uid, op, flags):
    m = Client(offset)
    m.select("INBOX")
    typ, d = m.uid("STORE", str(uid), op, flags)
    m.logout()
    return typ
want_flags, want_subjects, last = {}, {}, None
keyword = 0
for name, offset in (("now", 0), ("a day back", -DAY),
    ("ten years ahead", 10 * YEAR), ("now again", 0),
    ("a day back again", -DAY), ("thirty years back", -30 * YEAR)):
    before = look(offset)
    if last is not None:
        say(name + ": what was there is there", (before.uids, before.flags,
            before.modseq, before.uidvalidity) == (last.uids, last.flags,
            last.modseq, last.uidvalidity), (vars(before), vars(last)))
        say(name + ": HIGHESTMODSEQ stays", before.highest == last.highest,
            (before.highest, last.highest))
    top = before.highest
    for i in range(3):
        text = ("%s %d" % (name, i)).encode()
        say("%s: delivery %d" % (name, i), deliver(offset, text) == 0)
        s = look(offset)
        new = [u for u in s.uids if u not in before.uids]
        say("%s: one new UID above all others" % name, len(new) == 1 and
            new[0] >= before.uidnext and s.uidnext > new[0] and
            s.uids == sorted(s.uids), vars(s))
        uid = new[0]
        want_subjects[uid], want_flags[uid] = text, set()
        say("%s: its MODSEQ and HIGHESTMODSEQ ascend" % name,
            s.modseq[uid] > top and s.highest >= s.modseq[uid], (vars(s), top))
        top, before = s.highest, s
    for uid in (before.uids[0], before.uids[-1]):
        keyword += 1
        for op, flags in (("+FLAGS", "(\\Flagged Key%d)" % keyword),
            ("-FLAGS", "(\\Flagged)"), ("+FLAGS.SILENT", "(\\Answered Too%d)" % keyword)):
            say("%s: STORE %s" % (name, op), store(offset, uid, op, flags) == "OK")
            s = look(offset)
            say("%s: MODSEQ ascends" % name, s.modseq[uid] > top and
                s.highest == s.modseq[uid], (s.modseq[uid], s.highest, top))
            top = s.highest
        want_flags[uid] |= {"Key%d" % keyword, "Too%d" % keyword,
            "\\Answered"}
    m = Client(offset)
    m.select("INBOX")
    typ, d = m.append("INBOX", None, None, b"Subject: appended\r\n\r\nx\r\n")
    got = int(re.search(rb"APPENDUID \d+ (\d+)", d[0]).group(1))
    say(name + ": APPEND goes on", got >= s.uidnext, (got, s.uidnext))
    m.uid("STORE", str(got), "+FLAGS.SILENT", "(\\Deleted)")
    m.expunge()
    m.logout()
    last = look(offset)
    say(name + ": an expunge counts", last.highest > top and
        last.uidnext > got, vars(last))
    say(name + ": nothing is lost, flags are right",
        last.flags == want_flags and last.subjects == want_subjects,
        (vars(last), want_flags))
names = os.listdir(root + "/cur") + os.listdir(root + "/new")
say("a file for each message", len(names) == len(last.uids), names)
say("no two names begin alike",
    len({n.split(":")[0] for n in names}) == len(names), names)
print("ok the script ran to its end")
PY
/usr/bin/python3 "$T/clock.py" "$BUILDDIR/bin" "$T/m" "$preload" >"$T/py" 2>&1
while read -r verdict what; do
	case $verdict in
	ok) pass "$what" ;;
	not) fail "${what#ok }" ;;
	*) diag "$verdict $what" ;;
	esac
done <"$T/py"
ok "the script was content" grep -q '^ok the script ran to its end$' "$T/py"
done_testing

#!/bin/sh
# A full disk: 4xx and NO, nothing half-written, room can be made by EXPUNGE,
# and it recovers by itself. The mail lies on a file system of 3 MiB.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
[ "$(id -u)" -eq 0 ] || skip_all "needs root to mount a small file system"
if [ -z "${IN_NAMESPACE-}" ]; then
	unshare -m true 2>/dev/null || skip_all "no mount namespaces here"
	IN_NAMESPACE=1 exec unshare -m sh "$0"
fi
flow_init 13000
as mkdir -p "$D/mail" "$D/other" "$D/accounts"
printf 'address other@localhost\nmaildir %s/other/Maildir\n' "$D" |
    as tee "$D/accounts/other.conf" >/dev/null
mount -t tmpfs -o "size=3m,uid=$FLOW_UID,gid=$FLOW_UID,mode=0700" none "$D/mail" ||
    skip_all "cannot mount"
flow_start || { fail "server starts"; done_testing; exit 0; }
cat >"$T/py.py" <<'P'
import imaplib, os, smtplib, sys
smtp, imap, md = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
def say(what, good, *d):
    print("%s - %s" % ("ok" if good else "not ok", what))
    if not good: print("#", *d)
def send(n):
    s = smtplib.SMTP("127.0.0.1", smtp, timeout=20)
    try:
        s.sendmail("a@b.example", ["quire@localhost"], "Subject: %d\r\n\r\n" % n + "x" * 60000)
        return 250
    except smtplib.SMTPDataError as e:
        return e.smtp_code
    finally:
        s.close()
def files():
    return sum(len(os.listdir(md + "/" + d)) for d in ("new", "cur"))
codes = [send(i) for i in range(60)]
good = codes.count(250)
say("some fit", good > 5, codes)
say("the rest is temporary", set(codes) == {250, 452}, codes)
say("as many files as acknowledged", files() == good, files(), good)
s = smtplib.SMTP("127.0.0.1", smtp, timeout=20)
code = 250
try:
    s.sendmail("a@b.example", ["other@localhost", "quire@localhost"], "Subject: both\r\n\r\n" + "x" * 60000)
except smtplib.SMTPDataError as e:
    code = e.smtp_code
s.close()
there = os.listdir(md + "/../../../other/Maildir/new") if os.path.isdir(md + "/../../../other/Maildir/new") else []
say("a full disk of one of two recipients: temporary", code == 452, code)
say("and the other has nothing", there == [], there)
say("nothing is left in tmp/", os.listdir(md + "/tmp") == [], os.listdir(md + "/tmp"))
m = imaplib.IMAP4("127.0.0.1", imap)
m.login("quire@localhost", "quirequire")
typ, d = m.select()
say("all of them are seen", d == [b"%d" % good], d, good)
typ, d = m.append("INBOX", None, None, b"Subject: big\r\n\r\n" + b"y" * 200000)
say("APPEND: NO", typ == "NO", typ, d)
say("and says why", b"OVERQUOTA" in d[0] or b"room" in d[0].lower() or b"space" in d[0].lower(), d)
typ, d = m.store("1:10", "+FLAGS", r"(\Deleted)")
say(r"\Deleted can be set", typ == "OK", d)
typ, d = m.expunge()
say("EXPUNGE makes room", typ == "OK" and len(d) >= 10, typ, d)
m.logout()
import time
code = 0
for i in range(40):
    code = send(1000 + i)
    if code == 250: break
    time.sleep(0.25)
say("then mail comes in again", code == 250, code)
m = imaplib.IMAP4("127.0.0.1", imap)
m.login("quire@localhost", "quirequire")
typ, d = m.select()
say("counts agree with the files", d == [b"%d" % files()], d, files())
P
as /usr/bin/python3 "$T/py.py" "$SMTP" "$IMAP" "$MD" >"$T/py" 2>&1
while read -r line; do
	case $line in
	"ok - "*) pass "${line#ok - }" ;;
	"not ok - "*) fail "${line#not ok - }" ;;
	*) diag "$line" ;;
	esac
done <"$T/py"
ok "the script ran to its end" grep -q 'counts agree' "$T/py"
is "trouble of ours is no client's mistake" \
    "$(grep 'ev=smtp.reject' "$T/log" | grep -o 'level=[a-z]* .*code=[0-9]*' |
    sed 's/ .* / /' | sort -u)" "level=warn code=452"
flow_stop
umount "$D/mail"
done_testing

#!/usr/bin/python3
"""IMAP as Python's imaplib speaks it, against a running server.

usage: imap.py PORT MAILDIR    prints TAP lines without a plan
"""
import imaplib
import os
import re
import sys
import time

port, maildir = int(sys.argv[1]), sys.argv[2]
n = 0


def check(what, good, *detail):
    global n
    n += 1
    print("%s %d - %s" % ("ok" if good else "not ok", n, what))
    if not good:
        for d in detail:
            print("# %r" % (d,))


def files(folder, *subs):
    out = []
    for sub in subs or ("new", "cur"):
        d = os.path.join(maildir, folder, sub)
        out += [f for f in os.listdir(d)]
    return sorted(out)


def soon(what):
    """Names follow when the client has its answer."""
    end = time.time() + 5
    while not what() and time.time() < end:
        time.sleep(0.01)
    return what()


def flags_on_disk(folder):
    return sorted(f.split(":2,")[1] if ":2," in f else "" for f in files(folder))


M = imaplib.IMAP4("127.0.0.1", port)
check("greeting has capabilities", "IMAP4REV1" in M.capabilities, M.capabilities)
typ, _ = M.login("quire@localhost", "quirequire")
check("login", typ == "OK")
typ, boxes = M.list()
names = b"\n".join(boxes).decode()
for use in ("Drafts", "Sent", "Trash", "Junk", "Archive"):
    check("LIST has " + use, "\\" + use in names, names)
typ, subs = M.lsub()
check("they are subscribed", b"Sent" in b"\n".join(subs), subs)

body = b"From: a@b.example\r\nTo: c@d.example\r\nSubject: appended\r\n\r\none\r\ntwo\r\n"
typ, d = M.append("Archive", r"(\Seen \Flagged $Forwarded)", '"01-Feb-2020 10:11:12 +0100"', body)
check("APPEND", typ == "OK" and b"APPENDUID" in d[0], typ, d)
typ, d = M.append("Nowhere", None, None, body)
check("APPEND to a missing mailbox: TRYCREATE", typ == "NO" and b"TRYCREATE" in d[0], d)
typ, d = M.select("Archive")
check("SELECT", typ == "OK" and d == [b"1"], d)
typ, d = M.fetch("1", "(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE UID)")
s = b" ".join(x if isinstance(x, bytes) else b" ".join(x) for x in d).decode()
check("flags", all(f in s for f in ("\\Seen", "\\Flagged", "$Forwarded")), s)
check("date with its zone", '" 1-Feb-2020 10:11:12 +0100"' in s, s)
check("size in CRLF octets", "RFC822.SIZE %d" % len(body) in s, s)
check("envelope", '"appended"' in s and '"a" "b.example"' in s, s)
check("bodystructure", '"text" "plain"' in s.lower(), s)
typ, d = M.fetch("1", "(BODY.PEEK[])")
check("BODY[] is what was appended", d[0][1] == body, d)
typ, d = M.fetch("1", "(BODY.PEEK[TEXT]<2.3>)")
check("partial", d[0][1] == body.split(b"\r\n\r\n", 1)[1][2:5], d)
typ, d = M.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
check("header fields", d[0][1] == b"Subject: appended\r\n\r\n", d)
check("flags on disk", soon(lambda: set("FPS") <= set(flags_on_disk(".Archive")[0])), flags_on_disk(".Archive"))
typ, d = M.store("1", "-FLAGS", r"(\Flagged)")
check("STORE", typ == "OK", d)
check("flag gone on disk", soon(lambda: "F" not in flags_on_disk(".Archive")[0]), flags_on_disk(".Archive"))
typ, d = M.store("1", "+FLAGS", "(work)")
check("a keyword of one's own", typ == "OK" and b"work" in d[0], d)

for i in range(5):
    M.append("Archive", None, None, body.replace(b"appended", b"number %d" % i))
typ, d = M.search(None, "SUBJECT", '"number 3"')
check("SEARCH SUBJECT", d[0].split() == [b"5"], d)
typ, d = M.search(None, "UNSEEN", "NOT", "SUBJECT", '"number 1"')
check("SEARCH NOT", d[0].split() == [b"2", b"4", b"5", b"6"], d)
typ, d = M.search(None, "KEYWORD", "work")
check("SEARCH KEYWORD", d[0].split() == [b"1"], d)
typ, d = M.create("Projects/2024")
check("CREATE with parent", typ == "OK", d)
check("on disk as Maildir++", os.path.isdir(os.path.join(maildir, ".Projects.2024/cur")))
typ, d = M.copy("2:3", "Projects/2024")
check("COPY", typ == "OK" and b"COPYUID" in d[0], d)
check("two files there", len(files(".Projects.2024")) == 2)
typ, d = M._simple_command("MOVE", "4", "Trash")
check("MOVE", typ == "OK", d)
check("five left", len(files(".Archive")) == 5, files(".Archive"))
check("one in Trash", len(files(".Trash")) == 1)
M.store("1:2", "+FLAGS", r"(\Deleted)")
M.response("EXPUNGE")  # what MOVE said
typ, d = M.expunge()
check("EXPUNGE", typ == "OK" and d == [b"1", b"1"], d)
check("three left on disk", len(files(".Archive")) == 3, files(".Archive"))
typ, d = M.status("Archive", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)")
check("STATUS", b"MESSAGES 3" in d[0], d)
typ, d = M.rename("Projects", "Work")
check("RENAME takes children along", typ == "OK" and os.path.isdir(os.path.join(maildir, ".Work.2024/cur")), d)
typ, d = M.delete("Work/2024")
check("DELETE", typ == "OK" and not os.path.exists(os.path.join(maildir, ".Work.2024")), d)
typ, d = M.create("Entw\xc3\xbcrfe" if False else "Entw&APw-rfe")
check("a name in modified UTF-7", typ == "OK", d)

# another session changes the mailbox: IDLE reports it
B = imaplib.IMAP4("127.0.0.1", port)
B.login("quire@localhost", "quirequire")
M.select("Archive")
tag = M._new_tag()
M.send(tag + b" IDLE\r\n")
line = M.readline()
check("IDLE begins", line.startswith(b"+"), line)
start = time.time()
B.append("Archive", None, None, body)
M.sock.settimeout(10)
line = M.readline()
while b"EXISTS" not in line:
    line = M.readline()
check("IDLE tells of the new message", b"* 4 EXISTS" in line, line)
check("soon", time.time() - start < 5.0, time.time() - start)
B.select("Archive")
B.store("1", "+FLAGS", r"(\Answered)")
line = M.readline()
while b"* 1 FETCH" not in line:
    line = M.readline()
check("and of a changed flag", b"\\Answered" in line, line)
M.send(b"DONE\r\n")
line = M.readline()
while not line.startswith(tag):
    line = M.readline()
check("IDLE ends", b"OK" in line, line)

# a session that was not told yet reads what another moved; exp/ emptied, it
# is read where it went
C = imaplib.IMAP4("127.0.0.1", port)
C.login("quire@localhost", "quirequire")
B.create("Moving")
for i in range(3):
    B.append("Moving", None, None, body.replace(b"appended", b"moving %d" % i))
B.select("Moving")
C.select("Moving")
typ, d = B._simple_command("MOVE", "2", "Trash")
check("MOVE by another session", typ == "OK", d)
gone = os.path.join(maildir, ".Moving/quire/exp")
kept = os.listdir(gone)
check("its file is kept for a while", len(kept) == 1, kept)
typ, d = C.fetch("2", "(BODY.PEEK[])")
check("it is still served", d[0][1] == body.replace(b"appended", b"moving 1"), d)
for f in kept:
    os.unlink(os.path.join(gone, f))
typ, d = C.fetch("1:3", "(BODY.PEEK[])")
check("and when exp/ has given it up", [x[1] for x in d if isinstance(x, tuple)] ==
      [body.replace(b"appended", b"moving %d" % i) for i in range(3)], d)
typ, d = C.noop()
check("then it is told", C.response("EXPUNGE")[1] == [b"2"], d)
C.logout()
B.select("Archive")

# a neighbour renames and deletes files behind our back
src = os.path.join(maildir, ".Archive", "cur")
names = sorted(f for f in os.listdir(src))
base = names[0].split(":2,")[0]
os.rename(os.path.join(src, names[0]), os.path.join(src, base + ":2,FS"))
time.sleep(1.1)
M.noop()
typ, d = M.fetch("1:*", "(FLAGS)")
s = b" ".join(x for x in d if isinstance(x, bytes)).decode()
check("flags set by renaming are seen", "\\Flagged" in s, s)
gone = [f for f in os.listdir(src)][0]
os.unlink(os.path.join(src, gone))
time.sleep(1.1)
M.noop()
typ, d = M.select("Archive")
check("a deleted file is an expunge", d == [b"3"], d)
with open(os.path.join(maildir, ".Archive", "new", "%d.foreign.host" % time.time()), "w") as f:
    f.write("Subject: foreign\n\nhi\n")
time.sleep(0.1)
typ, d = M.select("Archive")
check("a foreign delivery is taken in", d == [b"4"], d)

# a file that cannot be read, and one that is missing, cost their own bodies
src = os.path.join(maildir, ".Archive", "cur")
soon(lambda: not os.listdir(os.path.join(maildir, ".Archive", "new")))
names = sorted(os.listdir(src))
os.chmod(os.path.join(src, names[0]), 0)
typ, d = M.fetch("1:*", "(BODY.PEEK[HEADER])")
bodies = sum(1 for x in M.response("FETCH")[1] if isinstance(x, tuple))
check("an unreadable file: NO, the others are served", typ == "NO" and bodies == len(names) - 1, typ, d)
os.chmod(os.path.join(src, names[0]), 0o600)
typ, d = M.fetch("1:*", "(BODY.PEEK[HEADER])")
check("readable again", typ == "OK" and sum(1 for x in d if isinstance(x, tuple)) == len(names), typ, d)
typ, d = M.logout()
check("LOGOUT", typ == "BYE", typ, d)

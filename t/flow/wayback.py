#!/usr/bin/python3
"""An IMAP client of wayback.t.

usage: wayback.py change PORT USER
       wayback.py later PORT USER
       wayback.py silent PORT USER MAILDIR    is it exported though nobody asks
       wayback.py subs PORT USER
       wayback.py state PORT USER FILE BOX    remember it, as a QRESYNC client
       wayback.py resync PORT USER FILE BOX   come back with that
"""
import imaplib
import json
import os
import re
import sys
import time

imaplib.Commands.update({"ENABLE": ("AUTH",), "MOVE": ("SELECTED",)})
what, port, user = sys.argv[1], int(sys.argv[2]), sys.argv[3]
M = imaplib.IMAP4("127.0.0.1", port)
M.login(user, "quirequire")


def must(answer):
    assert answer[0] == "OK", answer
    return answer[1]


def append(box, n, flags=""):
    text = "Subject: %s %d\r\n\r\nbody %d\r\n" % (box, n, n)
    must(M.append(box, flags, '"01-May-2023 10:11:12 +0000"', text.encode()))


def raw(line):
    """A command by hand; its untagged lines."""
    tag = M._new_tag()
    M.send(tag + b" " + line.encode() + b"\r\n")
    out = []
    while True:
        got = M.readline().rstrip(b"\r\n")
        if got.startswith(tag):
            assert got[len(tag) + 1:].startswith(b"OK"), got
            return out + [got.decode()]
        out.append(got.decode())


def flags_of(line):
    m = re.search(r"FLAGS \(([^)]*)\)", line)
    return sorted(f for f in m.group(1).split() if f.lower() != "\\recent")


def uid_set(text):
    out = set()
    for part in text.split(","):
        lo, _, hi = part.partition(":")
        out.update(range(int(lo), int(hi or lo) + 1))
    return out


def fetched(lines):
    out = {}
    for line in lines:
        m = re.search(r"\bUID (\d+)", line)
        if " FETCH (" in line and m:
            out[m.group(1)] = flags_of(line)
    return out


def number(lines, name):
    return int(re.search(r"\[%s (\d+)\]" % name, "\n".join(lines)).group(1))


if what == "change":
    must(M.select("INBOX"))
    must(M.store("1", "+FLAGS", r"(\Answered)"))
    must(M.store("2", "-FLAGS", r"(\Seen)"))
    must(M.store("4:5", "+FLAGS", "(fresh)"))
    must(M.store("6", "+FLAGS", r"(\Flagged fresh later)"))
    append("INBOX", 100, r"(\Seen fresh)")
    append("INBOX", 101)
    must(M.uid("MOVE", "2,5", "Archive"))
    must(M.uid("STORE", "4", "+FLAGS", r"(\Deleted)"))
    must(M.expunge())
    must(M.create("Neu/Unter"))
    must(M.create("Leer"))
    must(M.subscribe("Neu/Unter"))
    must(M.unsubscribe("Archive/2024"))
    append("Neu/Unter", 7, r"(\Draft private)")
    append("Neu/Unter", 8)
    must(M.rename("Entw&APw-rfe", "Neu/Entw&APw-rfe"))
elif what == "later":
    # came and went: no server that was not told can know of it
    must(M.select("INBOX"))
    append("INBOX", 102, r"(\Deleted)")
    must(M.noop())
    # one that Dovecot had, and one that only clients of Quire have seen
    must(M.uid("STORE", "8,14", "+FLAGS", r"(\Deleted)"))
    must(M.expunge())
    must(M.store("1", "+FLAGS", r"(\Draft)"))
    must(M.store("3", "-FLAGS", r"(\Seen)"))
    # more keywords than there are letters
    append("Leer", 1)
    must(M.select("Leer"))
    for i in range(30):
        must(M.store("1", "+FLAGS", "(kw%d)" % i))
elif what == "silent":
    def in_list(name):
        """Seconds until dovecot-uidlist has that file; None: not in 8."""
        for i in range(80):
            if name in open(sys.argv[4] + "/dovecot-uidlist").read():
                return i / 10
            time.sleep(0.1)
        return None

    def deliver(name):
        with open(sys.argv[4] + "/tmp/" + name, "w") as f:
            f.write("Subject: by others\n\nbody\n")
        os.rename(sys.argv[4] + "/tmp/" + name, sys.argv[4] + "/new/" + name)

    # the first is exported at once or soon, the second must wait for its time
    must(M.select("INBOX"))
    deliver("1700000001.silent1.h")
    must(M.noop())
    deliver("1700000002.silent2.h")
    must(M.noop())
    print("silent", in_list("silent1") is not None and in_list("silent2") is not None)
    M.send(b"i IDLE\r\n")
    M.readline()
    deliver("1700000003.silent3.h")
    time.sleep(0.5)
    deliver("1700000004.silent4.h")
    print("idle", in_list("silent3") is not None and in_list("silent4") is not None)
    M.send(b"DONE\r\n")
    while not M.readline().startswith(b"i OK"):
        pass
elif what == "subs":
    names = [re.search(rb'" "?([^"]+)"?$', line).group(1) for line in must(M.lsub())]
    print(b"\n".join(sorted(names)).decode())
elif what == "state":
    must(M.enable("QRESYNC"))
    lines = raw('SELECT "%s"' % sys.argv[5])
    state = {"uidvalidity": number(lines, "UIDVALIDITY"),
             "modseq": number(lines, "HIGHESTMODSEQ"),
             "flags": fetched(raw("UID FETCH 1:* (FLAGS)"))}
    json.dump(state, open(sys.argv[4], "w"))
elif what == "resync":
    must(M.enable("QRESYNC"))
    state = json.load(open(sys.argv[4]))
    known = state["flags"]
    lines = raw('SELECT "%s" (QRESYNC (%d %d 1:%d))' % (
        sys.argv[5], state["uidvalidity"], state["modseq"], max(map(int, known))))
    assert number(lines, "UIDVALIDITY") == state["uidvalidity"], lines
    now = dict(known)
    for line in lines:
        m = re.match(r"\* VANISHED \(EARLIER\) ([0-9:,]+)$", line)
        for uid in uid_set(m.group(1)) if m else ():
            now.pop(str(uid), None)
    told = fetched(lines)
    now.update(told)
    truth = fetched(raw("UID FETCH 1:* (FLAGS)"))
    new = sorted(set(truth) - set(known), key=int)
    # what it had not it would load; everything else it must know
    for uid in new:
        now[uid] = truth[uid]
    ghosts = sorted(set(now) - set(truth), key=int)
    wrong = sorted((u for u in truth if now[u] != truth[u]), key=int)
    print("loads", ",".join(new) or "nothing")
    print("ghosts", ",".join(ghosts) or "none")
    print("wrong", ",".join(wrong) or "none")
M.logout()

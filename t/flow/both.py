#!/usr/bin/python3
"""Dovecot and Quire on one Maildir at the same time.

usage: both.py DIR DOVEPORT IMAPPORT SMTPPORT SECONDS    prints TAP lines

DIR has dovecot.conf. Runs where Dovecot's programs are. Every message has an
X-Id and is at most once in each of INBOX and Archive, so (mailbox, X-Id) may
have but one UID, ever, in both servers, and (mailbox, UID) one X-Id.
"""
import imaplib
import os
import random
import re
import smtplib
import subprocess
import sys
import threading
import time

DIR, DOVE, IMAP, SMTP = sys.argv[1], *map(int, sys.argv[2:5])
SECONDS = float(sys.argv[5])
MDA = os.environ["MDA"].split()
SEED = int(os.environ.get("SEED", time.time()))
BOXES = ("INBOX", "Archive")
LETTERS = [r"\Seen", r"\Answered", r"\Flagged", r"\Draft"]
KEYWORDS = ["red", "green", "$Label1", "work", "private"]
imaplib.Commands["MOVE"] = ("SELECTED",)
lock = threading.Lock()
stop = threading.Event()
problems, counts, serial = [], {}, [0]
uid_of, id_of = {}, {}
claimed = {"Archive": set(), "gone": set()}
accepted = set()


def say(what, good, got=""):
    print("ok" if good else "not ok", what, flush=True)
    if not good:
        print("#", repr(got)[:3000], flush=True)


def problem(*what):
    with lock:
        if len(problems) < 50:
            problems.append(what)


def count(what):
    with lock:
        counts[what] = counts.get(what, 0) + 1


def new_id(who):
    with lock:
        serial[0] += 1
        return "%s-%d" % (who, serial[0])


def claim(kind, i):
    """One message is copied, moved or removed by one of us only."""
    with lock:
        if i in claimed[kind]:
            return False
        claimed[kind].add(i)
        return True


def text_of(i):
    return "From: a@example.org\r\nSubject: %s\r\nX-Id: %s\r\n\r\nbody of %s\r\n" % (i, i, i)


def seen(who, box, uid, i):
    with lock:
        was = uid_of.setdefault((box, i), (uid, who))
        other = id_of.setdefault((box, uid), (i, who))
    if was[0] != uid:
        problem("changed UID", box, i, was, (uid, who))
    if other[0] != i:
        problem("UID of two", box, uid, other, (i, who))


class Client:
    def __init__(self, who):
        self.who = who
        dove = who.startswith("dove")
        self.m = imaplib.IMAP4("127.0.0.1", DOVE if dove else IMAP)
        self.m.login("quire" if dove else "quire@localhost", "quirequire")
        self.box = None

    def must(self, answer, *fine):
        """fine: what may be in a NO, because others were quicker"""
        typ, data = answer
        if typ != "OK" and not any(f in repr(data).lower() for f in fine):
            problem(self.who, "refused", typ, data)
        return data if typ == "OK" else None

    def select(self, box):
        self.must(self.m.select(box))
        self.box = box

    def rows(self):
        """uid -> (id, flags); tells what it has seen"""
        out = {}
        if self.must(self.m.noop()) is None:
            return out
        typ, data = self.m.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (X-Id)])")
        if typ != "OK":  # one of them was expunged by the other meanwhile
            return out
        head = None
        for d in data:
            if isinstance(d, tuple):
                head = d[0] + b" " + d[1].replace(b"\r\n", b" ")
                continue
            if head is None or d is None:
                continue
            line = (head + d).decode()
            head = None
            uid = re.search(r"\bUID (\d+)", line)
            i = re.search(r"X-Id: (\S+)", line)
            flags = re.search(r"FLAGS \(([^)]*)\)", line)
            if uid and i and flags:
                f = frozenset(x for x in flags.group(1).split() if x.lower() != "\\recent")
                out[int(uid.group(1))] = (i.group(1), f)
                seen(self.who, self.box, int(uid.group(1)), i.group(1))
        return out


def session(who, seed):
    rnd = random.Random(seed)
    c = Client(who)
    race = ("expunged", "no longer", "not exist", "deleted", "no matching", "invalid")
    while not stop.is_set():
        c.select(rnd.choice(BOXES))
        for _ in range(rnd.randrange(3, 9)):
            if stop.is_set():
                break
            rows = c.rows()
            live = [u for u in rows if rows[u][0] not in claimed["gone"]]
            what = rnd.choice(("flags", "flags", "keyword", "append", "copy", "move", "expunge", "look"))
            uid = rnd.choice(live) if live else None
            if what == "append":
                i = new_id(who)
                flags = "(%s)" % rnd.choice(LETTERS + KEYWORDS + [""])
                with lock:
                    accepted.add(i)
                if c.box == "Archive":
                    claim("Archive", i)
                c.must(c.m.append(c.box, flags, None, text_of(i).encode()))
            elif uid is None:
                continue
            elif what == "flags":
                c.must(c.m.uid("STORE", str(uid), rnd.choice(("+", "-")) + "FLAGS.SILENT",
                               "(%s)" % rnd.choice(LETTERS)), *race)
            elif what == "keyword":
                c.must(c.m.uid("STORE", str(uid), rnd.choice(("+", "-")) + "FLAGS.SILENT",
                               "(%s)" % rnd.choice(KEYWORDS)), *race)
            elif what in ("copy", "move") and c.box == "INBOX":
                if not claim("Archive", rows[uid][0]):
                    continue
                if what == "move" and not claim("gone", rows[uid][0] + "@INBOX"):
                    continue
                c.must(c.m.uid(what, str(uid), "Archive"), *race)
            elif what == "expunge" and len(live) > 20:
                if not claim("gone", rows[uid][0] + "@" + c.box):
                    continue
                c.must(c.m.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Deleted)"), *race)
                c.must(c.m.expunge())
            count("%s %s" % (who.rstrip("0123456789"), what))
            time.sleep(rnd.random() * 0.05)
    c.m.logout()


def lda(seed):
    rnd = random.Random(seed)
    env = dict(os.environ, USER="quire", HOME=DIR + "/home")
    while not stop.is_set():
        i = new_id("lda")
        r = subprocess.run(["/usr/lib/dovecot/dovecot-lda", "-c", DIR + "/dovecot.conf",
                            "-f", "a@example.org", "-m", "INBOX"], env=env,
                           input=text_of(i).encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if r.returncode == 0:
            with lock:
                accepted.add(i)
            count("lda")
        else:
            problem("dovecot-lda", r.returncode, r.stdout)
        time.sleep(rnd.random() * 0.2)


def smtp(seed):
    rnd = random.Random(seed)
    s = smtplib.SMTP("127.0.0.1", SMTP)
    while not stop.is_set():
        i = new_id("smtp")
        s.sendmail("a@example.org", ["quire@localhost"], text_of(i))
        with lock:
            accepted.add(i)
        count("smtp")
        time.sleep(rnd.random() * 0.2)
    s.quit()


def mda(seed):
    """quire-mda as another MTA runs it."""
    rnd = random.Random(seed)
    while not stop.is_set():
        i = new_id("mda")
        p = subprocess.run(MDA, input=text_of(i).encode(), stderr=subprocess.PIPE)
        if p.returncode != 0:
            problem("quire-mda", p.returncode, p.stderr)
        with lock:
            accepted.add(i)
        count("mda")
        time.sleep(rnd.random() * 0.5)


def guarded(f, *args):
    def run():
        try:
            f(*args)
        except Exception as e:  # noqa: a thread that ends early proves nothing
            problem(f.__name__, args, type(e).__name__, str(e))
    return threading.Thread(target=run)


def final(box):
    """What both say when nothing changes any more."""
    out = []
    for who in ("dove", "quire", "dove", "quire"):
        c = Client(who)
        c.select(box)
        out.append(c.rows())
        c.m.logout()
    return out[2], out[3]


c = Client("dove")
c.select("INBOX")
time.sleep(1.1)  # UIDVALIDITY is the time
c.must(c.m.create("Archive"))
c.m.logout()
print("# seed", SEED, flush=True)
threads = [guarded(session, "dove%d" % n, SEED + n) for n in range(2)]
threads += [guarded(session, "quire%d" % n, SEED + 10 + n) for n in range(2)]
threads += [guarded(lda, SEED + 20), guarded(smtp, SEED + 21), guarded(mda, SEED + 22)]
for t in threads:
    t.start()
time.sleep(SECONDS)
stop.set()
for t in threads:
    t.join(120)
say("every thread ended", not any(t.is_alive() for t in threads))
print("#", ", ".join("%s %d" % x for x in sorted(counts.items())), flush=True)
ids = set()
for box in BOXES:
    dove, quire = final(box)
    ids.update(i for i, _ in quire.values())
    say("%s: both show the same messages" % box, set(dove) == set(quire),
        (sorted(set(dove) ^ set(quire))))
    say("%s: of the same UIDs" % box, all(dove[u][0] == quire[u][0] for u in set(dove) & set(quire)))
    say("%s: with the same flags" % box, all(dove[u] == quire[u] for u in set(dove) & set(quire)),
        [(u, dove[u], quire[u]) for u in set(dove) & set(quire) if dove[u] != quire[u]][:10])
lost = {i for i in accepted - ids if i + "@INBOX" not in claimed["gone"] and i + "@Archive" not in claimed["gone"]}
say("no message is lost", not lost, sorted(lost)[:20])
say("no UID changed, none meant two messages, nothing was refused", not problems, problems)
say("the end", True)

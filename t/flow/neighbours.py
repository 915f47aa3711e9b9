#!/usr/bin/python3
"""Other programs in the Maildir while IMAP sessions are open.

usage: neighbours.py IMAPPORT SMTPPORT MAILDIR SECONDS    prints TAP lines

Every message has an X-Id. Five threads change files, one delivers by SMTP,
eight are IMAP sessions that keep a model of their mailbox from what they are
told.
Messages are moved one way only, from INBOX to Archive, so in each mailbox an
X-Id may have but one UID, ever.
"""
import os
import random
import re
import select
import smtplib
import socket
import sys
import threading
import time

IMAP, SMTP, ROOT, SECONDS = (int(sys.argv[1]), int(sys.argv[2]), sys.argv[3],
                             float(sys.argv[4]))
SEED = int(os.environ.get("SEED", time.time()))
DIRS = {"INBOX": ROOT, "Archive": os.path.join(ROOT, ".Archive")}
LETTERS = {"\\Draft": "D", "\\Flagged": "F", "\\Answered": "R", "\\Seen": "S",
           "\\Deleted": "T"}
lock = threading.Lock()
stop = threading.Event()      # no more changes
quit_all = threading.Event()  # sessions end
gone = {"INBOX": set(), "Archive": set()}
claimed = set()               # (mailbox, id) that somebody takes away
sent, deleted, problems = set(), set(), []
uid_of, id_of = {}, {}        # over all sessions: (mailbox, id), (mailbox, uid)
counts = {}


def say(what, good, got=""):
    print("ok" if good else "not ok", what)
    if not good:
        print("#", repr(got)[:2000])


def problem(text, *more):
    with lock:
        problems.append((text,) + more)


def count(what):
    with lock:
        counts[what] = counts.get(what, 0) + 1


def identity(path):
    try:
        with open(path, "rb") as f:
            m = re.search(rb"^X-Id: (\S+)", f.read(4096), re.M)
            return m.group(1).decode() if m else None
    except FileNotFoundError:
        return None


def listing(box):
    """id -> (sub, name) as it stands; a file that moves may be missed once"""
    out = {}
    for sub in ("new", "cur"):
        for name in os.listdir(os.path.join(DIRS[box], sub)):
            if name.startswith("."):
                continue
            i = identity(os.path.join(DIRS[box], sub, name))
            if i is not None:
                out.setdefault(i, []).append((sub, name))
    return out


class Session(threading.Thread):
    def __init__(self, box, idles):
        super().__init__(daemon=True)
        self.box, self.idles, self.tag, self.buf = box, idles, 0, b""
        self.rows, self.lock = [], threading.Lock()
        self.sock = socket.create_connection(("127.0.0.1", IMAP))
        self.line()
        self.command("LOGIN quire@localhost quirequire")
        self.command("SELECT " + box)
        self.catch_up()

    def line(self):
        out = b""
        while True:
            while b"\r\n" not in self.buf:
                self.more()
            part, self.buf = self.buf.split(b"\r\n", 1)
            out += part
            m = re.search(rb"\{(\d+)\}$", part)
            if m is None:
                return out
            while len(self.buf) < int(m.group(1)):
                self.more()
            n = int(m.group(1))
            out, self.buf = out + self.buf[:n], self.buf[n:]

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError("session ended")
        self.buf += data

    def untagged(self, line):
        m = re.match(rb"\* (\d+) (EXISTS|EXPUNGE|FETCH)(?: \((.*)\)$)?", line,
                     re.S)
        if m is None:
            if line.startswith(b"* BYE") and not quit_all.is_set():
                problem("BYE", line)
            return
        n, what = int(m.group(1)), m.group(2)
        with self.lock:
            if what == b"EXISTS":
                if n < len(self.rows):
                    problem("EXISTS shrinks", line, len(self.rows))
                while len(self.rows) < n:
                    self.rows.append({"uid": None, "id": None, "flags": None})
            elif n > len(self.rows):
                problem("number beyond EXISTS", line, len(self.rows))
            elif what == b"EXPUNGE":
                self.expunged(self.rows.pop(n - 1))
            else:
                self.fetched(self.rows[n - 1], m.group(3))

    def expunged(self, row):
        i = row["id"]
        if i is None and row["uid"] is not None:
            i = id_of.get((self.box, row["uid"]))
        if i is not None and i not in gone[self.box]:
            problem("EXPUNGE of a file that exists", self.name, self.box, row)

    def fetched(self, row, text):
        m = re.search(rb"UID (\d+)", text)
        if m:
            uid = int(m.group(1))
            if row["uid"] not in (None, uid):
                problem("UID of a message changes", self.box, row, uid)
            row["uid"] = uid
        m = re.search(rb"FLAGS \(([^)]*)\)", text)
        if m:
            row["flags"] = "".join(sorted(
                LETTERS[f] for f in m.group(1).decode().split()
                if f in LETTERS))
        m = re.search(rb"X-Id: (\S+)", text)
        if m:
            row["id"] = i = m.group(1).decode()
            with lock:
                if uid_of.setdefault((self.box, i), row["uid"]) != row["uid"]:
                    problems.append(("a second UID for a file", self.box, i,
                                     uid_of[self.box, i], row["uid"]))
                if id_of.setdefault((self.box, row["uid"]), i) != i:
                    problems.append(("UID used again", self.box, row))

    def command(self, text):
        self.tag += 1
        tag = b"t%d " % self.tag
        self.sock.sendall(tag + text.encode() + b"\r\n")
        while True:
            line = self.line()
            if line.startswith(tag):
                return line[len(tag):]
            self.untagged(line)

    def catch_up(self):
        for i in range(10):
            if not any(r["uid"] is None for r in self.rows):
                break
            first = [r["uid"] for r in self.rows].index(None) + 1
            self.command("FETCH %d:* (UID FLAGS)" % first)
        want = [str(r["uid"]) for r in self.rows
                if r["id"] is None and r["uid"] is not None]
        if want:
            self.command("UID FETCH %s (UID BODY.PEEK[HEADER.FIELDS (X-ID)])"
                         % ",".join(want))

    def idle(self):
        self.tag += 1
        tag = b"t%d " % self.tag
        self.sock.sendall(tag + b"IDLE\r\n")
        # what there is to tell comes before
        while not (line := self.line()).startswith(b"+"):
            self.untagged(line)
        end = time.time() + 1
        done = False
        while True:
            if not done and (quit_all.is_set() or time.time() > end or any(
                    r["id"] is None for r in self.rows)):
                self.sock.sendall(b"DONE\r\n")
                done = True
            if not done and b"\r\n" not in self.buf and not select.select(
                    [self.sock], [], [], 0.05)[0]:
                continue
            line = self.line()
            if line.startswith(tag):
                return
            self.untagged(line)

    def run(self):
        try:
            while not quit_all.is_set():
                if self.idles:
                    self.idle()
                else:
                    self.command("NOOP")
                    time.sleep(0.1)
                self.catch_up()
            self.command("LOGOUT")
        except Exception as e:
            problem("session", self.name, repr(e))

    def view(self):
        with self.lock:
            return sorted((r["id"] or "uid %s" % r["uid"], r["flags"])
                          for r in self.rows)


class Changes(threading.Thread):
    """What mutt, mbsync, a filter and a shell do to a Maildir."""

    def __init__(self, number):
        super().__init__(daemon=True)
        self.number, self.n, self.r = number, 0, random.Random(SEED + number)

    def deliver(self):
        self.n += 1
        i = "hand-%d-%d" % (self.number, self.n)
        box = "INBOX" if self.r.random() < 0.8 else "Archive"
        name = "%d.M%dP%d_%d_%d.elsewhere" % (
            time.time(), self.r.randrange(10 ** 6), os.getpid(), self.number,
            self.n)
        tmp = os.path.join(DIRS[box], "tmp", name)
        with open(tmp, "w") as f:
            f.write("X-Id: %s\nSubject: %s\n\nhello\n" % (i, i))
        if self.r.random() < 0.7:
            to = os.path.join(DIRS[box], "new", name)
        else:
            to = os.path.join(DIRS[box], "cur", name + ":2," +
                              self.r.choice(["", "S", "FS"]))
        with lock:
            sent.add(i)
        if self.r.random() < 0.3:  # as procmail and qmail do
            os.link(tmp, to)
            os.unlink(tmp)
        else:
            os.rename(tmp, to)

    def backup(self):
        """reads files, and with that changes their atime"""
        for box in DIRS:
            d = os.path.join(DIRS[box], "cur")
            for name in os.listdir(d)[:20]:
                try:
                    os.utime(os.path.join(d, name), (
                        time.time(), os.stat(os.path.join(d, name)).st_mtime))
                except FileNotFoundError:
                    pass

    def some(self, box):
        d = os.path.join(DIRS[box], "cur")
        names = [n for n in os.listdir(d) if not n.startswith(".")]
        if not names:
            return None, None, None
        name = self.r.choice(names)
        return d, name, identity(os.path.join(d, name))

    def rename(self, box, change):
        d, name, i = self.some(box)
        if i is None:
            return
        base, _, flags = name.partition(":2,")
        base, flags = change(base, flags)
        try:
            os.rename(os.path.join(d, name),
                      os.path.join(d, base + ":2," + flags))
        except FileNotFoundError:
            pass

    def flag(self):
        self.rename(self.r.choice(list(DIRS)), lambda base, flags: (
            base, "".join(sorted(c for c in "DFRST"
                                 if self.r.random() < 0.4))))

    def mbsync(self):
        def change(base, flags):
            self.n += 1
            return re.sub(r",U=\d+", "", base) + ",U=%d" % self.n, flags
        self.rename(self.r.choice(list(DIRS)), change)

    def leave(self, box, to):
        """unlink, or move to another folder; a name that changed meanwhile
        is looked for again"""
        d, name, i = self.some(box)
        if i is None:
            return
        with lock:
            if (box, i) in claimed:
                return
            claimed.add((box, i))
            gone[box].add(i)
            if to is None:
                deleted.add(i)
        while True:
            try:
                path = os.path.join(d, name)
                if to is None:
                    os.unlink(path)
                else:
                    os.rename(path, os.path.join(DIRS[to], "cur", name))
                return
            except FileNotFoundError:
                at = listing(box).get(i)
                if at:
                    d = os.path.join(DIRS[box], at[0][0])
                    name = at[0][1]

    def run(self):
        kinds = [("delivered by hand", self.deliver, 5),
                 ("flags changed", self.flag, 5),
                 ("renamed as by mbsync", self.mbsync, 2),
                 ("read by a backup", self.backup, 1),
                 ("deleted", lambda: self.leave(
                     self.r.choice(list(DIRS)), None), 2),
                 ("moved", lambda: self.leave("INBOX", "Archive"), 2)]
        weights = [k[2] for k in kinds]
        try:
            while not stop.is_set():
                what, act, _ = self.r.choices(kinds, weights)[0]
                act()
                count(what)
                time.sleep(self.r.random() * 0.2)
        except Exception as e:
            problem("changes", repr(e))


class Deliveries(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)

    def run(self):
        n = 0
        try:
            s = smtplib.SMTP("127.0.0.1", SMTP)
            while not stop.is_set():
                n += 1
                i = "smtp-%d" % n
                s.sendmail("a@b.example", ["quire@localhost"],
                           "X-Id: %s\r\nSubject: %s\r\n\r\nhello\r\n" % (i, i))
                with lock:
                    sent.add(i)
                count("delivered by SMTP")
                time.sleep(0.05)
            s.quit()
        except Exception as e:
            problem("SMTP", repr(e))


def on_disk(box):
    out = []
    for i, at in listing(box).items():
        for sub, name in at:
            out.append((i, name.partition(":2,")[2] if sub == "cur" else ""))
    return sorted(out)


sessions = [Session(box, idles) for box in ("INBOX", "Archive")
            for idles in (True, True, False, False)]
workers = [Changes(i) for i in range(5)] + [Deliveries()]
for t in sessions + workers:
    t.start()
time.sleep(SECONDS)
stop.set()
for t in workers:
    t.join()
start = time.time()
while True:
    disk = {box: on_disk(box) for box in DIRS}
    views = [(s, s.view()) for s in sessions]
    same = all(v == disk[s.box] for s, v in views)
    took = time.time() - start
    if same or took > 10:
        break
    time.sleep(0.05)
time.sleep(0.5)
quit_all.set()
for s in sessions:
    s.join(5)
print("# seed %d; %s; the same after %.2f s" % (SEED, ", ".join(
    "%s %d" % (k, v) for k, v in sorted(counts.items())), took))
for s, v in views:
    say("%s in %s sees what the directory has" % (
        "a session in IDLE" if s.idles else "a session", s.box),
        v == disk[s.box],
        ([x for x in v if x not in disk[s.box]],
         [x for x in disk[s.box] if x not in v]))
say("within 2 seconds", took <= 2, took)
found = [i for box in disk for i, _ in disk[box]]
say("nothing is lost", sorted(found) == sorted(sent - deleted),
    (sorted(set(found) ^ (sent - deleted)),
     sorted(i for i in found if found.count(i) > 1)))
# a new session sees the same, with the same UIDs
for box in DIRS:
    s = Session(box, False)
    say("a new session in %s too" % box, s.view() == on_disk(box),
        (s.view(), on_disk(box)))
    uids = [r["uid"] for r in s.rows]
    say("its UIDs ascend, one for each file", uids == sorted(set(uids)), uids)
for kind in ("a second UID for a file", "UID used again",
             "UID of a message changes", "EXPUNGE of a file that exists"):
    found = [p for p in problems if p[0] == kind]
    say("never: " + kind, not found, (len(found), found[:5]))
say("no other trouble", all(p[0] in (
    "a second UID for a file", "UID used again", "UID of a message changes",
    "EXPUNGE of a file that exists") for p in problems), problems[:10])
print("ok the end")

#!/usr/bin/python3
"""The same tree of SIZE messages served by Dovecot, then by Quire.

usage: trees.py WORKDIR SIZES NAME PORT PID USER ROOT [NAME PORT PID USER ROOT]

ROOT is the Maildir that server NAME serves on IMAP port PORT, PID its first
process; each is given every tree in turn, without what the one before it left
beside the messages. SIZES: "10000 100000". Prints one row a measurement, with
one column a server. Wall times are of one session, from a command to its
tagged answer.
"""
import os
import re
import shutil
import sys
import time

from measure import Imap, cpu, drop_caches, memory

work, sizes = sys.argv[1], [int(n) for n in sys.argv[2].split()]
servers = [sys.argv[i : i + 5] for i in range(3, len(sys.argv), 5)]
MESSAGE = (
    b"From: a@b.example\nTo: c@d.example\nSubject: bench %d\n"
    b"Date: Mon, 2 Mar 2026 10:11:12 +0000\nMessage-ID: <%d@b.example>\n\n" + (b"y" * 70 + b"\n") * 8
)
FIRST = 1600000000


def make_tree(path, n):
    # as owner of the folder it goes into
    st = os.stat(servers[0][4])
    if os.getuid() == 0:
        os.setegid(st.st_gid)
        os.seteuid(st.st_uid)
    for d in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(path, d))
    cur = os.open(os.path.join(path, "cur"), os.O_RDONLY)
    for i in range(n):
        text = MESSAGE % (i, i)
        name = "%d.M%dP7.host,S=%d,W=%d:2,S" % (FIRST + i, i % 1000000, len(text), len(text) + text.count(b"\n"))
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=cur)
        os.write(fd, text)
        os.close(fd)
        os.utime(name, (FIRST + i, FIRST + i), dir_fd=cur)
    os.close(cur)
    if os.getuid() == 0:
        os.seteuid(0)
        os.setegid(0)
    os.sync()


def bare_tree(path):
    """Only what is mail stays, named as it was."""
    for f in os.listdir(path):
        p = os.path.join(path, f)
        if f in ("cur", "new", "tmp"):
            continue
        shutil.rmtree(p) if os.path.isdir(p) else os.unlink(p)
    for d in ("cur", "new"):
        p = os.path.join(path, d)
        for f in os.listdir(p):
            want = re.sub(r":2,.*", ":2,S", f)
            if d == "new" or f != want:
                os.rename(os.path.join(p, f), os.path.join(path, "cur", want))
    os.sync()


def readdir_ms(path):
    start = time.time()
    with os.scandir(os.path.join(path, "cur")) as it:
        for _ in it:
            pass
    return (time.time() - start) * 1e3


class Rows:
    """Measurements by server, printed together."""

    def __init__(self):
        self.rows = {}

    def add(self, server, what, text):
        self.rows.setdefault(what, {})[server] = text

    def show(self, n):
        names = [s[0] for s in servers]
        print("%-36s" % ("%d messages" % n) + "".join("%26s" % x for x in names))
        for what, by in self.rows.items():
            print("%-36s" % what + "".join("%26s" % by.get(x, "-") for x in names))
        sys.stdout.flush()


def settle(root):
    """CPU once nobody works on."""
    last = cpu(root)
    for _ in range(50):
        time.sleep(0.1)
        now = cpu(root)
        if now == last:
            break
        last = now
    return now


def one_server(rows, server, box, path, n):
    name, port, pid, user, _ = server
    port, pid = int(port), int(pid)

    def add(what, fmt, *v):
        rows.add(name, what, fmt % v)

    c = Imap(port, user)
    before = settle(pid)
    took, _ = c.do("SELECT " + box)
    first = took
    c.close()
    add("first SELECT", "%.0f ms  %.0f CPU", first * 1e3, (settle(pid) - before) * 1e3)
    before, times = settle(pid), []
    for _ in range(10):
        c = Imap(port, user)
        times.append(c.do("SELECT " + box)[0])
        c.close()
    add("SELECT, known, warm", "%.2f ms", sorted(times)[5] * 1e3)
    if drop_caches():
        c = Imap(port, user)  # its programs come from the disk again too
        drop_caches()
        add("SELECT, known, cold", "%.1f ms", c.do("SELECT " + box)[0] * 1e3)
        c.close()
    c = Imap(port, user)
    before = memory(pid, "Private_Dirty")[0]
    c.do("SELECT " + box)
    add("its private memory", "%d KiB", memory(pid, "Private_Dirty")[0] - before)
    times = [c.do("STORE %d +FLAGS.SILENT (\\Flagged)" % (i + 1))[0] for i in range(200)]
    add("one flag, median of 200", "%.2f ms", sorted(times)[100] * 1e3)
    c.do("FETCH 1:* (FLAGS)")
    before = settle(pid)
    took, _ = c.do("FETCH 1:* (FLAGS)")
    add("FETCH FLAGS of all, each", "%.2f us  %.2f CPU", took * 1e6 / n, (settle(pid) - before) * 1e6 / n)
    some = min(n, 10000)
    for what in ("first time", "again"):
        took, _ = c.do("FETCH 1:%d (UID RFC822.SIZE ENVELOPE)" % some)
        add("ENVELOPE of %d, %s, each" % (some, what), "%.2f us", took * 1e6 / some)
    # another program marks one as replied
    cur = os.path.join(path, "cur")
    victim = next(f for f in os.listdir(cur) if f.endswith(":2,S"))
    time.sleep(2.1)  # directory times of one clock tick are looked at again
    c.do("NOOP")
    readdir = readdir_ms(path)
    os.rename(os.path.join(cur, victim), os.path.join(cur, victim[:-1] + "RS"))
    took, answer = c.do("NOOP")
    add("NOOP that tells a foreign flag", "%.1f ms%s", took * 1e3, "" if b"Answered" in answer else " (not told)")
    add("  one directory read", "%.1f ms", readdir)
    took, _ = c.do("STORE 1:* +FLAGS.SILENT (\\Draft)")
    add("STORE of all", "%.1f ms", took * 1e3)
    c.close()


def statuses(rows, server, count):
    name, port, pid, user, _ = server
    c = Imap(int(port), user)
    for i in range(count):
        c.do("CREATE many/f%04d" % i)
    for what in ("first time", "again"):
        batch = "".join("%s STATUS many/f%04d (MESSAGES UIDNEXT UNSEEN)\r\n" % ("x", i) for i in range(count))
        c.sock.sendall(batch.encode())
        start = time.time()
        took, _ = c.do("NOOP")
        rows.add(name, "STATUS of %d mailboxes, %s" % (count, what), "%.1f ms" % ((time.time() - start) * 1e3))
    c.close()


for _, port, _, user, _ in servers:
    Imap(int(port), user).close()  # makes an account's directories
for n in sizes:
    path = os.path.join(work, "tree")
    make_tree(path, n)
    rows = Rows()
    for server in servers:
        box = "Tree%d" % n
        home = os.path.join(server[4], "." + box)
        os.rename(path, home)
        one_server(rows, server, box, home, n)
        time.sleep(1)
        os.rename(home, path)
        bare_tree(path)
    rows.show(n)
    shutil.rmtree(path)
rows = Rows()
for server in servers:
    statuses(rows, server, 1000)
rows.show(0)

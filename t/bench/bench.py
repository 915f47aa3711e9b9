#!/usr/bin/python3
"""Figures, beside the disk's own limits and a peer in the same run.

usage: bench.py BARE SMTP_PORT IMAP_PORT QUIRED_PID MAILDIR WORKDIR [DOVECOT_PORT DOVECOT_PID]

CPU is in microseconds per unit.
"""
import imaplib
import os
import socket
import subprocess
import sys
import threading
import time

from measure import cpu, memory, row

bare, smtp_port, imap_port, pid, maildir, work = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6]
dove = (int(sys.argv[7]), int(sys.argv[8])) if len(sys.argv) > 8 else None
BIG = int(os.environ.get("BENCH_MESSAGES", "10000"))
BODY = b"From: a@b.example\r\nTo: quire@localhost\r\nSubject: bench\r\nDate: Mon, 2 Mar 2026 10:11:12 +0000\r\nMessage-ID: <%d@b.example>\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 76 + b"\r\n") * 125


def smtp_client(port, count, rcpt):
    s = socket.create_connection(("127.0.0.1", port))
    f = s.makefile("rb")

    def reply():
        while True:
            line = f.readline()
            if line[3:4] != b"-":
                return line

    reply()
    s.sendall(b"EHLO bench\r\n")
    reply()
    for i in range(count):
        s.sendall(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<%s>\r\nDATA\r\n" % rcpt)
        reply()
        reply()
        reply()
        s.sendall(BODY % i + b".\r\n")
        r = reply()
        assert r.startswith(b"250"), r
    s.close()


def deliveries(conns, messages, boxes=1):
    each = messages // conns
    before, start = cpu(pid), time.time()
    who = [b"quire@localhost"] if boxes == 1 else [b"b%d@localhost" % i for i in range(boxes)]
    ts = [threading.Thread(target=smtp_client, args=(smtp_port, each, who[i % len(who)])) for i in range(conns)]
    for t in ts:
        t.start()
    for t in ts:
        t.join()
    wall = time.time() - start
    time.sleep(0.1)
    return each * conns / wall, (cpu(pid) - before) * 1e6 / (each * conns)


def login(port, user):
    m = imaplib.IMAP4("127.0.0.1", port)
    m.login(user, "quirequire")
    return m


def raw_fetch(m, what):
    """The time and size of a FETCH of everything, without parsing it."""
    tag = m._new_tag()
    m.send(tag + b" FETCH 1:* (" + what + b")\r\n")
    got, tail = 0, b""
    end = b"\r\n" + tag + b" OK"
    while end not in tail:
        data = m.sock.recv(1 << 20)
        got += len(data)
        tail = (tail + data)[-400:]
    return got


def imap_rows(name, port, root, user, box, n):
    reps = 200
    b, t = cpu(root), time.time()
    for _ in range(reps):
        login(port, user).logout()
    time.sleep(0.3)
    row(name + " login", "%6.0f us CPU  %7.0f us wall", (cpu(root) - b) * 1e6 / reps, (time.time() - t - 0.3) * 1e6 / reps)
    b, t = cpu(root), time.time()
    for _ in range(reps):
        m = login(port, user)
        m.select(box)
        m.logout()
    time.sleep(0.3)
    row(name + " login + SELECT (%d)" % n, "%6.0f us CPU  %7.0f us wall", (cpu(root) - b) * 1e6 / reps, (time.time() - t - 0.3) * 1e6 / reps)
    m = login(port, user)
    m.select(box)
    for what in (b"FLAGS", b"BODY.PEEK[]"):
        raw_fetch(m, what)
        b, t = cpu(root), time.time()
        raw_fetch(m, what)
        wall = time.time() - t
        row(name + " FETCH %s (%d)" % (what.decode(), n), "%6.2f us CPU/msg  %6.2f us wall/msg", (cpu(root) - b) * 1e6 / n, wall * 1e6 / n)
    m.logout()


kib, n = memory(pid, "Pss")
row("idle server PSS", "%.1f MiB in %d processes (aim 12)", kib / 1024, n)
for conns, messages in ((1, 600), (10, 2000), (50, 3000)):
    d = os.path.join(work, "bare%d" % conns)
    os.makedirs(d, exist_ok=True)
    r, c = (float(x) for x in subprocess.check_output([bare, d, str(conns), str(messages), "9800"]).split())
    row("bare system calls, %d writers" % conns, "%7.0f /s  %5.0f us CPU", r, c)
    rate, us = deliveries(conns, messages)
    row("deliveries, %d connections, one mailbox" % conns, "%7.0f /s  %5.0f us CPU  ratio %.2f", rate, us, rate / r)
    if conns > 1:
        rate, us = deliveries(conns, messages, 10)
        row("deliveries, %d connections, ten mailboxes" % conns, "%7.0f /s  %5.0f us CPU  ratio %.2f", rate, us, rate / r)

m = login(imap_port, "quire@localhost")
m.create("Bench")
batch = 500
start, before = time.time(), cpu(pid)
for i in range(0, BIG, batch):
    tag = m._new_tag()
    out = [tag + b" APPEND Bench"]
    for k in range(i, i + batch):
        body = BODY % k
        out.append(b" {%d+}\r\n" % len(body) + body)
    m.send(b"".join(out) + b"\r\n")
    line = m.readline()
    while not line.startswith(tag):
        line = m.readline()
    assert b" OK" in line, line
row("APPEND, %d in one command" % batch, "%7.0f /s  %5.0f us CPU", BIG / (time.time() - start), (cpu(pid) - before) * 1e6 / BIG)
m.select("Bench")
t, b = time.time(), cpu(pid)
m._simple_command("STORE", "1:*", "+FLAGS.SILENT", r"(\Flagged)")
row("STORE of all %d to the OK" % BIG, "%7.1f ms", (time.time() - t) * 1e3)
m.logout()
imap_rows("quire", imap_port, pid, "quire@localhost", "Bench", BIG)

base, _ = memory(pid, "Pss")
ms = []
for _ in range(50):
    m = login(imap_port, "quire@localhost")
    m.select("Drafts")
    m.send(m._new_tag() + b" IDLE\r\n")
    m.readline()
    ms.append(m)
time.sleep(1)
kib, _ = memory(pid, "Pss")
row("idle IMAP session PSS (50, small mailbox)", "%.0f KiB each (aim 400)", (kib - base) / 50)
for m in ms:
    m.sock.close()

if dove:
    os.rename(os.path.join(maildir, ".Bench"), os.path.join(work, "dove", ".Bench"))
    M = login(dove[0], "quire")
    M.select("Bench")
    M.logout()
    imap_rows("dovecot", dove[0], dove[1], "quire", "Bench", BIG)

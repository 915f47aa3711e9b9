#!/usr/bin/python3
"""One receiving server: messages a second and CPU a message, all checks on.

usage: receive.py NAME PORT MESSAGE MAILDIR COUNT PID...

Sends MESSAGE from 127.0.0.2 over ten connections until COUNT lie in MAILDIR,
once to warm up; every copy must say that SPF, DKIM and DMARC passed. CPU is of
the processes PID and what they started.
"""
import os
import re
import socket
import sys
import threading
import time

from measure import cpu, row

name, port, message, maildir, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
pids = [int(p) for p in sys.argv[6:]]
TEXT = re.sub(rb"\r?\n", b"\r\n", open(message, "rb").read())
CONNECTIONS = 10


def client(n):
    s = socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0))
    f = s.makefile("rb")

    def expect(code):
        while True:
            line = f.readline()
            if line[3:4] != b"-":
                break
        assert line.startswith(code), line

    expect(b"220")
    s.sendall(b"EHLO mail.good.example\r\n")
    expect(b"250")
    for _ in range(n):
        s.sendall(b"MAIL FROM:<alice@good.example>\r\nRCPT TO:<quire@localhost>\r\nDATA\r\n")
        expect(b"250")
        expect(b"250")
        expect(b"354")
        s.sendall(TEXT + b".\r\n")
        expect(b"250")
    s.sendall(b"QUIT\r\n")
    expect(b"221")
    s.close()


def arrived():
    try:
        return len(os.listdir(os.path.join(maildir, "new")))
    except FileNotFoundError:
        return 0


def send(n):
    """Seconds until all are filed, and of CPU."""
    have, before, start = arrived(), sum(cpu(p) for p in pids), time.time()
    ts = [threading.Thread(target=client, args=(n // CONNECTIONS,)) for _ in range(CONNECTIONS)]
    for t in ts:
        t.start()
    for t in ts:
        t.join()
    n = n // CONNECTIONS * CONNECTIONS
    while arrived() < have + n:
        assert time.time() < start + 300, "only %d of %d arrived" % (arrived() - have, n)
        time.sleep(0.02)
    took = time.time() - start
    time.sleep(1.5)
    return took / n, (sum(cpu(p) for p in pids) - before) / n


def passed(text):
    """Of the Authentication-Results on top of the message."""
    head = re.sub(rb"\n[ \t]+", b" ", text.split(b"\n\n", 1)[0])
    spf = re.search(rb"(?im)^(received-spf: pass|authentication-results:.*spf=pass)", head)
    return spf and b"dkim=pass" in head and b"dmarc=pass" in head


for _ in range(100):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        break
    except OSError:
        time.sleep(0.1)
send(2 * CONNECTIONS)
for f in os.listdir(os.path.join(maildir, "new")):
    text = open(os.path.join(maildir, "new", f), "rb").read()
    assert passed(text), text.decode(errors="replace")
wall, used = send(count)
row(name, "%7.0f /s  %6.0f us CPU a message", 1 / wall, used * 1e6)

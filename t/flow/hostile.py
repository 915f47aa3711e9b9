#!/usr/bin/python3
"""Peers that do wrong, by accident or on purpose. Prints TAP without a plan.

usage: hostile.py SMTP SUBMISSION SUBMISSIONS IMAP IMAPS CONTROL IDLE

The server has short limits: a command within 2 s, writes within 2 s.
"""
import os
import random
import socket
import ssl
import sys
import threading
import time
import imaplib
import smtplib

SMTP, SUB, SUBS, IMAP, IMAPS = (int(x) for x in sys.argv[1:6])
CONTROL, IDLE = sys.argv[6], int(sys.argv[7])
n = 0
random.seed(int(os.environ.get("QUIRE_SEED", "7")))


def check(what, good, *detail):
    global n
    n += 1
    print("%s %d - %s" % ("ok" if good else "not ok", n, what))
    if not good:
        for d in detail:
            print("# %r" % (d,))
    sys.stdout.flush()


def conn(port, timeout=15):
    return socket.create_connection(("127.0.0.1", port), timeout)


def drain(s, limit=1 << 20):
    out = b""
    try:
        while len(out) < limit:
            d = s.recv(65536)
            if not d:
                break
            out += d
    except (OSError, socket.timeout):
        pass
    return out


def talk(port, *parts, greet=True):
    s = conn(port)
    if greet:
        s.recv(4096)
    try:
        for p in parts:
            s.sendall(p)
        s.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    out = drain(s)
    s.close()
    return out


def alive():
    smtplib.SMTP("127.0.0.1", SMTP, timeout=10).sendmail("a@b.example", ["quire@localhost"], "Subject: alive\r\n\r\nx\r\n")
    m = imaplib.IMAP4("127.0.0.1", IMAP)
    m.login("quire@localhost", "quirequire")
    m.select()
    m.logout()
    return True


out = talk(SMTP, b"GET / HTTP/1.0\r\n\r\n")
check("SMTP: a first command that is none ends it", out.startswith(b"500 5.5.2 please try again speaking smtp"), out)
out = talk(SMTP, b"EHLO x\r\nFROB secret-token\r\nQUIT\r\n")
check("SMTP: a later one does not", b"500 5.5.1" in out and b"221" in out, out)
check("SMTP: nothing is echoed before login", b"secret-token" not in out, out)
out = talk(SMTP, b"EHLO x\r\nMAIL FROM:<a@b\r\n")
check("SMTP: the reply ends in the connection id", b"(cid " in out, out)
out = talk(IMAP, b"GET / HTTP/1.0\r\n\r\n")
check("IMAP: a first command that is none ends it", b"* BYE please try again speaking imap" in out, out)
out = talk(IMAP, b"a NOOP\r\nb FROB secret-token\r\nc LOGOUT\r\n")
check("IMAP: a later one does not", b"b BAD" in out and b"c OK" in out, out)
check("IMAP: nothing is echoed before login", b"secret-token" not in out, out)
out = talk(SMTP, b"EHLO " + b"x" * 5000 + b"\r\n")
check("SMTP: an overlong line", b"500 5.5.0" in out or b"500 5.5.2" in out, out)
out = talk(IMAP, b"a LOGIN {99999999+}\r\n" + b"x" * 100000)
check("IMAP: an endless literal", b"BAD" in out or b"BYE" in out, out[:200])

# after STARTTLS nothing that was sent in the clear counts
s = conn(SMTP)
s.recv(4096)
s.sendall(b"EHLO x\r\n")
time.sleep(0.2)
s.recv(4096)
s.sendall(b"STARTTLS\r\nMAIL FROM:<injected@x.example>\r\n")
out = drain(s)
check("SMTP: bytes behind STARTTLS are not obeyed", b"250" not in out, out)
s = conn(IMAP)
s.recv(4096)
s.sendall(b"a STARTTLS\r\nb NOOP\r\n")
out = drain(s)
check("IMAP: bytes behind STARTTLS are not obeyed", b"b OK" not in out, out)

# every way to smuggle a second message through a lax end of data
head = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<quire@localhost>\r\nDATA\r\n"
for name, end in (("LF.LF", b"\n.\n"), ("CRLF.LF", b"\r\n.\n"), ("LF.CRLF", b"\n.\r\n"), ("CR.CR", b"\r.\r"), ("bare CR", b"a\rb"), ("CR.CRLF", b"\r.\r\n"), ("CRLF.CR", b"\r\n.\r")):
    inner = b"MAIL FROM:<smuggled@x.example>\r\nRCPT TO:<quire@localhost>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"
    out = talk(SMTP, head, b"Subject: outer\r\n\r\nx" + end + inner + b"QUIT\r\n")
    check("smuggling by %s is refused" % name, b"500 5.5.2" in out and out.count(b"250 2.6.0") == 0, out)

out = talk(SMTP, b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<user%far.example@other.example>\r\nQUIT\r\n")
ports = {"smtp": SMTP, "submission": SUB, "submissions": SUBS, "imap": IMAP, "imaps": IMAPS}
corpus = [
    b"EHLO x\r\n", b"HELO \r\n", b"MAIL FROM:<>\r\n", b"MAIL FROM:<a@b> SIZE=99999999999999999999\r\n", b"RCPT TO:<@a,@b:c@d>\r\n", b"DATA\r\n", b".\r\n",
    b"AUTH PLAIN AAAA\r\n", b"AUTH SCRAM-SHA-256 biws\r\n", b"*\r\n", b"STARTTLS\r\n", b"BDAT 10\r\n", b"a LOGIN x y\r\n", b"a AUTHENTICATE PLAIN\r\n",
    b"a LOGIN {5}\r\n", b"a ID (\"x\" NIL)\r\n", b"a SELECT INBOX\r\n", b"a APPEND x {10+}\r\n", b"a LOGOUT\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"\x00" * 50, b"\r\n" * 20, b"\xff\xfe",
]
start = time.time()
rounds = 0
while time.time() - start < 6:
    port = random.choice(list(ports.values()))
    s = conn(port, 3)
    try:
        for _ in range(random.randrange(1, 12)):
            p = random.choice(corpus)
            if random.random() < 0.3:
                p = p[: random.randrange(len(p) + 1)]
            if random.random() < 0.3:
                p = bytes(random.randrange(256) for _ in range(random.randrange(200)))
            s.sendall(p)
    except OSError:
        pass
    if random.random() < 0.5:
        s.setblocking(False)
        try:
            s.recv(65536)
        except OSError:
            pass
    s.close()
    rounds += 1
check("%d connections of rubbish on every port" % rounds, rounds > 100 and alive())


def timed(port, first, each, wrap=None):
    """Seconds until the server cuts somebody who sends a byte now and then."""
    s = conn(port, 12)
    if wrap:
        s = wrap(s)
    start = time.time()
    try:
        s.sendall(first)
        while time.time() - start < 11:
            s.settimeout(0.5)
            try:
                if not s.recv(4096):
                    break
            except socket.timeout:
                pass
            s.sendall(each)
    except OSError:
        pass
    return time.time() - start


for name, port, first in (("smtp", SMTP, b""), ("imap", IMAP, b""), ("imaps", IMAPS, b""), ("submissions", SUBS, b"")):
    t = timed(port, first, b"x")
    check("%s: a byte each half second is cut (%.1f s)" % (name, t), t < 8, t)

for name, port, line in (("smtp", SMTP, b"EHLO x\r\n"), ("imap", IMAP, b"a CAPABILITY\r\n")):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", port))
    s.settimeout(1)
    start, sent = time.time(), 0
    try:
        while time.time() - start < 12:
            try:
                sent += s.send(line * 100)
            except socket.timeout:
                pass
    except OSError:
        pass
    t = time.time() - start
    check("%s: a peer that never reads is cut (%.1f s)" % (name, t), t < 11, t, sent)
m = imaplib.IMAP4("127.0.0.1", IMAP)
m.login("quire@localhost", "quirequire")
m.append("INBOX", None, None, b"Subject: big\r\n\r\n" + b"x" * 76 * 40000)
m.select()
m.send(b"x FETCH 1:* (BODY.PEEK[])\r\n" * 20)
time.sleep(0.5)
check("an IMAP session that never reads harms nobody", alive())
m.sock.close()

for data in (b"", b"x", b"\0" * 8, os.urandom(500), b"\x1a\0\0\0" + os.urandom(40)):
    c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    c.connect(CONTROL)
    try:
        c.send(data)
    except OSError:
        pass
    c.close()
check("rubbish on the control socket", alive())

idle = []
try:
    for i in range(IDLE):
        idle.append(conn(IMAP if i % 2 else SMTP))
except OSError as e:
    print("# stopped at %d: %s" % (len(idle), e))
start = time.time()
m = imaplib.IMAP4("127.0.0.1", IMAP)
m.login("quire@localhost", "quirequire")
t = time.time() - start
check("%d idle connections, the next login takes %.3f s" % (len(idle), t), t < 1.0 and len(idle) == IDLE, t)
m.logout()
for s in idle:
    s.close()
check("the server is well", alive())

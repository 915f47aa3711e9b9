#!/usr/bin/python3
"""Who is let in: connections and failed logins by address, from many
addresses of 127/8, with limits that the reloads in between change.

door.py DIR SMTP SUBMISSION IMAP FREE-SMTP
"""
import base64, os, re, socket, ssl, struct, subprocess, sys, time

top = sys.argv[1]
SMTP, SUBMISSION, IMAP, FREE = map(int, sys.argv[2:6])
count = 0

def check(name, good, got=""):
    global count
    count += 1
    print("%s %d - %s" % ("ok" if good else "not ok", count, name))
    if not good:
        print("# got: %r" % (got,))
    sys.stdout.flush()

tls_client = ssl.create_default_context()
tls_client.check_hostname = False
tls_client.verify_mode = ssl.CERT_NONE

class Peer:
    def __init__(self, ip, port, header=b"", tls=None):
        self.s = socket.socket()
        self.s.settimeout(20)
        self.s.bind((ip, 0))
        self.s.connect(("127.0.0.1", port))
        self.s.sendall(header)
        if tls:
            self.s = tls.wrap_socket(self.s)
        self.f = self.s.makefile("rb")
        self.hello = self.line()
    def line(self):
        try:
            return self.f.readline().decode().rstrip("\r\n")
        except OSError:
            return ""
    def say(self, text):
        self.s.sendall(text.encode() + b"\r\n")
    def smtp(self, text):
        self.say(text)
        line = self.line()
        while line[3:4] == "-":
            line = self.line()
        return line
    def imap(self, text):
        self.say("a " + text)
        line = self.line()
        while line and not line.startswith("a "):
            line = self.line()
        return line
    def starttls(self):
        r = self.smtp("STARTTLS")
        self.f.close()
        self.s = tls_client.wrap_socket(self.s)
        self.f = self.s.makefile("rb")
        return r
    def close(self):
        self.f.close()
        self.s.close()

def generation():
    return open(top + "/../log").read().count("ev=reload ")

def limits(text):
    """Configure them and reload; fronts have it when they answer by it."""
    with open(top + "/limits.conf", "w") as f:
        f.write("limits {\n%s\n}\n" % text)
    before = generation()
    subprocess.run(["quire", "-C", top, "reload"], check=True, stdout=subprocess.DEVNULL)
    for i in range(100):
        if generation() > before:
            break
        time.sleep(0.05)
    time.sleep(0.5)

def fresh_minute(need):
    """Windows are aligned to minutes: begin where `need' seconds are left."""
    left = 60 - time.time() % 60
    if left < need:
        time.sleep(left + 0.1)

def burst(ips, port):
    """Who is let in, of connections one after the other? They stay open."""
    peers = [Peer(ip, port) for ip in ips]
    return peers, [p.hello[:3] in ("220", "* O") for p in peers]

def closed(peers):
    for p in peers:
        p.close()
    time.sleep(0.3)

def plain(user, password):
    return base64.b64encode(("\0%s\0%s" % (user, password)).encode()).decode()

def by_smtp(ip, password, user="quire@localhost"):
    p = Peer(ip, SUBMISSION)
    p.smtp("EHLO x.example")
    r = p.smtp("AUTH PLAIN " + plain(user, password))
    p.close()
    return r

def by_imap(ip, password):
    p = Peer(ip, IMAP)
    r = p.imap("LOGIN quire@localhost " + password)
    p.close()
    return r

GOOD = "quirequire"
OFF = "connection-rate 0 0 0\nconnections-per-ip 0 0 0\nfailed-logins-minute 0 0 0\nfailed-logins-day 0 0 0\n"

# ---- open connections
limits(OFF + "connections-per-ip 3 0 0")
a, ok = burst(["127.0.1.1"] * 4, SMTP)
check("open connections: three of an address, not the fourth", ok == [True] * 3 + [False], ok)
check("SMTP says 421 4.7.0", a[3].hello.startswith("421 4.7.0 "), a[3].hello)
check("and closes", a[3].line() == "")
b, ok = burst(["127.0.1.1"] * 4, IMAP)
check("IMAP counts its own", ok == [True] * 3 + [False], ok)
check("and says BYE", b[3].hello.startswith("* BYE [LIMIT] "), b[3].hello)
c, ok = burst(["127.0.1.2"], SMTP)
check("another address has its own", ok == [True])
d, ok = burst(["127.0.1.1"] * 5, FREE)
check("a listener with no-limits does not count", all(ok))
closed(a[:1])
e, ok = burst(["127.0.1.1"] * 2, SMTP)
check("one that ends makes room for one", ok == [True, False], ok)
limits(OFF + "connections-per-ip 5 0 0")
g, ok = burst(["127.0.1.1"] * 3, SMTP)
check("a reload changes the number, what is open stays counted", ok == [True, True, False], ok)
closed(a + b + c + d + e + g)
limits(OFF + "connections-per-ip 0 3 0")
a, ok = burst(["127.0.2.%d" % i for i in (1, 2, 63, 3, 64)], SMTP)
check("open connections of a /26", ok == [True, True, True, False, True], ok)
closed(a)
limits(OFF + "connections-per-ip 0 0 3")
a, ok = burst(["127.0.8.1", "127.0.10.1", "127.0.15.1", "127.0.9.1", "127.0.16.1"], IMAP)
check("and of a /21", ok == [True, True, True, False, True], ok)
closed(a)
limits(OFF)
a, ok = burst(["127.0.1.1"] * 60, SMTP)
check("0 is no limit", all(ok))
closed(a)

# ---- new connections in a minute: those above are counted already, so other
# addresses are used
def knock(ips, port):
    r = []
    for ip in ips:
        p = Peer(ip, port)
        r.append(p.hello[:5])
        p.close()
    return r

limits(OFF + "connection-rate 4 0 0")
fresh_minute(15)
r = knock(["127.1.0.1"] * 6, SMTP)
check("new connections: four of an address, not the fifth", r == ["220 l"] * 4 + ["421 4"] * 2, r)
r = knock(["127.1.0.1"] * 5, IMAP)
check("IMAP counts its own", r == ["* OK "] * 4 + ["* BYE"], r)
limits(OFF + "connection-rate 5 0 0")
r = knock(["127.1.0.1"] * 2, SMTP)
check("a reload changes the number, refused ones were not counted", r == ["220 l", "421 4"], r)
limits(OFF + "connection-rate 0 3 0")
fresh_minute(15)
r = knock(["127.1.64.%d" % i for i in (1, 2, 63, 3, 64)], SMTP)
check("new connections of a /26", r == ["220 l"] * 3 + ["421 4", "220 l"], r)
limits(OFF + "connection-rate 0 0 3")
fresh_minute(15)
r = knock(["127.2.8.1", "127.2.10.1", "127.2.15.1", "127.2.9.1", "127.2.16.1"], SMTP)
check("and of a /21", r == ["220 l"] * 3 + ["421 4", "220 l"], r)

# ---- failed logins
limits(OFF + "failed-logins-minute 3 0 0")
fresh_minute(25)
r = by_smtp("127.3.0.1", "wrong-one"), by_imap("127.3.0.1", "wrong-two"), by_smtp("127.3.0.1", "wrong", "nobody@localhost")
check("three failed logins by SMTP and IMAP",
    r[0].startswith("535 5.7.8 ") and r[1].startswith("a NO [AUTHENTICATIONFAILED]") and r[2].startswith("535 "), r)
r = by_smtp("127.3.0.1", GOOD)
check("then not even the right password: 454 4.7.0", r.startswith("454 4.7.0 too many failed logins"), r)
r = by_imap("127.3.0.1", GOOD)
check("nor by IMAP: NO [LIMIT]", r.startswith("a NO [LIMIT] "), r)
r = by_smtp("127.3.0.2", GOOD)
check("but from another address", r.startswith("235 "), r)
r = [by_smtp("127.3.0.3", p)[:3] for p in ("bad1", "bad2", GOOD, "bad3", "bad4", GOOD)]
check("a success resets", r == ["535", "535", "235", "535", "535", "235"], r)
limits(OFF + "failed-logins-minute 5 0 0")
r = [by_smtp("127.3.0.1", p)[:3] for p in ("bad1", "bad2", "bad3")]
check("a reload changes the number, the count stays", r == ["535", "535", "454"], r)
limits(OFF + "failed-logins-minute 0 3 0")
fresh_minute(15)
r = [by_smtp("127.4.0.%d" % i, "bad")[:3] for i in (1, 2, 3, 4, 64)]
check("failed logins of a /26", r == ["535"] * 3 + ["454", "535"], r)
limits(OFF + "failed-logins-day 2 0 0")
r = [by_smtp("127.5.0.1", "bad")[:3] for i in range(3)]
check("failed logins in a day", r == ["535", "535", "454"], r)
limits(OFF)
r = [by_smtp("127.5.0.1", "bad")[:3] for i in range(8)]
check("0 is no limit", r == ["535"] * 8, r)

# ---- a device that was not told of the new password
limits(OFF + "failed-logins-minute 2 0 0\nfailed-logins-day 0 0 0")
fresh_minute(25)
r = by_smtp("127.6.0.1", GOOD)
subprocess.run(["quire", "-C", top, "passwd", "quire"], input=b"another-secret\n", check=True, stdout=subprocess.DEVNULL)
r = [r[:3]] + [by_smtp("127.6.0.1", GOOD)[:3] for i in range(6)]
check("the old password of a device that had it right is not counted", r == ["235"] + ["535"] * 6, r)
r = by_smtp("127.6.0.1", "another-secret")
check("so the new one is taken there", r.startswith("235 "), r)
r = [by_smtp("127.6.0.2", GOOD)[:3] for i in range(3)]
check("elsewhere it is a guess", r == ["535", "535", "454"], r)
r = [by_smtp("127.6.0.1", p)[:3] for p in ("guess1", "guess2", "guess3")]
check("and other passwords are guesses there too", r == ["535", "535", "454"], r)

# ---- those who guess are served slowly, and nobody else
limits(OFF + "write 8s")
p = Peer("127.7.0.1", SUBMISSION)
p.smtp("EHLO x.example")
for i in range(2):
    p.smtp("AUTH PLAIN " + plain("quire@localhost", "bad%d" % i))
p.say("AUTH PLAIN " + plain("quire@localhost", "bad3"))
t = time.time()
first = []
while len(first) < 3:
    first.append(p.f.read(1))
    first_at = time.time() - t
check("the third failed login is answered an octet each second", 2.5 < first_at < 3.8, first_at)
others = []
for i in range(5):
    t1 = time.time()
    r = by_smtp("127.7.0.2", "another-secret")
    others.append(time.time() - t1)
    if not r.startswith("235 "):
        others.append(99)
check("another connection is not held up", max(others) < 1.0, others)
r = (b"".join(first) + p.f.readline()).decode()
t2 = time.time() - t
check("before the peer's patience ends the rest is sent", r.startswith("535 5.7.8 ") and 2.9 < t2 < 4.5, (r, t2))
t = time.time()
p.say("NOOP")
r = p.f.read(1)
t2 = time.time() - t
check("a second before each read and each octet", r == b"2" and 1.8 < t2 < 3.2, t2)
p.f.readline()
t = time.time()
r = p.smtp("AUTH PLAIN " + plain("quire@localhost", "another-secret"))
t2 = time.time() - t
check("a success is answered at once, after the read", r.startswith("235 ") and t2 < 2.5, (r, t2))
t = time.time()
r = p.smtp("NOOP")
check("and ends it", r.startswith("250 ") and time.time() - t < 0.5, r)
p.close()
p = Peer("127.7.0.5", SUBMISSION)
p.smtp("EHLO x.example")
for i in range(2):
    p.smtp("AUTH PLAIN " + plain("quire@localhost", "bad%d" % i))
p.starttls()
p.smtp("EHLO x.example")
p.say("AUTH PLAIN " + plain("quire@localhost", "bad2"))
t = time.time()
got = [p.f.read(1) for i in range(3)]
t2 = time.time() - t
check("the same under TLS: failures before it count, octets come one by one",
    b"".join(got) == b"535" and 2.5 < t2 < 3.8, (got, t2))
p.f.readline()
r = p.smtp("AUTH PLAIN " + plain("quire@localhost", "another-secret"))
t = time.time()
r += p.smtp("NOOP")
check("until a login succeeds", r.startswith("235 ") and time.time() - t < 0.5, r)
p.close()

# other numbers
limits(OFF + "write 8s\nslow-after 1\nslow-octet 200ms\nlogin-wait 2s\nslow-spare 7500ms")
p = Peer("127.7.0.6", SUBMISSION)
p.smtp("EHLO x.example")
t = time.time()
r = p.smtp("AUTH PLAIN " + plain("quire@localhost", "bad1"))
t1 = time.time() - t
check("configured: slow from the first failed login on, the rest after 500 ms",
    r.startswith("535 5.7.8 ") and 0.4 < t1 < 1.5, (r, t1))
t = time.time()
p.say("AUTH PLAIN " + plain("quire@localhost", "bad2"))
first = p.f.read(1)
t1 = time.time() - t
check("the second does not wait", first == b"5" and t1 < 1.5, t1)
p.f.readline()
t = time.time()
r = p.smtp("AUTH PLAIN " + plain("quire@localhost", "bad3"))
t1 = time.time() - t
check("the third waits two seconds", r.startswith("535 ") and 2.0 < t1 < 4, t1)
p.close()
limits(OFF + "write 8s\nslow-after 1\nslow-octet 0s\nlogin-wait 2s")
p = Peer("127.7.0.7", IMAP)
waits = []
for i in range(4):
    t = time.time()
    p.imap("LOGIN quire@localhost bad%d" % i)
    waits.append(int(time.time() - t))
check("IMAP: none, none, two seconds, four", waits == [0, 0, 2, 4], waits)
p.close()
limits(OFF + "write 8s\nslow-after 0")
p = Peer("127.7.0.8", SUBMISSION)
p.smtp("EHLO x.example")
t = time.time()
for i in range(6):
    r = p.smtp("AUTH PLAIN " + plain("quire@localhost", "bad%d" % i))
t1 = time.time() - t
check("slow-after 0: never slow", r.startswith("535 ") and t1 < 4, t1)
p.close()
def unknown(ip):
    p = Peer(ip, SMTP)
    for text in ("EHLO x.example", "MAIL FROM:<a@b.example>", "RCPT TO:<nobody.is.here@localhost>", "DATA"):
        r = p.smtp(text)
    t = time.time()
    r = p.smtp("Subject: x\r\n\r\nbody\r\n.")
    p.close()
    return r, time.time() - t
limits(OFF)
r, t = unknown("127.7.0.9")
check("no recipient exists: 550 after five seconds", r.startswith("550 5.1.1 ") and 4.9 < t < 6.5, (r, t))
limits(OFF + "unknown-recipients 1s")
r, t = unknown("127.7.0.9")
check("configured: after one", r.startswith("550 5.1.1 ") and 0.9 < t < 2.5, (r, t))
limits(OFF + "unknown-recipients 0s\nfailed-messages 2")
p = Peer("127.7.0.9", SMTP)
p.smtp("EHLO x.example")
said = []
for i in range(4):
    r = p.smtp("MAIL FROM:<a@b.example>")
    said.append(r[:3])
    if r[:3] == "250":
        p.smtp("RCPT TO:<nobody.is.here@localhost>")
        p.smtp("DATA")
        p.smtp("Subject: x\r\n\r\nbody\r\n.")
check("configured: the third refused message is the last", said == ["250"] * 3 + ["550"] and p.line() == "", said)
p.close()
limits(OFF + "write 8s")

def octets(p, text, n):
    "How long until the reply's first n octets are there?"
    t = time.time()
    p.say(text)
    got = b"".join(p.f.read(1) for i in range(n))
    return got, time.time() - t
def imap_slow(p, before, name):
    for i in range(before):
        p.imap("LOGIN quire@localhost bad%d" % i)
    got, t = octets(p, "a LOGIN quire@localhost bad2", 3)
    check(name + "IMAP: the third failed login is answered octet by octet", got == b"a N" and 2.5 < t < 3.8, (got, t))
    r = (got + p.f.readline()).decode()
    check(name + "IMAP: all of it, before the peer's patience ends", r.startswith("a NO [AUTHENTICATIONFAILED]"), r)
    got, t = octets(p, "a NOOP", 1)
    check(name + "IMAP: a second before each read", got == b"a" and 1.8 < t < 3.2, t)
    p.f.readline()
    t = time.time()
    r = p.imap("LOGIN quire@localhost another-secret")
    t = time.time() - t
    check(name + "IMAP: a success is answered at once, after the read", r.startswith("a OK") and t < 2.5, (r, t))
    t = time.time()
    r = p.imap("NOOP")
    check(name + "IMAP: and ends it", r.startswith("a OK") and time.time() - t < 0.5, r)
    p.close()
p = Peer("127.7.0.10", IMAP)
imap_slow(p, 2, "")
p = Peer("127.7.0.11", IMAP)
for i in range(2):
    p.imap("LOGIN quire@localhost bad%d" % i)
p.say("a STARTTLS")
p.line()
p.f.close()
p.s = tls_client.wrap_socket(p.s)
p.f = p.s.makefile("rb")
imap_slow(p, 0, "under TLS, ")
p = Peer("127.7.0.12", IMAP)
for i in range(3):
    p.imap("LOGIN quire@localhost bad%d" % i)
t = time.time()
p.s.sendall(b"a NOOP\r\nb NOOP\r\nc LOGOUT\r\n")
r = [p.line() for i in range(4)]
check("IMAP: what was sent at once is answered in order", r == ["a OK NOOP completed", "b OK NOOP completed", "* BYE goodbye", "c OK LOGOUT completed"], r)
p.close()
t = time.time()
r = by_imap("127.7.0.13", "another-secret")
check("IMAP: nobody else is slow", r.startswith("a OK") and time.time() - t < 1, r)

limits(OFF + "write 8s\nslow-octet 0s")
p = Peer("127.7.0.3", IMAP)
waits = []
for i in range(6):
    t = time.time()
    r = p.imap("LOGIN quire@localhost bad%d" % i)
    waits.append(int(time.time() - t))
check("IMAP: the fifth attempt waits a second, the sixth two", waits == [0, 0, 0, 0, 1, 2], waits)
p.close()
limits(OFF + "write 8s")
p = Peer("127.7.0.4", IMAP)
p.say("GET / HTTP/1.0")
r = p.line()
check("IMAP: who begins with something else", r == "* BYE please try again speaking imap", r)
p = Peer("127.7.0.4", SMTP)
r = p.smtp("GET / HTTP/1.0")
check("SMTP as well", r.startswith("500 5.5.2 please try again speaking smtp") and p.line() == "", r)

# ---- behind a proxy
def v2(client, family=0x11, tlv=b""):
    body = socket.inet_pton(socket.AF_INET, client) + bytes([192, 0, 2, 25]) + struct.pack(">HH", 4711, 25) + tlv
    return b"\r\n\r\n\0\r\nQUIT\n\x21" + bytes([family]) + struct.pack(">H", len(body)) + body

def hello(ip, port, header, tls=None):
    try:
        p = Peer(ip, port, header, tls)
        r = p.hello
        p.close()
    except OSError as e:
        r = "" if not tls else repr(e)
    return r

limits(OFF + "failed-logins-minute 2 0 0\ntls-handshake 2s")
fresh_minute(25)
BEHIND = FREE + 1
v1 = b"PROXY TCP4 198.51.100.7 192.0.2.25 4711 25\r\n"
r = hello("127.9.0.1", BEHIND, v1)
check("version 1 of a trusted proxy", r.startswith("220 "), r)
r = hello("127.9.0.1", BEHIND, v2("198.51.100.8", tlv=b"\4\0\3abc"))
check("version 2 with TLVs", r.startswith("220 "), r)
r = hello("127.9.0.1", BEHIND + 1, v2("198.51.100.9"), tls_client)
check("TLS follows the header", r.startswith("220 "), r)
r = hello("127.9.1.1", BEHIND, v1)
check("a proxy that is not trusted is closed", r == "", r)
r = hello("127.9.0.1", BEHIND, b"EHLO x.example\r\nMAIL FROM:<>\r\n")
check("so is one that begins with something else", r == "", r)
t = time.time()
r = hello("127.9.0.1", BEHIND, v1[:20])
check("and one whose header does not end", r == "" and 1.5 < time.time() - t < 4, (r, time.time() - t))
def behind(client):
    p = Peer("127.9.0.1", BEHIND + 2, b"PROXY TCP4 %s 192.0.2.25 4711 143\r\n" % client.encode())
    r = p.imap("LOGIN quire@localhost bad")
    p.close()
    return r
r = [behind("203.0.113.5")[:8] for i in range(3)] + [behind("203.0.113.6")[:8]]
check("limits are those of the client, not of the proxy", r == ["a NO [AU"] * 2 + ["a NO [LI", "a NO [AU"], r)
p = Peer("127.9.0.1", BEHIND, v1)
for text in ("EHLO x.example", "MAIL FROM:<a@b.example>", "RCPT TO:<quire@localhost>", "DATA"):
    r = p.smtp(text)
r = p.smtp("Subject: proxied\r\n\r\nbody\r\n.")
check("mail through the proxy", r.startswith("250 "), r)

r = hello("127.9.0.1", FREE + 6, v2("203.0.113.9"), tls_client)
check("IMAP over TLS after the header", r.startswith("* OK "), r)
p = Peer("127.9.0.1", FREE + 6, v2("203.0.113.10"), tls_client)
r = p.imap("LOGIN quire@localhost another-secret"), p.imap("SELECT INBOX")
check("a session that lives on behind it", r[0].startswith("a OK") and r[1].startswith("a OK"), r)
p.close()

# ---- fronts that say for whom they speak
FRONT = FREE + 4
limits(OFF + "connection-rate 3 0 0\nconnections-per-ip 2 0 0\nfailed-logins-minute 2 0 0")
fresh_minute(25)
p = Peer("127.9.8.1", FRONT)
p.say("EHLO front.example")
offer = [p.line() for i in range(9)][-1]
check("XCLIENT is offered", offer == "250 XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT REVERSE_NAME", offer)
r = p.smtp("XCLIENT ADDR=203.0.113.20 NAME=c.example HELO=c.example PROTO=ESMTP")
check("the reply is the greeting", r.startswith("220 "), r)
for text in ("MAIL FROM:<a@b.example>", "RCPT TO:<quire@localhost>", "DATA"):
    r = p.smtp(text)
r = p.smtp("Subject: xclient\r\n\r\nbody\r\n.")
check("mail of that client", r.startswith("250 "), r)
q = Peer("127.9.8.1", FRONT)
r = q.smtp("XCLIENT ADDR=203.0.113.20"), q.smtp("XCLIENT ADDR=203.0.113.21")
check("another connection of the front, and another client on it", [x[:3] for x in r] == ["220", "220"], r)
q2 = Peer("127.9.8.1", FRONT)
r = q2.smtp("XCLIENT ADDR=203.0.113.20"), q2.smtp("XCLIENT ADDR=IPV6:2001:db8::7")
check("the third of that client within a minute", [x[:3] for x in r] == ["220", "220"], r)
q3 = Peer("127.9.8.1", FRONT)
r = q3.smtp("XCLIENT ADDR=203.0.113.20"), q3.line()
check("four in a minute are too many: 421, and closed", r[0].startswith("421 4.7.0 ") and r[1] == "", r)
q4, q5 = Peer("127.9.8.1", FRONT), Peer("127.9.8.1", FRONT)
check("the front itself is not counted", q5.hello.startswith("220 "), q5.hello)
for x in (p, q, q2, q3, q4, q5):
    x.close()
s = Peer("127.9.8.2", FRONT + 1)
got = []
for ip in ("203.0.113.30", "203.0.113.30", "203.0.113.30", "203.0.113.31"):
    s.smtp("XCLIENT ADDR=%s LOGIN=quire" % ip)
    s.smtp("EHLO x.example")
    got.append(s.smtp("AUTH PLAIN " + plain("quire@localhost", "bad"))[:3])
check("failed logins are those of the client", got == ["535", "535", "454", "535"], got)
r = s.smtp("MAIL FROM:<quire@localhost>")
check("LOGIN gives no right", r.startswith("530 "), r)
s.close()
p = Peer("127.9.9.1", FRONT)
r = p.smtp("XCLIENT ADDR=203.0.113.40")
check("not for others: 550", r.startswith("550 5.7.0 "), r)
r = p.smtp("EHLO x.example")
check("nor offered", r == "250 SMTPUTF8", r)
p.close()
def swaks(ip, *args):
    r = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(FRONT), "--local-interface", ip,
        "--from", "a@b.example", "--to", "quire@localhost"] + list(args),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return r.returncode, r.stdout.decode()
r = swaks("127.9.8.3", "--xclient-addr", "203.0.113.50", "--xclient-name", "swaks.example", "--xclient-port", "4711",
    "--xclient-proto", "ESMTP", "--xclient-helo", "swaks.example", "--xclient-destaddr", "192.0.2.25",
    "--xclient-destport", "25", "--xclient-reverse-name", "swaks.example", "--helo", "swaks.example", "--h-Subject", "by swaks")
check("swaks", r[0] == 0, r)
r = swaks("127.9.8.3", "--xclient-addr", "IPV6:2001:db8::50", "--xclient-name", "[UNAVAILABLE]", "--tls", "--h-Subject", "by swaks, TLS")
check("swaks under TLS", r[0] == 0, r)
r = swaks("127.9.9.3", "--xclient", "ADDR=203.0.113.50")
check("swaks from elsewhere", r[0] == 33 and "did not advertise XCLIENT" in r[1], r)

log = open(top + "/../log").read()
for want in (
    r"ev=limited .*remote=127\.0\.1\.1 service=smtp limit=connections-per-ip",
    r"ev=limited .*remote=127\.0\.1\.1 service=imap limit=connections-per-ip",
    r"ev=limited .*remote=127\.1\.0\.1 service=smtp limit=connection-rate",
    r"ev=login\.failed .*remote=127\.3\.0\.1 .*counted=1",
    r"ev=login\.failed .*remote=127\.6\.0\.1 .*counted=0",
    r"ev=connect .*remote=198\.51\.100\.7 service=smtp",
    r"ev=connect .*remote=198\.51\.100\.9 service=submissions",
    r"ev=proxy\.refused .*remote=127\.9\.1\.1 why=\"not in proxy-from\"",
    r"ev=proxy\.refused .*remote=127\.9\.0\.1 why=\"not a proxy header\"",
    r"ev=login\.failed .*remote=203\.0\.113\.5",
    r"ev=xclient .*front=127\.9\.8\.1 remote=203\.0\.113\.20 name=c\.example",
    r"ev=limited .*remote=203\.0\.113\.20 service=smtp limit=connection-rate",
    r"ev=login\.failed .*remote=203\.0\.113\.30",
    r"ev=connect .*remote=203\.0\.113\.9 service=imaps",
    r"ev=login\.limited .*remote=127\.3\.0\.1 service=smtp",
):
    check("log: " + want, re.search(want, log) is not None)
print("# the script is at its end")

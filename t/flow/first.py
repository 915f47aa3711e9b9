#!/usr/bin/python3
"""Senders who are new to a recipient.

first.py waits|2s|4s|0s|leaving|dying|stop DIR PORT-BASE QUIRED-PID
"""
import base64, os, signal, socket, struct, subprocess, sys, threading, time

what, top = sys.argv[1:3]
P, QUIRED = map(int, sys.argv[3:5])
CHANGED, LONG, USUAL, FREE, OURS = (P + i for i in range(1, 6))
OUR, OTHER = "127.0.0.5", "127.0.0.6"

def check(name, good, got=""):
    print("%s - %s" % ("ok" if good else "not ok", name))
    if not good:
        print("# got: %r" % (got,))
    sys.stdout.flush()

class Peer:
    def __init__(self, port, ip=OUR):
        self.s = socket.create_connection(("127.0.0.1", port), 30, (ip, 0))
        self.f = self.s.makefile("rb")
        self.line()
        self.smtp("EHLO mail.some.test")
    def line(self):
        try:
            line = self.f.readline().decode()
            while line[3:4] == "-":
                line = self.f.readline().decode()
            return line.rstrip()
        except OSError:
            return ""
    def smtp(self, text):
        self.s.sendall(text.encode() + b"\r\n")
        return self.line()
    def begin(self, author, rcpts, path=None, more=""):
        """As far as the last dot."""
        header = "From: %s\r\n" % author if author is not None else ""
        r = [self.smtp("MAIL FROM:<%s>" % (author if path is None else path))]
        r += [self.smtp("RCPT TO:<%s@localhost>" % rcpt) for rcpt in rcpts]
        r += [self.smtp("DATA")]
        if any(x[:1] not in ("2", "3") for x in r):
            return "refused: %r" % r
        self.s.sendall((header + "Subject: s\r\n\r\nbody\r\n.\r\n" + more).encode())
    def send(self, *args):
        """The reply to the last dot, and how long that took."""
        no = self.begin(*args)
        t = time.time()
        return no or self.line(), time.time() - t
    def close(self):
        self.f.close()
        self.s.close()

def send(author, rcpts, path=None, port=CHANGED, ip=OUR):
    p = Peer(port, ip)
    reply, t = p.send(author, rcpts, path)
    p.close()
    return reply, t

def waits(name, s, author, rcpts, *args, **kw):
    """It is accepted, after that many seconds."""
    reply, t = send(author, rcpts, *args, **kw)
    check(name, reply.startswith("250 ") and s - 0.05 <= t < s + 1.5, (reply, t))

def at_once(name, *args, **kw):
    waits(name, 0, *args, **kw)

def files(account, dirs=("new", "cur")):
    md = "%s/mail/%s/Maildir/" % (top, account)
    return sum(len(os.listdir(md + d)) for d in dirs if os.path.isdir(md + d))

def gone(account, what):
    """Nothing is left in tmp/, a moment later."""
    for i in range(50):
        if files(account, ("tmp",)) == 0:
            break
        time.sleep(0.1)
    check("%s: nothing is left in tmp/" % what, files(account, ("tmp",)) == 0)

def is_waiting(account, n=1):
    for i in range(100):
        if files(account, ("tmp",)) == n:
            time.sleep(0.2)
            return True
        time.sleep(0.1)
    return False

def waiting():
    waits("the first message of a sender waits", 2, "one@some.test", ["quire"])
    check("and is there then", files("quire") == 1, files("quire"))
    at_once("the second does not", "one@some.test", ["quire"])
    at_once("in other letters", "ONE@Some.Test", ["quire"])
    waits("where nobody stands for the address it is another's", 2, "one@some.test", ["quire"], ip=OTHER)
    at_once("known too, then", "one@some.test", ["quire"], ip=OTHER)
    waits("for another recipient it is the first", 2, "one@some.test", ["quire", "two"])
    check("both have it", files("two") == 1 and files("quire") == 6, (files("two"), files("quire")))
    at_once("then it is known to both", "one@some.test", ["quire", "two"])
    waits("both new: one wait", 2, "both@some.test", ["two", "quire"])
    waits("an account of layout fs", 2, "one@some.test", ["far"])
    at_once("and its second", "one@some.test", ["far"])
    at_once("an account that is exempt", "new1@some.test", ["exempt"])
    at_once("beside one that knows the sender", "one@some.test", ["exempt", "quire"])
    for i in range(2):
        waits("without From it is always the first (%d)" % i, 2, None, ["quire"], "x@some.test")
        waits("with two authors as well (%d)" % i, 2, "a@some.test, b@some.test", ["quire"], "x@some.test")
    waits("a bounce is judged by From", 2, "daemon@some.test", ["quire"], "")
    at_once("whatever its path", "daemon@some.test", ["quire"], "x@some.test")
    at_once("a listener without limits", "new2@some.test", ["quire"], port=FREE)
    reply, t = send("refused@some.test", ["strict"], port=FREE, ip=OTHER)
    check("one is refused", reply.startswith("550 5.7.26"), reply)
    check("into Rejects", os.path.isdir(top + "/mail/strict/Maildir/.Rejects"))
    p = Peer(OURS)
    r = p.smtp("AUTH PLAIN " + base64.b64encode(b"\0quire@localhost\0quirequire").decode())
    reply, t = p.send("quire@localhost", ["two"])
    check("our own user does not wait", r[:3] == "235" and reply[:3] == "250" and t < 1, (r, reply, t))
    p.close()
    p = Peer(LONG)
    p.begin("slow@some.test", ["quire"])
    check("one waits for a minute", is_waiting("quire"))
    at_once("others do not wait with it", "one@some.test", ["quire"])
    waits("nor others who wait less", 2, "new3@some.test", ["quire"])
    p.close()
    gone("quire", "the one")

def many():
    """Below the number that is held for an account, then no more wait."""
    n = 20
    peers = [Peer(CHANGED) for i in range(n)]
    t = time.time()
    for i, p in enumerate(peers):
        p.begin("many%d@some.test" % i, ["quire"])
    replies = [p.line()[:3] for p in peers]
    t = time.time() - t
    check("many wait together", replies == ["250"] * n and 2 <= t < 6, (replies, t))
    for p in peers:
        p.close()

def leaving():
    before = files("quire")
    p = Peer(LONG)
    p.begin("leaves1@some.test", ["quire"])
    check("it waits", is_waiting("quire"))
    p.close()
    gone("quire", "closed")
    p = Peer(LONG)
    p.begin("leaves2@some.test", ["quire", "two"])
    check("two copies wait", is_waiting("quire") and is_waiting("two"))
    p.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    p.close()
    gone("quire", "reset")
    gone("two", "reset, the other copy")
    p = Peer(LONG)
    p.begin("leaves3@some.test", ["quire"], None, "QUIT\r\n")
    check("with QUIT it waits", is_waiting("quire"))
    p.close()
    gone("quire", "QUIT and closed")
    p = Peer(LONG)
    p.begin("leaves4@some.test", ["quire"])
    check("it waits again", is_waiting("quire"))
    p.s.shutdown(socket.SHUT_WR)
    r = p.line()
    check("who says no more is told", r.startswith("421 4.4.2 "), r)
    gone("quire", "half closed")
    time.sleep(0.5)
    check("nothing was filed", files("quire") == before, (before, files("quire")))
    waits("and nobody is known by it", 2, "leaves1@some.test", ["quire"])
    p = Peer(CHANGED)
    p.begin("stays@some.test", ["quire"], None, "NOOP\r\nNOOP\r\n")
    r = [p.line() for i in range(3)]
    check("what is said ahead is answered in order", [x[:3] for x in r] == ["250"] * 3 and r[0].startswith("250 2.6.0"), r)
    p.close()

def parents():
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            s = open("/proc/%s/stat" % pid).read()
        except OSError:
            continue
        name, rest = s[s.index("(") + 1:].rsplit(")", 1)
        found[int(pid)] = (name, int(rest.split()[1]))
    return found

def workers():
    """The mdas of our server: children of its nursery."""
    p = parents()
    nurseries = [pid for pid, (name, parent) in p.items() if name == "quire-mda" and parent == QUIRED]
    return [pid for pid, (name, parent) in p.items() if parent in nurseries]

def dying():
    before = files("quire")
    p = Peer(CHANGED)
    t = time.time()
    p.begin("dies@some.test", ["quire"])
    check("one waits", is_waiting("quire"))
    died = workers()
    for pid in died:
        os.kill(pid, signal.SIGKILL)
    reply = p.line()
    t = time.time() - t
    check("its mda dies: another one has it", len(died) > 0 and reply.startswith("250 ") and t < 4, (died, reply, t))
    check("once", files("quire") == before + 1, (before, files("quire")))
    at_once("and the sender is known", "dies@some.test", ["quire"])
    md = top + "/mail/quire/Maildir/tmp/"
    left = os.listdir(md) # of the dead: a sweep takes it after hours
    check("what it had prepared is in tmp/", len(left) == 1, left)
    for f in left:
        os.unlink(md + f)
    p.close()

def stop():
    before = files("quire")
    p = Peer(LONG)
    p.begin("late@some.test", ["quire", "two"])
    check("one waits at the stop", is_waiting("quire"))
    t = time.time()
    os.system("quire -C %s stop >/dev/null" % top)
    reply = p.line()
    check("it is told so", reply.startswith("421 4.3.2 "), reply)
    check("at once", time.time() - t < 2, time.time() - t)
    gone("quire", "stopped")
    check("nothing was filed", files("quire") == before)

if what == "waits":
    waiting()
elif what == "4s":
    waits("a reload changes the number", 4, "four@some.test", ["quire"])
    waits("not set it is 15 s", 15, "usual@some.test", ["quire"], port=USUAL)
elif what == "0s":
    at_once("0 is no wait", "zero@some.test", ["quire"])
elif what == "2s":
    at_once("who wrote meanwhile is known", "zero@some.test", ["quire"])
    waits("others wait again", 2, "again@some.test", ["quire"])
    many()
else:
    {"leaving": leaving, "dying": dying, "stop": stop}[what]()
print("the script is at its end")

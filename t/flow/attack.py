#!/usr/bin/python3
"""Strangers attack the receive path while normal mail comes in.

attack.py peak FILE COMMAND..    runs COMMAND; then FILE has the peak RSS in
                                 KiB of the largest of it and its descendants
attack.py run SMTP IMAP DNS MAILDIR SIGNED KEY SLOW
                                 prints TAP without a plan

run has three processes: this one sends the normal messages and takes the
time, one is the name server for honest and lying zones, one attacks from
other addresses until the normal messages are through.
"""
import imaplib
import multiprocessing
import os
import resource
import signal
import socket
import struct
import sys
import threading
import time

OUR, HELO = "127.0.0.5", b"mail.good.test"
RCPT = b"quire@localhost"
MESSAGES = 300  # the p99 is the fourth from the top
EACH_S = 1 / 30  # one begins then, so that a phase lasts for the slow attacks
LAST_S = 45  # attacks end then, whatever happens
PAUSE_S = 0.1  # between messages of one attacker; what is taken fills the disk
PIECE = 16384  # what attackers send at once: some kernels give a processor up between system calls only
IN_TIME_S = 15  # for an answer to an attack; the server's limit is 3 s of DNS
n = 0


def check(what, good, *detail):
    global n
    n += 1
    print("%s %d - %s" % ("ok" if good else "not ok", n, what))
    if not good:
        for d in detail:
            print("# %.600r" % (d,))
    sys.stdout.flush()


def figure(text, *args):
    print(text % args)
    sys.stdout.flush()


def peak(path, command):
    """Linux adds up for wait4() what the descendants were, but for those
    nobody waited for."""
    pid = os.fork()
    if pid == 0:
        os.execvp(command[0], command)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
    _, status, usage = os.wait4(pid, 0)
    with open(path, "w") as f:
        f.write("%d\n" % usage.ru_maxrss)
    return os.waitstatus_to_exitcode(status)


def cpu_s():
    """CPU seconds so far: of the server (with those that ended), of each of
    our own processes, and of what else runs here: with much of that the
    latencies are not ours."""
    tick, parent, used = os.sysconf("SC_CLK_TCK"), {}, {}
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, softirq, *_ = map(int, f.readline().split()[1:])
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid) as f:
                stat = f.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parent[int(pid)] = int(stat[1])
        used[int(pid)] = sum(map(int, stat[11:15])) / tick
    out = {}
    for pid, s in used.items():
        at = pid
        while at in parent and at not in WHO:
            at = parent[at]
        if at in WHO:
            out[WHO[at]] = out.get(WHO[at], 0) + s
    out["all else"] = (user + nice + system + irq + softirq) / tick - sum(out.values())
    return out


def own_wait():
    """Seconds so far that this thread wanted a processor and had none: its
    machine would be another. 0: the kernel does not say."""
    try:
        with open("/proc/thread-self/schedstat") as f:
            return int(f.read().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


# --- the name server ---

A, NS, CNAME, SOA, PTR, MX, TXT = 1, 2, 5, 6, 12, 15, 16


def wire(name):
    return b"".join(bytes([len(x)]) + x for x in name.split(b".") if x) + b"\0"


def text(s):
    return b"".join(bytes([len(s[i : i + 255])]) + s[i : i + 255] for i in range(0, len(s), 255))


def record(kind, data, length=None, owner=b"\xc0\x0c"):
    return owner + struct.pack(">HHIH", kind, 1, 300, len(data) if length is None else length) + data


class Server:
    """Honest about ZONE; of NAME.evil.test it says what NAME says."""

    def __init__(self, port, key, asked):
        self.asked = asked  # questions for keys of many.evil.test
        self.zone = {
            (b"good.test", MX): b"\0\x0a" + wire(b"mail.good.test"),
            (b"good.test", TXT): text(b"v=spf1 ip4:127.0.0.5 -all"),
            (b"mail.good.test", A): socket.inet_aton(OUR),
            (b"mail.good.test", TXT): text(b"v=spf1 a -all"),
            (b"rsa._domainkey.good.test", TXT): text(key),
            (b"_dmarc.good.test", TXT): text(b"v=DMARC1; p=reject"),
            (b"5.0.0.127.in-addr.arpa", PTR): wire(b"mail.good.test"),
        }
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # 300 questions come at once: a lost one would be a second of somebody
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.udp.bind(("127.0.0.1", port))
        self.tcp = socket.create_server(("127.0.0.1", port), backlog=256)

    def question(self, q):
        labels, at = [], 12
        while q[at] != 0:
            labels.append(q[at + 1 : at + 1 + q[at]])
            at += 1 + q[at]
        return b".".join(labels).lower(), struct.unpack(">H", q[at + 1 : at + 3])[0], q[12 : at + 5]

    def message(self, q, question, flags=0x8180, answers=(), count=None, ident=None):
        head = struct.pack(">HHHHHH", flags, 1, len(answers) if count is None else count, 0, 0, 0)[:10]
        return (q[:2] if ident is None else ident) + head + question + b"".join(answers)

    def honest(self, q, name, kind, question):
        data = self.zone.get((name, kind))
        if data is None:
            exists = any(name == k[0] or k[0].endswith(b"." + name) for k in self.zone)
            return self.message(q, question, 0x8180 if exists else 0x8183)
        return self.message(q, question, answers=[record(kind, data)])

    def lie(self, q, name, kind, question, is_tcp):
        """What is sent, or None for nothing."""
        what = name.split(b".")[-3] if name.count(b".") >= 2 else b""
        say = lambda *answers, **k: self.message(q, question, answers=answers, **k)
        spf = text(b"v=spf1 include:never.evil.test include:loop.evil.test -all")
        if what == b"loop":  # the name at 12 + len(question) points to itself
            return say(record(kind, b"x" * 4, owner=struct.pack(">H", 0xC000 | 12 + len(question))))
        if what == b"pair":  # two that point to each other
            at = 12 + len(question)
            return say(record(CNAME, struct.pack(">H", 0xC000 | at), owner=struct.pack(">H", 0xC000 | at + 12)))
        if what == b"length":
            return say(record(kind, b"\xff" + b"x" * 8, length=65535))
        if what == b"string":
            return say(record(TXT, b"\xffabc"))
        if what == b"count":
            return say(record(A, b"\x7f\0\0\1"), count=65535)
        if what == b"cut":
            return say(record(TXT, spf))[: 14 + len(question)]
        if what == b"short":
            return q[:2] + b"\x81"
        if what == b"chain":
            return say(*(record(CNAME, wire(b"c%d.chain.evil.test" % (i + 1)), owner=wire(b"c%d.chain.evil.test" % i) if i else b"\xc0\x0c") for i in range(100)))
        if what == b"ring":
            return say(record(CNAME, b"\xc0\x0c"))
        if what == b"many":
            return say(record(TXT, text(b"v=DKIM1; k=ed25519; p=" + b"A" * 43 + b"="))) if kind == TXT else say(flags=0x8183)
        if what == b"grow":  # 90 answers of 16 KiB whose names unpack to a megabyte each
            if kind == TXT:
                return say(record(TXT, text(b"v=spf1 " + b" ".join(b"mx:m%d.grow.evil.test" % i for i in range(9)) + b" -all")))
            if kind == MX:
                return say(*(record(MX, b"\0\1" + wire(b"h%d." % i + name)) for i in range(10)))
            if kind != A or not is_tcp:
                return say(flags=0x8380 if kind == A else 0x8180)
            at = struct.pack(">H", 0xC000 | 12 + len(question) + 12)
            return say(record(CNAME, (b"\x3f" + b"\1" * 63) * 3 + b"\x3d" + b"\1" * 61 + b"\0"), *[record(A, b"\x7f\0\0\1", owner=at)] * 990)
        if what == b"big":  # far more than we said that we take
            return say(*[record(TXT, text(b"x" * 60000))])
        if what == b"huge" and is_tcp:
            return say(*[record(A, b"\x7f\0\0\1")] * 4000) if kind == A else say(*[record(TXT, text(b"v=spf1 " + b"x" * 200))] * 280)
        if what in (b"huge", b"drip", b"lying"):
            return say(flags=0x8380) if not is_tcp else say(record(TXT, spf))
        if what == b"fan":
            return say(record(TXT, spf)) if kind == TXT else say(record(A, b"\x7f\0\0\1"))
        if what in (b"slow", b"id"):
            return say(record(A, b"\x7f\0\0\1")) if kind == A else say(flags=0x8183)
        return None if what == b"never" else say(flags=0x8183)

    def answer(self, q, is_tcp=False):
        name, kind, question = self.question(q)
        if name.endswith(b"._domainkey.many.evil.test"):
            with self.asked.get_lock():
                self.asked.value += 1
        if not name.endswith(b"evil.test"):
            return name, self.honest(q, name, kind, question)
        return name, self.lie(q, name, kind, question, is_tcp)

    def stream(self, s):
        try:
            s.settimeout(10)
            q = s.recv(2000)
            name, out = self.answer(q[2:], True)
            if out is None:
                time.sleep(8)
            elif b"lying" in name:  # says 64 KiB, sends less
                s.sendall(b"\xff\xff" + out)
            elif b"drip" in name:
                for c in struct.pack(">H", len(out)) + out:
                    s.sendall(bytes([c]))
                    time.sleep(0.3)
            else:
                s.sendall(struct.pack(">H", len(out)) + out)
        except (OSError, IndexError, struct.error):
            pass
        s.close()

    def streams(self):
        """A process of its own: only liars say more than goes by UDP."""
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        while True:
            s, _ = self.tcp.accept()
            threading.Thread(target=self.stream, args=(s,), daemon=True).start()

    def serve(self):
        while True:
            q, peer = self.udp.recvfrom(4096)
            try:
                name, out = self.answer(q)
            except (IndexError, struct.error):
                continue
            if out is None:
                continue
            if b"id.evil" in name:  # a burst of guesses, never the right one
                for i in range(1, 50):
                    self.udp.sendto(struct.pack(">H", (struct.unpack(">H", q[:2])[0] + i) % 65536) + out[2:], peer)
            elif b"slow.evil" in name:
                threading.Timer(1.5, self.udp.sendto, (out, peer)).start()
            else:
                self.udp.sendto(out, peer)


LIES = b"loop pair length string count cut short chain ring grow big huge drip lying fan slow id never".split()

# --- SMTP ---


class Peer:
    def __init__(self, ip, timeout=IN_TIME_S):
        self.s = socket.create_connection(("127.0.0.1", SMTP), timeout, (ip, 0))
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.f = self.s.makefile("rb")
        self.said = self.reply()

    def reply(self):
        out = b""
        while True:
            line = self.f.readline(4096)
            out += line
            if line[3:4] != b"-":
                return out

    def ask(self, line):
        self.s.sendall(line + b"\r\n")
        return self.reply()

    def until_data(self, helo, sender, steps=None):
        """The last reply, 354 if all went well."""
        for line in (b"EHLO " + helo, b"MAIL FROM:<" + sender + b">", b"RCPT TO:<" + RCPT + b">", b"DATA"):
            out = self.ask(line)
            if steps is not None:
                steps.append((line[:4].decode(), time.monotonic()))
            if out[:1] not in b"23":
                break
        return out

    def close(self):
        self.f.close()
        self.s.close()


def transaction(ip, helo, sender, message, steps=None):
    """The reply that decided and the time from connecting to it; steps gets
    when each step had its reply."""
    start = time.monotonic()
    p = Peer(ip)
    try:
        if steps is not None:
            steps += [("", start), ("banner", time.monotonic())]
        out = p.until_data(helo, sender, steps)
        if out.startswith(b"354"):
            message += b"\r\n.\r\n"
            for at in range(0, len(message), PIECE):
                p.s.sendall(message[at : at + PIECE])
            out = p.reply()
            if steps is not None:
                steps.append(("message", time.monotonic()))
        took = time.monotonic() - start
        if out:
            p.s.sendall(b"QUIT\r\n")
        return out, took
    finally:
        p.close()


def phase(name, signed):
    """Normal messages one after the other: p99 in seconds, without what we
    waited for a processor: the senders' machines are not the server's."""
    times, waits, bad, begun, slow = [], [], [], time.monotonic(), {}
    used = cpu_s()
    for i in range(MESSAGES):
        time.sleep(max(0, begun + i * EACH_S - time.monotonic()))
        steps, waited = [], own_wait()
        out, took = transaction(OUR, HELO, b"a@good.test", b"X-N: %s-%d\r\n" % (name, i) + signed, steps)
        waits.append(own_wait() - waited)
        took -= waits[-1]
        times.append(took)
        slow[took] = " ".join("%s %.1f" % (b[0], (b[1] - a[1]) * 1e3) for a, b in zip(steps, steps[1:]))
        if not out.startswith(b"250 "):
            bad.append(out)
    check("%s: every normal message is taken" % name.decode(), not bad, *bad[:3])
    seconds = time.monotonic() - begun
    used = {who: s - used.get(who, 0) for who, s in cpu_s().items()}
    times.sort()
    p50, p90, p99 = (times[MESSAGES * p // 100 - 1] for p in (50, 90, 99))
    figure("%s: %d messages, p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, most %.1f ms", name.decode(), MESSAGES, p50 * 1e3, p90 * 1e3, p99 * 1e3, times[-1] * 1e3)
    figure("%s: CPU in %.1f s: %s", name.decode(), seconds, ", ".join("%s %.2f s" % x for x in used.items()))
    waits.sort()
    figure("%s: left out of these, our own waits for a processor: p99 %.1f ms", name.decode(), waits[MESSAGES * 99 // 100 - 1] * 1e3)
    for took in times[-5:]:
        figure("%s: %.1f ms: %s", name.decode(), took * 1e3, slow[took])
    return p99


def nested(depth):
    out = b"Subject: deep\r\n"
    for i in range(depth):
        out += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i)
    return out + b"\r\nx\r\n"


def many_signatures(count, algorithm=b"rsa-sha256"):
    """Each of a key of its own, asked for at many.evil.test."""
    bh = b"2jmj7l5rSw0yVb/vlWAYkK/YBwk=" if algorithm == b"rsa-sha1" else b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    return b"".join(b"DKIM-Signature:v=1;a=%s;d=many.evil.test;s=%d;h=from;bh=%s;b=AAAA\r\n" % (algorithm, i, bh) for i in range(count)) + b"From: a@many.evil.test\r\n\r\n"


ENDS = (b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r.\n", b"\n.\r", b"\r\r\n.\n", b"\r\n.\r\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n. \r\n")
INNER = b"MAIL FROM:<smuggled@good.test>\r\nRCPT TO:<" + RCPT + b">\r\nDATA\r\nSubject: smuggled\r\n\r\nx"
X = b"From: a@x.test\r\n"
FORMS = {
    "100,000 fields": X + b"X: y\r\n" * 100000 + b"\r\nx",
    "a field of 10 MB": X + b"X: " + b"y" * 10000000 + b"\r\n\r\nx",
    "1 MB of folded lines": X + b"X: y\r\n" + b" y\r\n" * 250000 + b"\r\nx",
    "1 MB of lines folded in From": b"From: (\r\n" + b" (\r\n" * 250000 + b"a@x.test\r\n\r\nx",
    "1900 signatures": many_signatures(1900),
    "8000 signatures": many_signatures(8000),
    "10,000 signatures of SHA-1": many_signatures(10000, b"rsa-sha1"),
    "10,000 signatures": many_signatures(10000),  # a header above 1 MiB
    "10,000 multiparts": nested(10000),
    "100,000 parts": b"Subject: wide\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100000 + b"--b--\r\n",
    "10,000 messages in messages": b"Subject: nested\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 10000 + b"\r\nx",
}


class Attack:
    """What goes on until stop; results are counted."""

    def __init__(self, stop, asked, slow):
        self.stop, self.asked, self.slow = stop, asked, slow
        self.lock = threading.Lock()
        self.end = time.monotonic() + LAST_S
        self.done, self.failed, self.longest = {}, [], 0.0
        self.replies = {}

    def goes_on(self):
        return not self.stop.is_set() and time.monotonic() < self.end

    def note(self, what, out, took, good):
        with self.lock:
            self.done[what] = self.done.get(what, 0) + 1
            self.replies.setdefault(what, out[:3].decode())
            self.longest = max(self.longest, took)
            if not good:
                self.failed.append((what, out, took))

    def send(self, what, ip, helo, sender, message):
        start = time.monotonic()
        try:
            out, took = transaction(ip, helo, sender, message)
        except OSError as e:
            out, took = repr(e).encode(), time.monotonic() - start
        self.note(what, out, took, out[:1] in b"245" and out[:1] and took < IN_TIME_S)

    def smuggle(self):
        rounds = 0
        while self.goes_on() and rounds < 20:
            for end in ENDS:
                time.sleep(PAUSE_S)
                p = Peer("127.2.0.1")
                out = p.until_data(b"x", b"")
                parts = [b"Subject: outer\r\n\r\nx" + end + INNER + b"\r\n.\r\n"]
                if rounds % 2:  # the end octet by octet
                    at = parts[0].index(end + INNER)
                    parts = [parts[0][:at]] + [bytes([c]) for c in end] + [parts[0][at + len(end) :]]
                try:
                    for part in parts:
                        p.s.sendall(part)
                    out = p.reply()
                    p.s.sendall(b"QUIT\r\n")
                    out += p.f.read()
                except OSError as e:
                    out += repr(e).encode()
                p.close()
                self.note("smuggling", out, 0, out[:1] in b"25" and out.count(b"\n250 ") + out.startswith(b"250 ") <= 1)
            rounds += 1

    def forms(self):
        rounds = 0
        while self.goes_on() and rounds < 6:
            for what, message in FORMS.items():
                before = self.asked.value
                self.send(what, "127.3.0.1", b"x", b"", message)
                if "signatures" in what:
                    asked = self.asked.value - before
                    self.note(what + ": keys asked for", b"%d" % asked, 0, asked <= 10 * 3)
                time.sleep(PAUSE_S)
                if not self.goes_on():
                    break
            rounds += 1

    def lies(self, ip, lies):
        rounds = 0
        while self.goes_on() and rounds < 20:
            for lie in lies:
                zone = lie + b".evil.test"
                self.send("MAIL FROM %s" % lie.decode(), ip, zone, b"a@" + zone, b"From: a@" + zone + b"\r\n\r\nx")
                signature = many_signatures(1).replace(b"many.evil.test", zone)
                self.send("signature of %s" % lie.decode(), ip, zone, b"", signature + b"x")
                if not self.goes_on():
                    break
            rounds += 1

    def ask_in_vain(self):
        """300 addresses of a network, each with a question nobody answers:
        more than quire-check has places, and than a network may have."""
        peers = [Peer("127.5.%d.%d" % (i // 100, 1 + i % 100)) for i in range(300)]
        for p in peers:
            p.ask(b"EHLO x")
        while self.goes_on():
            start = time.monotonic()
            out = b""
            for p in peers:
                p.s.sendall(b"MAIL FROM:<a@never.evil.test>\r\n")
            for p in peers:
                out = p.reply()
                if not out.startswith(b"451"):
                    break
            took = time.monotonic() - start
            self.note("300 questions never answered", out, took, out.startswith(b"451") and took < IN_TIME_S)
            if not out:
                break
        for p in peers:
            p.close()

    def crowd(self):
        """Slow clients: half of them in a command, half in a message."""
        peers = []
        try:
            for i in range(self.slow):
                p = Peer("127.1.%d.%d" % (i // 100, 1 + i % 100))
                if i % 2:
                    p.until_data(b"x", b"")
                peers.append(p)
        except OSError as e:
            self.failed.append(("slow clients", repr(e)))
        self.done["slow clients"] = len(peers)
        return peers

    def drip(self, peers):
        lost = 0
        while self.goes_on():
            start = time.monotonic()
            for p in peers:
                try:
                    p.s.send(b"x")
                except OSError:
                    lost += 1
            time.sleep(max(0.05, 1 - (time.monotonic() - start)))
        self.replies["slow clients"] = "%d refused sends" % lost

    def run(self, ready):
        # they have machines of their own, where they are real
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        peers = self.crowd()
        jobs = [(self.smuggle,), (self.forms,), (self.ask_in_vain,), (self.drip, peers)]
        # two addresses have their share of quire-check's places at most
        jobs += [(self.lies, "127.4.0.%d" % (1 + i % 2), LIES[i::8]) for i in range(8)]
        threads = [threading.Thread(target=j[0], args=j[1:]) for j in jobs]
        for t in threads:
            t.start()
        ready.set()
        for t in threads:
            t.join()
        for what in self.done:
            figure("attack: %s: %d times, %s", what, self.done[what], self.replies.get(what, ""))
        figure("attack: the longest answer took %.1f s", self.longest)
        for p in peers:
            p.close()
        for f in self.failed[:10]:
            figure("attack: %.400r", f)
        sys.exit(1 if self.failed else 0)


# --- what came of it ---


def arrived(maildir):
    """Headers of all messages there."""
    for folder in ("new", "cur"):
        for name in os.listdir(os.path.join(maildir, folder)):
            with open(os.path.join(maildir, folder, name), "rb") as f:
                yield f.read(65536).replace(b"\r\n", b"\n").split(b"\n\n")[0]


def count(maildir):
    seen, smuggled, unverified = {}, 0, 0
    for head in arrived(maildir):
        at = head.find(b"\nX-N: ")
        if at >= 0:
            key = head[at + 6 :].split(b"\n")[0]
            seen[key] = seen.get(key, 0) + 1
            unverified += b"spf=pass" not in head or b"dkim=pass" not in head
        smuggled += b"Subject: smuggled" in head
    for name in (b"idle", b"attack"):
        wrong = [i for i in range(MESSAGES) if seen.get(b"%s-%d" % (name, i)) != 1]
        check("%s: each of them is there once" % name.decode(), not wrong, wrong)
    check("with SPF and DKIM found good", unverified == 0, unverified)
    check("nothing was smuggled in", smuggled == 0, smuggled)


def later(signed):
    """A normal session; the mailbox with the bombs can be read."""
    out, _ = transaction(OUR, HELO, b"a@good.test", b"X-N: later\r\n" + signed)
    check("later a normal message is taken", out.startswith(b"250 "), out)
    m = imaplib.IMAP4("127.0.0.1", IMAP, timeout=30)
    m.login("quire@localhost", "quirequire")
    m.select()
    found = m.search(None, "HEADER", "X-N", "later")[1][0].split()
    check("and is read", len(found) == 1, found)
    for subject in ("deep", "wide", "nested"):
        start = time.monotonic()
        bomb = m.search(None, "SUBJECT", subject)[1][0].split()
        typ, data = m.fetch(bomb[0], "(ENVELOPE BODYSTRUCTURE)") if bomb else ("none", [])
        took = time.monotonic() - start
        check("structure of the %s one (%.1f s, %d octets)" % (subject, took, sum(len(x) for x in data if x)), typ == "OK" and took < 10, typ)
    check("a search goes through all of them", m.search(None, "TEXT", "nowhere-to-be-found")[0] == "OK")
    m.logout()


def run(dns, maildir, signed, key, slow):
    asked = multiprocessing.Value("i", 0)
    stop, ready = multiprocessing.Event(), multiprocessing.Event()
    server = Server(dns, key, asked)
    names = multiprocessing.Process(target=server.serve, daemon=True)
    names.start()
    liars = multiprocessing.Process(target=server.streams, daemon=True)
    liars.start()
    WHO.update({os.getpid(): "normal senders", names.pid: "name server", liars.pid: "attackers"})
    attack = Attack(stop, asked, slow)
    idle = phase(b"idle", signed)
    p = multiprocessing.Process(target=attack.run, args=(ready,))
    p.start()
    WHO[p.pid] = "attackers"
    check("the attack begins", ready.wait(20))
    under = phase(b"attack", signed)
    was_on = p.is_alive()
    stop.set()
    p.join(60)
    check("it went on all the time", was_on)
    check("every attack had its answer", p.exitcode == 0, p.exitcode)
    figure("p99 to 250: idle %.1f ms, under attack %.1f ms, %.2f times", idle * 1e3, under * 1e3, under / idle)
    check("p99 under attack is not beyond 10 times the idle one and a second", under <= 10 * idle + 1, idle, under)
    count(maildir)
    later(signed)
    names.terminate()
    liars.terminate()


if sys.argv[1] == "peak":
    sys.exit(peak(sys.argv[2], sys.argv[3:]))
WHO = {int(sys.argv[9]): "server"}  # PID: what we call it
SMTP, IMAP = int(sys.argv[2]), int(sys.argv[3])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
with open(sys.argv[6], "rb") as f:
    message = f.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").rstrip()
with open(sys.argv[7], "rb") as f:
    run(int(sys.argv[4]), sys.argv[5], message, f.read().strip(), min(int(sys.argv[8]), (hard - 200) // 2))
print("the script ran to its end")

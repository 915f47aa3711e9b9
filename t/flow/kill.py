#!/usr/bin/python3
"""Sends messages while every program is killed now and then.

usage: kill.py SMTP_PORT MAILDIR QUIRED_PID MESSAGES KILLS

Each message carries an id; a client sends it until it gets a 250. At the end
every id that got one must be in the Maildir, and an id whose first attempt
got it must be there once. Prints one line of figures; exit 1 on a loss.
"""
import collections
import os
import random
import re
import signal
import smtplib
import sys
import threading
import time

port, maildir, pid, total, kills = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
random.seed(int(os.environ.get("QUIRE_SEED", "1")))
lock = threading.Lock()
killed = collections.Counter()
todo = list(range(total))
acked, attempts = set(), collections.Counter()
done = threading.Event()


def worker(n):
    s = None
    while True:
        with lock:
            if not todo:
                break
            i = todo.pop()
        # the kills are spread over the messages
        while len(acked) > total * (sum(killed.values()) + 1) / (kills + 1):
            time.sleep(0.01)
        while i not in acked:
            attempts[i] += 1
            try:
                if s is None:
                    s = smtplib.SMTP("127.0.0.1", port, timeout=20)
                body = "Subject: t\r\nX-Id: %d\r\n\r\n%s\r\n" % (i, "x" * random.randrange(3000))
                s.sendmail("a@b.example", ["quire@localhost"], body)
                with lock:
                    acked.add(i)
            except (OSError, smtplib.SMTPException):
                try:
                    if s is not None:
                        s.close()
                except OSError:
                    pass
                s = None
                time.sleep(0.05)


def tree():
    """All programs of the server but quired itself."""
    parents, names = {}, {}
    for p in os.listdir("/proc"):
        if p.isdigit():
            try:
                f = open("/proc/%s/stat" % p).read()
            except OSError:
                continue
            names[int(p)] = f[f.index("(") + 1 : f.rindex(")")]
            parents[int(p)] = int(f[f.rindex(")") + 2 :].split()[1])
    out = []
    for p in parents:
        q = p
        while q in parents and q != pid:
            q = parents[q]
        if q == pid and p != pid:
            out.append((p, names[p]))
    return out


def killer():
    while sum(killed.values()) < kills or not done.is_set():
        if done.is_set():
            return
        time.sleep(random.uniform(0.05, 0.25))
        t = tree()
        least = sorted(t, key=lambda x: (killed[x[1]], random.random()))
        if not least or sum(killed.values()) >= kills:
            continue
        p, name = least[0]
        try:
            os.kill(p, signal.SIGKILL)
            killed[name] += 1
        except ProcessLookupError:
            pass


threads = [threading.Thread(target=worker, args=(n,)) for n in range(8)]
k = threading.Thread(target=killer)
start = time.time()
k.start()
for t in threads:
    t.start()
for t in threads:
    t.join()
done.set()
k.join()
wall = time.time() - start
time.sleep(1)
found = collections.Counter()
for sub in ("new", "cur"):
    for f in os.listdir(os.path.join(maildir, sub)):
        with open(os.path.join(maildir, sub, f), "rb") as fh:
            m = re.search(rb"^X-Id: (\d+)", fh.read(), re.M)
            if m:
                found[int(m.group(1))] += 1
lost = [i for i in acked if found[i] == 0]
twice = [i for i in acked if attempts[i] == 1 and found[i] > 1]
again = sum(1 for i in acked if attempts[i] > 1 and found[i] > 1)
print(
    "messages %d acknowledged %d kills %d (%s) lost %d doubled %d resent-and-doubled %d seconds %.1f"
    % (total, len(acked), sum(killed.values()), " ".join("%s:%d" % x for x in sorted(killed.items())), len(lost), len(twice), again, wall)
)
sys.exit(1 if lost or twice or len(acked) != total or sum(killed.values()) < kills else 0)

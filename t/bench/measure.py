"""What the benches share: a server's CPU and memory, and a plain IMAP client.

CPU is of all processes of a server (utime + stime from /proc, of those that
ended while it ran too).
"""
import os
import re
import socket
import sys
import time

HZ = os.sysconf("SC_CLK_TCK")


def tree(root):
    """The process and all its descendants."""
    parents = {}
    for p in os.listdir("/proc"):
        if p.isdigit():
            try:
                f = open("/proc/%s/stat" % p).read()
            except OSError:
                continue
            parents[int(p)] = int(f[f.rindex(")") + 2 :].split()[1])
    out = []
    for p in parents:
        q = p
        while q in parents and q != root:
            q = parents[q]
        if q == root:
            out.append(p)
    return out


def cpu(root):
    """Seconds."""
    total = 0
    for p in tree(root):
        try:
            f = open("/proc/%d/stat" % p).read()
        except OSError:
            continue
        t = f[f.rindex(")") + 2 :].split()
        total += sum(int(x) for x in t[11:15])  # own and waited-for children
    return total / HZ


def memory(root, *kinds):
    """KiB of these lines of smaps_rollup, and of how many processes."""
    kib, n = 0, 0
    for p in tree(root):
        try:
            text = open("/proc/%d/smaps_rollup" % p).read()
        except OSError:
            continue
        found = [int(k) for kind in kinds for k in re.findall(r"^%s:\s+(\d+)" % kind, text, re.M)]
        if found:
            kib += sum(found)
            n += 1
    return kib, n


def row(what, fmt, *values):
    print("%-44s %s" % (what, fmt % values))
    sys.stdout.flush()


def drop_caches():
    """False where that takes rights we do not have."""
    os.sync()
    try:
        open("/proc/sys/vm/drop_caches", "w").write("3")
    except OSError:
        return False
    return True


class Imap:
    """Commands and the time to their tagged answer; nothing is parsed."""

    def __init__(self, port, user, password="quirequire"):
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tag = 0
        self.sock.recv(1000)
        self.do("LOGIN %s %s" % (user, password))

    def do(self, command):
        """(seconds, answer); an answer that is not OK ends the bench."""
        self.tag += 1
        start = time.time()
        self.sock.sendall(b"T%d %s\r\n" % (self.tag, command.encode()))
        end = b"T%d " % self.tag
        parts, tail = [], b"\r\n"
        while True:
            data = self.sock.recv(1 << 20)
            assert data, "connection closed after " + command
            parts.append(data)
            tail = (tail + data)[-4000:]
            at = tail.rfind(b"\r\n" + end)
            if at >= 0 and tail.endswith(b"\r\n"):
                break
        took = time.time() - start
        assert tail[at + 2 + len(end) :].startswith(b"OK"), (command, tail)
        return took, b"".join(parts)

    def close(self):
        self.do("LOGOUT")
        self.sock.close()

"""pass.py [NAME=ADDRESS:PORT[:udp|:idle]]... -- PROGRAM ARG..

Runs a program with listening sockets, as service managers do
(sd_listen_fds(3)). PASS_PID is what LISTEN_PID says instead of the truth.
"""
import os, socket, sys

i = sys.argv.index("--")
socks = []
for spec in sys.argv[1:i]:
    name, _, where = spec.partition("=")
    kind = ""
    if where.endswith((":udp", ":idle")):
        where, _, kind = where.rpartition(":")
    host, _, port = where.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int("v6" in name))
    s.bind((host, int(port)))
    if kind == "":
        s.listen(16)
    socks.append((name, os.dup(s.fileno())))
high = [os.dup2(fd, 100 + n) for n, (_, fd) in enumerate(socks)]
for n, fd in enumerate(high):
    os.dup2(fd, 3 + n, inheritable=True)
os.closerange(3 + len(high), 256)
os.environ["LISTEN_FDS"] = str(len(socks))
os.environ["LISTEN_PID"] = os.environ.get("PASS_PID", str(os.getpid()))
os.environ["LISTEN_FDNAMES"] = ":".join(n for n, _ in socks)
os.execvp(sys.argv[i + 1], sys.argv[i + 1:])

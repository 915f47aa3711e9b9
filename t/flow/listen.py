"""What clients see while listeners change: listen.py PORT OTHER COMMANDS

A session on PORT and one on OTHER stay open; COMMANDS is a directory where
the flow and this script tell each other how far they are.
"""
import os, socket, sys, time

port, other, d = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


def session(p):
    s = socket.create_connection(("127.0.0.1", p), timeout=20)
    return s, s.makefile("rb")


def ask(f, text):
    f[0].sendall(text.encode() + b"\r\n")
    return f[1].readline().decode().strip()


a, b = session(port), session(other)
print("greetings", a[1].readline()[:3].decode(), b[1].readline()[:3].decode())
open(d + "/open", "w").close()
while not os.path.exists(d + "/changed"):
    time.sleep(0.05)
print("kept", ask(a, "NOOP")[:3], ask(b, "NOOP")[:3])

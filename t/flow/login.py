"""Logins with more commands behind them, sent at once; then what came."""
import re
import socket
import sys

port, behind = int(sys.argv[1]), int(sys.argv[2])
s = socket.create_connection(("127.0.0.1", port), 10)
s.settimeout(10)
f = s.makefile("rb")
f.readline()
s.sendall(b"a LOGIN quire@localhost quirequire\r\n" * behind + b"z LOGOUT\r\n")
got = f.read().decode()
for line in sorted(set(re.sub(r"cid \S+\)", "cid)", l) for l in got.splitlines())):
    print(line)
print(len(re.findall("^a ", got, re.M)), "replies")

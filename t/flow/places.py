#!/usr/bin/python3
"""A name server that never answers for slow.test, and clients that fill
quire-check's places with it.

places.py serve PORT
places.py fill SMTP-PORT        256 questions from two networks, then others
"""
import socket, struct, sys, time

def serve(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", port))
    while True:
        q, peer = s.recvfrom(2000)
        end = q.index(b"\0", 12) + 5
        name, kind = q[12:end - 4].lower(), struct.unpack(">H", q[end - 4:end - 2])[0]
        if b"\4slow\4test" in name:
            continue
        rr = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + bytes([127, 0, 0, 1]) if kind == 1 else b""
        s.sendto(q[:2] + b"\x81\x80\0\1\0" + bytes([kind == 1]) + b"\0\0\0\0" + q[12:end] + rr, peer)

class Client:
    def __init__(self, ip, port, domain):
        self.s = socket.create_connection(("127.0.0.1", port), 60, (ip, 0))
        f = self.s.makefile("rb")
        f.readline()
        self.s.sendall(b"EHLO x\r\n")
        while f.readline()[3:4] == b"-":
            pass
        self.begun = time.time()
        self.s.sendall(b"MAIL FROM:<a@%s>\r\n" % domain.encode())
    def answer(self):
        """The reply, or None if none is there yet."""
        self.s.setblocking(False)
        try:
            return self.s.recv(200).decode()
        except BlockingIOError:
            return None
        finally:
            self.s.setblocking(True)

def fill(port):
    # 32 of an address, 64 of its /26: 128 of each of two /21
    ips = ["127.%d.0.%d" % (net, host) for net in (16, 32) for host in (1, 2, 65, 66)]
    many = [Client(ip, port, "a%d.slow.test" % i) for ip in ips for i in range(32)]
    time.sleep(1)
    refused = [r for r in (c.answer() for c in many) if r]
    print("refused at once: %d" % len(refused))
    times, codes = [], []
    for i in range(20):
        c = Client("127.%d.0.1" % (48 + i), port, "b%d.quick.test" % i)
        codes.append(c.s.recv(200).decode()[:3])
        times.append(time.time() - c.begun)
    print("others: %s, first %s, then %s" % (" ".join(sorted(set(codes))),
        "waits for a place" if 1 < times[0] < 4 else times[0], "at once" if max(times[1:]) < 1 else max(times[1:])))
    # another network that never gets answers takes places from the two
    third = [Client("127.200.0.%d" % (1 + i % 2), port, "c%d.slow.test" % i) for i in range(40)]
    time.sleep(1)
    print("a third network: %d refused" % len([r for r in (c.answer() for c in third) if r]))
    gave = [r for r in (c.answer() for c in many) if r]
    print("gave way: %s, all 451: %s" % ("some" if 20 <= len(gave) <= 80 else len(gave), all(r.startswith("451 4.3.0") for r in gave)))

if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    fill(int(sys.argv[2]))

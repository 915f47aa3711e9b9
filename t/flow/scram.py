"""scram.py PORT NAME CA: a login on imaps by SCRAM-SHA-256-PLUS, bound to the
certificate that the server chose for NAME (tls-server-end-point, RFC 5929)."""
import base64, hashlib, hmac, os, socket, ssl, sys

port, name, ca = int(sys.argv[1]), sys.argv[2], sys.argv[3]
user, password = "quire@localhost", b"quirequire"
ctx = ssl.create_default_context(cafile=ca)
s = ctx.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=20), server_hostname=name)
f = s.makefile("rb")
f.readline()
b64 = lambda b: base64.b64encode(b).decode()
h = lambda k, m: hmac.new(k, m, "sha256").digest()


def line(text):
    s.sendall(text.encode() + b"\r\n")
    return f.readline().decode().strip()


gs2 = "p=tls-server-end-point,,"
bare = "n=%s,r=%s" % (user, b64(os.urandom(18)))
first = line("a AUTHENTICATE SCRAM-SHA-256-PLUS " + b64((gs2 + bare).encode()))
server = base64.b64decode(first[2:]).decode()
got = dict(p.split("=", 1) for p in server.split(","))
salted = hashlib.pbkdf2_hmac("sha256", password, base64.b64decode(got["s"]), int(got["i"]))
# ECDSA with SHA-256: that is the digest of the binding
binding = gs2.encode() + hashlib.sha256(s.getpeercert(True)).digest()
last = "c=%s,r=%s" % (b64(binding), got["r"])
auth = ",".join((bare, server, last)).encode()
key = h(salted, b"Client Key")
proof = bytes(x ^ y for x, y in zip(key, h(hashlib.sha256(key).digest(), auth)))
reply = line(b64((last + ",p=" + b64(proof)).encode()))
if reply.startswith("+ "):  # the server's signature, to be acknowledged
    good = base64.b64decode(reply[2:]).decode() == "v=" + b64(h(h(salted, b"Server Key"), auth))
    print("server", "proved" if good else "did not prove itself")
    reply = line("")
print(reply.split()[1])

#!/usr/bin/python3
"""One SMTP transaction; each reply on a line of its own: COMMAND CODE TEXT.

smtp.py [--tls] [--helo] [--mail PARAMS] PORT LOCAL-IP NAME FROM FILE RCPT..
FROM "" is the null path. FILE is sent as it is but for LF, which is CRLF
on the wire. A refused recipient does not end the transaction.
"""
import smtplib, ssl, sys

args = sys.argv[1:]
tls = helo = False
params = ""
while args and args[0].startswith("--"):
    a = args.pop(0)
    if a == "--tls":
        tls = True
    elif a == "--helo":
        helo = True
    elif a == "--mail":
        params = " " + args.pop(0)
port, ip, name, sender, path = args[:5]
rcpts = args[5:]

def say(what, reply):
    print("%s %d %s" % (what, reply[0], reply[1].decode(errors="replace").replace("\n", " | ")))
    sys.stdout.flush()
    return reply[0] < 400

s = smtplib.SMTP(timeout=100, source_address=(ip, 0))
s._host = "localhost"
s.connect("127.0.0.1", int(port))
good = say("HELO", s.docmd("HELO", name)) if helo else say("EHLO", s.docmd("EHLO", name))
if good and tls:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    say("STARTTLS", s.docmd("STARTTLS"))
    s.sock = context.wrap_socket(s.sock)
    s.file = None
    good = say("EHLO", s.docmd("EHLO", name))
if good:
    good = say("MAIL", s.docmd("MAIL", "FROM:<%s>%s" % (sender, params)))
if good:
    good = any([say("RCPT", s.docmd("RCPT", "TO:<%s>" % r)) for r in rcpts])
if good and path:
    data = open(path, "rb").read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if say("DATA", s.docmd("DATA")):
        s.sock.sendall(data.replace(b"\r\n.", b"\r\n..") + (b"" if data.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        say("END", s.getreply())
s.docmd("QUIT")

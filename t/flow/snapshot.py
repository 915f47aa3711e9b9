#!/usr/bin/python3
"""What an IMAP server shows of an account, as text to compare.

usage: snapshot.py PORT USER [fill]     fill: make a tree first
       snapshot.py --run COMMAND [fill] a server on its standard input, with
                                        Courier's names
"""
import imaplib
import re
import sys

if sys.argv[1] == "--run":
    M = imaplib.IMAP4_stream(sys.argv[2])
    prefix, sep = "INBOX.", "."
else:
    M = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
    M.login(sys.argv[2], "quirequire")
    prefix, sep = "", "/"


def there(name):
    """Our name of a mailbox, as this server wants it."""
    return name if name == "INBOX" else '"%s"' % (prefix + name.replace("/", sep))


def here(name):
    return name[len(prefix):].replace(sep, "/") if name.startswith(prefix) else name


if len(sys.argv) > 3:
    for box in ("Sent", "Archive", "Archive/2024", "Entw&APw-rfe"):
        M.create(there(box))
        M.subscribe(there(box))
    for box, count in (("INBOX", 12), ("Archive", 5), ("Archive/2024", 3), ("Entw&APw-rfe", 1)):
        for i in range(count):
            flags = ["", r"(\Seen)", r"(\Flagged \Answered)", "(work $Label1)", r"(\Seen private)"][i % 5]
            body = ("From: a%d@b.example\r\nSubject: %s %d\r\n\r\nbody %d\r\n" % (i, box, i, i)).encode()
            M.append(there(box), flags, '"%02d-Mar-2023 10:11:12 +0200"' % (i + 1), body)
    text = b"".join(b"%d %d long\r\n" % (i, i * 2654435761 % 2**32) for i in range(40000))
    M.append(there("Sent"), r"(\Seen)", '"07-Apr-2023 10:11:12 +0200"', b"Subject: long\r\n\r\n" + text)
    M.select("INBOX")
    M.store("3,7", "+FLAGS", r"(\Deleted)")
    M.expunge()  # so that UIDs have gaps
    M.store("1", "+FLAGS", "(later)")
    M.close()

typ, boxes = M.list()
names = sorted(re.search(rb' "?([^"]+)"?$', b).group(1).decode() for b in boxes)
for name in sorted(here(n) for n in names):
    if name in ("Drafts", "Trash", "Junk") or "\\Noselect" in name:
        continue
    typ, d = M.select(there(name), readonly=True)
    if typ != "OK":
        continue
    valid = M.response("UIDVALIDITY")[1][0].decode()
    print("mailbox", name, "uidvalidity", valid)
    if d != [b"0"]:
        typ, rows = M.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
        uid = None
        for r in rows:
            if not isinstance(r, tuple):
                # what follows the literal may hold more items
                if isinstance(r, bytes):
                    head += r.decode()
                    m = re.search(r"FLAGS \(([^)]*)\)", head)
                    flags = sorted(f for f in m.group(1).split() if f.lower() != "\\recent")
                    print("  uid", re.search(r"UID (\d+)", head).group(1), "flags", " ".join(flags),
                          "size", re.search(r"RFC822.SIZE (\d+)", head).group(1),
                          "date", re.search(r'INTERNALDATE "[ 0]*([^"]*) [-+]', head).group(1),
                          "body", len(text), sum(text) % 65521)
                continue
            head, text = r[0].decode(), r[1]
M.logout()

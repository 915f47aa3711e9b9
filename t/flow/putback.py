# A client with QRESYNC and the state it keeps, and its mail as files.
import imaplib, json, os, re, smtplib, sys

imap_port, smtp_port, state_file, what = sys.argv[1:5]


def deliver(text):
    s = smtplib.SMTP("127.0.0.1", int(smtp_port))
    s.sendmail("a@example.org", ["quire@localhost"],
               "From: a@example.org\r\nSubject: %s\r\n\r\nhello\r\n" % text)
    s.quit()


class Client:
    def __init__(self):
        self.m = imaplib.IMAP4("127.0.0.1", int(imap_port))
        self.m.login("quire@localhost", "quirequire")
        self.m.enable("QRESYNC")

    def select(self, state):
        """Bring the state up to date as RFC 7162 has it."""
        m = self.m
        arg = "INBOX"
        if state["uidvalidity"]:
            arg += " (QRESYNC (%d %d))" % (state["uidvalidity"],
                                          state["modseq"])
        typ, d = m._simple_command("SELECT", arg)
        assert typ == "OK", d
        m.state = "SELECTED"
        got = {k: m.response(k)[1] for k in
               ("UIDVALIDITY", "HIGHESTMODSEQ", "UIDNEXT", "VANISHED",
                "FETCH")}
        first = not state["uidvalidity"]
        if not first:
            assert int(got["UIDVALIDITY"][0]) == state["uidvalidity"]
        state["uidvalidity"] = int(got["UIDVALIDITY"][0])
        state["uidnext"] = int(got["UIDNEXT"][0])
        for line in got["VANISHED"] or []:
            for r in (line or b"").decode().split(" ")[-1].split(","):
                lo, _, hi = r.partition(":")
                for uid in list(state["flags"]):
                    if lo and int(lo) <= int(uid) <= int(hi or lo):
                        del state["flags"][uid]
                        del state["texts"][uid]
        if first:
            typ, d = m.uid("FETCH", "1:*", "(FLAGS)")
        else:
            d = got["FETCH"] or []
        for line in d:
            self.learn(state, line)
        state["modseq"] = int(got["HIGHESTMODSEQ"][0])

    def learn(self, state, line):
        if line is None:
            return
        uid = re.search(rb"UID (\d+)", line)
        flags = re.search(rb"FLAGS \(([^)]*)\)", line)
        if not uid or not flags:
            return
        uid = uid.group(1).decode()
        state["flags"][uid] = sorted(
            f for f in flags.group(1).decode().split() if f != "\\Recent")
        # as clients do: what is known by its UID is not loaded again
        if uid not in state["texts"]:
            state["texts"][uid] = self.subject(uid)

    def subject(self, uid):
        typ, d = self.m.uid("FETCH", uid,
                            "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return d[0][1].decode().split(":", 1)[1].strip()

    def truth(self):
        typ, d = self.m.uid("FETCH", "1:*", "(FLAGS)")
        now = {"flags": {}, "texts": {}}
        for line in d:
            self.learn(now, line)
        return now


state = {"uidvalidity": 0, "modseq": 0, "uidnext": 0, "flags": {},
         "texts": {}}
if os.path.exists(state_file):
    state = json.load(open(state_file))
before = state["uidnext"]
if what == "deliver":
    for text in sys.argv[5:]:
        deliver(text)
else:
    c = Client()
    c.select(state)
    if what == "change":
        c.m.uid("STORE", "2", "+FLAGS", "(\\Flagged)")
        c.m.uid("STORE", "3", "+FLAGS", "(\\Deleted)")
        c.m.expunge()
        c.m.logout()
        c = Client()
        c.select(state)
    if what == "compare":
        now = c.truth()
        same = all(now[k] == state[k] for k in ("flags", "texts"))
        print("same" if same else "differs: has %r, is %r" % (
            {k: state[k] for k in now}, now))
        print("uidnext", "higher" if state["uidnext"] >= before else "lower")
    c.m.logout()
json.dump(state, open(state_file, "w"))

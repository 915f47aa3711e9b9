#!/usr/bin/python3
"""Thunderbird, told what to do by the Marionette protocol, beside an IMAP
session of our own and the files of the Maildir.

usage: thunderbird.py PHASE PROFILE MAILDIR SMTPPORT IMAPPORT

The phases, in this order: first, restarted (the server was), ca (Thunderbird
trusts the server's authority from now on), away (Thunderbird is not running),
back (it is again, with TLS, and has compared what it knows), quit. What
Thunderbird is asked in is thunderbird.js.
"""
import base64
import email.header
import email.message
import email.policy
import email.utils
import glob
import imaplib
import json
import os
import re
import smtplib
import socket
import sys
import time
import traceback

PHASE, PROFILE, MAILDIR = sys.argv[1:4]
SMTP, IMAP = map(int, sys.argv[4:6])
HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT_MS = 60000
BLOB = bytes(range(256)) * 600


def check(what, good, got=""):
    print(("ok - " if good else "not ok - ") + what)
    if not good:
        print(repr(got)[:3000])


class Marionette:
    """One session: messages are [type, id, name or error, arguments or
    result] in JSON, each with its length and a colon before it."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=90)
        self.file = self.socket.makefile("rb")
        self.serial = 0
        self.receive()  # its greeting
        self.command("WebDriver:NewSession")
        self.command("Marionette:SetContext", value="chrome")
        self.command("WebDriver:SetTimeouts", script=SCRIPT_MS)
        with open(os.path.join(HERE, "thunderbird.js")) as f:
            self.words = f.read()

    def receive(self):
        digits = b""
        while not digits.endswith(b":"):
            c = self.file.read(1)
            if not c or len(digits) > 9:
                raise EOFError("Thunderbird closed the connection")
            digits += c
        return json.loads(self.file.read(int(digits[:-1])))

    def command(self, name, **arguments):
        self.serial += 1
        message = json.dumps([0, self.serial, name, arguments]).encode()
        self.socket.sendall(b"%d:%s" % (len(message), message))
        kind, serial, error, result = self.receive()
        assert (kind, serial) == (1, self.serial), (kind, serial)
        if error:
            raise RuntimeError("%(error)s: %(message)s" % error)
        return result

    def run(self, script, *arguments):
        """The value of an async function with this inside; arguments are in
        args."""
        script = (
            "const [args, done] = arguments; (async () => {" + self.words + script
            + "})().then(good => done({ good }), "
            "bad => done({ bad: `${bad}\\n${bad.stack}` }));"
        )
        result = self.command(
            "WebDriver:ExecuteAsyncScript", script=script, args=[list(arguments)]
        )["value"]
        if "bad" in result:
            raise RuntimeError(result["bad"])
        return result.get("good")


class Other:
    """An IMAP session that is not Thunderbird's, with the same names."""

    def __init__(self):
        self.m = imaplib.IMAP4("127.0.0.1", IMAP)
        self.m.login("quire@localhost", "quirequire")
        self.must(self.m.enable("UTF8=ACCEPT"))

    @staticmethod
    def must(answer):
        assert answer[0] == "OK", answer
        return answer[1]

    def folders(self, only_subscribed=False):
        lines = self.must(self.m.lsub() if only_subscribed else self.m.list())
        return sorted(l.decode().split(' "/" ')[1].strip('"') for l in lines if l)

    def rows(self, folder):
        """uid -> (Subject as it is written, flags)"""
        self.must(self.m.select('"%s"' % folder))
        lines = self.must(
            self.m.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (Subject)])")
        )
        out = {}
        for line in lines:
            if not isinstance(line, tuple):
                continue
            subject = email.message_from_bytes(line[1])["Subject"]
            subject = str(email.header.make_header(email.header.decode_header(subject)))
            head = line[0].decode()
            uid = int(head.split("UID ")[1].split()[0].rstrip(")"))
            flags = set(head.split("FLAGS (")[1].split(")")[0].split())
            # Thunderbird sets it with what it plays back and never shows it
            out[uid] = (subject, flags - {"$MDNSent"})
        return out

    def flags(self, folder, subject):
        for name, flags in self.rows(folder).values():
            if name == subject:
                return flags - {r"\Recent"}
        return None

    def uid(self, folder, subject):
        return next(u for u, r in self.rows(folder).items() if r[0] == subject)

    def store(self, folder, subject, how, flags):
        uid = self.uid(folder, subject)
        self.must(self.m.uid("STORE", str(uid), how, flags))

    def expunge(self, folder, subject):
        self.store(folder, subject, "+FLAGS", r"(\Deleted)")
        self.must(self.m.expunge())

    def message(self, folder, subject):
        uid = self.uid(folder, subject)
        data = self.must(self.m.uid("FETCH", str(uid), "(BODY.PEEK[])"))
        return email.message_from_bytes(
            data[0][1], policy=email.policy.default.clone(utf8=True)
        )


def deliver(subject, text="hello\n", blob=None):
    m = email.message.EmailMessage()
    m["From"] = "Jörg Müller <joerg@example.org>"
    m["To"] = "quire@localhost"
    m["Subject"] = subject
    m["Date"] = email.utils.formatdate()
    m["Message-ID"] = email.utils.make_msgid(domain="example.org")
    m.set_content(text)
    if blob:
        m.add_attachment(
            blob, maintype="application", subtype="octet-stream", filename="Größe.bin"
        )
    with smtplib.SMTP("127.0.0.1", SMTP) as s:
        s.send_message(m)


def soon(claim, seconds=15):
    """Thunderbird tells the server a little after it tells its user."""
    end = time.monotonic() + seconds
    while not claim() and time.monotonic() < end:
        time.sleep(0.1)
    return claim()


def compare(tb, other, folder, seconds=15):
    """Thunderbird, the server and the disk have the same of a folder."""
    words = {r"\Seen": "read", r"\Flagged": "flagged", r"\Answered": "replied"}

    def same():
        ours, theirs = {}, {}
        for uid, (subject, flags) in other.rows(folder).items():
            keywords = " ".join(sorted(f for f in flags if f[0] != "\\"))
            ours[uid] = (subject, *(w in flags for w in words), keywords)
        listed = tb.run("return described(folder(args[0]))", folder)
        for m in listed:
            values = [m[w] for w in words.values()]
            theirs[m["uid"]] = (m["subject"], *values, m["keywords"])
        files = [f for d in ("cur", "new") for f in os.listdir(path(folder, d))]
        got[:] = [ours, theirs, files]
        return ours == theirs and len(listed) == len(theirs) == len(files)

    got = []
    check("%s is the same in Thunderbird, in IMAP and on the disk" % folder,
          soon(same, seconds), got)


def path(folder, sub):
    """Where the Maildir has it (RFC 3501, 5.1.3)."""
    if folder == "INBOX":
        return os.path.join(MAILDIR, sub)
    name = re.sub(
        r"[^\x20-\x7e]+",
        lambda m: "&%s-" % base64.b64encode(m[0].encode("utf-16be"), b"+,")
        .decode().rstrip("="),
        folder.replace("&", "&-").replace("/", "."),
    )
    return os.path.join(MAILDIR, "." + name, sub)


def account(tb, other):
    tb.run("""
      for (const origin of ["imap://127.0.0.1", "smtp://127.0.0.1"]) {
        const login = Cc["@mozilla.org/login-manager/loginInfo;1"]
          .createInstance(Ci.nsILoginInfo);
        login.init(origin, null, origin, "quire@localhost", "quirequire", "", "");
        await Services.logins.addLoginAsync(login);
      }
      folder("INBOX").getNewMessages(null, null);
      await until(() => folder("Trash"));
      identity.draftsFolderURI = folder("Drafts").URI;
      identity.fccFolderURI = folder("Sent").URI;
      identity.templatesFolderURI = `${root.URI}/Templates`;
    """)
    got = tb.run("return folders()")
    check("the folders and what they are for", got == {
        "INBOX": "Inbox", "Archive": "Archive", "Drafts": "Drafts",
        "Junk": "Junk", "Sent": "SentMail", "Trash": "Trash"}, got)


def reading(tb, other):
    # it has the mailbox selected and is idle
    tb.run("await wait(3000)")
    # one after the other: of what it is told of while it fetches another it
    # makes nothing before the next time that it is told something
    for i, subject in enumerate(("Grüße aus Köln", "zwei", "drei", "vier")):
        deliver(subject, "Käse für %s\n" % subject, BLOB if subject == "zwei" else None)
        started = time.monotonic()
        tb.run("""
          await until(() => headers(folder("INBOX")).length == args[0]);
          await wait(3000);
        """, i + 1)
        took = time.monotonic() - started - 3
        check("new mail is seen while idle", took < 10, took)
    got = tb.run('return described(folder("INBOX"))[0]')
    check("subject and sender", got["subject"] == "Grüße aus Köln"
          and got["from"] == "Jörg Müller <joerg@example.org>", got)
    got = tb.run('return read(header(folder("INBOX"), "Grüße aus Köln"))')
    check("the text", got["text"] == "Käse für Grüße aus Köln\n", got)
    got = tb.run('return read(header(folder("INBOX"), "zwei"))')
    check("text and attachment", got["text"] == "Käse für zwei\n" and
          [[n, base64.b64decode(b)] for n, b in got["attachments"]]
          == [["Größe.bin", BLOB]], got)


def flags(tb, other):
    tb.run("""
      const inbox = folder("INBOX"), h = header(inbox, "zwei");
      MailServices.tags.addTagForKey("projekt", "Projekt", "#ff0000", "");
      inbox.markMessagesRead([h], true);
      inbox.markMessagesFlagged([h], true);
      inbox.addKeywordsToMessages([h], "$label1 projekt");
      inbox.addMessageDispositionState(
        h, Ci.nsIMsgFolder.nsMsgDispositionState_Replied);
    """)
    want = {r"\Seen", r"\Flagged", r"\Answered", "$label1", "projekt"}
    check("flags and tags arrive", soon(lambda: other.flags("INBOX", "zwei") == want),
          other.flags("INBOX", "zwei"))
    names = glob.glob(MAILDIR + "/cur/*:2,FRS??")
    check("and are in the name of the file", len(names) == 1, os.listdir(MAILDIR + "/cur"))
    tb.run("""
      const inbox = folder("INBOX"), h = header(inbox, "zwei");
      inbox.markMessagesRead([h], false);
      inbox.markMessagesFlagged([h], false);
      inbox.removeKeywordsFromMessages([h], "$label1");
    """)
    want = {r"\Answered", "projekt"}
    check("and go", soon(lambda: other.flags("INBOX", "zwei") == want),
          other.flags("INBOX", "zwei"))
    tb.run("await wait(3000)")  # until it is idle again
    other.store("INBOX", "drei", "+FLAGS", r"(\Flagged \Seen $label2)")
    got = tb.run("""
      const h = header(folder("INBOX"), "drei");
      await until(() => h.isFlagged && h.isRead);
      return described(folder("INBOX"))[2].keywords;
    """)
    check("flags of another session are seen while idle", got == "$label2", got)
    compare(tb, other, "INBOX")


def tree(tb, other):
    tb.run("""
      root.createSubfolder("Größe & 件", null);
      const f = await until(() => folder("Größe & 件"));
      f.createSubfolder("Unter", null);
      await until(() => folder("Größe & 件/Unter"));
    """)
    check("folders are created", "Größe & 件/Unter" in other.folders(), other.folders())
    check("and subscribed", "Größe & 件/Unter" in other.folders(True), other.folders(True))
    tb.run("""
      folder("Größe & 件").rename("Übung", null);
      await until(() => folder("Übung/Unter") && !folder("Größe & 件"));
    """)
    got = [f for f in other.folders() if "bung" in f or "Gr" in f]
    check("renamed, with what is below", got == ["Übung", "Übung/Unter"], got)
    got = [f for f in other.folders(True) if "bung" in f or "Gr" in f]
    check("subscriptions too", got == ["Übung", "Übung/Unter"], got)
    tb.run("""
      MailServices.imap.unsubscribeFolder(folder("Übung/Unter"), "Übung/Unter", null);
    """)
    check("unsubscribed", soon(lambda: "Übung/Unter" not in other.folders(True)),
          other.folders(True))
    tb.run("""
      MailServices.imap.subscribeFolder(root, "Übung/Unter", null);
    """)
    check("subscribed", soon(lambda: "Übung/Unter" in other.folders(True)),
          other.folders(True))


def moving(tb, other):
    tb.run("""
      const inbox = folder("INBOX"), to = folder("Übung");
      await move(inbox, "zwei", to, false);
      await update(to, f => header(f, "zwei"));
      await move(inbox, "drei", to, true);
      await update(to, f => header(f, "drei"));
    """)
    got = {s for s, _ in other.rows("Übung").values()}
    check("copied and moved", got == {"zwei", "drei"}, got)
    got = {s for s, _ in other.rows("INBOX").values()}
    check("the one that was moved is gone", got == {"Grüße aus Köln", "zwei", "vier"}, got)
    compare(tb, other, "Übung")
    tb.run("""
      await remove(folder("INBOX"), "vier");
      await update(folder("Trash"), f => header(f, "vier"));
    """)
    compare(tb, other, "Trash")
    compare(tb, other, "INBOX")
    tb.run("""
      Services.prefs.setBoolPref("mailnews.confirm.moveFoldersToTrash", false);
      folder("Übung").deleteSelf(null);
      await until(() => folder("Trash/Übung/Unter") && !folder("Übung"));
    """)
    check("a folder goes to Trash", "Trash/Übung" in other.folders(), other.folders())
    tb.run("""
      folder("Trash").emptyTrash(null);
      await until(() => !headers(folder("Trash")).length && !folder("Trash/Übung"));
    """)
    check("Trash is emptied", soon(lambda: other.rows("Trash") == {}), other.rows("Trash"))
    check("of folders too", soon(lambda: not [f for f in other.folders() if "bung" in f]),
          other.folders())
    # the model of marks that are compacted away
    deliver("fünf")
    deliver("sechs")
    tb.run("""
      const inbox = folder("INBOX");
      await until(() => header(inbox, "fünf") && header(inbox, "sechs"));
      server.deleteModel = Ci.nsMsgImapDeleteModels.IMAPDelete;
      await remove(inbox, "fünf");
    """)
    check("deleted by a mark", soon(lambda: r"\Deleted" in other.flags("INBOX", "fünf")),
          other.flags("INBOX", "fünf"))
    tb.run("""
      const inbox = folder("INBOX");
      await url(l => inbox.compact(l, null));
      server.deleteModel = Ci.nsMsgImapDeleteModels.MoveToTrash;
      await until(() => !header(inbox, "fünf"));
    """)
    check("and compacted away", other.flags("INBOX", "fünf") is None)
    compare(tb, other, "INBOX")


def writing(tb, other):
    tb.run('await compose("nsMsgSaveAsDraft", "a@example.org", "Entwürfe", "noch nicht")')
    check("a draft", r"\Draft" in (other.flags("Drafts", "Entwürfe") or ()),
          other.rows("Drafts"))
    tb.run('await compose("nsMsgSaveAsTemplate", "a@example.org", "Vorlage", "Muster")')
    check("a template, in a folder made for it", other.flags("Templates", "Vorlage")
          is not None, other.folders())
    with open(PROFILE + "/blob", "wb") as f:
        f.write(BLOB)
    send(tb, other, "Antwort über alles")


def send(tb, other, subject):
    tb.run("""
      await compose("nsMsgDeliverNow", "Jemand <jemand@example.org>", args[0],
        "Text mit ü", args[1]);
      await until(() => header(folder("INBOX"), args[0]));
      await update(folder("Sent"), f => header(f, args[0]));
    """, subject, PROFILE + "/blob")
    for folder in ("INBOX", "Sent"):
        m = other.message(folder, subject)
        files = [p.get_content() for p in m.iter_attachments()]
        check("%s: sent, in %s" % (subject, folder), files == [BLOB] and
              m.get_body().get_content().strip() == "Text mit ü", m.as_string()[:1500])
        compare(tb, other, folder)


def searching(tb, other):
    for terms, want in (
        ([("Subject", "Contains", "GRÜ")], ["Grüße aus Köln"]),
        ([("Body", "Contains", "käse")], ["Grüße aus Köln", "zwei"]),
        ([("Body", "Contains", "käse"), ("Sender", "Contains", "MÜLLER"),
          ("Subject", "DoesntContain", "köln")], ["zwei"]),
        ([("To", "Contains", "jemand@")], ["Antwort über alles"]),
    ):
        got = tb.run('return search(folder("INBOX"), args)', *terms)
        check("search %s" % (terms,), got == want, got)


def offline(tb, other):
    for i in range(30):
        deliver("Stapel %d" % i)
    tb.run("""
      const inbox = folder("INBOX");
      await update(inbox, () => headers(inbox).length >= 33);
      inbox.downloadAllForOffline(null, null);
      await until(() => described(inbox).every(m => m.offline));
    """)
    tb.run("""
      await wait(3000);
      Services.io.offline = true;
      const inbox = folder("INBOX");
      inbox.markMessagesFlagged([header(inbox, "Stapel 3")], true);
      inbox.markMessagesRead([header(inbox, "Stapel 4")], true);
    """)
    got = tb.run('return read(header(folder("INBOX"), "Stapel 7"))')
    check("is read offline", got["text"] == "hello\n", got)
    check("nothing is told offline", other.flags("INBOX", "Stapel 3") == set())
    other.store("INBOX", "Stapel 6", "+FLAGS", r"(\Seen)")
    deliver("unterdessen")
    tb.run("""
      Services.io.offline = false;
      Cc["@mozilla.org/messenger/offline-manager;1"]
        .getService(Ci.nsIMsgOfflineManager)
        .goOnline(false, true, Services.wm.getMostRecentWindow("mail:3pane").msgWindow);
    """)
    check("online again it is told", soon(lambda: other.flags("INBOX", "Stapel 3") ==
          {r"\Flagged"} and other.flags("INBOX", "Stapel 4") == {r"\Seen"}),
          other.rows("INBOX"))
    # an update is dropped while what was done offline is still played back
    tb.run("""
      const inbox = folder("INBOX");
      await until(async () => {
        inbox.updateFolder(null);
        await wait(2000);
        return header(inbox, "unterdessen") && header(inbox, "Stapel 6").isRead;
      });
    """)
    compare(tb, other, "INBOX")


def first(tb, other):
    for part in (account, reading, flags, tree, moving, writing, searching, offline):
        part(tb, other)


def restarted(tb, other):
    tb.run("""
      folder("INBOX").getNewMessages(null, null);
      await until(() => header(folder("INBOX"), "von Hand"), 40);
    """)
    check("a message that came while the server was down", True)
    compare(tb, other, "INBOX")


def ca(tb, other):
    with open(MAILDIR + "/../../../ca.pem") as f:
        der = "".join(l.strip() for l in f if "-" not in l)
    tb.run("""
      Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB)
        .addCertFromBase64(args[0], "C,,");
    """, der)
    check("the authority is imported", True)


def away(tb, other):
    other.store("INBOX", "Stapel 10", "+FLAGS", r"(\Flagged projekt)")
    other.store("INBOX", "Stapel 3", "-FLAGS", r"(\Flagged)")
    other.expunge("INBOX", "Stapel 11")
    deliver("während der Nacht")


def back(tb, other):
    tb.run("""
      folder("INBOX").getNewMessages(null, null);
      await until(() => header(folder("INBOX"), "während der Nacht"));
    """)
    compare(tb, other, "INBOX")
    compare(tb, other, "Archive")
    send(tb, other, "mit TLS")


def main():
    tb = None
    if PHASE != "away":
        with open(PROFILE + "/MarionetteActivePort") as f:
            tb = Marionette(int(f.read()))
    if PHASE == "quit":
        got = tb.run("return complaints()")
        check("the error console has nothing against us", got == [], got)
        tb.command("Marionette:Quit", flags=["eForceQuit"])
    else:
        other = Other()
        globals()[PHASE](tb, other)
        other.m.logout()
    if tb and PHASE != "quit":
        tb.command("WebDriver:DeleteSession")
    print("the script is at its end")


try:
    main()
except Exception:
    traceback.print_exc(file=sys.stdout)

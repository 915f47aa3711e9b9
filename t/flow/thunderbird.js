// What thunderbird.py asks of Thunderbird, in its own words. These functions
// stand before every script, which is the inside of an async function.
const { MailServices } = ChromeUtils.importESModule(
  "resource:///modules/MailServices.sys.mjs"
);
const { setTimeout } = ChromeUtils.importESModule(
  "resource://gre/modules/Timer.sys.mjs"
);
const { MsgHdrToMimeMessage } = ChromeUtils.importESModule(
  "resource:///modules/gloda/MimeMessage.sys.mjs"
);
const FLAG = Ci.nsMsgFolderFlags;
const account = MailServices.accounts.accounts.find(
  a => a.incomingServer.type == "imap"
);
const server = account?.incomingServer.QueryInterface(
  Ci.nsIImapIncomingServer
);
const root = server?.rootFolder;
const identity = account?.defaultIdentity;

const wait = ms => new Promise(done => setTimeout(done, ms));

// polls what has no listener; what it waited for is in the error
async function until(claim, seconds = 20) {
  for (const end = Date.now() + seconds * 1000; ; await wait(100)) {
    const got = await claim();
    if (got) {
      return got;
    }
    if (Date.now() > end) {
      throw new Error(`never: ${claim}`);
    }
  }
}

// runs an operation that reports to a nsIUrlListener
function url(operation) {
  return new Promise((good, bad) =>
    operation({
      QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
      OnStartRunningUrl() {},
      OnStopRunningUrl(uri, status) {
        if (status) {
          bad(new Error(`status ${status.toString(16)} of ${uri?.spec}`));
        } else {
          good(uri?.spec ?? null);
        }
      },
    })
  );
}

// runs an operation that reports to a nsIMsgCopyServiceListener
function copying(operation) {
  return new Promise((good, bad) =>
    operation({
      QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]),
      onStartCopy() {},
      onProgress() {},
      setMessageKey() {},
      getMessageId: () => null,
      onStopCopy(status) {
        if (status) {
          bad(new Error(`status ${status.toString(16)}`));
        } else {
          good(null);
        }
      },
    })
  );
}

// by the path of IMAP
const folder = path =>
  root.descendants.find(
    f => f.QueryInterface(Ci.nsIMsgImapMailFolder).onlineName == path
  );
// what an update that is under way already does with a listener is its own
// affair, so what it should lead to is waited for
const update = (f, claim) => {
  f.updateFolder(null);
  return until(() => claim(f));
};
const headers = f => [...f.messages];
const header = (f, subject) =>
  headers(f).find(h => h.mime2DecodedSubject == subject);

function folders() {
  const out = {};
  for (const f of root.descendants) {
    const uses = ["Drafts", "SentMail", "Trash", "Archive", "Junk", "Inbox"];
    out[f.QueryInterface(Ci.nsIMsgImapMailFolder).onlineName] = uses.find(
      u => f.getFlag(FLAG[u])
    ) ?? null;
  }
  return out;
}

function described(f) {
  return headers(f)
    .map(h => ({
      uid: h.messageKey,
      subject: h.mime2DecodedSubject,
      from: h.mime2DecodedAuthor,
      read: h.isRead,
      flagged: h.isFlagged,
      replied: !!(h.flags & Ci.nsMsgMessageFlags.Replied),
      deleted: !!(h.flags & Ci.nsMsgMessageFlags.IMAPDeleted),
      offline: !!(h.flags & Ci.nsMsgMessageFlags.Offline),
      keywords: h.getStringProperty("keywords").split(" ").sort().join(" "),
    }))
    .sort((a, b) => a.uid - b.uid);
}

// the text and the attachments of a message as they are shown
async function read(h) {
  const mime = await new Promise((good, bad) => {
    setTimeout(() => bad(new Error("not read in time")), 20000);
    MsgHdrToMimeMessage(h, null, (_, m) => good(m), true);
  });
  const attachments = [];
  for (const a of mime.allUserAttachments) {
    const { NetUtil } = ChromeUtils.importESModule(
      "resource://gre/modules/NetUtil.sys.mjs"
    );
    const bytes = await new Promise((good, bad) =>
      NetUtil.asyncFetch(
        { uri: a.url, loadUsingSystemPrincipal: true },
        (stream, status) =>
          status
            ? bad(new Error(`status ${status.toString(16)} of ${a.url}`))
            : good(NetUtil.readInputStreamToString(stream, stream.available()))
      )
    );
    attachments.push([a.name, btoa(bytes)]);
  }
  return { text: mime.coerceBodyToPlaintext(h.folder), attachments };
}

const move = (from, subject, to, isMove) =>
  copying(l =>
    MailServices.copy.copyMessages(
      from, [header(from, subject)], to, isMove, l, null, false
    )
  );
const remove = (from, subject) =>
  copying(l =>
    from.deleteMessages([header(from, subject)], null, false, false, l, false)
  );

// composes; mode is one of nsIMsgSend's nsMsgDeliverMode
async function compose(mode, to, subject, body, file) {
  const fields = Cc[
    "@mozilla.org/messengercompose/composefields;1"
  ].createInstance(Ci.nsIMsgCompFields);
  fields.from = `${identity.fullName} <${identity.email}>`;
  fields.to = to;
  fields.subject = subject;
  if (file) {
    const a = Cc["@mozilla.org/messengercompose/attachment;1"].createInstance(
      Ci.nsIMsgAttachment
    );
    a.url = `file://${file}`;
    a.name = "Anhang ß.bin";
    a.contentType = "application/octet-stream";
    fields.addAttachment(a);
  }
  const send = Cc["@mozilla.org/messengercompose/send;1"].createInstance(
    Ci.nsIMsgSend
  );
  await new Promise((good, bad) => {
    const end = status =>
      status ? bad(new Error(`status ${status.toString(16)}`)) : good();
    const listener = {
      QueryInterface: ChromeUtils.generateQI([
        "nsIMsgSendListener",
        "nsIMsgCopyServiceListener",
      ]),
      onStartSending() {},
      onSendProgress() {},
      onStatus() {},
      onStopSending(id, status) {
        if (status) {
          end(status);
        }
      },
      onTransportSecurityError(id, status) {
        end(status);
      },
      onSendNotPerformed() {
        end(1);
      },
      onGetDraftFolderURI() {},
      onStartCopy() {},
      onProgress() {},
      setMessageKey() {},
      getMessageId: () => null,
      onStopCopy: end,
    };
    Promise.resolve(
      send.createAndSendMessage(
        null, identity, account.key, fields, false, false,
        Ci.nsIMsgSend[mode], null, "text/plain", body, null, null, listener,
        "", null, Ci.nsIMsgCompType.New
      )
    ).catch(bad);
  });
}

// SEARCH by the server
function search(f, terms) {
  const session = Cc[
    "@mozilla.org/messenger/searchSession;1"
  ].createInstance(Ci.nsIMsgSearchSession);
  session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, f);
  for (const [attribute, operator, text] of terms) {
    const term = session.createTerm();
    const value = term.value;
    value.attrib = Ci.nsMsgSearchAttrib[attribute];
    value.str = text;
    term.value = value;
    term.attrib = value.attrib;
    term.op = Ci.nsMsgSearchOp[operator];
    term.booleanAnd = true;
    session.appendTerm(term);
  }
  return new Promise((good, bad) => {
    const hits = [];
    session.registerListener({
      QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]),
      onSearchHit: h => hits.push(h.mime2DecodedSubject),
      onNewSearch() {},
      onSearchDone(status) {
        if (status) {
          bad(new Error(`status ${status.toString(16)}`));
        } else {
          good(hits.sort());
        }
      },
    });
    session.search(null);
  });
}

// what the error console has against us
function complaints() {
  return Services.console
    .getMessageArray()
    .map(m => (m instanceof Ci.nsIScriptError ? `${m}` : m.message))
    .filter(m => /imap|smtp|mailnews/i.test(m) && /error|warn|fail/i.test(m));
}

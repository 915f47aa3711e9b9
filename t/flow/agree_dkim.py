"""DKIM to be judged by several: messages, who signed them, what happened to
them on the way. Deterministic but for the keys."""
import base64
import ctypes
import glob
import hashlib
import os
import random
import subprocess
import time
import warnings

import dkim
import dkim.canonicalization
import dkim.crypto

warnings.simplefilter("ignore")
ZONE = "agree.test"
NOW = int(time.time())
KEYS = {}  # name: PEM
TXT = {}  # name: the key as base64
CANONS = ["simple", "relaxed"]
PAIRS = [(h, b) for h in CANONS for b in CANONS]
ALGORITHM = {"rsa1024": "rsa-sha256", "rsa2048": "rsa-sha256", "rsa512": "rsa-sha256", "rsa4096": "rsa-sha256",
    "ed25519": "ed25519-sha256"}


def run(*args, **kw):
    return subprocess.run(args, stdout=subprocess.PIPE, check=True, **kw).stdout


def make_keys(folder):
    """rsa2048 and ed25519 are of quire's making, the others of OpenSSL's"""
    for name in ALGORITHM:
        path = os.path.join(folder, name + ".pem")
        if not os.path.exists(path):
            pem = run("quire", "dkim", "keygen", "ed25519" if name == "ed25519" else "rsa") \
                if name in ("rsa2048", "ed25519") else \
                run("openssl", "genrsa", "-traditional", name[3:], stderr=subprocess.DEVNULL)
            open(path, "wb").write(pem)
        KEYS[name] = path
        der = run("openssl", "pkey", "-in", path, "-pubout", "-outform", "DER")
        TXT[name] = base64.b64encode(der[-32:] if name == "ed25519" else der).decode()


def pem(name):
    return open(KEYS[name], "rb").read()


def seed(name):
    """python3-dkim wants the 32 octets"""
    return base64.b64encode(run("openssl", "pkey", "-in", KEYS[name], "-outform", "DER")[-32:])


def records():
    """(owner, type, text) of the key records"""
    rsa, rsa1 = TXT["rsa2048"], TXT["rsa1024"]
    rows = {name: "v=DKIM1; k=%s; p=%s" % (name[:3] if name[0] == "r" else name, p) for name, p in TXT.items()}
    rows.update({
        "revoked": "v=DKIM1; p=",
        "plain": "p=" + rsa,
        "test": "v=DKIM1; t=y; p=" + rsa,
        "strict": "v=DKIM1; t=s; p=" + rsa,
        "both": "v=DKIM1; t=y:s; p=" + rsa,
        "sha1": "v=DKIM1; h=sha1; p=" + rsa,
        "hashes": "v=DKIM1; h=sha1:sha256; p=" + rsa,
        "service": "v=DKIM1; s=other; p=" + rsa,
        "email": "v=DKIM1; s=email; p=" + rsa,
        "star": "v=DKIM1; s=*; p=" + rsa,
        "tlsrpt": "v=DKIM1; s=tlsrpt; p=" + rsa,
        "version": "v=DKIM2; p=" + rsa,
        "late": "k=rsa; v=DKIM1; p=" + rsa,
        "kind": "v=DKIM1; k=dsa; p=" + rsa,
        "nokey": "v=DKIM1; k=rsa",
        "junk": "v=DKIM1; p=AAAA",
        "notes": "v=DKIM1; n=some=20words; zz=unknown; p=" + rsa,
        "spaced": "v = DKIM1 ; k = rsa ; p = " + rsa[:60] + " " + rsa[60:] + " ;",
        "other": "v=DKIM1; p=" + rsa1,
        "granularity": "v=DKIM1; g=nobody; p=" + rsa,
        "twice": "v=DKIM1; p=" + rsa + "; p=" + rsa,
        "text": "this is no key record",
        "edasrsa": "v=DKIM1; p=" + TXT["ed25519"],
    })
    for name, text in rows.items():
        yield "%s._domainkey.%s" % (name, ZONE), "TXT", text
    # a broken record beside a good one
    yield "beside._domainkey." + ZONE, "TXT", "v=DKIM1; p=" + rsa
    yield "beside._domainkey." + ZONE, "TXT", "v=spf1 -all"
    yield "rsa2048._domainkey.sub." + ZONE, "TXT", rows["rsa2048"]


# --- messages ---

HEAD = [b"From: Ann <a@agree.test>", b"To: b@example.net, c@example.net",
    b"Subject: all  kinds \tof space ", b"Date: Mon, 02 Jan 2023 10:00:00 +0000", b"Message-ID: <1@agree.test>"]
SHAPES = {
    "plain": (HEAD, b"one line\r\n"),
    "empty": (HEAD, b""),
    "crlf": (HEAD, b"\r\n"),
    "blank-end": (HEAD, b"text\r\n\r\n\r\n\r\n"),
    "blank-start": (HEAD, b"\r\n\r\ntext\r\n"),
    "spaces": (HEAD, b" a  b\t c \r\n\t\r\n   \r\nlast \t \r\n"),
    "no-crlf": (HEAD, b"no line end"),
    "folded": (HEAD[:2] + [b"Subject: folded\r\n over \r\n\tthree lines", b"X-Empty:"]  + HEAD[3:], b"text\r\n"),
    "repeated": (HEAD + [b"Received: one", b"Received: two", b"Comments: a", b"Comments: b"], b"text\r\n"),
    "eight-bit": ([b"From: \xc3\x84 <a@agree.test>"] + HEAD[1:], b"\xe4\xf6\xfc\r\n\xc3\xa4\r\n"),
    "long": (HEAD, b"".join(b"line %d \t with some text  \r\n" % i for i in range(400))),
    "dots": (HEAD, b".\r\n..two\r\n\r\n.\r\n"),
}


def message(head, body):
    return b"\r\n".join(head) + b"\r\n\r\n" + body


# --- signers ---

def by_python(head, body, key, canon):
    return dkim.sign(message(head, body), key.encode(), ZONE.encode(), seed(key) if key == "ed25519" else pem(key),
        signature_algorithm=ALGORITHM[key].encode(), canonicalize=tuple(c.encode() for c in canon)) + message(head, body)


def by_quire(head, body, key, canon):
    path = os.path.join(os.path.dirname(KEYS[key]), "m.eml")
    open(path, "wb").write(message(head, body))
    return run("quire", "dkim", "sign", "--key", KEYS[key], "--domain", ZONE, "--selector", key, path)


def by_hand(head, body, key="rsa2048", canon=("relaxed", "relaxed"), selector=None, h=None, tags=(), drop=(),
        change=None):
    """A signature of any tags: more of them, changed or left out."""
    policy = dkim.canonicalization.CanonicalizationPolicy.from_c_value("/".join(canon).encode())
    names = h or [x.split(b":")[0].strip() for x in head]
    tag = {"v": "1", "a": ALGORITHM[key], "c": "/".join(canon), "d": ZONE, "s": selector or key,
        "h": b":".join(names).decode(), **dict(tags)}
    text = policy.canonicalize_body(body)
    if tag.get("l", "").isdigit():
        text = text[:int(tag["l"])]
    tag["bh"] = base64.b64encode(hashlib.sha256(text).digest()).decode()
    tag.update(change or {})
    tag["b"] = ""
    value = "; ".join("%s=%s" % kv for kv in tag.items() if kv[0] not in drop)
    fields = [x.split(b":", 1) for x in head]
    fields = [(n, b" " + v.lstrip(b" ") + b"\r\n") for n, v in fields]
    picked = dkim.select_headers(policy.canonicalize_headers(fields), [n.lower().strip() for n in names])
    sig = policy.canonicalize_headers([(b"DKIM-Signature", b" " + value.encode() + b"\r\n")])
    data = b"".join(n + b":" + v for n, v in picked + sig)[:-2]
    if key == "ed25519":
        import nacl.signing
        made = nacl.signing.SigningKey(base64.b64decode(seed(key))).sign(hashlib.sha256(data).digest()).signature
    else:
        made = dkim.crypto.RSASSA_PKCS1_v1_5_sign(hashlib.sha256(data), dkim.crypto.parse_pem_private_key(pem(key)))
    made = base64.b64encode(made).decode()
    return b"DKIM-Signature: " + (value + ("" if "b" in drop else made)).encode() + b"\r\n" + message(head, body)


class Opendkim:
    """libopendkim, by ctypes: signs, and judges every signature of a message"""
    CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    NOT_FOUND, TRY_AGAIN, ERROR = 3, 2, 4  # DKIM_CBSTAT_
    KEYFAIL = 24  # DKIM_SIGERROR_

    def __init__(self, look_up):
        paths = glob.glob(os.environ["OPENDKIM"] + "/libopendkim.so.11") + ["libopendkim.so.11"]
        so = self.so = ctypes.CDLL(paths[0])
        for f in ("dkim_init", "dkim_sign", "dkim_verify", "dkim_sig_getselector", "dkim_sig_getdomain"):
            getattr(so, f).restype = ctypes.c_void_p
        self.lib = ctypes.c_void_p(so.dkim_init(None, None))
        self.callback = self.CALLBACK(self.key)
        self.look_up = look_up
        so.dkim_set_key_lookup(self.lib, self.callback)

    def key(self, _, sig, buf, size):
        def text(f):
            return ctypes.string_at(f(ctypes.c_void_p(sig))).decode("latin1")
        name = "%s._domainkey.%s" % (text(self.so.dkim_sig_getselector), text(self.so.dkim_sig_getdomain))
        try:
            got = self.look_up(name)
        except TimeoutError:
            return self.TRY_AGAIN
        except ValueError:
            return self.ERROR
        if got is None:
            return self.NOT_FOUND
        ctypes.memmove(buf, got[:size - 1] + b"\0", min(size, len(got) + 1))
        return 0

    def feed(self, handle, mail):
        head, _, body = mail.partition(b"\r\n\r\n")
        for field in fields_of(head):
            self.so.dkim_header(handle, field, ctypes.c_size_t(len(field)))
        self.so.dkim_eoh(handle)
        if body:
            self.so.dkim_body(handle, body, ctypes.c_size_t(len(body)))
        return self.so.dkim_eom(handle, ctypes.byref(ctypes.c_bool()))

    def sign(self, head, body, key, canon):
        status = ctypes.c_int()
        algorithm = 2 if key == "ed25519" else 1
        handle = ctypes.c_void_p(self.so.dkim_sign(self.lib, b"id", None, pem(key), key.encode(), ZONE.encode(),
            CANONS.index(canon[0]), CANONS.index(canon[1]), algorithm, ctypes.c_ssize_t(-1), ctypes.byref(status)))
        assert handle.value, status.value
        rc = self.feed(handle, message(head, body))
        assert rc == 0, rc
        p, n = ctypes.c_void_p(), ctypes.c_size_t()
        self.so.dkim_getsighdr_d(handle, ctypes.c_size_t(16), ctypes.byref(p), ctypes.byref(n))
        value = ctypes.string_at(p, n.value)
        self.so.dkim_free(handle)
        return b"DKIM-Signature: " + value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"\r\n" + message(head, body)

    def judge(self, mail):
        status = ctypes.c_int()
        handle = ctypes.c_void_p(self.so.dkim_verify(self.lib, b"id", None, ctypes.byref(status)))
        self.feed(handle, mail)
        sigs, n = ctypes.POINTER(ctypes.c_void_p)(), ctypes.c_int()
        self.so.dkim_getsiglist(handle, ctypes.byref(sigs), ctypes.byref(n))
        out = [self.one(handle, ctypes.c_void_p(sigs[i])) for i in range(n.value)]
        self.so.dkim_free(handle)
        return out or ["none"]

    def one(self, handle, sig):
        again = self.so.dkim_sig_process(handle, sig) == 14  # DKIM_STAT_CBTRYAGAIN
        matches, error = self.so.dkim_sig_getbh(sig) == 0, self.so.dkim_sig_geterror(sig)
        if self.so.dkim_sig_getflags(sig) & 4 and matches and error == 0:
            return "pass"
        return "temperror" if again or error == self.KEYFAIL else "fail"


def fields_of(head):
    out = []
    for line in head.split(b"\r\n"):
        if out and line[:1] in (b" ", b"\t"):
            out[-1] += b"\r\n" + line
        else:
            out.append(line)
    return out


# --- what may happen on the way ---

def tampered(r, mail):
    """(what, the mail changed)"""
    head, _, body = mail.partition(b"\r\n\r\n")
    what = r.choice(["body-letter", "body-space", "blank-lines", "header-case", "header-fold", "unsigned-header",
        "second-from", "appended", "subject", "other-key", "header-space"])
    if what == "body-letter":
        body = body.replace(b"e", b"E", 1)
    elif what == "body-space":
        body = body.replace(b"\r\n", b" \r\n", 1)
    elif what == "blank-lines":
        body += b"\r\n\r\n"
    elif what == "header-case":
        head = head.replace(b"\r\nSubject:", b"\r\nSUBJECT:")
    elif what == "header-fold":
        head = head.replace(b"b@example.net, c", b"b@example.net,\r\n c")
    elif what == "unsigned-header":
        head = b"X-Later: one more\r\n" + head
    elif what == "second-from":
        head = b"From: other@example.net\r\n" + head
    elif what == "appended":
        body += b"one more line\r\n"
    elif what == "subject":
        head = head.replace(b"Subject: ", b"Subject: not ", 1)
    elif what == "other-key":
        head = head.replace(b"s=rsa2048", b"s=other").replace(b"s=rsa1024", b"s=rsa2048").replace(b"s=ed25519", b"s=none")
    elif what == "header-space":
        head = head.replace(b"\r\nTo: ", b"\r\nTo:   ")
    return what, head + b"\r\n\r\n" + body


def hand_made():
    """(case, mail): one for every tag and every kind of key record"""
    head, body = SHAPES["plain"]
    more = b"one line\r\ntwo lines\r\n"

    def sig(**kw):
        return by_hand(head, kw.pop("body", body), **kw)
    for name in ("revoked plain test strict both sha1 hashes service email star tlsrpt version late kind nokey junk notes "
            "spaced other granularity twice text edasrsa beside missing").split():
        yield "key-" + name, sig(selector=name)
    for key in ("rsa512", "rsa4096"):
        yield "key-" + key, sig(key=key)
    yield "key-tempfail", sig(change={"d": "elsewhere.invalid"})
    yield "key-strict-subdomain", sig(selector="strict", tags={"i": "@sub." + ZONE})
    yield "key-strict-same", sig(selector="strict", tags={"i": "x@" + ZONE})
    for name, value in [("past", NOW - 7200 * 10), ("long-past", NOW - 864000), ("future", NOW + 864000)]:
        yield "x-" + name, sig(tags={"t": str(NOW - 8640000), "x": str(value)})
        yield "x-%s-alone" % name, sig(tags={"x": str(value)})
    yield "t-future", sig(tags={"t": str(NOW + 864000)})
    yield "t-hours-ahead", sig(tags={"t": str(NOW + 4 * 3600)})
    yield "t-now", sig(tags={"t": str(NOW)})
    yield "t-bad", sig(tags={"t": "soon"})
    yield "t-long", sig(tags={"t": str(NOW), "x": "9" * 12})
    yield "x-bad", sig(tags={"x": "never"})
    yield "x-before-t", sig(tags={"t": str(NOW), "x": str(NOW - 10)})
    for n in (0, 5, 10, 21):
        yield "l-%d" % n, sig(tags={"l": str(n)}, body=more)
    yield "l-more", sig(tags={"l": "999"})
    yield "l-bad", sig(change={"l": "-1"})
    yield "l-appended", sig(tags={"l": "10"}) + b"appended\r\n"
    yield "i-below", sig(tags={"i": "x@sub." + ZONE})
    yield "i-other", sig(tags={"i": "x@example.net"})
    yield "i-suffix", sig(tags={"i": "x@not" + ZONE})
    yield "i-quoted", sig(tags={"i": "x=20y@" + ZONE})
    yield "i-no-at", sig(tags={"i": ZONE})
    for tag in ("v", "a", "b", "bh", "d", "h", "s", "c"):
        yield "without-" + tag, sig(drop=(tag,), canon=("simple", "simple"))
    for tag, value in [("v", "2"), ("v", "1.0"), ("a", "rsa-sha1"), ("a", "rsa-sha512"), ("a", "ed25519-sha256"), ("c", "odd/simple"), ("c", "relaxed/odd"),
            ("q", "dns/txt"), ("q", "dns/other"), ("q", "dns/other:dns/txt"), ("d", ""), ("d", "test"), ("h", ""), ("h", "to:subject"),
            ("s", ""), ("s", "a b"), ("bh", "!!"), ("bh", "AAAA"), ("A", "x"), ("zz", "unknown"), ("z", "From:a@b|To:c"), ("c", "relaxed")]:
        yield "tag-%s-%s" % (tag, value.replace(" ", "_").replace("|", "+") or "empty"), sig(change={tag: value})
    yield "tag-d-case", sig(change={"d": ZONE.upper()})
    yield "tag-c-case", sig(change={"c": "Relaxed/Relaxed"})
    yield "tag-a-case", sig(change={"a": "RSA-SHA256"})
    yield "c-header-only", sig(canon=("relaxed", "simple"), change={"c": "relaxed"})
    yield "empty-tag", sig(change={"zz": ""})
    yield "tag-twice", sig().replace(b"; h=", b"; d=agree.test; h=", 1)
    yield "semicolons", sig().replace(b"; h=", b";; h=", 1)
    names = [b"from", b"to", b"subject"]
    yield "h-oversigned", sig(h=names + [b"from", b"subject", b"x-none"])
    yield "h-oversigned-added", b"Subject: more\r\n" + sig(h=names + [b"subject"])
    yield "h-absent", sig(h=names + [b"x-none"])
    yield "h-absent-added", b"X-None: now here\r\n" + sig(h=names + [b"x-none"])
    yield "h-case", sig(h=[b"FROM", b"tO", b"Subject"])
    yield "h-spaces", sig(h=[b" from ", b"\tto", b"subject"])
    yield "h-no-from", sig(h=[b"to", b"subject"])
    yield "h-itself", sig(h=names + [b"dkim-signature"])
    rep = HEAD + [b"Comments: a", b"Comments: b", b"Comments: c"]
    for n in (1, 2, 3, 4):
        yield "h-repeated-%d" % n, by_hand(rep, body, h=[b"from"] + [b"comments"] * n)
    odd = [b"X-Odd :  space before"]
    for canon in PAIRS[::3]:
        yield "name-space-" + canon[0], by_hand(HEAD + odd, body, canon=canon)
    yield "no-signature", message(head, body)
    yield "two-froms", by_hand([HEAD[0]] + HEAD, body)
    yield "no-from", by_hand(HEAD[1:], body, h=[b"from", b"to"])
    good, bad = sig(), sig(selector="revoked")
    field = bad.split(b"\r\n")[0] + b"\r\n"
    yield "two-first-bad", field + good
    yield "two-second-bad", good.split(b"\r\n")[0] + b"\r\n" + bad
    ed = sig(key="ed25519").split(b"\r\n")[0] + b"\r\n"
    yield "two-algorithms", ed + good
    yield "three", ed + field + good
    yield "malformed-first", b"DKIM-Signature: nothing at all\r\n" + good
    yield "empty-first", b"DKIM-Signature:\r\n" + good


def messages(opendkim):
    """(case, mail); a case is named by what was done, not by its number"""
    r = random.Random(6376)
    for shape, (head, body) in SHAPES.items():
        for key in ("rsa1024", "rsa2048", "ed25519"):
            made = [("python", by_python, c) for c in PAIRS] + [("opendkim", opendkim.sign, c) for c in PAIRS]
            if key != "rsa1024":
                made.append(("quire", by_quire, ("relaxed", "relaxed")))
            for signer, sign, canon in made:
                if body[-2:] != b"\r\n" and body:
                    signed = sign(head, body + b"\r\n", key, canon)[:-2]
                else:
                    signed = sign(head, body, key, canon)
                yield "signed-by-%s-%s" % (signer, shape), signed
                what, mail = tampered(r, signed)
                yield "%s-%s" % (what, shape), mail
    yield from hand_made()

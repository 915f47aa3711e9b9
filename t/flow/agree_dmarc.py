"""DMARC to be judged by several: organizational domains with their records,
and mail that aligns with them in some way or in none."""
import agree_dkim

GOOD, BAD = "192.0.2.10", "192.0.2.99"
REPORT = "rua=mailto:r@x.test"
# organizational domain: (its record or None, that of its subdomain or None)
ORGS = {
    "none": ("v=DMARC1; p=none", None),
    "quarantine": ("v=DMARC1; p=quarantine", None),
    "reject": ("v=DMARC1; p=reject", None),
    "sub-none": ("v=DMARC1; p=reject; sp=none", None),
    "sub-reject": ("v=DMARC1; p=none; sp=reject", None),
    "strict": ("v=DMARC1; p=reject; adkim=s; aspf=s", None),
    "strict-dkim": ("v=DMARC1; p=reject; adkim=s", None),
    "strict-spf": ("v=DMARC1; p=reject; aspf=s", None),
    "no-policy": ("v=DMARC1", None),
    "only-reports": ("v=DMARC1; " + REPORT, None),
    "bogus-policy": ("v=DMARC1; p=bogus", None),
    "bogus-reports": ("v=DMARC1; p=bogus; " + REPORT, None),
    "nothing": (None, None),
    "late-version": ("p=reject; v=DMARC1", None),
    "tight": ("v=DMARC1;p=reject;sp=quarantine;" + REPORT, None),
    "loose": ("v = DMARC1 ; p = reject ;", None),
    "small": ("v=dmarc1; p=reject", None),
    "capital": ("v=DMARC1; P=REJECT", None),
    "unknown-tag": ("v=DMARC1; p=reject; zz=1; np=none", None),
    "other-version": ("v=DMARC2; p=reject", None),
    "own": ("v=DMARC1; p=reject", "v=DMARC1; p=none"),
    "own-strict": ("v=DMARC1; p=none", "v=DMARC1; p=reject; aspf=s; adkim=s"),
    "own-broken": ("v=DMARC1; p=reject", "this is no record"),
}
OTHER = "elsewhere.test"


def zones():
    """zone: its records as (owner, type, text)"""
    keys = "v=DKIM1; p=" + agree_dkim.TXT["rsa1024"]
    spf = "v=spf1 ip4:%s -all" % GOOD
    out = {}
    for org, (record, sub) in {**ORGS, "elsewhere": (None, None)}.items():
        rows = [("@", "TXT", spf), ("sub", "TXT", spf), ("@", "A", GOOD), ("sub", "A", GOOD)]
        rows += [("rsa1024._domainkey" + x, "TXT", keys) for x in ("", ".sub")]
        rows += [("_dmarc", "TXT", record)] if record else []
        rows += [("_dmarc.sub", "TXT", sub)] if sub else []
        out[org + ".test"] = rows
    # more than one record is none
    out["reject.test"].append(("_dmarc.two", "TXT", "v=DMARC1; p=none"))
    out["reject.test"].append(("_dmarc.two", "TXT", "v=DMARC1; p=quarantine"))
    return out


def mail(froms, signer=None, tamper=False):
    head = [b"From: " + f for f in froms] + agree_dkim.HEAD[1:]
    body = b"text\r\n"
    if signer is None:
        return agree_dkim.message(head, body)
    made = agree_dkim.by_hand(head, body, key="rsa1024", tags={"d": signer})
    return made.replace(b"text\r\n", b"tExt\r\n") if tamper else made


def cases():
    """(case, client, HELO, sender, message)"""
    for org in ORGS:
        d = org + ".test"
        for label, name in (("org", d), ("sub", "sub." + d)):
            froms = [b"a@" + name.encode()]
            case = "dmarc %s %s" % (org, label)
            yield case, GOOD, "mail." + OTHER, "a@" + name, mail(froms)
            yield case, GOOD, "mail." + OTHER, "a@" + ("sub." + d if label == "org" else d), mail(froms)
            yield case, GOOD, "mail." + OTHER, "a@" + OTHER, mail(froms, name)
            yield case, GOOD, "mail." + OTHER, "a@" + OTHER, mail(froms, "sub." + d if label == "org" else d)
            yield case, GOOD, "mail." + OTHER, "a@" + OTHER, mail(froms, OTHER)
            yield case, BAD, "mail." + OTHER, "a@" + name, mail(froms, name, tamper=True)
        yield "dmarc %s org" % org, GOOD, d, "<>", mail([b"a@" + d.encode()])
    odd = {
        "two-records": [b"a@two.reject.test"],
        "no-from": [],
        "two-fields": [b"a@reject.test", b"b@none.test"],
        "two-same": [b"a@reject.test", b"b@reject.test"],
        "two-addresses": [b"a@reject.test, b@reject.test"],
        "two-domains": [b"a@reject.test, b@none.test"],
        "comment": [b"(a comment) Ann <a@reject.test> (more)"],
        "name-with-at": [b'"b@none.test" <a@reject.test>'],
        "quoted-local": [b'"a b"@reject.test'],
        "capitals": [b"A@REJECT.TEST"],
        "no-domain": [b"nobody"],
        "empty": [b""],
        "group": [b"friends: a@reject.test;"],
        "empty-group": [b"undisclosed:;"],
        "literal": [b"a@[192.0.2.10]"],
        "trailing-dot": [b"a@reject.test."],
    }
    for name, froms in odd.items():
        yield "dmarc from-%s" % name, GOOD, "mail." + OTHER, "a@reject.test", mail(froms)
        yield "dmarc from-%s" % name, BAD, "mail." + OTHER, "a@" + OTHER, mail(froms)

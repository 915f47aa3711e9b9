"""SPF to be judged by several: records, and who sends under them.

Every case is a domain NAME.agree.test with what stands below it, asked for
four clients. A case that starts with "random" is made of a fixed seed."""
import random

ZONE = "agree.test"
CLIENTS = ["192.0.2.10", "203.0.113.9", "2001:db8::10", "2001:db8:1::99"]

# name: (record, {label below: [(type, data)]}); "@" is the case's domain
CASES = {
    "all": ("v=spf1 +all", {}),
    "none": (None, {}),
    "fail-all": ("v=spf1 -all", {}),
    "softfail-all": ("v=spf1 ~all", {}),
    "neutral-all": ("v=spf1 ?all", {}),
    "nothing": ("v=spf1", {}),
    "spaces": ("v=spf1  ip4:192.0.2.0/24   -all  ", {}),
    "case": ("V=SPF1 IP4:192.0.2.0/24 -ALL", {}),
    "version10": ("v=spf10 +all", {}),
    "two-records": ("v=spf1 +all", {"@": [("TXT", "v=spf1 -all")]}),
    "other-txt": ("v=spf1 -all", {"@": [("TXT", "some other text")]}),
    "ip4": ("v=spf1 ip4:192.0.2.10 -all", {}),
    "ip4-net": ("v=spf1 ip4:192.0.2.0/28 ~all", {}),
    "ip4-zero": ("v=spf1 ip4:192.0.2.1/0 -all", {}),
    "ip4-33": ("v=spf1 ip4:192.0.2.10/33 -all", {}),
    "ip4-leading-zero": ("v=spf1 ip4:192.0.2.10/032 -all", {}),
    "ip4-short": ("v=spf1 ip4:192.0.2 -all", {}),
    "ip4-empty": ("v=spf1 ip4 -all", {}),
    "ip6": ("v=spf1 ip6:2001:db8::10 -all", {}),
    "ip6-net": ("v=spf1 ip6:2001:db8::/48 ?all", {}),
    "ip6-zero": ("v=spf1 ip6:::/0 -all", {}),
    "ip6-129": ("v=spf1 ip6:2001:db8::10/129 -all", {}),
    "ip6-bad": ("v=spf1 ip6:2001:db8:::10 -all", {}),
    "ip6-mapped": ("v=spf1 ip6:::ffff:192.0.2.10 -all", {}),
    "a": ("v=spf1 a -all", {"@": [("A", "192.0.2.10"), ("AAAA", "2001:db8::10")]}),
    "a-cidr": ("v=spf1 a/24//48 -all", {"@": [("A", "192.0.2.99"), ("AAAA", "2001:db8::ffff")]}),
    "a-cidr6": ("v=spf1 a//64 -all", {"@": [("A", "192.0.2.99"), ("AAAA", "2001:db8::ffff")]}),
    "a-domain": ("v=spf1 a:h.@/28 -all", {"h": [("A", "192.0.2.1")]}),
    "a-cname": ("v=spf1 a:www.@ -all", {"www": [("CNAME", "h.@.")], "h": [("A", "192.0.2.10")]}),
    "a-ip": ("v=spf1 a:192.0.2.10 -all", {}),
    "a-bad-cidr": ("v=spf1 a/33 -all", {}),
    "a-empty": ("v=spf1 a: -all", {}),
    "a-tempfail": ("v=spf1 a:h.elsewhere.invalid -all", {}),
    "mx": ("v=spf1 mx -all", {"@": [("MX", "10 m1.@."), ("MX", "20 m2.@.")],
        "m1": [("A", "203.0.113.9")], "m2": [("AAAA", "2001:db8::10")]}),
    "mx-cidr": ("v=spf1 mx/24 -all", {"@": [("MX", "10 m1.@.")], "m1": [("A", "192.0.2.77")]}),
    "mx-ten": ("v=spf1 mx -all", {"@": [("MX", "%d m%d.@." % (i, i)) for i in range(10)],
        **{"m%d" % i: [("A", "192.0.2.%d" % (i + 1))] for i in range(10)}}),
    "mx-eleven": ("v=spf1 mx -all", {"@": [("MX", "%d m%d.@." % (i, i)) for i in range(11)],
        **{"m%d" % i: [("A", "198.51.100.%d" % (i + 1)), ("AAAA", "2001:db8:f::%d" % i)] for i in range(11)}}),
    "mx-none": ("v=spf1 mx -all", {}),
    "mx-null": ("v=spf1 mx -all", {"@": [("MX", "0 .")]}),
    "ptr": ("v=spf1 ptr -all", {"mail": [("A", "192.0.2.10"), ("AAAA", "2001:db8::10")]}),
    "ptr-domain": ("v=spf1 ptr:agree.test -all", {}),
    "ptr-other": ("v=spf1 ptr:example.invalid ~all", {}),
    "exists": ("v=spf1 exists:%{i}.yes.@ -all", {"10.2.0.192.yes": [("A", "127.0.0.2")],
        "192.0.2.10.yes": [("A", "127.0.0.2")],
        "2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.yes": [("A", "127.0.0.2")]}),
    "exists-reversed": ("v=spf1 exists:%{ir}.%{v}.@ -all", {"10.2.0.192.in-addr": [("A", "127.0.0.2")]}),
    "exists-sender": ("v=spf1 exists:%{l}.%{o}.u.@ -all", {"a-b.@.u": [("A", "127.0.0.2")]}),
    "exists-parts": ("v=spf1 exists:%{d1r}.%{l1r-}.p.@ -all", {"exists-parts.a.p": [("A", "127.0.0.2")]}),
    "exists-helo": ("v=spf1 exists:%{h2}.h.@ -all", {"agree.test.h": [("A", "127.0.0.2")]}),
    "exists-aaaa": ("v=spf1 exists:six.@ -all", {"six": [("AAAA", "2001:db8::10")]}),
    "macro-p": ("v=spf1 exists:%{p}.n.@ -all", {"mail.agree.test.n": [("A", "127.0.0.2")]}),
    "macro-zero": ("v=spf1 exists:%{d0}.@ -all", {}),
    "macro-bad": ("v=spf1 exists:%{z}.@ -all", {}),
    "macro-open": ("v=spf1 exists:%{d.@ -all", {}),
    "macro-percent": ("v=spf1 exists:%%x.@ exists:%_y.@ exists:%-z.@ -all", {}),
    "macro-lone": ("v=spf1 exists:50%.@ -all", {}),
    "macro-exp-letter": ("v=spf1 exists:%{c}.@ -all", {}),
    "macro-unknown-modifier": ("v=spf1 moo=%{d} ip4:192.0.2.10 -all", {}),
    "macro-unknown-bad": ("v=spf1 moo=%{q} ip4:192.0.2.10 -all", {}),
    "macro-long": ("v=spf1 exists:" + "%{d}." * 12 + "@ -all", {}),
    "include": ("v=spf1 include:i.@ -all", {"i": [("TXT", "v=spf1 ip4:192.0.2.10 -all")]}),
    "include-softfail": ("v=spf1 include:i.@ ?all", {"i": [("TXT", "v=spf1 ~all")]}),
    "include-none": ("v=spf1 include:i.@ -all", {"i": [("A", "192.0.2.1")]}),
    "include-bad": ("v=spf1 include:i.@ -all", {"i": [("TXT", "v=spf1 foo -all")]}),
    "include-tempfail": ("v=spf1 include:x.elsewhere.invalid -all", {}),
    "include-loop": ("v=spf1 include:@ -all", {}),
    "include-redirect": ("v=spf1 include:i.@ -all", {"i": [("TXT", "v=spf1 redirect=r.@")],
        "r": [("TXT", "v=spf1 ip4:192.0.2.10 -all")]}),
    "include-empty": ("v=spf1 include -all", {}),
    "redirect": ("v=spf1 redirect=r.@", {"r": [("TXT", "v=spf1 ip4:192.0.2.10 -all")]}),
    "redirect-all": ("v=spf1 redirect=r.@ ~all", {"r": [("TXT", "v=spf1 +all")]}),
    "redirect-none": ("v=spf1 redirect=r.@", {}),
    "redirect-twice": ("v=spf1 redirect=r.@ redirect=r.@", {"r": [("TXT", "v=spf1 +all")]}),
    "redirect-loop": ("v=spf1 redirect=@", {}),
    "redirect-empty": ("v=spf1 redirect=", {}),
    "redirect-macro": ("v=spf1 redirect=%{v}.@", {"in-addr": [("TXT", "v=spf1 -all")], "ip6": [("TXT", "v=spf1 +all")]}),
    "exp": ("v=spf1 exp=e.@ -all", {"e": [("TXT", "%{i} is not of %{d}, %{c} by %{h}")]}),
    "exp-escaped": ("v=spf1 -all exp=e.@", {"e": [("TXT", "see http://x.test/?%{S}=%{L}%_%%")]}),
    "exp-none": ("v=spf1 -all exp=e.@", {}),
    "exp-two": ("v=spf1 -all exp=e.@", {"e": [("TXT", "one"), ("TXT", "two")]}),
    "exp-twice": ("v=spf1 -all exp=e.@ exp=e.@", {"e": [("TXT", "one")]}),
    "exp-bad": ("v=spf1 -all exp=e.@", {"e": [("TXT", "100% %{")]}),
    "exp-empty": ("v=spf1 -all exp=", {}),
    "exp-redirect": ("v=spf1 redirect=r.@ exp=e.@", {"r": [("TXT", "v=spf1 -all exp=f.@")],
        "e": [("TXT", "of the first")], "f": [("TXT", "of the second")]}),
    "exp-include": ("v=spf1 include:i.@ -all exp=e.@", {"i": [("TXT", "v=spf1 -all exp=f.@")],
        "e": [("TXT", "of the first")], "f": [("TXT", "of the included")]}),
    "lookups-ten": ("v=spf1" + " exists:e.@" * 10 + " -all", {"e": [("A", "127.0.0.2")]}),
    "lookups-a-ten": ("v=spf1" + " a:h.@" * 10 + " +all", {"h": [("A", "198.51.100.1"), ("AAAA", "2001:db8:f::1")]}),
    "lookups-a-eleven": ("v=spf1" + " a:h.@" * 11 + " +all", {"h": [("A", "198.51.100.1"), ("AAAA", "2001:db8:f::1")]}),
    "lookups-include": ("v=spf1" + " include:i.@" * 4 + " +all", {"i": [("TXT", "v=spf1 a:h.@ a:h.@ -all")],
        "h": [("A", "198.51.100.1"), ("AAAA", "2001:db8:f::1")]}),
    "lookups-redirect": ("v=spf1" + " a:h.@" * 9 + " redirect=r.@", {"r": [("TXT", "v=spf1 a:h.@ +all")],
        "h": [("A", "198.51.100.1"), ("AAAA", "2001:db8:f::1")]}),
    "void-two": ("v=spf1 a:n1.@ a:n2.@ +all", {}),
    "void-three": ("v=spf1 a:n1.@ a:n2.@ a:n3.@ +all", {}),
    "void-mx": ("v=spf1 mx:n1.@ mx:n2.@ mx:n3.@ +all", {}),
    "void-of-mx": ("v=spf1 mx -all", {"@": [("MX", "%d n%d.@." % (i, i)) for i in range(4)]}),
    "void-nodata": ("v=spf1 a:t.@ a:u.@ a:w.@ +all", {k: [("TXT", "no address")] for k in "tuw"}),
    "void-exists": ("v=spf1 exists:n1.@ exists:n2.@ exists:n3.@ +all", {}),
    "void-same": ("v=spf1 a:n.@ a:n.@ a:n.@ +all", {}),
    "unknown-mechanism": ("v=spf1 ip4:192.0.2.10 foo:bar -all", {}),
    "unknown-modifier": ("v=spf1 x-y.z=foo ip4:192.0.2.10 -all", {}),
    "all-argument": ("v=spf1 all:x.@ -all", {}),
    "all-cidr": ("v=spf1 -all/8", {}),
    "qualifier-twice": ("v=spf1 +-all", {}),
    "after-all": ("v=spf1 -all foo", {}),
    "toplabel-digits": ("v=spf1 a:h.123 -all", {}),
    "toplabel-dash": ("v=spf1 a:h.a- -all", {}),
    "trailing-dot": ("v=spf1 a:h.@. -all", {"h": [("A", "192.0.2.10")]}),
    "tab": ("v=spf1\tip4:192.0.2.10 -all", {}),
    "not-ascii": ("v=spf1 ip4:192.0.2.10 a:h\xe4.@ -all", {}),
    "long-record": ("v=spf1 " + "ip4:198.51.100.7 " * 30 + "ip4:192.0.2.10 -all", {}),
}


def random_record(r):
    """A record of mechanisms that are all well-formed, over hosts that exist."""
    hosts = ["h%d.rnd.%s" % (i, ZONE) for i in range(6)]
    nets = ["192.0.2.0/%d" % r.randint(8, 32), "203.0.113.8/%d" % r.randint(24, 31), "198.51.100.0/24"]
    nets6 = ["2001:db8::/%d" % r.randint(16, 64), "2001:db8:1::/%d" % r.randint(33, 128)]
    make = [
        lambda: "ip4:" + r.choice(nets),
        lambda: "ip6:" + r.choice(nets6),
        lambda: "a:" + r.choice(hosts) + r.choice(["", "/24", "//64", "/28//48"]),
        lambda: "mx:rnd." + ZONE + r.choice(["", "/30", "/16//32"]),
        lambda: "exists:%{" + r.choice(["l", "d2", "hr", "i", "ir", "s1"]) + "}.e.rnd." + ZONE,
        lambda: "include:i%d.rnd.%s" % (r.randint(0, 3), ZONE),
        lambda: "ptr:" + ZONE,
    ]
    terms = [r.choice(["", "+", "-", "~", "?"]) + r.choice(make)() for _ in range(r.randint(1, 7))]
    terms.append(r.choice(["-all", "~all", "?all", "all", "", "redirect=i0.rnd." + ZONE]))
    return " ".join(["v=spf1"] + terms).strip()


def cases():
    r = random.Random(7208)
    out = dict(CASES)
    for i in range(60):
        out["random-%d" % i] = (random_record(r), {})
    return out


def records():
    """(owner, type, data) of everything in the zone."""
    for name, (record, below) in cases().items():
        domain = "%s.%s" % (name, ZONE)

        def put(text):
            return text.replace("@", domain)

        if record is not None:
            yield domain, "TXT", put(record)
        for label, rows in below.items():
            owner = domain if label == "@" else put(label) + "." + domain
            for kind, data in rows:
                yield owner, kind, put(data)
    rnd = "rnd." + ZONE
    for i, ip in enumerate(["192.0.2.1", "203.0.113.9", "198.51.100.3"]):
        yield "h%d.%s" % (i, rnd), "A", ip
        yield rnd, "MX", "%d h%d.%s." % (i, i, rnd)
    for i, ip in enumerate(["2001:db8::10", "2001:db8:1::1", "2001:db8:2::3"]):
        yield "h%d.%s" % (i + 3, rnd), "AAAA", ip
    yield "h0." + rnd, "AAAA", "2001:db8::20"
    yield "h1." + rnd, "AAAA", "2001:db8:f::20"
    yield "h2." + rnd, "AAAA", "2001:db8:f::21"
    for i, text in enumerate(["ip4:203.0.113.0/24 -all", "ip6:2001:db8:1::/48 ~all",
            "a:h0.%s ?all" % rnd, "exists:%{ir}.e." + rnd + " -all"]):
        yield "i%d.%s" % (i, rnd), "TXT", "v=spf1 " + text
    yield "10.2.0.192.e." + rnd, "A", "127.0.0.2"
    yield "a-b.e." + rnd, "A", "127.0.0.2"
    yield "mail." + ZONE, "A", "192.0.2.10"
    yield "mail." + ZONE, "AAAA", "2001:db8::10"


def checks():
    """(case, client, HELO, sender)"""
    for name in cases():
        for ip in CLIENTS:
            yield name, ip, "mail." + ZONE, "a-b@%s.%s" % (name, ZONE)
    for name in ["ip4", "all", "fail-all", "none"]:
        for ip in CLIENTS:
            yield "helo-" + name, ip, "%s.%s" % (name, ZONE), "<>"

"""What Quire says of SPF, DKIM and DMARC, and what python3-spf, python3-dkim,
libopendkim and rspamd say of the same.

  agree.py zones FOLDER            files NAME.zone in FOLDER, and keys
  agree.py compare FOLDER PORT RSPAMD_PORT
                                   a line for each kind of disagreement:
                                   case | peer | Quire | peer says
                                   and last "checked:" with the numbers"""
import concurrent.futures
import json
import os
import subprocess
import sys
import warnings

import dkim
import dns.exception
import dns.resolver
import spf

import agree_dkim
import agree_dmarc
import agree_rspamd
import agree_spf

warnings.simplefilter("ignore")


def zones(folder):
    agree_dkim.make_keys(folder)
    all_of = {"agree.test": [(o + ".", k, d) for o, k, d in list(agree_spf.records()) + list(agree_dkim.records())]}
    all_of.update(agree_dmarc.zones())
    for name, rows in all_of.items():
        with open(os.path.join(folder, name + ".zone"), "w") as f:
            for owner, kind, data in rows:
                print(owner, kind, quoted(data) if kind == "TXT" else data, file=f)


def quoted(text):
    """character-strings of at most 200 octets, every odd one escaped"""
    raw = text.encode("latin1")
    parts = [raw[i:i + 200] for i in range(0, len(raw), 200)]
    return " ".join('"%s"' % "".join(chr(c) if 32 <= c < 127 and c not in b'"\\' else "\\%03d" % c for c in part)
        for part in parts)


def resolver(port):
    """for all that ask through dnspython"""
    r = dns.resolver.Resolver(configure=False)
    r.nameservers, r.port, r.lifetime = ["127.0.0.1"], port, 5
    r.cache = dns.resolver.LRUCache()
    r.search = []
    dns.resolver.default_resolver = r


def quire(port, *args):
    p = subprocess.run(["quire", *args, "--resolver", "127.0.0.1:%d" % port, "--dns-timeout", "3s"],
        stdout=subprocess.PIPE, check=False)
    return p.stdout.decode("utf-8", "replace").splitlines()


# --- SPF ---

def spf_of_quire(port, ip, helo, sender):
    out = quire(port, "spf", "check", "--ip", ip, "--helo", helo, "--from", sender)
    why = [x[12:] for x in out if x.startswith("explanation=")]
    return out[0].partition("=")[2] + (": " + why[0] if why else "")


def spf_of_python(ip, helo, sender):
    try:
        result, why = spf.check2(ip, sender.strip("<>"), helo)
    except Exception as e:  # what it does not catch itself is its answer
        return "raises " + type(e).__name__
    given = result == "fail" and why != spf.EXPLANATIONS["fail"]
    return result + (": " + why if given else "")


def brief(result):
    """an explanation is too long for a table"""
    return result if len(result) <= 32 else result[:31] + "~"


def asked_of_rspamd(case):
    """of random records it passes over the terms it does not like; of two it
    says what depends on whether A or AAAA is answered first"""
    return not case.startswith("random") and case not in ("a-domain", "mx-cidr")


def compare_spf(port, rspamd, found):
    n = 0
    checks = list(agree_spf.checks())
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        ours = list(pool.map(lambda c: spf_of_quire(port, *c[1:]), checks))
    for (case, *client), our in zip(checks, ours):
        n += 1
        their = spf_of_python(*client)
        if our != their:
            found.add(("spf " + case, "python3-spf", brief(our), brief(their)))
        our = our.partition(":")[0]
        their = rspamd.spf(*client) if asked_of_rspamd(case) else our
        if our != their:
            found.add(("spf " + case, "rspamd", our, their))
    return n


# --- DKIM ---

def dkim_of_quire(port, path):
    out = [x.split()[0].partition("=")[2] for x in quire(port, "dkim", "verify", path) if x]
    return [x if x in ("pass", "temperror", "none") else "fail" for x in out]


def dkim_of_python(mail, n):
    out = []
    for i in range(n):
        try:
            d = dkim.DKIM(mail, minkey=1024)
            out.append("pass" if d.verify(idx=i) else "fail")
        except dkim.DnsTimeoutError:
            out.append("temperror")
        except dkim.DKIMException:
            out.append("fail")
        except Exception as e:
            out.append("raises " + type(e).__name__)
    return out or ["none"]


def look_up(name):
    """for libopendkim: the TXT record, None if there is none; of several it
    makes an error, when it asks itself"""
    try:
        got = dns.resolver.resolve(name, "TXT")
        if len(got) > 1:
            raise ValueError(name)
        return b"".join(got[0].strings)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.name.EmptyLabel):
        return None
    except (dns.exception.Timeout, dns.resolver.NoNameservers):
        raise TimeoutError from None


def compare_dkim(port, rspamd, folder, found):
    opendkim = agree_dkim.Opendkim(look_up)
    all_of = list(agree_dkim.messages(opendkim))
    paths = [os.path.join(folder, "%d.eml" % i) for i in range(len(all_of))]
    for path, (_, mail) in zip(paths, all_of):
        with open(path, "wb") as f:
            f.write(mail)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        ours = list(pool.map(lambda p: dkim_of_quire(port, p), paths))
    passed = 0
    for (case, mail), our in zip(all_of, ours):
        head = mail.partition(b"\r\n\r\n")[0]
        n = sum(f[:15].lower() == b"dkim-signature:" for f in agree_dkim.fields_of(head))
        passed += "pass" in our
        for peer, their in (("python3-dkim", dkim_of_python(mail, n)), ("opendkim", opendkim.judge(mail))):
            if our != their:
                found.add(("dkim " + case, peer, ", ".join(our), ", ".join(their)))
        their = rspamd.dkim(mail, n)
        if sorted(our) != their:
            found.add(("dkim " + case, "rspamd", ", ".join(sorted(our)), ", ".join(their)))
    return len(all_of), passed


# --- DMARC ---

def dmarc_of_quire(port, path, case):
    _, ip, helo, sender, _ = case
    out = quire(port, "explain", path, "--ip", ip, "--helo", helo, "--from", sender, "--rcpt", "b@example.net", "--json")
    steps = {s["step"]: s for s in json.loads("\n".join(out))}
    result = steps["dmarc"]["result"]
    return result + (" " + steps["policy"]["result"] if result == "fail" else "")


def compare_dmarc(port, rspamd, folder, found):
    all_of = list(agree_dmarc.cases())
    paths = [os.path.join(folder, "dmarc%d.eml" % i) for i in range(len(all_of))]
    for path, case in zip(paths, all_of):
        with open(path, "wb") as f:
            f.write(case[4])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        ours = list(pool.map(lambda x: dmarc_of_quire(port, *x), zip(paths, all_of)))
    for case, our in zip(all_of, ours):
        their = rspamd.dmarc(case[4], *case[1:4])
        if our != their:
            found.add((case[0], "rspamd", our, their))
    return len(all_of)


def compare(folder, port, rspamd_port):
    found = set()
    agree_dkim.make_keys(folder)
    resolver(port)
    rspamd = agree_rspamd.Rspamd(rspamd_port)
    n_spf = compare_spf(port, rspamd, found)
    n_dkim, passed = compare_dkim(port, rspamd, folder, found)
    n_dmarc = compare_dmarc(port, rspamd, folder, found)
    for row in sorted(found):
        print(" | ".join(row))
    print("checked: spf=%d dkim=%d pass=%d dmarc=%d" % (n_spf, n_dkim, passed, n_dmarc))


if sys.argv[1] == "zones":
    zones(sys.argv[2])
else:
    compare(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

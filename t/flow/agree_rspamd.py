"""What rspamd finds in a message; it runs on a port of this machine with no
modules but SPF, DKIM and DMARC."""
import http.client
import json

SPF = {"R_SPF_ALLOW": "pass", "R_SPF_FAIL": "fail", "R_SPF_SOFTFAIL": "softfail", "R_SPF_NEUTRAL": "neutral",
    "R_SPF_NA": "none", "R_SPF_DNSFAIL": "temperror", "R_SPF_PERMFAIL": "permerror"}
DKIM = {"+": "pass", "-": "fail", "~": "fail", "?": "temperror"}
DMARC = {"DMARC_POLICY_ALLOW": "pass", "DMARC_POLICY_ALLOW_WITH_FAILURES": "pass", "DMARC_POLICY_REJECT": "fail reject",
    "DMARC_POLICY_QUARANTINE": "fail quarantine", "DMARC_POLICY_SOFTFAIL": "fail none", "DMARC_NA": "none",
    "DMARC_DNSFAIL": "temperror", "DMARC_BAD_POLICY": "permerror"}


class Rspamd:
    def __init__(self, port):
        self.port = port

    def symbols(self, mail, ip, helo, sender):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        c.request("POST", "/checkv2", mail, {"IP": ip, "Helo": helo, "From": sender, "Rcpt": "b@example.net"})
        answer = json.loads(c.getresponse().read())
        c.close()
        return answer["symbols"]

    @staticmethod
    def one(found, table):
        names = [table[s] for s in found if s in table]
        return names[0] if len(names) == 1 else "says nothing" if not names else "+".join(sorted(names))

    def spf(self, ip, helo, sender):
        mail = b"From: a@agree.test\r\nTo: b@example.net\r\nSubject: x\r\n\r\ntext\r\n"
        return self.one(self.symbols(mail, ip, helo, sender.strip("<>")), SPF)

    def dkim(self, mail, n):
        """of each of n signatures, in no order; of those it cannot read it
        says nothing, which is no pass"""
        found = self.symbols(mail, "192.0.2.10", "mail.agree.test", "a@agree.test")
        trace = found.get("DKIM_TRACE", {}).get("options", [])
        out = [DKIM[x[-1]] for x in trace]
        out += ["fail"] * (n - len(out))
        return sorted(out) or ["none" if "R_DKIM_NA" in found else "says nothing"]

    def dmarc(self, mail, ip, helo, sender):
        return self.one(self.symbols(mail, ip, helo, sender.strip("<>")), DMARC)

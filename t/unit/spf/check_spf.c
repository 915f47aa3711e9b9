#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/spf/spf.h"

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))

#define S10 "aaaaaaaaaa"
#define S60 S10 S10 S10 S10 S10 S10

/* clang-format off */

/* All the DNS there is. A name with other types only is NODATA, a name not
 * here NXDOMAIN. The zones hold all rows; "!" is a name that gives no answer,
 * "?" one that fails validation. */
static const struct {
	const char *name;
	enum dns_type type;
	const char *data;
} dns[] = {
	/* RFC 7208, appendix A */
	{ "example.com", DNS_A, "192.0.2.10" },
	{ "example.com", DNS_A, "192.0.2.11" },
	{ "example.com", DNS_MX, "mail-a.example.com" },
	{ "example.com", DNS_MX, "mail-b.example.com" },
	{ "amy.example.com", DNS_A, "192.0.2.65" },
	{ "bob.example.com", DNS_A, "192.0.2.66" },
	{ "mail-a.example.com", DNS_A, "192.0.2.129" },
	{ "mail-b.example.com", DNS_A, "192.0.2.130" },
	{ "example.org", DNS_MX, "mail-c.example.org" },
	{ "mail-c.example.org", DNS_A, "192.0.2.140" },
	{ "10.2.0.192.in-addr.arpa", DNS_PTR, "example.com" },
	{ "11.2.0.192.in-addr.arpa", DNS_PTR, "example.com" },
	{ "65.2.0.192.in-addr.arpa", DNS_PTR, "amy.example.com" },
	{ "66.2.0.192.in-addr.arpa", DNS_PTR, "bob.example.com" },
	{ "129.2.0.192.in-addr.arpa", DNS_PTR, "mail-a.example.com" },
	{ "4.0.0.10.in-addr.arpa", DNS_PTR, "bob.example.com" },
	/* RFC 7208, A.4 */
	{ "mary.mobile-users._spf.a4.test", DNS_A, "127.0.0.2" },
	{ "15.2.0.192._spf.a4.test", DNS_A, "127.0.0.2" },
	{ "a4.test", DNS_TXT, "v=spf1 include:mobile.%{d} include:ip.%{d} -all" },
	{ "mobile.a4.test", DNS_TXT, "v=spf1 exists:%{l1r+}.mobile-users._spf.a4.test ?all" },
	{ "ip.a4.test", DNS_TXT, "v=spf1 exists:%{ir}._spf.a4.test -all" },
	/* addresses used below */
	{ "v6.test", DNS_AAAA, "2001:db8::1" },
	{ "big.test", DNS_A, "10.1.2.3" },
	{ "!", DNS_A, "fail.test" },
	{ "!", DNS_TXT, "fail.test" },
	{ "!", DNS_MX, "fail.test" },
	{ "!", DNS_TXT, "tempexp.test" },
	{ "null.test", DNS_MX, "." },
	{ "!", DNS_A, "." },
	{ "?", DNS_TXT, "bogus.test" },
	{ "none.test", DNS_TXT, "something else" },
	{ "none.test", DNS_TXT, "v=spf10 +all" },
	{ "two.test", DNS_TXT, "v=spf1 +all" },
	{ "two.test", DNS_TXT, "v=spf1 -all" },
	{ "mixed.test", DNS_TXT, "v=verify=1" },
	{ "mixed.test", DNS_TXT, "V=SPF1 +ALL" },
	/* include and redirect */
	{ "pass.test", DNS_TXT, "v=spf1 +all" },
	{ "neutral.test", DNS_TXT, "v=spf1 ?all" },
	{ "soft.test", DNS_TXT, "v=spf1 ~all" },
	{ "deny.test", DNS_TXT, "v=spf1 -all exp=why.test" },
	{ "empty.test", DNS_TXT, "v=spf1" },
	{ "bad.test", DNS_TXT, "v=spf1 fnord +all" },
	{ "loop.test", DNS_TXT, "v=spf1 include:loop.test -all" },
	{ "round.test", DNS_TXT, "v=spf1 redirect=round.test" },
	{ "why.test", DNS_TXT, "%{s} from %{c} at %{r}, 100%% %{d}" },
	{ "why2.test", DNS_TXT, "one" },
	{ "why2.test", DNS_TXT, "two" },
	{ "why8.test", DNS_TXT, "caf\xc3\xa9" },
	{ "whybad.test", DNS_TXT, "%{x}" },
	/* limits */
	{ "mx10.test", DNS_MX, "m0.test" }, { "mx10.test", DNS_MX, "m0.test" },
	{ "mx10.test", DNS_MX, "m0.test" }, { "mx10.test", DNS_MX, "m0.test" },
	{ "mx10.test", DNS_MX, "m0.test" }, { "mx10.test", DNS_MX, "m0.test" },
	{ "mx10.test", DNS_MX, "m0.test" }, { "mx10.test", DNS_MX, "m0.test" },
	{ "mx10.test", DNS_MX, "m0.test" }, { "mx10.test", DNS_MX, "m1.test" },
	{ "mx11.test", DNS_MX, "m1.test" }, { "mx11.test", DNS_MX, "m0.test" },
	{ "mx11.test", DNS_MX, "m0.test" }, { "mx11.test", DNS_MX, "m0.test" },
	{ "mx11.test", DNS_MX, "m0.test" }, { "mx11.test", DNS_MX, "m0.test" },
	{ "mx11.test", DNS_MX, "m0.test" }, { "mx11.test", DNS_MX, "m0.test" },
	{ "mx11.test", DNS_MX, "m0.test" }, { "mx11.test", DNS_MX, "m0.test" },
	{ "mx11.test", DNS_MX, "m0.test" },
	{ "m0.test", DNS_A, "10.0.0.1" },
	{ "m1.test", DNS_A, "192.0.2.3" },
	/* ten names that are not valid, then one that is */
	{ "9.2.0.192.in-addr.arpa", DNS_PTR, "p0.test" },
	{ "9.2.0.192.in-addr.arpa", DNS_PTR, "p1.test" },
	{ "9.2.0.192.in-addr.arpa", DNS_PTR, "p2.test" },
	{ "9.2.0.192.in-addr.arpa", DNS_PTR, "p3.test" },
	{ "9.2.0.192.in-addr.arpa", DNS_PTR, "p4.test" },
	{ "9.2.0.192.in-addr.arpa", DNS_PTR, "p5.test" },
	{ "9.2.0.192.in-addr.arpa", DNS_PTR, "p6.test" },
	{ "9.2.0.192.in-addr.arpa", DNS_PTR, "p7.test" },
	{ "9.2.0.192.in-addr.arpa", DNS_PTR, "p8.test" },
	{ "9.2.0.192.in-addr.arpa", DNS_PTR, "p9.test" },
	{ "9.2.0.192.in-addr.arpa", DNS_PTR, "p10.test" },
	{ "p10.test", DNS_A, "192.0.2.9" },
	{ "long." S60 "." S60 "." S60 ".test", DNS_A, "127.0.0.1" },
};

/* The record of t.test is the row's own. */
static const struct {
	const char *rfc;
	const char *record; /* of t.test; NULL: there is none */
	const char *ip;
	enum spf_verdict verdict;
	const char *mechanism; /* NULL: any */
} cases[] = {
	/* results and qualifiers */
	{ "4.4", NULL, "192.0.2.3", SPF_NONE, "" },
	{ "4.6.2", "v=spf1 +all", "192.0.2.3", SPF_PASS, "+all" },
	{ "4.6.2", "v=spf1 -all", "192.0.2.3", SPF_FAIL, "-all" },
	{ "4.6.2", "v=spf1 ~all", "192.0.2.3", SPF_SOFTFAIL, "~all" },
	{ "4.6.2", "v=spf1 ?all", "192.0.2.3", SPF_NEUTRAL, "?all" },
	{ "4.7", "v=spf1", "192.0.2.3", SPF_NEUTRAL, "default" },
	{ "4.5", "v=spf1   -all  ", "192.0.2.3", SPF_FAIL, "-all" },
	{ "5.1", "v=spf1 -all +all", "192.0.2.3", SPF_FAIL, "-all" },
	/* syntax: anywhere in the record, before anything is matched */
	{ "4.6", "v=spf1 +all fnord", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "4.6.1", "v=spf1 -fnord=x +all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.1", "v=spf1 all:x.test", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.1", "v=spf1 all/8", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.2", "v=spf1 include -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.2", "v=spf1 include: -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.3", "v=spf1 a: -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.3", "v=spf1 a/ -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.3", "v=spf1 a/33 -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.3", "v=spf1 a/024 -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.3", "v=spf1 a//129 -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.3", "v=spf1 a/24/24 -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.3", "v=spf1 a:big.test:25 -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.5", "v=spf1 ptr/24 -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.6", "v=spf1 ip4 -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.6", "v=spf1 ip4:192.0.2 -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.6", "v=spf1 ip4:192.0.2.03 -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.6", "v=spf1 ip4:192.0.2.3/33 -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.6", "v=spf1 ip4:192.0.2.3//32 -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.6", "v=spf1 ip4:192.0.2.3:25 -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.6", "v=spf1 ip6:192.0.2.3 -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.6", "v=spf1 ip6:::1/129 -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "6", "v=spf1 redirect=a.test redirect=a.test", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "6", "v=spf1 exp=a.test exp=a.test -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "6", "v=spf1 exp= -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "6", "v=spf1 default=%{d} UNKNOWN.x-y_z=1%% -all", "192.0.2.3", SPF_FAIL, "-all" },
	{ "6", "v=spf1 x=%{ -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "6", "v=spf1 1x=a -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "7.1", "v=spf1 a:foo -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "7.1", "v=spf1 a:foo.1 -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "7.1", "v=spf1 a:foo.x- -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "7.1", "v=spf1 a:foo.1-x. -all", "192.0.2.3", SPF_FAIL, "-all" },
	{ "7.1", "v=spf1 a:foo.t%{d}st -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "7.1", "v=spf1 a:foo.%{d} -all", "192.0.2.3", SPF_FAIL, "-all" },
	{ "7.1", "v=spf1 a:%{x}.test -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "7.1", "v=spf1 a:%(d).test -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "7.1", "v=spf1 a:%{d.test -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "7.1", "v=spf1 a:%{d0} -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "7.1", "v=spf1 a:%{c}.test -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "7.1", "v=spf1 a:\xc3\xa9.test -all", "192.0.2.3", SPF_PERMERROR, NULL },
	/* a, mx, ip */
	{ "5.3", "v=spf1 a:big.test -all", "10.1.2.3", SPF_PASS, "a:big.test" },
	{ "5.3", "v=spf1 a:big.test -all", "10.1.2.4", SPF_FAIL, "-all" },
	{ "5.3", "v=spf1 a:big.test/24 -all", "10.1.2.4", SPF_PASS, "a:big.test/24" },
	{ "5.3", "v=spf1 a:big.test/0 -all", "1.1.1.1", SPF_PASS, NULL },
	{ "5.3", "v=spf1 a:big.test//0 -all", "1.1.1.1", SPF_FAIL, "-all" },
	{ "5.3", "v=spf1 A:BIG.test/31//5 -all", "10.1.2.2", SPF_PASS, NULL },
	{ "5.3", "v=spf1 a:v6.test -all", "2001:db8::1", SPF_PASS, NULL },
	{ "5.3", "v=spf1 a:v6.test/0//127 -all", "2001:db8::0", SPF_PASS, NULL },
	{ "5.3", "v=spf1 a:v6.test/0//128 -all", "2001:db8::0", SPF_FAIL, NULL },
	{ "5.3", "v=spf1 a:big.test -all", "2001:db8::1", SPF_FAIL, NULL },
	{ "5", "v=spf1 a:big.test -all", "::ffff:10.1.2.3", SPF_PASS, NULL },
	{ "5.3", "v=spf1 a:fail.test -all", "10.1.2.3", SPF_TEMPERROR, "a:fail.test" },
	{ "5.4", "v=spf1 mx:example.org -all", "192.0.2.140", SPF_PASS, NULL },
	{ "5.4", "v=spf1 mx:example.org/30 -all", "192.0.2.141", SPF_PASS, NULL },
	{ "5.4", "v=spf1 mx:fail.test -all", "192.0.2.140", SPF_TEMPERROR, NULL },
	{ "5.4", "v=spf1 mx:amy.example.com -all", "192.0.2.65", SPF_FAIL, NULL },
	{ "5.4", "v=spf1 mx:null.test -all", "192.0.2.3", SPF_FAIL, "-all" },
	{ "5.6", "v=spf1 ip4:192.0.2.0/25 -all", "192.0.2.127", SPF_PASS, NULL },
	{ "5.6", "v=spf1 ip4:192.0.2.0/25 -all", "192.0.2.128", SPF_FAIL, NULL },
	{ "5.6", "v=spf1 ip4:192.0.2.1 -all", "::ffff:192.0.2.1", SPF_PASS, NULL },
	{ "5.6", "v=spf1 ip6:2001:db8::/32 -all", "2001:db8:1::1", SPF_PASS, NULL },
	{ "5.6", "v=spf1 ip6:2001:db8::/33 -all", "2001:db8:8000::", SPF_FAIL, NULL },
	{ "5.6", "v=spf1 ip6:::/0 -all", "192.0.2.1", SPF_FAIL, NULL },
	/* ptr */
	{ "5.5", "v=spf1 ptr:example.com -all", "192.0.2.65", SPF_PASS, NULL },
	{ "5.5", "v=spf1 ptr:example.com -all", "192.0.2.10", SPF_PASS, NULL },
	{ "5.5", "v=spf1 ptr:xample.com -all", "192.0.2.10", SPF_FAIL, NULL },
	{ "5.5", "v=spf1 ptr:example.com -all", "10.0.0.4", SPF_FAIL, NULL },
	{ "4.6.4", "v=spf1 ptr:p10.test -all", "192.0.2.9", SPF_FAIL, NULL },
	/* include and redirect */
	{ "5.2", "v=spf1 include:pass.test -all", "192.0.2.3", SPF_PASS, "include:pass.test" },
	{ "5.2", "v=spf1 ~include:pass.test -all", "192.0.2.3", SPF_SOFTFAIL, NULL },
	{ "5.2", "v=spf1 include:deny.test ?all", "192.0.2.3", SPF_NEUTRAL, "?all" },
	{ "5.2", "v=spf1 include:soft.test -all", "192.0.2.3", SPF_FAIL, NULL },
	{ "5.2", "v=spf1 include:neutral.test -all", "192.0.2.3", SPF_FAIL, NULL },
	{ "5.2", "v=spf1 include:empty.test -all", "192.0.2.3", SPF_FAIL, NULL },
	{ "5.2", "v=spf1 include:none.test -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.2", "v=spf1 include:nowhere.test -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.2", "v=spf1 include:bad.test -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "5.2", "v=spf1 include:fail.test -all", "192.0.2.3", SPF_TEMPERROR, NULL },
	{ "5.2", "v=spf1 include:bogus.test -all", "192.0.2.3", SPF_TEMPERROR, NULL },
	{ "4.5", "v=spf1 include:two.test -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "4.5", "v=spf1 include:mixed.test -all", "192.0.2.3", SPF_PASS, NULL },
	{ "6.1", "v=spf1 redirect=deny.test", "192.0.2.3", SPF_FAIL, "-all" },
	{ "6.1", "v=spf1 redirect=deny.test ?all", "192.0.2.3", SPF_NEUTRAL, "?all" },
	{ "6.1", "v=spf1 redirect=none.test", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "6.1", "v=spf1 redirect=empty.test", "192.0.2.3", SPF_NEUTRAL, "default" },
	/* limits */
	{ "4.6.4", "v=spf1 include:loop.test -all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "4.6.4", "v=spf1 redirect=round.test", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "4.6.4", "v=spf1 a:m0.test a:m0.test a:m0.test a:m0.test a:m0.test "
	    "a:m0.test a:m0.test a:m0.test a:m0.test a:m1.test -all",
	    "192.0.2.3", SPF_PASS, "a:m1.test" },
	{ "4.6.4", "v=spf1 a:m0.test a:m0.test a:m0.test a:m0.test a:m0.test "
	    "a:m0.test a:m0.test a:m0.test a:m0.test a:m0.test a:m1.test -all",
	    "192.0.2.3", SPF_PERMERROR, "a:m1.test" },
	{ "4.6.4", "v=spf1 a:m0.test a:m0.test a:m0.test a:m0.test a:m0.test "
	    "a:m0.test a:m0.test a:m0.test a:m0.test a:m0.test ip4:192.0.2.3",
	    "192.0.2.3", SPF_PASS, "ip4:192.0.2.3" },
	{ "4.6.4", "v=spf1 a:n1.test a:n2.test a:m1.test -all", "192.0.2.3", SPF_PASS, NULL },
	{ "4.6.4", "v=spf1 a:n1.test mx:n2.test exists:n3.test ip4:192.0.2.3 -all",
	    "192.0.2.3", SPF_PERMERROR, "exists:n3.test" },
	{ "4.6.4", "v=spf1 a:v6.test a:v6.test a:v6.test ?all", "192.0.2.3", SPF_PERMERROR, NULL },
	{ "4.6.4", "v=spf1 mx:mx10.test -all", "192.0.2.3", SPF_PASS, NULL },
	{ "4.6.4", "v=spf1 mx:mx11.test -all", "192.0.2.3", SPF_PERMERROR, NULL },
	/* macros into names */
	{ "5.7", "v=spf1 exists:big.test -all", "2001:db8::1", SPF_PASS, NULL },
	{ "5.7", "v=spf1 exists:%{v}.test -all", "2001:db8::1", SPF_FAIL, NULL },
	{ "7.3", "v=spf1 exists:long.%{l}.%{l}.%{l}.%{l}." S60 ".%{l}.test -all",
	    "192.0.2.3", SPF_FAIL, NULL },
	{ "7.3", "v=spf1 exists:x." S60 "." S60 "." S60 ".x.long." S60 "."
	    S60 "." S60 ".test -all", "192.0.2.3", SPF_FAIL, NULL },
	{ "7.3", "v=spf1 exists:" S60 "x.long." S60 "." S60 "." S60
	    ".test -all", "192.0.2.3", SPF_PASS, NULL },
	{ "4.3", "v=spf1 a:" S60 S10 ".test -all", "192.0.2.3", SPF_FAIL, NULL },
	{ "4.6.4", "v=spf1 a:%{p}.x a:m0.test a:m0.test a:m0.test a:m0.test "
	    "a:m0.test a:m0.test a:m0.test a:m0.test a:m1.test -all",
	    "192.0.2.3", SPF_PERMERROR, NULL },
};

/* RFC 7208, appendix A.1: example.com's own record, and who may send */
static const struct {
	const char *record;
	const char *pass[6]; /* of the addresses below; all others fail */
} appendix[] = {
	{ "v=spf1 +all", { "192.0.2.10", "192.0.2.11", "192.0.2.65",
	    "192.0.2.66", "192.0.2.129", "192.0.2.140" } },
	{ "v=spf1 a -all", { "192.0.2.10", "192.0.2.11" } },
	{ "v=spf1 a:example.org -all", { NULL } },
	{ "v=spf1 mx -all", { "192.0.2.129", "192.0.2.130" } },
	{ "v=spf1 mx:example.org -all", { "192.0.2.140" } },
	{ "v=spf1 mx mx:example.org -all", { "192.0.2.129", "192.0.2.130",
	    "192.0.2.140" } },
	{ "v=spf1 ptr -all", { "192.0.2.10", "192.0.2.11", "192.0.2.65",
	    "192.0.2.66", "192.0.2.129" } },
	{ "v=spf1 ip4:192.0.2.128/28 -all", { "192.0.2.129", "192.0.2.130",
	    "192.0.2.140" } },
};
static const char *const senders[] = { "192.0.2.10", "192.0.2.11",
	"192.0.2.65", "192.0.2.66", "192.0.2.129", "192.0.2.140",
	"10.0.0.4" };

/* Explanations; sender strong-bad@email.example.com, helo mx.example.org. */
static const struct {
	const char *rfc, *ip, *in, *out;
} macros[] = {
	{ "7.4", "192.0.2.3", "%{s}", "strong-bad@email.example.com" },
	{ "7.4", "192.0.2.3", "%{o}", "email.example.com" },
	{ "7.4", "192.0.2.3", "%{d}", "email.example.com" },
	{ "7.4", "192.0.2.3", "%{d4}", "email.example.com" },
	{ "7.4", "192.0.2.3", "%{d3}", "email.example.com" },
	{ "7.4", "192.0.2.3", "%{d2}", "example.com" },
	{ "7.4", "192.0.2.3", "%{d1}", "com" },
	{ "7.4", "192.0.2.3", "%{dr}", "com.example.email" },
	{ "7.4", "192.0.2.3", "%{d2r}", "example.email" },
	{ "7.4", "192.0.2.3", "%{l}", "strong-bad" },
	{ "7.4", "192.0.2.3", "%{l-}", "strong.bad" },
	{ "7.4", "192.0.2.3", "%{lr}", "strong-bad" },
	{ "7.4", "192.0.2.3", "%{lr-}", "bad.strong" },
	{ "7.4", "192.0.2.3", "%{l1r-}", "strong" },
	{ "7.4", "192.0.2.3", "%{ir}.%{v}._spf.%{d2}",
	    "3.2.0.192.in-addr._spf.example.com" },
	{ "7.4", "192.0.2.3", "%{lr-}.lp._spf.%{d2}",
	    "bad.strong.lp._spf.example.com" },
	{ "7.4", "192.0.2.3", "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
	    "bad.strong.lp.3.2.0.192.in-addr._spf.example.com" },
	{ "7.4", "192.0.2.3", "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}",
	    "3.2.0.192.in-addr.strong.lp._spf.example.com" },
	{ "7.4", "192.0.2.3", "%{d2}.trusted-domains.example.net",
	    "example.com.trusted-domains.example.net" },
	{ "7.4", "2001:db8::cb01", "%{ir}.%{v}._spf.%{d2}",
	    "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
	    ".ip6._spf.example.com" },
	{ "7.2", "2001:db8::cb01", "%{c}", "2001:db8::cb01" },
	{ "7.2", "192.0.2.3", "%{h} %{r} %{t}", "mx.example.org rcv.test 1000" },
	{ "7.3", "192.0.2.3", "%%%_%-", "% %20" },
	{ "7.3", "192.0.2.3", "%{S}", "strong-bad%40email.example.com" },
	{ "7.3", "192.0.2.3", "%{p}", "unknown" },
	{ "7.3", "192.0.2.65", "%{p}", "amy.example.com" },
	{ "7.3", "10.0.0.4", "%{p}", "unknown" },
	{ "6.2", "192.0.2.3", "bad %{", "" },
	{ "6.2", "192.0.2.3", "caf\xc3\xa9", "" },
};

static const struct {
	const char *record, *out;
} explanations[] = {
	{ "v=spf1 -all exp=why.test",
	    "u@t.test from 192.0.2.3 at rcv.test, 100% t.test" },
	{ "v=spf1 redirect=deny.test", /* 6.2: the target's own */
	    "u@t.test from 192.0.2.3 at rcv.test, 100% deny.test" },
	{ "v=spf1 include:deny.test -all", "" }, /* not of an include */
	{ "v=spf1 exp=why.test redirect=t2.test", "" },
	{ "v=spf1 -all exp=why2.test", "" },
	{ "v=spf1 -all exp=why8.test", "" },
	{ "v=spf1 -all exp=whybad.test", "" },
	{ "v=spf1 -all exp=tempexp.test", "" },
	{ "v=spf1 -all exp=nowhere.test", "" },
	{ "v=spf1 ~all exp=why.test", "" },
};
/* clang-format on */

static struct arena arena;
static const char *own_record; /* of t.test */
static const char *own_name;
static const char *why_text; /* of why-row.test */
static const char *insecure; /* the name whose answers are not secure */

static void
setup(void)
{
	arena_init(&arena, SPF_ARENA_MAX);
	own_record = why_text = insecure = NULL;
	own_name = "t.test";
}

static void
teardown(void)
{
	arena_release(&arena);
}

static void
eq(struct str got, const char *want, const char *label)
{
	ck_assert_msg(str_eq(got, str_from(want)), "%s: got '%.*s' want '%s'",
	    label, STR_ARG(got), want);
}

static void
add(struct dns_answer *an, enum dns_type type, const char *data)
{
	struct dns_record *r = &an->v[an->n++];

	r->owner = STR("owner");
	r->type = type;
	if (type == DNS_A || type == DNS_AAAA)
		ck_assert_int_eq(
		    inet_pton(type == DNS_A ? AF_INET : AF_INET6, data, r->ip),
		    1);
	else if (type == DNS_MX)
		r->mx.exchange = str_from(data);
	else if (type == DNS_TXT)
		r->text = str_from(data);
	else
		r->name = str_from(data);
}

static void
t_dns(const struct dns_question *q, struct dns_answer *an)
{
	static struct dns_record v[64];
	bool has_name = false;
	int i;

	memset(v, 0, sizeof(v));
	*an = (struct dns_answer){ .v = v, .is_secure = true };
	if (insecure != NULL && dns_name_eq(q->name, str_from(insecure)))
		an->is_secure = false;
	if (own_record != NULL && dns_name_eq(q->name, str_from(own_name))) {
		has_name = true;
		if (q->type == DNS_TXT)
			add(an, DNS_TXT, own_record);
	}
	if (why_text != NULL && q->type == DNS_TXT &&
	    dns_name_eq(q->name, STR("why-row.test")))
		add(an, DNS_TXT, why_text);
	for (i = 0; i < N(dns); i++) {
		bool is_trouble =
		    dns[i].name[0] == '!' || dns[i].name[0] == '?';

		if (is_trouble && q->type == dns[i].type &&
		    dns_name_eq(q->name, str_from(dns[i].data))) {
			an->status =
			    dns[i].name[0] == '!' ? DNS_TEMPFAIL : DNS_BOGUS;
			return;
		}
		if (!dns_name_eq(q->name, str_from(dns[i].name)))
			continue;
		has_name = true;
		if (q->type == dns[i].type)
			add(an, q->type, dns[i].data);
	}
	an->status = an->n > 0 ? DNS_OK : has_name ? DNS_NODATA : DNS_NXDOMAIN;
}

static struct spf *
run(const char *ip, const char *local, const char *domain)
{
	struct spf_client cl = { .helo = STR("mx.example.org"),
		.local = str_from(local),
		.domain = str_from(domain),
		.receiver = STR("rcv.test"),
		.now = 1000 };
	struct dns_answer an;
	unsigned asked = 0;
	struct spf *s;

	cl.is_ipv6 = strchr(ip, ':') != NULL;
	ck_assert_int_eq(
	    inet_pton(cl.is_ipv6 ? AF_INET6 : AF_INET, ip, cl.ip), 1);
	s = spf_begin(&arena, &cl);
	while (spf_next(s) == SPF_NEED_DNS) {
		ck_assert_uint_lt(asked++, SPF_MAX_QUESTIONS);
		t_dns(spf_question(s), &an);
		spf_answer(s, &an);
	}
	ck_assert_ptr_null(spf_question(s));
	return s;
}

START_TEST(case_table)
{
	const struct spf_result *r;

	own_record = cases[_i].record;
	r = spf_result(run(cases[_i].ip, "u", "t.test"));
	ck_assert_msg(r->verdict == cases[_i].verdict,
	    "RFC 7208, %s: %s from %s: %s (%s)", cases[_i].rfc,
	    cases[_i].record, cases[_i].ip, spf_verdict_name(r->verdict),
	    r->problem == NULL ? "" : r->problem);
	if (cases[_i].mechanism != NULL)
		eq(r->mechanism, cases[_i].mechanism, cases[_i].record);
	ck_assert((r->problem != NULL) ==
		  (r->verdict == SPF_NONE || r->verdict >= SPF_TEMPERROR));
}
END_TEST

START_TEST(appendix_a)
{
	const struct spf_result *r;
	enum spf_verdict want;
	int i, j;

	own_name = "example.com";
	own_record = appendix[_i].record;
	for (i = 0; i < N(senders); i++) {
		want = strstr(own_record, "+all") ? SPF_PASS : SPF_FAIL;
		for (j = 0; j < 6 && appendix[_i].pass[j] != NULL; j++)
			if (strcmp(senders[i], appendix[_i].pass[j]) == 0)
				want = SPF_PASS;
		r = spf_result(run(senders[i], "u", "example.com"));
		ck_assert_msg(r->verdict == want, "%s from %s: %s", own_record,
		    senders[i], spf_verdict_name(r->verdict));
	}
}
END_TEST

/* RFC 7208, A.4 */
START_TEST(appendix_a4)
{
	ck_assert(
	    spf_result(run("9.9.9.9", "mary", "a4.test"))->verdict == SPF_PASS);
	ck_assert(spf_result(run("9.9.9.9", "mary+x", "a4.test"))->verdict ==
		  SPF_PASS);
	ck_assert(spf_result(run("192.0.2.15", "joel", "a4.test"))->verdict ==
		  SPF_PASS);
	ck_assert(spf_result(run("192.0.2.16", "joel", "a4.test"))->verdict ==
		  SPF_FAIL);
}
END_TEST

START_TEST(macro_table)
{
	const struct spf_result *r;

	own_name = "email.example.com";
	own_record = "v=spf1 -all exp=why-row.test";
	why_text = macros[_i].in;
	r = spf_result(run(macros[_i].ip, "strong-bad", own_name));
	ck_assert(r->verdict == SPF_FAIL);
	eq(r->explanation, macros[_i].out, macros[_i].in);
}
END_TEST

START_TEST(explanation_table)
{
	const struct spf_result *r;

	own_record = explanations[_i].record;
	r = spf_result(run("192.0.2.3", "u", "t.test"));
	eq(r->explanation, explanations[_i].out, own_record);
}
END_TEST

/* RFC 7208, 4.3 */
START_TEST(bad_domains)
{
	static const char *const bad[] = { "localhost", "[192.0.2.3]", "a..b",
		".test", "test.", S60 S10 ".test" };

	ck_assert_msg(
	    spf_result(run("192.0.2.3", "u", bad[_i]))->verdict == SPF_NONE,
	    "%s", bad[_i]);
	ck_assert_uint_eq(
	    spf_result(run("192.0.2.3", "u", bad[_i]))->n_questions, 0);
}
END_TEST

START_TEST(is_secure_of_all)
{
	own_record = "v=spf1 a:m0.test include:pass.test";
	ck_assert(spf_result(run("192.0.2.3", "u", "t.test"))->is_secure);
	insecure = "m0.test";
	ck_assert(!spf_result(run("192.0.2.3", "u", "t.test"))->is_secure);
	insecure = "pass.test";
	ck_assert(!spf_result(run("192.0.2.3", "u", "t.test"))->is_secure);
	insecure = "why.test";
	own_record = "v=spf1 -all exp=why.test";
	ck_assert(spf_result(run("192.0.2.3", "u", "t.test"))->is_secure);
}
END_TEST

/* A quoted local part may hold a backslash: it stays inside its label. */
START_TEST(backslash_in_local)
{
	own_record = "v=spf1 exists:%{l}ig.test -all";
	ck_assert(
	    spf_result(run("192.0.2.3", "b", "t.test"))->verdict == SPF_PASS);
	ck_assert(
	    spf_result(run("192.0.2.3", "\\b", "t.test"))->verdict == SPF_FAIL);
}
END_TEST

/* RFC 7208, 2.4: a null reverse path is postmaster at the HELO name */
START_TEST(null_reverse_path)
{
	const struct spf_result *r;

	own_name = "mx.example.org";
	own_record = "v=spf1 -all exp=why.test";
	r = spf_result(run("192.0.2.3", "", ""));
	ck_assert(r->identity == SPF_HELO && r->verdict == SPF_FAIL);
	eq(r->explanation,
	    "postmaster@mx.example.org from 192.0.2.3 at rcv.test, 100% "
	    "mx.example.org",
	    "null");
}
END_TEST

START_TEST(received_spf)
{
	struct buf b;

	buf_init(&b, 10000);
	own_record = "v=spf1 ip4:192.0.2.0/24 -all";
	spf_print_received(&b, run("192.0.2.3", "a(b\"\r\nX: y", "t.test"));
	eq(buf_str(&b),
	    "Received-SPF: pass (domain of a\\(b\"??X: y@t.test designates "
	    "192.0.2.3, with dnssec)\r\n"
	    "\tclient-ip=192.0.2.3;\r\n"
	    "\tenvelope-from=\"a(b\\\"??X: y@t.test\";\r\n"
	    "\thelo=mx.example.org;\r\n"
	    "\treceiver=rcv.test;\r\n"
	    "\tidentity=mailfrom;\r\n"
	    "\tmechanism=\"ip4:192.0.2.0/24\"\r\n",
	    "received");
	buf_clear(&b);
	own_record = "v=spf1 fnord";
	spf_print_received(&b, run("2001:db8::1", "", ""));
	spf_print_received(&b, run("2001:db8::1", "u", "t.test"));
	ck_assert_uint_lt(str_search(buf_str(&b), STR("identity=helo")), b.n);
	ck_assert_uint_lt(
	    str_search(buf_str(&b), STR("client-ip=\"2001:db8::1\";")), b.n);
	ck_assert_uint_lt(
	    str_search(buf_str(&b), STR("problem=\"unknown mechanism\"\r\n")),
	    b.n);
	buf_release(&b);
}
END_TEST

/* A record full of terms, and one with more than there may be. */
START_TEST(many_terms)
{
	struct buf b;
	int i, n;

	for (n = SPF_MAX_TERMS - 1; n <= SPF_MAX_TERMS; n++) {
		buf_init(&b, 65535);
		buf_puts(&b, "v=spf1");
		for (i = 0; i < n; i++)
			buf_puts(&b, " ip4:10.0.0.1");
		buf_puts(&b, " -all");
		own_record = buf_cstr(&b);
		ck_assert(
		    spf_result(run("192.0.2.3", "u", "t.test"))->verdict ==
		    (n < SPF_MAX_TERMS ? SPF_FAIL : SPF_PERMERROR));
		buf_release(&b);
	}
}
END_TEST

/* What an expansion reads is bounded as well as what it comes to: here each
 * macro goes through 256 octets and gives one. */
START_TEST(long_expansions)
{
	static const struct {
		unsigned macros, n_questions;
	} rows[] = { { 20, 2 }, { 32, 2 }, { 33, 1 }, { 12000, 1 } };
	const struct spf_result *result;
	char local[257];
	struct buf b;
	unsigned i;

	memset(local, '.', 255);
	local[255] = 'a';
	local[256] = '\0';
	buf_init(&b, 65536);
	buf_puts(&b, "v=spf1 exists:");
	for (i = 0; i < rows[_i].macros; i++)
		buf_puts(&b, "%{l1}");
	buf_puts(&b, ".none.test -all");
	own_record = buf_cstr(&b);
	result = spf_result(run("192.0.2.3", local, "t.test"));
	ck_assert_int_eq(result->verdict, SPF_FAIL);
	ck_assert_uint_eq(result->n_questions, rows[_i].n_questions);
	buf_release(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("spf");
	TCase *t = tcase_create("all");
	SRunner *r;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, case_table, 0, N(cases));
	tcase_add_loop_test(t, appendix_a, 0, N(appendix));
	tcase_add_test(t, appendix_a4);
	tcase_add_loop_test(t, macro_table, 0, N(macros));
	tcase_add_loop_test(t, explanation_table, 0, N(explanations));
	tcase_add_loop_test(t, bad_domains, 0, 6);
	tcase_add_test(t, is_secure_of_all);
	tcase_add_test(t, backslash_in_local);
	tcase_add_test(t, null_reverse_path);
	tcase_add_test(t, received_spf);
	tcase_add_test(t, many_terms);
	tcase_add_loop_test(t, long_expansions, 0, 4);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_tap(r, "-");
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 0;
}

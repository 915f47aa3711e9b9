#!/bin/sh
# Does Quire read SPF, DKIM and DMARC as others do? python3-spf, python3-dkim,
# libopendkim and rspamd judge the same senders and messages; where they differ
# from Quire, doc/agreement.md has a row with the reason, and no row too many.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
. "$SRCDIR/t/lib/knot.sh"
knot_have || skip_all "knot cannot be had here"
/usr/bin/python3 -c 'import dkim, spf, dns.resolver, nacl' 2>/dev/null ||
    skip_all "python3-dkim, python3-spf or python3-nacl is not installed"
sh "$SRCDIR/t/lib/peers.sh" opendkim >/dev/null 2>&1 ||
    skip_all "libopendkim cannot be had here"
sh "$SRCDIR/t/lib/peers.sh" rspamd >/dev/null 2>&1 ||
    skip_all "rspamd cannot be had here"
flow_init 9000
mkdir "$T/opendkim" "$T/mail"
cp -L "$KNOT"/usr/lib/*-linux-gnu/libopendkim.so.11 "$T/opendkim/"
chmod -R a+rX "$T/opendkim"
chmod 777 "$T/mail"
OPENDKIM=$T/opendkim PYTHONDONTWRITEBYTECODE=1
export OPENDKIM PYTHONDONTWRITEBYTECODE

zone dns.test <<Z
ns A 127.0.0.1
Z
as /usr/bin/python3 "$T/agree.py" zones "$T/mail"
for z in "$T"/mail/*.zone; do
	n=${z##*/}
	zone "${n%.zone}" <"$z"
done
zone 2.0.192.in-addr.arpa <<Z
10 PTR mail.agree.test.
Z
zone 113.0.203.in-addr.arpa <<Z
9 PTR nothing.agree.test.
Z
zone 8.b.d.0.1.0.0.2.ip6.arpa <<Z
0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR mail.agree.test.
Z
RSPAMD_PID=
rspamd_stop() {
	[ -z "$RSPAMD_PID" ] || kill "$RSPAMD_PID" 2>/dev/null
	[ -z "$RSPAMD_PID" ] || wait "$RSPAMD_PID" 2>/dev/null
	RSPAMD_PID=
}
trap 'rspamd_stop; knot_stop; flow_cleanup' EXIT
ok "the name server runs" knot_start

# rspamd as it comes out of its package, of its modules only these three
R=$T/rspamd
RSPAMD=$((P + 11))
mkdir "$R" "$R/lib" "$R/db"
cp -L "$KNOT/usr/bin/rspamd" "$R/"
cp -R "$KNOT/usr/share/rspamd" "$R/share"
cp -L "$KNOT"/usr/lib/rspamd/*.so* "$KNOT"/usr/lib/*-linux-gnu/*.so* "$R/lib/"
echo test >"$R/suffixes"
cat >"$R/conf" <<C
options {
	dns { nameserver = ["127.0.0.1:$KNOT_PORT"]; timeout = 1s; retransmits = 2 }
	filters = "dkim";
	local_addrs = [];
	url_tld = "$R/suffixes";
	pidfile = false;
	hs_cache_dir = "$R/db";
	tempdir = "$R/db";
}
logging { type = "console"; level = "warning" }
worker "normal" { bind_socket = "127.0.0.1:$RSPAMD"; count = 1 }
lua = "$R/share/rules/rspamd.lua";
modules {
	path = "$R/share/plugins/spf.lua";
	path = "$R/share/plugins/dmarc.lua";
}
dkim { }
spf { }
dmarc { }
metric { name = default; actions { reject = 1000 } }
C
chmod -R a+rX "$R"
chmod 777 "$R/db"
LD_LIBRARY_PATH=$R/lib as_exec "$R/rspamd" -f -c "$R/conf" --var=DBDIR="$R/db" \
    --var=RUNDIR="$R/db" --var=CONFDIR="$R/share" --var=SHAREDIR="$R/share" \
    --var=LUALIBDIR="$R/share/lualib" --var=RULESDIR="$R/share/rules" \
    --var=PLUGINSDIR="$R/share/plugins" >"$T/rspamd.log" 2>&1 &
RSPAMD_PID=$!
n=0
until curl -s -o /dev/null "http://127.0.0.1:$RSPAMD/ping" || [ $n -gt 100 ]; do
	n=$((n + 1))
	sleep 0.1
done
ok "rspamd answers" curl -s -o /dev/null "http://127.0.0.1:$RSPAMD/ping"

as /usr/bin/python3 "$T/agree.py" compare "$T/mail" "$KNOT_PORT" \
    "$RSPAMD" >"$T/found" 2>"$T/errors" || diag "$(tail -5 "$T/errors")"
count=$(sed -n 's/^checked: //p' "$T/found")
like "at least 500 messages and 500 senders, many of them good" "$count" \
    '^spf=[5-9][0-9][0-9] dkim=[5-9][0-9][0-9] pass=[3-9][0-9][0-9] dmarc=[2-9][0-9][0-9]$'
diag "$count"
sed '/^checked: /d' "$T/found" | LC_ALL=C sort >"$T/now"
# the first four columns of the table
sed -n 's/^| \(\(spf\|dkim\|dmarc\) [^|]*|[^|]*|[^|]*|[^|]*[^| ]\) |.*/\1/p' \
    "$SRCDIR/doc/agreement.md" | LC_ALL=C sort >"$T/known"
is "every disagreement has its row in doc/agreement.md" \
    "$(LC_ALL=C comm -23 "$T/now" "$T/known")" ""
is "every row of doc/agreement.md still holds" \
    "$(LC_ALL=C comm -13 "$T/now" "$T/known")" ""
rspamd_stop
knot_stop
done_testing

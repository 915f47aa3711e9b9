#!/bin/sh
# Does Quire read SPF and DKIM as others do? python3-spf, python3-dkim and
# libopendkim judge the same senders and messages; where they differ from
# Quire, doc/agreement.md has a row with the reason, and no row too many.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
. "$SRCDIR/t/lib/knot.sh"
knot_have || skip_all "knot cannot be had here"
/usr/bin/python3 -c 'import dkim, spf, dns.resolver, nacl' 2>/dev/null ||
    skip_all "python3-dkim, python3-spf or python3-nacl is not installed"
sh "$SRCDIR/t/lib/peers.sh" opendkim >/dev/null 2>&1 ||
    skip_all "libopendkim cannot be had here"
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
as /usr/bin/python3 "$T/agree.py" zone "$T/mail" >"$T/records"
zone agree.test <"$T/records"
zone 2.0.192.in-addr.arpa <<Z
10 PTR mail.agree.test.
Z
zone 113.0.203.in-addr.arpa <<Z
9 PTR nothing.agree.test.
Z
zone 8.b.d.0.1.0.0.2.ip6.arpa <<Z
0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR mail.agree.test.
Z
trap 'knot_stop; flow_cleanup' EXIT
ok "the name server runs" knot_start

as /usr/bin/python3 "$T/agree.py" compare "$T/mail" "$KNOT_PORT" >"$T/found" \
    2>"$T/errors" || diag "$(tail -5 "$T/errors")"
count=$(sed -n 's/^checked: //p' "$T/found")
like "at least 500 messages and 500 senders, many of them good" "$count" \
    '^spf=[5-9][0-9][0-9] dkim=[5-9][0-9][0-9] pass=[3-9][0-9][0-9]$'
diag "$count"
sed '/^checked: /d' "$T/found" | LC_ALL=C sort >"$T/now"
# the first four columns of the table
sed -n 's/^| \(\(spf\|dkim\) [^|]*|[^|]*|[^|]*|[^|]*[^| ]\) |.*/\1/p' \
    "$SRCDIR/doc/agreement.md" | LC_ALL=C sort >"$T/known"
is "every disagreement has its row in doc/agreement.md" \
    "$(LC_ALL=C comm -23 "$T/now" "$T/known")" ""
is "every row of doc/agreement.md still holds" \
    "$(LC_ALL=C comm -13 "$T/now" "$T/known")" ""
knot_stop
done_testing

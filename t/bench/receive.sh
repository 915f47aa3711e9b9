#!/bin/sh
# Messages that come in with SPF, DKIM and DMARC to be checked: Quire, and
# Postfix with policyd-spf, opendkim and opendmarc, each alone, with the same
# resolver (unbound before knot), in a network and mount namespace of our own.
#   receive.sh [MESSAGES]
# Needs root. 77: it cannot be done here.
case ${1-} in
--inside) shift ;;
*)
	[ "$(id -u)" -eq 0 ] || exit 77
	for p in postfix knot unbound; do
		sh "$SRCDIR/t/lib/peers.sh" "$p" >/dev/null 2>&1 || exit 77
	done
	exec unshare -n -m sh "$0" --inside "$@"
	;;
esac
. "$SRCDIR/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
. "$SRCDIR/t/lib/knot.sh"
COUNT=${1:-1000}
flow_init 18000
PF=$T/pf
PEER_PIDS=
trap 'kill $PEER_PIDS 2>/dev/null; flow_cleanup' EXIT

# ---- a machine of its own ----

ip link set lo up
for d in lib bin sbin; do
	mount -t overlay overlay -o "lowerdir=$KNOT/usr/$d:/usr/$d" "/usr/$d" ||
	    exit 77
done
mkdir "$T/etc" "$PF"
echo 'nameserver 127.0.0.1' >"$T/etc/resolv.conf"
{ cat /etc/passwd && echo 'pfmail:x:64001:64001::/:/bin/false' &&
	echo 'pffilter:x:64002:64002::/:/bin/false'; } >"$T/etc/passwd"
{ cat /etc/group && echo 'pfmail:x:64001:' && echo 'pffilter:x:64002:' &&
	echo 'pfdrop:x:64003:'; } >"$T/etc/group"
for f in resolv.conf passwd group; do
	chmod a+r "$T/etc/$f"
	mount --bind "$T/etc/$f" "/etc/$f" || exit 77
done

# ---- the sender, in the DNS ----

quire dkim keygen rsa >"$T/rsa.pem"
KEY=$(quire dkim txt "$T/rsa.pem" | tr -d '\n')
zone good.example <<Z
@ A 127.0.0.2
@ MX 10 mail
mail A 127.0.0.2
@ TXT "v=spf1 include:spf.good.example -all"
spf TXT "v=spf1 ip4:192.0.2.0/24 ip4:127.0.0.2 -all"
_dmarc TXT "v=DMARC1; p=reject; adkim=s"
sel._domainkey TXT $(echo "$KEY" | sed 's/.\{200\}/&" "/g; s/^/"/; s/$/"/')
Z
zone 2.0.0.127.in-addr.arpa <<Z
@ PTR mail.good.example.
Z
knot_start || exit 1
PEER_PIDS="$PEER_PIDS $KNOT_PID"
mkdir "$T/unbound"
cat >"$T/unbound/unbound.conf" <<C
server:
	directory: "$T/unbound"
	username: ""
	chroot: ""
	pidfile: ""
	use-syslog: no
	interface: 127.0.0.1
	do-not-query-localhost: no
	do-ip6: no
	module-config: "iterator"
	local-zone: "127.in-addr.arpa." nodefault
stub-zone:
	name: "good.example"
	stub-addr: 127.0.0.1@$KNOT_PORT
stub-zone:
	name: "2.0.0.127.in-addr.arpa"
	stub-addr: 127.0.0.1@$KNOT_PORT
C
unbound -d -c "$T/unbound/unbound.conf" >"$T/unbound.log" 2>&1 &
PEER_PIDS="$PEER_PIDS $!"

{
	printf 'From: Alice <alice@good.example>\nTo: quire@localhost\n'
	printf 'Subject: figures\nDate: Mon, 2 Mar 2026 10:11:12 +0000\n'
	printf 'Message-ID: <1@good.example>\n\n'
	for i in $(seq 60); do
		echo "$i of sixty lines, as a message of some size may have them"
	done
} >"$T/plain"
quire dkim sign --key "$T/rsa.pem" --domain good.example --selector sel \
    "$T/plain" >"$T/signed"
n=0
until quire dkim verify "$T/signed" --resolver 127.0.0.1:53 \
    --dns-timeout 1s 2>/dev/null | grep -q result=pass; do
	n=$((n + 1))
	[ $n -lt 40 ] || {
		echo "the test message does not verify" >&2
		tail -n 5 "$T/unbound.log" >&2
		exit 1
	}
	sleep 0.1
done

# ---- Postfix and its filters ----

postfix_conf() {
	mkdir "$PF/etc" "$PF/queue" "$PF/data" "$PF/mail" "$PF/log"
	chown pfmail "$PF/data"
	chown "$FLOW_UID" "$PF/mail"
	for d in active bounce corrupt defer deferred flush hold incoming \
	    private saved trace; do
		mkdir -m 700 "$PF/queue/$d"
		chown pfmail "$PF/queue/$d"
	done
	mkdir "$PF/queue/pid"
	mkdir -m 730 "$PF/queue/maildrop"
	mkdir -m 710 "$PF/queue/public"
	chown pfmail:pfdrop "$PF/queue/maildrop" "$PF/queue/public"
	cat >"$PF/etc/main.cf" <<C
compatibility_level = 3.6
queue_directory = $PF/queue
data_directory = $PF/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
shlib_directory = /usr/lib/postfix
meta_directory = $PF/etc
mail_owner = pfmail
setgid_group = pfdrop
default_privs = nobody
myhostname = mx.here.test
mynetworks = 127.9.9.9/32
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = localhost
virtual_mailbox_base = $PF/mail
virtual_mailbox_maps = inline:{quire@localhost=quire/}
virtual_minimum_uid = 100
virtual_uid_maps = static:$FLOW_UID
virtual_gid_maps = static:$FLOW_UID
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_policy_service unix:private/policyd-spf
smtpd_milters = inet:127.0.0.1:18891 inet:127.0.0.1:18893
milter_default_action = tempfail
policyd-spf_time_limit = 3600
maillog_file_prefixes = $PF
maillog_file = $PF/log/mail
C
	cat >"$PF/etc/master.cf" <<C
$1 inet n - n - 100 smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
policyd-spf unix - n n - 0 spawn user=pffilter argv=/usr/bin/policyd-spf $PF/spf.conf
C
	: >"$PF/etc/dynamicmaps.cf"
	: >"$PF/etc/postfix-files"
	cat >"$PF/spf.conf" <<C
debugLevel = 0
TestOnly = 1
HELO_reject = Fail
Mail_From_reject = Fail
PermError_reject = False
TempError_Defer = False
skip_addresses = 127.9.9.9/32
C
	echo 127.9.9.9 >"$PF/nobody"
	cat >"$PF/opendkim.conf" <<C
Mode v
Socket inet:18891@127.0.0.1
UserID pffilter
Nameservers 127.0.0.1
InternalHosts $PF/nobody
AlwaysAddARHeader yes
AuthservID mx.here.test
Syslog no
C
	cat >"$PF/opendmarc.conf" <<C
Socket inet:18893@127.0.0.1
UserID pffilter
AuthservID mx.here.test
TrustedAuthservIDs mx.here.test
IgnoreHosts $PF/nobody
RejectFailures true
SPFIgnoreResults false
SPFSelfValidate false
Syslog false
C
	chmod -R a+rX "$PF/etc" "$PF"/*.conf "$PF/nobody"
}

# Start FILE PROGRAM..: in the background, its process id in STARTED
start() {
	_out=$1
	shift
	"$@" >"$_out" 2>&1 &
	STARTED=$!
	PEER_PIDS="$PEER_PIDS $STARTED"
}

bench() {
	/usr/bin/python3 "$SRCDIR/t/bench/receive.py" "$@" || exit 1
}

postfix_conf "$SMTP"
start "$T/opendkim.log" opendkim -f -x "$PF/opendkim.conf"
filters=$STARTED
start "$T/opendmarc.log" opendmarc -f -c "$PF/opendmarc.conf"
filters="$filters $STARTED"
start "$T/master.log" /usr/lib/postfix/sbin/master -c "$PF/etc" -d
master=$STARTED
mkdir -p "$PF/mail/quire"
chown "$FLOW_UID" "$PF/mail/quire"
bench "Postfix, policyd-spf, opendkim, opendmarc" "$SMTP" "$T/signed" \
    "$PF/mail/quire" "$COUNT" "$master" $filters
# shellcheck disable=SC2086
kill "$master" $filters
wait "$master" 2>/dev/null

# ---- Quire ----

as quire localserve --dir "$D" --ip 127.0.0.1 --port-offset "$P" \
    --init-only >/dev/null
cat >>"$D/quire.conf" <<C
checks {
	enable yes
	resolver 127.0.0.1:53
	authserv-id mx.here.test
}
C
flow_start || exit 1
bench "Quire" "$SMTP" "$T/signed" "$MD" "$COUNT" "$FLOW_PID"
flow_stop >/dev/null

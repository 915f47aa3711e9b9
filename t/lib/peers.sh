#!/bin/sh
# Unpacks servers to test against into build/peers: downloaded as Debian
# packages, never installed. Prints the directory.
#   sh t/lib/peers.sh dovecot | courier | knot | unbound | opendkim | rspamd | postfix
set -eu
cd "$(dirname "$0")/../.."
DIR=${PEERS:-$PWD/build/peers}
mkdir -p "$DIR/debs"

# another apt may be at work: its lock is waited for
download() {
	for i in 1 2 3 4 5; do
		(cd "$DIR/debs" && apt-get download -qq "$1" >/dev/null 2>&1) &&
		    return
		apt-get update -qq || sleep 5
	done
	echo "cannot download $1 (try $i)" >&2
	return 1
}

# fetch PACKAGE.. : with those of their dependencies the machine has not
fetch() {
	for p in "$@"; do
		[ -e "$DIR/.have-$p" ] && continue
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null |
		    grep -q 'ok installed' && [ "${p#lib}" != "$p" ] && continue
		download "$p"
		dpkg -x "$DIR/debs/${p}"_*.deb "$DIR"
		: >"$DIR/.have-$p"
	done
}

case ${1-} in
dovecot)
	fetch dovecot-core dovecot-imapd libexttextcat-2.0-0 \
	    libexttextcat-data liblua5.3-0 libstemmer0d libwrap0 libsodium23 \
	    libapparmor1 libcap2 libicu72 libzstd1 liblz4-1 libpam0g \
	    libunwind8
	;;
courier)
	fetch courier-imap courier-base courier-authlib maildrop \
	    libcourier-unicode4 libgamin0 libgdbm6 libidn12 libpcre3
	;;
knot)
	fetch knot libknot13 libzscanner4 libdnssec9 liblmdb0 libfstrm0 \
	    liburcu8 libmaxminddb0 libbpf1 libxdp1 libmnl0 libnghttp2-14 libedit2 \
	    libcap-ng0 libelf1 libprotobuf-c1 libgnutls30 libsystemd0
	;;
unbound)
	fetch unbound libevent-2.1-7 libnghttp2-14 libprotobuf-c1 \
	    libpython3.11 libpython3.11-minimal libpython3.11-stdlib \
	    libexpat1 libsystemd0
	;;
opendkim)
	fetch libopendkim11 libbsd0 libdb5.3
	;;
rspamd)
	fetch rspamd libluajit-5.1-2 libluajit-5.1-common libhyperscan5 \
	    libicu72 libarchive13 libunwind8 libsodium23 libpcre2-8-0
	;;
postfix) # with the filters that check what comes in
	fetch postfix opendkim opendmarc postfix-policyd-spf-python \
	    python3-spf-engine python3-authres python3-spf python3-dnspython \
	    libopendkim11 libopendmarc2 libbsd0 libdb5.3 libldap-2.5-0 \
	    liblua5.3-0 libmemcached11 libhashkit2 libmilter1.0.1 libopendbx1 \
	    librbl1 libunbound8 libvbr2 libnsl2 libsasl2-2 libicu72 libspf2-2 \
	    libevent-2.1-7
	;;
*)
	echo "usage: sh t/lib/peers.sh dovecot | courier | knot | unbound | opendkim | rspamd | postfix" >&2
	exit 64
	;;
esac
echo "$DIR"

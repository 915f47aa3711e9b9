#!/bin/sh
# What each program is linked with: what a nursery forks carries neither
# OpenSSL nor libev, what loads NSS and PAM modules no libev, and nothing
# libevent, whose symbols libev shadows.
. "${SRCDIR:=.}/t/lib/tap.sh"
BIN=${BUILDDIR:-build}/bin
needed() { readelf -d "$BIN/$1" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p'; }
for p in quire-imap quire-mda; do
	is "$p carries no OpenSSL and no libev" \
	    "$(needed $p | grep -E 'libssl|libcrypto|libev\.' | tr '\n' ' ')" ""
done
for p in quired quire-userdb quire-authd; do
	is "$p carries no libev" "$(needed $p | grep 'libev\.')" ""
done
for p in "$BIN"/quire*; do
	is "${p##*/} does not load libevent" \
	    "$(ldd "$p" 2>/dev/null | grep libevent)" ""
done
done_testing

# Debian's Courier from build/peers, for flows.
#   courier_possible     is it there?
#   courier_imapd DIR    prints a command: imapd on its standard input, as the
#                        owner of the Maildir DIR
#   courier_run PROGRAM ARG..
# Needs `as` of flow.sh.
COURIER=${PEERS:-$SRCDIR/build/peers}

# A program and the libraries to $T/courier: the flow's user may not reach
# build/; and some are setgid, then no LD_LIBRARY_PATH counts.
courier_copy() {
	mkdir -p "$T/courier"
	[ -e "$T/courier/libcourierauth.so.0" ] ||
	    find "$COURIER/usr/lib" \( -name 'libcourier*.so*' -o \
	    -name 'libgamin*.so*' -o -name 'libfam*.so*' -o \
	    -name 'libgdbm*.so*' -o -name 'libidn.so*' -o \
	    -name 'libpcre*.so*' \) -exec cp -a {} "$T/courier/" \;
	cp "$COURIER/usr/bin/$1" "$T/courier/$1"
	chmod 755 "$T/courier" "$T/courier/$1"
}
courier_run() {
	_p=$1
	shift
	courier_copy "$_p"
	as env LD_LIBRARY_PATH="$T/courier" "$T/courier/$_p" "$@"
}
courier_possible() {
	[ -x "$COURIER/usr/bin/imapd" ] &&
	    courier_run maildirmake.courier "$T/courier-possible" 2>/dev/null
}
courier_imapd() {
	courier_copy imapd
	cat >"$T/imapd" <<C
#!/bin/sh
export AUTHENTICATED=u AUTHADDR=u@x AUTHFULLNAME= AUTHOPTIONS= PROTOCOL=IMAP
export TCPREMOTEIP=127.0.0.1 IMAP_KEYWORDS=1 IMAP_USELOCKS=1
export IMAP_CAPABILITY="IMAP4rev1 UIDPLUS CHILDREN NAMESPACE"
export LD_LIBRARY_PATH="$T/courier"
# without a monitor of files it says so before its greeting
exec "$T/courier/imapd" "$1" 2>/dev/null | sed -u '/^\* OK \[ALERT\]/d'
C
	echo "sh $T/imapd"
}

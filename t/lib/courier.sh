# Debian's Courier from build/peers, for flows.
#   courier_possible     is it there?
#   courier_imapd DIR    prints a command: imapd on its standard input, as the
#                        owner of the Maildir DIR
#   courier_run PROGRAM ARG..
# Needs `as` of flow.sh.
COURIER=${PEERS:-$SRCDIR/build/peers}

courier_run() {
	_p=$1
	shift
	# some are setgid, and then no LD_LIBRARY_PATH counts
	cp "$COURIER/usr/bin/$_p" "$T/$_p"
	as env LD_LIBRARY_PATH="$COURIER/usr/lib:$(dirname \
	    "$COURIER"/usr/lib/*/libcourier-unicode.so.?)" \
	    "$T/$_p" "$@"
}
courier_possible() {
	[ -x "$COURIER/usr/bin/imapd" ] &&
	    courier_run maildirmake.courier "$T/courier-possible" 2>/dev/null
}
courier_imapd() {
	cat >"$T/imapd" <<C
#!/bin/sh
export AUTHENTICATED=u AUTHADDR=u@x AUTHFULLNAME= AUTHOPTIONS= PROTOCOL=IMAP
export TCPREMOTEIP=127.0.0.1 IMAP_KEYWORDS=1 IMAP_USELOCKS=1
export IMAP_CAPABILITY="IMAP4rev1 UIDPLUS CHILDREN NAMESPACE"
export LD_LIBRARY_PATH="$COURIER/usr/lib:$(dirname \
    "$COURIER"/usr/lib/*/libcourier-unicode.so.?)"
# without a monitor of files it says so before its greeting
exec "$COURIER/usr/bin/imapd" "$1" 2>/dev/null | sed -u '/^\* OK \[ALERT\]/d'
C
	echo "sh $T/imapd"
}

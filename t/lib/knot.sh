# Debian's knot as name server for flows, unpacked, on port KNOT_PORT. Source
# it after flow.sh.
#
#   knot_have           is it there? else the flow is to be skipped
#   knot_start          serves all $T/knot/zones/NAME.zone
#   knot_stop
#   zone NAME           a zone from standard input: SOA and NS are put in front
#
# "as" and T come from flow.sh.
KNOT=${PEERS:-$SRCDIR/build/peers}
KNOT_PID=

knot_have() {
	sh "$SRCDIR/t/lib/peers.sh" knot >/dev/null 2>&1
	[ -x "$KNOT/usr/sbin/knotd" ]
}

zone() {
	as mkdir -p "$T/knot/zones" "$T/knot/run"
	{
		printf '$ORIGIN %s.\n$TTL 300\n' "$1"
		printf '@ SOA ns.dns.test. admin.dns.test. 1 3600 600 86400 300\n'
		printf '@ NS ns.dns.test.\n'
		cat
	} >"$T/knot/zones/$1.zone"
	chmod a+r "$T/knot/zones/$1.zone"
}

# knot_start [EXTRA-TEMPLATE-LINES]
knot_start() {
	KNOT_PORT=${KNOT_PORT:-$((P + 53))}
	{
		cat <<C
server:
    listen: 127.0.0.1@$KNOT_PORT
    rundir: $T/knot/run
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: $T/knot/run
template:
  - id: default
    storage: $T/knot/zones
    file: "%s.zone"
${KNOT_TEMPLATES-}
zone:
C
		for _z in "$T"/knot/zones/*.zone; do
			_z=${_z##*/}
			printf '  - domain: %s\n' "${_z%.zone}"
			case " ${KNOT_SIGNED-} " in
			*" ${_z%.zone} "*) printf '    template: signed\n' ;;
			esac
		done
	} >"$T/knot/knot.conf"
	chmod -R a+rX "$T/knot"
	mkdir -p "$T/peer"
	cp -L "$KNOT/usr/sbin/knotd" "$KNOT"/usr/lib/*-linux-gnu/*.so* "$T/peer/"
	chmod -R a+rX "$T/peer"
	LD_LIBRARY_PATH=$T/peer as_exec "$T/peer/knotd" \
	    -c "$T/knot/knot.conf" >>"$T/knot.log" 2>&1 &
	KNOT_PID=$!
	_first=$(ls "$T/knot/zones" | head -n 1)
	_n=0
	until as quire dns lookup SOA "${_first%.zone}" --resolver \
	    "127.0.0.1:$KNOT_PORT" --dns-timeout 500ms | grep -q status=ok; do
		_n=$((_n + 1))
		if [ $_n -gt 40 ]; then
			diag "$(tail -5 "$T/knot.log")"
			return 1
		fi
		sleep 0.1
	done
}

knot_stop() {
	[ -n "$KNOT_PID" ] || return 0
	kill -CONT "$KNOT_PID" 2>/dev/null
	kill "$KNOT_PID" 2>/dev/null
	wait "$KNOT_PID" 2>/dev/null
	KNOT_PID=
}

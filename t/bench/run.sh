#!/bin/sh
# make bench: the server, a peer if it can be had, and the figures.
# BENCH: which parts (server trees store formats receive; all); BENCH_SIZES: of the trees.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
. "$SRCDIR/t/lib/dovecot.sh"
flow_init 17000
cp "$BUILDDIR/t/bench/bare" "$T/bin/" || exit 1
chmod 755 "$T/bin/bare"
flow_start || exit 1
for i in 0 1 2 3 4 5 6 7 8 9; do
	as quire -C "$D" account add "b$i" "b$i@localhost" >/dev/null
done
as mkdir -p "$T/work/dove" "$T/dv/home"
set --
sh "$SRCDIR/t/lib/peers.sh" dovecot >/dev/null 2>&1
if dovecot_possible; then
	dovecot_conf "$T/dv" "$T/work/dove" "$((P + 1))"
	dovecot_start "$T/dv" && set -- "$((P + 1))" "$DOVECOT_PID"
fi
# as root if we are: other processes' memory can be read then
part() { [ -z "${BENCH-}" ] || case " $BENCH " in *" $1 "*) ;; *) false ;; esac; }
if part server; then
	/usr/bin/python3 "$SRCDIR/t/bench/bench.py" "$T/bin/bare" "$SMTP" \
	    "$IMAP" "$FLOW_PID" "$MD" "$T/work" "$@"
fi
SIZES=${BENCH_SIZES:-10000 100000 1000000}
if part trees; then
	[ $# -eq 0 ] || set -- dovecot "$1" "$2" quire "$T/work/dove"
	/usr/bin/python3 "$SRCDIR/t/bench/trees.py" "$T/work" "$SIZES" "$@" \
	    quire "$IMAP" "$FLOW_PID" quire@localhost "$MD"
fi
if part store; then
	for n in $SIZES; do
		mkdir "$T/work/store"
		"$BUILDDIR/t/bench/store" "$T/work/store" "$n"
		rm -rf "$T/work/store"
	done
fi
[ -z "${DOVECOT_PID-}" ] || dovecot_stop
flow_stop >/dev/null
! part formats || "$BUILDDIR/t/bench/formats"
if part receive; then
	SRCDIR=$(cd "$SRCDIR" && pwd)
	export SRCDIR
	sh "$SRCDIR/t/bench/receive.sh" 2000
fi

# Daemons on loopback for shell flows. Source it after tap.sh.
#
#   flow_init [PORT_BASE]   T: a directory of its own; P: its port offset
#   flow_start [ARG..]      quire localserve in $T/server, until "ready";
#                           FLOW_UNDER: a program and arguments to run it
#   flow_stop               stops it and checks how every daemon ended
#   as CMD..                run a command as the unprivileged uid
#
# Runs as an unprivileged uid when the test is root: refusals prove nothing
# for root. Programs are copied to a place that uid can reach.
FLOW_UID=65534 # nobody and nogroup: Dovecot wants names
BUILDDIR=${BUILDDIR:-$SRCDIR/build}
# daemons end without giving back what lives as long as they do; leaks are
# looked for in unit tests
ASAN_OPTIONS=detect_leaks=0
export ASAN_OPTIONS

as() {
	if [ "$(id -u)" -eq 0 ]; then
		HOME="$T/home" setpriv --reuid "$FLOW_UID" --regid "$FLOW_UID" \
		    --clear-groups "$@"
	else
		HOME="$T/home" "$@"
	fi
}

# the same in place of this shell, so that its process id is the program's
as_exec() {
	if [ "$(id -u)" -eq 0 ]; then
		HOME="$T/home" exec setpriv --reuid "$FLOW_UID" \
		    --regid "$FLOW_UID" --clear-groups "$@"
	else
		HOME="$T/home" exec "$@"
	fi
}

flow_init() {
	T=$(mktemp -d "${TMPDIR:-/tmp}/quire-flow.XXXXXX") || exit 99
	P=$((${1:-20000} + $$ % 997 * 10))
	mkdir "$T/home" "$T/bin"
	# the source tree may lie where that uid cannot reach it
	cp "$BUILDDIR"/bin/* "$T/bin/" 2>/dev/null
	cp "$SRCDIR"/t/flow/*.py "$T/"
	chmod 755 "$T" "$T/bin"
	if [ "$(id -u)" -eq 0 ]; then
		chown -R "$FLOW_UID:$FLOW_UID" "$T"
	fi
	PATH="$T/bin:$PATH"
	trap flow_cleanup EXIT
	trap 'exit 99' INT TERM
	SMTP=$((25 + P)) SUBMISSION=$((587 + P)) SUBMISSIONS=$((465 + P))
	IMAP=$((143 + P)) IMAPS=$((993 + P))
	D="$T/server"
	MD="$D/mail/quire/Maildir"
	export T P SMTP SUBMISSION SUBMISSIONS IMAP IMAPS D MD
}

flow_start() {
	rm -f "$T/out" # it may say that an earlier one was ready
	as_exec ${FLOW_UNDER-} quire localserve --dir "$D" --ip 127.0.0.1 \
	    --port-offset "$P" "$@" >"$T/out" 2>>"$T/log" &
	FLOW_PID=$!
	_n=0
	until grep -qx ready "$T/out" 2>/dev/null; do
		_n=$((_n + 1))
		if [ $_n -gt 300 ] || ! kill -0 "$FLOW_PID" 2>/dev/null; then
			diag "server did not start:"
			diag "$(cat "$T/out" "$T/log")"
			return 1
		fi
		sleep 0.1
	done
}

# Stops by control socket; then the log must show no crash and no report of
# a sanitizer.
flow_stop() {
	[ -n "${FLOW_PID-}" ] || return 0
	as quire -C "$D" stop >/dev/null 2>&1 || kill "$FLOW_PID" 2>/dev/null
	wait "$FLOW_PID"
	_rc=$?
	FLOW_PID=
	is "quired ended cleanly" "$_rc" 0
	if [ -z "${FLOW_CRASHES-}" ]; then
		_bad=$(grep -aE 'ev=(child.died|worker.crashed)|runtime error|AddressSanitizer|LeakSanitizer|Assertion' "$T/log")
		is "no daemon crashed" "$_bad" ""
	fi
}

flow_cleanup() {
	if [ -n "${FLOW_PID-}" ]; then
		kill "$FLOW_PID" 2>/dev/null
		wait "$FLOW_PID" 2>/dev/null
	fi
	if [ -n "${FLOW_KEEP-}" ]; then echo "# kept: $T"; else rm -rf "$T"; fi
}

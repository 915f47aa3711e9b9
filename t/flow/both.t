#!/bin/sh
# coexist dovecot: dovecot-lda and Dovecot's IMAP sessions work on one Maildir
# while Quire delivers by SMTP and quire-mda and serves IMAP sessions there;
# then, shorter, the same with LAYOUT=fs. BOTH seconds (60); `make check-both`
# takes ten minutes.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
. "$SRCDIR/t/lib/dovecot.sh"
sh "$SRCDIR/t/lib/peers.sh" dovecot >/dev/null 2>&1
dovecot_possible || skip_all "Dovecot cannot be run here (needs root and apt)"
flow_init 33000
SECONDS_EACH=${BOTH:-60}

# both NAME SECONDS LIST.. : the Maildir is $T/NAME, and these lists are in it;
# with DOVECOT_LAYOUT=fs our own files are in $T/NAME.index
both() {
	name=$1 seconds=$2
	shift 2
	MD=$T/$name DV=$T/$name.dv
	D=$T/$name.server
	index=
	[ -z "${DOVECOT_LAYOUT-}" ] || index="--index-root $T/$name.index"
	as mkdir -p "$DV/home" "$MD"
	dovecot_conf "$DV" "$MD" "$((P + 1))"
	ok "$name: Dovecot starts" dovecot_start "$DV"
	as quire localserve --dir "$D" --ip 127.0.0.1 --port-offset "$P" \
	    --maildir "$MD" --init-only >/dev/null
	as sh -c "echo 'coexist dovecot' >>'$D/quire.conf'"
	if [ -n "$index" ]; then
		printf 'layout fs\nindex-root %s\n' "$T/$name.index" \
		    >>"$D/accounts/quire.conf"
	fi
	flow_start --dir "$D" || {
		fail "$name: server starts"
		return
	}
	MDA="$T/bin/quire-mda --coexist $index -M $MD" \
	    dovecot_in /usr/bin/python3 "$T/both.py" "$DV" "$((P + 1))" \
	    "$IMAP" "$SMTP" "$seconds" >"$T/py" 2>&1
	while read -r verdict what; do
		case $verdict in
		ok) pass "$name: $what" ;;
		not) fail "$name: ${what#ok }" ;;
		*) diag "$verdict $what" ;;
		esac
	done <"$T/py"
	ok "$name: the script ran to its end" grep -q '^ok the end$' "$T/py"
	flow_stop
	dovecot_stop
	is "$name: Dovecot does not complain" "$(grep -v 'Killed with signal 15' \
	    "$DV/dovecot.log" |
	    grep -E 'Warning|Error|Panic|Fatal|Broken|uplicate|reappeared|corrupt')" ""
	# an mda that was idle for two generations compares its view with the
	# new one
	grep -aE 'level=(error|warn)' "$T/log" | grep -v ev=store.reload |
	    head -n 20 >"$T/complaints"
	events=$(sed 's/.* ev=\([^ ]*\).*/\1/' "$T/complaints" | sort -u | tr '\n' ' ')
	is "$name: Quire does not either${events:+ ($events)}" \
	    "$(cat "$T/complaints")" ""
	# before and after quire completes them, all lists are in order
	for export in no yes; do
		if [ $export = yes ]; then
			# shellcheck disable=SC2086 # none or two words
			ok "$name: export-state" as quire export-state --sync \
			    --user quire --separator / $index --maildir "$MD"
		fi
		for f in "$@"; do
			is "$name: no UID twice in $f" "$(tail -n +2 "$MD/$f" |
			    cut -d ' ' -f 1 | sort | uniq -d)" ""
			is "$name: no file twice" "$(tail -n +2 "$MD/$f" |
			    sed 's/.*://' | sort | uniq -d)" ""
			ok "$name: in order" sh -c \
			    "tail -n +2 '$MD/$f' | cut -d ' ' -f 1 | sort -nc"
		done
	done
	# shellcheck disable=SC2086
	as quire verify --deep $index "$MD" >"$T/verify"
	is "$name: quire verify finds nothing" \
	    "$(grep -E '^(warning|error)' "$T/verify")" ""
	like "$name: of what is there" "$(cat "$T/verify")" \
	    'mailboxes=[1-9].* messages=[1-9][0-9]'
}

both Maildir "$SECONDS_EACH" dovecot-uidlist .Archive/dovecot-uidlist
DOVECOT_LAYOUT=fs
both nested "$((SECONDS_EACH / 4))" dovecot-uidlist Archive/dovecot-uidlist
is "nested: nothing of ours but quire.id is in the tree" \
    "$(find "$T/nested" -name 'quire*' ! -name quire.id)" ""
done_testing

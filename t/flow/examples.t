#!/bin/sh
# What doc/man and examples/ show, works: the commands of every EXAMPLES
# section are run against a server, configurations are checked, and the
# options of the programs are those of their pages.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
command -v curl >/dev/null || skip_all "curl is not installed"
command -v swaks >/dev/null || skip_all "swaks is not installed"
flow_init 25000
flow_start || { fail "server starts"; done_testing; exit 0; }
Q=$((P + 1000)) # offset of the server that an example starts
RUN="$T/home"

# The places and ports of the manual, and what they are here.
cat >"$T/table" <<TABLE
s|-C /etc/quire|-C $D|g
s|localserve --dir /tmp/mail|localserve --port-offset $Q --dir /tmp/mail|g
s|/tmp/mail|$T/second|g
s|localhost:1993|localhost:$IMAPS|g
s|127\\.0\\.0\\.1:1025|127.0.0.1:$SMTP|g
s|/home/bob/Maildir|$RUN/Maildir|g
s|ssh -q home quire-imap --preauth Maildir|quire-imap --preauth $RUN/Maildir|g
s|/usr/bin/quire-mda|quire-mda|g
s|-d "\\\$USER"|-M $RUN/Maildir|g
s|/var/vmail|$T/vmail|g
s|/etc/ssl/private/[a-z]*[.]pem|$D/key.pem|g
s|/etc/ssl/[a-z]*[.]pem|$D/cert.pem|g
TABLE
# Files the examples name, in the directory they run in.
as ln -s "$D/ca.pem" "$RUN/ca.pem"
as ln -s "$T/log" "$RUN/log"
printf 'From: a@example.org\nSubject: example\n\nhello\n' >"$RUN/message"
as mkdir "$RUN/Maildir"
# a failed login for the log's example
curl -s "imap://127.0.0.1:$IMAP/" -u quire@localhost:wrong -o "$T/null"

# examples PAGE: one line for each line shown, what it is in front:
#   $ a command, < its input, . a line of a text, = the end of a block
examples() {
	awk '
	function plain(s) {
		gsub(/\\\(dq/, "\"", s); gsub(/\\&/, "", s)
		gsub(/\\-/, "-", s); gsub(/\\e/, "\\", s)
		return s
	}
	/^\.Sh / { inside = $2 == "EXAMPLES" }
	!inside { next }
	/^\.Dl / {
		s = plain(substr($0, 5))
		print sub(/^\$ /, "", s) ? "$" s : "." s; print "="; next
	}
	/^\.Bd -literal/ { block = 1; prompt = 0; next }
	/^\.Ed/ { block = 0; print "="; next }
	block && /^\$ / { prompt = 1; print "$" plain(substr($0, 3)); next }
	block { print (prompt ? "<" : ".") plain($0) }' "$1" |
	    sed -f "$T/table"
}

# try WHAT COMMAND: with $T/input as its input, where the files are. One that
# goes to the background is a server: it must get ready.
try() {
	case $2 in
	*'&')
		as sh -c "cd '$RUN' && exec ${2%&}" >"$T/second.out" 2>&1 &
		SECOND=$!
		n=0
		until grep -qsx ready "$T/second.out" || [ $n -gt 200 ]; do
			n=$((n + 1)); sleep 0.1
		done
		ok "$1" grep -qx ready "$T/second.out"
		return
		;;
	esac
	if (cd "$RUN" && as timeout 60 sh -c "$2") <"$T/input" >"$T/out2" 2>&1
	then
		pass "$1"
	else
		fail "$1"; diag "$2"; diag "$(cat "$T/out2")"
	fi
}

# config_ok WHAT DIR: quired and quire have nothing to say against it
config_ok() {
	if out=$(as quired -t -C "$2" 2>&1) &&
	    out=$(as quire -C "$2" config check 2>&1); then
		pass "$1"
	else
		fail "$1"; diag "$out"
	fi
}

# text PAGE: a block without prompt, in $T/text
text() {
	case $1:$(sed -n 1p "$T/text") in
	quire.conf.5:*)
		as mkdir -p "$T/conf/domains" "$T/conf/accounts"
		cp "$T/text" "$T/conf/quire.conf"
		config_ok "$1: configuration" "$T/conf"
		;;
	*:'import '*)
		try "$1: Python" "/usr/bin/python3 '$T/text'"
		;;
	*:IMAPAccount*)
		command -v mbsync >/dev/null || return
		as mkdir "$RUN/far"
		cat - "$T/text" >"$T/mbsyncrc" <<RC
MaildirStore near
Path $RUN/far/
Inbox $RUN/far/INBOX
RC
		cat >>"$T/mbsyncrc" <<RC

IMAPStore far
Account home

Channel all
Far :far:
Near :near:
Create Near
RC
		sed -i 's/^IMAPAccount/\n&/' "$T/mbsyncrc"
		chmod 644 "$T/mbsyncrc"
		try "$1: mbsync" "mbsync -c '$T/mbsyncrc' all"
		;;
	*:'mailbox_command = '*)
		printf 'hi\n' >"$T/input"
		try "$1: mailbox_command" "SENDER=a@example.org; $(sed \
		    's/^[^=]*= //' "$T/text")"
		;;
	*)
		fail "$1: nobody knows how to try this"
		diag "$(cat "$T/text")"
		;;
	esac
}

for page in "$SRCDIR"/doc/man/*.[1-8]; do
	name=$(basename "$page")
	[ "$name" != libquire.3 ] || continue # a program: library.t builds it
	examples "$page" >"$T/lines"
	ok "$name has examples" test -s "$T/lines"
	: >"$T/text"
	: >"$T/input"
	cmd=
	while IFS= read -r line; do
		what=${line%"${line#?}"}
		rest=${line#?}
		if [ -n "$cmd" ] && [ "$what" != '<' ]; then
			try "$name: $(printf %s "$cmd" | sed "s|$T/||g")" "$cmd"
			cmd=
			: >"$T/input"
		fi
		case $what in
		'$') cmd=$rest ;;
		'<') printf '%s\r\n' "$rest" >>"$T/input" ;;
		.) printf '%s\n' "$rest" >>"$T/text" ;;
		=)
			if [ -s "$T/text" ]; then
				text "$name"
			fi
			: >"$T/text"
			: >"$T/input"
			;;
		esac
	done <"$T/lines"
done
if [ -n "${SECOND-}" ]; then
	wait "$SECOND"
	is "the server of an example ended cleanly" $? 0
fi
filed() { find "$RUN/Maildir/new" "$RUN/Maildir/cur" -type f | wc -l; }
is "two examples filed a message each" "$(filed)" 2

# Options. getopt tells what it takes: the letters it does not call invalid,
# and of a long option, given the beginning, the whole name.
complaint() { as timeout 5 "$@" </dev/null 2>&1; }
# taken PROGRAM: options it takes
taken() {
	for c in a b c d e f g h i j k l m n o p q r s t u v w x y z; do
		for o in $c $(echo $c | tr a-z A-Z); do
			complaint "$1" "-$o" | grep -q 'invalid option' ||
			    echo "$o"
			# one takes no argument, the other wants one
			{ complaint "$1" "--$o=x"; complaint "$1" "--$o"; } |
			    grep -o -- "'--[^'=]*'" |
			    grep -v -- "'--$o'" | tr -d "'" | sed 's/^-//'
		done
	done | sort -u
}
# shown PAGE WHERE: options of its synopsis, or of the page
shown() {
	awk -v where="$2" '
	/^\.Sh / { inside = where == "page" || $2 == where }
	inside && /^\./ {
		for (i = 1; i < NF; i++) {
			if ($i != "Fl" && $i != ".Fl") continue
			o = $(i + 1)
			if (o ~ /^-/) { print o; continue }
			for (k = 1; k <= length(o); k++) print substr(o, k, 1)
		}
	}' "$SRCDIR/doc/man/$1" | sort -u
}
for p in quired quire-mda quire-imap; do
	is "$p takes the options of its synopsis and no others" \
	    "$(taken "$p")" "$(shown "$p.8" SYNOPSIS)"
	is "$p: its page tells of each" "$(shown "$p.8" page)" \
	    "$(shown "$p.8" SYNOPSIS)"
done
for c in $(as quire help | sed -n '1,/^$/d; s/^  \([a-z]*\) .*/\1/p'); do
	[ "$c" = help ] || ok "quire(8) has $c" \
	    grep -qE "^\\.It Ic $c( |\$)" "$SRCDIR/doc/man/quire.8"
done
for o in $(as quire help | grep -o -- '--[a-z][a-z-]*' | sort -u); do
	ok "quire(8) has $o" grep -qE -- "Fl -${o#--}( |\$)" \
	    "$SRCDIR/doc/man/quire.8"
done

# examples/: each directory is a configuration
for dir in "$SRCDIR"/examples/*/; do
	name=$(basename "$dir")
	cp -R "$dir" "$T/$name"
	find "$T/$name" -name '*.conf' -exec sed -i -f "$T/table" {} +
	[ "$(id -u)" -ne 0 ] || chown -R "$FLOW_UID:$FLOW_UID" "$T/$name"
	config_ok "examples/$name" "$T/$name"
done
sed -n 's/^    \(mailbox_command = .*\)/\1/p' \
    "$SRCDIR/examples/postfix-with-quire-mda.txt" | sed -f "$T/table" \
    >"$T/text"
text postfix-with-quire-mda.txt
is "and it is filed" "$(filed)" 3

if command -v mandoc >/dev/null; then
	for page in "$SRCDIR"/doc/man/*.[1-8]; do
		is "mandoc likes $(basename "$page")" \
		    "$(mandoc -T lint -W warning "$page" 2>&1)" ""
	done
fi
flow_stop
done_testing

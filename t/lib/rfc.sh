#!/bin/sh
# Index of the RFC references in lib/ and src/, by RFC and section:
#
#   rfc.sh          for people: a heading for each RFC
#   rfc.sh -l       for programs: number, section or -, file:line, by tabs
#
# Read are "RFC 9051, 6.4.5", "RFC 9051, 6.3.9 and 7.3.1" and lists such as
# "RFC 5321, 1870 (SIZE), 2045-2047": from 100 on a number is another RFC. A
# reference may go on in the next line of a comment.
cd "$(dirname "$0")/../.." || exit 1
find lib src -name '*.[ch]' | sort | xargs awk '
function say(n, s) { printf "%d\t%s\t%s:%d\n", n, s, file, at }
# the text behind "RFC "
function take(rest,	item, rfc, told) {
	match(rest, /^[0-9]+/)
	rfc = substr(rest, 1, RLENGTH) + 0
	rest = substr(rest, RLENGTH + 1)
	told = 0
	for (;;) {
		sub(/^ \([A-Za-z0-9= -]+\)/, "", rest)
		if (!match(rest, /^(,| and|-) *([0-9]+(\.[0-9]+)*|[A-Z](\.[0-9]+)+)/))
			break
		item = substr(rest, 1, RLENGTH)
		rest = substr(rest, RLENGTH + 1)
		sub(/^(,| and) */, "", item)
		if (item ~ /^-/ && told == 0 && -item > rfc) {
			while (rfc < -item) { say(rfc, "-"); rfc++ }
		} else if (item ~ /^[0-9]+$/ && item + 0 >= 100) {
			if (!told) say(rfc, "-")
			rfc = item + 0; told = 0
		} else if (item !~ /^-/) {
			say(rfc, item); told = 1
		}
	}
	if (!told) say(rfc, "-")
}
function scan(line,	from) {
	while (from = match(line, /RFC [0-9]+/)) {
		line = substr(line, from + 4)
		take(line)
	}
}
FNR == 1 { if (held != "") scan(held); held = "" }
{
	line = $0
	if (held != "") {
		sub(/^[ \t]*\*?[ \t]*/, "", line)
		line = held " " line
	} else {
		at = FNR; file = FILENAME
	}
	held = ""
	if (line ~ /RFC( [0-9]+(,? [0-9-]+( \([A-Z0-9= -]+\))?)*,)?$/) {
		held = line; next
	}
	scan(line)
}
END { if (held != "") scan(held) }' |
    sort -t "$(printf '\t')" -k1,1n -k2,2V -k3,3V |
    if [ "${1-}" = -l ]; then cat; else
	awk -F '\t' '
	$1 != last { printf "%sRFC %s\n", last == "" ? "" : "\n", $1; last = $1 }
	{ printf "    %-12s %s\n", $2 == "-" ? "" : $2, $3 }'
    fi

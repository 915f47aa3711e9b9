#!/bin/sh
# doc/rfc.md and the code agree: every RFC that lib/ or src/ refers to is in
# the table, and every module the table names refers to that RFC.
. "${SRCDIR:=.}/t/lib/tap.sh"
cd "$SRCDIR" || exit 99
index=$(sh t/lib/rfc.sh -l)

# compare WHAT: lines of one kind of disagreement
compare() {
	printf '%s\n' "$index" | awk -F '\t' -v what="$1" '
	FNR == NR {
		sub(/:[0-9]+$/, "", $3)
		n = split($3, part, "/")
		used[$1] = $3
		dir = part[1] "/" part[2]
		refers[$1, dir] = 1
		if (n > 3)
			refers[$1, dir "/" part[3]] = 1
		next
	}
	/^\| [0-9]+ \|/ {
		split($0, col, / *\| */)
		if (listed[col[2]]++ && what == "twice")
			print "RFC " col[2]
		if (what == "status" &&
		    col[4] !~ /^(full|partial|referred to)$/)
			print "RFC " col[2] ": " col[4]
		if (what == "status" && col[4] == "partial" && col[6] == "")
			print "RFC " col[2] ": what is missing?"
		k = split(col[5], room, " ")
		for (i = 1; i <= k; i++)
			if (what == "rooms" && !((col[2], room[i]) in refers))
				print "RFC " col[2] ": " room[i]
	}
	END {
		if (what == "lacks")
			for (rfc in used)
				if (!(rfc in listed))
					print "RFC " rfc ": " used[rfc]
	}' - doc/rfc.md || echo "awk failed"
}
ok "there are references" test -n "$index"
is "every RFC of the code is in doc/rfc.md" "$(compare lacks)" ""
is "every module named there refers to it" "$(compare rooms)" ""
is "no RFC is there twice" "$(compare twice)" ""
is "every status is one of three, partial says why" "$(compare status)" ""
done_testing

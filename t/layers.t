#!/bin/sh
# The layers: an include may only point left (doc/layers.txt says who may
# include whom), and formats are pure.
. "${SRCDIR:=.}/t/lib/tap.sh"
cd "$SRCDIR" || exit 99

# who FILE -> the row name in layers.txt that holds for it
violations=$(awk '
FNR == NR {
	if ($0 ~ /^[ \t]*(#|$)/) next
	split($0, half, ":")
	gsub(/[ \t]/, "", half[1])
	may[half[1]] = " " half[2] " "
	next
}
FNR == 1 {
	n = split(FILENAME, part, "/")
	if (part[1] == "lib") {
		floor = part[2]
		room = part[2] == "base" ? "base" : part[2] "/" part[3]
	} else {
		floor = "src"; room = "src/" part[2]
	}
	row = (room in may) ? room : floor
	if (!(row in may)) print FILENAME ": no row in doc/layers.txt"
}
/^#include "/ {
	inc = $2; gsub(/"/, "", inc)
	k = split(inc, to, "/")
	target = to[1] == "base" ? "base" : to[1] "/" to[2]
	if (k == 1 && part[1] == "src") next
	if (k == 1) { print FILENAME ": " inc " does not name its floor"; next }
	if (target == room) next
	if (inc ~ /_int\.h$/) {
		print FILENAME ": " inc " belongs to its own folder"; next
	}
	if (index(may[row], " " target " ") || index(may[row], " " to[1] " "))
		next
	print FILENAME ": may not include " inc
}' doc/layers.txt $(find lib src -name '*.[ch]' | sort))
is "includes point left" "$violations" ""

impure=$(grep -nE '#include <(ev|sys/socket|unistd|fcntl|time|openssl)' \
    $(find lib/format -name '*.[ch]') | grep -vE 'lib/format/(sasl|dkim)/' )
is "formats are pure" "$impure" ""
renames=$(grep -lE '\b(rename|renameat|renameat2)\(' $(find lib src -name '*.c') |
    grep -vE '^lib/(system/fs|service/store)/')
is "only fs and store rename" "$renames" ""
done_testing

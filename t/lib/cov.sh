#!/bin/sh
# Line coverage by module, in build-cov/: all tests with gcc's --coverage and
# without confinement, which would keep programs from writing their counts.
# A line counts as run if any program ran it. Processes that are killed, or
# end by _exit, leave no counts: what only they run looks worse than it is.
#
#   COV_TESTS   which tests; all unless set
cd "$(dirname "$0")/../.." || exit 1
mkdir -p build-cov
cd build-cov || exit 1
[ -f Makefile ] || ../configure -q CC=gcc CPPFLAGS=-DQUIRE_SANITIZE \
    CFLAGS='-O0 -g --coverage -fprofile-update=atomic' || exit 1
make -s -j"${JOBS:-2}" all check TESTS= >/dev/null || exit 1
find . -name '*.gcda' -delete
# programs of flows run as another user
find . -type d -exec chmod a+rwx {} +
(umask 0; make -s check ${COV_TESTS+TESTS="$COV_TESTS"} >check.out 2>&1) ||
    echo "some tests failed: build-cov/check.out"
find . -name '*.gcda' -exec gcov -t {} + 2>/dev/null | awk '
/^ *-: *0:Source:/ {
	file = $0
	sub(/^ *-: *0:Source:/, "", file)
	sub(/^(\.\.\/)*/, "", file)
	next
}
file ~ /^(lib|src)\// {
	split($0, part, ":")
	count = part[1]; line = part[2] + 0
	gsub(/[ *]/, "", count)
	if (count == "-" || line == 0) next
	key = file ":" line
	if (!(key in run)) run[key] = 0
	if (count !~ /^[#=]/) run[key] = 1
}
END {
	for (key in run) {
		n = split(key, part, "/")
		dir = part[1] "/" part[2]
		if (n > 3) dir = dir "/" part[3]
		all[dir]++; hit[dir] += run[key]
		total++; reached += run[key]
	}
	for (dir in all)
		printf "%-22s %6d of %6d lines  %5.1f%%\n", dir, hit[dir],
		    all[dir], 100 * hit[dir] / all[dir]
	if (total > 0)
		printf "~all %24d of %6d lines  %5.1f%%\n", reached, total,
		    100 * reached / total
}' | sort | sed 's/^~all/all /'

#!/bin/sh
# cppcheck, shellcheck, mandoc, and calls the house style does without.
cd "$(dirname "$0")/../.." || exit 1
bad=0
if grep -nE '\b(strcpy|strcat|sprintf|strtok|sscanf|atoi|gets)\(' \
    $(find lib src -name '*.c'); then
	echo "calls the house style does without"
	bad=1
fi
# shellcheck disable=SC2046
cppcheck -q --std=c11 --error-exitcode=1 -j 2 -I lib \
    --enable=warning,portability --inline-suppr \
    --suppressions-list=t/lib/cppcheck.txt $(find lib src -name '*.c') || bad=1
# word splitting of lists of our own files is wanted; -nt is in every sh here
SC="shellcheck -s sh -S warning -e SC1090,SC1091,SC2034,SC2044,SC2046,SC2086,SC3013,SC3045"
$SC packaging/bootstrap t/lib/*.sh t/bench/*.sh || bad=1
for f in $(find t -name '*.t'); do
	head -n 1 "$f" | grep -q '/sh' || continue
	$SC "$f" || bad=1
done
for f in doc/man/*.[1-8]; do
	[ -f "$f" ] || continue
	out=$(mandoc -T lint -W warning "$f") || { echo "$out"; bad=1; }
done
exit $bad

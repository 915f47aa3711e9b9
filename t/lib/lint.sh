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
shellcheck -s sh packaging/bootstrap t/lib/*.sh || bad=1
for f in $(find t -name '*.t'); do
	head -n 1 "$f" | grep -q '/sh' || continue
	shellcheck -s sh -e SC1091,SC1090 "$f" || bad=1
done
for f in doc/man/*.[1-8]; do
	[ -f "$f" ] || continue
	out=$(mandoc -T lint -W warning "$f") || { echo "$out"; bad=1; }
done
exit $bad

#!/bin/sh
# make check, then the one closing line. Old results are removed first, so
# that only tests that ran are counted; a total of 0 fails. With CI=true a
# skipped test must be listed in t/skips.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
find "$BUILD" -name '*.trs' -delete
rm -f "$BUILD"/check.*
# Programs in parallel; then the tests, one after the other: flows start
# servers. Only those that wait most of the time run beside the others, and
# those that keep the machine busy run when nothing else does.
tests() {
	make -C "$BUILD" -s check TESTS="$2" TEST_SUITE_LOG="$1.log" \
	    >"$BUILD/check.$1" 2>&1 || made=1
}
made=0
make -C "$BUILD" -s -j"${JOBS:-2}" check TESTS= >"$BUILD/check.made" 2>&1 ||
    made=1
if [ "$made" -eq 0 ]; then
	# shellcheck disable=SC2016 # make's variables
	{
		{ tests waiting '$(FLOWS_WAITING)'; exit "$made"; } &
		tests units '$(UNITS)'
		tests flows '$(FLOWS)'
		wait $! || made=1
		tests busy '$(FLOWS_BUSY)'
	}
fi
cat "$BUILD"/check.* >"$BUILD/check-out"
grep -E '^(FAIL|ERROR|XPASS|SKIP):' "$BUILD/check-out"
count() {
	find "$BUILD" -name '*.trs' -exec cat {} + |
	    grep -cE "^:test-result: ($1)"
}
passed=$(count 'PASS|XFAIL')
failed=$(count 'FAIL|ERROR|XPASS')
skipped=$(count SKIP)
if [ "$made" -ne 0 ] && [ "$failed" -eq 0 ]; then
	tail -n 60 "$BUILD/check-out"
	failed=1
elif [ "$failed" -gt 0 ]; then
	for t in $(find "$BUILD" -name '*.trs' -exec \
	    grep -lE '^:test-result: (FAIL|ERROR|XPASS)' {} +); do
		echo "---- ${t%.trs}.log"
		# what failed, with its reasons; then how it ended
		grep -A 12 '^not ok' "${t%.trs}.log" | grep -v '^ok' | head -n 60
		grep -vE '^(ok|PASS)' "${t%.trs}.log" | tail -n 30
	done
fi
if [ "${CI-}" = true ] && [ "$skipped" -gt 0 ]; then
	for t in $(find "$BUILD" -name '*.trs' -exec \
	    grep -lE '^:test-result: SKIP' {} +); do
		name=${t#"$BUILD"/}
		grep -qxF "${name%.trs}" t/skips || {
			echo "skipped without being listed in t/skips: ${name%.trs}"
			failed=$((failed + 1))
		}
	done
fi
[ "$passed" -gt 0 ] || failed=$((failed + 1))
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]

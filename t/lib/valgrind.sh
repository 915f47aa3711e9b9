#!/bin/sh
# The unit tests under valgrind: reads and writes that are out of place, and
# leaks, are errors. A test runs in its process (CK_FORK=no), so what it does
# not give back is seen. Left out: check_confine, because valgrind cannot live
# in what it confines. Tests that need openat2(), which valgrind 3.19 does not
# know, are said to be skipped; check-asan looks at both.
#
#   VALGRIND_TESTS   which ones; all t/unit/*/check_* unless set
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
command -v valgrind >/dev/null || { echo "valgrind is not installed"; exit 1; }
make -C "$BUILD" -s -j"${JOBS:-2}" check TESTS= >/dev/null || exit 1
SRCDIR=$PWD BUILDDIR=$PWD/$BUILD CK_FORK=no CK_DEFAULT_TIMEOUT=0
export SRCDIR BUILDDIR CK_FORK CK_DEFAULT_TIMEOUT
bad=0
for t in ${VALGRIND_TESTS:-"$BUILD"/t/unit/*/check_*}; do
	[ -x "$t" ] || continue
	case $t in
	*/check_confine) continue ;;
	esac
	log=$BUILD/${t#"$BUILD"/}.valgrind
	if valgrind -q --leak-check=full --errors-for-leak-kinds=definite,possible \
	    --show-leak-kinds=definite,possible --error-exitcode=99 \
	    --suppressions=t/lib/valgrind.supp "$t" >"$log" 2>&1; then
		echo "ok $t"
	elif grep -q 'unhandled .* syscall: 437' "$log"; then
		echo "skip $t: this valgrind has no openat2()"
	else
		echo "not ok $t"
		grep -E '^(==|not ok)|:[FE]:' "$log" | head -n 60
		bad=1
	fi
done
exit $bad

#!/bin/sh
# Everything CI runs, each stage with a time box. A stage is one line of the
# closing count; its output is shown when it fails.
set -u
cd "$(dirname "$0")/../.." || exit 1
P=0
F=0
S=0
OUT=build/stages
mkdir -p "$OUT"
nproc=$(nproc 2>/dev/null || echo 2)

# stage NAME SECONDS CMD..
stage() {
	name=$1 limit=$2
	shift 2
	start=$(date +%s)
	timeout -k 10 "$limit" "$@" >"$OUT/$name.out" 2>&1
	rc=$?
	if [ "$rc" -eq 0 ]; then
		P=$((P + 1))
		echo "ok   $name ($(($(date +%s) - start)) s)"
	elif [ "$rc" -eq 77 ] && grep -qxF "$name" t/skips; then
		S=$((S + 1))
		echo "skip $name: $(tail -n 1 "$OUT/$name.out")"
	else
		F=$((F + 1))
		echo "FAIL $name ($(($(date +%s) - start)) s of $limit)"
		tail -n 80 "$OUT/$name.out"
	fi
}

# The counted tests themselves: their numbers go into the total.
start=$(date +%s)
timeout -k 10 1800 sh t/lib/check.sh >"$OUT/check.out" 2>&1
last=$(tail -n 1 "$OUT/check.out")
case $last in
*passed,*failed,*skipped)
	# shellcheck disable=SC2086
	set -- $last
	P=$1 F=$3 S=$5
	;;
*) F=1 ;;
esac
echo "check: $last ($(($(date +%s) - start)) s)"
[ "$F" -eq 0 ] || cat "$OUT/check.out"

stage format 120 sh t/lib/format.sh
stage lint 600 sh t/lib/lint.sh
stage clang 600 sh -c 'mkdir -p build-clang && cd build-clang &&
    { [ -f Makefile ] || ../configure -q CC=clang; } &&
    make -s -j'"$nproc"' all'
stage sanitizers 1800 sh -c 'mkdir -p build-asan && cd build-asan &&
    { [ -f Makefile ] || ../configure -q --enable-sanitizers CFLAGS="-O1 -g"; } &&
    cd .. && BUILD=build-asan QUIRE_SANITIZED=1 sh t/lib/check.sh'
stage steps 500 sh -c 'QUIRE_FULL=1 QUIRE_MODE=kill build/t/crash/store_steps |
    { tee /dev/stderr | grep -q "^ok 1"; }'
stage model 400 env OPS=200000 sh t/crash/model.sh
stage power 300 env STRIDE=13 sh t/crash/power.sh
stage fuzz 400 env TIME=0 sh t/lib/fuzz.sh
stage distcheck 900 env QUIRE_QUICK=1 make -C build -s -j"$nproc" distcheck

echo "$P passed, $F failed, $S skipped"
[ "$F" -eq 0 ]

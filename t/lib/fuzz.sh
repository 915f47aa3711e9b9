#!/bin/sh
# Builds every fuzz entry with libFuzzer, ASan and UBSan, replays its corpus,
# then looks for something new for a few seconds each (TIME; 0: only replays,
# which gives the same result each time). FUZZ: one name.
cd "$(dirname "$0")/../.." || exit 1
mkdir -p build-fuzz
cd build-fuzz || exit 1
[ -f Makefile ] || ../configure -q CC=clang --enable-sanitizers \
    --enable-fuzzers CFLAGS='-O1 -g -fsanitize=fuzzer-no-link' || exit 1
make -s -j2 fuzzers || exit 1
cd ..
bad=0
for f in t/fuzz/fuzz_${FUZZ:-*}.c; do
	name=$(basename "$f" .c)
	corpus=t/fuzz/corpus/${name#fuzz_}
	work=build-fuzz/corpus/$name
	mkdir -p "$work"
	[ -d "$corpus" ] || corpus=
	dict=t/fuzz/${name#fuzz_}.dict
	if [ -f "$dict" ]; then dict=-dict=$dict; else dict=; fi
	how=-max_total_time=${TIME:-10}
	[ "${TIME:-10}" -ne 0 ] || how=-runs=0
	echo "== $name"
	ASAN_OPTIONS=detect_leaks=0 timeout -k 5 $((${TIME:-10} + 60)) \
	    build-fuzz/t/fuzz/"$name" "$how" \
	    -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
	    -artifact_prefix=build-fuzz/ $dict "$work" $corpus \
	    >build-fuzz/"$name".out 2>&1 || {
		tail -n 30 build-fuzz/"$name".out
		bad=1
	}
	grep -E 'stat::number_of_executed_units' build-fuzz/"$name".out
done
exit $bad

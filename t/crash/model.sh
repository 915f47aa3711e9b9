#!/bin/sh
# The model test at length: OPS operations (10,000,000: some hours), in runs of
# 5,000 with seeds of their own, on as many processors as there are. A run that
# fails is shrunk to the steps it takes.
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
OPS=${OPS:-200000}
FIRST=${FIRST:-1}
STEPS=5000
make -s -C "$BUILD" t/unit/store/check_model || exit 1
T=$(mktemp -d "${TMPDIR:-/tmp}/quire-model-XXXXXX") || exit 1
trap 'rm -rf "$T"' EXIT INT TERM
mkdir "$T/mail" "$T/runs"
export TMPDIR="$T/mail" QUIRE_STEPS=$STEPS
runs=$(((OPS + STEPS - 1) / STEPS))
seq "$FIRST" $((FIRST + runs - 1)) | xargs -P "$(nproc)" -I '{}' sh -c "
	QUIRE_SEED={} $BUILD/t/unit/store/check_model >$T/runs/{} 2>&1
	grep -q '^ok' $T/runs/{} && rm $T/runs/{} || :"
failed=$(ls "$T/runs")
if [ -z "$failed" ]; then
	echo "ok - $((runs * STEPS)) operations in $runs runs"
	# a wrong model must be noticed, and few steps suffice to show it
	QUIRE_BREAK=1 QUIRE_STEPS=400 QUIRE_SEED=$FIRST \
	    "$BUILD/t/unit/store/check_model" >"$T/broken" 2>&1
	step=$(sed -n 's/^not ok.* step \([0-9]*\).*/\1/p' "$T/broken")
	few=$(QUIRE_BREAK=1 /usr/bin/python3 t/crash/shrink.py \
	    "$BUILD/t/unit/store/check_model" "$FIRST" "${step:-0}" |
	    sed -n 's/^\([0-9]*\) steps: not ok.*/\1/p')
	if [ "${few:-99}" -le 5 ]; then
		echo "ok - a wrong model shows in $few of $step steps"
		exit 0
	fi
	echo "not ok - a wrong model: step ${step:-none}, ${few:-none} steps"
	exit 1
fi
for seed in $failed; do
	cat "$T/runs/$seed"
	step=$(sed -n 's/.*seed [0-9]* step \([0-9]*\).*/\1/p' "$T/runs/$seed")
	[ -z "$step" ] || /usr/bin/python3 t/crash/shrink.py \
	    "$BUILD/t/unit/store/check_model" "$seed" "$step"
done
echo "not ok - $(echo "$failed" | wc -l) of $runs runs"
exit 1

#!/bin/sh
# The power cut after every system call, on ext4, XFS and btrfs; then the same
# with one kind of sync left out, which must be seen. STRIDE: every so many
# calls only. 77: this cannot be done here (it takes root and loop devices).
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
STRIDE=${STRIDE:-1}
make -s -C "$BUILD" t/crash/store_power || exit 1
T=$(mktemp -d "${TMPDIR:-/tmp}/quire-power-XXXXXX") || exit 1
trap 'umount "$T/mnt" 2>/dev/null; rm -rf "$T"' EXIT INT TERM

truncate -s 32M "$T/try" && mkfs.ext4 -q "$T/try" && mkdir "$T/mnt" &&
    mount -o loop "$T/try" "$T/mnt" 2>/dev/null || {
	echo "no loop mounts here"
	exit 77
}
umount "$T/mnt"

bad=0
# one FS WHAT [skip=CALL]
one() {
	fs=$1 what=$2
	shift 2
	if "$BUILD/t/crash/store_power" "$T" "$fs" "$@" >"$T/out" 2>&1; then
		echo "ok - $fs, $what: $(tail -n 1 "$T/out")"
	else
		bad=1
		echo "not ok - $fs, $what"
		cat "$T/out"
		umount "$T/mnt" 2>/dev/null
	fi
}
for fs in ext4 xfs btrfs; do
	one "$fs" "power cut" "$STRIDE"
done
# the test of the test
one ext4 "without the journal's sync" $((STRIDE * 4)) skip=sync_data
one ext4 "without the files' sync" $((STRIDE * 4)) skip=sync
exit $bad

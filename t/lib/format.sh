#!/bin/sh
# Fails if clang-format would change a file.
cd "$(dirname "$0")/../.." || exit 1
CF=$(command -v clang-format-14 || command -v clang-format) || exit 1
bad=0
for f in $(git ls-files '*.c' '*.h' 2>/dev/null || find lib src t -name '*.[ch]'); do
	"$CF" "$f" | cmp -s - "$f" || {
		echo "not formatted: $f"
		bad=1
	}
done
exit $bad

#!/bin/sh
# Every event that the code logs is in quire-log(5).
. "${SRCDIR:=.}/t/lib/tap.sh"
cd "$SRCDIR" || exit 99
known=" $(sed -n 's/^\.It Li //p' doc/man/quire-log.5 | tr ',\n' '  ') "
missing=
for e in $( (find src lib -name '*.c' -exec cat {} + | tr '\n' ' ' |
    grep -oE '(LOG_(ERROR|WARN|INFO|DEBUG|TRACE)\(|LOG_AT\([A-Za-z_]+,)[[:space:]]*"[a-z.]+"|"store\.[a-z]+"' ) |
    grep -oE '"[a-z.]+"' | tr -d '"' | sort -u); do
	case $known in
	*" $e "*) ;;
	*) missing="$missing $e" ;;
	esac
done
is "every event has its place in the manual" "$missing" ""
missing=
for k in $(cat lib/service/store/check/*.c | tr '\n' ' ' |
    grep -oE 'verify_found\([^"]*"[a-z-]+"' | grep -oE '"[a-z-]+"' |
    tr -d '"' | sort -u); do
	grep -q "^|.*\`$k\`" doc/verify.md || missing="$missing $k"
done
is "every kind of finding has its row in doc/verify.md" "$missing" ""
done_testing

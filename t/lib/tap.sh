# TAP for shell: plan at the end, every test numbered.
#   ok WHAT CMD...       passes if CMD does
#   is WHAT GOT WANT     passes if equal
#   like WHAT GOT GREP   passes if GOT matches the extended regex
#   skip_all WHY         nothing can be tested here
T_N=0
T_BAD=0
pass() { T_N=$((T_N + 1)); echo "ok $T_N - $1"; }
fail() { T_N=$((T_N + 1)); T_BAD=$((T_BAD + 1)); echo "not ok $T_N - $1"; }
diag() { printf '%s\n' "$*" | sed 's/^/# /'; }
ok() {
	_w=$1; shift
	if "$@" >&2; then pass "$_w"; else fail "$_w"; diag "failed: $*"; fi
}
is() {
	if [ "$2" = "$3" ]; then pass "$1"; else
		fail "$1"; diag "got:  $2"; diag "want: $3"; fi
}
like() {
	if printf '%s\n' "$2" | grep -Eq -- "$3"; then pass "$1"; else
		fail "$1"; diag "got: $2"; diag "want match: $3"; fi
}
skip_all() { echo "1..0 # SKIP $1"; exit 0; }
done_testing() { echo "1..$T_N"; [ "$T_BAD" -eq 0 ] || exit 0; }

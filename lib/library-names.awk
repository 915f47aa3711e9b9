# awk -f library-names.awk HEADER.. NM-OUTPUT: for each name that the archive
# defines its name in the archive of others, as objcopy --redefine-syms reads
# it: quire_NAME if a header declares that, quire__NAME if none has.
FNR == 1 { is_nm = FILENAME ~ /\.nm$/ }
!is_nm { # functions, arrays, variables
	while (match($0, /[A-Za-z0-9_]+[[(;]/)) {
		documented[substr($0, RSTART, RLENGTH - 1)]
		$0 = substr($0, RSTART + RLENGTH)
	}
	next
}
# not the compiler's own, which sanitizers add
NF == 3 && $2 ~ /^[A-TV-Z]$/ && $3 !~ /^_/ && !($3 in seen) {
	seen[$3]
	print $3, ($3 in documented ? "quire_" : "quire__") $3
}

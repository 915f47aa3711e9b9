# awk -f library-header.awk lib/x/y.h: the header as it is installed, with the
# archive's names (base/names.h) and for C++ as well.
{ line[NR] = $0 }
/^#define [A-Z0-9_]+_H$/ { guard = NR }
/^#include/ { include = NR }
/^#endif/ { last = NR }
END {
	for (i = 1; i <= NR; i++) {
		if (i == last)
			print "#ifdef __cplusplus\n}\n#endif\n"
		print line[i]
		if (i == guard)
			print "\n#include \"base/names.h\""
		if (i == (include ? include : guard))
			print "\n#ifdef __cplusplus\nextern \"C\" {\n#endif"
	}
}

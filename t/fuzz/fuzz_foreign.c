/*
 * fuzz_foreign - files of other servers: the first byte says which, the rest
 * is its contents.
 */
#include "service/store/courier_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make((const char *)data + 1, size - 1);
	struct courier_keywords k = { 0 };
	struct str line, words, base, names[FN_LETTERS];
	struct uidlist l;
	struct name n;
	uint32_t uid;

	if (size == 0)
		return 0;
	switch (data[0] % 6) {
	case 0:
		uidlist_parse(text, false, &l);
		uidlist_release(&l);
		break;
	case 1:
		courier_list_parse(&k, text);
		break;
	case 2:
		courier_file_parse(&k, STR("1000.x"), text);
		break;
	case 3:
		name_parse(text, &n);
		break;
	case 4:
		while (text.n > 0) {
			str_cut(&text, '\n', &line);
			uidlist_line(line, &uid, &words, &base);
		}
		break;
	case 5:
		keywords_parse(text, names);
		break;
	}
	courier_keywords_release(&k);
	return 0;
}

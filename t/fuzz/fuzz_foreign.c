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
	struct uidlist l;
	struct name n;

	if (size == 0)
		return 0;
	switch (data[0] % 4) {
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
	}
	courier_keywords_release(&k);
	return 0;
}

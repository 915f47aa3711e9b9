/* The header of a proxy, whole and cut; and a network in its place. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "format/proxy/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make((const char *)data, size);
	struct proxy_header h;
	struct proxy_net net, one;
	size_t need;

	switch (proxy_parse(in, &h, &need)) {
	case PROXY_MORE:
		assert(need > 0 && need <= PROXY_MAX - size);
		break;
	case PROXY_OK:
		/* what is told can be read again by whom it is told */
		assert(
		    h.is_local || (proxy_net_parse(&one, str_from(h.source)) &&
				      proxy_net_has(&one, str_from(h.source))));
		break;
	case PROXY_BAD:
		break;
	}
	if (proxy_net_parse(&net, in))
		(void)proxy_net_has(&net, STR("192.0.2.1"));
	return 0;
}

#include "format/psl/psl.h"

#include <libpsl.h>

/* libpsl's own type is psl_ctx_t; ours is the same pointer. */

#define NAME_MAX_OCTETS 254 /* 253 and a last dot, RFC 1035, 2.3.4 */

struct psl *
psl_load(void)
{
	return (struct psl *)psl_latest(NULL);
}

void
psl_unload(struct psl **list)
{
	psl_free((psl_ctx_t *)*list);
	*list = NULL;
}

/* As libpsl wants it: lower case, NUL at the end, no empty label. */
static bool
copy_name(struct str name, char out[NAME_MAX_OCTETS + 1])
{
	size_t i;

	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > NAME_MAX_OCTETS)
		return false;
	for (i = 0; i < name.n; i++) {
		if (name.p[i] == '\0' ||
		    (name.p[i] == '.' &&
			(i == 0 || i + 1 == name.n || name.p[i - 1] == '.')))
			return false;
		out[i] = ascii_lower(name.p[i]);
	}
	out[i] = '\0';
	return true;
}

bool
psl_org_domain(const struct psl *list, struct str name, struct buf *out)
{
	char text[NAME_MAX_OCTETS + 1];
	const char *org;

	if (!copy_name(name, text))
		return false;
	org = psl_registrable_domain((const psl_ctx_t *)list, text);
	if (org == NULL)
		return false;
	buf_puts(out, org);
	return true;
}

bool
psl_is_suffix(const struct psl *list, struct str name)
{
	char text[NAME_MAX_OCTETS + 1];

	return copy_name(name, text) &&
	       psl_is_public_suffix((const psl_ctx_t *)list, text);
}

/*
 * RSA keys by the octets of p=. A fixed table; octets that fall on a taken
 * place take it, so somebody who makes keys for it costs others the time that
 * reading theirs takes, and nothing else.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "format/dkim/dkim_int.h"

/* SubjectPublicKeyInfo of DKIM_MAX_RSA_BITS has 1062 */
#define MAX_OCTETS 1100

struct dkim_keys {
	struct {
		char *octets; /* NULL: free */
		size_t n;
		EVP_PKEY *key;
	} v[DKIM_KEYS];
};

struct dkim_keys *
dkim_keys_new(void)
{
	return xcalloc(1, sizeof(struct dkim_keys));
}

static void
forget(struct dkim_keys *k, size_t i)
{
	free(k->v[i].octets);
	k->v[i].octets = NULL;
	EVP_PKEY_free(k->v[i].key);
}

void
dkim_keys_free(struct dkim_keys **kp)
{
	size_t i;

	if (*kp == NULL)
		return;
	for (i = 0; i < DKIM_KEYS; i++)
		if ((*kp)->v[i].octets != NULL)
			forget(*kp, i);
	free(*kp);
	*kp = NULL;
}

EVP_PKEY *
dkim_keys_get(struct dkim_keys *k, struct str octets)
{
	size_t i;

	if (k == NULL)
		return NULL;
	i = str_hash(octets, 0) % DKIM_KEYS;
	if (k->v[i].octets == NULL ||
	    !str_eq(str_make(k->v[i].octets, k->v[i].n), octets))
		return NULL;
	EVP_PKEY_up_ref(k->v[i].key);
	return k->v[i].key;
}

void
dkim_keys_put(struct dkim_keys *k, struct str octets, EVP_PKEY *key)
{
	size_t i;

	if (k == NULL || octets.n > MAX_OCTETS)
		return;
	i = str_hash(octets, 0) % DKIM_KEYS;
	if (k->v[i].octets != NULL)
		forget(k, i);
	k->v[i].octets = str_dup(octets);
	k->v[i].n = octets.n;
	EVP_PKEY_up_ref(key);
	k->v[i].key = key;
}

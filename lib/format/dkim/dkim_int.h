/* dkim_int - between the files of dkim. */
#ifndef DKIM_INT_H
#define DKIM_INT_H

#include "format/dkim/dkim.h"

/* The key that was kept for these octets, one reference more; NULL: none. */
struct evp_pkey_st *dkim_keys_get(struct dkim_keys *, struct str octets);
/* Keep it, if it fits. */
void
dkim_keys_put(struct dkim_keys *, struct str octets, struct evp_pkey_st *key);

#endif

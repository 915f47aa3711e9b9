/*
 * psl - organizational domains by the public suffix list, over libpsl.
 *
 * The whole list counts, its private section included: tenants of a hosting
 * company do not share an organization. A name under no known suffix has its
 * last label as suffix. The list is the system's, read at psl_load(), or the
 * one built into libpsl if that is newer.
 *
 * Names are A-labels, any case, with or without the last dot.
 */
#ifndef PSL_H
#define PSL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

struct psl;
struct psl *psl_load(void); /* NULL: there is no list at all */
void psl_unload(struct psl **);

/* Append the suffix and one label more, in lower case. false, and nothing:
 * the name is a suffix itself, or no name. */
bool psl_org_domain(const struct psl *, struct str name, struct buf *out);
bool psl_is_suffix(const struct psl *, struct str name);

#endif

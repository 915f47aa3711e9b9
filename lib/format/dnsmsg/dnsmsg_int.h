/* what the files of dnsmsg share */
#ifndef DNSMSG_INT_H
#define DNSMSG_INT_H

#include "base/cur.h"
#include "format/dnsmsg/dnsmsg.h"

/* A message being read: the cursor stands in `wire`. */
struct dnsmsg_in {
	struct arena *arena;
	struct str wire;
	struct cur c;
};

bool dnsmsg_u8(struct cur *, uint8_t *);
bool dnsmsg_u16(struct cur *, uint16_t *); /* big-endian */
bool dnsmsg_u32(struct cur *, uint32_t *);
bool dnsmsg_copy(struct dnsmsg_in *, struct str, struct str *out);
bool dnsmsg_name(struct dnsmsg_in *, struct str *out);
/* The data of r->type, which fills what is left of the cursor. *is_known is
 * false for a type without decoder; nothing is read then. */
bool dnsmsg_rdata(struct dnsmsg_in *, struct dns_record *r, bool *is_known);

#endif

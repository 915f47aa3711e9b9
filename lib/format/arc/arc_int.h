/* what the files of arc share */
#ifndef ARC_INT_H
#define ARC_INT_H

#include "format/arc/arc.h"

enum arc_field {
	ARC_AAR, /* ARC-Authentication-Results */
	ARC_AMS, /* ARC-Message-Signature */
	ARC_AS,	 /* ARC-Seal */
	ARC_N_FIELDS,
};
extern const struct str arc_field_names[ARC_N_FIELDS];

struct arc_set {
	struct str field[ARC_N_FIELDS]; /* whole; p == NULL: not there */
};

struct arc_chain {
	struct arc_set set[ARC_MAX_SETS + 1]; /* by instance, from 1 */
	unsigned n;			      /* the highest instance */
	const char *why; /* its sets cannot be told apart */
};

void arc_collect(struct str header, struct arc_chain *);
/* What stands behind the field's colon. */
struct str arc_value(struct str whole);
/* cv= of a seal; false: none, or not one of the three. */
bool arc_seal_cv(struct str whole, enum arc_cv *);
/* What the seal of set `last` signs, from set `first` on, but for itself
 * (RFC 8617, 5.1.1). */
void arc_sealed_text(
    struct buf *, const struct arc_chain *, unsigned first, unsigned last);

#endif

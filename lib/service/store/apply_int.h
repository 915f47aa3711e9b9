/*
 * apply_int.h - applying a transaction: what the files of view_apply() share.
 *
 * One function for each op. false: it cannot be, and v->why says so; the
 * transaction is refused. Nothing in a body is believed.
 */
#ifndef STORE_APPLY_INT_H
#define STORE_APPLY_INT_H

#include "service/store/store_int.h"

struct apply {
	struct view *v;
	const struct txn *t;
	uint64_t off; /* of the op in the file */
};

/* ---- view_apply.c ---- */
bool apply_refuse(struct apply *, const char *why);
/* The body of an op that is two words. */
bool apply_words(struct apply *, struct str body, uint64_t w[2]);
void apply_set_flags(struct apply *, uint32_t row, uint16_t flags, uint64_t kw);

/* ---- apply_names.c ---- */
bool apply_fn(struct apply *, struct str body);
bool apply_fndone(struct apply *, struct str body);
bool apply_merged(struct apply *, struct str body);
bool apply_rename(struct apply *, struct str body);
bool apply_buried(struct apply *, struct str body);
bool apply_scan(struct apply *, struct str body);
bool apply_scanstep(struct apply *, struct str body);

/* ---- apply_moves.c ---- */
bool apply_movefrom(struct apply *, struct str body);
bool apply_moved(struct apply *, struct str body);
bool apply_movedone(struct apply *, struct str body);

#endif

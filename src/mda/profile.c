#include "profile.h"

/* Forks and changes uid; the file calls are there for its children to
 * inherit, its own uid owns nothing. */
const struct confine_profile mda_nursery_profile = {
	.prog = "quire-mda (nursery)",
	.allow = CONFINE_FORK | CONFINE_SETID | CONFINE_FILES,
};

/* One owner's Maildir. */
const struct confine_profile mda_worker_profile = {
	.prog = "quire-mda",
	.allow = CONFINE_FILES,
};

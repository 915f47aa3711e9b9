#include "profile.h"

/* The directory with the secrets, nothing else. */
const struct confine_profile authd_profile = {
	.prog = "quire-authd",
	.allow = CONFINE_FILES,
};

/* A password and a hash in, a verdict out: not even a file. */
const struct confine_profile hash_profile = {
	.prog = "quire-authd (hash)",
	.allow = 0,
};

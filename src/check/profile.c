#include "profile.h"

/* Reads no message itself: it forks who does. */
const struct confine_profile check_profile = {
	.prog = "quire-check",
	.allow = CONFINE_SOCKET | CONFINE_FORK,
};

/* One message, and questions to the resolver. */
const struct confine_profile check_child_profile = {
	.prog = "quire-check (child)",
	.allow = CONFINE_SOCKET,
};

#include "profile.h"

/* Sockets it was given, connections it accepts; no file, no new socket. */
const struct confine_profile imapd_profile = {
	.prog = "quire-imapd",
	.allow = CONFINE_ACCEPT,
};

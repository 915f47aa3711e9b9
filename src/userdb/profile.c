#include "profile.h"

/*
 * NSS and PAM read files anywhere, connect to nscd, sssd or a directory
 * server and may run helpers: only what they never need is taken away.
 */
const struct confine_profile userdb_profile = {
	.prog = "quire-userdb",
	.allow = CONFINE_FILES | CONFINE_SOCKET | CONFINE_FORK | CONFINE_SETID |
		 CONFINE_EXEC,
};

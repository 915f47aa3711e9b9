#include "profile.h"

/* As imapd, and the spool directory for large messages. */
const struct confine_profile smtpd_profile = {
	.prog = "quire-smtpd",
	.allow = CONFINE_ACCEPT | CONFINE_FILES,
};

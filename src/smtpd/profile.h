/* profile - what quire-smtpd may do once it runs. */
#include "system/daemon/confine.h"

extern const struct confine_profile smtpd_profile;

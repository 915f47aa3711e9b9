/* profile - what quire-imapd may do once it runs. */
#include "system/daemon/confine.h"

extern const struct confine_profile imapd_profile;

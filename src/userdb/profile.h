/* profile - what quire-userdb may do. */
#include "system/daemon/confine.h"

extern const struct confine_profile userdb_profile;

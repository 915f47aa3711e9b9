/* profile - what quire-authd, and its hash workers, may do. */
#include "system/daemon/confine.h"

extern const struct confine_profile authd_profile, hash_profile;

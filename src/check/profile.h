/* profile - what quire-check and its children may do. */
#include "system/daemon/confine.h"

extern const struct confine_profile check_profile, check_child_profile;

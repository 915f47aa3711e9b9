/* profile - what the nursery of quire-mda and its workers may do. */
#include "system/daemon/confine.h"

extern const struct confine_profile mda_nursery_profile, mda_worker_profile;

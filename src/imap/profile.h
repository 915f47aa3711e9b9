/* profile - what the nursery of quire-imap and its workers may do. */
#include "system/daemon/confine.h"

extern const struct confine_profile imap_nursery_profile, imap_worker_profile;

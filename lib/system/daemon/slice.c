#include "system/daemon/slice.h"

#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct sched_attr of sched_setattr(2) as it first was: the kernel's header
 * for it and <sched.h> exclude each other. */
struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

void
slice_set(unsigned us, int nice)
{
	struct attr a;

	/* the policy stays as whoever started us wants it */
	if (syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0) == -1 ||
	    a.policy != SCHED_OTHER)
		return;
	a.runtime_ns = (uint64_t)us * 1000;
	if (a.nice < nice)
		a.nice = nice;
	(void)syscall(SYS_sched_setattr, 0, &a, 0);
}

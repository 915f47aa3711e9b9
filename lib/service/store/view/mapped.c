/*
 * mapped - columns that are mapped from a file which somebody may cut short:
 * what is gone reads as zeros, and the session is told to end.
 */
#include "service/store/index_int.h"

#include <signal.h>
#include <sys/mman.h>

#define MAPS_MAX 64
static struct map {
	char *p;
	size_t n;
	volatile sig_atomic_t was_cut;
} maps[MAPS_MAX];

bool
index_was_cut(const char *block)
{
	unsigned i;

	for (i = 0; i < MAPS_MAX; i++)
		if (maps[i].p == block && block != NULL)
			return maps[i].was_cut != 0;
	return false;
}

/* Only mmap(): it is a plain system call here. */
static void
on_bus(int sig, siginfo_t *si, void *ctx)
{
	char *at = si->si_addr;
	uintptr_t page = (uintptr_t)at & ~(uintptr_t)(INDEX_PAGE - 1);
	unsigned i;

	(void)ctx;
	for (i = 0; i < MAPS_MAX; i++)
		if (at >= maps[i].p && at < maps[i].p + maps[i].n &&
		    mmap((void *)page, INDEX_PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			0) != MAP_FAILED) {
			maps[i].was_cut = 1;
			return;
		}
	/* not ours: as if there were no handler */
	signal(sig, SIG_DFL);
}

bool
index_watch_map(char *p, size_t n)
{
	static bool is_set;
	struct sigaction sa = { .sa_sigaction = on_bus,
		.sa_flags = SA_SIGINFO };
	unsigned i;

	if (!is_set) {
		sigemptyset(&sa.sa_mask);
		is_set = sigaction(SIGBUS, &sa, NULL) == 0;
	}
	for (i = 0; i < MAPS_MAX && maps[i].p != NULL; i++)
		;
	if (i == MAPS_MAX || !is_set)
		return false;
	maps[i] = (struct map){ .p = p, .n = n };
	return true;
}

void
index_unmap(char *block, size_t n)
{
	unsigned i;

	for (i = 0; i < MAPS_MAX; i++)
		if (maps[i].p == block)
			maps[i] = (struct map){ 0 };
	munmap(block, n);
}

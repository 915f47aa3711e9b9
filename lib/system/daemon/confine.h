/*
 * confine - give rights away for good: Landlock, seccomp, no-new-privs.
 *
 * Each program has a profile in a file of its own (src/PROGRAM/profile.c),
 * which is linked into t/unit/daemon/check_confine: that enters it and tries
 * the same five things for every program.
 */
#ifndef DAEMON_CONFINE_H
#define DAEMON_CONFINE_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum {
	CONFINE_FILES = 1 << 0,	 /* may use paths below the given dirs */
	CONFINE_ACCEPT = 1 << 1, /* may accept connections */
	CONFINE_SOCKET = 1 << 2, /* may make sockets and connect */
	CONFINE_FORK = 1 << 3,
	CONFINE_SETID = 1 << 4, /* may change to another uid; no Landlock */
	CONFINE_EXEC = 1 << 5,
	CONFINE_SIGNAL = 1 << 6,
};

struct confine_profile {
	const char *prog;
	unsigned allow; /* CONFINE_* */
};

/* Directories of a CONFINE_FILES program. */
struct confine_dir {
	int fd;		  /* or -1: path */
	const char *path; /* skipped if it does not exist */
	bool write;
	bool exec; /* gconv modules are mapped executable */
};

/*
 * Enter the profile; there is no way back. *isolated is false where the
 * kernel has no usable Landlock: seccomp holds all the same, and the caller
 * logs isolation=none for a program that shares its uid.
 */
int confine_enter(const struct confine_profile *, const struct confine_dir *,
    size_t n, bool *isolated, struct err *);
/*
 * The same in two steps, for a nursery: its children inherit the first and
 * add their own directories.
 */
int confine_files(const struct confine_profile *, const struct confine_dir *,
    size_t n, bool *isolated, struct err *);
int confine_calls(const struct confine_profile *, struct err *);
/*
 * From one profile to a narrower one, for what a nursery forks: the filter
 * inherited from it already allows nothing else, so only the difference is
 * taken away. Compiled once, loaded in each child (libseccomp would take
 * longer than the fork). The child may no longer signal even itself: abort()
 * then ends it by SIGSEGV.
 */
struct confine_filter {
	struct sock_filter *v;
	unsigned short n;
};
int confine_compile(struct confine_filter *, const struct confine_profile *from,
    const struct confine_profile *to, struct err *);
int confine_load(const struct confine_filter *, struct err *);
/* Built with sanitizers: confinement is off (they need what it forbids). */
bool confine_is_off(void);

#endif

/* What the tests of adoption share: trees by hand, and what is told of them. */
#ifndef T_ADOPT_H
#define T_ADOPT_H

#include "t_store.h"

#include "service/store/adopt.h"

static inline void
put_file(const char *path, const char *text)
{
	char *full = xasprintf("%s/%s", t_root, path);
	FILE *f = fopen(full, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	free(full);
}

/* Everything of every file but when it was read, and the contents. */
#define STATE                                                           \
	"{ find . -printf '%p %y %m %T@ %C@ %s %n %u %g %i\\n' | sort;" \
	" find . -type f -exec cat {} +; } | cksum"

static inline void
state_keep(void)
{
	t_sh(STATE " >../state.$(basename $PWD)");
}

static inline void
state_is_kept(void)
{
	t_sh(STATE " | cmp - ../state.$(basename $PWD)");
}

struct seen {
	struct adopt_box v[8];
	char name[8][32];
	size_t n;
};

static inline void
take(void *arg, const struct adopt_box *box)
{
	struct seen *s = arg;

	ck_assert_uint_lt(s->n, N(s->v));
	s->v[s->n] = *box;
	ck_assert(str_copy(box->name, s->name[s->n], 32));
	s->n++;
}

static inline const struct adopt_box *
box(const struct seen *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->name[i], name) == 0)
			return &s->v[i];
	ck_abort_msg("no mailbox %s", name);
	return NULL;
}

static inline void
adopt(bool dry_run, struct seen *s)
{
	struct adopt_opts o = { .hostname = "h", .dry_run = dry_run };
	struct err e = { 0 };

	*s = (struct seen){ 0 };
	if (store_adopt(t_rootfd, &o, take, s, &e) == -1)
		ck_abort_msg("adopt: %s", e.text);
}

#endif

/* mailauth_int - the methods of mailauth as tasks that wait for answers. */
#ifndef MAILAUTH_INT_H
#define MAILAUTH_INT_H

#include "service/mailauth/mailauth.h"

/* Those who ask share this. Late: the limit has come, every answer is a
 * failure at once, so each task ends. */
struct asker {
	struct dns *dns;
	struct arena *arena;
	int64_t deadline;
	bool is_late;
	unsigned n;
};

struct lookup {
	struct dns_question q;
	struct dns_answer *answer; /* NULL: under way */
};

/* A task goes as far as its answers allow; true: it has ended. */
struct task {
	bool (*run)(struct asker *, void *state);
	void *state;
	bool is_done;
};

void asker_init(struct asker *, struct arena *, const struct mailauth_setup *);
void look_up(struct asker *, struct lookup *, enum dns_type, struct str name);
/* Run each once. */
bool tasks_step(struct asker *, struct task *, size_t n);
/* Until all have ended. */
void tasks_run(struct asker *, struct task *, size_t n);

#define IPREV_MAX 10 /* names tried, as RFC 7208, 4.6.4, allows a ptr */

struct iprev_task {
	const struct mailauth_client *client;
	unsigned step;
	struct lookup ptr, back[IPREV_MAX];
	size_t n;
	struct iprev_result result;
};
bool iprev_run(struct asker *, void *);

struct dnsbl_task {
	const struct mailauth_client *client;
	unsigned step;
	struct lookup listed, yes, no, text;
	struct dnsbl_result result;
};
bool dnsbl_run(struct asker *, void *);

struct spf_task {
	struct spf *spf;
	struct lookup lookup;
	bool is_waiting;
};
void
spf_task_init(struct asker *, struct spf_task *, const struct mailauth_setup *,
    const struct mailauth_client *, enum spf_identity);
bool spf_run(struct asker *, void *);

struct dkim_task {
	struct dkim_verify *verify;
	struct lookup lookup[DKIM_MAX_SIGNATURES];
	bool is_asked[DKIM_MAX_SIGNATURES];
	bool has_begun;
};
bool dkim_run(struct asker *, void *);

struct arc_task {
	struct arc_verify *verify;
	struct lookup lookup[ARC_MAX_QUESTIONS];
	size_t n;
	bool has_begun;
};
bool arc_run(struct asker *, void *);

struct dmarc_task {
	struct dmarc *dmarc; /* NULL: no From to ask about */
	struct lookup lookup;
	bool is_waiting;
};
bool dmarc_run(struct asker *, void *);

#define MAILAUTH_TASKS (6 + MAILAUTH_MAX_DNSBL)

struct mailauth {
	struct asker asker;
	const struct mailauth_setup *setup;
	struct mailauth_client client;
	int64_t begun;
	struct iprev_task iprev;
	struct spf_task spf, spf_helo;
	struct dkim_task dkim;
	struct arc_task arc;
	struct dmarc_task dmarc;
	struct dnsbl_task dnsbl[MAILAUTH_MAX_DNSBL];
	struct task tasks[MAILAUTH_TASKS];
	size_t n_tasks;
	struct mailauth_result result;
};

/* A-labels, or the name as it is where there are none. */
struct str mailauth_ascii(struct arena *, struct str name);

#endif

/*
 * quired - the supervisor: binds, opens keys, starts and restarts the other
 * programs, hands out sessions (doc/architecture.md).
 *
 * It is the only process that may be root. It reads quire.conf (in a child
 * that may crash) and fixed-size orders from its own programs; nothing that
 * comes from the network reaches it.
 */
#ifndef QUIRED_H
#define QUIRED_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "service/config/config.h"
#include "service/metrics/metrics.h"
#include "system/ipc/msg.h"
#include "system/log/log.h"

#define STOP_GRACE_MS 5000 /* then SIGTERM, then SIGKILL */
#define MAX_LISTENERS 64
#define MAX_CONTROLS  8

struct child {
	enum prog prog;
	pid_t pid;     /* 0: not running */
	int ctl;       /* our end of its channel, -1 */
	int ctl_child; /* nurseries: the other end, kept over restarts */
	bool is_ready;
	unsigned restarts;
	unsigned backoff_ms;
	int metrics_fd; /* fronts: the page where it counts, -1 */
	const struct metrics *metrics;
	int64_t start_at, started; /* monotonic ms */
};

struct listener {
	int fd;
	uint32_t id; /* with the fronts; another when anything changes */
	enum service service;
	bool plain_login, no_limits, is_passed;
	char name[64], address[64];
	uint16_t port;
};

struct listeners {
	struct listener v[MAX_LISTENERS];
	unsigned n;
};

/* A socket that a service manager passed to us, for good. */
struct passed {
	int fd;
	char name[256], address[64];
	uint16_t port;
	bool is_dual;		/* [::], and 0.0.0.0 with it */
	bool is_used, is_used4; /* by the configuration, for IPv4 of [::] */
};

struct control {
	int fd; /* -1: free */
};

/* What a reload changes, all or nothing. */
struct settings {
	struct config *config;
	struct buf snapshot; /* the same as text */
	struct buf tls;	     /* SECRET_TLS */
	struct listeners listen;
};

struct quired {
	char *conf_dir; /* where quire.conf is */
	int conf_fd;
	char *program_dir;  /* where the other programs are */
	int program[PROGS]; /* opened before root is given up */
	const char *run_as; /* UID:GID of localserve started by root */
	struct settings set;
	struct buf cid_key;
	int auth_dir, spool_dir;
	struct child child[PROGS];
	struct passed passed[MAX_LISTENERS];
	unsigned npassed;
	uint32_t listener_ids;
	int log_pipe[2], log_out;
	int control_fd, signal_fd;
	struct control controls[MAX_CONTROLS];
	enum log_level level;
	bool is_foreground, announce; /* localserve: print where we listen */
	bool stopping, is_up;
	int64_t stop_at, started;
	uint64_t sessions, deliveries;
	char recv_buf[IPC_MAX];
};

/* settings.c: configuration, read by a child; keys; directories */
void settings_init(struct settings *);
int settings_load(struct quired *, struct settings *, struct buf *errors);
int settings_open(struct quired *, struct settings *, struct err *);
/* Load, open, tell the children; or nothing changes, and errors say why. */
int settings_reload(struct quired *, struct buf *errors);

/* listen.c */
/* The sockets of that configuration; nothing of the present one changes. */
int listen_open(
    struct quired *, const struct config *, struct listeners *, struct err *);
/* Close what is not in the other set, too. */
void listen_close(struct listeners *, const struct listeners *kept);
bool listen_has(const struct listeners *, uint32_t id);
void listen_print(const struct quired *, struct buf *);

/* passed.c */
int passed_take(struct quired *, struct err *);
void passed_unuse(struct quired *);
bool passed_has_name(const struct passed *, struct str listener, enum service);
struct passed *passed_find(struct quired *, const char *address, uint16_t port);
int passed_check(const struct quired *, struct err *); /* is each used? */

/* notify.c */
void notify_manager(const char *state);
void notify_reloading(void);

/* children.c */
void children_init(struct quired *);
void children_tick(struct quired *);	     /* start what is due */
int children_next_ms(const struct quired *); /* until then, -1 */
void children_reap(struct quired *);
void children_stop(struct quired *, int64_t now);
bool children_gone(const struct quired *);
/* q->set is new; sockets were those of *old. */
void children_reload(struct quired *, const struct listeners *old);
void children_loglevel(struct quired *);
bool children_ready(const struct quired *);
void children_send(struct quired *, enum prog, const struct buf *,
    const int *fds, unsigned nfds);

/* orders.c: what children ask for */
void orders_receive(struct quired *, struct child *);

/* control.c: the quire(8) command */
int control_open(struct quired *, struct err *);
void control_accept(struct quired *);
void control_receive(struct quired *, struct control *);
void control_close(struct quired *);

/* logger.c: one process writes the log */
int logger_open(struct quired *, struct err *);
void logger_drain(struct quired *);
void logger_reopen(struct quired *);

#endif

/*
 * authd - the secrets, and who may come in.
 *
 * Fronts send SASL steps, each about one of their connections; authd keeps an
 * exchange for it, answers with challenges and one verdict, and on success
 * asks quired for the session (IMAP). Password hashes are checked in worker
 * processes, so that a slow hash keeps nobody else waiting; a password that
 * was right is remembered for some minutes under a key of this process.
 */
#ifndef AUTHD_H
#define AUTHD_H

#include "format/limit/limit.h"
#include "format/sasl/sasl.h"
#include "service/auth/auth.h"
#include "service/config/config.h"
#include "system/daemon/daemon.h"

#define MAX_EXCHANGES 2000
#define EXCHANGE_MS   60000 /* a client has this long to answer */
#define HASH_WORKERS  2
#define HASH_QUEUE    200 /* more wait for nothing: AUTH_TEMP */
#define HASH_MS	      10000
#define CACHE_MS      (15 * 60 * 1000) /* a slow hash is not made again */
#define CACHE_SLOTS   1024
#define DEVICE_MS     (12 * 3600 * 1000) /* a password was right there */
#define DEVICE_SLOTS  4096

struct exchange {
	struct exchange *next;
	struct daemon_peer *front; /* kind and instance of the asker */
	uint32_t conn;		   /* its number for it */
	uint32_t id;		   /* ours, for hash jobs and userdb */
	int64_t deadline;
	struct sasl_server *sasl;
	struct sasl_config config; /* borrowed by it, as the bufs below are */
	char mechanism[32], remote[64], service[16];
	char login[256], account[256];
	struct limit_addr addr;
	bool is_counted;	   /* addr is there, failures count */
	bool has_device;	   /* the key below is there */
	unsigned char device[32];  /* of account, remote and password */
	struct arena arena;	   /* of the record */
	struct auth_record record; /* the one being checked */
	struct buf nonce, exporter, end_point;
	bool is_done;	/* accepted; the last word is on its way */
	char *password; /* for the cache, zeroed */
	enum { EX_CLIENT, EX_HASH, EX_USERDB } waiting;
};

struct hash_worker {
	int fd;
	pid_t pid;
	uint32_t job; /* exchange, 0: idle */
	int64_t deadline;
};

struct hash_job {
	struct hash_job *next;
	uint32_t exchange;
	struct buf msg;
};

struct cache_slot {
	unsigned char key[32];
	int64_t until;
};

struct authd {
	struct daemon d;
	struct config *config;
	struct exchange *exchanges;
	unsigned nexchanges;
	uint32_t counter;
	struct hash_worker workers[HASH_WORKERS];
	struct hash_job *queue;
	unsigned nqueue;
	struct cache_slot cache[CACHE_SLOTS];
	struct cache_slot devices[DEVICE_SLOTS];
	struct limit *per_minute, *per_day; /* failed logins */
	unsigned char cache_key[32];	    /* of this run */
	unsigned char server_key[32];	    /* SCRAM salts of unknown names */
	struct buf dummy_hash;		    /* checked for unknown names */
	char recv_buf[IPC_MAX];
};

/* exchange.c */
void exchange_message(struct authd *, struct daemon_peer *, struct ipc_msg *);
void exchange_hash_done(struct authd *, uint32_t exchange, uint32_t verdict);
void exchange_user_reply(
    struct authd *, uint32_t exchange, const struct msg_user_reply *);
void exchange_expire(struct authd *, int64_t now);
void exchange_drop_front(struct authd *, const struct daemon_peer *);

/* hash.c: workers; verdicts are enum auth_verdict values */
int hash_start(struct authd *); /* before confinement: forks */
bool hash_submit(
    struct authd *, uint32_t exchange, struct str record, struct str password);
void hash_receive(struct authd *, struct hash_worker *);
void hash_tick(struct authd *, int64_t now);

/* tries.c: failed logins by address, and those that do not count */
void tries_init(struct authd *);
bool tries_left(struct authd *, const struct exchange *);
void tries_password(struct authd *, struct exchange *, struct str password);
/* false: it is not counted */
bool tries_failed(struct authd *, const struct exchange *);
void tries_succeeded(struct authd *, const struct exchange *);

/* cache.c */
void cache_make_key(struct authd *, struct str account, struct str record,
    struct str password, unsigned char key[32]);
bool cache_has(
    struct authd *, struct str account, struct str record, struct str password);
void cache_put(
    struct authd *, struct str account, struct str record, struct str password);
void cache_clear(struct authd *);

#endif

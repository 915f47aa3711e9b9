/*
 * config - what quire.conf, domains/ and accounts/ say (quire.conf(5)).
 *
 * config_load() reads and validates everything from a directory and reports
 * every error of all files at once. config_print() writes the result as one
 * text, the snapshot, which is what daemons get: config_parse() reads it
 * back. No secrets are in it.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "system/conf/conf.h"
#include "system/ipc/msg.h"

#define CONFIG_MAX_LISTENERS 32

struct config_listener {
	struct str name;
	struct conf_list addresses;
	uint64_t ports[SERVICES]; /* 0: not offered */
	bool plain_login, no_limits;
	uint64_t first_time_ms;	       /* 0: senders who are new do not wait */
	bool has_proxy;		       /* PROXY protocol first */
	struct conf_list proxy_from;   /* from these networks only */
	struct conf_list xclient_from; /* who may say XCLIENT */
	struct conf_pos pos;
};

struct config_domain {
	struct str name;       /* normal form */
	struct str separators; /* characters; "+" unless set, may be empty */
	bool is_case_sensitive;
	struct str catch_all; /* account, empty: none */
	bool requires_alignment;
	/* local parts that reports about our mail are sent to; empty: none */
	struct str dmarc_reports, tls_reports;
	struct conf_pos pos;
	struct config_domain *next;
};

struct config_account {
	struct str name;
	struct str user; /* system user, or empty */
	uint64_t uid, gid;
	struct str maildir;
	int layout;		    /* LAYOUT_*; once checked not LAYOUT_HOST */
	struct str index_root;	    /* of LAYOUT_FS: a directory of its own */
	struct conf_list addresses; /* normal form; "domain" alone: catch-all */
	int password_source;	    /* PASSWORD_* */
	struct str rejects;	    /* mailbox for what was refused */
	bool requires_alignment;
	bool delays_first_time; /* as the listener says */
	struct conf_pos pos;
	struct config_account *next;
};
enum { PASSWORD_OWN, PASSWORD_SYSTEM };
enum { LAYOUT_HOST, LAYOUT_MAILDIRPP, LAYOUT_FS };

struct config_limits {
	uint64_t message_size; /* octets */
	uint64_t recipients;
	uint64_t connections;
	/* of an address, its neighbourhood, its network (limit.h); 0: off */
	uint64_t connection_rate[3], connections_per_ip[3]; /* of each front */
	uint64_t failed_logins_minute[3], failed_logins_day[3];
	/* of a connection: failed logins, from which on it is slow, and
	 * messages of which none was good; 0: off */
	uint64_t slow_after, failed_messages;
	uint64_t slow_octet_ms, slow_spare_ms;	  /* 0: not slow */
	uint64_t login_wait_ms, unknown_rcpts_ms; /* 0: none */
	uint64_t smtp_read_ms, smtp_data_ms, imap_login_ms, handshake_ms;
	uint64_t write_ms;
	uint64_t check_ms; /* DNS for one message, all together */
};

/* What DNS is asked about mail from strangers. */
struct config_checks {
	int enable;	     /* CHECKS_* */
	struct str resolver; /* "IP:PORT .."; empty: resolv.conf */
	bool trust_ad;	     /* believe its AD wherever it is */
	struct conf_list dnsbl;
	struct str authserv_id; /* empty: hostname */
	int organization;	/* ORGANIZATION_* */
};
enum { ORGANIZATION_PSL, ORGANIZATION_TREE_WALK };
enum { CHECKS_AUTO, CHECKS_YES, CHECKS_NO };
#define CONFIG_MAX_DNSBL 8

/* A certificate besides the hostname's. */
struct config_tls_host {
	struct str name; /* A-labels, as clients ask for it */
	struct str certificate, key;
	struct conf_pos pos;
	struct config_tls_host *next;
};
enum { TLS_MINIMUM_1_2, TLS_MINIMUM_1_3 };
#define CONFIG_MAX_TLS_HOSTS 1000
#define CONFIG_MAX_CERTS     (64 << 20) /* octets of all of them */

struct config {
	struct str hostname;
	struct str state_dir, run_dir;
	int log_to; /* LOG_TO_* */
	struct str log_file;
	int log_level;
	struct conf_list mail_roots;
	int layout;	       /* of accounts that say nothing */
	struct str index_root; /* below it one for each */
	uint64_t min_uid;
	struct str tls_certificate, tls_key; /* of the hostname */
	int tls_minimum;		     /* TLS_MINIMUM_* */
	struct config_tls_host *tls_hosts;
	size_t ntls_hosts;
	struct str user[PROGS]; /* who runs what, when root starts us */
	struct str postmaster;	/* account; empty: see config_find() */
	struct str any_domain;	/* account that gets mail to any address */
	bool error_localparts;	/* features of a test server */
	bool is_single_user;	/* localserve: everything is one uid */
	bool sync_fast;
	int exports;	  /* EXPORTS_* */
	int coexist;	  /* COEXIST_* */
	bool is_snapshot; /* addresses are in normal form already */
	struct config_limits limits;
	struct config_checks checks;
	struct config_listener *listeners;
	size_t nlisteners;
	struct config_domain *domains;
	struct config_account *accounts;
	size_t ndomains, naccounts;
	/* look-up: open addressing over normal-form addresses */
	struct config_entry *index;
	size_t index_size;
	struct arena arena;
};
/* as enum account_export of the store has them */
enum { EXPORTS_AUTO, EXPORTS_NONE, EXPORTS_DOVECOT };
enum { COEXIST_NONE, COEXIST_DOVECOT };
enum { LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_FILE };

/* NULL on any error; they are in *errors. dirfd: the directory with
 * quire.conf, domains/ and accounts/. */
struct config *config_load(int dirfd, struct conf_errors *errors);
struct config *config_parse(struct str snapshot, struct conf_errors *errors);
/* The same for a daemon, which can only log what is wrong. */
struct config *config_snapshot(struct str);
void config_free(struct config **);
void config_print(struct buf *, const struct config *);

/* Certificates and keys, packed as fronts get them (SECRET_TLS). */
int config_read_certs(const struct config *, struct buf *, struct err *);

/* NULL: there is none of that name (any more) */
const struct config_listener *
config_listener(const struct config *, struct str name);
const struct config_account *
config_account(const struct config *, struct str name);
/* How far its mailboxes had got (struct account_opts, marksfd), made if need
 * be; -1. For who may write in the state directory. */
int config_open_marks(
    const struct config *, const struct config_account *, struct err *);
/* For an account that is made or removed: a mailbox of another of that name,
 * adopted with the ids it has elsewhere, was not put back. */
int
config_forget_marks(const struct config *, struct str account, struct err *);
const struct config_domain *
config_domain(const struct config *, struct str name);

enum config_rcpt {
	RCPT_OK,
	RCPT_NOUSER,   /* a domain of ours, no such address */
	RCPT_NODOMAIN, /* not ours: relaying */
};
/*
 * Who gets mail for local@domain (text of the local part without quotes,
 * domain in any form)? Exact address first, then without what follows a
 * separator, then the domain's catch-all. Postmaster and abuse of a domain of
 * ours are always there (RFC 5321, 4.5.1; RFC 2142, 4): abuse is the domain's
 * postmaster, and both are the account that `postmaster' names, else the
 * first one with an address of the domain, else the first one.
 */
enum config_rcpt config_find(const struct config *, struct str local,
    struct str domain, const struct config_account **);
/* What is special about mail to an address of that account. */
struct config_rules {
	bool requires_alignment; /* From must be confirmed by SPF or DKIM */
	bool is_dmarc_reports, is_tls_reports; /* it is for such reports */
};
void config_rules(const struct config *, struct str local, struct str domain,
    const struct config_account *, struct config_rules *);
/* Are messages of strangers checked? Not by default in localserve, which must
 * work without a network. */
bool config_has_checks(const struct config *);
/* The name our Authentication-Results are given under (RFC 8601, 2.5). */
struct str config_authserv_id(const struct config *);
/* "<Postmaster>" without a domain; NULL: there is no account at all. */
const struct config_account *config_postmaster(const struct config *);
/* A login name: an address of the account, or its name. NULL: unknown. */
const struct config_account *
config_login(const struct config *, struct str login);

#endif

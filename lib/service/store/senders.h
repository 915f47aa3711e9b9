/*
 * senders - whose mail an account has taken before.
 *
 * A set of addresses, each with or without a domain that stood for it (SPF or
 * DKIM aligned with From): who merely writes as somebody we know is another.
 * It is kept in the account's file `senders` (doc/format-store.md), never
 * synced and never needed: what is lost of it, or damaged, costs a stranger's
 * delay and no mail. So nothing here fails.
 */
#ifndef STORE_SENDERS_H
#define STORE_SENDERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/*
 * One of the account's: 512 KiB of disk. Nobody hears from more in three
 * years, but whoever invents addresses could fill a disk; beyond it those go
 * that have not written for longest.
 */
#define SENDERS_MAX	  65536
#define SENDERS_KEEP_DAYS 1096 /* three years */
/* A day is brought up when it is so old: else each message would be a write */
#define SENDERS_STALE_DAYS 30

struct account;

struct sender {
	uint8_t key[32]; /* hash of the address and of is_confirmed */
};
/* The address in normal form; empty is an address like others. */
void sender_init(struct sender *, struct str address, bool is_confirmed);

/*
 * Has mail of it been filed? *day: when, in days since 1970, give or take
 * SENDERS_STALE_DAYS. `now` in seconds. Of one that is known it asks memory
 * only, once the file has been read.
 */
bool
senders_has(struct account *, const struct sender *, int64_t now, int64_t *day);
/* It is now: at most one write, of eight octets, and mostly none. Nothing
 * where the account is read-only. */
void senders_note(struct account *, const struct sender *, int64_t now);

#endif

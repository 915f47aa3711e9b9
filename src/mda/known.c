#include "known.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "format/mime/mime.h"
#include "system/fs/fs.h"

#define CHUNK 65536
#define HEAD  2048 /* octets of a copy in which the field is looked for */

static const struct str field_name = STR_INIT("X-Quire-Rejected");

/* Without case, as those compare them who put mail together by it. */
static bool
hash_id(struct str head, uint8_t out[KNOWN_HASH])
{
	struct str block = str_sub(head, 0, mime_header_length(head)), id;
	struct mime_field f;
	struct buf lower;
	size_t i;

	if (!mime_field_find(block, STR("Message-ID"), &f) ||
	    !mime_msgid_next(&f.value, &id))
		return false;
	buf_init(&lower, id.n);
	for (i = 0; i < id.n; i++)
		buf_putc(&lower, ascii_lower(id.p[i]));
	crypto_generichash(
	    out, KNOWN_HASH, (const unsigned char *)lower.p, lower.n, NULL, 0);
	buf_release(&lower);
	return true;
}

int
known_key(int fd, uint64_t size, struct known_key *key, struct err *e)
{
	crypto_generichash_state state;
	char chunk[CHUNK];
	uint64_t off = 0;
	ssize_t n;

	*key = (struct known_key){ 0 };
	crypto_generichash_init(&state, NULL, 0, KNOWN_HASH);
	while (off < size) {
		size_t want = size - off < CHUNK ? (size_t)(size - off) : CHUNK;

		n = fs_pread_all(fd, chunk, want, off);
		if (n <= 0)
			return err_set(e, ERR_TEMP, "message is not whole");
		if (off == 0)
			key->has_id =
			    hash_id(str_make(chunk, (size_t)n), key->id);
		crypto_generichash_update(
		    &state, (const unsigned char *)chunk, (size_t)n);
		off += (uint64_t)n;
	}
	crypto_generichash_final(&state, key->octets, KNOWN_HASH);
	return 0;
}

void
known_put_field(struct buf *b, const struct known_key *key)
{
	buf_put(b, field_name);
	buf_puts(b, ": ");
	if (key->has_id)
		buf_put_hex(b, key->id, KNOWN_HASH);
	else
		buf_putc(b, '-');
	buf_putc(b, ' ');
	buf_put_hex(b, key->octets, KNOWN_HASH);
	buf_puts(b, "\r\n");
}

static bool
read_field(struct str head, struct known_key *key)
{
	struct mime_field f;
	struct str id, octets;

	if (!mime_field_find(head, field_name, &f))
		return false;
	octets = str_trim(f.value);
	str_cut(&octets, ' ', &id);
	key->has_id = str_hex(id, key->id, KNOWN_HASH);
	return str_hex(str_trim(octets), key->octets, KNOWN_HASH);
}

static void
load_one(struct known *k, struct mailbox *m, uint32_t uid)
{
	struct known_key key;
	struct msgfile *f;
	char head[HEAD];
	ssize_t n;

	if (mailbox_open_message(m, uid, &f, NULL) == -1)
		return;
	n = msgfile_read(f, 0, head, sizeof(head), NULL);
	msgfile_free(&f);
	if (n > 0 && read_field(str_make(head, (size_t)n), &key))
		known_add(k, &key);
}

void
known_load(struct known *k, struct mailbox *m)
{
	struct mailbox_changes changes = { 0 };
	uint32_t count, seq;
	struct message msg;

	if (k->is_loaded)
		return;
	/* what cannot be read is filed once more: no harm */
	(void)mailbox_sync(m, true, &changes, NULL);
	mailbox_changes_release(&changes);
	count = mailbox_count(m);
	for (seq = count > KNOWN_MAX ? count - KNOWN_MAX + 1 : 1; seq <= count;
	     seq++) {
		mailbox_get(m, seq, &msg);
		if (!msg.is_expunged)
			load_one(k, m, msg.uid);
	}
	k->is_loaded = true;
}

static bool
has(const struct known *k, const uint8_t hash[KNOWN_HASH])
{
	size_t i;

	for (i = 0; i < k->n; i++)
		if (memcmp(k->v[i], hash, KNOWN_HASH) == 0)
			return true;
	return false;
}

bool
known_has(const struct known *k, const struct known_key *key)
{
	return has(k, key->octets) || (key->has_id && has(k, key->id));
}

void
known_add(struct known *k, const struct known_key *key)
{
	if (k->n + 2 > k->cap) {
		k->cap = k->cap == 0 ? 64 : k->cap * 2;
		k->v = xreallocarray(k->v, k->cap, sizeof(*k->v));
	}
	memcpy(k->v[k->n++], key->octets, KNOWN_HASH);
	if (key->has_id)
		memcpy(k->v[k->n++], key->id, KNOWN_HASH);
}

void
known_release(struct known *k)
{
	free(k->v);
	*k = (struct known){ 0 };
}

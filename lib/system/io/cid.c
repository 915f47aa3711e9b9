#include "system/io/cid.h"

#include <string.h>

#include <openssl/evp.h>

#include "base/b64.h"
#include "base/pack.h"
#include "system/fs/fs.h"

static bool
aes_block(struct str key, bool encrypt, const unsigned char in[16],
    unsigned char out[16])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool ok;
	int n = 0;

	/* one block: ECB is the block cipher itself */
	ok = ctx != NULL && key.n == 16 &&
	     EVP_CipherInit_ex(ctx, EVP_aes_128_ecb(), NULL,
		 (const unsigned char *)key.p, NULL, encrypt) == 1 &&
	     EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
	     EVP_CipherUpdate(ctx, out, &n, in, 16) == 1 && n == 16;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

void
cid_make(struct str key, uint64_t counter, char out[CID_LEN + 1])
{
	unsigned char in[16], block[16] = { 0 };
	struct buf b;

	fs_random(in, 8);
	le64_put(in + 8, counter);
	(void)aes_block(key, true, in, block);
	buf_init(&b, 64);
	b64url_encode(&b, str_make((const char *)block, sizeof(block)));
	str_copy(buf_str(&b), out, CID_LEN + 1);
	buf_release(&b);
}

bool
cid_open(struct str key, struct str cid, uint64_t *counter)
{
	unsigned char out[16];
	struct buf b;
	bool ok;

	buf_init(&b, 64);
	ok = cid.n == CID_LEN && b64url_decode(&b, cid) && b.n == 16 &&
	     aes_block(key, false, (const unsigned char *)b.p, out);
	if (ok)
		*counter = le64_get(out + 8);
	buf_release(&b);
	return ok;
}

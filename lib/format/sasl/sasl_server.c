/*
 * Server side. Each mechanism is a function from its state and a response to
 * a step; `at` counts the responses taken.
 */
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/b64.h"
#include "base/xalloc.h"
#include "format/sasl/sasl_int.h"

struct sasl_server {
	enum sasl_step (*respond)(struct sasl_server *, struct str);
	const struct sasl_config *config;
	bool is_plus;
	bool client_first; /* without initial response: an empty challenge */
	unsigned at;
	enum sasl_step last;
	struct buf data, user, password;

	/* SCRAM, names of RFC 5802, 3 */
	struct buf gs2_header, client_first_bare, server_first, nonce;
	struct str binding;
	struct sasl_scram keys;
	bool is_known;
};

/* The name as it will be looked up. */
static bool
take_user(struct sasl_server *s, struct str name)
{
	buf_clear(&s->user);
	return sasl_prep_username(&s->user, name);
}

/* An identity to act as is accepted only if it is one's own. */
static bool
is_self(struct sasl_server *s, struct str authzid)
{
	struct buf b;
	bool ok;

	if (authzid.n == 0)
		return true;
	buf_init(&b, 3 * SASL_MAX_NAME);
	ok = sasl_prep_username(&b, authzid) &&
	     str_eq(buf_str(&b), buf_str(&s->user));
	buf_release(&b);
	return ok;
}

/* message = [authzid] UTF8NUL authcid UTF8NUL passwd  RFC 4616, 2 */
static enum sasl_step
plain(struct sasl_server *s, struct str response)
{
	struct str authzid, authcid;

	if (!str_cut(&response, '\0', &authzid) ||
	    !str_cut(&response, '\0', &authcid) || str_has(response, '\0') ||
	    response.n == 0 || response.n > SASL_MAX_PASSWORD)
		return SASL_SYNTAX;
	if (!take_user(s, authcid) || !is_self(s, authzid))
		return SASL_BAD;
	buf_put(&s->password, response);
	return SASL_WANT_PASSWORD;
}

/* draft-murchison-sasl-login: the prompts are fixed by usage */
static enum sasl_step
login(struct sasl_server *s, struct str response)
{
	if (s->at == 0 && response.p == NULL) {
		buf_puts(&s->data, "Username:");
		return SASL_CHALLENGE;
	}
	if (s->user.n == 0) {
		if (!take_user(s, response))
			return SASL_BAD;
		buf_puts(&s->data, "Password:");
		return SASL_CHALLENGE;
	}
	if (response.n == 0 || response.n > SASL_MAX_PASSWORD)
		return SASL_BAD;
	buf_put(&s->password, response);
	return SASL_WANT_PASSWORD;
}

/* server-error: RFC 5802, 7 */
static enum sasl_step
scram_error(struct sasl_server *s, enum sasl_step step, const char *error)
{
	buf_clear(&s->data);
	buf_printf(&s->data, "e=%s", error);
	return step;
}

/* gs2-cbind-flag = ("p=" cb-name) / "n" / "y"  RFC 5802, 7 */
static enum sasl_step
scram_binding(struct sasl_server *s, struct cur *c)
{
	const struct sasl_config *f = s->config;
	struct str name;

	if (cur_look(c, STR("p="))) {
		if (!s->is_plus)
			return scram_error(
			    s, SASL_SYNTAX, "channel-binding-not-supported");
		scram_attr(c, 'p', &name);
		if (str_eq(name, STR("tls-exporter")))
			s->binding = f->exporter;
		else if (str_eq(name, STR("tls-server-end-point")))
			s->binding = f->end_point;
		if (s->binding.n == 0)
			return scram_error(s, SASL_BINDING,
			    "unsupported-channel-binding-type");
		return SASL_CHALLENGE;
	}
	if (s->is_plus)
		return scram_error(s, SASL_SYNTAX, "other-error");
	if (cur_try(c, 'n'))
		return SASL_CHALLENGE;
	if (!cur_try(c, 'y'))
		return scram_error(s, SASL_SYNTAX, "other-error");
	if (f->plus_advertised)
		/* somebody took -PLUS out of our list: RFC 5802, 6 */
		return scram_error(
		    s, SASL_BINDING, "server-does-support-channel-binding");
	return SASL_CHALLENGE;
}

static bool
is_nonce(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) /* printable = %x21-2B / %x2D-7E */
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == ',')
			return false;
	return s.n > 0 && s.n <= SASL_MAX_NONCE;
}

/* client-first-message = gs2-header [reserved-mext ","] username "," nonce
 *	["," extensions]  RFC 5802, 7 */
static enum sasl_step
scram_first(struct sasl_server *s, struct str response)
{
	struct str authzid = STR(""), name, nonce;
	struct buf decoded;
	struct cur c;
	enum sasl_step step;
	bool ok;

	cur_init(&c, response);
	if ((step = scram_binding(s, &c)) != SASL_CHALLENGE)
		return step;
	if (!cur_byte(&c, ','))
		return scram_error(s, SASL_SYNTAX, "other-error");
	if (cur_at(&c, 'a') && !scram_attr(&c, 'a', &authzid))
		return scram_error(s, SASL_SYNTAX, "other-error");
	if (!cur_byte(&c, ','))
		return scram_error(s, SASL_SYNTAX, "other-error");
	buf_put(
	    &s->gs2_header, str_make(response.p, (size_t)(c.p - response.p)));
	buf_put(&s->client_first_bare, cur_rest(&c));
	if (cur_at(&c, 'm'))
		return scram_error(s, SASL_SYNTAX, "extensions-not-supported");
	if (!scram_attr(&c, 'n', &name) || !cur_byte(&c, ',') ||
	    !scram_attr(&c, 'r', &nonce) || !is_nonce(nonce))
		return scram_error(s, SASL_SYNTAX, "other-error");
	buf_put(&s->nonce, nonce);
	buf_put(&s->nonce, s->config->nonce);
	buf_init(&decoded, 3 * SASL_MAX_NAME);
	ok = scram_name_decode(&decoded, name) &&
	     take_user(s, buf_str(&decoded));
	buf_clear(&decoded);
	if (ok && authzid.n > 0)
		ok = scram_name_decode(&decoded, authzid) &&
		     is_self(s, buf_str(&decoded));
	buf_release(&decoded);
	return ok ? SASL_WANT_SCRAM :
		    scram_error(s, SASL_BAD, "invalid-username-encoding");
}

/* A salt and keys that look like an account's and are the same each time. */
static void
unknown_keys(struct sasl_server *s)
{
	crypto_auth_hmacsha256_state st;
	uint8_t mac[32];

	crypto_auth_hmacsha256_init(&st,
	    (const unsigned char *)s->config->secret.p, s->config->secret.n);
	crypto_auth_hmacsha256_update(
	    &st, (const unsigned char *)s->user.p, s->user.n);
	crypto_auth_hmacsha256_final(&st, mac);
	s->keys = (struct sasl_scram){ .iterations = s->config->iterations,
		.n_salt = 16 };
	memcpy(s->keys.salt, mac, 16);
	/* nobody has a password for these */
	memcpy(s->keys.stored_key, mac, 32);
	memcpy(s->keys.server_key, mac, 32);
}

/* server-first-message = nonce "," salt "," iteration-count */
enum sasl_step
sasl_server_looked_up(struct sasl_server *s, const struct sasl_scram *keys)
{
	assert(s->last == SASL_WANT_SCRAM);
	s->is_known = keys != NULL;
	if (s->is_known)
		s->keys = *keys;
	else
		unknown_keys(s);
	buf_puts(&s->data, "r=");
	buf_put(&s->data, buf_str(&s->nonce));
	buf_puts(&s->data, ",s=");
	b64_encode(&s->data, str_make((char *)s->keys.salt, s->keys.n_salt));
	buf_printf(&s->data, ",i=%u", (unsigned)s->keys.iterations);
	buf_put(&s->server_first, buf_str(&s->data));
	return s->last = SASL_CHALLENGE;
}

/* channel-binding = "c=" base64 of gs2-header [cbind-data] */
static bool
is_bound(struct sasl_server *s, struct str c)
{
	struct buf got;
	struct str gs2 = buf_str(&s->gs2_header);
	bool ok;

	buf_init(&got, SASL_MAX_MESSAGE);
	ok = b64_decode(&got, c) && got.n == gs2.n + s->binding.n &&
	     str_starts(buf_str(&got), gs2) &&
	     (s->binding.n == 0 ||
		 sodium_memcmp(got.p + gs2.n, s->binding.p, s->binding.n) == 0);
	buf_release(&got);
	return ok;
}

/* ClientSignature, ClientKey, StoredKey: RFC 5802, 3 */
static bool
is_proven(struct sasl_server *s, struct str auth_message, struct str proof)
{
	uint8_t signature[32], key[32];
	struct buf p;
	size_t i;
	bool ok;

	buf_init(&p, 64);
	ok = b64_decode(&p, proof) && p.n == 32;
	scram_hmac(s->keys.stored_key, auth_message, signature);
	for (i = 0; i < 32; i++)
		key[i] = (uint8_t)(signature[i] ^ (ok ? p.p[i] : 0));
	crypto_hash_sha256(key, key, sizeof(key));
	ok = sodium_memcmp(key, s->keys.stored_key, 32) == 0 && ok;
	buf_release(&p);
	return ok && s->is_known;
}

/* server-final-message = verifier = "v=" base64 of ServerSignature */
static void
put_verifier(struct sasl_server *s, struct str auth_message)
{
	uint8_t signature[32];

	scram_hmac(s->keys.server_key, auth_message, signature);
	buf_puts(&s->data, "v=");
	b64_encode(&s->data, str_make((char *)signature, 32));
}

/* client-final-message = channel-binding "," nonce ["," extensions] ","
 *	proof  RFC 5802, 7 */
static enum sasl_step
scram_final(struct sasl_server *s, struct str response)
{
	struct str binding, nonce, proof, ignored;
	struct buf auth_message;
	struct cur c;
	const char *end;
	bool ok;

	cur_init(&c, response);
	if (!scram_attr(&c, 'c', &binding) || !cur_byte(&c, ',') ||
	    !scram_attr(&c, 'r', &nonce))
		return scram_error(s, SASL_SYNTAX, "other-error");
	for (end = c.p; cur_byte(&c, ',') && !cur_at(&c, 'p'); end = c.p)
		ignored = cur_until(&c, ',');
	(void)ignored;
	if (!scram_attr(&c, 'p', &proof) || !cur_done(&c))
		return scram_error(s, SASL_SYNTAX, "other-error");
	if (!str_eq(nonce, buf_str(&s->nonce)))
		return scram_error(s, SASL_SYNTAX, "other-error");
	if (!is_bound(s, binding))
		return scram_error(
		    s, SASL_BINDING, "channel-bindings-dont-match");
	buf_init(&auth_message, 4 * SASL_MAX_MESSAGE);
	buf_put(&auth_message, buf_str(&s->client_first_bare));
	buf_putc(&auth_message, ',');
	buf_put(&auth_message, buf_str(&s->server_first));
	buf_putc(&auth_message, ',');
	buf_put(
	    &auth_message, str_make(response.p, (size_t)(end - response.p)));
	ok = is_proven(s, buf_str(&auth_message), proof);
	if (ok)
		put_verifier(s, buf_str(&auth_message));
	buf_release(&auth_message);
	return ok ? SASL_OK : scram_error(s, SASL_BAD, "invalid-proof");
}

static enum sasl_step
scram(struct sasl_server *s, struct str response)
{
	return s->server_first.n == 0 ? scram_first(s, response) :
					scram_final(s, response);
}

struct sasl_server *
sasl_server_new(struct str mechanism, const struct sasl_config *config)
{
	struct sasl_server *s = xcalloc(1, sizeof(*s));

	s->config = config;
	s->client_first = true;
	s->is_plus = str_eq_nocase(mechanism, STR("SCRAM-SHA-256-PLUS"));
	if (str_eq_nocase(mechanism, STR("PLAIN")))
		s->respond = plain;
	else if (str_eq_nocase(mechanism, STR("LOGIN"))) {
		s->respond = login;
		s->client_first = false;
	} else if (s->is_plus || str_eq_nocase(mechanism, STR("SCRAM-SHA-256")))
		s->respond = scram;
	if (s->respond == NULL ||
	    (s->is_plus && config->exporter.n + config->end_point.n == 0)) {
		free(s);
		return NULL;
	}
	buf_init(&s->data, SASL_MAX_MESSAGE);
	buf_init(&s->user, 3 * SASL_MAX_NAME);
	buf_init(&s->password, SASL_MAX_PASSWORD);
	buf_init(&s->gs2_header, SASL_MAX_MESSAGE);
	buf_init(&s->client_first_bare, SASL_MAX_MESSAGE);
	buf_init(&s->server_first, SASL_MAX_MESSAGE);
	buf_init(&s->nonce, 2 * SASL_MAX_NONCE);
	return s;
}

void
sasl_server_free(struct sasl_server **ps)
{
	struct sasl_server *s = *ps;

	if (s == NULL)
		return;
	if (s->password.n > 0)
		sodium_memzero(s->password.p, s->password.n);
	sodium_memzero(&s->keys, sizeof(s->keys));
	buf_release(&s->data);
	buf_release(&s->user);
	buf_release(&s->password);
	buf_release(&s->gs2_header);
	buf_release(&s->client_first_bare);
	buf_release(&s->server_first);
	buf_release(&s->nonce);
	free(s);
	*ps = NULL;
}

enum sasl_step
sasl_server_step(struct sasl_server *s, bool has_response, struct str response)
{
	struct str none = { NULL, 0 };

	assert(s->at == 0 || s->last == SASL_CHALLENGE);
	buf_clear(&s->data);
	if (response.n > SASL_MAX_MESSAGE)
		return s->last = SASL_SYNTAX;
	if (!has_response && s->at == 0 && s->client_first)
		return s->last = SASL_CHALLENGE;
	if (has_response && response.p == NULL)
		response = STR("");
	s->last = s->respond(s, has_response ? response : none);
	s->at++;
	return s->last;
}

enum sasl_step
sasl_server_checked(struct sasl_server *s, bool is_right)
{
	assert(s->last == SASL_WANT_PASSWORD);
	return s->last = is_right ? SASL_OK : SASL_BAD;
}

struct str
sasl_server_data(const struct sasl_server *s)
{
	return buf_str(&s->data);
}

struct str
sasl_server_user(const struct sasl_server *s)
{
	return buf_str(&s->user);
}

struct str
sasl_server_password(const struct sasl_server *s)
{
	return buf_str(&s->password);
}

/*
 * sasl - PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC
 * 5802, 7677) as steps, server and client.
 *
 * Pure: randomness and channel binding data are given, look-ups and slow
 * hashes are asked for. A server goes
 *
 *	step = sasl_server_step(s, has_response, response);
 *	SASL_CHALLENGE      send sasl_server_data(), wait for the response
 *	SASL_WANT_PASSWORD  check sasl_server_user() and _password(), then
 *	                    sasl_server_checked()
 *	SASL_WANT_SCRAM     look sasl_server_user() up, then
 *	                    sasl_server_looked_up()
 *	SASL_OK, ...        the end; data may have a last word for the client
 *
 * Whoever has no account gets a salt made from the server's key and the
 * name, the same each time, and fails where a wrong password does: nobody
 * learns which names exist.
 *
 * Names are PRECIS UsernameCaseMapped, passwords OpaqueString (RFC 8265).
 * Secrets are wiped when the state is freed.
 */
#ifndef SASL_H
#define SASL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define SASL_MAX_MESSAGE  8192 /* of a client; tokens are not for here */
#define SASL_MAX_NAME	  512
#define SASL_MAX_PASSWORD 1024
#define SASL_MAX_SALT	  64
#define SASL_MAX_NONCE	  512 /* a client's; they have 24 or so */

enum sasl_step {
	SASL_CHALLENGE,
	SASL_WANT_PASSWORD,
	SASL_WANT_SCRAM,
	SASL_OK,
	SASL_BAD,     /* wrong name or password */
	SASL_BINDING, /* channel binding does not match */
	SASL_SYNTAX,  /* malformed, or not allowed */
};

/* What a server keeps of a password (RFC 5802, 3). */
struct sasl_scram {
	uint32_t iterations;
	uint8_t salt[SASL_MAX_SALT];
	size_t n_salt;
	uint8_t stored_key[32], server_key[32];
};

/* Borrowed for the life of the state. */
struct sasl_config {
	struct str nonce;     /* fresh random, printable without "," */
	struct str secret;    /* the server's, for salts of unknown names */
	uint32_t iterations;  /* shown to those; as new accounts have */
	bool plus_advertised; /* then a client that says "y" was lied to */
	struct str exporter;  /* "tls-exporter" data, or empty */
	struct str end_point; /* "tls-server-end-point" data, or empty */
};

struct sasl_server;
/* NULL for a mechanism that is not here, or -PLUS without binding data. */
struct sasl_server *
sasl_server_new(struct str mechanism, const struct sasl_config *);
void sasl_server_free(struct sasl_server **);
/* The first step may have an initial response. */
enum sasl_step
sasl_server_step(struct sasl_server *, bool has_response, struct str response);
enum sasl_step sasl_server_checked(struct sasl_server *, bool is_right);
/* NULL: there is no such account, or it has no such keys. */
enum sasl_step
sasl_server_looked_up(struct sasl_server *, const struct sasl_scram *);
struct str sasl_server_data(const struct sasl_server *);
struct str sasl_server_user(const struct sasl_server *);     /* normalised */
struct str sasl_server_password(const struct sasl_server *); /* as sent */

/* --- client --- */

struct sasl_client_config {
	struct str user, password;
	struct str nonce;
	struct str binding_type, binding; /* for -PLUS */
	bool server_lacks_plus; /* we could, it does not offer: flag "y" */
};

enum sasl_client_step {
	SASL_CLIENT_SEND, /* out is the response */
	SASL_CLIENT_DONE, /* out is empty; the server is who it should be */
	SASL_CLIENT_BAD,
};

struct sasl_client;
struct sasl_client *
sasl_client_new(struct str mechanism, const struct sasl_client_config *);
void sasl_client_free(struct sasl_client **);
/* The first call (empty challenge) makes the initial response; LOGIN has
 * none and gives SEND with nothing to send. */
enum sasl_client_step
sasl_client_step(struct sasl_client *, struct str challenge, struct buf *out);

/* --- keys and names --- */

/* Hi(): PBKDF2 with HMAC-SHA-256 (RFC 5802, 2.2) */
void sasl_hi(struct str password, const uint8_t *salt, size_t n_salt,
    uint32_t iterations, uint8_t out[32]);
/* Fill the keys; salt and iterations are set. The password is normalised. */
void sasl_scram_derive(struct sasl_scram *, struct str password);
/* A password against keys, the slow way. */
bool sasl_scram_verify(const struct sasl_scram *, struct str password);

/* OpaqueString (RFC 8265, 4.2); false if it is not one. */
bool sasl_prep_password(struct buf *out, struct str);
/* UsernameCaseMapped (RFC 8265, 3.3) without the bidi rule, which an address
 * of a Hebrew name at a Latin domain would break. */
bool sasl_prep_username(struct buf *out, struct str);

#endif

#include "system/io/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

/* OpenSSL looks at what earlier calls left behind. */
static void
forget_errors(void)
{
	ERR_clear_error();
	errno = 0;
}

static enum wire_io
tls_result(struct wire *w, int rc)
{
	switch (SSL_get_error(w->ssl, rc)) {
	case SSL_ERROR_NONE:
		return WIRE_DONE;
	case SSL_ERROR_WANT_READ:
		return WIRE_WAIT_READ;
	case SSL_ERROR_WANT_WRITE:
		return WIRE_WAIT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return WIRE_EOF;
	case SSL_ERROR_SYSCALL:
		if (errno == 0)
			return WIRE_EOF;
		w->why = strerror(errno);
		return WIRE_ERROR;
	default:
		/* the one callback that can fail chooses a certificate */
		w->why =
		    ERR_GET_REASON(ERR_peek_error()) == SSL_R_CALLBACK_FAILED ?
			"no certificate for the name it asked for" :
			ERR_reason_error_string(ERR_peek_error());
		return WIRE_ERROR;
	}
}

static enum wire_io
sys_result(struct wire *w, enum wire_io wait)
{
	if (errno == EAGAIN || errno == EINTR)
		return wait;
	w->why = strerror(errno);
	return WIRE_ERROR;
}

enum wire_io
wire_read(struct wire *w, char *p, size_t n, size_t *got)
{
	ssize_t r;
	int rc;

	*got = 0;
	if (w->ssl == NULL) {
		r = read(w->fd, p, n);
		if (r == -1)
			return sys_result(w, WIRE_WAIT_READ);
		*got = (size_t)r;
		return r == 0 ? WIRE_EOF : WIRE_DONE;
	}
	forget_errors();
	rc = SSL_read_ex(w->ssl, p, n, got);
	return rc == 1 ? WIRE_DONE : tls_result(w, rc);
}

enum wire_io
wire_write(struct wire *w, struct str s, size_t *sent)
{
	ssize_t r;
	int rc;

	*sent = 0;
	if (w->ssl == NULL) {
		r = send(w->fd, s.p, s.n, MSG_NOSIGNAL);
		if (r == -1)
			return sys_result(w, WIRE_WAIT_WRITE);
		*sent = (size_t)r;
		return WIRE_DONE;
	}
	forget_errors();
	rc = SSL_write_ex(w->ssl, s.p, s.n, sent);
	return rc == 1 ? WIRE_DONE : tls_result(w, rc);
}

bool
wire_start_tls(struct wire *w, SSL_CTX *ctx)
{
	w->ssl = SSL_new(ctx);
	if (w->ssl == NULL || SSL_set_fd(w->ssl, w->fd) != 1)
		return false;
	SSL_set_accept_state(w->ssl);
	return true;
}

enum wire_io
wire_accept(struct wire *w)
{
	int rc;

	forget_errors();
	rc = SSL_accept(w->ssl);
	return rc == 1 ? WIRE_DONE : tls_result(w, rc);
}

void
wire_finish(struct wire *w)
{
	if (w->ssl == NULL)
		shutdown(w->fd, SHUT_WR);
	else {
		forget_errors();
		SSL_shutdown(w->ssl);
	}
}

void
wire_close(struct wire *w)
{
	SSL_free(w->ssl);
	w->ssl = NULL;
	if (w->fd != -1)
		close(w->fd);
	w->fd = -1;
}

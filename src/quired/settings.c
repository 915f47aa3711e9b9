#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "quired.h"
#include "base/xalloc.h"
#include "system/fs/fs.h"
#include "system/log/log.h"

#define MAX_SNAPSHOT (64 << 20)

/* System users of accounts become numbers here, in the loading child: NSS
 * modules run there and nowhere else in this program. */
static void
resolve_users(struct config *c, struct conf_errors *errors)
{
	struct config_account *a;

	for (a = c->accounts; a != NULL; a = a->next) {
		char name[256];
		const struct passwd *pw;

		if (a->user.n == 0)
			continue;
		pw = str_copy(a->user, name, sizeof(name)) ? getpwnam(name) :
							     NULL;
		if (pw == NULL)
			conf_error(errors, &a->pos,
			    "there is no system user '%.*s'", STR_ARG(a->user));
		else {
			a->uid = pw->pw_uid;
			a->gid = pw->pw_gid;
		}
	}
}

/* Service users: "name" becomes "uid:gid" for the parent. */
static void
resolve_service_users(
    struct config *c, struct buf *out, struct conf_errors *errors)
{
	struct conf_pos top = { "quire.conf", 0, 0 };
	unsigned i;

	for (i = 0; i < PROGS; i++) {
		char name[256];
		const struct passwd *pw = NULL;

		if (str_copy(c->user[i], name, sizeof(name)))
			pw = getpwnam(name);
		if (pw == NULL && geteuid() == 0 && !c->is_single_user)
			conf_error(errors, &top,
			    "there is no system user '%.*s' to run %s; make "
			    "it or set 'users { ... }'",
			    STR_ARG(c->user[i]), prog_names[i]);
		buf_printf(out, "%u:%u ", pw == NULL ? 0 : pw->pw_uid,
		    pw == NULL ? 0 : pw->pw_gid);
	}
	buf_putc(out, '\n');
}

/* Child: write '0' and the snapshot, or '1' and the errors. */
static void
load_in_child(struct quired *q, int fd)
{
	struct conf_errors errors;
	struct config *c;
	struct buf out;

	conf_errors_init(&errors);
	buf_init(&out, MAX_SNAPSHOT);
	c = config_load(q->conf_fd, &errors);
	if (c != NULL) {
		buf_putc(&out, '0');
		resolve_users(c, &errors);
		resolve_service_users(c, &out, &errors);
		config_print(&out, c);
	}
	if (errors.n > 0) {
		buf_clear(&out);
		buf_putc(&out, '1');
		buf_put(&out, buf_str(&errors.text));
		if (errors.n > CONF_MAX_ERRORS)
			buf_printf(&out, "... and %u more\n",
			    errors.n - CONF_MAX_ERRORS);
	}
	_exit(fs_write_all(fd, buf_str(&out)) == 0 ? 0 : 1);
}

static int
run_loader(struct quired *q, struct buf *out)
{
	int fds[2], status;
	pid_t pid;
	ssize_t n;

	if (pipe2(fds, O_CLOEXEC) == -1)
		return -1;
	pid = fork();
	if (pid == 0)
		load_in_child(q, fds[1]);
	close(fds[1]);
	while (pid != -1) {
		char *p = buf_reserve(out, 65536);

		if (p == NULL)
			break;
		n = read(fds[0], p, 65536);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		buf_grow(out, (size_t)n);
	}
	close(fds[0]);
	if (pid == -1 || waitpid(pid, &status, 0) != pid ||
	    !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return -1;
	return 0;
}

/* "uid:gid uid:gid ...\n" before the snapshot */
static void
take_service_users(struct quired *q, struct str line, struct config *c)
{
	unsigned i;

	for (i = 0; i < PROGS; i++) {
		struct str one;

		str_cut(&line, ' ', &one);
		c->user[i] = arena_str(&c->arena, one);
	}
}

void
settings_init(struct settings *s)
{
	*s = (struct settings){ 0 };
	buf_init(&s->snapshot, MAX_SNAPSHOT);
	buf_init(&s->tls, CONFIG_MAX_CERTS);
}

static void
settings_release(struct settings *s)
{
	config_free(&s->config);
	buf_release(&s->snapshot);
	if (s->tls.p != NULL)
		explicit_bzero(s->tls.p, s->tls.n);
	buf_release(&s->tls);
}

int
settings_load(struct quired *q, struct settings *s, struct buf *errors)
{
	struct conf_errors bad;
	struct str text, users;
	struct buf out;
	int rc = -1;

	buf_init(&out, MAX_SNAPSHOT);
	conf_errors_init(&bad);
	if (run_loader(q, &out) == -1 || out.n == 0) {
		buf_puts(errors, "the configuration could not be read: its "
				 "reader failed\n");
		goto done;
	}
	text = str_sub(buf_str(&out), 1, out.n);
	if (out.p[0] != '0') {
		buf_put(errors, text);
		goto done;
	}
	str_cut(&text, '\n', &users);
	s->config = config_parse(text, &bad);
	if (s->config == NULL) { /* what we print we must be able to read */
		buf_put(errors, buf_str(&bad.text));
		goto done;
	}
	take_service_users(q, users, s->config);
	buf_put(&s->snapshot, text);
	rc = 0;
done:
	conf_errors_release(&bad);
	buf_release(&out);
	return rc;
}

/* Our own files in our own directory belong to who reads them, whoever wrote
 * them before the first start. */
static int
fix_owner(int dirfd, uid_t uid, struct err *e)
{
	DIR *d = fs_read_dir(dirfd, ".");
	struct dirent *de;
	int rc = 0;

	if (d == NULL)
		return err_sys(e, "state directory");
	while (rc == 0 && (de = readdir(d)) != NULL) {
		int f = fs_open_file(dirfd, de->d_name, O_RDONLY, 0);
		struct stat st;

		if (f == -1)
			continue; /* not a regular file: not ours */
		if (fstat(f, &st) == 0 && st.st_uid != uid &&
		    fchown(f, uid, (gid_t)-1) == -1)
			rc = err_sys(e, "chown %s", de->d_name);
		close(f);
	}
	closedir(d);
	return rc;
}

static int
state_dir(const struct config *c, const char *name, enum prog owner, int *out,
    struct err *e)
{
	char *path = xasprintf("%.*s%s%s", STR_ARG(c->state_dir),
	    name[0] == '\0' ? "" : "/", name);
	int rc = 0;

	if (fs_mkdir_p(path, 0711, e) == -1)
		rc = -1;
	else if (name[0] != '\0' && *out == -1) {
		*out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (*out == -1)
			rc = err_sys(e, "open %s", path);
		else if (fchmod(*out, 0700) == -1)
			rc = err_sys(e, "chmod %s", path);
		else if (geteuid() == 0 && !c->is_single_user) {
			struct str u = c->user[owner], uid;
			uint64_t n;

			str_cut(&u, ':', &uid);
			if (str_uint(uid, UINT32_MAX, &n) &&
			    fchown(*out, (uid_t)n, (gid_t)-1) == -1)
				rc = err_sys(e, "chown %s", path);
			else
				rc = fix_owner(*out, (uid_t)n, e);
		}
	}
	free(path);
	return rc;
}

/* The key that hides connection numbers in error replies; made once. */
static int
cid_key(struct quired *q, const struct config *c, struct err *e)
{
	char *dir = str_dup(c->state_dir), raw[16];
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	free(dir);
	if (fd == -1)
		return err_sys(e, "state-dir");
	buf_clear(&q->cid_key);
	if (faccessat(fd, "cid.key", F_OK, 0) == 0)
		rc = fs_read_file(fd, "cid.key", &q->cid_key, e);
	else {
		fs_random(raw, sizeof(raw));
		buf_put(&q->cid_key, str_make(raw, sizeof(raw)));
		rc = fs_replace(fd, "cid.key.tmp", "cid.key", 0600,
		    buf_str(&q->cid_key), e);
	}
	close(fd);
	return rc;
}

int
settings_open(struct quired *q, struct settings *s, struct err *e)
{
	const struct config *c = s->config;
	int none = -1;

	if (state_dir(c, "", PROG_AUTHD, &none, e) == -1 ||
	    state_dir(c, "auth", PROG_AUTHD, &q->auth_dir, e) == -1 ||
	    state_dir(c, "spool", PROG_SMTPD, &q->spool_dir, e) == -1 ||
	    cid_key(q, c, e) == -1)
		return -1;
	return config_read_certs(c, &s->tls, e);
}

/* Everything that can fail. */
static int
prepare(struct quired *q, struct settings *next, struct buf *errors)
{
	struct err e;

	if (settings_load(q, next, errors) == -1)
		return -1;
	if (settings_open(q, next, &e) == 0 &&
	    listen_open(q, next->config, &next->listen, &e) == 0)
		return 0;
	buf_printf(errors, "%s\n", e.text);
	return -1;
}

int
settings_reload(struct quired *q, struct buf *errors)
{
	struct settings next, old = q->set;
	int rc;

	notify_reloading();
	settings_init(&next);
	rc = prepare(q, &next, errors);
	if (rc == 0) {
		q->set = next;
		children_reload(q, &old.listen);
		listen_close(&old.listen, &q->set.listen);
		settings_release(&old);
		LOG_INFO("reload");
	} else {
		settings_release(&next);
		LOG_ERROR("reload.failed", F_STR("errors", buf_str(errors)));
	}
	if (q->is_up) /* or it is still to be said */
		notify_manager("READY=1");
	return rc;
}

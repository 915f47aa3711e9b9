#include "service/worker/worker.h"

#include "service/config/config.h"
#include "system/log/log.h"

static struct worker_settings settings = { .hostname = "localhost",
	.authserv_id = "localhost",
	.write_ms = 30000 };

static void
take(const struct config *c)
{
	str_copy(c->hostname, settings.hostname, sizeof(settings.hostname));
	str_copy(config_authserv_id(c), settings.authserv_id,
	    sizeof(settings.authserv_id));
	settings.fast_sync = c->sync_fast;
	settings.exports = (enum account_export)c->exports;
	settings.coexist = c->coexist == COEXIST_DOVECOT;
	settings.write_ms = c->limits.write_ms;
	settings.message_size = c->limits.message_size;
}

void
worker_prepare(struct daemon *d)
{
	struct config *c = config_snapshot(buf_str(&d->config));

	store_prepare();
	if (c != NULL)
		take(c);
	config_free(&c);
}

const struct worker_settings *
worker_settings(void)
{
	return &settings;
}

static void
store_log(int level, const char *event, const char *text)
{
	LOG_AT(level == 0 ? LOG_LEVEL_ERROR :
	       level == 1 ? LOG_LEVEL_WARN :
			    LOG_LEVEL_INFO,
	    event, F_CSTR("text", text));
}

struct account_opts
worker_account_opts(const struct nursery_job *job)
{
	return (struct account_opts){ .hostname = settings.hostname,
		.fast_sync = settings.fast_sync,
		.exports = settings.exports,
		.coexist = settings.coexist,
		.is_fs = job->index != -1,
		.indexfd = job->index,
		.has_marks = job->marks != -1,
		.marksfd = job->marks,
		.log = store_log };
}

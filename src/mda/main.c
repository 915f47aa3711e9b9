#include <stdio.h>
#include <string.h>

#include "lda.h"
#include "profile.h"
#include "service/config/config.h"
#include "system/log/log.h"
#include "worker.h"

/*
 * quire-mda: the nursery quired starts (no arguments), or a local delivery
 * agent for another MTA (quire-mda -d USER).
 */
static struct {
	char hostname[256];
	char authserv_id[256];
	bool fast;
	enum account_export exports;
	bool coexist;
} inherited = { .hostname = "localhost", .authserv_id = "localhost" };

void
mda_settings(struct account_opts *o)
{
	o->hostname = inherited.hostname;
	o->fast_sync = inherited.fast;
	o->exports = inherited.exports;
	o->coexist = inherited.coexist;
}

struct str
mda_hostname(void)
{
	return str_from(inherited.hostname);
}

struct str
mda_authserv_id(void)
{
	return str_from(inherited.authserv_id);
}

static void
prepare(struct daemon *d)
{
	struct conf_errors errors;
	struct config *c;

	store_prepare();
	conf_errors_init(&errors);
	c = config_parse(buf_str(&d->config), &errors);
	if (c == NULL)
		LOG_ERROR("config", F_STR("err", buf_str(&errors.text)));
	else {
		str_copy(c->hostname, inherited.hostname,
		    sizeof(inherited.hostname));
		str_copy(config_authserv_id(c), inherited.authserv_id,
		    sizeof(inherited.authserv_id));
		inherited.fast = c->sync_fast;
		inherited.exports = (enum account_export)c->exports;
		inherited.coexist = c->coexist == COEXIST_DOVECOT;
	}
	config_free(&c);
	conf_errors_release(&errors);
}

int
main(int argc, char **argv)
{
	const struct nursery_spec spec = { .name = "quire-mda",
		.nursery = &mda_nursery_profile,
		.worker = &mda_worker_profile,
		.work = mda_work,
		.prepare = prepare };

	if (argc > 1)
		return lda_main(argc, argv);
	return nursery_run(&spec);
}

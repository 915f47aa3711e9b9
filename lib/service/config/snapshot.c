#include "service/config/config.h"
#include "system/log/log.h"

struct config *
config_snapshot(struct str text)
{
	struct conf_errors errors;
	struct config *c;

	conf_errors_init(&errors);
	c = config_parse(text, &errors);
	if (c == NULL)
		LOG_ERROR("config", F_STR("err", buf_str(&errors.text)));
	conf_errors_release(&errors);
	return c;
}

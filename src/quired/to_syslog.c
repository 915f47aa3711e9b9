#include "to_syslog.h"

#include <syslog.h>

void
to_syslog_open(void)
{
	openlog("quire", LOG_NDELAY, LOG_MAIL);
}

void
to_syslog(struct str s)
{
	struct str line;

	while (s.n > 0) {
		str_cut(&s, '\n', &line);
		if (line.n > 0)
			syslog(str_search(line, STR(" level=error")) < line.n ?
				   LOG_ERR :
				   LOG_INFO,
			    "%.*s", STR_ARG(line));
	}
}

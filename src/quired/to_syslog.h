/* to_syslog - log lines to syslog(3); apart from log.h, whose names
 * <syslog.h> takes too. */
#ifndef TO_SYSLOG_H
#define TO_SYSLOG_H

#include "base/str.h"

void to_syslog_open(void);
void to_syslog(struct str lines);

#endif

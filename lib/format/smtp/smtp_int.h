/* What the files of smtp share. */
#ifndef SMTP_INT_H
#define SMTP_INT_H

#include "base/cur.h"
#include "format/smtp/smtp.h"

/* *( SP esmtp-param ) up to the end of a MAIL or RCPT line */
bool smtp_params_parse(struct arena *, struct cur *, bool is_mail,
    unsigned flags, struct smtp_command *, struct smtp_error *);
/* Fill the error; always false. */
bool smtp_fail(
    struct smtp_error *, int code, const char *enhanced, const char *text);

#endif

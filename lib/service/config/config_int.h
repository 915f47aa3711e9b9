/* config_int - between config.c (reading, look-up) and schema.c (the rows). */
#ifndef CONFIG_INT_H
#define CONFIG_INT_H

#include "service/config/config.h"

void config_defaults(struct config *);
void
config_apply(struct config *, const struct conf_node *, struct conf_errors *);
/* What rows cannot say: references, presence, ranges of each other. */
void config_check(struct config *, struct conf_errors *);
void config_account_block(
    struct arena *, void *, const struct conf_node *, struct conf_errors *);
void config_domain_block(
    struct arena *, void *, const struct conf_node *, struct conf_errors *);

#endif

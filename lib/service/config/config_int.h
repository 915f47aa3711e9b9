/* config_int - between config.c (reading, look-up), schema.c (the rows), tls.c
 * (rows and checks of tls) and check.c (what belongs together). */
#ifndef CONFIG_INT_H
#define CONFIG_INT_H

#include "service/config/config.h"

void config_defaults(struct config *);
void
config_apply(struct config *, const struct conf_node *, struct conf_errors *);
/* After the rows were applied. */
void config_check(struct config *, struct conf_errors *);
void config_check_tls(struct config *, struct conf_errors *);
/* A block, with a name or without? */
bool
config_wants_block(const struct conf_node *, bool named, struct conf_errors *);
void config_tls_block(
    struct arena *, void *, const struct conf_node *, struct conf_errors *);
void config_account_block(
    struct arena *, void *, const struct conf_node *, struct conf_errors *);
void config_domain_block(
    struct arena *, void *, const struct conf_node *, struct conf_errors *);
/* In Unicode, as all comparisons have it; pos is told what is none. */
struct str config_normal_domain(
    struct arena *, struct str, const struct conf_pos *, struct conf_errors *);

#endif

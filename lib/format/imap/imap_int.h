/*
 * The rules that the parsing files of this folder share.
 */
#ifndef IMAP_INT_H
#define IMAP_INT_H

#include "base/cur.h"
#include "format/imap/command.h"

struct parse {
	struct cur c;
	struct arena *arena;
	bool is_utf8;
	bool is_badcharset;
	unsigned keys; /* search keys so far */
};

/* A growing array in the arena: room for one more, or a sticky failure. */
bool parse_room(struct parse *, void **v, size_t n, size_t size, size_t max);

bool parse_sp(struct parse *);
bool parse_atom(struct parse *, struct str *);
bool parse_astring(struct parse *, struct str *);
bool parse_string(struct parse *, struct str *);
bool parse_nstring(struct parse *, struct str *); /* p == NULL: NIL */
bool parse_mailbox(struct parse *, struct str *);
bool parse_list_mailbox(struct parse *, struct str *);
bool parse_number(struct parse *, uint64_t *);	  /* number64 */
bool parse_nz_number(struct parse *, uint32_t *); /* nz-number */
bool parse_modseq(struct parse *, bool may_be_zero, uint64_t *);
bool parse_set(struct parse *, bool may_star, struct imap_set *);
bool parse_flag_list(struct parse *, bool bare, struct imap_flags *);
bool parse_date(struct parse *, int64_t *day);
bool parse_date_time(struct parse *, int64_t *seconds, int *zone_min);
/* The word, ending where an atom ends. */
bool parse_word(struct parse *, struct str word);
bool parse_word_at(const struct parse *, struct str word);

/* command.c: tag and verb, if it is allowed in that state. */
enum imap_parse_result
parse_begin(struct parse *, unsigned state, struct imap_command *);
/* What to return: r, or the cursor's failure, with its reason in *e. */
enum imap_parse_result parse_result(
    const struct parse *, enum imap_parse_result r, struct imap_parse_error *);

bool parse_fetch(struct parse *, bool is_uid, struct imap_fetch *);
bool parse_search(struct parse *, struct imap_search *);
bool parse_list(struct parse *, struct imap_list *);
bool parse_lsub(struct parse *, struct imap_list *);
bool parse_status_atts(struct parse *, unsigned *);

#endif

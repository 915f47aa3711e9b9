/* dmarc_int - what the files of dmarc share: the tree walk. */
#ifndef DMARC_INT_H
#define DMARC_INT_H

#include "format/dmarc/dmarc.h"

/*
 * The way up from a domain (RFC 9989, 4.10): at most DMARC_MAX_WALK names.
 * Ask walk_target(), tell with walk_add() what is there, until there is no
 * target any more; then walk_org() says where the organization is.
 */
struct walk_step {
	struct str domain;
	struct str text; /* of its one record; p == NULL: it has none */
	enum dmarc_psd psd;
};

struct dmarc_walk {
	struct str start;
	struct walk_step v[DMARC_MAX_WALK];
	size_t n;
};

void walk_begin(struct dmarc_walk *, struct str domain);
bool walk_target(const struct dmarc_walk *, struct str *domain);
void walk_add(struct dmarc_walk *, const struct walk_step *);
struct str walk_org(const struct dmarc_walk *);
/* Whose policy holds for the domain it started from; NULL: nobody's. */
const struct walk_step *walk_policy(const struct dmarc_walk *);

/* The psd= tag of a record's text. */
enum dmarc_psd dmarc_record_psd(struct str text);

/* What is to be found out by a tree walk, in this order. */
enum tree_state {
	TREE_POLICY, /* From's walk */
	TREE_EXISTS, /* np= is given: is there From's domain? */
	TREE_ALIGN,  /* the walk of an identifier */
	TREE_END,
};

struct dmarc_tree {
	enum tree_state state;
	struct dmarc_walk walk; /* under way */
	unsigned exists_at;	/* which type is asked for */
	/* of identifiers; "": in another organization */
	struct str orgs[DMARC_MAX_IDENTIFIERS];
	bool is_unknown[DMARC_MAX_IDENTIFIERS]; /* no answer */
	size_t at, n;
	/* every answer so far: the walks meet at the top */
	struct walk_step *seen;
	size_t n_seen;
};

struct dmarc {
	struct arena *arena;
	struct dmarc_options options;
	struct str org; /* From's organizational domain; empty: none */
	struct dns_question question;
	bool is_asking;
	struct dmarc_found found;
	struct dmarc_tree *tree; /* NULL: by a list of suffixes */
};

/* dmarc.c */
void dmarc_settle(struct dmarc *, enum dmarc_status, const char *why);
/* "_dmarc." domain; false: no such name can be asked for. */
bool dmarc_ask(struct dmarc *, struct str domain);
/* Use this text as the policy. */
void dmarc_read(struct dmarc *, struct str text);

/* dmarc_tree.c */
void tree_begin(struct dmarc *);
void tree_answer(struct dmarc *, const struct dns_answer *);
enum tree_aligned {
	TREE_ALIGNED,
	TREE_OTHER,
	TREE_UNKNOWN, /* it was not to be found out */
};
enum tree_aligned tree_is_aligned(const struct dmarc *, struct str domain);

#endif

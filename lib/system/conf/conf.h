/*
 * conf - the syntax of our configuration files (quire.conf(5)).
 *
 *	# comment
 *	name value "quoted value" ...
 *	name value {
 *		name value
 *	}
 *	include FILE
 *
 * A line is a directive; a value with blanks, '#', '{' or '}' is quoted, with
 * \" and \\ inside. Parsing goes on after an error, so that one run reports
 * all of them: `file:line:column: what, what is allowed`.
 * The tree lives in an arena.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define CONF_DEPTH	8	  /* of blocks, and of includes */
#define CONF_MAX_FILE	(4 << 20) /* bytes of one file */
#define CONF_MAX_VALUES 4096	  /* on one line */
#define CONF_MAX_ERRORS 100	  /* then reading stops */

struct conf_pos {
	const char *file;
	unsigned line, column;
};

struct conf_node {
	struct str name;
	struct str *values;	/* values[i], i < n */
	struct conf_pos *where; /* of each value */
	size_t n;
	bool has_block;
	struct conf_pos pos; /* of the name */
	struct conf_node *child, *next;
};

struct conf_errors {
	struct buf text; /* a line each */
	unsigned n;
};

void conf_errors_init(struct conf_errors *);
void conf_errors_release(struct conf_errors *);
void conf_error(struct conf_errors *, const struct conf_pos *, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));
/* "unknown word 'lisener', did you mean 'listener'?" */
void conf_error_unknown(struct conf_errors *, const struct conf_pos *,
    const char *what, struct str word, const char *const *known, size_t n);

/* Reads text; include files are read from dirfd (-1: refused). The nodes of
 * the top level, in order; NULL for an empty file. */
struct conf_node *conf_parse(struct arena *, const char *file, struct str,
    int dirfd, struct conf_errors *);
struct conf_node *
conf_read(struct arena *, int dirfd, const char *file, struct conf_errors *);
/* Write a tree back; comments are gone, includes are expanded. */
void conf_print(struct buf *, const struct conf_node *, unsigned depth);
void conf_print_value(struct buf *, struct str);

/* A setting is a row. */
enum conf_type {
	CONF_STR,   /* struct str */
	CONF_LIST,  /* struct conf_list, may be given several times */
	CONF_BOOL,  /* bool: yes or no */
	CONF_UINT,  /* uint64_t within min..max */
	CONF_SIZE,  /* uint64_t bytes: 10k 5m 1g */
	CONF_TIME,  /* uint64_t milliseconds: 500ms 30s 5m 12h 2d */
	CONF_PORT,  /* uint64_t 1..65535 */
	CONF_WORD,  /* int: index into words */
	CONF_BLOCK, /* handled by the caller's function */
};
struct conf_list {
	struct str *v;
	size_t n;
};
struct conf_row {
	const char *name;
	enum conf_type type;
	size_t offset; /* in the struct being filled */
	uint64_t min, max;
	const char *const *words; /* NULL-ended, for CONF_WORD */
	/* CONF_BLOCK: called with the node */
	void (*block)(struct arena *, void *out, const struct conf_node *,
	    struct conf_errors *);
};
void conf_apply(struct arena *, void *out, const struct conf_row *, size_t n,
    const struct conf_node *first, const char *what, struct conf_errors *);

#endif

/*
 * command - what an IMAP client asks for: RFC 9051, 9 and RFC 3501, 9, with
 * RFC 2177, 2342, 2971, 3348, 3502, 3516, 4315, 4731, 4959, 5032, 5161,
 * 5182, 5258, 5819, 6154, 6851, 6855, 7162, 8438, 8474, 8508, 8514,
 * 8970.
 *
 * imap_parse() takes the text of one IMAP_COMMAND of the reader and fills a
 * struct imap_command. Strings are borrowed from that text or live in the
 * arena; both must outlive the command. Parsing functions are named after the
 * grammar's rules.
 *
 * Bounded by the reader's limits on the text, and by the counts below: what
 * passes them is a syntax error. The arena needs IMAP_ARENA_MAX.
 *
 * Lenient, because clients are: a mailbox name that is not valid modified
 * UTF-7 but is UTF-8 is taken as it stands; spaces at the end of a line
 * and between the items of a FETCH list are allowed; \Recent in a list of
 * flags is passed over; CHANGEDSINCE may be zero.
 */
#ifndef IMAP_COMMAND_H
#define IMAP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

#define IMAP_ARENA_MAX	 (8 << 20)
#define IMAP_MAX_KEYS	 1000 /* search keys in a command */
#define IMAP_MAX_DEPTH	 50   /* of parentheses, NOT and OR in SEARCH */
#define IMAP_MAX_ITEMS	 500  /* FETCH items, header names, LIST patterns */
#define IMAP_MAX_FLAGS	 200  /* in one list */
#define IMAP_MAX_SECTION 100  /* numbers in a section path */
#define IMAP_MAX_ID	 30   /* RFC 2971, 3.3: pairs */
#define IMAP_MAX_SET	 20000

enum imap_verb {
	IMAP_CAPABILITY,
	IMAP_NOOP,
	IMAP_LOGOUT,
	IMAP_ID,
	IMAP_STARTTLS,
	IMAP_AUTHENTICATE,
	IMAP_LOGIN,
	IMAP_ENABLE,
	IMAP_SELECT,
	IMAP_EXAMINE,
	IMAP_CREATE,
	IMAP_DELETE,
	IMAP_RENAME,
	IMAP_SUBSCRIBE,
	IMAP_UNSUBSCRIBE,
	IMAP_LIST,
	IMAP_LSUB,
	IMAP_NAMESPACE,
	IMAP_STATUS,
	IMAP_APPEND_CMD, /* arguments by imap_parse_append() */
	IMAP_REPLACE,	 /* as APPEND (RFC 8508) */
	IMAP_IDLE,
	IMAP_CHECK,
	IMAP_CLOSE,
	IMAP_UNSELECT,
	IMAP_EXPUNGE,
	IMAP_SEARCH,
	IMAP_FETCH,
	IMAP_STORE,
	IMAP_COPY,
	IMAP_MOVE,
};
#define IMAP_VERBS (IMAP_MOVE + 1)

/* Where a command is allowed (RFC 9051, 3). */
enum {
	IMAP_IN_NONAUTH = 1 << 0,
	IMAP_IN_AUTH = 1 << 1,
	IMAP_IN_SELECTED = 1 << 2,
};

/* System flags; the store's FLAG_* have the same values. */
enum {
	IMAP_FLAG_SEEN = 1 << 0,
	IMAP_FLAG_ANSWERED = 1 << 1,
	IMAP_FLAG_FLAGGED = 1 << 2,
	IMAP_FLAG_DELETED = 1 << 3,
	IMAP_FLAG_DRAFT = 1 << 4,
};

/* sequence-set; "*" is IMAP_STAR */
#define IMAP_STAR 0
struct imap_span {
	uint32_t from, to; /* in the client's order */
};
struct imap_set {
	struct imap_span *v;
	size_t n;
	bool is_saved; /* "$" (RFC 5182) */
};

struct imap_flags {
	unsigned system; /* IMAP_FLAG_* */
	struct str *keywords;
	size_t n;
};

struct imap_strs {
	struct str *v;
	size_t n;
};

/* STATUS items */
enum {
	IMAP_STATUS_MESSAGES = 1 << 0,
	IMAP_STATUS_RECENT = 1 << 1,
	IMAP_STATUS_UIDNEXT = 1 << 2,
	IMAP_STATUS_UIDVALIDITY = 1 << 3,
	IMAP_STATUS_UNSEEN = 1 << 4,
	IMAP_STATUS_DELETED = 1 << 5,
	IMAP_STATUS_SIZE = 1 << 6,
	IMAP_STATUS_HIGHESTMODSEQ = 1 << 7,
	IMAP_STATUS_APPENDLIMIT = 1 << 8,
	IMAP_STATUS_DELETED_STORAGE = 1 << 9,
	IMAP_STATUS_MAILBOXID = 1 << 10,
};

struct imap_list {
	struct str reference; /* UTF-8 */
	struct imap_strs patterns;
	bool is_extended; /* any RFC 5258 syntax was used */
	bool select_subscribed, select_remote, select_recursive, select_use;
	bool return_subscribed, return_children, return_use;
	unsigned status; /* RETURN (STATUS (..)), 0 if not asked for */
};

/* section = "[" [section-spec] "]"  RFC 9051, 9 */
struct imap_section {
	uint32_t *path;
	size_t path_n;
	enum imap_section_what {
		IMAP_SECTION_ALL,
		IMAP_SECTION_HEADER,
		IMAP_SECTION_FIELDS,
		IMAP_SECTION_FIELDS_NOT,
		IMAP_SECTION_TEXT,
		IMAP_SECTION_MIME,
	} what;
	struct imap_strs fields;
};

struct imap_fetch_item {
	enum imap_fetch_kind {
		IMAP_FETCH_UID,
		IMAP_FETCH_FLAGS,
		IMAP_FETCH_MODSEQ,
		IMAP_FETCH_INTERNALDATE,
		IMAP_FETCH_SAVEDATE,
		IMAP_FETCH_SIZE,
		IMAP_FETCH_EMAILID,
		IMAP_FETCH_THREADID,
		IMAP_FETCH_ENVELOPE,
		IMAP_FETCH_BODY_STRUCT, /* BODY without section */
		IMAP_FETCH_BODYSTRUCTURE,
		IMAP_FETCH_PREVIEW,
		IMAP_FETCH_SECTION, /* BODY[..], RFC822, RFC822.TEXT .. */
		IMAP_FETCH_BINARY,
		IMAP_FETCH_BINARY_SIZE,
	} kind;
	bool is_peek;	 /* does not set \Seen */
	bool is_lazy;	 /* PREVIEW (LAZY) */
	struct str name; /* "RFC822.HEADER" etc: the answer's name, or empty */
	struct imap_section section;
	bool has_partial;
	uint64_t offset, count;
};

struct imap_fetch {
	struct imap_set set;
	struct imap_fetch_item *items;
	size_t n;
	bool has_changedsince, vanished;
	uint64_t changedsince;
};

struct imap_store {
	struct imap_set set;
	enum { IMAP_STORE_REPLACE, IMAP_STORE_ADD, IMAP_STORE_REMOVE } how;
	bool is_silent;
	struct imap_flags flags;
	bool has_unchangedsince;
	uint64_t unchangedsince;
};

enum imap_key_kind {
	IMAP_KEY_ALL,
	IMAP_KEY_AND,	  /* children */
	IMAP_KEY_OR,	  /* two children */
	IMAP_KEY_NOT,	  /* one child */
	IMAP_KEY_SEQ,	  /* set */
	IMAP_KEY_UID,	  /* set */
	IMAP_KEY_FLAG,	  /* flag */
	IMAP_KEY_KEYWORD, /* text */
	IMAP_KEY_RECENT,
	IMAP_KEY_LARGER,     /* number */
	IMAP_KEY_SMALLER,    /* number */
	IMAP_KEY_OLDER,	     /* number, seconds (RFC 5032) */
	IMAP_KEY_YOUNGER,    /* number */
	IMAP_KEY_MODSEQ,     /* number */
	IMAP_KEY_BEFORE,     /* day */
	IMAP_KEY_ON,	     /* day */
	IMAP_KEY_SINCE,	     /* day */
	IMAP_KEY_SENTBEFORE, /* day */
	IMAP_KEY_SENTON,
	IMAP_KEY_SENTSINCE,
	IMAP_KEY_SAVEDBEFORE, /* day (RFC 8514) */
	IMAP_KEY_SAVEDON,
	IMAP_KEY_SAVEDSINCE,
	IMAP_KEY_SAVEDATESUPPORTED,
	IMAP_KEY_HEADER,   /* field, text (may be empty) */
	IMAP_KEY_BODY,	   /* text */
	IMAP_KEY_TEXT,	   /* text */
	IMAP_KEY_EMAILID,  /* text */
	IMAP_KEY_THREADID, /* text */
};

struct imap_key {
	enum imap_key_kind kind;
	struct imap_key *child, *next;
	struct imap_set set;
	unsigned flag;
	uint64_t number;
	int64_t day;		/* days since 1970-01-01 */
	struct str field, text; /* UTF-8 */
};

struct imap_search {
	bool has_return; /* answer with ESEARCH (RFC 4731) */
	bool want_min, want_max, want_count, want_all, want_save;
	bool has_charset;
	bool uses_modseq;
	struct imap_key *key; /* an AND of all */
};

struct imap_qresync {
	uint32_t uidvalidity;
	uint64_t modseq;
	struct imap_set known_uids, match_seqs, match_uids; /* n may be 0 */
};

struct imap_command {
	struct str tag;
	enum imap_verb verb;
	bool is_uid;	    /* "UID FETCH" and so on */
	struct str mailbox; /* UTF-8; of all that name one, RENAME's first */
	union {
		struct {
			struct imap_strs names, values; /* value.p NULL: NIL */
		} id;
		struct {
			struct str mechanism, initial; /* base64 */
			bool has_initial;
		} authenticate;
		struct {
			struct str user, password;
		} login;
		struct imap_strs enable;
		struct {
			bool condstore, has_qresync;
			struct imap_qresync qresync;
		} select; /* and EXAMINE */
		struct {
			struct imap_strs use; /* "\Sent" ... */
		} create;
		struct str rename_to;
		struct imap_list list; /* and LSUB */
		unsigned status;
		struct imap_set set; /* COPY, MOVE, UID EXPUNGE */
		struct imap_search search;
		struct imap_fetch fetch;
		struct imap_store store;
	} u;
};

enum imap_parse_result {
	IMAP_PARSED,
	IMAP_SYNTAX,	  /* BAD */
	IMAP_UNKNOWN,	  /* BAD: no such command */
	IMAP_WRONG_STATE, /* BAD: not now */
	IMAP_BADCHARSET,  /* NO [BADCHARSET (US-ASCII UTF-8)] */
};

struct imap_parse_opts {
	unsigned state; /* one of IMAP_IN_* */
	bool is_utf8;	/* mailbox names are UTF-8, not modified UTF-7 */
};

struct imap_parse_error {
	const char *why; /* static text */
	struct str rest; /* what was not understood, for the echo */
};

/* Whatever the result, tag and (if there was a tag) verb are as far as they
 * were read; an unreadable tag is empty. */
enum imap_parse_result
imap_parse(struct arena *, struct str text, const struct imap_parse_opts *,
    struct imap_command *, struct imap_parse_error *);

/*
 * One message of an APPEND: the text of an IMAP_APPEND event. For the first,
 * tag and mailbox are filled too. UTF8 (~{..}) is RFC 6855, 4: the text after
 * the octets then begins with ")".
 */
struct imap_append {
	struct str tag, mailbox;
	bool is_replace, is_uid; /* REPLACE, UID REPLACE of this message: */
	struct imap_set replaced;
	struct imap_flags flags;
	bool has_date;
	int64_t date;
	int zone_min;
	bool is_utf8;
};
enum imap_parse_result imap_parse_append(struct arena *, struct str text,
    bool is_first, bool after_utf8, const struct imap_parse_opts *,
    struct imap_append *, struct imap_parse_error *);
/* The text of an IMAP_APPEND_END: nothing, or ")". */
bool imap_parse_append_end(struct str text, bool after_utf8);

/* The verb's name, "UID" not included; for logs. */
struct str imap_verb_name(enum imap_verb);

#endif

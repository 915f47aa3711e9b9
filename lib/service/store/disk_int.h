/*
 * disk_int.h - the steps that change the disk, and the names of files and
 * folders on it.
 */
#ifndef STORE_DISK_INT_H
#define STORE_DISK_INT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/str.h"

/* ---- step.c: every system call that changes the disk ---- */
/*
 * For tests: called before each such call with its name. 0 lets it happen,
 * anything else is the errno it fails with; or the hook does not return. For
 * a sync also STEP_SKIP: it is said to have been done.
 */
#define STEP_SKIP (-1)
extern int (*store_step)(const char *call);

/* What these three make has the mode, group and ACL of its directory. */
int step_creat(int dirfd, const char *name); /* O_EXCL, O_RDWR */
int step_open(int dirfd, const char *name);  /* O_RDWR, made if need be */
/* May a link to that file stand there? Who shares the directory must be able
 * to read it. */
bool step_fits(int dirfd, const struct stat *file);
int step_write(int fd, struct str);
int step_append(int fd, struct str); /* whole, or -1: O_APPEND */
int step_pwrite(int fd, struct str, uint64_t off);
int step_slot(int fd, struct str, uint64_t off);
int step_truncate(int fd, uint64_t size);
int step_sync(int fd);	    /* fsync */
int step_sync_data(int fd); /* fdatasync */
int step_sync_fs(int fd);   /* syncfs */
int step_link(int fromfd, const char *from, int tofd, const char *to);
/* path is /proc/self/fd/N */
int step_link_fd(const char *path, int tofd, const char *to);
/* never replaces: EEXIST */
int step_rename(int fromfd, const char *from, int tofd, const char *to);
int step_replace(int dirfd, const char *from, const char *to);
int step_unlink(int dirfd, const char *name);
int step_mkdir(int dirfd, const char *name); /* EEXIST is no error */

/* ---- names.c: Maildir file names ---- */
#define NAME_LEN 255 /* octets, ext4 and most others */

/* Flag letters of a name, a set: D F P R S T, then a..z */
#define FN_D	     (1u << 0)
#define FN_F	     (1u << 1)
#define FN_P	     (1u << 2)
#define FN_R	     (1u << 3)
#define FN_S	     (1u << 4)
#define FN_T	     (1u << 5)
#define FN_LETTER(i) (1u << (6 + (i))) /* 'a' + i */
#define FN_LETTERS   26

struct name {
	struct str base;   /* up to ":2," or the end */
	struct str unique; /* up to the first ',' or ':' */
	uint32_t fn;
	struct str extra; /* letters that are none of ours, ascending */
	char extra_buf[32];
	bool has_info;	       /* has ":2," */
	bool is_ours;	       /* made by name_make() */
	bool is_copy;	       /* ours, made by COPY */
	int64_t seconds, usec; /* for the order of arrival; usec -1: none */
	uint64_t size, wsize;  /* S=, W=; 0: none */
};

/* false: no message (leading dot, too long, odd bytes) */
bool name_parse(struct str, struct name *);
uint64_t name_hash(struct str unique);
/* Dovecot's order of arrival: seconds, M, bytes. */
int name_cmp(const struct name *, const struct name *);
/* A fresh base name; the sizes are added by name_add_sizes(). */
void name_make(char out[NAME_LEN + 1], const char *hostname, bool is_copy);
/* The order's token in place of the random part. */
void name_set_token(char *name, uint64_t token);
/* 0: not known, left out */
void name_add_sizes(char name[NAME_LEN + 1], uint64_t size, uint64_t wsize);
/* base + ":2," + letters; extra letters are merged in order */
bool name_with_info(
    char out[NAME_LEN + 1], struct str base, uint32_t fn, struct str extra);
void emailid_of(struct str unique, uint8_t out[16]);
void sha256(struct str, uint8_t out[32]);

/* ---- mutf7.c, folder.c: mailbox names ---- */
bool mutf7_decode(struct buf *, struct str);
void mutf7_encode(struct buf *, struct str utf8);
/* "A/b" to ".A.b"; false if it has no such form */
bool folder_to_dir(struct str name, struct buf *);
bool folder_to_dir_utf8(struct str name, struct buf *);
bool folder_from_dir(struct str dir, struct buf *);
bool folder_is_inbox(struct str name);

#endif

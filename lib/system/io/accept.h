/*
 * accept - taking connections from a listening socket.
 */
#ifndef IO_ACCEPT_H
#define IO_ACCEPT_H

#include <stdbool.h>
#include <sys/socket.h>

/* A burst must not starve those who are connected: so many in one go. */
#define ACCEPT_BURST 64
#define ADDR_TEXT    64 /* an IP address as text, with its NUL */

#define ACCEPT_NONE   (-1) /* now; or none possible, which is logged */
#define ACCEPT_CLOSED (-2) /* nor ever: the listener was shut down */
/* The next connection and its peer's address; or one of these. */
int accept_next(int listener, char remote[ADDR_TEXT]);
/* The address a connection came in at. */
void accept_local_address(int fd, char local[ADDR_TEXT]);
/* Say one line, if there is room for it, and close. */
void accept_refuse(int fd, const char *line);

#endif

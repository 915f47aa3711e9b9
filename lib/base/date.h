/*
 * date - calendar arithmetic and the date forms of mail.
 *
 * Seconds are since 1970-01-01 UTC, zones minutes east of UTC. No libc
 * calendar and no locale: the results depend on the arguments only.
 */
#ifndef BASE_DATE_H
#define BASE_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct date {
	int year, month, day;	  /* 1..12, 1..31 */
	int hour, minute, second; /* second may be 60 */
	int zone_min;		  /* minutes east of UTC */
};

extern const char *const date_months[12]; /* "Jan" .. */
extern const char *const date_days[7];	  /* "Sun" .. */

bool date_valid(const struct date *);
int64_t date_to_seconds(const struct date *);
void date_from_seconds(struct date *, int64_t seconds, int zone_min);
int date_weekday(int64_t seconds); /* 0 = Sunday, of the UTC day */
/* Days since 1970-01-01 of a civil day. */
int64_t date_days_of(int year, int month, int day);
/* 1..12 from "jan", any case; 0 if none. */
int date_month_of(struct str);

/* "Thu, 1 Jan 1970 00:00:00 +0000" (RFC 5322, 3.3) */
void date_print_rfc5322(struct buf *, int64_t seconds, int zone_min);
/* " 1-Jan-1970 00:00:00 +0000", no quotes (RFC 9051, date-time) */
void date_print_imap(struct buf *, int64_t seconds, int zone_min);
/* "1970-01-01T00:00:00.000Z", for logs */
void date_print_iso(struct buf *, int64_t seconds, int millis);
/* The local zone's offset at that time, minutes east. */
int date_local_zone(int64_t seconds);
/* Now, from the wall clock. */
int64_t date_now(void);
int64_t date_now_us(void);
int64_t date_mono_ms(void); /* monotonic */

#endif

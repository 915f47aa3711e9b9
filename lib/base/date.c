#include "base/date.h"

#include <time.h>

const char *const date_months[12] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
	"Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
const char *const date_days[7] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri",
	"Sat" };

/* Days from civil, proleptic Gregorian; years count from March. */
int64_t
date_days_of(int year, int month, int day)
{
	int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + doe - 719468;
}

bool
date_valid(const struct date *d)
{
	static const int len[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };
	bool leap =
	    (d->year % 4 == 0 && d->year % 100 != 0) || d->year % 400 == 0;

	if (d->year < 1 || d->year > 9999 || d->month < 1 || d->month > 12 ||
	    d->day < 1)
		return false;
	if (d->day > len[d->month - 1] + (d->month == 2 && leap))
		return false;
	return d->hour >= 0 && d->hour < 24 && d->minute >= 0 &&
	       d->minute < 60 && d->second >= 0 && d->second <= 60 &&
	       d->zone_min > -6000 && d->zone_min < 6000;
}

int64_t
date_to_seconds(const struct date *d)
{
	return date_days_of(d->year, d->month, d->day) * 86400 +
	       d->hour * 3600 + d->minute * 60 + d->second -
	       (int64_t)d->zone_min * 60;
}

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

void
date_from_seconds(struct date *d, int64_t seconds, int zone_min)
{
	int64_t local = seconds + (int64_t)zone_min * 60;
	int64_t days = floor_div(local, 86400);
	int64_t sod = local - days * 86400;
	int64_t z = days + 719468, era = floor_div(z, 146097);
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	d->day = (int)(doy - (153 * mp + 2) / 5 + 1);
	d->month = (int)(mp < 10 ? mp + 3 : mp - 9);
	d->year = (int)(yoe + era * 400 + (d->month <= 2));
	d->hour = (int)(sod / 3600);
	d->minute = (int)(sod / 60 % 60);
	d->second = (int)(sod % 60);
	d->zone_min = zone_min;
}

int
date_weekday(int64_t seconds)
{
	int64_t w = (floor_div(seconds, 86400) + 4) % 7;

	return (int)(w < 0 ? w + 7 : w);
}

int
date_month_of(struct str s)
{
	int i;

	for (i = 0; i < 12; i++)
		if (str_eq_nocase(s, str_from(date_months[i])))
			return i + 1;
	return 0;
}

static void
print_zone(struct buf *b, int zone_min)
{
	int z = zone_min < 0 ? -zone_min : zone_min;

	buf_printf(
	    b, " %c%02d%02d", zone_min < 0 ? '-' : '+', z / 60 % 100, z % 60);
}

void
date_print_rfc5322(struct buf *b, int64_t seconds, int zone_min)
{
	struct date d;

	date_from_seconds(&d, seconds, zone_min);
	buf_printf(b, "%s, %d %s %04d %02d:%02d:%02d",
	    date_days[date_weekday(seconds + (int64_t)zone_min * 60)], d.day,
	    date_months[d.month - 1], d.year, d.hour, d.minute, d.second);
	print_zone(b, zone_min);
}

void
date_print_imap(struct buf *b, int64_t seconds, int zone_min)
{
	struct date d;

	date_from_seconds(&d, seconds, zone_min);
	buf_printf(b, "%2d-%s-%04d %02d:%02d:%02d", d.day,
	    date_months[d.month - 1], d.year, d.hour, d.minute, d.second);
	print_zone(b, zone_min);
}

void
date_print_iso(struct buf *b, int64_t seconds, int millis)
{
	struct date d;

	date_from_seconds(&d, seconds, 0);
	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", d.year, d.month,
	    d.day, d.hour, d.minute, d.second, millis);
}

int
date_local_zone(int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL)
		return 0;
	return (int)(tm.tm_gmtoff / 60);
}

int64_t
date_now(void)
{
	return date_now_us() / 1000000;
}

int64_t
date_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
date_mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

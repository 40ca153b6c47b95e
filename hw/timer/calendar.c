/* SPDX-License-Identifier: MIT */
/* Calendar dates from and to seconds: plain day counting. */
#include "hw/timer/calendar.h"
#include <stdio.h>
#include <time.h>
#include "base/bits.h"

#define DAY_S INT64_C(86400)
#define MIN_S INT64_C(-62167219200) /* 0000-01-01 */
#define MAX_S INT64_C(253402300799) /* 9999-12-31T23:59:59 */

/*
 * Days from 1970-01-01 to the first of March of year y; years are taken to begin in March, so that leap days end them.
 */
static int64_t days_to_march(int64_t y)
{
    return 365 * y + y / 4 - y / 100 + y / 400 - 719468;
}

/* Months from March on: days before month m (0: March) = (153 m + 2) / 5. */
int64_t calendar_to_seconds(const CalendarTime *c)
{
    int64_t month = (int64_t)c->month + 12 * 400 - 3; /* 400 years on, so that nothing is negative */
    int64_t year = c->year + month / 12;
    int64_t days = days_to_march(year) + (153 * (month % 12) + 2) / 5 + c->day - 1 - 146097;

    return days * DAY_S + c->hour * INT64_C(3600) + c->minute * INT64_C(60) + c->second;
}

CalendarTime calendar_from_seconds(int64_t t)
{
    t = t < MIN_S ? MIN_S : t > MAX_S ? MAX_S : t;
    int64_t days = t / DAY_S - (t % DAY_S < 0), second = t - days * DAY_S;
    int64_t shifted = days + 719468 + 146097;             /* days since 1 March of year -400 */
    int64_t era = shifted / 146097, day = shifted % 146097; /* 400 years */
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t day_of_year = day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * day_of_year + 2) / 153;

    return (CalendarTime){
        .year = (unsigned)(era * 400 - 400 + year + (month >= 10)),
        .month = (unsigned)(month < 10 ? month + 3 : month - 9),
        .day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1),
        .hour = (unsigned)(second / 3600),
        .minute = (unsigned)(second / 60 % 60),
        .second = (unsigned)(second % 60),
        .weekday = (unsigned)(((days + 4) % 7 + 7) % 7),
    };
}

int64_t calendar_local_from_utc(int64_t t)
{
    time_t host = t;
    struct tm tm;

    return localtime_r(&host, &tm) ? t + tm.tm_gmtoff : t;
}

bool calendar_parse(const char *text, int64_t *t)
{
    CalendarTime c = { 0 };
    int used = 0;
    int n = sscanf(text, "%4u-%2u-%2uT%2u:%2u:%2u%n", &c.year, &c.month, &c.day, &c.hour, &c.minute, &c.second, &used);

    if (n == 3)
        sscanf(text, "%*4u-%*2u-%*2u%n", &used);
    if ((n != 6 && n != 3) || text[used] || c.hour > 23 || c.minute > 59 || c.second > 59)
        return false;
    *t = calendar_to_seconds(&c);
    CalendarTime back = calendar_from_seconds(*t); /* catches the 31st of April */
    return back.year == c.year && back.month == c.month && back.day == c.day;
}

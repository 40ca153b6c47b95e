/* SPDX-License-Identifier: MIT */
/* The proleptic Gregorian calendar without the C library's time zones and limits. */
#ifndef HW_TIMER_CALENDAR_H
#define HW_TIMER_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

typedef struct CalendarTime {
    unsigned year, month, day, hour, minute, second; /* month and day from 1 */
    unsigned weekday;                                /* 0: Sunday; not looked at by calendar_to_seconds() */
} CalendarTime;

/* Seconds since 1970; years 0..9999 are exact, times outside are held at the ends. */
CalendarTime calendar_from_seconds(int64_t t);
/* Any values: what is too big carries over. */
int64_t calendar_to_seconds(const CalendarTime *c);
/* Seconds of the host's local time read as if it were UTC. */
int64_t calendar_local_from_utc(int64_t t);
/* "2026-01-31" or "2026-01-31T23:59:58". */
bool calendar_parse(const char *text, int64_t *t);
#endif

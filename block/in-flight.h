/* SPDX-License-Identifier: MIT */
/*
 * How many requests are on their way, and waiting until none is: two atomic operations a request, a lock only when
 * somebody waits.
 */
#ifndef BLOCK_IN_FLIGHT_H
#define BLOCK_IN_FLIGHT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * word: requests in the low half, those who wait in the high one. Leaving while somebody waits is done under the lock,
 * so that the structure may be freed as soon as in_flight_wait() or in_flight_block() has returned and nobody enters
 * any more.
 */
typedef struct InFlight {
    _Atomic uint64_t word;
    pthread_mutex_t lock;
    pthread_cond_t changed;
} InFlight;

void in_flight_init(InFlight *f);
void in_flight_destroy(InFlight *f);
/* A request begins, whoever waits. */
void in_flight_enter(InFlight *f);
/* The same, but while somebody has blocked it: waits until it is free (admit), or gives up (try). */
void in_flight_admit(InFlight *f);
bool in_flight_try(InFlight *f);
void in_flight_leave(InFlight *f);
/* Returns at a moment when none is on its way. */
void in_flight_wait(InFlight *f);
/* The same, and none is admitted until as many in_flight_unblock(). Do not mix with in_flight_wait() on one object. */
void in_flight_block(InFlight *f);
void in_flight_unblock(InFlight *f);
#endif

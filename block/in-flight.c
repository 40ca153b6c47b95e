/* SPDX-License-Identifier: MIT */
/* Counting requests on their way without a lock. */
#include "block/in-flight.h"
#include <stdatomic.h>

#define WAITER (UINT64_C(1) << 32)

void in_flight_init(InFlight *f)
{
    f->word = 0;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
}

void in_flight_destroy(InFlight *f)
{
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->changed);
}

void in_flight_enter(InFlight *f)
{
    atomic_fetch_add(&f->word, 1);
}

bool in_flight_try(InFlight *f)
{
    uint64_t w = atomic_load(&f->word);
    while (w < WAITER) {
        if (atomic_compare_exchange_weak(&f->word, &w, w + 1))
            return true;
    }
    return false;
}

void in_flight_admit(InFlight *f)
{
    if (in_flight_try(f))
        return;
    pthread_mutex_lock(&f->lock);
    while (!in_flight_try(f))
        pthread_cond_wait(&f->changed, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

void in_flight_leave(InFlight *f)
{
    uint64_t w = atomic_load(&f->word);
    while (w < WAITER) {
        if (atomic_compare_exchange_weak(&f->word, &w, w - 1))
            return;
    }
    pthread_mutex_lock(&f->lock);
    w = atomic_fetch_sub(&f->word, 1);
    if ((uint32_t)w == 1)
        pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

void in_flight_block(InFlight *f)
{
    pthread_mutex_lock(&f->lock);
    atomic_fetch_add(&f->word, WAITER);
    while ((uint32_t)atomic_load(&f->word))
        pthread_cond_wait(&f->changed, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

void in_flight_unblock(InFlight *f)
{
    pthread_mutex_lock(&f->lock);
    atomic_fetch_sub(&f->word, WAITER);
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

void in_flight_wait(InFlight *f)
{
    in_flight_block(f);
    in_flight_unblock(f);
}

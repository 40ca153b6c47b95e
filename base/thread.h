/* SPDX-License-Identifier: MIT */
/* Threads and lock domains. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <stdbool.h>
#include <pthread.h>

/*
 * A lock domain serialises the hooks of the devices in it. Recursive, because a device may reach another one of its own
 * domain by DMA or MMIO. Order: device domain -> interrupt controller -> vCPU kick; never the other way.
 */
typedef struct LockDomain LockDomain;
LockDomain *lock_domain_new(const char *name);
void lock_domain_free(LockDomain *d);
void lock_domain_lock(LockDomain *d);   /* NULL: no-op */
void lock_domain_unlock(LockDomain *d); /* NULL: no-op */
bool lock_domain_held(const LockDomain *d);

/* The machine's own domain: what a device gets unless it asks for another. */
LockDomain *machine_domain(void);

/* Start a named thread registered with RCU (liburcu); joinable. Never fails: asserts on a host out of threads. */
pthread_t thread_start(const char *name, void *(*fn)(void *), void *opaque);
#endif

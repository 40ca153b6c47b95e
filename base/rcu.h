/* SPDX-License-Identifier: MIT */
/* The one place that chooses the RCU flavour: liburcu "memb" (read side without a barrier or a quiescence duty). */
#ifndef BASE_RCU_H
#define BASE_RCU_H

/*
 * rcu_read_lock() / rcu_read_unlock() nest and never wait. Readers must be threads of thread_start() or the main
 * thread. Free with call_rcu(); synchronize_rcu() only without any lock domain and outside a read section.
 */
#ifndef _LGPL_SOURCE
#define _LGPL_SOURCE /* inline read side */
#endif
#ifndef RCU_MEMB
#define RCU_MEMB
#endif
#include <urcu.h>

/* Publish a pointer, and read it inside a read section: as atomics that the sanitizers understand. */
#define rcu_publish(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)
#define rcu_get(p) __atomic_load_n(&(p), __ATOMIC_ACQUIRE)
#endif

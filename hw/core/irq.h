/* SPDX-License-Identifier: MIT */
/* Interrupt lines: a wire from a device's output pin to an input. */
#ifndef HW_CORE_IRQ_H
#define HW_CORE_IRQ_H

#include <stdbool.h>
#include <stddef.h>

/*
 * An input pin: whoever owns the input fills it in. `set` is called with the level on each change request (also when
 * the level stays the same), under the raiser's lock domain; an input that belongs to another domain must be lock-free
 * or take its own lock there (interrupt controllers do).
 */
typedef struct Irq {
    void (*set)(void *opaque, int n, int level);
    void *opaque;
    int n;
    int host_line; /* 1 + the number of the line for event_doors()->line_fd; 0: it has none */
} Irq;

static inline void irq_set(const Irq *i, int level)
{
    if (i && i->set)
        i->set(i->opaque, i->n, level);
}
static inline void irq_raise(const Irq *i) { irq_set(i, 1); }
static inline void irq_lower(const Irq *i) { irq_set(i, 0); }
static inline void irq_pulse(const Irq *i) { irq_set(i, 1); irq_set(i, 0); }
#endif

/* SPDX-License-Identifier: MIT */
/* The local APIC's structure: shared by its registers, its timer and the message bus. */
#ifndef HW_INTC_APIC_INTERNAL_H
#define HW_INTC_APIC_INTERNAL_H

#include "base/bits.h"
#include "hw/intc/apic.h"

/* Register numbers: xAPIC offset / 16 = x2APIC MSR - 0x800 (SDM vol. 3A, tables 11-1 and 11-6). */
enum {
    R_ID = 0x02, R_VERSION = 0x03, R_TPR = 0x08, R_APR = 0x09, R_PPR = 0x0a, R_EOI = 0x0b, R_RRD = 0x0c, R_LDR = 0x0d,
    R_DFR = 0x0e, R_SVR = 0x0f, R_ISR = 0x10, R_TMR = 0x18, R_IRR = 0x20, R_ESR = 0x28, R_ICR = 0x30, R_ICR2 = 0x31,
    R_LVT_TIMER = 0x32, R_LVT_THERMAL = 0x33, R_LVT_PERF = 0x34, R_LVT_LINT0 = 0x35, R_LVT_LINT1 = 0x36,
    R_LVT_ERROR = 0x37, R_TMICT = 0x38, R_TMCCT = 0x39, R_TDCR = 0x3e, R_SELF_IPI = 0x3f, R_COUNT = 0x40,
};
enum { SVR_ENABLE = 1 << 8, SVR_NO_EOI_BROADCAST = 1 << 12 };
enum { LVT_MODE = 0x700, LVT_REMOTE_IRR = 1 << 14, LVT_LEVEL = 1 << 15, LVT_MASKED = 1 << 16 };
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_TSC_DEADLINE }; /* LVT timer bits 18:17 */
enum { ESR_SEND_VECTOR = 1 << 5, ESR_RECEIVE_VECTOR = 1 << 6, ESR_REGISTER = 1 << 7 };
#define BASE_BSP BIT(8)
#define BASE_X2APIC BIT(10)
#define BASE_ENABLE BIT(11)
#define MSR_TSC_DEADLINE 0x6e0
#define APIC_VERSION_VALUE (0x14u | 5u << 16 | 1u << 24) /* six LVT entries; EOI broadcast can be suppressed */

/*
 * Threads. IRR, TMR, pins, extint and errors are changed by any thread with atomic operations; all other registers only
 * by the vCPU's own thread (or while it stands still), and read by any. The timer's fields are under dev.domain, which
 * belongs to this APIC alone.
 *
 * The INTR line: whoever changes something that apic_pending() depends on calls apic_sync() afterwards. It sets the
 * line to what it computes and then computes again; so of two racing threads the one whose set_line() came last has
 * looked after that, and the line ends up right without a lock.
 */
typedef struct Apic {
    Device dev;
    CpuPort *port;
    Device *pic;
    bool x2apic_allowed;
    uint32_t id;
    uint64_t base;         /* IA32_APIC_BASE */
    uint32_t reg[R_COUNT]; /* R_PPR is kept up to date */
    uint32_t pins;         /* levels of LINT0 and LINT1 */
    uint32_t extint;       /* an ExtINT message waits */
    uint32_t errors;       /* since the last write to ESR */
    uint64_t tsc_deadline; /* 0: not armed */
    int64_t timer_start;   /* when the count was loaded */
    Timer *timer;
} Apic;

static inline uint32_t apic_get(const Apic *a, unsigned r)
{
    return __atomic_load_n(&a->reg[r], __ATOMIC_RELAXED);
}
static inline void apic_put(Apic *a, unsigned r, uint32_t v)
{
    __atomic_store_n(&a->reg[r], v, __ATOMIC_RELAXED);
}
static inline uint64_t apic_base(const Apic *a)
{
    return __atomic_load_n(&a->base, __ATOMIC_RELAXED);
}
static inline bool apic_is_x2(const Apic *a)
{
    return apic_base(a) & BASE_X2APIC;
}
static inline bool apic_software_enabled(const Apic *a)
{
    return apic_get(a, R_SVR) & SVR_ENABLE;
}

/* apic.c */
bool apic_pending(void *intc);
void apic_sync(Apic *a);
int apic_acknowledge(void *intc);
void apic_end_of_interrupt(Apic *a);
void apic_update_ppr(Apic *a);
void apic_error(Apic *a, uint32_t bit);
void apic_lint_changed(Apic *a, unsigned n, bool rose, bool level);
/* A message that is addressed to this APIC; any thread. */
void apic_accept(Apic *a, uint8_t mode, uint8_t vector, bool level);
/* Set the vector's IRR; any thread. */
void apic_raise(Apic *a, uint8_t vector, bool level);

/* apic-regs.c: the vCPU's thread. false: no such register in this mode (x2APIC: #GP). */
bool apic_reg_read(Apic *a, unsigned r, uint32_t *value);
bool apic_reg_write(Apic *a, unsigned r, uint32_t value);
void apic_write_valid(Apic *a, unsigned r, uint32_t value); /* a register that is there, with bits that are */
uint32_t apic_reg_valid(unsigned r);                        /* the bits that can be set */
bool apic_msr_read(void *intc, uint32_t msr, uint64_t *value);
bool apic_msr_write(void *intc, uint32_t msr, uint64_t value);

/* apic-device.c */
extern const CpuIntcOps apic_intc_ops;

/* apic-timer.c */
void apic_timer_start(Apic *a);
void apic_timer_reset(Apic *a);
void apic_timer_stop(Apic *a);
uint32_t apic_timer_count(Apic *a);
void apic_timer_write(Apic *a, unsigned r, uint32_t value); /* R_LVT_TIMER, R_TMICT, R_TDCR */
uint64_t apic_timer_read_deadline(Apic *a);
void apic_timer_write_deadline(Apic *a, uint64_t tsc);
/* as fetched; the timer runs elsewhere and here only its deadline is noted */
void apic_timer_restore(Apic *a, uint32_t count, uint64_t deadline);
void apic_timer_loaded(Apic *a);

/* apic-bus.c */
void apic_bus_add(Apic *a);
void apic_bus_remove(Apic *a);
void apic_route(const ApicMessage *m, const Apic *exclude);
void apic_broadcast_eoi(uint8_t vector);
#endif

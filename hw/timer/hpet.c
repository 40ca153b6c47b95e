/* SPDX-License-Identifier: MIT */
/*
 * The high precision event timer: a 100 MHz counter and comparators.
 * Source: IA-PC HPET specification 1.0a. FSB (MSI) delivery and legacy replacement are included.
 */
#include "base/bits.h"
#include "base/log.h"
#include "base/trace.h"
#include "hw/core/device.h"
#include "hw/core/irqchip-host.h"
#include "hw/core/machine.h"

#define TICK_NS 10
#define MAX_TIMERS 32
#define LINES 24
#define MIN_PERIOD_NS 20000 /* faster periods are merged */
#define MAX_DELAY_NS (INT64_C(1) << 60)

enum { R_CAPABILITY = 0x00, R_CONFIG = 0x10, R_STATUS = 0x20, R_COUNTER = 0xf0, R_TIMERS = 0x100 };
enum { T_CONFIG = 0x00, T_COMPARE = 0x08, T_FSB = 0x10 };
enum { CONFIG_ENABLE = 1, CONFIG_LEGACY = 2 };
#define TN_LEVEL BIT(1)
#define TN_ENABLE BIT(2)
#define TN_PERIODIC BIT(3)
#define TN_PERIODIC_CAP BIT(4)
#define TN_SIZE_CAP BIT(5)
#define TN_VAL_SET BIT(6)
#define TN_32BIT BIT(8)
#define TN_FSB_ENABLE BIT(14)
#define TN_FSB_CAP BIT(15)
#define TN_WRITABLE UINT64_C(0x7f4e)

typedef struct Hpet Hpet;
typedef struct HpetTimer {
    Hpet *hpet;
    uint64_t config, compare, fsb, period;
    Timer *timer;
} HpetTimer;

struct Hpet {
    Device dev;
    uint8_t timer_count;
    uint8_t saved_count;
    bool msi;
    uint32_t route_cap;
    uint64_t config, status;
    uint64_t counter;   /* while halted */
    uint64_t offset_ns; /* while it runs: the counter is (virtual time + offset) / 10 ns */
    HpetTimer timer[MAX_TIMERS];
    uint8_t legacy_in;  /* levels of the PIT's and the RTC's outputs */
};

static const StateField timer_state[] = {
    STATE_U64(HpetTimer, config), STATE_U64(HpetTimer, compare), STATE_U64(HpetTimer, fsb),
    STATE_U64(HpetTimer, period), STATE_TIMER(HpetTimer, timer), STATE_END_OF_TABLE,
};
static const StateField state[] = {
    STATE_U8(Hpet, saved_count), STATE_U64(Hpet, config), STATE_U64(Hpet, status), STATE_U64(Hpet, counter),
    STATE_U64(Hpet, offset_ns), STATE_STRUCT_ARRAY(Hpet, timer, timer_state), STATE_U8(Hpet, legacy_in),
    STATE_END_OF_TABLE,
};

/* Read without the lock by the counter's fast path. */
static uint64_t counter_now(const Hpet *s)
{
    if (!(__atomic_load_n(&s->config, __ATOMIC_RELAXED) & CONFIG_ENABLE))
        return __atomic_load_n(&s->counter, __ATOMIC_RELAXED);
    return ((uint64_t)clock_ns(CLOCK_VIRTUAL_NS) + __atomic_load_n(&s->offset_ns, __ATOMIC_RELAXED)) / TICK_NS;
}

/*
 * The line that the timer's interrupt goes out on, or -1 (section 2.3.8, Tn_INT_ROUTE_CNF; 2.4.7 legacy replacement).
 */
static int line_of(const Hpet *s, unsigned n)
{
    unsigned route = bits_get(s->timer[n].config, 9, 5);

    if ((s->config & CONFIG_LEGACY) && n < 2)
        return n == 0 ? 0 : 8;
    return route < LINES && (s->route_cap & BIT(route)) ? (int)route : -1;
}

static void send_fsb(const HpetTimer *t)
{
    Machine *m = machine_current();
    if (m && m->as_memory)
        as_store(m->as_memory, t->fsb >> 32, 4, (uint32_t)t->fsb, MEM_ATTRS_DEVICE);
}

static void interrupt(Hpet *s, unsigned n)
{
    HpetTimer *t = &s->timer[n];
    int line = line_of(s, n);

    TRACE(hpet_interrupt, "timer %u line %d", n, line);
    if (t->config & TN_LEVEL)
        s->status |= BIT(n);
    if (!(t->config & TN_ENABLE))
        return;
    if ((t->config & TN_FSB_ENABLE) && s->msi)
        send_fsb(t);
    else if (line >= 0 && (t->config & TN_LEVEL))
        device_out(&s->dev, line, 1);
    else if (line >= 0)
        irq_pulse(&s->dev.out[line]);
}

static void lower(Hpet *s, unsigned n)
{
    int line = line_of(s, n);
    if (line >= 0 && (s->timer[n].config & TN_LEVEL))
        device_out(&s->dev, line, 0);
}

/* In periodic mode: the next multiple of the period after the present count. What a late host has missed is merged. */
static uint64_t compare_now(const Hpet *s, const HpetTimer *t)
{
    uint64_t mask = t->config & TN_32BIT ? UINT32_MAX : UINT64_MAX;
    uint64_t late = (counter_now(s) - t->compare) & mask;

    if (!(t->config & TN_PERIODIC) || !t->period || !(s->config & CONFIG_ENABLE) || late > mask / 2)
        return t->compare;
    return (t->compare + (late / t->period + 1) * t->period) & mask;
}

/* Would anybody notice the match? Guests leave a comparator running that they no longer use. */
static bool is_watched(const Hpet *s, const HpetTimer *t)
{
    bool status_rises = (t->config & TN_LEVEL) && !(s->status & BIT(t - s->timer));
    return (s->config & CONFIG_ENABLE) && ((t->config & TN_ENABLE) || status_rises);
}

static void arm(Hpet *s, HpetTimer *t)
{
    if (!is_watched(s, t)) {
        timer_cancel(t->timer);
        return;
    }
    uint64_t cur = counter_now(s);
    uint64_t ticks = t->config & TN_32BIT ? (uint32_t)(t->compare - cur) : t->compare - cur;
    int64_t ns = ticks > MAX_DELAY_NS / TICK_NS ? MAX_DELAY_NS : (int64_t)(ticks * TICK_NS);

    if ((t->config & TN_PERIODIC) && t->period < MIN_PERIOD_NS / TICK_NS && ns < MIN_PERIOD_NS)
        ns = MIN_PERIOD_NS;
    timer_arm(t->timer, clock_ns(CLOCK_VIRTUAL_NS) + ns);
}

static void fired(void *opaque)
{
    HpetTimer *t = opaque;
    Hpet *s = t->hpet;

    if ((t->config & TN_PERIODIC) && t->period) {
        t->compare = compare_now(s, t);
        arm(s, t);
    } else if ((t->config & TN_32BIT) && is_watched(s, t)) { /* the counter's low half comes round again */
        timer_arm(t->timer, clock_ns(CLOCK_VIRTUAL_NS) + (INT64_C(1) << 32) * TICK_NS);
    }
    interrupt(s, t - s->timer);
}

/* A PIT that runs elsewhere does not come through here: it must know whose line 0 is. */
static void tell_host(const Hpet *s)
{
    const IrqchipHost *h = irqchip_host();

    if (h && h->pit_legacy)
        h->pit_legacy(s->config & CONFIG_LEGACY);
}

static void write_config(Hpet *s, uint64_t v)
{
    uint64_t was = s->config;
    uint64_t now = (uint64_t)clock_ns(CLOCK_VIRTUAL_NS);

    v &= CONFIG_ENABLE | CONFIG_LEGACY;
    if ((v & ~was) & CONFIG_ENABLE)
        __atomic_store_n(&s->offset_ns, s->counter * TICK_NS - now, __ATOMIC_RELAXED);
    if ((was & ~v) & CONFIG_ENABLE)
        __atomic_store_n(&s->counter, counter_now(s), __ATOMIC_RELAXED);
    __atomic_store_n(&s->config, v, __ATOMIC_RELEASE);
    for (unsigned n = 0; ((v ^ was) & CONFIG_ENABLE) && n < s->timer_count; n++)
        arm(s, &s->timer[n]);
    if ((v ^ was) & CONFIG_LEGACY) { /* 0 and 8 belong to us or to the PIT and the RTC */
        device_out(&s->dev, 0, v & CONFIG_LEGACY ? 0 : s->legacy_in & 1);
        device_out(&s->dev, 8, v & CONFIG_LEGACY ? 0 : s->legacy_in >> 1 & 1);
        tell_host(s);
    }
}

static void write_status(Hpet *s, uint64_t v)
{
    uint64_t cleared = v & s->status;

    s->status &= ~v;
    for (unsigned n = 0; n < s->timer_count; n++) {
        if (!(cleared & BIT(n)))
            continue;
        lower(s, n);
        if (!(s->timer[n].config & TN_ENABLE)) { /* watched again, for the status bit */
            s->timer[n].compare = compare_now(s, &s->timer[n]);
            arm(s, &s->timer[n]);
        }
    }
}

static void write_timer_config(Hpet *s, unsigned n, uint64_t v)
{
    HpetTimer *t = &s->timer[n];
    uint64_t writable = TN_WRITABLE & ~(s->msi ? 0 : TN_FSB_ENABLE);

    lower(s, n);
    t->compare = compare_now(s, t);
    t->config = (t->config & ~writable) | (v & writable);
    if (t->config & TN_32BIT) {
        t->compare = (uint32_t)t->compare;
        t->period = (uint32_t)t->period;
    }
    if ((t->config & TN_LEVEL) && (t->config & TN_ENABLE) && (s->status & BIT(n)) && line_of(s, n) >= 0)
        device_out(&s->dev, line_of(s, n), 1);
    arm(s, t);
}

/* Section 2.3.9.2.2: in periodic mode a write goes to the period, and with VAL_SET to the comparator too. */
static void write_compare(Hpet *s, unsigned n, uint64_t v, uint64_t mask)
{
    HpetTimer *t = &s->timer[n];

    if (t->config & TN_32BIT)
        v = (uint32_t)v;
    if (!(t->config & TN_PERIODIC) || (t->config & TN_VAL_SET))
        t->compare = v;
    if (t->config & TN_PERIODIC)
        t->period = v;
    if (mask >> 32 || (t->config & TN_32BIT))
        t->config &= ~TN_VAL_SET;
    arm(s, t);
}

static uint64_t read_register(const Hpet *s, hwaddr at)
{
    unsigned n = (at - R_TIMERS) / 0x20;

    switch (at) {
    case R_CAPABILITY: /* period in femtoseconds; vendor 8086, legacy route, 64 bits, revision 1 */
        return (UINT64_C(1000000) * TICK_NS) << 32 | 0x8086a001 | (s->timer_count - 1u) << 8;
    case R_CONFIG:
        return s->config;
    case R_STATUS:
        return s->status;
    case R_COUNTER:
        return counter_now(s);
    }
    if (at < R_TIMERS || n >= s->timer_count)
        return 0;
    const HpetTimer *t = &s->timer[n];
    switch (at & 0x1f) {
    case T_CONFIG:
        return t->config;
    case T_COMPARE:
        return compare_now(s, t);
    case T_FSB:
        return t->fsb;
    }
    return 0;
}

/* mask: which bytes the guest writes; v has the register's other bytes merged in. */
static void write_register(Hpet *s, hwaddr at, uint64_t v, uint64_t mask)
{
    unsigned n = (at - R_TIMERS) / 0x20;

    switch (at) {
    case R_CONFIG:
        write_config(s, v);
        return;
    case R_STATUS:
        write_status(s, v & mask);
        return;
    case R_COUNTER:
        if (!(s->config & CONFIG_ENABLE))
            __atomic_store_n(&s->counter, v, __ATOMIC_RELAXED);
        return;
    }
    if (at < R_TIMERS || n >= s->timer_count) {
        log_guest_error("hpet", "write at 0x%x", (unsigned)at);
        return;
    }
    if ((at & 0x1f) == T_CONFIG)
        write_timer_config(s, n, v);
    else if ((at & 0x1f) == T_COMPARE)
        write_compare(s, n, v, mask);
    else if ((at & 0x1f) == T_FSB)
        s->timer[n].fsb = v;
}

static MemResult hpet_read(void *o, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Hpet *s = o;

    if ((at & ~7) == R_COUNTER) {
        *value = counter_now(s) >> 8 * (at & 7);
        return MEM_OK;
    }
    lock_domain_lock(s->dev.domain);
    *value = read_register(s, at & ~7) >> 8 * (at & 7);
    lock_domain_unlock(s->dev.domain);
    return MEM_OK;
}

static MemResult hpet_write(void *o, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Hpet *s = o;
    uint64_t mask = bits_mask(8 * size) << 8 * (at & 7);

    lock_domain_lock(s->dev.domain);
    uint64_t was = read_register(s, at & ~7);
    write_register(s, at & ~7, (was & ~mask) | (value << 8 * (at & 7) & mask), mask);
    lock_domain_unlock(s->dev.domain);
    return MEM_OK;
}

/* No lock domain at the region: the counter is read without one. */
static const MemOps hpet_ops = { .read = hpet_read, .write = hpet_write, .min_size = 4, .max_size = 8 };

static void hpet_input(Device *d, unsigned pin, int level)
{
    Hpet *s = (Hpet *)d;

    lock_domain_lock(d->domain);
    s->legacy_in = level ? s->legacy_in | 1u << pin : s->legacy_in & ~(1u << pin);
    if (!(s->config & CONFIG_LEGACY))
        device_out(d, pin == 0 ? 0 : 8, level);
    lock_domain_unlock(d->domain);
}

static bool hpet_start(Device *d, Error **errp)
{
    Hpet *s = (Hpet *)d;

    s->saved_count = s->timer_count;
    for (unsigned n = 0; n < MAX_TIMERS; n++) {
        s->timer[n].hpet = s;
        s->timer[n].timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, fired, &s->timer[n]);
    }
    d->region[0] = mem_io_new("hpet", 0x400, &hpet_ops, s, NULL);
    return true;
}

static void hpet_reset(Device *d, ResetPhase phase)
{
    Hpet *s = (Hpet *)d;

    if (phase == RESET_HOLD) {
        for (unsigned i = 0; i < LINES; i++) /* those only that it can drive */
            if (i == 0 || i == 8 || (s->route_cap & BIT(i)))
                device_out(d, i, 0);
    }
    if (phase != RESET_ENTER)
        return;
    s->config = s->status = s->counter = s->offset_ns = s->legacy_in = 0;
    tell_host(s);
    for (unsigned n = 0; n < s->timer_count; n++) {
        HpetTimer *t = &s->timer[n];
        timer_cancel(t->timer);
        t->compare = UINT64_MAX;
        t->config = TN_PERIODIC_CAP | TN_SIZE_CAP | (s->msi ? TN_FSB_CAP : 0) | (uint64_t)s->route_cap << 32;
        t->fsb = t->period = 0;
    }
}

static bool hpet_loaded(Device *d, Error **errp)
{
    Hpet *s = (Hpet *)d;

    if (s->saved_count != s->timer_count) {
        error_setf(errp, "device '%s': the saved state has %u timers, this device %u", d->id, s->saved_count,
                   s->timer_count);
        s->saved_count = s->timer_count;
        return false;
    }
    s->config &= CONFIG_ENABLE | CONFIG_LEGACY;
    tell_host(s);
    return true;
}

static void hpet_stop(Device *d)
{
    Hpet *s = (Hpet *)d;

    for (unsigned n = 0; n < MAX_TIMERS; n++) {
        if (s->timer[n].timer)
            timer_free(s->timer[n].timer);
        s->timer[n].timer = NULL;
    }
}

static const Property props[] = {
    PROP_(PROP_U8, "timers", Hpet, timer_count, 3, "comparators", .min = 3, .max = MAX_TIMERS),
    DEFINE_PROP_BOOL("msi", Hpet, msi, false, "FSB (message-signalled) delivery"),
    DEFINE_PROP_U32("hpet-intcap", Hpet, route_cap, 0x4, "mask of the interrupt lines that the timers can use"),
    DEFINE_PROP_END,
};
/* Outputs are global interrupt lines; with legacy replacement off, "legacy" 0 (PIT) passes to 0 and 1 (RTC) to 8. */
static const char *const out_pins[] = { "irq*24", NULL };
static const char *const in_pins[] = { "legacy*2", NULL };

static const DeviceType hpet_type = {
    .name = "hpet", .desc = "High precision event timer", .category = "Misc", .size = sizeof(Hpet), .props = props,
    .state = state, .out_pins = out_pins, .in_pins = in_pins, .start = hpet_start, .reset = hpet_reset,
    .input = hpet_input, .loaded = hpet_loaded, .stop = hpet_stop,
};
DEVICE_REGISTER(hpet_type)

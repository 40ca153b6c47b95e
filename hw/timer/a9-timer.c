/* SPDX-License-Identifier: MIT */
/*
 * The private timers and watchdogs, and the global timer, of Cortex-A9 MPCore (DDI 0407I, chapter 4); and its snoop
 * control unit (chapter 2).
 */
#include "base/bits.h"
#include "hw/core/cpu-port.h"
#include "hw/core/device.h"
#include "hw/timer/ticks.h"

enum { CPUS = 4 };
enum { CTRL_ENABLE = 1, CTRL_RELOAD = 2, CTRL_IRQ = 4 };

/* ---- private timer of each CPU (and its watchdog in timer mode): the accessing CPU's own ---- */

typedef struct Private {
    Ticks t;
    uint64_t from;      /* value when the ticks were 0 */
    uint32_t load, ctrl, status;
    Timer *timer;
    struct MpTimer *owner;
    unsigned n;
} Private;

typedef struct MpTimer {
    Device dev; /* always first */
    uint32_t hz;
    Private p[CPUS][2]; /* timer, watchdog */
} MpTimer;

static uint32_t value_of(const Private *p)
{
    uint64_t n = ticks_get(&p->t);
    if (n <= p->from)
        return (uint32_t)(p->from - n);
    return p->ctrl & CTRL_RELOAD ? (uint32_t)(p->load - (n - p->from - 1) % ((uint64_t)p->load + 1)) : 0;
}

static void arm(Private *p)
{
    uint64_t n = ticks_get(&p->t), zero = p->from;
    if (n >= zero)
        zero = p->ctrl & CTRL_RELOAD && p->load
                   ? zero + ((n - zero) / ((uint64_t)p->load + 1) + 1) * ((uint64_t)p->load + 1)
                   : UINT64_MAX;
    int64_t when = zero == UINT64_MAX ? INT64_MAX : ticks_when(&p->t, zero);
    if (when == INT64_MAX)
        timer_cancel(p->timer);
    else
        timer_arm(p->timer, when);
}

static void update(Private *p) { device_out(&p->owner->dev, p->n, p->status && p->ctrl & CTRL_IRQ); }

static void expired(void *opaque)
{
    Private *p = opaque;
    p->status = 1;
    update(p);
    arm(p);
}

/*
 * A one-shot count that has reached zero while its host timer was still on the way: it must not be lost by what is
 * written now.
 */
static void catch_up(Private *p)
{
    if (timer_armed(p->timer) && !(p->ctrl & CTRL_RELOAD) && ticks_get(&p->t) >= p->from) {
        timer_cancel(p->timer);
        p->status = 1;
    }
}

static void set_value(Private *p, uint32_t value)
{
    ticks_set(&p->t, 0);
    p->from = value;
    arm(p);
}

static MemResult private_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    MpTimer *s = opaque;
    const Private *p = &s->p[attrs.cpu < CPUS ? attrs.cpu : 0][at >= 0x20];
    const uint32_t regs[8] = { p->load, value_of(p), p->ctrl, p->status };
    *value = regs[at / 4 & 7];
    return MEM_OK;
}

static void ctrl_wrote(MpTimer *s, Private *p, uint32_t value)
{
    uint32_t now = value_of(p);
    p->ctrl = value & 0xff0f;
    ticks_rate(&p->t, s->hz, (value >> 8 & 0xff) + 1);
    ticks_run(&p->t, value & CTRL_ENABLE);
    set_value(p, !now && value & CTRL_RELOAD ? p->load : now);
}

static MemResult private_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    MpTimer *s = opaque;
    Private *p = &s->p[attrs.cpu < CPUS ? attrs.cpu : 0][at >= 0x20];
    catch_up(p);
    switch (at & 0x1f) {
    case 0x00:
        p->load = (uint32_t)value;
        set_value(p, p->load);
        break;
    case 0x04: set_value(p, (uint32_t)value); break;
    case 0x08: ctrl_wrote(s, p, (uint32_t)value); break;
    case 0x0c: p->status &= ~(uint32_t)value & 1; break;
    default: break;
    }
    update(p);
    return MEM_OK;
}

static const MemOps private_ops = { .read = private_read, .write = private_write, .min_size = 4, .max_size = 4 };

static void private_init(Device *d)
{
    MpTimer *s = (MpTimer *)d;
    for (unsigned i = 0; i < CPUS * 2; i++) {
        Private *p = &s->p[i / 2][i & 1];
        p->owner = s;
        p->n = i;
        p->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, expired, p);
    }
}

static bool private_start(Device *d, Error **errp)
{
    d->region[0] = mem_io_new("mptimer", 0x100, &private_ops, d, d->domain);
    return true;
}

static void private_reset(Device *d, ResetPhase phase)
{
    MpTimer *s = (MpTimer *)d;
    for (unsigned i = 0; i < CPUS * 2; i++) {
        Private *p = &s->p[i / 2][i & 1];
        if (phase == RESET_ENTER) {
            p->t = (Ticks){ .hz = s->hz ? s->hz : 1, .div = 1 };
            p->from = p->load = p->ctrl = p->status = 0;
            timer_cancel(p->timer);
        } else if (phase == RESET_HOLD) {
            update(p);
        }
    }
}

static bool private_loaded(Device *d, Error **errp)
{
    MpTimer *s = (MpTimer *)d;
    for (unsigned i = 0; i < CPUS * 2; i++)
        ticks_loaded(&s->p[i / 2][i & 1].t, s->hz);
    return true;
}

static void private_stop(Device *d)
{
    for (unsigned i = 0; i < CPUS * 2; i++)
        timer_free(((MpTimer *)d)->p[i / 2][i & 1].timer);
}

static const StateField one_state[] = { STATE_STRUCT(Private, t, ticks_state),
                                        STATE_U64(Private, from),
                                        STATE_U32(Private, load),
                                        STATE_U32(Private, ctrl),
                                        STATE_U32(Private, status),
                                        STATE_TIMER(Private, timer),
                                        STATE_END_OF_TABLE };
static const StateField private_state[] = { STATE_STRUCT_ARRAY(MpTimer, p[0], one_state),
                                            STATE_STRUCT_ARRAY(MpTimer, p[1], one_state),
                                            STATE_STRUCT_ARRAY(MpTimer, p[2], one_state),
                                            STATE_STRUCT_ARRAY(MpTimer, p[3], one_state), STATE_END_OF_TABLE };
static const Property private_props[] = { DEFINE_PROP_U32("clock-frequency", MpTimer, hz, 100000000, "Hz of PERIPHCLK"),
                                          DEFINE_PROP_END };
static const char *const private_pins[] = { "irq*8", NULL }; /* timer, watchdog of CPU 0, 1 ... */
static const DeviceType private_type = {
    .name = "arm_mptimer",
    .desc = "Cortex-A9 private timers and watchdogs",
    .category = "Misc",
    .size = sizeof(MpTimer),
    .state = private_state,
    .props = private_props,
    .out_pins = private_pins,
    .init = private_init,
    .start = private_start,
    .reset = private_reset,
    .loaded = private_loaded,
    .stop = private_stop,
};
DEVICE_REGISTER(private_type)

/* ---- global timer: one 64-bit count, a comparator for each CPU ---- */

typedef struct GlobalCpu {
    uint64_t compare;
    uint32_t ctrl, status, increment;
    Timer *timer;
    struct GlobalTimer *owner;
    unsigned n;
} GlobalCpu;

typedef struct GlobalTimer {
    Device dev; /* always first */
    uint32_t hz, ctrl;
    Ticks t;
    GlobalCpu c[CPUS];
} GlobalTimer;

enum { G_ENABLE = 1, G_COMPARE = 2, G_IRQ = 4, G_AUTO = 8 };

static void global_arm(GlobalCpu *c)
{
    uint64_t now = ticks_get(&c->owner->t);
    if (c->ctrl & G_COMPARE && now >= c->compare) {
        c->status = 1;
        if (c->ctrl & G_AUTO && c->increment)
            c->compare += ((now - c->compare) / c->increment + 1) * c->increment;
    }
    bool on = c->ctrl & G_COMPARE && c->owner->ctrl & G_ENABLE && c->compare > now;
    int64_t when = on ? ticks_when(&c->owner->t, c->compare) : INT64_MAX;
    if (when == INT64_MAX)
        timer_cancel(c->timer);
    else
        timer_arm(c->timer, when);
    device_out(&c->owner->dev, c->n, c->status && c->ctrl & G_IRQ);
}

static void global_expired(void *opaque) { global_arm(opaque); }

static MemResult global_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    GlobalTimer *s = opaque;
    const GlobalCpu *c = &s->c[attrs.cpu < CPUS ? attrs.cpu : 0];
    uint64_t now = ticks_get(&s->t);
    const uint32_t regs[8] = { (uint32_t)now, (uint32_t)(now >> 32), s->ctrl | c->ctrl, c->status, (uint32_t)c->compare,
                               (uint32_t)(c->compare >> 32), c->increment };
    *value = regs[at / 4 & 7];
    return MEM_OK;
}

static MemResult global_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    GlobalTimer *s = opaque;
    GlobalCpu *c = &s->c[attrs.cpu < CPUS ? attrs.cpu : 0];
    uint64_t now = ticks_get(&s->t);
    uint32_t v = (uint32_t)value;
    switch (at & 0x1f) {
    case 0x00: ticks_set(&s->t, (now & ~UINT64_C(0xffffffff)) | v); break;
    case 0x04: ticks_set(&s->t, (now & 0xffffffff) | (uint64_t)v << 32); break;
    case 0x08:
        s->ctrl = v & 0xff01;
        c->ctrl = v & (G_COMPARE | G_IRQ | G_AUTO);
        ticks_rate(&s->t, s->hz, (v >> 8 & 0xff) + 1);
        ticks_run(&s->t, v & G_ENABLE);
        break;
    case 0x0c: c->status &= ~v & 1; break;
    case 0x10: c->compare = (c->compare & ~UINT64_C(0xffffffff)) | v; break;
    case 0x14: c->compare = (c->compare & 0xffffffff) | (uint64_t)v << 32; break;
    case 0x18: c->increment = v; break;
    default: break;
    }
    for (unsigned i = 0; i < CPUS; i++)
        global_arm(&s->c[i]);
    return MEM_OK;
}

static const MemOps global_ops = { .read = global_read, .write = global_write, .min_size = 4, .max_size = 4 };

static void global_init(Device *d)
{
    GlobalTimer *s = (GlobalTimer *)d;
    for (unsigned i = 0; i < CPUS; i++) {
        s->c[i].owner = s;
        s->c[i].n = i;
        s->c[i].timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, global_expired, &s->c[i]);
    }
}

static bool global_start(Device *d, Error **errp)
{
    d->region[0] = mem_io_new("a9gtimer", 0x20, &global_ops, d, d->domain);
    return true;
}

static void global_reset(Device *d, ResetPhase phase)
{
    GlobalTimer *s = (GlobalTimer *)d;
    if (phase == RESET_ENTER) {
        s->t = (Ticks){ .hz = s->hz ? s->hz : 1, .div = 1 };
        s->ctrl = 0;
    }
    for (unsigned i = 0; i < CPUS; i++) {
        GlobalCpu *c = &s->c[i];
        if (phase == RESET_ENTER) {
            c->compare = c->ctrl = c->status = c->increment = 0;
            timer_cancel(c->timer);
        } else if (phase == RESET_HOLD) {
            device_out(d, i, 0);
        }
    }
}

static bool global_loaded(Device *d, Error **errp)
{
    ticks_loaded(&((GlobalTimer *)d)->t, ((GlobalTimer *)d)->hz);
    return true;
}

static void global_stop(Device *d)
{
    for (unsigned i = 0; i < CPUS; i++)
        timer_free(((GlobalTimer *)d)->c[i].timer);
}

static const StateField compare_state[] = { STATE_U64(GlobalCpu, compare), STATE_U32(GlobalCpu, ctrl),
                                            STATE_U32(GlobalCpu, status),  STATE_U32(GlobalCpu, increment),
                                            STATE_TIMER(GlobalCpu, timer), STATE_END_OF_TABLE };
static const StateField global_state[] = { STATE_U32(GlobalTimer, ctrl), STATE_STRUCT(GlobalTimer, t, ticks_state),
                                           STATE_STRUCT_ARRAY(GlobalTimer, c, compare_state), STATE_END_OF_TABLE };
static const Property global_props[] = {
    DEFINE_PROP_U32("clock-frequency", GlobalTimer, hz, 100000000, "Hz of PERIPHCLK"), DEFINE_PROP_END
};
static const char *const global_pins[] = { "irq*4", NULL };
static const DeviceType global_type = {
    .name = "arm.cortex-a9-global-timer",
    .desc = "Cortex-A9 global timer",
    .category = "Misc",
    .size = sizeof(GlobalTimer),
    .state = global_state,
    .props = global_props,
    .out_pins = global_pins,
    .init = global_init,
    .start = global_start,
    .reset = global_reset,
    .loaded = global_loaded,
    .stop = global_stop,
};
DEVICE_REGISTER(global_type)

/* ---- snoop control unit ---- */

typedef struct Scu {
    Device dev; /* always first */
    uint32_t ctrl, power, filter[2], sac, snsac;
} Scu;

static uint64_t scu_config(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    unsigned n = MAX(cpu_port_count(), 1u);
    return (n - 1) | ((1u << n) - 1) << 4;
}
static const Reg scu_regs[] = {
    { .name = "CONTROL", .at = 0, .size = 4, .field = offsetof(Scu, ctrl) },
    { .name = "CONFIG", .at = 4, .size = 4, .field = REG_NO_FIELD, .read = scu_config, .access = REG_RO },
    { .name = "POWER", .at = 8, .size = 4, .field = offsetof(Scu, power) },
    { .name = "INVALIDATE", .at = 12, .size = 4, .field = REG_NO_FIELD },
    { .name = "FILTER", .at = 0x40, .size = 4, .count = 2, .stride = 4, .field = offsetof(Scu, filter) },
    { .name = "SAC", .at = 0x50, .size = 4, .field = offsetof(Scu, sac) },
    { .name = "SNSAC", .at = 0x54, .size = 4, .field = offsetof(Scu, snsac) },
    { .name = NULL },
};
static const RegBank scu_bank = { .name = "regs", .size = 0x100, .regs = scu_regs };
static const RegBank *const scu_banks[] = { &scu_bank, NULL };
static const DeviceType scu_type = { .name = "a9-scu",
                                     .desc = "Cortex-A9 snoop control unit",
                                     .category = "Misc",
                                     .size = sizeof(Scu),
                                     .banks = scu_banks };
DEVICE_REGISTER(scu_type)

/* ---- L2 cache controller PL310 (DDI 0246H): there is no cache; maintenance is over at once ---- */

typedef struct L2x0 {
    Device dev; /* always first */
    uint32_t ctrl, aux, tag, data, prefetch, power, filter[2], lockdown[16];
} L2x0;
static uint64_t l2_id(Device *d, const Reg *r, unsigned i, uint64_t stored) { return r->at ? 0x19080800 : 0x410000c8; }
static const Reg l2x0_regs[] = {
    { .name = "CACHE_ID", .at = 0, .size = 4, .field = REG_NO_FIELD, .read = l2_id, .access = REG_RO },
    { .name = "CACHE_TYPE", .at = 4, .size = 4, .field = REG_NO_FIELD, .read = l2_id, .access = REG_RO },
    { .name = "CONTROL", .at = 0x100, .size = 4, .field = offsetof(L2x0, ctrl), .rsvd = 0xfffffffe },
    { .name = "AUX_CONTROL", .at = 0x104, .size = 4, .field = offsetof(L2x0, aux), .reset = 0x02020000 },
    { .name = "TAG_CONTROL", .at = 0x108, .size = 4, .field = offsetof(L2x0, tag) },
    { .name = "DATA_CONTROL", .at = 0x10c, .size = 4, .field = offsetof(L2x0, data) },
    { .name = "MAINTENANCE", .at = 0x730, .size = 4, .count = 52, .stride = 4, .field = REG_NO_FIELD },
    { .name = "LOCKDOWN", .at = 0x900, .size = 4, .count = 16, .stride = 4, .field = offsetof(L2x0, lockdown) },
    { .name = "FILTER", .at = 0xc00, .size = 4, .count = 2, .stride = 4, .field = offsetof(L2x0, filter) },
    { .name = "PREFETCH", .at = 0xf60, .size = 4, .field = offsetof(L2x0, prefetch) },
    { .name = "POWER", .at = 0xf80, .size = 4, .field = offsetof(L2x0, power) }, { .name = NULL },
};
static const RegBank l2_bank = { .name = "regs", .size = 0x1000, .regs = l2x0_regs };
static const RegBank *const l2_banks[] = { &l2_bank, NULL };
static const DeviceType l2_type = {
    .name = "l2x0", .desc = "Arm PL310 cache controller", .category = "Misc", .size = sizeof(L2x0), .banks = l2_banks
};
DEVICE_REGISTER(l2_type)

/* SPDX-License-Identifier: MIT */
/*
 * The watchdog of Arm's Cortex-M System Design Kit (DDI 0479, 4.4), that of the Stellaris LM3S and SP805 (DDI 0270B):
 * the same block.
 */
#include "base/bits.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"
#include "hw/timer/ticks.h"

#define UNLOCK 0x1acce551u
enum { WDOG_INTEN = 1, WDOG_RESEN = 2 };

typedef struct CmsdkWatchdog {
    Device dev; /* always first */
    Ticks t;             /* since the last load */
    uint32_t load, ctrl, ris, lock, hz;
    bool luminary;
    Timer *timer;
} CmsdkWatchdog;

static void update(CmsdkWatchdog *s) { device_out(&s->dev, 0, s->ris && s->ctrl & WDOG_INTEN); }

static void reload(CmsdkWatchdog *s)
{
    ticks_set(&s->t, 0);
    int64_t when = ticks_when(&s->t, s->load);
    if (when == INT64_MAX)
        timer_cancel(s->timer);
    else
        timer_arm(s->timer, when);
}

/* The first time-out interrupts, the second resets. */
static void expired(void *opaque)
{
    CmsdkWatchdog *s = opaque;
    if (s->ris && s->ctrl & WDOG_RESEN) {
        machine_request_reset(CAUSE_GUEST_RESET);
        timer_cancel(s->timer);
        return;
    }
    s->ris = 1;
    update(s);
    reload(s);
}

static uint64_t value_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const CmsdkWatchdog *s = (CmsdkWatchdog *)d;
    return s->load - MIN(ticks_get(&s->t), s->load);
}

/* Undo what came while locked. */
static bool locked(CmsdkWatchdog *s, uint32_t *field, uint64_t old)
{
    if (s->lock && field)
        *field = (uint32_t)old;
    return s->lock;
}

static void load_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    CmsdkWatchdog *s = (CmsdkWatchdog *)d;
    if (!locked(s, &s->load, old))
        reload(s);
}

static void ctrl_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    CmsdkWatchdog *s = (CmsdkWatchdog *)d;
    if (locked(s, &s->ctrl, old))
        return;
    if (s->luminary) /* once on, only a reset turns it off */
        s->ctrl |= (uint32_t)old & WDOG_INTEN;
    bool starts = !(old & WDOG_INTEN) && s->ctrl & WDOG_INTEN;
    ticks_run(&s->t, s->ctrl & WDOG_INTEN);
    if (starts || !(s->ctrl & WDOG_INTEN))
        reload(s);
    update(s);
}

static void clear_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    CmsdkWatchdog *s = (CmsdkWatchdog *)d;
    if (locked(s, NULL, 0))
        return;
    s->ris = 0;
    update(s);
    reload(s);
}

static uint64_t mis_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const CmsdkWatchdog *s = (CmsdkWatchdog *)d;
    return s->ris && s->ctrl & WDOG_INTEN;
}

static void lock_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ((CmsdkWatchdog *)d)->lock = (uint32_t)value != UNLOCK;
}

static uint64_t id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t id[12] = { 4, 0, 0, 0, 0x24, 0xb8, 0x1b, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    static const uint8_t luminary_id[12] = { 0, 0, 0, 0, 5, 0x18, 0x18, 1, 0x0d, 0xf0, 0x05, 0xb1 };
    static const uint8_t sp805_id[12] = { 0, 0, 0, 0, 5, 0x18, 0x14, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    if (d->type->class_data)
        return sp805_id[i];
    return ((CmsdkWatchdog *)d)->luminary ? luminary_id[i] : id[i];
}

static const Reg regs[] = {
    { .name = "LOAD",
      .at = 0x0,
      .size = 4,
      .field = offsetof(CmsdkWatchdog, load),
      .reset = 0xffffffff,
      .wrote = load_wrote },
    { .name = "VALUE", .at = 0x4, .size = 4, .field = REG_NO_FIELD, .read = value_read, .access = REG_RO },
    { .name = "CTRL",
      .at = 0x8,
      .size = 4,
      .field = offsetof(CmsdkWatchdog, ctrl),
      .rsvd = 0xfffffffc,
      .wrote = ctrl_wrote },
    { .name = "INTCLR", .at = 0xc, .size = 4, .field = REG_NO_FIELD, .wrote = clear_wrote, .access = REG_WO },
    { .name = "RIS", .at = 0x10, .size = 4, .field = offsetof(CmsdkWatchdog, ris), .access = REG_RO },
    { .name = "MIS", .at = 0x14, .size = 4, .field = REG_NO_FIELD, .read = mis_read, .access = REG_RO },
    { .name = "LOCK", .at = 0xc00, .size = 4, .field = offsetof(CmsdkWatchdog, lock), .wrote = lock_wrote },
    { .name = "ID", .at = 0xfd0, .size = 4, .count = 12, .field = REG_NO_FIELD, .read = id_read, .access = REG_RO },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const Property props[] = {
    DEFINE_PROP_U32("wdogclk-frq", CmsdkWatchdog, hz, 25000000, "Hz of its clock"),
    DEFINE_PROP_BOOL("luminary", CmsdkWatchdog, luminary, 0, "the Stellaris variant"), DEFINE_PROP_END,
};
static const StateField state[] = { STATE_STRUCT(CmsdkWatchdog, t, ticks_state), STATE_TIMER(CmsdkWatchdog, timer),
                                    STATE_END_OF_TABLE };
static const char *const pins[] = { "irq", NULL };

static void init(Device *d)
{
    CmsdkWatchdog *s = (CmsdkWatchdog *)d;
    s->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, expired, s);
}

static void reset(Device *d, ResetPhase phase)
{
    CmsdkWatchdog *s = (CmsdkWatchdog *)d;
    if (phase == RESET_ENTER) {
        s->t = (Ticks){ .hz = s->hz ? s->hz : 1, .div = 1 };
        timer_cancel(s->timer);
    } else if (phase == RESET_HOLD) {
        update(s);
    }
}

static bool loaded(Device *d, Error **errp)
{
    ticks_loaded(&((CmsdkWatchdog *)d)->t, ((CmsdkWatchdog *)d)->hz);
    return true;
}

static void stop(Device *d) { timer_free(((CmsdkWatchdog *)d)->timer); }

static const DeviceType cmsdk_watchdog_type = {
    .name = "cmsdk-apb-watchdog",
    .desc = "Arm CMSDK watchdog",
    .category = "Watchdog",
    .size = sizeof(CmsdkWatchdog),
    .banks = banks,
    .props = props,
    .state = state,
    .out_pins = pins,
    .init = init,
    .reset = reset,
    .loaded = loaded,
    .stop = stop,
};
DEVICE_REGISTER(cmsdk_watchdog_type)

static const Property sp805_props[] = { DEFINE_PROP_U32("wdogclk-frq", CmsdkWatchdog, hz, 32768, "Hz of its clock"),
                                        DEFINE_PROP_END };
static const DeviceType sp805_type = {
    .name = "sp805",
    .desc = "Arm SP805 watchdog",
    .category = "Watchdog",
    .size = sizeof(CmsdkWatchdog),
    .banks = banks,
    .props = sp805_props,
    .state = state,
    .out_pins = pins,
    .init = init,
    .reset = reset,
    .loaded = loaded,
    .stop = stop,
    .class_data = "sp805",
};
DEVICE_REGISTER(sp805_type)

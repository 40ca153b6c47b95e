/* SPDX-License-Identifier: MIT */
/* Independent and window watchdog of STM32 (RM0090, chapters 21 and 22). */
#include "base/bits.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"
#include "hw/timer/ticks.h"

#define LSI_HZ UINT64_C(32000)

static void bite(void *opaque) { machine_request_reset(CAUSE_GUEST_RESET); }

/* --- IWDG --- */

typedef struct Iwdg {
    Device dev; /* always first */
    uint32_t pr, rlr;
    bool running, unlocked;
    Timer *timer;
} Iwdg;

static void iwdg_key(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Iwdg *s = (Iwdg *)d;
    s->unlocked = (value & 0xffff) == 0x5555;
    if ((value & 0xffff) == 0xcccc)
        s->running = true;
    if (s->running && ((value & 0xffff) == 0xcccc || (value & 0xffff) == 0xaaaa)) {
        uint64_t ticks = (s->rlr + UINT64_C(1)) * (4u << MIN(s->pr, 6u));
        timer_arm(s->timer, clock_ns(CLOCK_VIRTUAL_NS) + (int64_t)(ticks * TICKS_NS_PER_S / LSI_HZ));
    }
}

static void iwdg_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Iwdg *s = (Iwdg *)d;
    if (!s->unlocked)
        *(uint32_t *)((char *)s + r->field) = (uint32_t)old;
}

static const Reg iwdg_regs[] = {
    { .name = "KR", .at = 0, .size = 4, .field = REG_NO_FIELD, .wrote = iwdg_key },
    { .name = "PR", .at = 4, .size = 4, .field = offsetof(Iwdg, pr), .rsvd = 0xfffffff8, .wrote = iwdg_wrote },
    { .name = "RLR",
      .at = 8,
      .size = 4,
      .field = offsetof(Iwdg, rlr),
      .reset = 0xfff,
      .rsvd = 0xfffff000,
      .wrote = iwdg_wrote },
    { .name = "SR", .at = 12, .size = 4, .field = REG_NO_FIELD, .access = REG_RO },
    { .name = NULL },
};
static const RegBank iwdg_bank = { .name = "regs", .size = 0x400, .regs = iwdg_regs };
static const RegBank *const iwdg_banks[] = { &iwdg_bank, NULL };
static const StateField iwdg_state[] = { STATE_BOOL(Iwdg, running), STATE_BOOL(Iwdg, unlocked),
                                         STATE_TIMER(Iwdg, timer), STATE_END_OF_TABLE };

static void iwdg_init(Device *d) { ((Iwdg *)d)->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, bite, d); }
static void iwdg_stop(Device *d) { timer_free(((Iwdg *)d)->timer); }

static void iwdg_reset(Device *d, ResetPhase phase)
{
    if (phase != RESET_ENTER)
        return;
    timer_cancel(((Iwdg *)d)->timer);
    ((Iwdg *)d)->running = ((Iwdg *)d)->unlocked = false;
}

static const DeviceType iwdg_type = {
    .name = "stm32-iwdg",
    .desc = "STM32 independent watchdog",
    .category = "Watchdog",
    .size = sizeof(Iwdg),
    .banks = iwdg_banks,
    .state = iwdg_state,
    .init = iwdg_init,
    .reset = iwdg_reset,
    .stop = iwdg_stop,
};
DEVICE_REGISTER(iwdg_type)

/* --- WWDG --- */

typedef struct Wwdg {
    Device dev; /* always first */
    Ticks t;
    uint32_t cr, cfr, sr, hz;
    Timer *timer, *early;
} Wwdg;

static uint32_t wwdg_counter(const Wwdg *s)
{
    uint64_t n = ticks_get(&s->t);
    return s->t.running ? (s->cr & 0x7f) - (uint32_t)MIN(n, s->cr & 0x7f) : s->cr & 0x7f;
}

static void wwdg_update(Wwdg *s) { device_out(&s->dev, 0, s->sr & 1 && s->cfr & 0x200); }

static void wwdg_early(void *opaque)
{
    Wwdg *s = opaque;
    s->sr = 1;
    wwdg_update(s);
}

static uint64_t wwdg_cr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return (stored & ~UINT64_C(0x7f)) | wwdg_counter((Wwdg *)d);
}

static void wwdg_cr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Wwdg *s = (Wwdg *)d;
    bool was = s->t.running;
    uint64_t elapsed = ticks_get(&s->t);
    uint32_t before = (uint32_t)old & 0x7f, left = before - (uint32_t)MIN(elapsed, before);
    if (was && left > (s->cfr & 0x7f))
        bite(s); /* refreshed outside of the window */
    s->cr |= (uint32_t)old & 0x80;
    if (!(s->cr & 0x80))
        return;
    if ((s->cr & 0x7f) < 0x40)
        bite(s);
    ticks_rate(&s->t, s->hz, 4096u << (s->cfr >> 7 & 3));
    ticks_set(&s->t, 0);
    ticks_run(&s->t, true);
    timer_arm(s->timer, ticks_when(&s->t, MAX(s->cr & 0x7f, 0x40u) - 0x3f));
    timer_arm(s->early, ticks_when(&s->t, MAX(s->cr & 0x7f, 0x40u) - 0x40));
}

static void wwdg_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Wwdg *s = (Wwdg *)d;
    if (r->at == 8)
        s->sr &= (uint32_t)value & 1;
    wwdg_update(s);
}

static uint64_t wwdg_sr_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return ((Wwdg *)d)->sr; }

static const Reg wwdg_regs[] = {
    { .name = "CR",
      .at = 0,
      .size = 4,
      .field = offsetof(Wwdg, cr),
      .reset = 0x7f,
      .rsvd = 0xffffff00,
      .read = wwdg_cr_read,
      .wrote = wwdg_cr_wrote },
    { .name = "CFR",
      .at = 4,
      .size = 4,
      .field = offsetof(Wwdg, cfr),
      .reset = 0x7f,
      .rsvd = 0xfffffc00,
      .wrote = wwdg_wrote },
    { .name = "SR", .at = 8, .size = 4, .field = REG_NO_FIELD, .read = wwdg_sr_read, .wrote = wwdg_wrote },
    { .name = NULL },
};
static const RegBank wwdg_bank = { .name = "regs", .size = 0x400, .regs = wwdg_regs };
static const RegBank *const wwdg_banks[] = { &wwdg_bank, NULL };
static const Property wwdg_props[] = { DEFINE_PROP_U32("clock-frequency", Wwdg, hz, 24000000, "Hz of PCLK1"),
                                       DEFINE_PROP_END };
static const StateField wwdg_state[] = {
    STATE_STRUCT(Wwdg, t, ticks_state), STATE_U32(Wwdg, sr), STATE_TIMER(Wwdg, timer),
    STATE_TIMER(Wwdg, early),           STATE_END_OF_TABLE,
};
static const char *const wwdg_pins[] = { "irq", NULL };

static void wwdg_init(Device *d)
{
    Wwdg *s = (Wwdg *)d;
    s->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, bite, s);
    s->early = timer_new(CLOCK_VIRTUAL_NS, d->domain, wwdg_early, s);
}

static void wwdg_stop(Device *d)
{
    timer_free(((Wwdg *)d)->timer);
    timer_free(((Wwdg *)d)->early);
}

static void wwdg_reset(Device *d, ResetPhase phase)
{
    Wwdg *s = (Wwdg *)d;
    if (phase == RESET_ENTER) {
        timer_cancel(s->timer);
        timer_cancel(s->early);
        s->t = (Ticks){ .hz = s->hz ? s->hz : 1, .div = 4096 };
        s->sr = 0;
    } else if (phase == RESET_HOLD) {
        wwdg_update(s);
    }
}

static bool wwdg_loaded(Device *d, Error **errp)
{
    ticks_loaded(&((Wwdg *)d)->t, ((Wwdg *)d)->hz);
    return true;
}

static const DeviceType wwdg_type = {
    .name = "stm32-wwdg",
    .desc = "STM32 window watchdog",
    .category = "Watchdog",
    .size = sizeof(Wwdg),
    .banks = wwdg_banks,
    .props = wwdg_props,
    .state = wwdg_state,
    .out_pins = wwdg_pins,
    .init = wwdg_init,
    .reset = wwdg_reset,
    .loaded = wwdg_loaded,
    .stop = wwdg_stop,
};
DEVICE_REGISTER(wwdg_type)

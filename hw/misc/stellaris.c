/* SPDX-License-Identifier: MIT */
/* Stellaris LM3S6965 (data sheet DS-LM3S6965): system control, general-purpose timers, ADC; its flash controller. */
#include "base/bits.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"
#include "hw/timer/ticks.h"

/* --- system control (chapter 5) --- */

typedef struct SysCtl {
    Device dev; /* always first */
    uint32_t pborctl, ldopctl, srcr[3], ris, imc, resc, rcc, rcc2, rcgc[3], scgc[3], dcgc[3], dslpclkcfg;
    uint32_t did0, did1, dc[5];
} SysCtl;

static void ctl_update(SysCtl *s) { device_out(&s->dev, 0, (s->ris & s->imc) != 0); }

/* The PLL locks as soon as it is powered. */
static void ctl_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    SysCtl *s = (SysCtl *)d;
    if ((r->at == 0x60 || r->at == 0x70) && !(value & 1u << 13))
        s->ris |= 1u << 6;
    if (r->at == 0x58)
        s->ris &= ~(uint32_t)value;
    ctl_update(s);
}

static uint64_t ctl_misc_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return ((SysCtl *)d)->ris & ((SysCtl *)d)->imc;
}
static uint64_t ctl_id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const SysCtl *s = (SysCtl *)d;
    return r->at == 0 ? s->did0 : r->at == 4 ? s->did1 : r->at == 8 ? s->dc[0] : s->dc[1 + i];
}

#define R(n, a, f, ...) { .name = n, .at = a, .size = 4, .field = offsetof(SysCtl, f), .wrote = ctl_wrote, __VA_ARGS__ }
#define ID(n, a, c) \
    { .name = n, .at = a, .size = 4, .count = c, .field = REG_NO_FIELD, .read = ctl_id_read, .access = REG_RO }
static const Reg ctl_regs[] = {
    ID("DID0", 0x000, 1),
    ID("DID1", 0x004, 1),
    ID("DC0", 0x008, 1),
    ID("DC1", 0x010, 4),
    R("PBORCTL", 0x030, pborctl, .reset = 0x7ffd),
    R("LDOPCTL", 0x034, ldopctl),
    R("SRCR", 0x040, srcr, .count = 3),
    R("RIS", 0x050, ris, .access = REG_RO),
    R("IMC", 0x054, imc),
    { .name = "MISC", .at = 0x058, .size = 4, .field = REG_NO_FIELD, .read = ctl_misc_read, .wrote = ctl_wrote },
    R("RESC", 0x05c, resc),
    R("RCC", 0x060, rcc, .reset = 0x078e3ad1),
    { .name = "PLLCFG", .at = 0x064, .size = 4, .field = REG_NO_FIELD, .access = REG_RO },
    R("RCC2", 0x070, rcc2, .reset = 0x07802810),
    R("RCGC", 0x100, rcgc, .count = 3),
    R("SCGC", 0x110, scgc, .count = 3),
    R("DCGC", 0x120, dcgc, .count = 3),
    R("DSLPCLKCFG", 0x144, dslpclkcfg, .reset = 0x07800000),
    { .name = NULL },
};
#undef R
static const RegBank ctl_bank = { .name = "regs", .size = 0x1000, .regs = ctl_regs };
static const RegBank *const ctl_banks[] = { &ctl_bank, NULL };
static const Property ctl_props[] = {
    DEFINE_PROP_U32("did0", SysCtl, did0, 0x10010002, "device identification 0"),
    DEFINE_PROP_U32("did1", SysCtl, did1, 0x1073402e, "and 1"),
    DEFINE_PROP_U32("dc0", SysCtl, dc[0], 0x00ff007f, "capabilities 0"),
    DEFINE_PROP_U32("dc1", SysCtl, dc[1], 0x001133ff, "and 1"),
    DEFINE_PROP_U32("dc2", SysCtl, dc[2], 0x030f5317, "and 2"),
    DEFINE_PROP_U32("dc3", SysCtl, dc[3], 0x0f0f87ff, "and 3"),
    DEFINE_PROP_U32("dc4", SysCtl, dc[4], 0x5000007f, "and 4"),
    DEFINE_PROP_END,
};
static const char *const irq_pin[] = { "irq", NULL };

static void ctl_reset(Device *d, ResetPhase phase)
{
    SysCtl *s = (SysCtl *)d;
    if (phase == RESET_ENTER)
        s->rcgc[0] = s->scgc[0] = s->dcgc[0] = 0x40; /* hibernation module */
    else if (phase == RESET_HOLD)
        ctl_update(s);
}

static const DeviceType ctl_type = {
    .name = "stellaris-sys",
    .desc = "Stellaris system control",
    .category = "Misc",
    .size = sizeof(SysCtl),
    .banks = ctl_banks,
    .props = ctl_props,
    .out_pins = irq_pin,
    .reset = ctl_reset,
};
DEVICE_REGISTER(ctl_type)

/* --- general-purpose timers (chapter 9): two of 16 bits, or one of 32 bits, and the RTC --- */

enum { GPTM_MODE_PERIODIC = 2 };
typedef struct Gptm Gptm;
typedef struct Half { Timer *timer; Gptm *g; Ticks t; uint64_t reload; } Half;
struct Gptm {
    Device dev; /* always first */
    Half half[2];
    uint32_t cfg, mode[2], ctl, imr, ris, ilr[2], match[2], prescale[2], hz;
};

static void gptm_update(Gptm *s)
{
    device_out(&s->dev, 0, (s->ris & s->imr & 0x00f) != 0);
    device_out(&s->dev, 1, (s->ris & s->imr & 0xf00) != 0);
}

static bool gptm_32(const Gptm *s) { return (s->cfg & 7) < 4; }
static bool gptm_on(const Gptm *s, unsigned i) { return s->ctl >> (i * 8) & 1; }

static void gptm_start(Gptm *s, unsigned i)
{
    Half *h = &s->half[i];
    bool on = gptm_on(s, i) && !(i && gptm_32(s));
    uint64_t top = gptm_32(s) ? s->ilr[0] : s->ilr[i] & 0xffff;
    h->reload = top + 1;
    ticks_run(&h->t, false);
    if (!on) {
        timer_cancel(h->timer);
        return;
    }
    if ((s->cfg & 7) == 1) { /* RTC: seconds up to the match */
        h->reload = (uint64_t)s->match[0] + 1;
        ticks_rate(&h->t, 1, 1);
    } else {
        ticks_rate(&h->t, s->hz, gptm_32(s) ? 1 : (s->prescale[i] & 0xff) + 1);
    }
    ticks_set(&h->t, 0);
    ticks_run(&h->t, true);
    timer_arm(h->timer, ticks_when(&h->t, h->reload));
}

static void gptm_expired(void *opaque)
{
    Half *h = opaque;
    Gptm *s = h->g;
    unsigned i = (unsigned)(h - s->half);
    uint64_t n = ticks_get(&h->t);
    s->ris |= (s->cfg & 7) == 1 ? 8u : 1u << i * 8;
    if ((s->mode[i] & 3) == GPTM_MODE_PERIODIC || (s->cfg & 7) == 1) {
        ticks_set(&h->t, n % MAX(h->reload, 1u));
        timer_arm(h->timer, ticks_when(&h->t, h->reload));
    } else {
        s->ctl &= ~(1u << i * 8);
        ticks_run(&h->t, false);
    }
    gptm_update(s);
}

static uint64_t gptm_value_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const Half *h = &((Gptm *)d)->half[i];
    uint64_t n = ticks_get(&h->t) % MAX(h->reload, 1u);
    return ((Gptm *)d)->cfg == 1 ? n : h->reload - 1 - n;
}

static void gptm_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Gptm *s = (Gptm *)d;
    for (unsigned n = 0; n < 2; n++) {
        if (r->at == 0x0c ? (old ^ value) >> n * 8 & 1 : r->at >= 0x28 && n == i && gptm_on(s, n))
            gptm_start(s, n);
    }
    if (r->at == 0x24)
        s->ris &= ~(uint32_t)value;
    gptm_update(s);
}

static uint64_t gptm_mis_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return ((Gptm *)d)->ris & ((Gptm *)d)->imr;
}

#define R(n, a, f, ...) { .name = n, .at = a, .size = 4, .field = offsetof(Gptm, f), .wrote = gptm_wrote, __VA_ARGS__ }
static const Reg gptm_regs[] = {
    R("CFG", 0x00, cfg),
    R("TMR", 0x04, mode, .count = 2),
    R("CTL", 0x0c, ctl),
    R("IMR", 0x18, imr),
    R("RIS", 0x1c, ris, .access = REG_RO),
    { .name = "MIS", .at = 0x20, .size = 4, .field = REG_NO_FIELD, .read = gptm_mis_read, .access = REG_RO },
    { .name = "ICR", .at = 0x24, .size = 4, .field = REG_NO_FIELD, .wrote = gptm_wrote },
    R("ILR", 0x28, ilr, .count = 2, .reset = 0xffffffff),
    R("MATCHR", 0x30, match, .count = 2, .reset = 0xffffffff),
    R("PR", 0x38, prescale, .count = 2),
    { .name = "R",
      .at = 0x48,
      .size = 4,
      .count = 2,
      .field = REG_NO_FIELD,
      .read = gptm_value_read,
      .access = REG_RO },
    { .name = NULL },
};
#undef R
static const RegBank gptm_bank = { .name = "regs", .size = 0x1000, .regs = gptm_regs };
static const RegBank *const gptm_banks[] = { &gptm_bank, NULL };
static const Property gptm_props[] = { DEFINE_PROP_U32("clock-frequency", Gptm, hz, 50000000, "Hz of the system clock"),
                                       DEFINE_PROP_END };
static const StateField half_state[] = { STATE_STRUCT(Half, t, ticks_state), STATE_U64(Half, reload),
                                         STATE_TIMER(Half, timer), STATE_END_OF_TABLE };
static const StateField gptm_state[] = { STATE_STRUCT_ARRAY(Gptm, half, half_state), STATE_END_OF_TABLE };
static const char *const irq_pins[] = { "irq*2", NULL };

static void gptm_init(Device *d)
{
    Gptm *s = (Gptm *)d;
    for (unsigned i = 0; i < 2; i++) {
        s->half[i].g = s;
        s->half[i].timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, gptm_expired, &s->half[i]);
    }
}

static void gptm_reset(Device *d, ResetPhase phase)
{
    Gptm *s = (Gptm *)d;
    for (unsigned i = 0; i < 2 && phase == RESET_ENTER; i++) {
        s->half[i].t = (Ticks){ .hz = s->hz ? s->hz : 1, .div = 1 };
        s->half[i].reload = 1;
        timer_cancel(s->half[i].timer);
    }
    if (phase == RESET_HOLD)
        gptm_update(s);
}

static bool gptm_loaded(Device *d, Error **errp)
{
    for (unsigned i = 0; i < 2; i++)
        ticks_loaded(&((Gptm *)d)->half[i].t, ((Gptm *)d)->hz);
    return true;
}

static void gptm_stop(Device *d)
{
    timer_free(((Gptm *)d)->half[0].timer);
    timer_free(((Gptm *)d)->half[1].timer);
}

static const DeviceType gptm_type = {
    .name = "stellaris-gptm",
    .desc = "Stellaris general-purpose timer",
    .category = "Misc",
    .size = sizeof(Gptm),
    .banks = gptm_banks,
    .props = gptm_props,
    .state = gptm_state,
    .out_pins = irq_pins,
    .init = gptm_init,
    .reset = gptm_reset,
    .loaded = gptm_loaded,
    .stop = gptm_stop,
};
DEVICE_REGISTER(gptm_type)

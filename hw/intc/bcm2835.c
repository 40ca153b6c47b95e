/* SPDX-License-Identifier: MIT */
/*
 * Interrupt controllers of the Raspberry Pi: BCM2835's (ARM Peripherals, chapter 7) and the per-core one of BCM2836/7
 * (QA7, revision 3.4).
 */
#include "base/bits.h"
#include "hw/core/cpu-port.h"
#include "hw/core/device.h"

/* ---- BCM2835: 64 lines of the GPU and 8 of its own, one IRQ and one FIQ ---- */

typedef struct Ic2835 {
    Device dev; /* always first */
    uint64_t level, enabled;
    uint8_t arm_level, arm_enabled;
    uint32_t fiq;
} Ic2835;

static uint64_t fiq_mask(const Ic2835 *s) { return s->fiq & 0x80 && (s->fiq & 0x7f) < 64 ? BIT(s->fiq & 0x7f) : 0; }

static void ic_update(Ic2835 *s)
{
    unsigned n = s->fiq & 0x7f;
    bool fiq = s->level & fiq_mask(s) || (s->fiq & 0x80 && n >= 64 && n < 72 && s->arm_level >> (n - 64) & 1);
    device_out(&s->dev, 0, (s->level & s->enabled & ~fiq_mask(s)) || s->arm_level & s->arm_enabled);
    device_out(&s->dev, 1, fiq);
}

static void ic_input(Device *d, unsigned pin, int level)
{
    Ic2835 *s = (Ic2835 *)d;
    if (pin < 64)
        s->level = level ? s->level | BIT(pin) : s->level & ~BIT(pin);
    else
        s->arm_level = (uint8_t)(level ? s->arm_level | 1u << (pin - 64) : s->arm_level & ~(1u << (pin - 64)));
    ic_update(s);
}

/* The lines that have bits of their own in the basic register (7.5). */
static const uint8_t shortcut[] = { 7, 9, 10, 18, 19, 53, 54, 55, 56, 57, 62 };

static uint64_t basic_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const Ic2835 *s = (Ic2835 *)d;
    uint64_t pending = s->level & s->enabled & ~fiq_mask(s), value = s->arm_level & s->arm_enabled, rest = pending;
    for (unsigned k = 0; k < ARRAY_LEN(shortcut); k++) {
        value |= (pending >> shortcut[k] & 1) << (10 + k);
        rest &= ~BIT(shortcut[k]);
    }
    return value | (rest & 0xffffffff ? 0x100 : 0) | (rest >> 32 ? 0x200 : 0);
}
static uint64_t pending_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const Ic2835 *s = (Ic2835 *)d;
    return (uint32_t)((s->level & s->enabled & ~fiq_mask(s)) >> 32 * i);
}
static uint64_t enable_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const Ic2835 *s = (Ic2835 *)d;
    return i == 2 ? s->arm_enabled : (uint32_t)(s->enabled >> 32 * i);
}
static void enable_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Ic2835 *s = (Ic2835 *)d;
    bool on = r->at == 0x10;
    uint64_t bits = i < 2 ? value << 32 * i : 0;
    uint8_t arm = i == 2 ? (uint8_t)value : 0;
    s->enabled = on ? s->enabled | bits : s->enabled & ~bits;
    s->arm_enabled = (uint8_t)(on ? s->arm_enabled | arm : s->arm_enabled & ~arm);
    ic_update(s);
}
static void fiq_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { ic_update((Ic2835 *)d); }

static const Reg ic_regs[] = {
    { .name = "BASIC", .at = 0x00, .size = 4, .field = REG_NO_FIELD, .read = basic_read, .access = REG_RO },
    { .name = "PENDING",
      .at = 0x04,
      .size = 4,
      .count = 2,
      .stride = 4,
      .field = REG_NO_FIELD,
      .read = pending_read,
      .access = REG_RO },
    { .name = "FIQ", .at = 0x0c, .size = 4, .field = offsetof(Ic2835, fiq), .rsvd = 0xffffff00, .wrote = fiq_wrote },
    { .name = "ENABLE",
      .at = 0x10,
      .size = 4,
      .count = 3,
      .stride = 4,
      .field = REG_NO_FIELD,
      .read = enable_read,
      .wrote = enable_wrote },
    { .name = "DISABLE",
      .at = 0x1c,
      .size = 4,
      .count = 3,
      .stride = 4,
      .field = REG_NO_FIELD,
      .read = enable_read,
      .wrote = enable_wrote },
    { .name = NULL },
};
static const RegBank ic_bank = { .name = "regs", .size = 0x200, .regs = ic_regs };
static const RegBank *const ic_banks[] = { &ic_bank, NULL };
static const char *const ic_in[] = { "gpu*64", "arm*8", NULL }, *const ic_out[] = { "irq", "fiq", NULL };
static const StateField ic_state[] = { STATE_U64(Ic2835, level), STATE_U64(Ic2835, enabled),
                                       STATE_U8(Ic2835, arm_level), STATE_U8(Ic2835, arm_enabled), STATE_END_OF_TABLE };

static void ic_reset(Device *d, ResetPhase phase)
{
    Ic2835 *s = (Ic2835 *)d;
    if (phase == RESET_ENTER)
        s->enabled = s->arm_enabled = 0;
    else if (phase == RESET_HOLD)
        ic_update(s);
}

static const DeviceType ic_type = {
    .name = "bcm2835-ic",
    .desc = "BCM2835 interrupt controller",
    .category = "Misc",
    .size = sizeof(Ic2835),
    .banks = ic_banks,
    .state = ic_state,
    .in_pins = ic_in,
    .out_pins = ic_out,
    .input = ic_input,
    .reset = ic_reset,
};
DEVICE_REGISTER(ic_type)

/* ---- BCM2836: timers, mailboxes and the GPU's lines for each of four cores ---- */

enum { CORES = 4, SOURCE_MAILBOX = 4, SOURCE_GPU = 8, SOURCE_PMU = 9 };

typedef struct Local {
    Device dev; /* always first */
    uint32_t control, prescaler, gpu_route, pmu_route, local_route, local_ctl, timer_ctl[CORES], mailbox_ctl[CORES],
        mailbox[CORES * 4];
    uint8_t timers[CORES], pmu; /* levels */
    bool gpu_irq, gpu_fiq;
} Local;

static uint32_t sources(const Local *s, unsigned core, bool fiq)
{
    unsigned shift = fiq ? 4 : 0;
    uint32_t bits = s->timers[core] & (s->timer_ctl[core] >> shift & 15);
    for (unsigned m = 0; m < 4; m++) {
        bool to_fiq = s->mailbox_ctl[core] >> (4 + m) & 1, to_irq = s->mailbox_ctl[core] >> m & 1 && !to_fiq;
        if (s->mailbox[core * 4 + m] && (fiq ? to_fiq : to_irq))
            bits |= 1u << (SOURCE_MAILBOX + m);
    }
    bool gpu = fiq ? s->gpu_fiq && (s->gpu_route >> 2 & 3) == core : s->gpu_irq && (s->gpu_route & 3) == core;
    bool pmu = s->pmu >> core & 1 && s->pmu_route >> (core + shift) & 1;
    return bits | (gpu ? 1u << SOURCE_GPU : 0) | (pmu ? 1u << SOURCE_PMU : 0);
}

static void local_update(Local *s)
{
    for (unsigned core = 0; core < CORES; core++) {
        device_out(&s->dev, core, sources(s, core, false) != 0);
        device_out(&s->dev, CORES + core, sources(s, core, true) != 0);
    }
}

enum { IN_TIMER = 0, IN_PMU = CORES * 4, IN_GPU_IRQ = IN_PMU + CORES, IN_GPU_FIQ };

static void local_input(Device *d, unsigned pin, int level)
{
    Local *s = (Local *)d;
    if (pin < IN_PMU) {
        uint8_t bit = (uint8_t)(1u << pin % 4), *t = &s->timers[pin / 4];
        *t = level ? *t | bit : (uint8_t)(*t & ~bit);
    } else if (pin < IN_GPU_IRQ) {
        uint8_t bit = (uint8_t)(1u << (pin - IN_PMU));
        s->pmu = level ? s->pmu | bit : (uint8_t)(s->pmu & ~bit);
    } else if (pin == IN_GPU_IRQ) {
        s->gpu_irq = level;
    } else {
        s->gpu_fiq = level;
    }
    local_update(s);
}

static void local_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { local_update((Local *)d); }
static uint64_t source_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return sources((Local *)d, i, r->at == 0x70);
}
static void pmu_route_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Local *s = (Local *)d;
    s->pmu_route = r->at == 0x10 ? s->pmu_route | (uint8_t)value : s->pmu_route & ~(uint32_t)value;
    local_update(s);
}
static uint64_t mailbox_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return ((Local *)d)->mailbox[i]; }
static void mailbox_set(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Local *s = (Local *)d;
    s->mailbox[i] |= (uint32_t)value;
    if (i % 4 == 3 && s->mailbox[i]) /* where the firmware's code for waiting cores looks */
        device_out(d, 2 * CORES + i / 4, 1);
    device_out(d, 2 * CORES + i / 4, 0);
    local_update(s);
}
static void mailbox_clear(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ((Local *)d)->mailbox[i] &= ~(uint32_t)value;
    local_update((Local *)d);
}
static uint64_t core_time_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    uint64_t t = (uint64_t)((unsigned __int128)(uint64_t)clock_ns(CLOCK_VIRTUAL_NS) * 19200000 / 1000000000);
    return (uint32_t)(t >> 32 * i);
}

#define L(name_, at_, n, ...) { .name = name_, .at = at_, .size = 4, .count = n, .stride = 4, __VA_ARGS__ }
#define F(f) .field = offsetof(Local, f)
static const Reg local_regs[] = {
    L("CONTROL", 0x00, 1, F(control)),
    L("PRESCALER", 0x08, 1, F(prescaler)),
    L("GPU_ROUTING", 0x0c, 1, F(gpu_route), .rsvd = 0xfffffff0, .wrote = local_wrote),
    L("PMU_ROUTING_SET", 0x10, 1, .field = REG_NO_FIELD, .wrote = pmu_route_wrote),
    L("PMU_ROUTING_CLR", 0x14, 1, .field = REG_NO_FIELD, .wrote = pmu_route_wrote),
    L("CORE_TIMER", 0x1c, 2, .field = REG_NO_FIELD, .read = core_time_read),
    L("LOCAL_ROUTING", 0x24, 1, F(local_route)),
    L("LOCAL_TIMER", 0x34, 1, F(local_ctl)),
    L("TIMER_CONTROL", 0x40, CORES, F(timer_ctl), .rsvd = 0xffffff00, .wrote = local_wrote),
    L("MAILBOX_CONTROL", 0x50, CORES, F(mailbox_ctl), .rsvd = 0xffffff00, .wrote = local_wrote),
    L("IRQ_SOURCE", 0x60, CORES, .field = REG_NO_FIELD, .read = source_read, .access = REG_RO),
    L("FIQ_SOURCE", 0x70, CORES, .field = REG_NO_FIELD, .read = source_read, .access = REG_RO),
    L("MAILBOX_SET", 0x80, CORES * 4, .field = REG_NO_FIELD, .wrote = mailbox_set, .access = REG_WO),
    L("MAILBOX_CLR", 0xc0, CORES * 4, .field = REG_NO_FIELD, .read = mailbox_read, .wrote = mailbox_clear),
    { .name = NULL },
};
static const RegBank local_bank = { .name = "regs", .size = 0x100, .regs = local_regs };
static const RegBank *const local_banks[] = { &local_bank, NULL };
static const char *const local_in[] = { "timer*16", "pmu*4", "gpu-irq", "gpu-fiq", NULL };
static const char *const local_out[] = { "irq*4", "fiq*4", "start*4", NULL };
static const StateField local_state[] = {
    STATE_U32_ARRAY(Local, mailbox), STATE_U32(Local, pmu_route), STATE_BYTES(Local, timers), STATE_U8(Local, pmu),
    STATE_BOOL(Local, gpu_irq),      STATE_BOOL(Local, gpu_fiq),  STATE_END_OF_TABLE
};

static void local_reset(Device *d, ResetPhase phase)
{
    Local *s = (Local *)d;
    if (phase == RESET_ENTER) {
        memset(s->mailbox, 0, sizeof s->mailbox);
        s->pmu_route = 0;
    } else if (phase == RESET_HOLD) {
        local_update(s);
    }
}

static const DeviceType local_type = {
    .name = "bcm2836-control",
    .desc = "BCM2836 per-core interrupt controller",
    .category = "Misc",
    .size = sizeof(Local),
    .banks = local_banks,
    .state = local_state,
    .in_pins = local_in,
    .out_pins = local_out,
    .input = local_input,
    .reset = local_reset,
};
DEVICE_REGISTER(local_type)

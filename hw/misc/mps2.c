/* SPDX-License-Identifier: MIT */
/*
 * The MPS2/MPS3 FPGA boards' own blocks: FPGAIO and the Serial Communication Controller (application notes AN385,
 * AN505, AN547).
 */
#include "base/bits.h"
#include "base/log.h"
#include "hw/core/device.h"
#include "hw/timer/ticks.h"

/* --- FPGAIO --- */

typedef struct FpgaIo {
    Device dev; /* always first */
    Ticks clk1hz, clk100hz, counter, prescaler;
    uint32_t led0, prescale, misc, dbgctrl, num_leds, switches, prescale_clk;
    bool has_switches, has_dbgctrl;
} FpgaIo;

static uint64_t ticks_read_at(const FpgaIo *s, uint32_t at)
{
    uint64_t period = (uint64_t)s->prescale + 1;
    switch (at) {
    case 0x10: return (uint32_t)ticks_get(&s->clk1hz);
    case 0x14: return (uint32_t)ticks_get(&s->clk100hz);
    case 0x18: return (uint32_t)ticks_get(&s->counter);
    default: return s->prescale - ticks_get(&s->prescaler) % period;
    }
}

static uint64_t io_ticks_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return ticks_read_at((FpgaIo *)d, r->at);
}

static void io_ticks_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    FpgaIo *s = (FpgaIo *)d;
    switch (r->at) {
    case 0x10: ticks_set(&s->clk1hz, (uint32_t)value); break;
    case 0x14: ticks_set(&s->clk100hz, (uint32_t)value); break;
    case 0x18: ticks_set(&s->counter, (uint32_t)value); break;
    default: ticks_set(&s->prescaler, s->prescale - MIN((uint32_t)value, s->prescale)); break;
    }
}

/* COUNTER goes up each time the prescaler has run down. */
static void io_prescale_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    FpgaIo *s = (FpgaIo *)d;
    ticks_rate(&s->counter, s->prescale_clk, (uint64_t)s->prescale + 1);
}

static uint64_t io_switch_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return ((FpgaIo *)d)->has_switches ? stored : 0;
}

static const Reg io_regs[] = {
    { .name = "LED0", .at = 0x00, .size = 4, .field = offsetof(FpgaIo, led0) },
    { .name = "DBGCTRL", .at = 0x04, .size = 4, .field = offsetof(FpgaIo, dbgctrl) },
    { .name = "BUTTON", .at = 0x08, .size = 4, .field = REG_NO_FIELD, .access = REG_RO },
    { .name = "CLK1HZ", .at = 0x10, .size = 4, .field = REG_NO_FIELD, .read = io_ticks_read, .wrote = io_ticks_wrote },
    { .name = "CLK100HZ",
      .at = 0x14,
      .size = 4,
      .field = REG_NO_FIELD,
      .read = io_ticks_read,
      .wrote = io_ticks_wrote },
    { .name = "COUNTER", .at = 0x18, .size = 4, .field = REG_NO_FIELD, .read = io_ticks_read, .wrote = io_ticks_wrote },
    { .name = "PRESCALE", .at = 0x1c, .size = 4, .field = offsetof(FpgaIo, prescale), .wrote = io_prescale_wrote },
    { .name = "PSCNTR", .at = 0x20, .size = 4, .field = REG_NO_FIELD, .read = io_ticks_read, .wrote = io_ticks_wrote },
    { .name = "SWITCH",
      .at = 0x28,
      .size = 4,
      .field = offsetof(FpgaIo, switches),
      .read = io_switch_read,
      .access = REG_RO },
    { .name = "MISC", .at = 0x4c, .size = 4, .field = offsetof(FpgaIo, misc) },
    { .name = NULL },
};
static const RegBank io_bank = { .name = "regs", .size = 0x1000, .regs = io_regs };
static const RegBank *const io_banks[] = { &io_bank, NULL };
static const Property io_props[] = {
    DEFINE_PROP_U32("prescale-clk", FpgaIo, prescale_clk, 20000000, "Hz of the prescaler's clock"),
    DEFINE_PROP_U32("num-leds", FpgaIo, num_leds, 2, "LEDs on the board"),
    DEFINE_PROP_BOOL("has-switches", FpgaIo, has_switches, 0, "the SWITCH register is there"),
    DEFINE_PROP_BOOL("has-dbgctrl", FpgaIo, has_dbgctrl, 0, "the DBGCTRL register is there"), DEFINE_PROP_END,
};
static const StateField io_state[] = {
    STATE_STRUCT(FpgaIo, clk1hz, ticks_state),
    STATE_STRUCT(FpgaIo, clk100hz, ticks_state),
    STATE_STRUCT(FpgaIo, counter, ticks_state),
    STATE_STRUCT(FpgaIo, prescaler, ticks_state),
    STATE_END_OF_TABLE,
};

static Ticks running(uint64_t hz)
{
    return (Ticks){ .hz = hz ? hz : 1, .div = 1, .running = true, .since_ns = (uint64_t)clock_ns(CLOCK_VIRTUAL_NS) };
}

static void io_reset(Device *d, ResetPhase phase)
{
    FpgaIo *s = (FpgaIo *)d;
    if (phase != RESET_ENTER)
        return;
    s->clk1hz = running(1);
    s->clk100hz = running(100);
    s->counter = s->prescaler = running(s->prescale_clk);
}

static bool io_loaded(Device *d, Error **errp)
{
    FpgaIo *s = (FpgaIo *)d;
    ticks_loaded(&s->clk1hz, 1);
    ticks_loaded(&s->clk100hz, 100);
    ticks_loaded(&s->counter, s->prescale_clk);
    ticks_loaded(&s->prescaler, s->prescale_clk);
    return true;
}

static void io_info(Device *d, GString *out)
{
    const FpgaIo *s = (FpgaIo *)d;
    g_string_append(out, "  LEDs ");
    for (unsigned i = 0; i < MIN(s->num_leds, 32u); i++)
        g_string_append_c(out, s->led0 >> i & 1 ? '*' : '.');
    g_string_append_c(out, '\n');
}

static const DeviceType fpgaio_type = {
    .name = "mps2-fpgaio",
    .desc = "MPS2 LEDs, buttons and counters",
    .category = "Misc",
    .size = sizeof(FpgaIo),
    .banks = io_banks,
    .props = io_props,
    .state = io_state,
    .reset = io_reset,
    .loaded = io_loaded,
    .info = io_info,
};
DEVICE_REGISTER(fpgaio_type)

/* --- SCC --- */

typedef struct Scc {
    Device dev; /* always first */
    uint32_t cfg[8], cfgdata_rtn, cfgdata_out, cfgctrl, cfgstat, dll, aid, id, cfg4;
    uint32_t cfg_dev[16]; /* oscillators, behind SYS_CFG function 1 */
} Scc;

/* A request over the serial configuration bus: function 1 is the oscillators. */
static void scc_ctrl_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Scc *s = (Scc *)d;
    unsigned function = s->cfgctrl >> 20 & 0x3f, device = s->cfgctrl & 0xfff;
    if (!(s->cfgctrl >> 31))
        return;
    s->cfgctrl &= 0x7fffffff;
    s->cfgstat = 1;
    if (function != 1 || device >= ARRAY_LEN(s->cfg_dev)) {
        s->cfgstat = 3; /* error */
        log_guest_error(d->id, "configuration request for function %u, device %u: there is none", function, device);
    } else if (s->cfgctrl >> 30 & 1) {
        s->cfg_dev[device] = s->cfgdata_out;
    } else {
        s->cfgdata_rtn = s->cfg_dev[device];
    }
}

static uint64_t scc_cfg4_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return ((Scc *)d)->cfg4; }
static uint64_t scc_id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return i ? ((Scc *)d)->id : ((Scc *)d)->aid;
}

static const Reg scc_regs[] = {
    { .name = "CFG_REG0", .at = 0x00, .size = 4, .count = 4, .field = offsetof(Scc, cfg[0]) },
    { .name = "CFG_REG4", .at = 0x10, .size = 4, .field = REG_NO_FIELD, .read = scc_cfg4_read, .access = REG_RO },
    { .name = "CFG_REG5", .at = 0x14, .size = 4, .count = 2, .field = offsetof(Scc, cfg[5]) },
    { .name = "SYS_CFGDATA_RTN", .at = 0xa0, .size = 4, .field = offsetof(Scc, cfgdata_rtn) },
    { .name = "SYS_CFGDATA_OUT", .at = 0xa4, .size = 4, .field = offsetof(Scc, cfgdata_out) },
    { .name = "SYS_CFGCTRL",
      .at = 0xa8,
      .size = 4,
      .field = offsetof(Scc, cfgctrl),
      .reset = 0x100000,
      .wrote = scc_ctrl_wrote },
    { .name = "SYS_CFGSTAT", .at = 0xac, .size = 4, .field = offsetof(Scc, cfgstat) },
    { .name = "SYS_DLL", .at = 0x100, .size = 4, .field = offsetof(Scc, dll), .reset = 0xffff0001 },
    { .name = "AID", .at = 0xff8, .size = 4, .count = 2, .field = REG_NO_FIELD, .read = scc_id_read, .access = REG_RO },
    { .name = NULL },
};
static const RegBank scc_bank = { .name = "regs", .size = 0x1000, .regs = scc_regs };
static const RegBank *const scc_banks[] = { &scc_bank, NULL };
static const Property scc_props[] = {
    DEFINE_PROP_U32("scc-cfg4", Scc, cfg4, 0, "board revision"),
    DEFINE_PROP_U32("scc-aid", Scc, aid, 0, "application note"),
    DEFINE_PROP_U32("scc-id", Scc, id, 0, "identification"),
    DEFINE_PROP_END,
};
static const StateField scc_state[] = { STATE_U32_ARRAY(Scc, cfg_dev), STATE_END_OF_TABLE };

static void scc_reset(Device *d, ResetPhase phase)
{
    static const uint32_t osc[] = { 50000000, 24576000, 25000000 };
    Scc *s = (Scc *)d;
    if (phase != RESET_ENTER)
        return;
    memset(s->cfg_dev, 0, sizeof s->cfg_dev);
    memcpy(s->cfg_dev, osc, sizeof osc);
}

static const DeviceType scc_type = {
    .name = "mps2-scc",
    .desc = "MPS2 serial communication controller",
    .category = "Misc",
    .size = sizeof(Scc),
    .banks = scc_banks,
    .props = scc_props,
    .state = scc_state,
    .reset = scc_reset,
};
DEVICE_REGISTER(scc_type)

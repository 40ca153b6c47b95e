/* SPDX-License-Identifier: MIT */
/*
 * System registers of the Versatile, RealView and Versatile Express boards (DUI 0447J, 4.3; DUI 0225D, 4.3), with the
 * configuration bus.
 */
#include "hw/misc/vexpress-sysreg.h"

#include "base/bits.h"
#include "base/log.h"
#include "hw/core/machine.h"

enum {
    FN_OSC = 1,
    FN_VOLT,
    FN_AMP,
    FN_TEMP,
    FN_RESET,
    FN_SCC,
    FN_MUXFPGA,
    FN_SHUTDOWN,
    FN_REBOOT,
    FN_DVIMODE = 11,
    FN_POWER,
    FN_ENERGY
};
enum { OSC_COUNT = 16, CFGSTAT_DONE = 1, CFGSTAT_ERROR = 2, UNLOCK = 0xa05f };
#define CFG_START (1u << 31)
#define CFG_WRITE (1u << 30)

typedef struct Sysreg {
    Device dev; /* always first */
    uint32_t sys_id, proc_id, led, lock, flags, nvflags, resetctl, flash, clcd, misc, cfgdata, cfgctrl, cfgstat, mci,
        osc[2][OSC_COUNT];
} Sysreg;

uint32_t vexpress_sysreg_flags(const Device *d) { return ((const Sysreg *)d)->flags; }

static uint64_t id_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return ((Sysreg *)d)->sys_id; }
static uint64_t proc_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return ((Sysreg *)d)->proc_id; }
static uint64_t hz_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    uint64_t hz = r->at == 0x24 ? 100 : 24000000;
    return (uint64_t)((unsigned __int128)(uint64_t)clock_ns(CLOCK_VIRTUAL_NS) * hz / 1000000000);
}
static uint64_t lock_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return stored == UNLOCK ? stored : stored | 0x10000;
}
static void lock_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ((Sysreg *)d)->lock = value & 0xffff;
}

static void flags_changed(Sysreg *s)
{
    device_out(&s->dev, 0, 1);
    device_out(&s->dev, 0, 0);
}
static void flags_set(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ((Sysreg *)d)->flags = (uint32_t)(old | value);
    flags_changed((Sysreg *)d);
}
static void flags_clear(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ((Sysreg *)d)->flags &= (uint32_t)~value;
}
static void nvflags_set(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ((Sysreg *)d)->nvflags = (uint32_t)(old | value);
}
static void nvflags_clear(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ((Sysreg *)d)->nvflags &= (uint32_t)~value;
}

/* Versatile and RealView: a reset request needs the lock open. */
static void resetctl_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    if (((Sysreg *)d)->lock == UNLOCK && value & 0x100)
        machine_request_reset(CAUSE_GUEST_RESET);
}

/* ---- the configuration bus of Versatile Express: one transaction each time START is written ---- */

static bool cfg_read(Sysreg *s, unsigned fn, unsigned site, unsigned device)
{
    switch (fn) {
    case FN_OSC:
        s->cfgdata = site < 2 && device < OSC_COUNT ? s->osc[site][device] : 0;
        return site < 2 && device < OSC_COUNT;
    case FN_VOLT: s->cfgdata = 1000000; return true; /* uV */
    case FN_AMP:
    case FN_POWER:
    case FN_ENERGY:
    case FN_TEMP:
    case FN_MUXFPGA:
    case FN_DVIMODE: s->cfgdata = 0; return true;
    default: return false;
    }
}

static bool cfg_write(Sysreg *s, unsigned fn, unsigned site, unsigned device)
{
    switch (fn) {
    case FN_OSC:
        if (site < 2 && device < OSC_COUNT)
            s->osc[site][device] = s->cfgdata;
        return site < 2 && device < OSC_COUNT;
    case FN_SHUTDOWN: machine_request_shutdown(CAUSE_GUEST_SHUTDOWN); return true;
    case FN_REBOOT: case FN_RESET: machine_request_reset(CAUSE_GUEST_RESET); return true;
    case FN_VOLT: case FN_MUXFPGA: case FN_DVIMODE: return true;
    default: return false;
    }
}

static void cfgctrl_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Sysreg *s = (Sysreg *)d;
    if (!(value & CFG_START))
        return;
    unsigned fn = value >> 20 & 63, site = value >> 16 & 3, device = value & 0xfff;
    bool ok = value & CFG_WRITE ? cfg_write(s, fn, site, device) : cfg_read(s, fn, site, device);
    if (!ok)
        log_guest_error(d->id, "configuration function %u of site %u, device %u is not there", fn, site, device);
    s->cfgctrl &= ~CFG_START;
    s->cfgstat = CFGSTAT_DONE | (ok ? 0 : CFGSTAT_ERROR);
}

#define R(name_, at_, ...) { .name = name_, .at = at_, .size = 4, __VA_ARGS__ }
#define F(f) .field = offsetof(Sysreg, f)
static const Reg sysreg_regs[] = {
    R("SYS_ID", 0x00, .field = REG_NO_FIELD, .read = id_read, .access = REG_RO),
    R("SYS_SW", 0x04, .field = REG_NO_FIELD),
    R("SYS_LED", 0x08, F(led)),
    R("SYS_LOCK", 0x20, F(lock), .read = lock_read, .wrote = lock_wrote),
    R("SYS_100HZ", 0x24, .field = REG_NO_FIELD, .read = hz_read, .access = REG_RO),
    R("SYS_FLAGS", 0x30, F(flags), .wrote = flags_set),
    R("SYS_FLAGSCLR", 0x34, .field = REG_NO_FIELD, .wrote = flags_clear),
    R("SYS_NVFLAGS", 0x38, F(nvflags), .wrote = nvflags_set),
    R("SYS_NVFLAGSCLR", 0x3c, .field = REG_NO_FIELD, .wrote = nvflags_clear),
    R("SYS_RESETCTL", 0x40, F(resetctl), .wrote = resetctl_wrote),
    R("SYS_MCI", 0x48, F(mci), .access = REG_RO),
    R("SYS_FLASH", 0x4c, F(flash)),
    R("SYS_CLCD", 0x50, F(clcd), .reset = 0x1000),
    R("SYS_BOOTCS", 0x58, .field = REG_NO_FIELD),
    R("SYS_24MHZ", 0x5c, .field = REG_NO_FIELD, .read = hz_read, .access = REG_RO),
    R("SYS_MISC", 0x60, F(misc)),
    R("SYS_PROCID0", 0x84, .field = REG_NO_FIELD, .read = proc_read, .access = REG_RO),
    R("SYS_PROCID1", 0x88, .field = REG_NO_FIELD, .reset = 0, .access = REG_RO),
    R("SYS_CFGDATA", 0xa0, F(cfgdata)),
    R("SYS_CFGCTRL", 0xa4, F(cfgctrl), .wrote = cfgctrl_wrote),
    R("SYS_CFGSTAT", 0xa8, F(cfgstat)),
    { .name = NULL },
};
static const RegBank sysreg_bank = { .name = "regs", .size = 0x1000, .regs = sysreg_regs };
static const RegBank *const sysreg_banks[] = { &sysreg_bank, NULL };
static const char *const sysreg_pins[] = { "flags", NULL };
static const char *const sysreg_in_pins[] = { "mmc-inserted", "mmc-read-only", NULL };
static void sysreg_input(Device *d, unsigned pin, int level)
{
    Sysreg *s = (Sysreg *)d;
    s->mci = (s->mci & ~(1u << pin)) | (level ? 1u << pin : 0);
}

/*
 * What the configuration controller sets up: site 0 the motherboard (DUI 0447J, 1.4), site 1 the daughterboard (DUI
 * 0604E, 2.9).
 */
static void sysreg_reset(Device *d, ResetPhase phase)
{
    static const uint32_t osc[2][OSC_COUNT] = {
        { 50000000, 23750000, 24000000 },
        { 60000000, 0, 0, 0, 40000000, 23750000, 50000000, 60000000, 40000000 },
    };
    if (phase == RESET_ENTER)
        memcpy(((Sysreg *)d)->osc, osc, sizeof osc);
}

static const StateField sysreg_state[] = { STATE_BYTES(Sysreg, osc), STATE_END_OF_TABLE };
static const Property sysreg_props[] = {
    DEFINE_PROP_U32("sys_id", Sysreg, sys_id, 0x1190f500, "SYS_ID"),
    DEFINE_PROP_U32("proc_id", Sysreg, proc_id, 0x0c000191, "SYS_PROCID0"),
    DEFINE_PROP_END,
};
static const DeviceType sysreg_type = {
    .name = "realview_sysctl",
    .desc = "System registers of Arm's development boards",
    .category = "Misc",
    .size = sizeof(Sysreg),
    .banks = sysreg_banks,
    .props = sysreg_props,
    .state = sysreg_state,
    .out_pins = sysreg_pins,
    .in_pins = sysreg_in_pins,
    .input = sysreg_input,
    .reset = sysreg_reset,
};
DEVICE_REGISTER(sysreg_type)

/* SP810 (DDI 0254B): of its functions software only needs that the clock selection reads back. */
typedef struct Sp810 {
    Device dev;
    uint32_t ctrl;
} Sp810;
static uint64_t sp810_id(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t id[8] = { 0x10, 0x18, 0x04, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    return id[i];
}
static const Reg sp810_regs[] = {
    { .name = "SCCTRL", .at = 0, .size = 4, .field = offsetof(Sp810, ctrl), .reset = 9 },
    { .name = "ID",
      .at = 0xfe0,
      .size = 4,
      .count = 8,
      .stride = 4,
      .field = REG_NO_FIELD,
      .read = sp810_id,
      .access = REG_RO },
    { .name = NULL },
};
static const RegBank sp810_bank = { .name = "regs", .size = 0x1000, .regs = sp810_regs };
static const RegBank *const sp810_banks[] = { &sp810_bank, NULL };
static const DeviceType sp810_type = { .name = "sp810",
                                       .desc = "Arm SP810 system controller",
                                       .category = "Misc",
                                       .size = sizeof(Sp810),
                                       .banks = sp810_banks };
DEVICE_REGISTER(sp810_type)

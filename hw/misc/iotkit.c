/* SPDX-License-Identifier: MIT */
/*
 * SSE-200 and SSE-300 subsystems (101104; 101773): security control registers with the peripheral protection
 * controllers that they steer, system control. A gate stands in front of each protected peripheral. The memory
 * protection controllers: tz-mpc.c.
 */
#include "hw/misc/iotkit.h"

#include "base/log.h"

/* --- gates --- */

static bool ppc_allows(const IotGate *g, MemAttrs attrs, bool secure)
{
    const IotSec *s = g->sec;
    uint32_t bit = 1u << g->port;
    bool ns = s->nsppc[g->ppc] & bit;
    bool privileged_only = !((ns ? s->nspppc[g->ppc] : s->spppc[g->ppc]) & bit);
    if (attrs.cpu == 0xffff)
        return true;
    return ns != secure && !(privileged_only && attrs.user);
}

static bool allowed(IotGate *g, hwaddr offset, MemAttrs attrs, bool write)
{
    bool ok = ppc_allows(g, attrs, g->secure_alias);
    if (!ok)
        log_guest_error(g->name, "%s %s at offset 0x%x is blocked by the protection controller",
                        g->secure_alias ? "Secure" : "Non-secure", write ? "write" : "read", (unsigned)offset);
    return ok;
}

static MemResult blocked(const IotGate *g) { return g->sec->secrespcfg & 1 ? MEM_ERROR : MEM_OK; }

static MemResult gate_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    IotGate *g = opaque;
    *value = 0;
    if (!allowed(g, offset, attrs, false))
        return blocked(g);
    MemSection s = { .region = g->target, .offset = offset, .len = mem_size(g->target) - offset };
    return mem_io_read(&s, size, value, attrs);
}

static MemResult gate_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    IotGate *g = opaque;
    if (!allowed(g, offset, attrs, true))
        return blocked(g);
    MemSection s = { .region = g->target, .offset = offset, .len = mem_size(g->target) - offset };
    return mem_io_write(&s, size, value, attrs);
}

static const MemOps gate_ops = { .read = gate_read, .write = gate_write };

MemRegion *iot_gate_new(const IotGate *gate)
{
    IotGate *g = g_memdup2(gate, sizeof *gate);
    MemRegion *r = mem_io_new(gate->name, mem_size(gate->target), &gate_ops, g, NULL);
    mem_set_opaque_free(r, g_free);
    return r;
}

/* --- security control: the secure and the non-secure privilege block --- */
static const struct { uint16_t at; uint8_t ppc;
} ppc_regs[] = {
    { 0x00, IOT_AHB_PPC0 },        { 0x10, IOT_AHB_PPCEXP0 },     { 0x14, IOT_AHB_PPCEXP0 + 1 },
    { 0x18, IOT_AHB_PPCEXP0 + 2 }, { 0x1c, IOT_AHB_PPCEXP0 + 3 }, { 0x20, IOT_APB_PPC0 },
    { 0x24, IOT_APB_PPC0 + 1 },    { 0x30, IOT_APB_PPCEXP0 },     { 0x34, IOT_APB_PPCEXP0 + 1 },
    { 0x38, IOT_APB_PPCEXP0 + 2 }, { 0x3c, IOT_APB_PPCEXP0 + 3 },
};

static uint32_t *ppc_field(uint32_t *array, uint32_t at)
{
    for (unsigned i = 0; i < ARRAY_LEN(ppc_regs); i++) {
        if (ppc_regs[i].at == at)
            return &array[ppc_regs[i].ppc];
    }
    return NULL;
}

static uint32_t *sec_field(IotSec *s, uint32_t at)
{
    if (at >= 0x50 && at < 0x90)
        return ppc_field(s->nsppc, at - 0x50);
    if (at >= 0x90 && at < 0xd0)
        return ppc_field(s->spppc, at - 0x90);
    switch (at) {
    case 0x10: return &s->secrespcfg;
    case 0x14: return &s->nsccfg;
    case 0x34: return &s->ppcinten;
    case 0x44: return &s->mscinten;
    case 0x54: return &s->brginten;
    case 0xd0: return &s->nsmscexp;
    default: return NULL;
    }
}

static MemResult sec_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    const uint32_t *f = sec_field(opaque, (uint32_t)at);
    static const uint8_t id[12] = { 4, 0, 0, 0, 0x52, 0xb8, 0x0b, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    *value = at >= 0xfd0 ? id[(at - 0xfd0) / 4 % 12] : at == 0x1c ? ((IotSec *)opaque)->mpc_stat : f ? *f : 0;
    return MEM_OK;
}

static MemResult sec_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    uint32_t *f = sec_field(opaque, (uint32_t)at);
    if (f)
        *f = (uint32_t)value;
    return MEM_OK;
}

/* Non-secure code: its own half of the privilege registers. */
static MemResult nsec_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    const uint32_t *f = at >= 0x90 && at < 0xd0 ? ppc_field(((IotSec *)opaque)->nspppc, (uint32_t)at - 0x90) : NULL;
    static const uint8_t id[12] = { 4, 0, 0, 0, 0x53, 0xb8, 0x0b, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    *value = at >= 0xfd0 ? id[(at - 0xfd0) / 4 % 12] : f ? *f : 0;
    return MEM_OK;
}

static MemResult nsec_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    uint32_t *f = at >= 0x90 && at < 0xd0 ? ppc_field(((IotSec *)opaque)->nspppc, (uint32_t)at - 0x90) : NULL;
    if (f)
        *f = (uint32_t)value;
    return MEM_OK;
}

static const MemOps sec_ops = { .read = sec_read, .write = sec_write, .min_size = 4, .max_size = 4 };
static const MemOps nsec_ops = { .read = nsec_read, .write = nsec_write, .min_size = 4, .max_size = 4 };

static bool sec_start(Device *d, Error **errp)
{
    d->region[0] = mem_io_new("secure-privilege-control", 0x1000, &sec_ops, d, d->domain);
    d->region[1] = mem_io_new("nonsecure-privilege-control", 0x1000, &nsec_ops, d, d->domain);
    return true;
}

/* SECMPCINTSTATUS: bit n follows MPC n; the CPUs have one interrupt for all. */
static void sec_input(Device *d, unsigned pin, int level)
{
    IotSec *s = (IotSec *)d;
    s->mpc_stat = bits_set(s->mpc_stat, pin, 1, level != 0);
    device_out(d, 0, s->mpc_stat != 0);
}

static void sec_reset(Device *d, ResetPhase phase)
{
    IotSec *s = (IotSec *)d;
    if (phase != RESET_ENTER)
        return;
    memset(s->nsppc, 0, sizeof s->nsppc);
    memset(s->spppc, 0, sizeof s->spppc);
    memset(s->nspppc, 0, sizeof s->nspppc);
    s->secrespcfg = s->nsccfg = s->ppcinten = s->mscinten = s->brginten = s->nsmscexp = 0;
}

static const StateField sec_state[] = {
    STATE_U32_ARRAY(IotSec, nsppc),
    STATE_U32_ARRAY(IotSec, spppc),
    STATE_U32_ARRAY(IotSec, nspppc),
    STATE_U32(IotSec, secrespcfg),
    STATE_U32(IotSec, mpc_stat),
    STATE_U32(IotSec, nsccfg),
    STATE_U32(IotSec, ppcinten),
    STATE_U32(IotSec, mscinten),
    STATE_U32(IotSec, brginten),
    STATE_U32(IotSec, nsmscexp),
    STATE_END_OF_TABLE,
};
static const char *const sec_in[] = { "mpc*32", NULL }, *const sec_out[] = { "mpc-irq", NULL };
static const DeviceType sec_type = {
    .name = "iotkit-secctl",
    .desc = "SSE-200 security control",
    .category = "Misc",
    .size = sizeof(IotSec),
    .state = sec_state,
    .start = sec_start,
    .reset = sec_reset,
    .in_pins = sec_in,
    .out_pins = sec_out,
    .input = sec_input,
};
DEVICE_REGISTER(sec_type)

/* --- system control and information (SYSINFO, SYSCTL) --- */

typedef struct SysCtl {
    Device dev; /* always first */
    uint32_t secdbgset, scsecctrl, clk, ewctrl, reset_mask, gretreg, initsvtor[2], cpuwait, nmi_enable, wicctrl, id,
        version, reset_syndrome;
    uint32_t cpuwait_reset;
} SysCtl;

/*
 * A CPU that waits starts when its bit is cleared; setting it has no effect before the next reset. Pin "start": with
 * its vector table.
 */
static void cpuwait_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    SysCtl *s = (SysCtl *)d;
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        if (old >> cpu & 1 && !(s->cpuwait >> cpu & 1))
            device_out(d, cpu, (int)s->initsvtor[cpu]);
    }
}

static void ctl_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        ((SysCtl *)d)->cpuwait = ((SysCtl *)d)->cpuwait_reset;
}

static uint64_t info_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return i ? ((SysCtl *)d)->id : ((SysCtl *)d)->version;
}
#define R(n, a, f, ...) { .name = n, .at = a, .size = 4, .field = offsetof(SysCtl, f), __VA_ARGS__ }
static const Reg ctl_regs[] = {
    R("SECDBGSET", 0x004, secdbgset),
    R("SCSECCTRL", 0x00c, scsecctrl),
    R("CLK_CFG0", 0x014, clk),
    R("RESET_SYNDROME", 0x100, reset_syndrome, .reset = 1),
    R("RESET_MASK", 0x104, reset_mask),
    R("GRETREG", 0x10c, gretreg),
    R("INITSVTOR", 0x110, initsvtor, .count = 2, .reset = 0x10000000),
    R("CPUWAIT", 0x118, cpuwait, .wrote = cpuwait_wrote),
    R("NMI_ENABLE", 0x11c, nmi_enable),
    R("WICCTRL", 0x120, wicctrl),
    R("EWCTRL", 0x124, ewctrl),
    { .name = NULL },
};
static const Reg info_regs[] = {
    { .name = "SYS", .at = 0, .size = 4, .count = 2, .field = REG_NO_FIELD, .read = info_read, .access = REG_RO },
    { .name = NULL },
};
static const RegBank ctl_bank = { .name = "ctl", .size = 0x1000, .regs = ctl_regs },
                     info_bank = { .name = "info", .size = 0x1000, .regs = info_regs };
static const RegBank *const ctl_banks[] = { &ctl_bank, &info_bank, NULL };
static const Property ctl_props[] = {
    DEFINE_PROP_U32("sys-version", SysCtl, version, 0x41743, "SYS_VERSION"),
    DEFINE_PROP_U32("sys-config", SysCtl, id, 0x31, "SYS_CONFIG"),
    DEFINE_PROP_U32("cpuwait-reset", SysCtl, cpuwait_reset, 0, "CPUs that wait after a reset"),
    DEFINE_PROP_END,
};
static const char *const ctl_pins[] = { "start*2", NULL };
static const DeviceType ctl_type = {
    .name = "iotkit-sysctl",
    .desc = "SSE-200 system control and information",
    .category = "Misc",
    .size = sizeof(SysCtl),
    .banks = ctl_banks,
    .props = ctl_props,
    .out_pins = ctl_pins,
    .reset = ctl_reset,
};
DEVICE_REGISTER(ctl_type)

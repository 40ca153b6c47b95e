/* SPDX-License-Identifier: MIT */
/*
 * The Private Peripheral Bus, 0xe0000000..0xe00fffff: the System Control Space and its Non-secure alias, DWT with the
 * cycle counter, ITM (ports ready, output dropped), FPB and TPIU (no comparators), the ROM table; identification
 * registers.
 */
#include "base/bits.h"
#include "base/log.h"
#include "target/arm/m/scs.h"
#include "target/arm/models.h"

#define PPB_BASE 0xe0000000u
enum { PPB_ITM = 0x0, PPB_DWT = 0x1, PPB_FPB = 0x2, PPB_SCS = 0xe, PPB_SCS_NS = 0x2e, PPB_TPIU = 0x40, PPB_ROM = 0xff };

/* --- identification (the models' Technical Reference Manuals) --- */

typedef struct MIds {
    const char *model;
    uint32_t id[16];   /* ID_PFR0, PFR1, DFR0, AFR0, MMFR0-3, ISAR0-5 */
    uint32_t mvfr[3];
} MIds;

static const MIds ids[] = {
    { "cortex-m3",
      { 0x30, 0x200, 0x00100000, 0, 0x30, 0, 0x01000000, 0, 0x01101110, 0x02112000, 0x21232231, 0x01111131,
        0x01310132 },
      { 0 } },
    { "cortex-m4",
      { 0x30, 0x200, 0x00100000, 0, 0x30, 0, 0x01000000, 0, 0x01141110, 0x02112000, 0x21232231, 0x01111131,
        0x01310132 },
      { 0x10110021, 0x11000011, 0 } },
    { "cortex-m7",
      { 0x30, 0x200, 0x00100000, 0, 0x00100030, 0, 0x01000000, 0, 0x01101110, 0x02112000, 0x20232231, 0x01111131,
        0x01310132 },
      { 0x10110221, 0x12000011, 0x40 } },
    { "cortex-m33",
      { 0x30, 0x210, 0x00200000, 0, 0x00101f40, 0, 0x01000000, 0, 0x01101110, 0x02212000, 0x20232232, 0x01111131,
        0x01310132 },
      { 0x10110021, 0x11000011, 0x40 } },
    { "cortex-m55",
      { 0x20000030, 0x230, 0x10200000, 0, 0x00111040, 0, 0x01000000, 0x11, 0x01103110, 0x02212000, 0x20232232,
        0x01111131, 0x01310132 },
      { 0x10110221, 0x12100211, 0x40 } },
};

uint32_t arm_m_id(const ArmM *m, uint32_t at)
{
    const ArmModel *model = m->c->model;
    if (at == 0xd78)
        return model->clidr;
    if (at == 0xd7c)
        return model->ctr;
    if (at == 0xd80)
        return m->csselr < ARRAY_LEN(model->ccsidr) ? model->ccsidr[m->csselr] : 0;
    for (unsigned i = 0; i < ARRAY_LEN(ids); i++) {
        if (strcmp(ids[i].model, model->name))
            continue;
        if (at >= 0xf40)
            return m->c->has.m_fpu ? ids[i].mvfr[(at - 0xf40) / 4] : 0;
        return ids[i].id[(at - 0xd40) / 4];
    }
    return 0;
}

/* --- DWT (DDI 0403, C1.8): the cycle counter runs with the processor clock --- */

enum { DWT_CYCCNTENA = 1 };

static uint32_t cycles(const ArmM *m)
{
    if (!(m->dwt_ctrl & DWT_CYCCNTENA))
        return m->dwt_cyccnt;
    uint64_t ns = (uint64_t)clock_ns(CLOCK_VIRTUAL_NS) - m->dwt_since_ns;
    return m->dwt_cyccnt + (uint32_t)((unsigned __int128)ns * m->cpuclk_hz / 1000000000);
}

static bool dwt_has(const ArmM *m) { return m->c->has.v7m; }

static uint32_t *dwt_comparator(ArmM *m, uint32_t at)
{
    unsigned n = (at - 0x20) / 16;
    if (at < 0x20 || n >= M_DWT_COMPARATORS)
        return NULL;
    switch (at & 15) {
    case 0: return &m->dwt_comp[n];
    case 4: return &m->dwt_mask[n];
    case 8: return &m->dwt_function[n];
    default: return NULL;
    }
}

static uint32_t dwt_read(ArmM *m, uint32_t at)
{
    const uint32_t *p = dwt_comparator(m, at);
    if (!dwt_has(m))
        return 0;
    if (at == 0)
        return (uint32_t)M_DWT_COMPARATORS << 28 | m->dwt_ctrl;
    if (at == 4)
        return cycles(m);
    if (at == 0x1c)
        return (uint32_t)m->c->v.pc; /* PCSR */
    return p ? *p : 0;
}

static void dwt_write(ArmM *m, uint32_t at, uint32_t value)
{
    uint32_t *p = dwt_comparator(m, at);
    if (!dwt_has(m))
        return;
    if (at == 0 || at == 4) {
        m->dwt_cyccnt = at ? value : cycles(m);
        m->dwt_since_ns = (uint64_t)clock_ns(CLOCK_VIRTUAL_NS);
        if (!at)
            m->dwt_ctrl = value & 0x007fffff;
    } else if (p) {
        *p = value;
        if (p >= m->dwt_function && p < m->dwt_function + M_DWT_COMPARATORS && value & 15)
            log_unimp("dwt", "a comparator is switched on; there are no watchpoints");
    }
}

/* --- the others --- */

/* CoreSight component and peripheral identification, 0xfd0..0xffc (DDI 0403, table B3-x): Arm, by part number. */
static uint32_t coresight_id(unsigned part, unsigned class, uint32_t at)
{
    const uint8_t id[12] = {
        4, 0, 0, 0, (uint8_t)part, (uint8_t)(0xb0 | part >> 8), 0x0b, 0, 0x0d, (uint8_t)(class << 4), 0x05, 0xb1
    };
    return at >= 0xfd0 && at < 0x1000 ? id[(at - 0xfd0) / 4] : 0;
}

/* Offsets of SCS, DWT, FPB, ITM from the table, present bit set. */
static uint32_t rom_read(const ArmM *m, uint32_t at)
{
    static const uint32_t entries[] = { 0xfff0f003, 0xfff02003, 0xfff03003, 0xfff01003 };
    if (at < sizeof entries)
        return dwt_has(m) || !at ? entries[at / 4] : entries[at / 4] & ~1u;
    return at == 0xfcc ? 1 : coresight_id(m->c->has.v7m ? 0x4c3 : 0x471, 1, at);
}

static uint32_t itm_read(uint32_t at)
{
    return at < 0x80 ? 1 : at == 0xfb4 ? 1 : coresight_id(1, 0xe, at); /* stimulus ports: always room */
}

static ArmM *m_of(MemAttrs attrs)
{
    Vcpu *v = vcpu_get(attrs.cpu == 0xffff ? 0 : attrs.cpu);
    return v ? arm_cpu(v)->m : NULL;
}

/* Unprivileged code gets a BusFault, but for STIR when CCR.USERSETMPEND allows it. */
static bool allowed(const ArmM *m, uint32_t offset, MemAttrs attrs)
{
    if (!attrs.user || attrs.cpu == 0xffff)
        return true;
    return offset == (PPB_SCS << 12 | 0xf00) && m->b[m->secure].ccr & CCR_USERSETMPEND;
}

static bool ns_alias_allowed(const ArmM *m) { return m->c->has.m_security && m->secure; }

static MemResult ppb_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    ArmM *m = m_of(attrs);
    uint32_t at = offset & 0xfff, word = 0;
    *value = 0;
    if (!m || !allowed(m, (uint32_t)offset, attrs))
        return MEM_ERROR;
    switch (offset >> 12) {
    case PPB_SCS: return arm_m_scs_read(m, at, size, false, value);
    case PPB_SCS_NS:
        if (!ns_alias_allowed(m))
            return m->c->has.m_security ? MEM_OK : MEM_ERROR;
        return arm_m_scs_read(m, at, size, true, value);
    case PPB_DWT: word = dwt_read(m, at & ~3u); break;
    case PPB_ROM: word = rom_read(m, at & ~3u); break;
    case PPB_ITM: word = dwt_has(m) ? itm_read(at & ~3u) : 0; break;
    case PPB_FPB: word = coresight_id(3, 0xe, at & ~3u); break;
    case PPB_TPIU: word = coresight_id(0x923, 9, at & ~3u); break;
    default: log_unimp("ppb", "read of 0x%08x", PPB_BASE + (uint32_t)offset); break;
    }
    *value = word >> 8 * (at & 3);
    return MEM_OK;
}

static MemResult ppb_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    ArmM *m = m_of(attrs);
    uint32_t at = offset & 0xfff;
    if (!m || !allowed(m, (uint32_t)offset, attrs))
        return MEM_ERROR;
    switch (offset >> 12) {
    case PPB_SCS: return arm_m_scs_write(m, at, size, false, value);
    case PPB_SCS_NS:
        if (!ns_alias_allowed(m))
            return m->c->has.m_security ? MEM_OK : MEM_ERROR;
        return arm_m_scs_write(m, at, size, true, value);
    case PPB_DWT: dwt_write(m, at & ~3u, (uint32_t)value); break;
    case PPB_ITM:
    case PPB_FPB:
    case PPB_TPIU:
    case PPB_ROM: break;
    default: log_unimp("ppb", "write of 0x%08x", PPB_BASE + (uint32_t)offset); break;
    }
    return MEM_OK;
}

static const MemOps ppb_ops = { .read = ppb_read, .write = ppb_write, .min_size = 1, .max_size = 4 };

void arm_m_map_ppb(ArmM *m)
{
    if (m->c->v.index)
        return;
    m->ppb = mem_io_new("ppb", MiB, &ppb_ops, NULL, NULL);
    mem_map(m->c->v.machine->memory, PPB_BASE, m->ppb, 100);
}

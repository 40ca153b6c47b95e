/* SPDX-License-Identifier: MIT */
/*
 * What the CPUs of an SSE-200 have for each other (101104, chapters 3 and 4): identity block and message handling
 * units.
 */
#include "base/bits.h"
#include "hw/core/device.h"

/* --- CPU_IDENTITY: each CPU reads its own number --- */

static MemResult id_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    static const uint8_t id[12] = { 4, 0, 0, 0, 0x58, 0xb8, 0x0b, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    *value = at >= 0xfd0 ? id[(at - 0xfd0) / 4 % 12] : at == 0 && attrs.cpu != 0xffff ? attrs.cpu : 0;
    return MEM_OK;
}

static MemResult id_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs) { return MEM_OK; }
static const MemOps id_ops = { .read = id_read, .write = id_write, .min_size = 4, .max_size = 4 };

static bool id_start(Device *d, Error **errp)
{
    d->region[0] = mem_io_new("cpu-identity", 0x1000, &id_ops, d, d->domain);
    return true;
}

static const DeviceType id_type = {
    .name = "armsse-cpuid",
    .desc = "SSE-200 CPU identity",
    .category = "Misc",
    .size = sizeof(Device),
    .start = id_start,
};
DEVICE_REGISTER(id_type)

/* --- MHU: 32 bits towards each CPU; while any is set its interrupt is up --- */

typedef struct Mhu {
    Device dev; /* always first */
    uint32_t stat[2];
} Mhu;

static void mhu_update(Mhu *s)
{
    for (unsigned cpu = 0; cpu < 2; cpu++)
        device_out(&s->dev, cpu, s->stat[cpu] != 0);
}

static uint64_t mhu_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return ((Mhu *)d)->stat[i]; }

static void mhu_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Mhu *s = (Mhu *)d;
    if (r->at == 4)
        s->stat[i] |= (uint32_t)value;
    else
        s->stat[i] &= ~(uint32_t)value;
    mhu_update(s);
}

static uint64_t mhu_id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t id[12] = { 4, 0, 0, 0, 0x56, 0xb8, 0x0b, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    return id[i];
}

#define R(n, a, ...) { .name = n, .at = a, .size = 4, .count = 2, .stride = 16, .field = REG_NO_FIELD, __VA_ARGS__ }
static const Reg mhu_regs[] = {
    R("CPUINTR_STAT", 0, .read = mhu_read, .access = REG_RO),
    R("CPUINTR_SET", 4, .wrote = mhu_wrote),
    R("CPUINTR_CLR", 8, .wrote = mhu_wrote),
    { .name = "ID", .at = 0xfd0, .size = 4, .count = 12, .field = REG_NO_FIELD, .read = mhu_id_read, .access = REG_RO },
    { .name = NULL },
};
static const RegBank mhu_bank = { .name = "regs", .size = 0x1000, .regs = mhu_regs };
static const RegBank *const mhu_banks[] = { &mhu_bank, NULL };
static const StateField mhu_state[] = { STATE_U32_ARRAY(Mhu, stat), STATE_END_OF_TABLE };
static const char *const mhu_pins[] = { "cpu*2", NULL };

static void mhu_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        memset(((Mhu *)d)->stat, 0, sizeof ((Mhu *)d)->stat);
    else if (phase == RESET_HOLD)
        mhu_update((Mhu *)d);
}

static const DeviceType mhu_type = {
    .name = "armsse-mhu",
    .desc = "SSE-200 message handling unit",
    .category = "Misc",
    .size = sizeof(Mhu),
    .banks = mhu_banks,
    .state = mhu_state,
    .out_pins = mhu_pins,
    .reset = mhu_reset,
};
DEVICE_REGISTER(mhu_type)

/* SPDX-License-Identifier: MIT */
/*
 * Flash controller of the LM3S6965 (data sheet DS-LM3S6965, chapter 7): words are programmed, pages of 1 KiB or all of
 * it erased, at once.
 */
#include "base/bits.h"
#include "base/log.h"
#include "base/rcu.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"

enum { PAGE = 1024, KEY = 0xa442, FMC_WRITE = 1, FMC_ERASE = 2, FMC_MERASE = 4, RIS_PROGRAMMED = 2 };

typedef struct StellarisFlash {
    Device dev; /* always first */
    uint32_t fma, fmd, ris, cim, size;
} StellarisFlash;

static void update(StellarisFlash *s) { device_out(&s->dev, 0, (s->ris & s->cim) != 0); }

/* Flash lies at 0: `word` is AND-ed into one word, or NULL: all ones. */
static void change(StellarisFlash *s, uint32_t at, uint32_t len, const uint32_t *word)
{
    const Machine *m = machine_current();
    MemSection section = { 0 };
    if (!m || at >= s->size || len > s->size - at) {
        log_guest_error(s->dev.id, "address 0x%08x is outside the flash", at);
        return;
    }
    rcu_read_lock();
    as_translate(m->as_memory, at, &section);
    rcu_read_unlock();
    uint8_t *host = section.region ? mem_host(section.region) : NULL;
    if (!host || section.len < len)
        return;
    host += section.offset;
    if (word)
        store_le(host, 4, (uint32_t)load_le(host, 4) & *word);
    else
        memset(host, 0xff, len);
    mem_ram_written(section.ram_addr, len);
}

static void fmc_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    StellarisFlash *s = (StellarisFlash *)d;
    if (value >> 16 != KEY) {
        log_guest_error(d->id, "FMC is written without the key 0x%04x", KEY);
        return;
    }
    if (value & FMC_WRITE)
        change(s, s->fma & ~3u, 4, &s->fmd);
    if (value & FMC_ERASE)
        change(s, s->fma & ~(uint32_t)(PAGE - 1), PAGE, NULL);
    if (value & FMC_MERASE)
        change(s, 0, s->size, NULL);
    if (value & (FMC_WRITE | FMC_ERASE | FMC_MERASE))
        s->ris |= RIS_PROGRAMMED;
    update(s);
}

static uint64_t misc_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return ((StellarisFlash *)d)->ris & ((StellarisFlash *)d)->cim;
}

static void wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    if (r->at == 0x14)
        ((StellarisFlash *)d)->ris &= ~(uint32_t)value;
    update((StellarisFlash *)d);
}

static const Reg regs[] = {
    { .name = "FMA", .at = 0x00, .size = 4, .field = offsetof(StellarisFlash, fma), .rsvd = 0xfffc0000 },
    { .name = "FMD", .at = 0x04, .size = 4, .field = offsetof(StellarisFlash, fmd) },
    { .name = "FMC", .at = 0x08, .size = 4, .field = REG_NO_FIELD, .wrote = fmc_wrote },
    { .name = "FCRIS", .at = 0x0c, .size = 4, .field = offsetof(StellarisFlash, ris), .access = REG_RO },
    { .name = "FCIM",
      .at = 0x10,
      .size = 4,
      .field = offsetof(StellarisFlash, cim),
      .rsvd = 0xfffffffc,
      .wrote = wrote },
    { .name = "FCMISC", .at = 0x14, .size = 4, .field = REG_NO_FIELD, .read = misc_read, .wrote = wrote },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const Property props[] = { DEFINE_PROP_U32("size", StellarisFlash, size, 256 << 10, "bytes of flash"),
                                  DEFINE_PROP_END };
static const char *const pins[] = { "irq", NULL };

static void reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_HOLD)
        update((StellarisFlash *)d);
}

static const DeviceType stellaris_flash_type = {
    .name = "stellaris-flash",
    .desc = "Stellaris flash controller",
    .category = "Misc",
    .size = sizeof(StellarisFlash),
    .banks = banks,
    .props = props,
    .out_pins = pins,
    .reset = reset,
};
DEVICE_REGISTER(stellaris_flash_type)

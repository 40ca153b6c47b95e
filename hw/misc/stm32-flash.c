/* SPDX-License-Identifier: MIT */
/* Flash and its controller on STM32F4 (RM0090, chapter 3) and STM32F1 (PM0063): unlock, erase, program. */
#include "base/bits.h"
#include "base/log.h"
#include "base/rcu.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"

#define KEY1 0x45670123u
#define KEY2 0xcdef89abu
#define OPT_KEY1 0x08192a3bu
#define OPT_KEY2 0x4c5d6e7fu
#define FLASH_AT 0x08000000u
enum { CR_PG = 1, CR_SER = 2, CR_MER = 4, SR_EOP_F4 = 1, SR_EOP_F1 = 0x20, REGION_FLASH = 1 };

typedef struct Stm32Flash {
    Device dev; /* always first */
    uint32_t acr, sr, cr, optcr, ar, key, opt_key, size;
    bool f1;
} Stm32Flash;

static uint32_t lock_bit(const Stm32Flash *s) { return s->f1 ? 0x80 : 1u << 31; }

static void changed(Stm32Flash *s, uint32_t at, uint32_t len)
{
    Machine *m = machine_current();
    MemSection section = { 0 };
    rcu_read_lock();
    if (m)
        as_translate(m->as_memory, FLASH_AT + at, &section);
    rcu_read_unlock();
    if (section.region == s->dev.region[REGION_FLASH])
        mem_ram_written(section.ram_addr, len);
}

static void erase(Stm32Flash *s, uint32_t at, uint32_t len)
{
    if (at >= s->size || len > s->size - at)
        return;
    memset((uint8_t *)mem_host(s->dev.region[REGION_FLASH]) + at, 0xff, len);
    changed(s, at, len);
}

/* Sectors of the F4: four of 16 KiB, one of 64, the rest of 128. */
static void erase_sector(Stm32Flash *s, unsigned n)
{
    if (n < 4)
        erase(s, n * 16 * KiB, 16 * KiB);
    else if (n == 4)
        erase(s, 64 * KiB, 64 * KiB);
    else
        erase(s, (n - 4) * 128 * KiB, 128 * KiB);
}

static void key_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Stm32Flash *s = (Stm32Flash *)d;
    if (value == KEY2 && s->key == KEY1)
        s->cr &= ~lock_bit(s);
    s->key = (uint32_t)value;
}

static void cr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Stm32Flash *s = (Stm32Flash *)d;
    uint32_t start = s->f1 ? 0x40 : 1u << 16;
    if (old & lock_bit(s)) {
        s->cr = (uint32_t)old;
        return;
    }
    if (!(s->cr & start))
        return;
    s->cr &= ~start;
    if (s->cr & CR_MER)
        erase(s, 0, s->size);
    else if (s->cr & CR_SER && s->f1)
        erase(s, (s->ar - FLASH_AT) & ~1023u, 1024);
    else if (s->cr & CR_SER)
        erase_sector(s, s->cr >> 3 & 15);
    s->sr |= s->f1 ? SR_EOP_F1 : SR_EOP_F4;
}

/* The option bytes: F4 unlocks OPTCR (3.9.3, 3.9.7), F1 sets CR.OPTWRE; what they would change is not modelled. */
static void opt_key_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Stm32Flash *s = (Stm32Flash *)d;
    if (!s->f1 && value == OPT_KEY2 && s->opt_key == OPT_KEY1)
        s->ar &= ~1u;
    if (s->f1 && value == KEY2 && s->opt_key == KEY1)
        s->cr |= 0x200;
    s->opt_key = (uint32_t)value;
}

static void optcr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Stm32Flash *s = (Stm32Flash *)d;
    if (s->f1)
        return;
    if (old & 1) /* OPTLOCK */
        s->ar = (uint32_t)old;
    s->ar &= ~2u; /* OPTSTRT: done at once */
}

/* F1: nothing is protected. */
static uint64_t option_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return !((Stm32Flash *)d)->f1 ? 0 : i ? UINT32_MAX : 0x03fffffc;
}

static const Reg regs[] = {
    { .name = "ACR", .at = 0x00, .size = 4, .field = offsetof(Stm32Flash, acr) },
    { .name = "KEYR", .at = 0x04, .size = 4, .field = REG_NO_FIELD, .wrote = key_wrote },
    { .name = "OPTKEYR", .at = 0x08, .size = 4, .field = REG_NO_FIELD, .wrote = opt_key_wrote },
    { .name = "SR",
      .at = 0x0c,
      .size = 4,
      .field = offsetof(Stm32Flash, sr),
      .w1c = 0xfe | SR_EOP_F4,
      .ro = 0xffffff00 },
    { .name = "CR", .at = 0x10, .size = 4, .field = offsetof(Stm32Flash, cr), .wrote = cr_wrote },
    { .name = "OPTCR_AR", .at = 0x14, .size = 4, .field = offsetof(Stm32Flash, ar), .wrote = optcr_wrote },
    { .name = "OPTCR1", .at = 0x18, .size = 4, .field = offsetof(Stm32Flash, optcr) },
    { .name = "OBR_WRPR",
      .at = 0x1c,
      .size = 4,
      .count = 2,
      .field = REG_NO_FIELD,
      .read = option_read,
      .access = REG_RO },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x400, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const Property props[] = {
    DEFINE_PROP_BOOL("f1", Stm32Flash, f1, 0, "the layout of STM32F1"),
    PROP_(PROP_U32, "size", Stm32Flash, size, 1 << 20, "bytes", .min = 16384, .max = 2 << 20), DEFINE_PROP_END,
};
static const StateField state[] = { STATE_U32(Stm32Flash, key), STATE_U32(Stm32Flash, opt_key), STATE_END_OF_TABLE };

static MemResult flash_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = load_le((uint8_t *)mem_host(((Stm32Flash *)opaque)->dev.region[REGION_FLASH]) + offset, size);
    return MEM_OK;
}

static MemResult flash_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    Stm32Flash *s = opaque;
    uint8_t *host = (uint8_t *)mem_host(s->dev.region[REGION_FLASH]) + offset;
    if (!(s->cr & CR_PG) || s->cr & lock_bit(s)) {
        log_guest_error(s->dev.id, "write to flash that is not unlocked for programming");
        return MEM_OK;
    }
    store_le(host, size, load_le(host, size) & value);
    s->sr |= s->f1 ? SR_EOP_F1 : SR_EOP_F4;
    changed(s, (uint32_t)offset, size);
    return MEM_OK;
}

static const MemOps flash_ops = { .read = flash_read, .write = flash_write, .min_size = 1, .max_size = 8 };

static bool start(Device *d, Error **errp)
{
    Stm32Flash *s = (Stm32Flash *)d;
    d->region[REGION_FLASH] = mem_romd_new("flash", s->size & ~4095u, &flash_ops, s, d->domain, errp);
    if (!d->region[REGION_FLASH])
        return false;
    s->size &= ~4095u;
    memset(mem_host(d->region[REGION_FLASH]), 0xff, s->size);
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    Stm32Flash *s = (Stm32Flash *)d;
    if (phase != RESET_ENTER)
        return;
    s->cr = lock_bit(s);
    s->ar = s->f1 ? 0 : 0x0fffaaed;
    s->acr = s->f1 ? 0x30 : 0; /* PM0063, 3.1: the prefetch buffer is on */
    s->key = s->opt_key = 0;
}

static const DeviceType stm32_flash_type = {
    .name = "stm32-flash",
    .desc = "STM32 flash and its controller",
    .category = "Misc",
    .size = sizeof(Stm32Flash),
    .banks = banks,
    .props = props,
    .state = state,
    .start = start,
    .reset = reset,
};
DEVICE_REGISTER(stm32_flash_type)

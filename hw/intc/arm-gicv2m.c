/* SPDX-License-Identifier: MIT */
/* GICv2m: a frame whose doorbell turns MSIs into SPIs (Server Base System Architecture 2.3, appendix E). */
#include "base/bits.h"
#include "base/log.h"
#include "hw/core/device.h"

enum { MAX_SPIS = 128 };

typedef struct Gicv2m {
    Device dev; /* always first */
    uint32_t base_spi, num_spi;
} Gicv2m;

static uint64_t typer_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const Gicv2m *s = (Gicv2m *)d;
    return (s->base_spi + 32) << 16 | s->num_spi;
}

static void setspi_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    const Gicv2m *s = (Gicv2m *)d;
    uint32_t n = (uint32_t)(value & 0x3ff) - s->base_spi - 32;
    if (n < s->num_spi)
        irq_pulse(&d->out[n]);
    else
        log_guest_error(d->id, "MSI for interrupt %u, which is not this frame's", (unsigned)value & 0x3ff);
}

static uint64_t iidr_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return 'Q' << 20; }

static const Reg gicv2m_regs[] = {
    { .name = "MSI_TYPER", .at = 0x008, .size = 4, .field = REG_NO_FIELD, .read = typer_read, .access = REG_RO },
    { .name = "MSI_SETSPI_NS", .at = 0x040, .size = 4, .field = REG_NO_FIELD, .wrote = setspi_wrote, .access = REG_WO },
    { .name = "MSI_IIDR", .at = 0xfcc, .size = 4, .field = REG_NO_FIELD, .read = iidr_read, .access = REG_RO },
    { .name = NULL },
};
static const RegBank gicv2m_bank = { .name = "regs", .size = 0x1000, .regs = gicv2m_regs };
static const RegBank *const gicv2m_banks[] = { &gicv2m_bank, NULL };
static const Property gicv2m_props[] = {
    DEFINE_PROP_U32("base-spi", Gicv2m, base_spi, 0, "first SPI, from 0"),
    { .name = "num-spi", .kind = PROP_U32, .offset = offsetof(Gicv2m, num_spi), .dflt = 64, .min = 1, .max = MAX_SPIS,
      .help = "how many" },
    DEFINE_PROP_END,
};
static const char *const gicv2m_pins[] = { "spi*128", NULL };

static const DeviceType gicv2m_type = {
    .name = "arm-gicv2m",
    .desc = "MSI frame of a GICv2",
    .category = "Misc",
    .size = sizeof(Gicv2m),
    .banks = gicv2m_banks,
    .props = gicv2m_props,
    .out_pins = gicv2m_pins,
};
DEVICE_REGISTER(gicv2m_type)

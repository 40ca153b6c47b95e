/* SPDX-License-Identifier: MIT */
/*
 * SPI and I2C of STM32F1 and F4 (RM0090, chapters 28 and 27) as masters with nothing attached: SPI reads zeros, I2C
 * gets no acknowledge.
 */
#include "base/bits.h"
#include "hw/core/device.h"

/* --- SPI --- */

enum {
    SPI_SPE = 0x40,
    SPI_RXNE = 1,
    SPI_TXE = 2,
    SPI_RXNEIE = 0x40,
    SPI_TXEIE = 0x80,
    SPI_RXDMAEN = 1,
    SPI_TXDMAEN = 2
};
typedef struct Spi {
    Device dev; /* always first */
    uint32_t cr1, cr2, sr, dr, crcpr, rxcrcr, txcrcr, i2scfgr, i2spr;
} Spi;

static void spi_update(Spi *s)
{
    device_out(&s->dev, 0, (s->sr & SPI_RXNE && s->cr2 & SPI_RXNEIE) || (s->sr & SPI_TXE && s->cr2 & SPI_TXEIE));
    device_out(&s->dev, 1, s->cr2 & SPI_RXDMAEN && s->sr & SPI_RXNE);
    device_out(&s->dev, 2, s->cr2 & SPI_TXDMAEN && s->sr & SPI_TXE && s->cr1 & SPI_SPE);
}

static uint64_t spi_dr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    ((Spi *)d)->sr &= ~(uint32_t)SPI_RXNE;
    spi_update((Spi *)d);
    return stored;
}

static void spi_dr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Spi *s = (Spi *)d;
    s->dr = 0;
    if (s->cr1 & SPI_SPE)
        s->sr |= SPI_RXNE;
    spi_update(s);
}

static void spi_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { spi_update((Spi *)d); }

#define R(n, a, f, ...) { .name = n, .at = a, .size = 4, .field = offsetof(Spi, f), __VA_ARGS__ }
static const Reg spi_regs[] = {
    R("CR1", 0x00, cr1, .wrote = spi_wrote),
    R("CR2", 0x04, cr2, .wrote = spi_wrote),
    R("SR", 0x08, sr, .reset = SPI_TXE, .ro = 0xffffffef),
    R("DR", 0x0c, dr, .read = spi_dr_read, .wrote = spi_dr_wrote),
    R("CRCPR", 0x10, crcpr, .reset = 7),
    R("RXCRCR", 0x14, rxcrcr, .access = REG_RO),
    R("TXCRCR", 0x18, txcrcr, .access = REG_RO),
    R("I2SCFGR", 0x1c, i2scfgr),
    R("I2SPR", 0x20, i2spr, .reset = 2),
    { .name = NULL },
};
#undef R
static const RegBank spi_bank = { .name = "regs", .size = 0x400, .regs = spi_regs };
static const RegBank *const spi_banks[] = { &spi_bank, NULL };
static const char *const spi_pins[] = { "irq", "dma*2", NULL }, *const irq_pins[] = { "irq*2", NULL };

static void spi_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_HOLD)
        spi_update((Spi *)d);
}

static const DeviceType spi_type = { .name = "stm32f2xx-spi",
                                     .desc = "STM32F1/F2/F4 SPI",
                                     .category = "Misc",
                                     .size = sizeof(Spi),
                                     .banks = spi_banks,
                                     .out_pins = spi_pins,
                                     .reset = spi_reset };
DEVICE_REGISTER(spi_type)

/* --- I2C --- */

enum {
    I2C_PE = 1,
    I2C_START = 0x100,
    I2C_STOP = 0x200,
    I2C_SB = 1,
    I2C_AF = 0x400,
    I2C_ITERREN = 0x100,
    I2C_ITEVTEN = 0x200
};
typedef struct I2c {
    Device dev; /* always first */
    uint32_t cr1, cr2, oar[2], dr, sr1, sr2, ccr, trise;
} I2c;

static void i2c_update(I2c *s)
{
    device_out(&s->dev, 0, s->cr2 & I2C_ITEVTEN && s->sr1 & I2C_SB);
    device_out(&s->dev, 1, s->cr2 & I2C_ITERREN && s->sr1 & I2C_AF);
}

static void i2c_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    I2c *s = (I2c *)d;
    if (r->at == 0x00) {
        if ((s->cr1 & (I2C_PE | I2C_START)) == (I2C_PE | I2C_START)) {
            s->sr1 |= I2C_SB;
            s->sr2 |= 3; /* master, busy */
        }
        if (s->cr1 & I2C_STOP)
            s->sr2 = 0;
        s->cr1 &= ~(uint32_t)(I2C_START | I2C_STOP);
    } else if (r->at == 0x10 && s->sr1 & I2C_SB) {
        s->sr1 = I2C_AF; /* nobody has that address */
    } else if (r->at == 0x14) {
        s->sr1 = (uint32_t)old & ((uint32_t)value | 0xff);
    }
    i2c_update(s);
}

#define R(n, a, f, ...) \
    { .name = n, .at = a, .size = 4, .field = offsetof(I2c, f), .rsvd = 0xffff0000, .wrote = i2c_wrote, __VA_ARGS__ }
static const Reg i2c_regs[] = {
    R("CR1", 0x00, cr1), R("CR2", 0x04, cr2), R("OAR", 0x08, oar, .count = 2), R("DR", 0x10, dr), R("SR1", 0x14, sr1),
    R("SR2", 0x18, sr2, .access = REG_RO), R("CCR", 0x1c, ccr), R("TRISE", 0x20, trise, .reset = 2), { .name = NULL },
};
static const RegBank i2c_bank = { .name = "regs", .size = 0x400, .regs = i2c_regs };
static const RegBank *const i2c_banks[] = { &i2c_bank, NULL };

static void i2c_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_HOLD)
        i2c_update((I2c *)d);
}

static const DeviceType i2c_type = { .name = "stm32f2xx-i2c",
                                     .desc = "STM32F1/F2/F4 I2C",
                                     .category = "Misc",
                                     .size = sizeof(I2c),
                                     .banks = i2c_banks,
                                     .out_pins = irq_pins,
                                     .reset = i2c_reset };
DEVICE_REGISTER(i2c_type)

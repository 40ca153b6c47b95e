/* SPDX-License-Identifier: MIT */
/* The PrimeCell SSI PL022 (DDI 0194H) as a master; what nothing answers reads as zero, or loops back (SSPCR1.LBM). */
#include "hw/ssi/ssi.h"

#include <string.h>
#include "base/bits.h"

enum { FIFO = 8 };
enum { CR1_LBM = 1, CR1_SSE = 2 };
enum { SR_TFE = 1, SR_TNF = 2, SR_RNE = 4, SR_RFF = 8 };
enum { INT_ROR = 1, INT_RT = 2, INT_RX = 4, INT_TX = 8 };

typedef struct Pl022 {
    Device dev; /* always first */
    uint32_t cr0, cr1, cpsr, imsc, ris, dmacr;
    uint16_t rx[FIFO];
    uint8_t rx_head, rx_count;
    Device *slave; /* NULL: nobody */
    SsiExchange *exchange;
} Pl022;

void pl022_connect(Device *port, Device *slave, SsiExchange *exchange)
{
    ((Pl022 *)port)->slave = slave;
    ((Pl022 *)port)->exchange = exchange;
}

static void update(Pl022 *s)
{
    s->ris = (s->ris & INT_ROR) | (s->rx_count >= FIFO / 2 ? INT_RX : 0) | (s->rx_count ? INT_RT : 0) | INT_TX;
    device_out(&s->dev, 0, (s->ris & s->imsc) != 0);
}

static uint64_t dr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Pl022 *s = (Pl022 *)d;
    uint16_t v = s->rx[s->rx_head];
    if (!s->rx_count)
        return v;
    s->rx_head = (s->rx_head + 1) % FIFO;
    s->rx_count--;
    update(s);
    return v;
}

/* A frame takes no time: it is out, and its answer in, at once. */
static void dr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pl022 *s = (Pl022 *)d;
    uint16_t mask = (uint16_t)((2u << (s->cr0 & 15)) - 1);
    if (!(s->cr1 & CR1_SSE))
        return;
    uint16_t out = (uint16_t)value & mask, in = s->cr1 & CR1_LBM ? out
                                                : s->slave       ? s->exchange(s->slave, out) & mask
                                                                 : 0;
    if (s->rx_count == FIFO)
        s->ris |= INT_ROR;
    else
        s->rx[(s->rx_head + s->rx_count++) % FIFO] = in;
    update(s);
}

static uint64_t sr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const Pl022 *s = (Pl022 *)d;
    return SR_TFE | SR_TNF | (s->rx_count ? SR_RNE : 0) | (s->rx_count == FIFO ? SR_RFF : 0);
}

static void changed(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update((Pl022 *)d); }
static uint64_t mis_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return ((Pl022 *)d)->ris & ((Pl022 *)d)->imsc;
}

static void icr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ((Pl022 *)d)->ris &= ~((uint32_t)value & INT_ROR);
    update((Pl022 *)d);
}

static uint64_t id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t id[8] = { 0x22, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };
    return id[i];
}

static const Reg regs[] = {
    { .name = "SSPCR0", .at = 0x00, .size = 4, .field = offsetof(Pl022, cr0), .rsvd = 0xffff0000 },
    { .name = "SSPCR1", .at = 0x04, .size = 4, .field = offsetof(Pl022, cr1), .rsvd = 0xfffffff0 },
    { .name = "SSPDR", .at = 0x08, .size = 4, .field = REG_NO_FIELD, .read = dr_read, .wrote = dr_wrote },
    { .name = "SSPSR", .at = 0x0c, .size = 4, .field = REG_NO_FIELD, .read = sr_read, .access = REG_RO },
    { .name = "SSPCPSR", .at = 0x10, .size = 4, .field = offsetof(Pl022, cpsr), .rsvd = 0xffffff01 },
    { .name = "SSPIMSC", .at = 0x14, .size = 4, .field = offsetof(Pl022, imsc), .rsvd = 0xfffffff0, .wrote = changed },
    { .name = "SSPRIS", .at = 0x18, .size = 4, .field = offsetof(Pl022, ris), .reset = INT_TX, .access = REG_RO },
    { .name = "SSPMIS", .at = 0x1c, .size = 4, .field = REG_NO_FIELD, .read = mis_read, .access = REG_RO },
    { .name = "SSPICR", .at = 0x20, .size = 4, .field = REG_NO_FIELD, .wrote = icr_wrote, .access = REG_WO },
    { .name = "SSPDMACR", .at = 0x24, .size = 4, .field = offsetof(Pl022, dmacr), .rsvd = 0xfffffffc },
    { .name = "SSPPeriphID",
      .at = 0xfe0,
      .size = 4,
      .count = 8,
      .field = REG_NO_FIELD,
      .read = id_read,
      .access = REG_RO },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const StateField state[] = { STATE_U16_ARRAY(Pl022, rx), STATE_U8(Pl022, rx_head), STATE_U8(Pl022, rx_count),
                                    STATE_END_OF_TABLE };
static const char *const pins[] = { "irq", NULL };

static void reset(Device *d, ResetPhase phase)
{
    Pl022 *s = (Pl022 *)d;
    if (phase == RESET_ENTER) {
        s->rx_head = s->rx_count = 0;
        memset(s->rx, 0, sizeof s->rx);
    } else if (phase == RESET_HOLD) {
        update(s);
    }
}

static bool loaded(Device *d, Error **errp)
{
    Pl022 *s = (Pl022 *)d;
    if (s->rx_head < FIFO && s->rx_count <= FIFO)
        return true;
    error_setf(errp, "device '%s': the saved FIFO is damaged", d->id);
    return false;
}

static const DeviceType pl022_type = {
    .name = "pl022",
    .desc = "PrimeCell synchronous serial port",
    .category = "Misc",
    .size = sizeof(Pl022),
    .banks = banks,
    .state = state,
    .out_pins = pins,
    .reset = reset,
    .loaded = loaded,
};
DEVICE_REGISTER(pl022_type)

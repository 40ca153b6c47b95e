/* SPDX-License-Identifier: MIT */
/* The auxiliary block of BCM2835 (ARM Peripherals, chapter 2): the mini UART; the two SPI masters are not modelled. */
#include "base/bits.h"
#include "hw/char/uart-port.h"

enum { IER_RX = 1, IER_TX = 2, IIR_NONE = 1, IIR_TX = 2, IIR_RX = 4, IIR_FIFOS = 0xc0, LCR_DLAB = 0x80 };
enum { LSR_DATA = 1, LSR_ROOM = 0x20, LSR_IDLE = 0x40, CNTL_RX = 1, CNTL_TX = 2 };

typedef struct Aux {
    Device dev; /* always first */
    UartPort port;
    uint32_t enables, ier, lcr, mcr, scratch, cntl, baud;
    bool tx_told; /* the "empty" interrupt was taken note of */
} Aux;

static bool receives(const Aux *s) { return s->ier & IER_RX && uart_port_has(&s->port); }
static bool sends(const Aux *s) { return s->ier & IER_TX && uart_port_room(&s->port) && !s->tx_told; }
static void update(Aux *s) { device_out(&s->dev, 0, receives(s) || sends(s)); }

static void changed(Device *d)
{
    Aux *s = (Aux *)d;
    update(s);
}

static uint64_t irq_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return receives((Aux *)d) || sends((Aux *)d);
}
static void enables_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update((Aux *)d); }

static uint64_t io_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Aux *s = (Aux *)d;
    if (s->lcr & LCR_DLAB)
        return s->baud & 0xff;
    uint8_t v = uart_port_get(&s->port);
    update(s);
    return v;
}

static void io_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Aux *s = (Aux *)d;
    if (s->lcr & LCR_DLAB) {
        s->baud = (s->baud & 0xff00) | (value & 0xff);
        return;
    }
    if (s->cntl & CNTL_TX)
        uart_port_put(&s->port, (uint8_t)value);
    s->tx_told = false;
    update(s);
}

static uint64_t ier_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const Aux *s = (Aux *)d;
    return s->lcr & LCR_DLAB ? s->baud >> 8 : s->ier;
}

static void ier_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Aux *s = (Aux *)d;
    if (s->lcr & LCR_DLAB) {
        s->baud = (s->baud & 0xff) | (uint32_t)(value & 0xff) << 8;
        return;
    }
    s->tx_told = s->tx_told && s->ier & IER_TX;
    s->ier = value & 15;
    update(s);
}

static uint64_t iir_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Aux *s = (Aux *)d;
    uint64_t v = IIR_FIFOS | (receives(s) ? IIR_RX : sends(s) ? IIR_TX : IIR_NONE);
    if (!receives(s) && sends(s))
        s->tx_told = true;
    update(s);
    return v;
}

static void iir_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Aux *s = (Aux *)d;
    while (value & 2 && uart_port_has(&s->port)) /* empty the receive FIFO */
        uart_port_get(&s->port);
    update(s);
}

static uint64_t lsr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const Aux *s = (Aux *)d;
    return (uart_port_has(&s->port) ? LSR_DATA : 0) | (uart_port_room(&s->port) ? LSR_ROOM | LSR_IDLE : 0);
}

static uint64_t msr_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return 0x30; }

static void cntl_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    uart_port_listen(&((Aux *)d)->port, value & CNTL_RX);
}

static uint64_t stat_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const Aux *s = (Aux *)d;
    return (uart_port_has(&s->port) ? 1 : 0) | (uart_port_room(&s->port) ? 0x302 | 8 : 0x20) |
           (uint64_t)MIN(s->port.rx_count, 8) << 16;
}

#define A(name_, at_, ...) { .name = name_, .at = at_, .size = 4, __VA_ARGS__ }
#define F(f) .field = offsetof(Aux, f)
#define NONE .field = REG_NO_FIELD
static const Reg regs[] = {
    A("IRQ", 0x00, NONE, .read = irq_read, .access = REG_RO),
    A("ENABLES", 0x04, F(enables), .rsvd = 0xfffffff8, .wrote = enables_wrote),
    A("IO", 0x40, NONE, .read = io_read, .wrote = io_wrote),
    A("IER", 0x44, NONE, .read = ier_read, .wrote = ier_wrote),
    A("IIR", 0x48, NONE, .read = iir_read, .wrote = iir_wrote),
    A("LCR", 0x4c, F(lcr)),
    A("MCR", 0x50, F(mcr)),
    A("LSR", 0x54, NONE, .read = lsr_read),
    A("MSR", 0x58, NONE, .read = msr_read),
    A("SCRATCH", 0x5c, F(scratch)),
    A("CNTL", 0x60, F(cntl), .reset = 3, .wrote = cntl_wrote),
    A("STAT", 0x64, NONE, .read = stat_read),
    A("BAUD", 0x68, F(baud)),
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x100, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const StateField state[] = { STATE_STRUCT(Aux, port, uart_port_state), STATE_U32(Aux, ier),
                                    STATE_BOOL(Aux, tx_told), STATE_END_OF_TABLE };

static void init(Device *d) { uart_port_init(&((Aux *)d)->port, d, 8, changed); }
static bool start(Device *d, Error **errp) { return uart_port_start(&((Aux *)d)->port, errp); }
static void stop(Device *d) { uart_port_stop(&((Aux *)d)->port); }
static bool loaded(Device *d, Error **errp) { return uart_port_loaded(&((Aux *)d)->port, errp); }

static void reset(Device *d, ResetPhase phase)
{
    Aux *s = (Aux *)d;
    uart_port_reset(&s->port, phase);
    if (phase == RESET_ENTER) {
        s->ier = 0;
        s->tx_told = false;
    } else if (phase == RESET_HOLD) {
        update(s);
    }
}

static const Property props[] = { DEFINE_PROP_CHARDEV("chardev", Aux, port.chr), DEFINE_PROP_END };
static const char *const pins[] = { "irq", NULL };
static const DeviceType aux_type = {
    .name = "bcm2835-aux",
    .desc = "BCM2835 mini UART",
    .category = "Misc",
    .size = sizeof(Aux),
    .banks = banks,
    .props = props,
    .state = state,
    .out_pins = pins,
    .init = init,
    .start = start,
    .reset = reset,
    .loaded = loaded,
    .stop = stop,
};
DEVICE_REGISTER(aux_type)

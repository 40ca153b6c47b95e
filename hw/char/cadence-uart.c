/* SPDX-License-Identifier: MIT */
/* The UART of Zynq-7000 (UG585, chapter 19 and B.33). */
#include "base/bits.h"
#include "hw/char/uart-port.h"

enum { CR_RXRST = 1, CR_TXRST = 2, CR_RXEN = 4, CR_RXDIS = 8, CR_TXEN = 0x10, CR_TXDIS = 0x20, CR_RSTTO = 0x40 };
enum { SR_RTRIG = 1, SR_REMPTY = 2, SR_RFUL = 4, SR_TEMPTY = 8, SR_TFUL = 0x10, ISR_MASK = 0x1fff, ISR_TOUT = 0x100 };

typedef struct CadenceUart {
    Device dev; /* always first */
    UartPort port;
    uint32_t cr, mr, imr, isr, brgr, rtout, rtrig, mcr, msr, bdiv, fdel, ttrig;
} CadenceUart;

static uint32_t status(const CadenceUart *s)
{
    return (s->rtrig && s->port.rx_count >= s->rtrig ? SR_RTRIG : 0) | (uart_port_has(&s->port) ? 0 : SR_REMPTY) |
           (s->port.rx_count == s->port.depth ? SR_RFUL : 0) | (uart_port_room(&s->port) ? SR_TEMPTY : SR_TFUL);
}

/* What is true now sets its bit; bytes that wait below the trigger level count as timed out at once. */
static void update(Device *d)
{
    CadenceUart *s = (CadenceUart *)d;
    s->isr |= status(s) | (uart_port_has(&s->port) && s->rtout ? ISR_TOUT : 0);
    device_out(d, 0, (s->isr & s->imr) != 0);
}

static void cr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    CadenceUart *s = (CadenceUart *)d;
    while (value & CR_RXRST && uart_port_has(&s->port))
        uart_port_get(&s->port);
    s->cr &= ~(uint32_t)(CR_RXRST | CR_TXRST | CR_RSTTO);
    uart_port_listen(&s->port, s->cr & CR_RXEN && !(s->cr & CR_RXDIS));
    update(d);
}

static void ier_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    CadenceUart *s = (CadenceUart *)d;
    s->imr = r->at == 0x08 ? s->imr | (value & ISR_MASK) : s->imr & ~(uint32_t)value;
    update(d);
}
static void wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update(d); }
static uint64_t sr_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return status((CadenceUart *)d); }

static uint64_t fifo_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    uint8_t v = uart_port_get(&((CadenceUart *)d)->port);
    update(d);
    return v;
}

static void fifo_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    CadenceUart *s = (CadenceUart *)d;
    if ((s->mr >> 8 & 3) == 2) /* local loop */
        uart_port_push(&s->port, (uint8_t)value);
    else if (s->cr & CR_TXEN && !(s->cr & CR_TXDIS))
        uart_port_put(&s->port, (uint8_t)value);
    update(d);
}

#define R(name_, at_, ...) { .name = name_, .at = at_, .size = 4, __VA_ARGS__ }
#define F(f) .field = offsetof(CadenceUart, f)
#define NONE .field = REG_NO_FIELD
static const Reg regs[] = {
    R("CR", 0x00, F(cr), .reset = 0x128, .rsvd = 0xfffffe00, .wrote = cr_wrote),
    R("MR", 0x04, F(mr), .rsvd = 0xfffffc00),
    R("IER", 0x08, NONE, .wrote = ier_wrote, .access = REG_WO),
    R("IDR", 0x0c, NONE, .wrote = ier_wrote, .access = REG_WO),
    R("IMR", 0x10, F(imr), .access = REG_RO),
    R("ISR", 0x14, F(isr), .w1c = ISR_MASK, .rsvd = 0xffffe000, .wrote = wrote),
    R("BRGR", 0x18, F(brgr), .reset = 0x28b, .rsvd = 0xffff0000),
    R("RTOR", 0x1c, F(rtout), .rsvd = 0xffffff00),
    R("RTRIG", 0x20, F(rtrig), .reset = 0x20, .rsvd = 0xffffffc0),
    R("MCR", 0x24, F(mcr)),
    R("MSR", 0x28, F(msr)),
    R("SR", 0x2c, NONE, .read = sr_read, .access = REG_RO),
    R("FIFO", 0x30, NONE, .read = fifo_read, .wrote = fifo_wrote),
    R("BDIV", 0x34, F(bdiv), .reset = 0xf, .rsvd = 0xffffff00),
    R("FDEL", 0x38, F(fdel)),
    R("TTRIG", 0x44, F(ttrig), .reset = 0x20),
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const StateField state[] = { STATE_STRUCT(CadenceUart, port, uart_port_state), STATE_END_OF_TABLE };

static void init(Device *d) { uart_port_init(&((CadenceUart *)d)->port, d, UART_PORT_RX, update); }
static bool start(Device *d, Error **errp) { return uart_port_start(&((CadenceUart *)d)->port, errp); }
static void stop(Device *d) { uart_port_stop(&((CadenceUart *)d)->port); }
static bool loaded(Device *d, Error **errp) { return uart_port_loaded(&((CadenceUart *)d)->port, errp); }

static void reset(Device *d, ResetPhase phase)
{
    uart_port_reset(&((CadenceUart *)d)->port, phase);
    if (phase == RESET_ENTER)
        ((CadenceUart *)d)->port.deaf = true;
    else if (phase == RESET_HOLD)
        update(d);
}

static const Property props[] = { DEFINE_PROP_CHARDEV("chardev", CadenceUart, port.chr), DEFINE_PROP_END };
static const char *const pins[] = { "irq", NULL };
static const DeviceType cadence_uart_type = {
    .name = "cadence_uart",
    .desc = "Cadence UART",
    .category = "Misc",
    .size = sizeof(CadenceUart),
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
DEVICE_REGISTER(cadence_uart_type)

/* SPDX-License-Identifier: MIT */
/* The UART of Arm's Cortex-M System Design Kit (DDI 0479, 4.3). */
#include "base/bits.h"
#include "hw/char/uart-port.h"

enum { STATE_TXFULL = 1, STATE_RXFULL = 2, STATE_TXOVER = 4, STATE_RXOVER = 8 };
enum { CTRL_TX = 1, CTRL_RX = 2, CTRL_TXIE = 4, CTRL_RXIE = 8, CTRL_TXOIE = 16, CTRL_RXOIE = 32 };
enum { INT_TX = 1, INT_RX = 2, INT_TXO = 4, INT_RXO = 8 };

typedef struct CmsdkUart {
    Device dev; /* always first */
    UartPort port;
    uint32_t over, ctrl, intstatus, bauddiv;
    bool was_full;
} CmsdkUart;

static void update_irq(CmsdkUart *s)
{
    /* tx, rx, tx overrun, rx overrun, combined */
    for (unsigned i = 0; i < 4; i++)
        device_out(&s->dev, i, s->intstatus >> i & 1);
    device_out(&s->dev, 4, s->intstatus & 15);
}

static void changed(Device *d)
{
    CmsdkUart *s = (CmsdkUart *)d;
    if (uart_port_has(&s->port) && s->ctrl & CTRL_RXIE)
        s->intstatus |= INT_RX;
    if (s->was_full && uart_port_room(&s->port)) {
        s->was_full = false;
        if (s->ctrl & CTRL_TXIE)
            s->intstatus |= INT_TX;
    }
    update_irq(s);
}

static uint64_t data_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    uint8_t v = uart_port_get(&((CmsdkUart *)d)->port);
    changed(d);
    return v;
}

static void data_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    CmsdkUart *s = (CmsdkUart *)d;
    if (!(s->ctrl & CTRL_TX))
        return;
    if (!uart_port_room(&s->port)) {
        s->over |= STATE_TXOVER;
        s->intstatus |= s->ctrl & CTRL_TXOIE ? INT_TXO : 0;
    } else {
        uart_port_put(&s->port, (uint8_t)value);
        s->was_full = !uart_port_room(&s->port);
        if (!s->was_full && s->ctrl & CTRL_TXIE)
            s->intstatus |= INT_TX; /* the buffer is empty again */
    }
    update_irq(s);
}

static uint64_t state_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const CmsdkUart *s = (CmsdkUart *)d;
    return s->over | (uart_port_room(&s->port) ? 0 : STATE_TXFULL) | (uart_port_has(&s->port) ? STATE_RXFULL : 0);
}

static void state_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ((CmsdkUart *)d)->over &= ~(uint32_t)value;
}

static void ctrl_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    CmsdkUart *s = (CmsdkUart *)d;
    uart_port_listen(&s->port, s->ctrl & CTRL_RX);
    update_irq(s);
}

static void int_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    CmsdkUart *s = (CmsdkUart *)d;
    s->over &= ~((uint32_t)value & (STATE_TXOVER | STATE_RXOVER));
    update_irq(s);
}

static uint64_t id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t id[12] = { 4, 0, 0, 0, 0x21, 0xb8, 0x1b, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    return id[i];
}

static const Reg regs[] = {
    { .name = "DATA", .at = 0x0, .size = 4, .field = REG_NO_FIELD, .read = data_read, .wrote = data_wrote },
    { .name = "STATE", .at = 0x4, .size = 4, .field = REG_NO_FIELD, .read = state_read, .wrote = state_wrote },
    { .name = "CTRL",
      .at = 0x8,
      .size = 4,
      .field = offsetof(CmsdkUart, ctrl),
      .rsvd = 0xffffff80,
      .wrote = ctrl_wrote },
    { .name = "INTSTATUS",
      .at = 0xc,
      .size = 4,
      .field = offsetof(CmsdkUart, intstatus),
      .w1c = 15,
      .rsvd = 0xfffffff0,
      .wrote = int_wrote },
    { .name = "BAUDDIV", .at = 0x10, .size = 4, .field = offsetof(CmsdkUart, bauddiv), .rsvd = 0xfff00000 },
    { .name = "ID", .at = 0xfd0, .size = 4, .count = 12, .field = REG_NO_FIELD, .read = id_read, .access = REG_RO },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const StateField state[] = {
    STATE_STRUCT(CmsdkUart, port, uart_port_state),
    STATE_U32(CmsdkUart, over),
    STATE_BOOL(CmsdkUart, was_full),
    STATE_END_OF_TABLE,
};

static void init(Device *d) { uart_port_init(&((CmsdkUart *)d)->port, d, 1, changed); }
static bool start(Device *d, Error **errp) { return uart_port_start(&((CmsdkUart *)d)->port, errp); }
static void stop(Device *d) { uart_port_stop(&((CmsdkUart *)d)->port); }
static bool loaded(Device *d, Error **errp) { return uart_port_loaded(&((CmsdkUart *)d)->port, errp); }

static void reset(Device *d, ResetPhase phase)
{
    CmsdkUart *s = (CmsdkUart *)d;
    uart_port_reset(&s->port, phase);
    if (phase == RESET_ENTER) {
        s->over = 0;
        s->was_full = false;
        s->port.deaf = true;
    } else if (phase == RESET_HOLD) {
        update_irq(s);
    }
}

static const Property props[] = { DEFINE_PROP_CHARDEV("chardev", CmsdkUart, port.chr), DEFINE_PROP_END };
static const char *const pins[] = { "irq*5", NULL };
static const DeviceType cmsdk_uart_type = {
    .name = "cmsdk-apb-uart",
    .desc = "Arm CMSDK UART",
    .category = "Misc",
    .size = sizeof(CmsdkUart),
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
DEVICE_REGISTER(cmsdk_uart_type)

/* SPDX-License-Identifier: MIT */
/*
 * The UART of i.MX (IMX6DQRM, chapter 64). Output is not paced: the transmitter is always empty while the back end
 * takes bytes.
 */
#include "base/bits.h"
#include "hw/char/uart-port.h"

enum {
    UCR1_UARTEN = 1,
    UCR1_TXMPTYEN = 0x40,
    UCR1_RRDYEN = 0x200,
    UCR1_TRDYEN = 0x2000,
    UCR2_SRST = 1,
    UCR2_RXEN = 2,
    UCR2_TXEN = 4
};
enum { UCR4_DREN = 1, UCR4_TCEN = 8, URXD_CHARRDY = 0x8000, USR1_RRDY = 0x200, USR1_TRDY = 0x2000 };
enum {
    USR2_RDR = 1,
    USR2_TXDC = 8,
    USR2_TXFE = 0x4000,
    UTS_LOOP = 0x1000,
    UTS_TXEMPTY = 0x40,
    UTS_RXEMPTY = 0x20,
    UTS_TXFULL = 0x10
};

typedef struct ImxUart {
    Device dev; /* always first */
    UartPort port;
    uint32_t ucr[4], ufcr, uesc, utim, ubir, ubmr, onems, uts;
} ImxUart;

static bool room(const ImxUart *s) { return uart_port_room(&s->port); }
static bool has(const ImxUart *s) { return uart_port_has(&s->port); }

static void update(Device *d)
{
    ImxUart *s = (ImxUart *)d;
    bool tx = room(s) && (s->ucr[0] & (UCR1_TRDYEN | UCR1_TXMPTYEN) || s->ucr[3] & UCR4_TCEN);
    bool rx = has(s) && (s->ucr[0] & UCR1_RRDYEN || s->ucr[3] & UCR4_DREN);
    device_out(d, 0, (tx || rx) && s->ucr[0] & UCR1_UARTEN);
}

static uint64_t rx_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    ImxUart *s = (ImxUart *)d;
    uint64_t v = has(s) ? URXD_CHARRDY | uart_port_get(&s->port) : 0;
    update(d);
    return v;
}

static void tx_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ImxUart *s = (ImxUart *)d;
    if (s->uts & UTS_LOOP)
        uart_port_push(&s->port, (uint8_t)value);
    else if (s->ucr[1] & UCR2_TXEN)
        uart_port_put(&s->port, (uint8_t)value);
    update(d);
}

static void clear(ImxUart *s)
{
    while (has(s))
        uart_port_get(&s->port);
}

static void ucr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ImxUart *s = (ImxUart *)d;
    if (i == 1 && !(value & UCR2_SRST)) { /* software reset ends at once */
        clear(s);
        s->ucr[1] |= UCR2_SRST;
    }
    uart_port_listen(&s->port, s->ucr[1] & UCR2_RXEN && s->ucr[0] & UCR1_UARTEN);
    update(d);
}

static uint64_t usr1_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const ImxUart *s = (ImxUart *)d;
    return 0x40 | (room(s) ? USR1_TRDY : 0) | (has(s) ? USR1_RRDY : 0);
}
static uint64_t usr2_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const ImxUart *s = (ImxUart *)d;
    return (room(s) ? USR2_TXFE | USR2_TXDC : 0) | (has(s) ? USR2_RDR : 0);
}
static uint64_t uts_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const ImxUart *s = (ImxUart *)d;
    return (stored & UTS_LOOP) | (room(s) ? UTS_TXEMPTY : UTS_TXFULL) | (has(s) ? 0 : UTS_RXEMPTY);
}

#define R(name_, at_, ...) { .name = name_, .at = at_, .size = 4, __VA_ARGS__ }
#define F(f) .field = offsetof(ImxUart, f)
#define NONE .field = REG_NO_FIELD
static const Reg regs[] = {
    R("URXD", 0x00, NONE, .read = rx_read, .access = REG_RO),
    R("UTXD", 0x40, NONE, .wrote = tx_wrote, .access = REG_WO),
    R("UCR", 0x80, F(ucr), .count = 4, .stride = 4, .wrote = ucr_wrote),
    R("UFCR", 0x90, F(ufcr), .reset = 0x801),
    R("USR1", 0x94, NONE, .read = usr1_read),
    R("USR2", 0x98, NONE, .read = usr2_read),
    R("UESC", 0x9c, F(uesc), .reset = 0x2b),
    R("UTIM", 0xa0, F(utim)),
    R("UBIR", 0xa4, F(ubir)),
    R("UBMR", 0xa8, F(ubmr)),
    R("UBRC", 0xac, NONE, .access = REG_RO),
    R("ONEMS", 0xb0, F(onems)),
    R("UTS", 0xb4, F(uts), .read = uts_read),
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const StateField state[] = { STATE_STRUCT(ImxUart, port, uart_port_state), STATE_END_OF_TABLE };

static void init(Device *d) { uart_port_init(&((ImxUart *)d)->port, d, 16, update); }
static bool start(Device *d, Error **errp) { return uart_port_start(&((ImxUart *)d)->port, errp); }
static void stop(Device *d) { uart_port_stop(&((ImxUart *)d)->port); }
static bool loaded(Device *d, Error **errp) { return uart_port_loaded(&((ImxUart *)d)->port, errp); }

static void reset(Device *d, ResetPhase phase)
{
    static const uint32_t ucr[4] = { 0, UCR2_SRST, 0x700, 0x8000 };
    ImxUart *s = (ImxUart *)d;
    uart_port_reset(&s->port, phase);
    if (phase == RESET_ENTER) {
        memcpy(s->ucr, ucr, sizeof ucr);
        s->port.deaf = true;
    } else if (phase == RESET_HOLD) {
        update(d);
    }
}

static const Property props[] = { DEFINE_PROP_CHARDEV("chardev", ImxUart, port.chr), DEFINE_PROP_END };
static const char *const pins[] = { "irq", NULL };
static const DeviceType imx_uart_type = {
    .name = "imx.serial",
    .desc = "i.MX UART",
    .category = "Misc",
    .size = sizeof(ImxUart),
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
DEVICE_REGISTER(imx_uart_type)

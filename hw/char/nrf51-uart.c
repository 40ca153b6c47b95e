/* SPDX-License-Identifier: MIT */
/* The UART of the nRF51 (Reference Manual 3.0, chapter 29). */
#include "hw/char/uart-port.h"
#include "hw/misc/nrf51.h"

enum { TASK_STARTRX, TASK_STOPRX, TASK_STARTTX, TASK_STOPTX, TASK_SUSPEND = 7 };
enum { EVENT_RXDRDY = 2, EVENT_TXDRDY = 7, EVENT_ERROR = 9, EVENT_RXTO = 17 };
enum { RXFIFO = 6, ENABLED = 4 };

typedef struct NrfUart {
    NrfPeriph p;
    UartPort port;
    uint32_t enable, psel[4], baudrate, config, errorsrc;
    bool rx, tx, rx_shown; /* rx_shown: the byte on top has had its RXDRDY */
} NrfUart;

static bool listening(const NrfUart *s) { return s->rx && s->enable == ENABLED; }

static void show_rx(NrfUart *s)
{
    if (!uart_port_has(&s->port) || s->rx_shown)
        return;
    s->rx_shown = true;
    nrf_event(&s->p, EVENT_RXDRDY);
}

static void changed(Device *d) { show_rx((NrfUart *)d); }

static void task(NrfPeriph *p, unsigned n)
{
    NrfUart *s = (NrfUart *)p;
    switch (n) {
    case TASK_STARTRX: s->rx = true; break;
    case TASK_STARTTX: s->tx = true; break;
    case TASK_STOPTX: s->tx = false; break;
    case TASK_STOPRX:
    case TASK_SUSPEND:
        s->rx = false;
        s->tx &= n == TASK_STOPRX;
        nrf_event(p, EVENT_RXTO);
        break;
    }
    uart_port_listen(&s->port, listening(s));
    show_rx(s);
}

static uint32_t *field(NrfUart *s, uint32_t at)
{
    if (at >= 0x508 && at <= 0x514)
        return &s->psel[(at - 0x508) / 4];
    return at == NRF_ENABLE ? &s->enable
           : at == 0x524    ? &s->baudrate
           : at == 0x56c    ? &s->config
           : at == 0x480    ? &s->errorsrc
                            : NULL;
}

static uint32_t read_reg(NrfPeriph *p, uint32_t at)
{
    NrfUart *s = (NrfUart *)p;
    const uint32_t *f = field(s, at);
    if (at != 0x518)
        return f ? *f : 0;
    uint8_t v = uart_port_get(&s->port);
    s->rx_shown = false;
    show_rx(s);
    return v;
}

static void write_reg(NrfPeriph *p, uint32_t at, uint32_t value)
{
    NrfUart *s = (NrfUart *)p;
    uint32_t *f = field(s, at);
    if (at == 0x480) {
        s->errorsrc &= ~value;
    } else if (f) {
        *f = value;
    } else if (at == 0x51c && s->tx && s->enable == ENABLED) {
        uart_port_put(&s->port, (uint8_t)value);
        nrf_event(p, EVENT_TXDRDY);
    }
    uart_port_listen(&s->port, listening(s));
}

static void init(Device *d) { uart_port_init(&((NrfUart *)d)->port, d, RXFIFO, changed); }
static bool start(Device *d, Error **errp) { return uart_port_start(&((NrfUart *)d)->port, errp); }
static void stop(Device *d) { uart_port_stop(&((NrfUart *)d)->port); }
static bool loaded(Device *d, Error **errp) { return uart_port_loaded(&((NrfUart *)d)->port, errp); }

static void reset(Device *d, ResetPhase phase)
{
    NrfUart *s = (NrfUart *)d;
    nrf51_base_type.reset(d, phase);
    uart_port_reset(&s->port, phase);
    if (phase != RESET_ENTER)
        return;
    s->enable = s->config = s->errorsrc = 0;
    memset(s->psel, 0xff, sizeof s->psel);
    s->baudrate = 0x04000000;
    s->rx = s->tx = s->rx_shown = false;
    s->port.deaf = true;
}

static const StateField state[] = {
    STATE_STRUCT(NrfUart, port, uart_port_state),
    STATE_U32(NrfUart, enable),
    STATE_U32_ARRAY(NrfUart, psel),
    STATE_U32(NrfUart, baudrate),
    STATE_U32(NrfUart, config),
    STATE_U32(NrfUart, errorsrc),
    STATE_BOOL(NrfUart, rx),
    STATE_BOOL(NrfUart, tx),
    STATE_BOOL(NrfUart, rx_shown),
    STATE_END_OF_TABLE,
};
static const Property props[] = { DEFINE_PROP_CHARDEV("chardev", NrfUart, port.chr), DEFINE_PROP_END };
static const NrfType class = { .task = task, .read = read_reg, .write = write_reg };
static const DeviceType nrf51_uart_type = {
    .name = "nrf51-uart",
    .desc = "nRF51 UART",
    .category = "Misc",
    .size = sizeof(NrfUart),
    .base = &nrf51_base_type,
    .props = props,
    .state = state,
    .init = init,
    .start = start,
    .reset = reset,
    .loaded = loaded,
    .stop = stop,
    .class_data = &class,
};
DEVICE_REGISTER(nrf51_uart_type)

/* SPDX-License-Identifier: MIT */
/* The common part of simple UARTs. */
#include "hw/char/uart-port.h"

#define FLUSH_NS INT64_C(1000000)
#define MAX_RETRIES 1000 /* a back end that has taken nothing for a second is dead */

const StateField uart_port_state[] = {
    STATE_BOOL(UartPort, deaf), STATE_BYTES(UartPort, rx), STATE_U8(UartPort, rx_head), STATE_U8(UartPort, rx_count),
    STATE_BYTES(UartPort, out), STATE_U16(UartPort, out_count), STATE_END_OF_TABLE,
};

static size_t can_read(void *opaque)
{
    const UartPort *p = opaque;
    return p->deaf ? 0 : p->depth - p->rx_count;
}

void uart_port_push(UartPort *p, uint8_t byte)
{
    if (p->rx_count < p->depth)
        p->rx[(p->rx_head + p->rx_count++) % UART_PORT_RX] = byte;
}

static void receive(void *opaque, const uint8_t *data, size_t len)
{
    UartPort *p = opaque;
    for (size_t i = 0; i < len; i++)
        uart_port_push(p, data[i]);
    p->changed(p->dev);
}

uint8_t uart_port_get(UartPort *p)
{
    if (!p->rx_count)
        return 0;
    uint8_t v = p->rx[p->rx_head];
    p->rx_head = (p->rx_head + 1) % UART_PORT_RX;
    p->rx_count--;
    if (p->chr)
        chardev_accept_input(p->chr);
    return v;
}

void uart_port_listen(UartPort *p, bool on)
{
    bool was = !p->deaf;
    p->deaf = !on;
    if (on && !was && p->chr)
        chardev_accept_input(p->chr);
}

static void flush(UartPort *p)
{
    size_t taken = p->chr ? chardev_write(p->chr, p->out, p->out_count) : p->out_count;
    if (taken)
        p->retries = 0;
    else if (p->retries < MAX_RETRIES)
        p->retries++;
    else
        taken = p->out_count;
    p->out_count -= (uint16_t)taken;
    memmove(p->out, p->out + taken, p->out_count);
}

static void flush_due(void *opaque)
{
    UartPort *p = opaque;
    bool full = !uart_port_room(p);
    flush(p);
    if (p->out_count)
        timer_arm(p->flush_timer, clock_ns(CLOCK_REALTIME_NS) + FLUSH_NS);
    if (full && uart_port_room(p))
        p->changed(p->dev);
}

void uart_port_put(UartPort *p, uint8_t byte)
{
    if (!uart_port_room(p))
        return; /* the guest has not looked */
    p->out[p->out_count++] = byte;
    if ((byte == '\n' || p->out_count >= UART_PORT_BATCH / 2) && !p->retries)
        flush(p);
    if (p->out_count && !timer_armed(p->flush_timer))
        timer_arm(p->flush_timer, clock_ns(CLOCK_REALTIME_NS) + FLUSH_NS);
}

/* The program ends: nothing stays in the batch. */
static void event(void *opaque, ChardevEvent e)
{
    if (e == CHR_FLUSH)
        flush(opaque);
}

void uart_port_init(UartPort *p, Device *d, unsigned depth, void (*changed)(Device *d))
{
    p->dev = d;
    p->depth = (uint8_t)depth;
    p->changed = changed;
    p->flush_timer = timer_new(CLOCK_REALTIME_NS, d->domain, flush_due, p);
}

bool uart_port_start(UartPort *p, Error **errp)
{
    ChardevFrontend fe = { can_read, receive, event, p->dev->domain, p };
    Chardev *chr = p->chr;
    p->chr = NULL;
    if (chr && !chardev_attach(chr, &fe, errp))
        return false;
    p->chr = chr;
    return true;
}

void uart_port_reset(UartPort *p, ResetPhase phase)
{
    if (phase == RESET_ENTER) {
        p->rx_head = p->rx_count = 0;
        memset(p->rx, 0, sizeof p->rx);
        p->deaf = false;
    } else if (phase == RESET_EXIT && p->chr) {
        chardev_accept_input(p->chr);
    }
}

bool uart_port_loaded(UartPort *p, Error **errp)
{
    if (p->rx_head >= UART_PORT_RX || p->rx_count > p->depth || p->out_count > UART_PORT_BATCH) {
        error_setf(errp, "device '%s': the saved FIFOs are damaged", p->dev->id);
        return false;
    }
    if (p->out_count)
        timer_arm(p->flush_timer, clock_ns(CLOCK_REALTIME_NS) + FLUSH_NS);
    return true;
}

void uart_port_stop(UartPort *p)
{
    if (p->chr && p->dev->started) {
        chardev_write_all(p->chr, p->out, p->out_count);
        chardev_detach(p->chr, p);
    }
    timer_free(p->flush_timer);
    p->flush_timer = NULL;
    p->chr = NULL;
}

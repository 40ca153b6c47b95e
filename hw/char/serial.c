/* SPDX-License-Identifier: MIT */
/*
 * The 16550A UART. Source: National Semiconductor PC16550D data sheet (TL/C/8652).
 * Output is not paced by the baud rate. A character is gone as soon as it lies in the batch for the back end, which
 * goes out at the end of a line, when it is half full, or after a millisecond. While the back end is full and the batch
 * too, THRE stays low, so nothing gets lost.
 */
#include "hw/char/serial.h"
#include "base/bits.h"
#include "base/trace.h"

enum { R_DATA, R_IER, R_IIR_FCR, R_LCR, R_MCR, R_LSR, R_MSR, R_SCR };
enum { IER_RX = 1, IER_THRE = 2, IER_LINE = 4, IER_MODEM = 8 };
enum {
    IIR_MODEM = 0x0,
    IIR_NONE = 0x1,
    IIR_THRE = 0x2,
    IIR_RX = 0x4,
    IIR_LINE = 0x6,
    IIR_TIMEOUT = 0xc,
    IIR_FIFO = 0xc0
};
enum { FCR_ENABLE = 1, FCR_CLEAR_RX = 2, FCR_CLEAR_TX = 4, FCR_STORED = 0xc9 };
enum { LCR_STOP = 4, LCR_PARITY = 8, LCR_EVEN = 0x10, LCR_BREAK = 0x40, LCR_DLAB = 0x80 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 0x10 };
enum {
    LSR_DR = 1,
    LSR_OE = 2,
    LSR_PE = 4,
    LSR_FE = 8,
    LSR_BI = 0x10,
    LSR_THRE = 0x20,
    LSR_TEMT = 0x40,
    LSR_FIFO_ERROR = 0x80,
    LSR_ERRORS = LSR_OE | LSR_PE | LSR_FE | LSR_BI
};
enum { MSR_DELTAS = 0xf, MSR_TERI = 4, MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80 };

#define FLUSH_NS INT64_C(1000000)
#define MAX_RETRIES 1000 /* a back end that has taken nothing for a second is dead: then output is dropped */

static const StateField fifo_state[] = {
    STATE_BYTES(SerialFifo, data), STATE_U8(SerialFifo, head), STATE_U8(SerialFifo, count), STATE_END_OF_TABLE,
};
const StateField serial_state[] = {
    STATE_U8(Serial, ier), STATE_U8(Serial, fcr), STATE_U8(Serial, lcr), STATE_U8(Serial, mcr), STATE_U8(Serial, lsr),
    STATE_U8(Serial, msr), STATE_U8(Serial, scr), STATE_U16(Serial, divider), STATE_BOOL(Serial, thre_pending),
    STATE_BOOL(Serial, timeout_pending), STATE_STRUCT(Serial, rx, fifo_state), STATE_STRUCT(Serial, tx, fifo_state),
    STATE_BYTES(Serial, rx_error), STATE_BYTES(Serial, out), STATE_U16(Serial, out_count),
    STATE_TIMER(Serial, timeout_timer), STATE_END_OF_TABLE,
};

static unsigned fifo_push(SerialFifo *f, uint8_t v)
{
    unsigned at = (f->head + f->count++) % SERIAL_FIFO_SIZE;
    f->data[at] = v;
    return at;
}

static uint8_t fifo_pop(SerialFifo *f)
{
    uint8_t v = f->data[f->head];
    f->head = (f->head + 1) % SERIAL_FIFO_SIZE;
    f->count--;
    return v;
}

static bool fifo_enabled(const Serial *s)
{
    return s->fcr & FCR_ENABLE;
}

static unsigned rx_capacity(const Serial *s)
{
    return fifo_enabled(s) ? SERIAL_FIFO_SIZE : 1;
}

static unsigned rx_trigger(const Serial *s)
{
    static const uint8_t level[] = { 1, 4, 8, 14 };
    return fifo_enabled(s) ? level[s->fcr >> 6] : 1;
}

/* Interrupts by priority (data sheet, table III). */
static uint8_t interrupt_id(const Serial *s)
{
    if ((s->ier & IER_LINE) && (s->lsr & LSR_ERRORS))
        return IIR_LINE;
    if ((s->ier & IER_RX) && s->rx.count >= rx_trigger(s))
        return IIR_RX;
    if ((s->ier & IER_RX) && s->timeout_pending)
        return IIR_TIMEOUT;
    if ((s->ier & IER_THRE) && s->thre_pending)
        return IIR_THRE;
    if ((s->ier & IER_MODEM) && (s->msr & MSR_DELTAS))
        return IIR_MODEM;
    return IIR_NONE;
}

static void update_irq(Serial *s)
{
    bool level = interrupt_id(s) != IIR_NONE;

    if (level == s->irq_level)
        return;
    s->irq_level = level;
    irq_set(&s->irq, level);
}

/* ---- receiver ---- */

static unsigned baud_of(const Serial *s)
{
    unsigned baud = s->baudbase / (s->divider ? s->divider : 65536u);
    return baud ? baud : 1;
}

static unsigned data_bits(const Serial *s)
{
    return (s->lcr & 3) + 5;
}

static int64_t character_ns(const Serial *s)
{
    unsigned bits = 1 + data_bits(s) + !!(s->lcr & LCR_PARITY) + (s->lcr & LCR_STOP ? 2 : 1);
    return INT64_C(1000000000) * bits / baud_of(s);
}

/* Line status of the character at the top, and whether any in the FIFO has an error. */
static void show_top(Serial *s)
{
    bool any = false;

    for (unsigned i = 0; i < s->rx.count; i++)
        any |= s->rx_error[(s->rx.head + i) % SERIAL_FIFO_SIZE];
    s->lsr &= ~(LSR_DR | LSR_FIFO_ERROR);
    if (s->rx.count)
        s->lsr |= LSR_DR | s->rx_error[s->rx.head];
    if (any && fifo_enabled(s))
        s->lsr |= LSR_FIFO_ERROR;
}

/* Four character times without traffic make an interrupt of what lies below the trigger level. */
static void restart_timeout(Serial *s)
{
    s->timeout_pending = false;
    if (fifo_enabled(s) && s->rx.count)
        timer_arm(s->timeout_timer, clock_ns(CLOCK_VIRTUAL_NS) + 4 * character_ns(s));
    else if (timer_armed(s->timeout_timer))
        timer_cancel(s->timeout_timer);
}

static void timed_out(void *opaque)
{
    Serial *s = opaque;

    s->timeout_pending = s->rx.count > 0;
    update_irq(s);
}

static void receive_one(Serial *s, uint8_t v, uint8_t error)
{
    if (s->rx.count >= rx_capacity(s)) {
        s->lsr |= LSR_OE;
        if (!fifo_enabled(s))
            s->rx.data[s->rx.head] = v; /* the new character replaces the old; a full FIFO keeps its own */
    } else {
        s->rx_error[fifo_push(&s->rx, v)] = error;
    }
}

static void received(Serial *s)
{
    show_top(s);
    restart_timeout(s);
    update_irq(s);
}

static size_t can_read(void *opaque)
{
    const Serial *s = opaque;
    return s->mcr & MCR_LOOP ? 0 : rx_capacity(s) - MIN(s->rx.count, rx_capacity(s));
}

static void receive(void *opaque, const uint8_t *data, size_t len)
{
    Serial *s = opaque;

    for (size_t i = 0; i < len; i++)
        receive_one(s, data[i], 0);
    received(s);
}

/* At the end: what the guest has sent gets out, unless the peer is dead. */
static void flush_all(Serial *s)
{
    chardev_write_all(s->chr, s->out, s->out_count);
    s->out_count = 0;
}

static void event(void *opaque, ChardevEvent e)
{
    Serial *s = opaque;

    if (e == CHR_FLUSH)
        flush_all(s);
    if (e != CHR_BREAK || (s->mcr & MCR_LOOP))
        return;
    receive_one(s, 0, LSR_BI);
    received(s);
}

static uint8_t read_data(Serial *s)
{
    if (!s->rx.count)
        return s->rx.data[s->rx.head];
    uint8_t v = fifo_pop(&s->rx);
    show_top(s);
    restart_timeout(s);
    update_irq(s);
    if (s->chr)
        chardev_accept_input(s->chr);
    return v;
}

static void clear_rx(Serial *s)
{
    bool was_full = s->rx.count;

    s->rx.head = s->rx.count = 0;
    memset(s->rx_error, 0, sizeof(s->rx_error));
    s->lsr &= ~LSR_BI;
    show_top(s);
    restart_timeout(s);
    if (was_full && s->chr)
        chardev_accept_input(s->chr);
}

/* ---- transmitter ---- */

static void transmitter_empty(Serial *s)
{
    s->lsr |= LSR_THRE | LSR_TEMT;
    s->thre_pending = true;
    update_irq(s);
}

static void flush(Serial *s)
{
    size_t taken = s->chr ? chardev_write(s->chr, s->out, s->out_count) : s->out_count;

    if (taken)
        s->retries = 0;
    else if (s->retries < MAX_RETRIES)
        s->retries++;
    else
        taken = s->out_count;
    s->out_count -= taken;
    memmove(s->out, s->out + taken, s->out_count);
}

/* Move characters from the FIFO to the batch. */
static void transmit(Serial *s)
{
    bool end_of_line = false;

    while (s->tx.count && s->out_count < SERIAL_BATCH) {
        uint8_t v = fifo_pop(&s->tx);
        s->out[s->out_count++] = v;
        end_of_line |= v == '\n';
    }
    if ((end_of_line || s->out_count >= SERIAL_BATCH / 2) && !s->retries)
        flush(s);
    if (s->out_count && !timer_armed(s->flush_timer))
        timer_arm(s->flush_timer, clock_ns(CLOCK_REALTIME_NS) + FLUSH_NS);
    if (!s->tx.count)
        transmitter_empty(s);
}

static void flush_due(void *opaque)
{
    Serial *s = opaque;

    if (s->out_count)
        flush(s);
    if (s->tx.count)
        transmit(s);
    else if (s->out_count)
        timer_arm(s->flush_timer, clock_ns(CLOCK_REALTIME_NS) + FLUSH_NS);
}

static void write_data(Serial *s, uint8_t v)
{
    s->thre_pending = false;
    if (s->mcr & MCR_LOOP) {
        receive_one(s, v, 0);
        show_top(s);
        restart_timeout(s);
        transmitter_empty(s);
        return;
    }
    bool waiting = s->tx.count;
    if (s->tx.count == (fifo_enabled(s) ? SERIAL_FIFO_SIZE : 1))
        fifo_pop(&s->tx); /* written in spite of THRE = 0: the guest overruns itself */
    fifo_push(&s->tx, v);
    s->lsr &= ~(LSR_THRE | LSR_TEMT);
    if (waiting)
        update_irq(s);
    else
        transmit(s);
}

/* ---- the other registers ---- */

static void set_line(Serial *s)
{
    char parity = !(s->lcr & LCR_PARITY) ? 'N' : s->lcr & LCR_EVEN ? 'E' : 'O';
    if (s->chr)
        chardev_set_line(s->chr, baud_of(s), parity, data_bits(s), s->lcr & LCR_STOP ? 2 : 1);
}

/* Modem inputs: a peer that is always ready, or in loopback our own outputs (data sheet, 8.8). */
static void update_modem(Serial *s)
{
    uint8_t now = MSR_DCD | MSR_DSR | MSR_CTS, was = s->msr;

    if (s->mcr & MCR_LOOP)
        now = (s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) | (s->mcr & MCR_OUT1 ? MSR_RI : 0) |
              (s->mcr & MCR_OUT2 ? MSR_DCD : 0);
    uint8_t delta = (now ^ was) >> 4 & ~MSR_TERI;
    if (was & ~now & MSR_RI)
        delta |= MSR_TERI;
    s->msr = now | (was & MSR_DELTAS) | delta;
}

static void write_ier(Serial *s, uint8_t v)
{
    uint8_t rose = v & ~s->ier;

    s->ier = v & 0x0f;
    if (rose & IER_THRE)
        s->thre_pending = s->lsr & LSR_THRE; /* enabling it with the transmitter empty interrupts at once */
    update_irq(s);
}

static void write_fcr(Serial *s, uint8_t v)
{
    bool toggled = (v ^ s->fcr) & FCR_ENABLE;

    s->fcr = v & FCR_ENABLE ? v & FCR_STORED : 0;
    if (toggled || (v & FCR_CLEAR_RX))
        clear_rx(s);
    if ((toggled || (v & FCR_CLEAR_TX)) && s->tx.count) {
        s->tx.head = s->tx.count = 0;
        transmitter_empty(s);
    }
    update_irq(s);
}

static void write_lcr(Serial *s, uint8_t v)
{
    uint8_t was = s->lcr;

    s->lcr = v;
    if ((v & ~was & LCR_BREAK) && s->chr)
        chardev_send_break(s->chr);
    if ((v ^ was) & 0x3f)
        set_line(s);
}

static void write_mcr(Serial *s, uint8_t v)
{
    uint8_t was = s->mcr;

    s->mcr = v & 0x1f;
    update_modem(s);
    update_irq(s);
    if ((was & ~v & MCR_LOOP) && s->chr)
        chardev_accept_input(s->chr);
}

static void write_divider(Serial *s, unsigned shift, uint8_t v)
{
    s->divider = (s->divider & ~(0xff << shift)) | v << shift;
    set_line(s);
}

static MemResult serial_write(void *o, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Serial *s = o;
    uint8_t v = value;

    TRACE(serial_write, "register %u value 0x%x", (unsigned)at, v);
    switch (at) {
    case R_DATA:
        s->lcr & LCR_DLAB ? write_divider(s, 0, v) : write_data(s, v);
        break;
    case R_IER:
        s->lcr & LCR_DLAB ? write_divider(s, 8, v) : write_ier(s, v);
        break;
    case R_IIR_FCR:
        write_fcr(s, v);
        break;
    case R_LCR:
        write_lcr(s, v);
        break;
    case R_MCR:
        write_mcr(s, v);
        break;
    case R_SCR:
        s->scr = v;
        break;
    }
    return MEM_OK;
}

static uint8_t read_iir(Serial *s)
{
    uint8_t id = interrupt_id(s);

    if (id == IIR_THRE) {
        s->thre_pending = false;
        update_irq(s);
    }
    return id | (fifo_enabled(s) ? IIR_FIFO : 0);
}

static uint8_t read_lsr(Serial *s)
{
    uint8_t v = s->lsr;

    if (v & LSR_ERRORS) {
        s->lsr &= ~LSR_ERRORS;
        if (s->rx.count)
            s->rx_error[s->rx.head] = 0;
        show_top(s);
        update_irq(s);
    }
    return v;
}

static uint8_t read_msr(Serial *s)
{
    uint8_t v = s->msr;

    if (v & MSR_DELTAS) {
        s->msr &= ~MSR_DELTAS;
        update_irq(s);
    }
    return v;
}

static MemResult serial_read(void *o, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Serial *s = o;

    switch (at) {
    case R_DATA:
        *value = s->lcr & LCR_DLAB ? s->divider & 0xff : read_data(s);
        break;
    case R_IER:
        *value = s->lcr & LCR_DLAB ? s->divider >> 8 : s->ier;
        break;
    case R_IIR_FCR:
        *value = read_iir(s);
        break;
    case R_LCR:
        *value = s->lcr;
        break;
    case R_MCR:
        *value = s->mcr;
        break;
    case R_LSR:
        *value = read_lsr(s);
        break;
    case R_MSR:
        *value = read_msr(s);
        break;
    default:
        *value = s->scr;
    }
    return MEM_OK;
}

const MemOps serial_ops = { .read = serial_read, .write = serial_write, .min_size = 1, .max_size = 1 };

bool serial_start(Serial *s, Device *owner, Irq irq, Chardev *chr, uint32_t baudbase, Error **errp)
{
    ChardevFrontend fe = { can_read, receive, event, owner->domain, s };

    s->owner = owner;
    s->irq = irq;
    s->baudbase = baudbase;
    s->timeout_timer = timer_new(CLOCK_VIRTUAL_NS, owner->domain, timed_out, s);
    s->flush_timer = timer_new(CLOCK_REALTIME_NS, owner->domain, flush_due, s);
    if (chr && !chardev_attach(chr, &fe, errp))
        return false;
    s->chr = chr;
    return true;
}

void serial_reset(Serial *s)
{
    bool had_input = s->rx.count;

    timer_cancel(s->timeout_timer);
    s->ier = s->fcr = s->lcr = s->mcr = s->scr = 0;
    s->lsr = LSR_THRE | LSR_TEMT;
    s->msr = MSR_DCD | MSR_DSR | MSR_CTS;
    s->divider = 12; /* undefined after power-up: 9600 baud, as a BIOS leaves it */
    s->thre_pending = s->timeout_pending = s->irq_level = false;
    memset(&s->rx, 0, sizeof(s->rx));
    memset(&s->tx, 0, sizeof(s->tx));
    memset(s->rx_error, 0, sizeof(s->rx_error));
    if (had_input && s->chr)
        chardev_accept_input(s->chr);
}

bool serial_loaded(Serial *s, Error **errp)
{
    if (s->rx.count > SERIAL_FIFO_SIZE || s->tx.count > SERIAL_FIFO_SIZE || s->rx.head >= SERIAL_FIFO_SIZE ||
        s->tx.head >= SERIAL_FIFO_SIZE || s->out_count > SERIAL_BATCH) {
        error_setf(errp, "device '%s': the saved FIFOs are damaged", s->owner->id);
        return false;
    }
    s->ier &= 0x0f;
    s->mcr &= 0x1f;
    s->irq_level = interrupt_id(s) != IIR_NONE;
    set_line(s);
    if (s->tx.count || s->out_count)
        timer_arm(s->flush_timer, clock_ns(CLOCK_REALTIME_NS) + FLUSH_NS);
    return true;
}

void serial_stop(Serial *s)
{
    if (s->chr) {
        flush_all(s);
        chardev_detach(s->chr, s);
    }
    timer_free(s->timeout_timer);
    timer_free(s->flush_timer);
    s->chr = NULL;
    s->timeout_timer = s->flush_timer = NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * The PrimeCell UART PL011 (DDI 0183G). Output is not paced by the baud rate: a character is gone as soon as it lies in
 * the batch for the back end, which goes out at the end of a line, when it is half full, or after a millisecond.
 */
#include "base/bits.h"
#include "base/log.h"
#include "chardev/chardev.h"
#include "hw/core/device.h"

enum { FIFO_DEPTH = 16, BATCH = 256, MAX_RETRIES = 1000 };
#define FLUSH_NS INT64_C(1000000)
#define CLOCK_HZ UINT64_C(24000000)

enum { DR_FE = 1 << 8, DR_PE = 1 << 9, DR_BE = 1 << 10, DR_OE = 1 << 11 };
enum {
    FR_CTS = 1,
    FR_DSR = 2,
    FR_DCD = 4,
    FR_BUSY = 8,
    FR_RXFE = 0x10,
    FR_TXFF = 0x20,
    FR_RXFF = 0x40,
    FR_TXFE = 0x80
};
enum { LCR_BRK = 1, LCR_PEN = 2, LCR_EPS = 4, LCR_STP2 = 8, LCR_FEN = 0x10 };
enum { CR_UARTEN = 1, CR_LBE = 0x80, CR_TXE = 0x100, CR_RXE = 0x200 };
enum {
    INT_RX = 0x10,
    INT_TX = 0x20,
    INT_RT = 0x40,
    INT_FE = 0x80,
    INT_PE = 0x100,
    INT_BE = 0x200,
    INT_OE = 0x400,
    INT_ALL = 0x7ff
};

typedef struct Pl011 {
    Device dev; /* always first */
    Chardev *chr;
    uint32_t rsr, ilpr, ibrd, fbrd, lcr, cr, ifls, imsc, ris, dmacr;
    uint16_t rx[FIFO_DEPTH]; /* character and error bits, as in DR */
    uint8_t rx_head, rx_count;
    uint8_t out[BATCH];
    uint16_t out_count;
    Timer *timeout; /* receive time-out */
    Timer *flush_timer;
    uint16_t retries; /* of the back end without progress; not saved */
} Pl011;

static void update_irq(Pl011 *s)
{
    /* combined, RX, TX, RT, modem, error (section 2.8) */
    static const uint32_t masks[] = { INT_ALL, INT_RX, INT_TX, INT_RT, 0xf, INT_FE | INT_PE | INT_BE | INT_OE };
    for (unsigned i = 0; i < ARRAY_LEN(masks); i++)
        device_out(&s->dev, i, (s->ris & s->imsc & masks[i]) != 0);
}

static unsigned rx_depth(const Pl011 *s) { return s->lcr & LCR_FEN ? FIFO_DEPTH : 1; }

/* Table 3-13: 1/8, 1/4, 1/2, 3/4, 7/8 full. */
static unsigned rx_trigger(const Pl011 *s)
{
    static const uint8_t level[8] = { 2, 4, 8, 12, 14, 14, 14, 14 };
    return s->lcr & LCR_FEN ? level[s->ifls >> 3 & 7] : 1;
}

static uint64_t baud_of(const Pl011 *s)
{
    uint64_t divider = s->ibrd * UINT64_C(64) + s->fbrd;
    return divider ? CLOCK_HZ * 4 / divider : 115200;
}

/* ---- receiver ---- */

static void restart_timeout(Pl011 *s)
{
    uint64_t baud = MAX(baud_of(s), 1200);
    if (s->rx_count)
        /* 32 bit periods */
        timer_arm(s->timeout, clock_ns(CLOCK_VIRTUAL_NS) + (int64_t)(UINT64_C(32000000000) / baud));
    else
        timer_cancel(s->timeout);
}

static void timed_out(void *opaque)
{
    Pl011 *s = opaque;
    if (s->rx_count)
        s->ris |= INT_RT;
    update_irq(s);
}

static void receive_one(Pl011 *s, uint16_t v)
{
    if (s->rx_count >= rx_depth(s)) {
        s->ris |= INT_OE;
        s->rsr |= DR_OE >> 8;
        return;
    }
    s->rx[(s->rx_head + s->rx_count++) % FIFO_DEPTH] = v;
    if (v & DR_BE)
        s->ris |= INT_BE;
    if (s->rx_count >= rx_trigger(s))
        s->ris |= INT_RX;
}

static size_t can_read(void *opaque)
{
    const Pl011 *s = opaque;
    return s->rx_count < rx_depth(s) ? rx_depth(s) - s->rx_count : 0;
}

static void receive(void *opaque, const uint8_t *data, size_t len)
{
    Pl011 *s = opaque;
    for (size_t i = 0; i < len; i++)
        receive_one(s, data[i]);
    restart_timeout(s);
    update_irq(s);
}

static void event(void *opaque, ChardevEvent e)
{
    Pl011 *s = opaque;
    if (e != CHR_BREAK)
        return;
    receive_one(s, DR_BE);
    restart_timeout(s);
    update_irq(s);
}

static uint64_t dr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Pl011 *s = (Pl011 *)d;
    uint16_t v = 0;
    if (s->rx_count) {
        v = s->rx[s->rx_head];
        s->rx_head = (s->rx_head + 1) % FIFO_DEPTH;
        s->rx_count--;
        s->rsr = (s->rsr & DR_OE >> 8) | v >> 8;
    }
    if (s->rx_count < rx_trigger(s))
        s->ris &= ~INT_RX;
    if (!s->rx_count)
        s->ris &= ~INT_RT;
    restart_timeout(s);
    update_irq(s);
    if (s->chr)
        chardev_accept_input(s->chr);
    return v;
}

/* ---- transmitter ---- */

static void flush(Pl011 *s)
{
    if (!s->out_count)
        return; /* nothing to take is no failure to take it */
    size_t taken = s->chr ? chardev_write(s->chr, s->out, s->out_count) : s->out_count;
    if (taken)
        s->retries = 0;
    else if (s->retries < MAX_RETRIES)
        s->retries++;
    else
        taken = s->out_count; /* a back end that has taken nothing for a second is dead */
    s->out_count -= (uint16_t)taken;
    memmove(s->out, s->out + taken, s->out_count);
}

static void flush_due(void *opaque)
{
    Pl011 *s = opaque;
    bool full = s->out_count == BATCH;
    flush(s);
    if (full && s->out_count < BATCH) {
        s->ris |= INT_TX;
        update_irq(s);
    }
    if (s->out_count)
        timer_arm(s->flush_timer, clock_ns(CLOCK_REALTIME_NS) + FLUSH_NS);
}

static void dr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pl011 *s = (Pl011 *)d;
    uint8_t v = (uint8_t)value;
    if (s->cr & CR_LBE) {
        receive_one(s, v);
        restart_timeout(s);
    } else if (s->out_count < BATCH) {
        s->out[s->out_count++] = v;
        if ((v == '\n' || s->out_count >= BATCH / 2) && !s->retries)
            flush(s);
        if (s->out_count && !timer_armed(s->flush_timer))
            timer_arm(s->flush_timer, clock_ns(CLOCK_REALTIME_NS) + FLUSH_NS);
    } /* else: written in spite of TXFF */
    s->ris = s->out_count < BATCH ? s->ris | INT_TX : s->ris & ~INT_TX;
    update_irq(s);
}

/* ---- the other registers ---- */

static uint64_t fr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const Pl011 *s = (Pl011 *)d;
    return FR_CTS | FR_DSR | FR_DCD | (s->rx_count ? 0 : FR_RXFE) | (s->rx_count >= rx_depth(s) ? FR_RXFF : 0) |
           (s->out_count < BATCH ? FR_TXFE : FR_TXFF | FR_BUSY);
}

static void rsr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { ((Pl011 *)d)->rsr = 0; }
static uint64_t mis_read(Device *d, const Reg *r, unsigned i, uint64_t v)
{
    return ((Pl011 *)d)->ris & ((Pl011 *)d)->imsc;
}
static uint64_t ris_read(Device *d, const Reg *r, unsigned i, uint64_t v) { return ((Pl011 *)d)->ris; }
static void int_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update_irq((Pl011 *)d); }

static void icr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pl011 *s = (Pl011 *)d;
    s->ris &= ~(uint32_t)value;
    update_irq(s);
}

static void set_line(Pl011 *s)
{
    char parity = !(s->lcr & LCR_PEN) ? 'N' : s->lcr & LCR_EPS ? 'E' : 'O';
    if (s->chr)
        chardev_set_line(s->chr, (unsigned)baud_of(s), parity, (s->lcr >> 5 & 3) + 5, s->lcr & LCR_STP2 ? 2 : 1);
}

static void lcr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pl011 *s = (Pl011 *)d;
    if ((old ^ s->lcr) & LCR_FEN) { /* the FIFOs start empty */
        s->rx_head = s->rx_count = 0;
        timer_cancel(s->timeout);
        s->ris &= ~(INT_RX | INT_RT);
        update_irq(s);
        if (s->chr)
            chardev_accept_input(s->chr);
    }
    if (s->lcr & ~old & LCR_BRK && s->chr)
        chardev_send_break(s->chr);
    set_line(s);
}

static void ifls_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pl011 *s = (Pl011 *)d;
    if (s->rx_count >= rx_trigger(s))
        s->ris |= INT_RX;
    update_irq(s);
}

/* Peripheral and PrimeCell identification (section 3.3.15, 3.3.16). */
static uint64_t id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t id[] = { 0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };
    return id[i];
}

#define FIELD(f) offsetof(Pl011, f)
static const Reg pl011_regs[] = {
    { .name = "UARTDR", .at = 0x00, .size = 4, .field = REG_NO_FIELD, .read = dr_read, .wrote = dr_wrote },
    { .name = "UARTRSR", .at = 0x04, .size = 4, .field = FIELD(rsr), .ro = 0xffffffff, .wrote = rsr_wrote },
    { .name = "UARTFR", .at = 0x18, .size = 4, .field = REG_NO_FIELD, .read = fr_read, .access = REG_RO },
    { .name = "UARTILPR", .at = 0x20, .size = 4, .field = FIELD(ilpr), .rsvd = 0xffffff00 },
    { .name = "UARTIBRD", .at = 0x24, .size = 4, .field = FIELD(ibrd), .rsvd = 0xffff0000 },
    { .name = "UARTFBRD", .at = 0x28, .size = 4, .field = FIELD(fbrd), .rsvd = 0xffffffc0 },
    { .name = "UARTLCR_H", .at = 0x2c, .size = 4, .field = FIELD(lcr), .rsvd = 0xffffff00, .wrote = lcr_wrote },
    { .name = "UARTCR", .at = 0x30, .size = 4, .field = FIELD(cr), .reset = CR_TXE | CR_RXE, .rsvd = 0xffff0000 },
    { .name = "UARTIFLS",
      .at = 0x34,
      .size = 4,
      .field = FIELD(ifls),
      .reset = 0x12,
      .rsvd = 0xffffffc0,
      .wrote = ifls_wrote },
    { .name = "UARTIMSC", .at = 0x38, .size = 4, .field = FIELD(imsc), .rsvd = 0xfffff800, .wrote = int_wrote },
    { .name = "UARTRIS", .at = 0x3c, .size = 4, .field = REG_NO_FIELD, .read = ris_read, .access = REG_RO },
    { .name = "UARTMIS", .at = 0x40, .size = 4, .field = REG_NO_FIELD, .read = mis_read, .access = REG_RO },
    { .name = "UARTICR", .at = 0x44, .size = 4, .field = REG_NO_FIELD, .wrote = icr_wrote, .access = REG_WO },
    { .name = "UARTDMACR", .at = 0x48, .size = 4, .field = FIELD(dmacr), .rsvd = 0xfffffff8 },
    { .name = "UARTPeriphID",
      .at = 0xfe0,
      .size = 4,
      .count = 8,
      .field = REG_NO_FIELD,
      .read = id_read,
      .access = REG_RO },
    { .name = NULL },
};
static const RegBank pl011_bank = { .name = "regs", .size = 0x1000, .regs = pl011_regs };
static const RegBank *const pl011_banks[] = { &pl011_bank, NULL };

static const StateField pl011_state[] = {
    STATE_U32(Pl011, ris), STATE_U16_ARRAY(Pl011, rx), STATE_U8(Pl011, rx_head), STATE_U8(Pl011, rx_count),
    STATE_BYTES(Pl011, out), STATE_U16(Pl011, out_count), STATE_TIMER(Pl011, timeout), STATE_END_OF_TABLE,
};

static void pl011_init(Device *d)
{
    Pl011 *s = (Pl011 *)d;
    s->timeout = timer_new(CLOCK_VIRTUAL_NS, d->domain, timed_out, s);
    s->flush_timer = timer_new(CLOCK_REALTIME_NS, d->domain, flush_due, s);
}

static bool pl011_start(Device *d, Error **errp)
{
    Pl011 *s = (Pl011 *)d;
    ChardevFrontend fe = { can_read, receive, event, d->domain, s };
    Chardev *chr = s->chr;
    s->chr = NULL;
    if (chr && !chardev_attach(chr, &fe, errp))
        return false;
    s->chr = chr;
    return true;
}

static void pl011_reset(Device *d, ResetPhase phase)
{
    Pl011 *s = (Pl011 *)d;
    if (phase == RESET_HOLD)
        update_irq(s);
    if (phase == RESET_EXIT && s->chr)
        chardev_accept_input(s->chr);
    if (phase != RESET_ENTER)
        return;
    timer_cancel(s->timeout);
    s->ris = 0;
    s->rx_head = s->rx_count = 0;
    memset(s->rx, 0, sizeof(s->rx));
}

static bool pl011_loaded(Device *d, Error **errp)
{
    Pl011 *s = (Pl011 *)d;
    if (s->rx_head >= FIFO_DEPTH || s->rx_count > FIFO_DEPTH || s->out_count > BATCH) {
        error_setf(errp, "device '%s': the saved FIFOs are damaged", d->id);
        return false;
    }
    s->ris &= INT_ALL;
    if (s->out_count)
        timer_arm(s->flush_timer, clock_ns(CLOCK_REALTIME_NS) + FLUSH_NS);
    return true;
}

static void pl011_stop(Device *d)
{
    Pl011 *s = (Pl011 *)d;
    if (s->chr && d->started) {
        chardev_write_all(s->chr, s->out, s->out_count);
        chardev_detach(s->chr, s);
    }
    timer_free(s->timeout);
    timer_free(s->flush_timer);
    s->chr = NULL;
    s->timeout = s->flush_timer = NULL;
}

static const Property pl011_props[] = { DEFINE_PROP_CHARDEV("chardev", Pl011, chr), DEFINE_PROP_END };
static const char *const pl011_pins[] = { "irq*6", NULL };

static const DeviceType pl011_type = {
    .name = "pl011", .desc = "PrimeCell UART PL011", .category = "Input", .size = sizeof(Pl011), .banks = pl011_banks,
    .props = pl011_props, .state = pl011_state, .out_pins = pl011_pins, .init = pl011_init, .start = pl011_start,
    .reset = pl011_reset, .loaded = pl011_loaded, .stop = pl011_stop,
};
DEVICE_REGISTER(pl011_type)

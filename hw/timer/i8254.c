/* SPDX-License-Identifier: MIT */
/*
 * The 8254 interval timer: three counters, each with six modes; counter 0 drives interrupt line 0.
 * Source: Intel 8254 data sheet (231164-005). A counter is not ticked: count and output follow from the virtual clock.
 */
#include "hw/timer/i8254.h"
#include "base/bits.h"
#include "base/trace.h"
#include "hw/core/irqchip-host.h"
#include "hw/isa/isa.h"

enum { RW_LATCH, RW_LSB, RW_MSB, RW_BOTH };
enum { STATUS_NULL = 0x40, STATUS_OUT = 0x80 };
#define NS_PER_S UINT64_C(1000000000)
#define MIN_EVENT_NS 20000 /* faster outputs are merged: the event rate that a guest can ask of the host is bounded */

typedef struct PitChannel {
    uint32_t count;      /* in clocks, 1..65536 (BCD 1..10000); 0: none written since the control word */
    uint32_t next_count; /* modes 2 and 3: taken at the end of the period; 0: none */
    uint8_t mode, rw;
    bool bcd, gate;
    bool running;        /* the clock counts: loaded, triggered, gate open */
    bool triggered;      /* modes 1 and 5: gate has risen since the control word */
    uint64_t start;      /* running: virtual time of the load; else: clocks counted until it stopped */
    uint8_t write_low;   /* first byte of a two-byte count */
    bool write_msb, read_msb;
    uint8_t latched;     /* bytes of the latched count still to be read */
    uint16_t latch;
    bool status_latched;
    uint8_t status;
} PitChannel;

static const StateField channel_state[] = {
    STATE_U32(PitChannel, count),
    STATE_U32(PitChannel, next_count),
    STATE_U8(PitChannel, mode),
    STATE_U8(PitChannel, rw),
    STATE_BOOL(PitChannel, bcd),
    STATE_BOOL(PitChannel, gate),
    STATE_BOOL(PitChannel, running),
    STATE_BOOL(PitChannel, triggered),
    STATE_U64(PitChannel, start),
    STATE_U8(PitChannel, write_low),
    STATE_BOOL(PitChannel, write_msb),
    STATE_BOOL(PitChannel, read_msb),
    STATE_U8(PitChannel, latched),
    STATE_U16(PitChannel, latch),
    STATE_BOOL(PitChannel, status_latched),
    STATE_U8(PitChannel, status),
    STATE_END_OF_TABLE,
};

typedef struct Pit {
    Device dev;
    uint16_t iobase;
    PitChannel channel[3];
    Timer *timer; /* next change of counter 0's output */
} Pit;

/* Who runs the PIT in our place, with port 61h; NULL: nobody. */
static const IrqchipHost *host(void)
{
    return irqchip_host() && irqchip_host()->pit_new ? irqchip_host() : NULL;
}

static uint64_t now_ns(void)
{
    return (uint64_t)clock_ns(CLOCK_VIRTUAL_NS);
}

static uint64_t clocks_of(uint64_t ns)
{
    return (unsigned __int128)ns * PIT_HZ / NS_PER_S;
}

static uint64_t ns_of(uint64_t clocks) /* rounded up */
{
    return ((unsigned __int128)clocks * NS_PER_S + PIT_HZ - 1) / PIT_HZ;
}

static bool is_periodic(const PitChannel *c)
{
    return c->mode == 2 || c->mode == 3;
}

/* Clocks since the load. Takes a new period over where the old one has ended. */
static uint64_t elapsed(PitChannel *c, uint64_t now)
{
    if (!c->running)
        return is_periodic(c) ? 0 : c->start;
    uint64_t d = now > c->start ? clocks_of(now - c->start) : 0;
    if (c->next_count && d >= c->count) {
        c->start += ns_of(c->count);
        c->count = c->next_count;
        c->next_count = 0;
        d = now > c->start ? clocks_of(now - c->start) : 0;
    }
    return d;
}

static bool out_at(const PitChannel *c, uint64_t d)
{
    if (!c->count)
        return c->mode != 0;
    if (!c->running && (is_periodic(c) || ((c->mode == 1 || c->mode == 5) && !c->triggered)))
        return true;
    switch (c->mode) {
    case 0:
    case 1:
        return d >= c->count;
    case 2:
        return d % c->count != c->count - 1;
    case 3:
        return d % c->count < (c->count + 1) / 2;
    default:
        return d != c->count;
    }
}

static uint16_t to_bcd(unsigned v)
{
    return v / 1000 % 10 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10;
}

static uint16_t count_at(const PitChannel *c, uint64_t d)
{
    uint32_t modulus = c->bcd ? 10000 : 65536, left;

    if (!c->count)
        return 0;
    if (c->mode == 2)
        left = c->count - d % c->count;
    else if (c->mode == 3) /* counts by two */
        left = (c->count & ~1u) - 2 * d % MAX(c->count & ~1u, 2u);
    else
        left = (c->count + modulus - d % modulus) % modulus;
    left %= modulus;
    return c->bcd ? to_bcd(left) : left;
}

/* Clocks from the load to the next event of the output, after `d`; 0: none. Modes 2, 4 and 5 pulse for one clock. */
static uint64_t next_event(const PitChannel *c, uint64_t d)
{
    uint64_t period_start = c->count ? d / c->count * c->count : 0;

    if (!c->running)
        return 0;
    switch (c->mode) {
    case 2:
        return period_start + c->count;
    case 3:
        return d - period_start < (c->count + 1) / 2 ? period_start + (c->count + 1) / 2 : period_start + c->count;
    default:
        return d < c->count ? c->count : 0;
    }
}

static void schedule(Pit *s)
{
    PitChannel *c = &s->channel[0];
    uint64_t now = now_ns();
    uint64_t at = next_event(c, elapsed(c, now));

    if (!at) {
        timer_cancel(s->timer);
        return;
    }
    uint64_t deadline = c->start + ns_of(at);
    bool fast = is_periodic(c) && ns_of(c->count) < MIN_EVENT_NS;
    timer_arm(s->timer, (int64_t)(fast ? MAX(deadline, now + MIN_EVENT_NS) : deadline));
}

static void channel_changed(Pit *s, PitChannel *c)
{
    if (c != &s->channel[0])
        return;
    device_out(&s->dev, 0, out_at(c, elapsed(c, now_ns())));
    schedule(s);
}

static void fired(void *opaque)
{
    Pit *s = opaque;
    if (host())
        return;
    PitChannel *c = &s->channel[0];
    uint64_t d = elapsed(c, now_ns());

    if (c->mode == 2 || c->mode >= 4)
        irq_lower(&s->dev.out[0]); /* the low clock, at whose end the edge comes */
    device_out(&s->dev, 0, c->mode == 2 || c->mode >= 4 || out_at(c, d));
    schedule(s);
}

/* Counting begins anew from the loaded count. */
static void restart(PitChannel *c, uint64_t now)
{
    if (c->next_count) {
        c->count = c->next_count;
        c->next_count = 0;
    }
    c->start = now;
    c->running = true;
}

static void load_count(Pit *s, PitChannel *c, uint16_t written)
{
    uint64_t now = now_ns(), d = elapsed(c, now);
    uint32_t v = written;

    if (c->bcd)
        v = ((v >> 12) * 1000 + (v >> 8 & 15) * 100 + (v >> 4 & 15) * 10 + (v & 15)) % 10000;
    if (!v)
        v = c->bcd ? 10000 : 65536;
    if (c->mode == 2 && v == 1) /* "a count of 1 is illegal in mode 2" */
        v = 2;
    if (c->count && is_periodic(c) && c->running) {
        c->start += ns_of(d / c->count * c->count); /* the present period */
        c->next_count = v;
    } else if (c->mode == 1 || c->mode == 5) {
        if (c->count && c->triggered)
            c->next_count = v; /* from the next trigger on */
        else
            c->count = v;
    } else {
        c->count = v;
        c->start = 0;
        if (c->gate)
            restart(c, now);
    }
    channel_changed(s, c);
}

static void write_control(Pit *s, PitChannel *c, uint8_t v)
{
    c->rw = bits_get(v, 4, 2);
    c->mode = bits_get(v, 1, 3) > 5 ? bits_get(v, 1, 2) : bits_get(v, 1, 3);
    c->bcd = v & 1;
    c->count = c->next_count = c->latched = 0;
    c->start = 0;
    c->running = c->triggered = c->write_msb = c->read_msb = c->status_latched = false;
    channel_changed(s, c);
}

static void latch_count(PitChannel *c)
{
    if (c->latched)
        return;
    c->latch = count_at(c, elapsed(c, now_ns()));
    c->latched = c->rw == RW_BOTH ? 2 : 1;
    c->read_msb = false;
}

static void latch_status(PitChannel *c)
{
    if (c->status_latched)
        return;
    c->status = (out_at(c, elapsed(c, now_ns())) ? STATUS_OUT : 0) | (c->count && !c->next_count ? 0 : STATUS_NULL) |
                c->rw << 4 | c->mode << 1 | c->bcd;
    c->status_latched = true;
}

static void write_command(Pit *s, uint8_t v)
{
    unsigned n = v >> 6;

    if (n < 3) {
        if (bits_get(v, 4, 2) == RW_LATCH)
            latch_count(&s->channel[n]);
        else
            write_control(s, &s->channel[n], v);
        return;
    }
    for (n = 0; n < 3; n++) { /* read-back command; its COUNT and STATUS bits are active low */
        if (!(v & 2u << n))
            continue;
        if (!(v & 0x20))
            latch_count(&s->channel[n]);
        if (!(v & 0x10))
            latch_status(&s->channel[n]);
    }
}

static MemResult pit_write(void *o, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Pit *s = o;
    uint8_t v = value;

    TRACE(i8254_write, "port %u value 0x%x", (unsigned)at, v);
    if (at == 3) {
        write_command(s, v);
        return MEM_OK;
    }
    PitChannel *c = &s->channel[at];
    if (c->rw == RW_LSB) {
        load_count(s, c, v);
    } else if (c->rw == RW_MSB) {
        load_count(s, c, v << 8);
    } else if (!c->write_msb) {
        c->write_low = v;
        c->write_msb = true;
        if (c->mode == 0) { /* "writing the first byte disables counting, OUT is set low" */
            c->count = 0;
            c->running = false;
            channel_changed(s, c);
        }
    } else {
        c->write_msb = false;
        load_count(s, c, v << 8 | c->write_low);
    }
    return MEM_OK;
}

static uint8_t read_channel(PitChannel *c)
{
    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    uint16_t v = c->latched ? c->latch : count_at(c, elapsed(c, now_ns()));
    bool msb = c->rw == RW_MSB || (c->rw == RW_BOTH && c->read_msb);
    if (c->latched)
        c->latched--;
    if (c->rw == RW_BOTH)
        c->read_msb = !c->read_msb;
    return msb ? v >> 8 : v;
}

static MemResult pit_read(void *o, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Pit *s = o;
    *value = at == 3 ? 0xff : read_channel(&s->channel[at]); /* the control word cannot be read */
    return MEM_OK;
}

static const MemOps pit_ops = { .read = pit_read, .write = pit_write, .min_size = 1, .max_size = 1 };

void i8254_set_gate(Device *d, unsigned channel, bool level)
{
    Pit *s = (Pit *)d;
    PitChannel *c = &s->channel[channel];
    uint64_t now = now_ns(), counted = elapsed(c, now);
    bool rose = level && !c->gate;

    if (level == c->gate)
        return;
    c->gate = level;
    if (!c->count)
        return;
    if (c->mode == 1 || c->mode == 5) {
        if (rose) {
            c->triggered = true;
            restart(c, now);
        }
    } else if (is_periodic(c)) {
        if (rose)
            restart(c, now);
        c->running = level;
    } else if (rose) { /* modes 0 and 4: count on */
        c->start = now - MIN(ns_of(counted), now);
        c->running = true;
    } else {
        c->start = counted;
        c->running = false;
    }
    channel_changed(s, c);
}

bool i8254_out(Device *d, unsigned channel)
{
    PitChannel *c = &((Pit *)d)->channel[channel];
    return out_at(c, elapsed(c, now_ns()));
}

/* --- one that runs elsewhere --- */

static IrqchipPitChannel channel_image(const PitChannel *c)
{
    uint64_t now = now_ns();

    return (IrqchipPitChannel){ .count = c->next_count ? c->next_count : c->count,
                                .mode = c->mode,
                                .rw = c->rw,
                                .latched = c->latched,
                                .status = c->status,
                                .write_low = c->write_low,
                                .bcd = c->bcd,
                                .gate = c->gate,
                                .read_msb = c->read_msb,
                                .write_msb = c->write_msb,
                                .status_latched = c->status_latched,
                                .latch = c->latch,
                                .age_ns = !c->running      ? ns_of(c->start)
                                          : now > c->start ? now - c->start
                                                           : 0 };
}

static void export_state(const Pit *s)
{
    IrqchipPit image = { 0 };

    if (!host())
        return;
    for (unsigned i = 0; i < 3; i++)
        image.channel[i] = channel_image(&s->channel[i]);
    host()->pit_put(&image);
}

static void channel_from(PitChannel *c, const IrqchipPitChannel *g, uint64_t now)
{
    uint64_t age = MIN(g->age_ns, now);

    *c = (PitChannel){ .count = g->count,
                       .mode = g->mode,
                       .rw = g->rw & 3,
                       .bcd = g->bcd,
                       .gate = g->gate,
                       .running = g->count && g->gate,
                       .triggered = g->count && (g->mode == 1 || g->mode == 5),
                       .write_low = g->write_low,
                       .write_msb = g->write_msb,
                       .read_msb = g->read_msb,
                       .latched = g->latched,
                       .latch = g->latch,
                       .status_latched = g->status_latched,
                       .status = g->status };
    if (is_periodic(c) && c->count && age == now) /* longer than the clock runs: the phase counts */
        age = g->age_ns % ns_of(c->count);
    c->start = c->running ? now - MIN(age, now) : c->count && !is_periodic(c) ? clocks_of(age) : 0;
}

static void pit_saving(Device *d)
{
    Pit *s = (Pit *)d;
    IrqchipPit image = { 0 };

    if (!host())
        return;
    host()->pit_get(&image);
    for (unsigned i = 0; i < 3; i++)
        channel_from(&s->channel[i], &image.channel[i], now_ns());
    schedule(s);
}

static bool pit_start(Device *d, Error **errp)
{
    Pit *s = (Pit *)d;

    if (host() && !host()->pit_new(errp))
        return false;

    s->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, fired, s);
    isa_io_new(d, "pit", s->iobase, 4, &pit_ops);
    return isa_connect_irq(d, 0, 0, errp);
}

static void pit_reset(Device *d, ResetPhase phase)
{
    Pit *s = (Pit *)d;

    if (phase == RESET_ENTER) {
        timer_cancel(s->timer);
        for (unsigned i = 0; i < 3; i++)
            s->channel[i] = (PitChannel){ .mode = 3, .rw = RW_BOTH, .gate = i != 2 };
        export_state(s);
    } else if (phase == RESET_HOLD) {
        device_out(d, 0, 0); /* undefined until programmed; low makes no edge */
    }
}

static bool pit_loaded(Device *d, Error **errp)
{
    Pit *s = (Pit *)d;

    for (unsigned i = 0; i < 3; i++) {
        PitChannel *c = &s->channel[i];
        if (c->mode > 5 || c->rw > RW_BOTH || c->count > 65536 || c->next_count > 65536 || c->latched > 2 ||
            (c->running && !c->count)) {
            error_setf(errp, "device '%s': saved state of counter %u is damaged", d->id, i);
            return false;
        }
    }
    export_state(s);
    return true;
}

static void pit_stop(Device *d)
{
    Pit *s = (Pit *)d;

    if (s->timer)
        timer_free(s->timer);
    s->timer = NULL;
}

static void pit_info(Device *d, GString *out)
{
    Pit *s = (Pit *)d;

    for (unsigned i = 0; i < 3; i++) {
        PitChannel *c = &s->channel[i];
        g_string_append_printf(out, "counter %u: mode %u count %u%s gate %u out %u\n", i, c->mode, c->count,
                               c->bcd ? " bcd" : "", c->gate, out_at(c, elapsed(c, now_ns())));
    }
}

static const Property props[] = {
    DEFINE_PROP_U16("iobase", Pit, iobase, 0x40, "first of four I/O ports"),
    DEFINE_PROP_END,
};
static const StateField state[] = {
    STATE_STRUCT_ARRAY(Pit, channel, channel_state), STATE_TIMER(Pit, timer), STATE_END_OF_TABLE,
};
static const char *const out_pins[] = { "irq", NULL };

static const DeviceType pit_type = {
    .name = "isa-pit", .desc = "8254 interval timer", .category = "Misc", .size = sizeof(Pit), .bus = "isa",
    .props = props, .state = state, .out_pins = out_pins, .start = pit_start, .reset = pit_reset, .saving = pit_saving,
    .loaded = pit_loaded, .stop = pit_stop, .info = pit_info,
};
DEVICE_REGISTER(pit_type)

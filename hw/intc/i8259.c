/* SPDX-License-Identifier: MIT */
/*
 * The pair of 8259A interrupt controllers of a PC, with the edge/level control registers of the south bridges.
 * Sources: Intel 8259A data sheet (231468-003); Intel ICH9 data sheet 316972, sections 5.8 and 13.4 (PIC and ELCR
 * registers). As in those south bridges, ICW1's LTIM bit has no effect: ELCR decides for each line.
 */
#include "hw/intc/i8259.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/trace.h"
#include "hw/core/cpu-port.h"
#include "hw/core/irqchip-host.h"
#include "hw/isa/isa.h"

enum { MASTER, SLAVE, CASCADE_LINE = 2 };
enum { INIT_DONE, INIT_ICW2, INIT_ICW3, INIT_ICW4 };
enum { ICW1_IC4 = 1, ICW1_SNGL = 2, ICW1_INIT = 0x10, ICW4_AEOI = 2, ICW4_SFNM = 0x10 };
enum { OCW3 = 8, OCW3_RIS = 1, OCW3_RR = 2, OCW3_POLL = 4, OCW3_SMM = 0x20, OCW3_ESMM = 0x40 };
static const uint8_t elcr_writable[2] = { 0xf8, 0xde };

typedef struct Pic {
    uint8_t irr, imr, isr;
    uint8_t lines;   /* present input levels */
    uint8_t elcr;
    uint8_t vector;  /* ICW2 */
    uint8_t highest; /* line that has the highest priority now */
    uint8_t init;    /* INIT_*: the initialisation word that is due */
    bool single, need_icw4, auto_eoi, rotate_aeoi, special_nested, special_mask, read_isr, poll;
} Pic;

static const StateField pic_state[] = {
    STATE_U8(Pic, irr), STATE_U8(Pic, imr), STATE_U8(Pic, isr), STATE_U8(Pic, lines), STATE_U8(Pic, elcr),
    STATE_U8(Pic, vector), STATE_U8(Pic, highest), STATE_U8(Pic, init), STATE_BOOL(Pic, single),
    STATE_BOOL(Pic, need_icw4), STATE_BOOL(Pic, auto_eoi), STATE_BOOL(Pic, rotate_aeoi),
    STATE_BOOL(Pic, special_nested), STATE_BOOL(Pic, special_mask), STATE_BOOL(Pic, read_isr), STATE_BOOL(Pic, poll),
    STATE_END_OF_TABLE,
};

typedef struct I8259 {
    Device dev;
    Pic pic[2];
    uint32_t intr; /* level of the output; read without the lock */
} I8259;

static const StateField i8259_state[] = {
    STATE_STRUCT_ARRAY(I8259, pic, pic_state), STATE_U32(I8259, intr), STATE_END_OF_TABLE,
};

/* Position of the first set bit in priority order, 0 = highest; 8: none. */
static unsigned top_priority(const Pic *p, uint8_t bits)
{
    unsigned rotated = ((unsigned)bits << 8 | bits) >> p->highest & 0xff;
    return rotated ? (unsigned)__builtin_ctz(rotated) : 8;
}

static unsigned line_at(const Pic *p, unsigned priority)
{
    return (priority + p->highest) & 7;
}

/* The line whose request passes mask and in-service priority, or -1. */
static int request(const Pic *p, bool master)
{
    unsigned wanted = top_priority(p, p->irr & ~p->imr);
    uint8_t blocking = p->isr;

    if (wanted == 8)
        return -1;
    if (p->special_mask)
        blocking &= ~p->imr;
    if (p->special_nested && master)
        blocking &= ~BIT(CASCADE_LINE);
    return wanted < top_priority(p, blocking) ? (int)line_at(p, wanted) : -1;
}

static void set_line(Pic *p, unsigned line, bool level)
{
    uint8_t bit = 1u << line;
    bool was = p->lines & bit;

    p->lines = level ? p->lines | bit : p->lines & ~bit;
    if (p->elcr & bit)
        p->irr = level ? p->irr | bit : p->irr & ~bit;
    else if (level && !was)
        p->irr |= bit;
}

static void update(I8259 *s)
{
    bool slave = request(&s->pic[SLAVE], false) >= 0;
    Pic *m = &s->pic[MASTER];

    /* The cascade input works like a level: it falls when the slave has nothing left. */
    m->irr = slave ? m->irr | BIT(CASCADE_LINE) : m->irr & ~BIT(CASCADE_LINE);
    bool intr = request(m, true) >= 0;
    if (intr != s->intr) {
        __atomic_store_n(&s->intr, intr, __ATOMIC_SEQ_CST);
        device_out(&s->dev, 0, intr);
    }
}

static void take(Pic *p, unsigned line)
{
    uint8_t bit = 1u << line;

    if (!(p->elcr & bit))
        p->irr &= ~bit;
    if (!p->auto_eoi)
        p->isr |= bit;
    else if (p->rotate_aeoi)
        p->highest = (line + 1) & 7;
}

int i8259_acknowledge(Device *d)
{
    I8259 *s = (I8259 *)d;
    unsigned which = MASTER;

    lock_domain_lock(d->domain);
    int line = request(&s->pic[MASTER], true);
    if (line >= 0)
        take(&s->pic[MASTER], line);
    if (line == CASCADE_LINE) {
        which = SLAVE;
        line = request(&s->pic[SLAVE], false);
        if (line >= 0)
            take(&s->pic[SLAVE], line);
    }
    update(s);
    int vector = s->pic[which].vector + (line >= 0 ? line : 7); /* 7: spurious, nothing in service */
    lock_domain_unlock(d->domain);
    TRACE(i8259_acknowledge, "line %d vector 0x%x", line < 0 ? line : line + 8 * (int)which, vector);
    return vector;
}

/* --- one that runs elsewhere --- */

static void export_state(const I8259 *s)
{
    const IrqchipHost *h = irqchip_host();
    IrqchipPic image[2];

    if (!h || !h->pic_put)
        return;
    for (unsigned i = 0; i < 2; i++) {
        const Pic *p = &s->pic[i];
        image[i] = (IrqchipPic){ .irr = p->irr,
                                 .imr = p->imr,
                                 .isr = p->isr,
                                 .lines = p->lines,
                                 .elcr = p->elcr,
                                 .vector = p->vector,
                                 .highest = p->highest,
                                 .init = p->init,
                                 .need_icw4 = p->need_icw4,
                                 .auto_eoi = p->auto_eoi,
                                 .rotate_aeoi = p->rotate_aeoi,
                                 .special_nested = p->special_nested,
                                 .special_mask = p->special_mask,
                                 .read_isr = p->read_isr,
                                 .poll = p->poll };
    }
    image[MASTER].lines |= image[MASTER].irr & BIT(CASCADE_LINE);
    h->pic_put(image);
}

static void i8259_saving(Device *d)
{
    I8259 *s = (I8259 *)d;
    const IrqchipHost *h = irqchip_host();
    IrqchipPic image[2] = { 0 };

    if (!h || !h->pic_get)
        return;
    h->pic_get(image);
    image[MASTER].lines &= (uint8_t)~BIT(CASCADE_LINE);
    for (unsigned i = 0; i < 2; i++) {
        const IrqchipPic *g = &image[i];
        s->pic[i] = (Pic){ .irr = g->irr,
                           .imr = g->imr,
                           .isr = g->isr,
                           .lines = g->lines,
                           .elcr = g->elcr & elcr_writable[i],
                           .vector = g->vector & 0xf8,
                           .highest = g->highest & 7,
                           .init = g->init & 3,
                           .single = s->pic[i].single,
                           .need_icw4 = g->need_icw4,
                           .auto_eoi = g->auto_eoi,
                           .rotate_aeoi = g->rotate_aeoi,
                           .special_nested = g->special_nested,
                           .special_mask = g->special_mask,
                           .read_isr = g->read_isr,
                           .poll = g->poll };
    }
    s->intr = request(&s->pic[MASTER], true) >= 0;
}

bool i8259_pending(Device *d)
{
    i8259_saving(d);
    return __atomic_load_n(&((I8259 *)d)->intr, __ATOMIC_SEQ_CST);
}

static void i8259_input(Device *d, unsigned pin, int level)
{
    I8259 *s = (I8259 *)d;

    if (pin == CASCADE_LINE)
        return;
    lock_domain_lock(d->domain);
    set_line(&s->pic[pin >> 3], pin & 7, level);
    update(s);
    lock_domain_unlock(d->domain);
}

static void write_icw1(Pic *p, uint8_t v)
{
    /* Data sheet, "Initialization Command Words": mask and in-service clear, edge sense restarts, IR7 lowest. */
    p->irr &= p->elcr;
    p->imr = p->isr = p->highest = 0;
    p->rotate_aeoi = p->special_mask = p->read_isr = p->poll = p->auto_eoi = p->special_nested = false;
    p->single = v & ICW1_SNGL;
    p->need_icw4 = v & ICW1_IC4;
    p->init = INIT_ICW2;
}

static void write_ocw2(Pic *p, uint8_t v)
{
    unsigned line = v & 7;
    /* A non-specific EOI passes over masked levels in special mask mode. */
    unsigned top = top_priority(p, p->special_mask ? p->isr & ~p->imr : p->isr);
    enum { ROTATE = 4, SPECIFIC = 2, EOI = 1 };
    unsigned command = v >> 5;

    if (!(command & SPECIFIC)) {
        if (!(command & EOI)) {
            p->rotate_aeoi = command & ROTATE;
            return;
        }
        if (top == 8)
            return;
        line = line_at(p, top);
    }
    if (command & EOI)
        p->isr &= ~(1u << line);
    if (command & ROTATE)
        p->highest = (line + 1) & 7;
}

static void write_ocw3(Pic *p, uint8_t v)
{
    if (v & OCW3_ESMM)
        p->special_mask = v & OCW3_SMM;
    if (v & OCW3_POLL)
        p->poll = true;
    else if (v & OCW3_RR)
        p->read_isr = v & OCW3_RIS;
}

static void write_data(Pic *p, uint8_t v)
{
    switch (p->init) {
    case INIT_ICW2:
        p->vector = v & 0xf8;
        p->init = !p->single ? INIT_ICW3 : p->need_icw4 ? INIT_ICW4 : INIT_DONE;
        break;
    case INIT_ICW3: /* the cascade is wired, whatever ICW3 says */
        p->init = p->need_icw4 ? INIT_ICW4 : INIT_DONE;
        break;
    case INIT_ICW4:
        p->auto_eoi = v & ICW4_AEOI;
        p->special_nested = v & ICW4_SFNM;
        p->init = INIT_DONE;
        break;
    default:
        p->imr = v;
    }
}

static MemResult pic_write(I8259 *s, unsigned which, hwaddr at, uint64_t value)
{
    Pic *p = &s->pic[which];
    uint8_t v = value;

    TRACE(i8259_write, "pic %u port %u value 0x%x", which, (unsigned)at, v);
    if (at & 1)
        write_data(p, v);
    else if (v & ICW1_INIT)
        write_icw1(p, v);
    else if (v & OCW3)
        write_ocw3(p, v);
    else
        write_ocw2(p, v);
    update(s);
    return MEM_OK;
}

/* A poll read acts as INTA: bit 7 = a request was there, bits 2:0 the line. */
static uint8_t poll_read(I8259 *s, unsigned which)
{
    Pic *p = &s->pic[which];
    int line = request(p, which == MASTER);

    p->poll = false;
    if (line < 0)
        return 0;
    take(p, line);
    update(s);
    return 0x80 | line;
}

static MemResult pic_read(I8259 *s, unsigned which, hwaddr at, uint64_t *value)
{
    const Pic *p = &s->pic[which];

    if (p->poll)
        *value = poll_read(s, which);
    else if (at & 1)
        *value = p->imr;
    else
        *value = p->read_isr ? p->isr : p->irr;
    return MEM_OK;
}

static MemResult master_read(void *o, hwaddr at, unsigned size, uint64_t *v, MemAttrs attrs)
{
    return pic_read(o, MASTER, at, v);
}
static MemResult master_write(void *o, hwaddr at, unsigned size, uint64_t v, MemAttrs attrs)
{
    return pic_write(o, MASTER, at, v);
}
static MemResult slave_read(void *o, hwaddr at, unsigned size, uint64_t *v, MemAttrs attrs)
{
    return pic_read(o, SLAVE, at, v);
}
static MemResult slave_write(void *o, hwaddr at, unsigned size, uint64_t v, MemAttrs attrs)
{
    return pic_write(o, SLAVE, at, v);
}

static MemResult elcr_read(void *o, hwaddr at, unsigned size, uint64_t *v, MemAttrs attrs)
{
    *v = ((I8259 *)o)->pic[at & 1].elcr;
    return MEM_OK;
}

static MemResult elcr_write(void *o, hwaddr at, unsigned size, uint64_t v, MemAttrs attrs)
{
    I8259 *s = o;
    Pic *p = &s->pic[at & 1];

    p->elcr = v & elcr_writable[at & 1];
    p->irr = (p->irr & ~p->elcr) | (p->lines & p->elcr);
    update(s);
    return MEM_OK;
}

static const MemOps master_ops = { .read = master_read, .write = master_write, .min_size = 1, .max_size = 1 };
static const MemOps slave_ops = { .read = slave_read, .write = slave_write, .min_size = 1, .max_size = 1 };
static const MemOps elcr_ops = { .read = elcr_read, .write = elcr_write, .min_size = 1, .max_size = 1 };

static void i8259_init(Device *d)
{
    device_own_domain(d, "i8259");
}

static bool i8259_start(Device *d, Error **errp)
{
    isa_io_new(d, "pic-master", 0x20, 2, &master_ops);
    isa_io_new(d, "pic-slave", 0xa0, 2, &slave_ops);
    isa_io_new(d, "pic-elcr", 0x4d0, 2, &elcr_ops);
    return true;
}

static void i8259_reset(Device *d, ResetPhase phase)
{
    I8259 *s = (I8259 *)d;

    if (phase == RESET_ENTER) {
        memset(s->pic, 0, sizeof(s->pic));
        __atomic_store_n(&s->intr, 0, __ATOMIC_SEQ_CST);
        export_state(s);
    } else if (phase == RESET_HOLD) {
        device_out(d, 0, 0);
    }
}

static bool i8259_loaded(Device *d, Error **errp)
{
    I8259 *s = (I8259 *)d;

    for (unsigned i = 0; i < 2; i++) {
        Pic *p = &s->pic[i];
        p->highest &= 7;
        p->init &= 3;
        p->vector &= 0xf8;
        p->elcr &= elcr_writable[i];
    }
    s->intr = !!s->intr;
    export_state(s);
    return true;
}

static void i8259_info(Device *d, GString *out)
{
    I8259 *s = (I8259 *)d;

    i8259_saving(d);
    for (unsigned i = 0; i < 2; i++) {
        const Pic *p = &s->pic[i];
        g_string_append_printf(out,
                               "pic%u: irr=%02x imr=%02x isr=%02x hprio=%u irq_base=%02x rr_sel=%u elcr=%02x fnm=%u\n",
                               i, p->irr, p->imr, p->isr, p->highest, p->vector, p->read_isr, p->elcr,
                               p->special_nested);
    }
}

static const char *const in_pins[] = { "irq*16", NULL };
static const char *const out_pins[] = { "intr", NULL };

static const DeviceType i8259_type = {
    .name = "isa-i8259", .desc = "8259A interrupt controller pair", .category = "Misc", .size = sizeof(I8259),
    .bus = "isa", .state = i8259_state, .in_pins = in_pins, .out_pins = out_pins, .init = i8259_init,
    .start = i8259_start, .reset = i8259_reset, .input = i8259_input, .saving = i8259_saving, .loaded = i8259_loaded,
    .info = i8259_info,
};
DEVICE_REGISTER(i8259_type)

static int cpu_acknowledge(void *intc)
{
    return i8259_pending(intc) ? i8259_acknowledge(intc) : -1;
}

static bool cpu_pending(void *intc)
{
    return i8259_pending(intc);
}

static const CpuIntcOps cpu_ops = { .acknowledge = cpu_acknowledge, .pending = cpu_pending };

static void cpu_intr(void *opaque, int n, int level)
{
    CpuPort *port = opaque;
    port->ops->set_line(port, CPU_LINE_INTR, level);
}

void i8259_attach_cpu(Device *pic, CpuPort *port)
{
    port->intc_ops = &cpu_ops;
    port->intc = pic;
    device_connect(pic, "intr", 0, (Irq){ .set = cpu_intr, .opaque = port });
}

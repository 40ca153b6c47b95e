/* SPDX-License-Identifier: MIT */
/*
 * LPT1 to LPT3: a parallel port with a printer that is always ready; what is strobed out goes to a character back end.
 * Source: IEEE 1284-1994, compatibility mode; IBM PC/AT Technical Reference, parallel printer adapter.
 */
#include "base/bits.h"
#include "chardev/chardev.h"
#include "hw/isa/isa.h"

enum { R_DATA, R_STATUS, R_CONTROL };
/* Not busy (inverted), no acknowledge pulse, selected, no error. Bit 2 low: interrupt pending. */
enum { STATUS_BUSY_N = 0x80, STATUS_ACK_N = 0x40, STATUS_SELECT = 0x10, STATUS_ERROR_N = 0x08, STATUS_FIXED = 0x07 };
enum { CONTROL_STROBE = 0x01, CONTROL_INIT_N = 0x04, CONTROL_SELECT = 0x08, CONTROL_IRQ = 0x10, CONTROL_INPUT = 0x20,
       CONTROL_FIXED = 0xc0 };
#define UNSET UINT32_MAX

typedef struct IsaParallel {
    Device dev;
    uint32_t index, iobase, irq;
    Chardev *chardev;
    bool attached;
    uint8_t data, control;
} IsaParallel;

static const uint16_t ports[] = { 0x378, 0x278, 0x3bc };
static const DeviceType parallel_type;

static MemResult parallel_read(void *o, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    const IsaParallel *s = o;

    switch (at) {
    case R_DATA:
        *value = s->control & CONTROL_INPUT ? 0xff : s->data;
        break;
    case R_STATUS:
        *value = STATUS_BUSY_N | STATUS_ACK_N | STATUS_SELECT | STATUS_ERROR_N | STATUS_FIXED;
        break;
    case R_CONTROL:
        *value = CONTROL_FIXED | s->control;
        break;
    default:
        *value = 0xff;
    }
    return MEM_OK;
}

/* The printer takes the byte at the strobe's leading edge and acknowledges it at once. */
static void write_control(IsaParallel *s, uint8_t v)
{
    bool strobe = v & ~s->control & CONTROL_STROBE;

    s->control = v & 0x3f;
    if (!strobe || !(v & CONTROL_INIT_N) || !(v & CONTROL_SELECT))
        return;
    if (s->chardev)
        chardev_write_all(s->chardev, &s->data, 1);
    if (v & CONTROL_IRQ)
        irq_pulse(&s->dev.out[0]);
}

static MemResult parallel_write(void *o, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    IsaParallel *s = o;

    if (at == R_DATA)
        s->data = value;
    else if (at == R_CONTROL)
        write_control(s, value);
    return MEM_OK;
}

static const MemOps parallel_ops = { .read = parallel_read, .write = parallel_write, .min_size = 1, .max_size = 1 };

static void mark_used(Device *d, void *used)
{
    if (d->type == &parallel_type && d->started && ((IsaParallel *)d)->index < ARRAY_LEN(ports))
        *(uint32_t *)used |= 1u << ((IsaParallel *)d)->index;
}

static bool parallel_start(Device *d, Error **errp)
{
    IsaParallel *s = (IsaParallel *)d;
    ChardevFrontend fe = { .domain = d->domain, .opaque = s };
    uint32_t used = 0;

    if (s->index == UNSET && s->iobase == UNSET) {
        device_foreach(mark_used, &used);
        s->index = __builtin_ctz(~used);
    }
    if (s->iobase == UNSET && s->index >= ARRAY_LEN(ports)) {
        error_setf(errp, "device '%s': LPT1 to LPT3 are taken; give iobase=", d->id);
        return false;
    }
    if (s->iobase == UNSET)
        s->iobase = ports[s->index];
    if (s->chardev && !chardev_attach(s->chardev, &fe, errp))
        return false;
    s->attached = s->chardev;
    isa_io_new(d, "parallel", s->iobase, 4, &parallel_ops);
    return isa_connect_irq(d, 0, s->irq, errp);
}

static void parallel_reset(Device *d, ResetPhase phase)
{
    IsaParallel *s = (IsaParallel *)d;

    if (phase == RESET_ENTER) {
        s->data = 0;
        s->control = CONTROL_INIT_N | CONTROL_SELECT;
    } else if (phase == RESET_HOLD) {
        device_out(d, 0, 0);
    }
}

static bool parallel_loaded(Device *d, Error **errp)
{
    ((IsaParallel *)d)->control &= 0x3f;
    return true;
}

static void parallel_stop(Device *d)
{
    IsaParallel *s = (IsaParallel *)d;

    if (s->attached)
        chardev_detach(s->chardev, s);
    s->attached = false;
}

static const Property props[] = {
    DEFINE_PROP_U32("index", IsaParallel, index, UNSET, "0 to 2: LPT1 to LPT3; default: the first free one"),
    DEFINE_PROP_U32("iobase", IsaParallel, iobase, UNSET, "first of four I/O ports; default: of the index"),
    DEFINE_PROP_U32("irq", IsaParallel, irq, 7, "interrupt line"),
    DEFINE_PROP_CHARDEV("chardev", IsaParallel, chardev),
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_U8(IsaParallel, data), STATE_U8(IsaParallel, control), STATE_END_OF_TABLE };
static const char *const out_pins[] = { "irq", NULL };

static const DeviceType parallel_type = {
    .name = "isa-parallel", .desc = "Parallel port", .category = "Input", .size = sizeof(IsaParallel), .bus = "isa",
    .user_creatable = true, .props = props, .state = state, .out_pins = out_pins, .start = parallel_start,
    .reset = parallel_reset, .loaded = parallel_loaded, .stop = parallel_stop,
};
DEVICE_REGISTER(parallel_type)

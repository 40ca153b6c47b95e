/* SPDX-License-Identifier: MIT */
/* COM1 to COM4: a 16550A UART on the ISA bus. */
#include "base/bits.h"
#include "hw/char/serial.h"
#include "hw/isa/isa.h"

#define UNSET UINT32_MAX
#define BAUDBASE 115200 /* 1.8432 MHz / 16 */

typedef struct IsaSerial {
    Device dev;
    uint32_t index, iobase, irq;
    Chardev *chardev;
    Serial serial;
} IsaSerial;

static const struct {
    uint16_t iobase;
    uint8_t irq;
} ports[] = { { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 } };

static const DeviceType isa_serial_type;

static void mark_used(Device *d, void *used)
{
    if (d->type == &isa_serial_type && d->started && ((IsaSerial *)d)->index < ARRAY_LEN(ports))
        *(uint32_t *)used |= 1u << ((IsaSerial *)d)->index;
}

/* Without an index the first free port; iobase and irq follow from it unless given. */
static bool choose_port(IsaSerial *s, Error **errp)
{
    uint32_t used = 0;

    if (s->index == UNSET && s->iobase == UNSET) {
        device_foreach(mark_used, &used);
        s->index = __builtin_ctz(~used);
    }
    if (s->index >= ARRAY_LEN(ports) && (s->iobase == UNSET || s->irq == UNSET)) {
        error_setf(errp, "device '%s': COM1 to COM4 are taken; give iobase= and irq=", s->dev.id);
        return false;
    }
    if (s->iobase == UNSET)
        s->iobase = ports[s->index].iobase;
    if (s->irq == UNSET)
        s->irq = ports[s->index].irq;
    return true;
}

static bool isa_serial_start(Device *d, Error **errp)
{
    IsaSerial *s = (IsaSerial *)d;

    if (!choose_port(s, errp) || !isa_connect_irq(d, 0, s->irq, errp) ||
        !serial_start(&s->serial, d, d->out[0], s->chardev, BAUDBASE, errp))
        return false;
    d->region[0] = mem_io_new("serial", 8, &serial_ops, &s->serial, d->domain);
    isa_register_ioport(d, d->region[0], s->iobase);
    return true;
}

static void isa_serial_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        serial_reset(&((IsaSerial *)d)->serial);
    else if (phase == RESET_HOLD)
        device_out(d, 0, 0);
}

static bool isa_serial_loaded(Device *d, Error **errp)
{
    return serial_loaded(&((IsaSerial *)d)->serial, errp);
}

static void isa_serial_stop(Device *d)
{
    serial_stop(&((IsaSerial *)d)->serial);
}

static const Property props[] = {
    DEFINE_PROP_U32("index", IsaSerial, index, UNSET, "0 to 3: COM1 to COM4; default: the first free one"),
    PROP_(PROP_U32, "iobase", IsaSerial, iobase, UNSET, "first of eight I/O ports; default: of the index"),
    DEFINE_PROP_U32("irq", IsaSerial, irq, UNSET, "interrupt line; default: of the index"),
    DEFINE_PROP_CHARDEV("chardev", IsaSerial, chardev),
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_STRUCT(IsaSerial, serial, serial_state), STATE_END_OF_TABLE };
static const char *const out_pins[] = { "irq", NULL };

static const DeviceType isa_serial_type = {
    .name = "isa-serial", .desc = "16550A serial port", .category = "Input", .size = sizeof(IsaSerial), .bus = "isa",
    .user_creatable = true, .props = props, .state = state, .out_pins = out_pins, .start = isa_serial_start,
    .reset = isa_serial_reset, .loaded = isa_serial_loaded, .stop = isa_serial_stop,
};
DEVICE_REGISTER(isa_serial_type)

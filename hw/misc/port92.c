/* SPDX-License-Identifier: MIT */
/* Port 92h: fast A20 gate and fast reset. Source: ICH9 data sheet 316972, section 13.7.3. */
#include "hw/core/machine.h"
#include "hw/isa/isa.h"

enum { INIT_NOW = 1, ALT_A20 = 2, WRITABLE = 0x03 };

typedef struct Port92 {
    Device dev;
    uint8_t value;
} Port92;

static MemResult port92_read(void *o, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = ((Port92 *)o)->value;
    return MEM_OK;
}

static MemResult port92_write(void *o, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Port92 *s = o;
    uint8_t rose = value & ~s->value;

    s->value = value & WRITABLE;
    device_out(&s->dev, 0, !!(value & ALT_A20));
    if (rose & INIT_NOW)
        machine_request_reset(CAUSE_GUEST_RESET);
    return MEM_OK;
}

static const MemOps port92_ops = { .read = port92_read, .write = port92_write, .min_size = 1, .max_size = 1 };

static bool port92_start(Device *d, Error **errp)
{
    isa_io_new(d, "port92", 0x92, 1, &port92_ops);
    return true;
}

/* The gate itself is opened by the keyboard controller's reset. */
static void port92_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        ((Port92 *)d)->value = 0;
}

static bool port92_loaded(Device *d, Error **errp)
{
    ((Port92 *)d)->value &= WRITABLE;
    return true;
}

static const StateField state[] = { STATE_U8(Port92, value), STATE_END_OF_TABLE };
static const char *const out_pins[] = { "a20", NULL };

static const DeviceType port92_type = {
    .name = "port92", .desc = "Fast A20 gate and reset port", .category = "Misc", .size = sizeof(Port92), .bus = "isa",
    .state = state, .out_pins = out_pins, .start = port92_start, .reset = port92_reset, .loaded = port92_loaded,
};
DEVICE_REGISTER(port92_type)

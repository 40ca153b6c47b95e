/* SPDX-License-Identifier: MIT */
/* Generic event device: an event selector with an interrupt, and the sleep and reset registers. */
#include "hw/acpi/ged.h"

#include "base/bits.h"
#include "base/log.h"
#include "hw/core/machine.h"

enum { SLP_EN = 0x20, SLP_TYP_SHIFT = 2 };

typedef struct Ged {
    Device dev;
    uint32_t selector;
    uint8_t sleep_ctl, sleep_sts, reset;
} Ged;

static void update_irq(Ged *g)
{
    device_out(&g->dev, 0, g->selector != 0);
}

/* Reading takes the events. */
static uint64_t selector_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Ged *g = (Ged *)d;

    g->selector = 0;
    update_irq(g);
    return stored;
}

static void sleep_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    if (!(value & SLP_EN))
        return;
    if (bits_get(value, SLP_TYP_SHIFT, 3) == GED_SLEEP_S5)
        machine_request_shutdown(CAUSE_GUEST_SHUTDOWN);
    else
        log_guest_error(d->id, "sleep type %u is not supported", (unsigned)bits_get(value, SLP_TYP_SHIFT, 3));
}

static void reset_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    if (value == GED_RESET_VALUE)
        machine_request_reset(CAUSE_GUEST_RESET);
}

static const Reg regs[] = {
    { .name = "SELECTOR", .at = GED_SELECTOR, .size = 4, .field = offsetof(Ged, selector), .access = REG_RO, .read = selector_read },
    { .name = "SLEEP_CTL", .at = GED_SLEEP_CTL, .size = 1, .field = offsetof(Ged, sleep_ctl), .ro = 0xe3, .wrote = sleep_wrote },
    { .name = "SLEEP_STS", .at = GED_SLEEP_STS, .size = 1, .field = offsetof(Ged, sleep_sts), .w1c = 0x80, .ro = 0x7f },
    { .name = "RESET", .at = GED_RESET, .size = 1, .field = offsetof(Ged, reset), .ro = 0xff, .wrote = reset_wrote },
    { .name = NULL },
};
static const RegBank bank = { .name = "GED", .size = GED_SIZE, .regs = regs, .min_size = 1, .max_size = 4 };
static const RegBank *const banks[] = { &bank, NULL };

void ged_power_button(Device *ged)
{
    Ged *g = (Ged *)ged;

    lock_domain_lock(ged->domain);
    g->selector |= GED_EVENT_POWER_BUTTON;
    update_irq(g);
    lock_domain_unlock(ged->domain);
}

static void ged_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_HOLD)
        update_irq((Ged *)d);
}

static bool ged_loaded(Device *d, Error **errp)
{
    update_irq((Ged *)d);
    return true;
}

static const char *const pins[] = { "irq", NULL };

static const DeviceType ged_type = {
    .name = "acpi-ged", .desc = "ACPI generic event device", .category = "Misc", .size = sizeof(Ged), .banks = banks,
    .out_pins = pins, .reset = ged_reset, .loaded = ged_loaded,
};
DEVICE_REGISTER(ged_type)

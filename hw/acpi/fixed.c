/* SPDX-License-Identifier: MIT */
/*
 * "acpi-pm": ACPI fixed hardware without a chipset around it: PM1, PM timer and a reset register, always in ACPI mode.
 */
#include "base/bits.h"
#include "hw/acpi/fixed.h"
#include "hw/core/machine.h"

typedef struct AcpiFixed {
    Device dev;
    AcpiPm pm;
    uint8_t reset;
} AcpiFixed;

static void set_sci(Device *d, bool level)
{
    device_out(d, 0, level);
}

static void reset_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    if (value == ACPI_FIXED_RESET_VALUE)
        machine_request_reset(CAUSE_GUEST_RESET);
}

static const Reg regs[] = {
    ACPI_PM_ROWS(AcpiFixed, pm),
    { .name = "RESET", .at = ACPI_FIXED_RESET, .size = 1, .field = offsetof(AcpiFixed, reset),
        .ro = 0xff, .wrote = reset_wrote },
    { .name = NULL },
};
static const RegBank bank = { .name = "PM", .size = ACPI_FIXED_SIZE, .regs = regs, .min_size = 1,
                              .max_size = 4, .io_space = true };
static const RegBank *const banks[] = { &bank, NULL };

static bool fixed_start(Device *d, Error **errp)
{
    acpi_pm_start(&((AcpiFixed *)d)->pm, d, set_sci);
    return true;
}

static void fixed_reset(Device *d, ResetPhase phase)
{
    AcpiPm *pm = &((AcpiFixed *)d)->pm;

    if (phase == RESET_ENTER)
        pm->pm1_cnt = ACPI_PM1_SCI_EN;
    acpi_pm_reset(pm, phase);
}

static bool fixed_loaded(Device *d, Error **errp)
{
    acpi_pm_loaded(&((AcpiFixed *)d)->pm);
    return true;
}

static void fixed_stop(Device *d)
{
    acpi_pm_stop(&((AcpiFixed *)d)->pm);
}

AcpiPm *acpi_fixed_pm(Device *d) { return &((AcpiFixed *)d)->pm; }

static const Property props[] = {
    DEFINE_PROP_BOOL("disable_s3", AcpiFixed, pm.disable_s3, true, "no suspend to RAM"),
    DEFINE_PROP_BOOL("disable_s4", AcpiFixed, pm.disable_s4, true, "no suspend to disk"),
    DEFINE_PROP_END,
};
static const StateField state[] = { ACPI_PM_STATE(AcpiFixed, pm), STATE_END_OF_TABLE };
static const char *const pins[] = { "sci", NULL };

static const DeviceType fixed_type = {
    .name = "acpi-pm", .desc = "ACPI power management block", .category = "Misc",
    .size = sizeof(AcpiFixed), .banks = banks,
    .props = props, .state = state, .out_pins = pins, .start = fixed_start, .reset = fixed_reset,
    .loaded = fixed_loaded,
    .stop = fixed_stop,
};
DEVICE_REGISTER(fixed_type)

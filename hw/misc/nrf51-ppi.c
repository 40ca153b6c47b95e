/* SPDX-License-Identifier: MIT */
/*
 * PPI of the nRF51 (Reference Manual 3.0, chapter 16): events trigger tasks. Of the fixed channels those without the
 * radio are there.
 */
#include "base/log.h"
#include "hw/core/machine.h"
#include "hw/misc/nrf51.h"

enum { CHANNELS = 16, GROUPS = 4, MAX_DEPTH = 8 };

typedef struct NrfPpi {
    Device dev; /* always first */
    uint32_t chen, chg[GROUPS], end[2 * CHANNELS]; /* event and task of each channel */
    unsigned depth; /* of tasks that events of tasks trigger */
} NrfPpi;

/* RTC0 COMPARE0 to TIMER0 CLEAR and START. */
static const struct {
    uint8_t channel;
    uint32_t event, task;
} fixed[] = { { 30, 0x4000b140, 0x4000800c }, { 31, 0x4000b140, 0x40008000 } };

static void trigger(uint32_t task)
{
    if (machine_current())
        as_store(machine_current()->as_memory, task, 4, 1, MEM_ATTRS_DEVICE);
}

void nrf_ppi_event(Device *d, uint32_t event)
{
    NrfPpi *s = (NrfPpi *)d;
    if (s->depth == MAX_DEPTH) {
        log_guest_error(d->id, "tasks and events go round in a circle");
        return;
    }
    s->depth++;
    for (uint32_t on = s->chen & ((1u << CHANNELS) - 1); on; on &= on - 1) {
        unsigned n = (unsigned)__builtin_ctz(on);
        if (s->end[2 * n] == event && s->end[2 * n + 1])
            trigger(s->end[2 * n + 1]);
    }
    for (unsigned i = 0; i < ARRAY_LEN(fixed); i++) {
        if (s->chen >> fixed[i].channel & 1 && fixed[i].event == event)
            trigger(fixed[i].task);
    }
    s->depth--;
}

static uint64_t chen_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return ((NrfPpi *)d)->chen; }

static void wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    NrfPpi *s = (NrfPpi *)d;
    if (r->at == 0x504)
        s->chen |= (uint32_t)value;
    else if (r->at == 0x508)
        s->chen &= ~(uint32_t)value;
    else if (value & 1) /* CHG[n].EN and DIS */
        s->chen = i & 1 ? s->chen & ~s->chg[i / 2] : s->chen | s->chg[i / 2];
}

static const Reg regs[] = {
    { .name = "TASKS_CHG", .at = 0x000, .size = 4, .count = 2 * GROUPS, .field = REG_NO_FIELD, .wrote = wrote },
    { .name = "CHEN", .at = 0x500, .size = 4, .field = offsetof(NrfPpi, chen) },
    { .name = "CHENSET", .at = 0x504, .size = 4, .field = REG_NO_FIELD, .read = chen_read, .wrote = wrote },
    { .name = "CHENCLR", .at = 0x508, .size = 4, .field = REG_NO_FIELD, .read = chen_read, .wrote = wrote },
    { .name = "CH", .at = 0x510, .size = 4, .count = 2 * CHANNELS, .field = offsetof(NrfPpi, end) },
    { .name = "CHG", .at = 0x800, .size = 4, .count = GROUPS, .field = offsetof(NrfPpi, chg) },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs, .min_size = 4, .max_size = 4 };
static const RegBank *const banks[] = { &bank, NULL };
static const DeviceType nrf51_ppi_type = {
    .name = "nrf51-ppi",
    .desc = "nRF51 programmable peripheral interconnect",
    .category = "Misc",
    .size = sizeof(NrfPpi),
    .banks = banks,
};
DEVICE_REGISTER(nrf51_ppi_type)

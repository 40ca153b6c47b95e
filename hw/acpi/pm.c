/* SPDX-License-Identifier: MIT */
/* ACPI fixed hardware: PM1 blocks, the 24-bit PM timer, GPE0 and the SCI (ACPI 6.4 section 4.8). */
#include "base/bits.h"
#include "base/log.h"
#include "base/trace.h"
#include "hw/acpi/pm.h"
#include "hw/core/machine.h"

#define NS_PER_SEC INT64_C(1000000000)
#define TIMER_CARRY UINT64_C(0x800000) /* TMR_STS: bit 23 changes */

static uint64_t ticks_at(int64_t ns)
{
    return (uint64_t)((unsigned __int128)ns * ACPI_PM_TIMER_HZ / NS_PER_SEC);
}

static uint64_t next_carry_ns(void)
{
    uint64_t ticks = (ticks_at(clock_ns(CLOCK_VIRTUAL_NS)) / TIMER_CARRY + 1) * TIMER_CARRY;

    return (uint64_t)((unsigned __int128)ticks * NS_PER_SEC / ACPI_PM_TIMER_HZ) + 1;
}

static void refresh(AcpiPm *pm)
{
    if (clock_ns(CLOCK_VIRTUAL_NS) >= (int64_t)pm->overflow_ns)
        pm->pm1_sts |= ACPI_PM1_TMR;
}

void acpi_pm_update_sci(AcpiPm *pm)
{
    bool want;

    refresh(pm);
    want = (pm->pm1_sts & pm->pm1_en & ACPI_PM1_EN_MASK) || (pm->gpe_sts & pm->gpe_en);
    pm->set_sci(pm->owner, want && (pm->pm1_cnt & ACPI_PM1_SCI_EN));
    if ((pm->pm1_en & ACPI_PM1_TMR) && !(pm->pm1_sts & ACPI_PM1_TMR))
        timer_arm(pm->timer, (int64_t)pm->overflow_ns);
    else
        timer_cancel(pm->timer);
}

static void timer_fired(void *opaque)
{
    acpi_pm_update_sci(opaque);
}

void acpi_pm_start(AcpiPm *pm, Device *owner, void (*set_sci)(Device *owner, bool level))
{
    pm->owner = owner;
    pm->set_sci = set_sci;
    pm->timer = timer_new(CLOCK_VIRTUAL_NS, owner->domain, timer_fired, pm);
}

void acpi_pm_stop(AcpiPm *pm)
{
    g_clear_pointer(&pm->timer, timer_free);
}

void acpi_pm_reset(AcpiPm *pm, ResetPhase phase)
{
    if (phase == RESET_ENTER) {
        pm->overflow_ns = next_carry_ns();
    } else if (phase == RESET_HOLD) {
        if (pm->suspended)
            pm->pm1_sts |= ACPI_PM1_WAK;
        pm->suspended = false;
        acpi_pm_update_sci(pm);
    }
}

void acpi_pm_loaded(AcpiPm *pm)
{
    if (pm->overflow_ns > INT64_MAX)
        pm->overflow_ns = next_carry_ns();
    acpi_pm_update_sci(pm);
}

void acpi_pm_power_button(AcpiPm *pm)
{
    pm->pm1_sts |= ACPI_PM1_PWRBTN;
    acpi_pm_update_sci(pm);
}

void acpi_pm_set_acpi_mode(AcpiPm *pm, bool on)
{
    pm->pm1_cnt = on ? pm->pm1_cnt | ACPI_PM1_SCI_EN : pm->pm1_cnt & ~(uint32_t)ACPI_PM1_SCI_EN;
    acpi_pm_update_sci(pm);
}

static void sleep_now(AcpiPm *pm, unsigned type)
{
    TRACE(acpi_sleep, "SLP_TYP %u", type);
    if (type == ACPI_SLP_S5 || (type == ACPI_SLP_S4 && !pm->disable_s4)) {
        machine_request_shutdown(CAUSE_GUEST_SHUTDOWN);
    } else if (type == ACPI_SLP_S3 && !pm->disable_s3) {
        pm->suspended = true;
        if (pm->suspending)
            pm->suspending(pm->suspending_opaque);
        machine_request_suspend();
    } else {
        log_guest_error(pm->owner->id, "sleep type %u is not supported", type);
    }
}

/* ---- Register hooks: the row's storage field tells where the block is ---- */

#define PM_OF(d, r, member) ((AcpiPm *)((char *)(d) + (r)->field - offsetof(AcpiPm, member)))

uint64_t acpi_pm_sts_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    AcpiPm *pm = PM_OF(d, r, pm1_sts);

    refresh(pm);
    return pm->pm1_sts;
}

void acpi_pm_sts_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    AcpiPm *pm = PM_OF(d, r, pm1_sts);

    if (value & ACPI_PM1_TMR)
        pm->overflow_ns = next_carry_ns();
    acpi_pm_update_sci(pm);
}

void acpi_pm_en_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    acpi_pm_update_sci(PM_OF(d, r, pm1_en));
}

void acpi_pm_cnt_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    AcpiPm *pm = PM_OF(d, r, pm1_cnt);

    if (value & ACPI_PM1_SLP_EN)
        sleep_now(pm, (unsigned)bits_get(value, ACPI_PM1_SLP_TYP_SHIFT, 3));
    acpi_pm_update_sci(pm);
}

uint64_t acpi_pm_tmr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return ticks_at(clock_ns(CLOCK_VIRTUAL_NS)) & 0xffffff;
}

void acpi_pm_raise_gpe(AcpiPm *pm, unsigned gpe)
{
    if (pm->raise_gpe) {
        pm->raise_gpe(pm->owner, gpe);
        return;
    }
    pm->gpe_sts |= BIT(gpe);
    acpi_pm_update_sci(pm);
}

void acpi_pm_gpe_sts_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    acpi_pm_update_sci(PM_OF(d, r, gpe_sts));
}

void acpi_pm_gpe_en_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    acpi_pm_update_sci(PM_OF(d, r, gpe_en));
}

/* SPDX-License-Identifier: MIT */
/* The ACPI fixed hardware that chipsets share: PM1 event and control, PM timer, GPE0, SCI (ACPI 6.4 section 4.8). */
#ifndef HW_ACPI_PM_H
#define HW_ACPI_PM_H

#include "hw/core/device.h"

#define ACPI_PM_TIMER_HZ 3579545

enum {
    ACPI_PM1_TMR = 0x0001, ACPI_PM1_GBL = 0x0020, ACPI_PM1_PWRBTN = 0x0100, ACPI_PM1_RTC = 0x0400,
        ACPI_PM1_WAK = 0x8000,
    ACPI_PM1_EN_MASK = ACPI_PM1_TMR | ACPI_PM1_GBL | ACPI_PM1_PWRBTN | ACPI_PM1_RTC,
    ACPI_PM1_STS_MASK = ACPI_PM1_EN_MASK | ACPI_PM1_WAK,
    ACPI_PM1_SCI_EN = 0x0001, ACPI_PM1_SLP_TYP_SHIFT = 10, ACPI_PM1_SLP_EN = 0x2000,
};

/* SLP_TYP values, as the DSDT's \_Sx packages and "etc/system-states" announce them. */
enum { ACPI_SLP_S5 = 0, ACPI_SLP_S3 = 1, ACPI_SLP_S4 = 2 };

/* Written to the SMI command port to switch ACPI mode (FADT: ACPI_ENABLE, ACPI_DISABLE). */
enum { ACPI_APM_ENABLE = 2, ACPI_APM_DISABLE = 3 };

/*
 * Embedded in a device; the registers are rows of one of its banks (ACPI_PM_ROWS), so that the core dispatches, resets
 * and saves them. All functions are called with the device's domain held.
 */
typedef struct AcpiPm {
    uint16_t pm1_sts, pm1_en;
    uint32_t pm1_cnt, pm1_tmr;
    uint64_t gpe_sts, gpe_en;
    uint64_t overflow_ns; /* virtual time of the timer's next (or unacknowledged) carry; saved */
    bool suspended;       /* sleeping in S3: the next reset is the wake-up; saved */
    bool disable_s3, disable_s4;
    Timer *timer;
    Device *owner;
    void (*set_sci)(Device *owner, bool level);
    /* optional: how a status bit is set, where gpe_sts is only a copy */
    void (*raise_gpe)(Device *owner, unsigned gpe);
    void (*suspending)(void *opaque); /* the guest enters S3; optional, set by the board */
    void *suspending_opaque;
} AcpiPm;

void acpi_pm_start(AcpiPm *pm, Device *owner, void (*set_sci)(Device *owner, bool level));
void acpi_pm_stop(AcpiPm *pm);
void acpi_pm_reset(AcpiPm *pm, ResetPhase phase); /* after the bank's reset */
void acpi_pm_loaded(AcpiPm *pm);
void acpi_pm_power_button(AcpiPm *pm);
void acpi_pm_update_sci(AcpiPm *pm);
void acpi_pm_raise_gpe(AcpiPm *pm, unsigned gpe);
void acpi_pm_set_acpi_mode(AcpiPm *pm, bool on); /* SCI_EN */

uint64_t acpi_pm_sts_read(Device *d, const Reg *r, unsigned i, uint64_t stored);
void acpi_pm_sts_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value);
void acpi_pm_en_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value);
void acpi_pm_cnt_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value);
uint64_t acpi_pm_tmr_read(Device *d, const Reg *r, unsigned i, uint64_t stored);
void acpi_pm_gpe_sts_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value);
void acpi_pm_gpe_en_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value);

/* The rows at offsets 0..0xb of a PM block in a structure T with an AcpiPm at member f. */
#define ACPI_PM_ROWS(T, f) \
    { .name = "PM1_STS", .at = 0x00, .size = 2, .field = offsetof(T, f.pm1_sts), .w1c = ACPI_PM1_STS_MASK, \
      .ro = 0xffff & ~ACPI_PM1_STS_MASK, .read = acpi_pm_sts_read, .wrote = acpi_pm_sts_wrote }, \
    { .name = "PM1_EN", .at = 0x02, .size = 2, .field = offsetof(T, f.pm1_en), .ro = 0xffff & ~ACPI_PM1_EN_MASK, \
      .wrote = acpi_pm_en_wrote }, \
    { .name = "PM1_CNT", .at = 0x04, .size = 4, .field = offsetof(T, f.pm1_cnt), \
        .ro = ~ACPI_PM1_CNT_MASK & UINT32_MAX, \
      .wrote = acpi_pm_cnt_wrote }, \
    { .name = "PM1_TMR", .at = 0x08, .size = 4, .field = offsetof(T, f.pm1_tmr), .access = REG_RO, \
        .read = acpi_pm_tmr_read }
#define ACPI_PM1_CNT_MASK UINT32_C(0x1c07) /* SLP_EN is handled and never stored */

#define ACPI_PM_STATE(T, f) STATE_U64(T, f.overflow_ns), STATE_BOOL(T, f.suspended)
#endif

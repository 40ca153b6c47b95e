/* SPDX-License-Identifier: MIT */
/* The DSDT's part of ACPI hot plug: a device for each slot of the root bus, ejection, and the general purpose event. */
#include <stdio.h>
#include "base/bits.h"
#include "hw/acpi/pcihp.h"
#include "hw/acpi/tables.h"
#include "hw/acpi/aml.h"

enum { FIRST_SLOT = 2 /* below: the host bridge and the south bridge */, NOTIFY_CHECK = 1, NOTIFY_EJECT = 3 };

static void slot_name(char name[5], unsigned slot) { snprintf(name, 5, "S%02X_", slot & 0xff); }

static void registers(Aml *a, uint16_t port)
{
    aml_region(a, "PCST", AML_SYSTEM_IO, port, ACPI_PCIHP_SIZE);
    aml_field(a, "PCST", AML_DWORD_ACC);
    aml_field_unit(a, "PCIU", 32);
    aml_field_unit(a, "PCID", 32);
    aml_field_unit(a, "B0EJ", 32);
    aml_field_unit(a, NULL, 32);
    aml_field_unit(a, "BNUM", 32);
    aml_end(a);
}

/* PCEJ (slot): eject it. */
static void eject_method(Aml *a)
{
    aml_method(a, "PCEJ", 1, true);
    aml_op(a, AML_STORE), aml_int(a, 0), aml_name(a, "BNUM");
    aml_op(a, AML_SHIFT_LEFT), aml_int(a, 1), aml_arg(a, 0), aml_name(a, "B0EJ");
    aml_end(a);
}

static void slots(Aml *a)
{
    char name[5];
    for (unsigned s = FIRST_SLOT; s < PCI_SLOTS; s++) {
        slot_name(name, s);
        aml_device(a, name);
        aml_named_int(a, "_SUN", s);
        aml_named_int(a, "_ADR", s << 16);
        aml_method(a, "_EJ0", 1, false);
        aml_name(a, "PCEJ"), aml_name(a, "_SUN");
        aml_end(a);
        aml_end(a);
    }
}

/* DVNT (slots, what): tell the system of each slot in the mask. */
static void notify_method(Aml *a)
{
    char name[5];
    aml_method(a, "DVNT", 2, false);
    for (unsigned s = FIRST_SLOT; s < PCI_SLOTS; s++) {
        slot_name(name, s);
        aml_if(a);
        aml_op(a, AML_AND), aml_arg(a, 0), aml_int(a, BIT(s)), aml_null_target(a);
        aml_op(a, AML_NOTIFY), aml_name(a, name), aml_arg(a, 1);
        aml_end(a);
    }
    aml_end(a);
    aml_method(a, "PCNT", 0, true);
    aml_op(a, AML_STORE), aml_int(a, 0), aml_name(a, "BNUM");
    aml_name(a, "DVNT"), aml_name(a, "PCIU"), aml_int(a, NOTIFY_CHECK);
    aml_name(a, "DVNT"), aml_name(a, "PCID"), aml_int(a, NOTIFY_EJECT);
    aml_end(a);
}

void acpi_dsdt_pcihp(Aml *a, const AcpiPlatform *p)
{
    aml_scope(a, "\\_SB.PCI0");
    registers(a, p->pcihp_port);
    eject_method(a);
    slots(a);
    notify_method(a);
    aml_end(a);
    aml_scope(a, "\\_GPE");
    aml_method(a, "_E01", 0, false);
    aml_name(a, "\\_SB.PCI0.PCNT");
    aml_end(a);
    aml_end(a);
}

/* SPDX-License-Identifier: MIT */
/* What the firmware of a PCI Express machine lets the system control. */
#include "hw/acpi/aml.h"

/* _OSC (PCI Firmware 3.2 section 4.5.1): the system may control all, native hot plug of PCI Express ports included. */
void aml_pci_osc(Aml *a)
{
    aml_method(a, "_OSC", 4, true);
    aml_op(a, AML_CREATE_DWORD_FIELD), aml_arg(a, 3), aml_int(a, 0), aml_name(a, "CDW1");
    aml_if(a);
    aml_op(a, AML_LEQUAL), aml_arg(a, 0), aml_uuid(a, "33db4d5b-1ff7-401c-9657-7441c03dd766");
    aml_op(a, AML_CREATE_DWORD_FIELD), aml_arg(a, 3), aml_int(a, 8), aml_name(a, "CDW3");
    aml_op(a, AML_AND), aml_name(a, "CDW3"), aml_int(a, 0x1d), aml_local(a, 0);
    aml_if(a); /* unknown revision */
    aml_op(a, AML_LNOT), aml_op(a, AML_LEQUAL), aml_arg(a, 1), aml_int(a, 1);
    aml_op(a, AML_OR), aml_name(a, "CDW1"), aml_int(a, 0x08), aml_name(a, "CDW1");
    aml_end(a);
    aml_if(a); /* some bits were not granted */
    aml_op(a, AML_LNOT), aml_op(a, AML_LEQUAL), aml_name(a, "CDW3"), aml_local(a, 0);
    aml_op(a, AML_OR), aml_name(a, "CDW1"), aml_int(a, 0x10), aml_name(a, "CDW1");
    aml_end(a);
    aml_op(a, AML_STORE), aml_local(a, 0), aml_name(a, "CDW3");
    aml_end(a);
    aml_else(a);
    aml_op(a, AML_OR), aml_name(a, "CDW1"), aml_int(a, 0x04), aml_name(a, "CDW1");
    aml_end(a);
    aml_op(a, AML_RETURN), aml_arg(a, 3);
    aml_end(a);
}

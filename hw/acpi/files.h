/* SPDX-License-Identifier: MIT */
/* ACPI tables as files of fw_cfg. */
#ifndef HW_ACPI_FILES_H
#define HW_ACPI_FILES_H

#include "hw/acpi/tables.h"
#include "hw/core/machine.h"
#include "hw/firmware/fw_cfg.h"

/*
 * build() is called now and each time that firmware begins to read: then it has placed its registers, and modules have
 * come and gone.
 */
typedef AcpiBlobs AcpiBuildFn(Machine *m);
bool acpi_files_add(FwCfg *fw, AcpiBuildFn *build, Machine *m, Error **errp);
#endif

/* SPDX-License-Identifier: MIT */
/* ACPI tables as files of fw_cfg, built anew for each firmware that reads them. */
#include "hw/acpi/files.h"
#include "base/bits.h"

static struct { FwCfg *fw; AcpiBuildFn *build; Machine *m; } source; /* the machine's */

static const char *const names[] = { ACPI_FILE_TABLES, ACPI_FILE_RSDP, ACPI_FILE_LOADER };
static const GByteArray *blob(const AcpiBlobs *b, unsigned i)
{
    return i == 0 ? b->tables : i == 1 ? b->rsdp : b->loader;
}

static void rebuild(void *opaque)
{
    AcpiBlobs b = source.build(source.m);
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        fw_cfg_replace_file(source.fw, names[i], blob(&b, i)->data, blob(&b, i)->len);
    acpi_blobs_free(&b);
}

bool acpi_files_add(FwCfg *fw, AcpiBuildFn *build, Machine *m, Error **errp)
{
    static const FwCfgFileOps ops = { .select = rebuild };
    AcpiBlobs b = build(m);
    bool ok = true;
    source.fw = fw;
    source.build = build;
    source.m = m;
    for (unsigned i = 0; ok && i < ARRAY_LEN(names); i++)
        ok = fw_cfg_add_file_ops(fw, names[i], blob(&b, i)->data, blob(&b, i)->len, false, &ops, NULL, errp);
    acpi_blobs_free(&b);
    return ok;
}

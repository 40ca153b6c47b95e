/* SPDX-License-Identifier: MIT */
/*
 * NFIT: for each module its range of addresses, what of the module lies there, and how it is driven (ACPI 6.4
 * sections 5.2.25 and 9.20). A module that comes later is announced, and the system reads the table's structures again
 * by _FIT. Labels are read and written by the functions of Intel's _DSM ("NVDIMM DSM Interface"), which is what QEMU's
 * guests know.
 */
#include "hw/acpi/nfit.h"
#include "base/bits.h"
#include "hw/acpi/slots.h"
#include "hw/mem/nvdimm.h"

enum {
    SPA_RANGE = 0,
    REGION_MAPPING = 1,
    CONTROL_REGION = 4,
    DOMAIN_VALID = 2,
    FORMAT_BYTE_ADDRESSABLE = 0x0301,
    STRUCTURES_SIZE = 56 + 48 + 32
};
enum { SLOTS_MAX = 256, FIT_MAX = SLOTS_MAX * STRUCTURES_SIZE };
enum {
    AT_TAKE = 0,
    AT_SIZE = 0,
    AT_OFFSET = 4,
    AT_BYTE = 4,
    AT_SLOT = 8,
    AT_LABELS = 8,
    AT_LABELS_HIGH = 12,
    AT_LABEL_SIZE = 16
};
enum {
    DSM_FUNCTIONS = 0,
    DSM_LABEL_SIZE = 4,
    DSM_LABEL_READ = 5,
    DSM_LABEL_WRITE = 6,
    DSM_BAD_INPUT = 3,
    TRANSFER_MAX = 4096
};
#define ATTRIBUTES (UINT64_C(8) | UINT64_C(0x8000)) /* EFI_MEMORY_WB, EFI_MEMORY_NV */

/* The first one from m on. */
static const MemoryDevice *nvdimm_from(const MemoryDevice *m)
{
    while (m && !is_nvdimm(m))
        m = m->next;
    return m;
}

/* Handle of a slot's module: _ADR of its device; also the number of its structures. */
static unsigned handle(unsigned slot) { return slot + 1; }

/* ---- the table ---- */

static void put_range(AcpiBuilder *b, const MemoryDevice *m, unsigned n)
{
    /* 66f0d379-b4f3-4074-ac43-0d3318b78cdb: persistent memory */
    static const uint8_t persistent[16] = { 0x79, 0xd3, 0xf0, 0x66, 0xf3, 0xb4, 0x74, 0x40,
                                            0xac, 0x43, 0x0d, 0x33, 0x18, 0xb7, 0x8c, 0xdb };
    acpi_put(b, 2, SPA_RANGE);
    acpi_put(b, 2, 56);
    acpi_put(b, 2, n);
    acpi_put(b, 2, DOMAIN_VALID);
    acpi_put(b, 4, 0);
    acpi_put(b, 4, m->node);
    acpi_put_text(b, (const char *)persistent, sizeof(persistent));
    acpi_put(b, 8, m->addr);
    acpi_put(b, 8, nvdimm_data_size(m));
    acpi_put(b, 8, ATTRIBUTES);
}

static void put_mapping(AcpiBuilder *b, const MemoryDevice *m, unsigned n)
{
    acpi_put(b, 2, REGION_MAPPING);
    acpi_put(b, 2, 48);
    acpi_put(b, 4, n); /* handle: _ADR of the module's device */
    acpi_put(b, 2, n);
    acpi_put(b, 2, n);
    acpi_put(b, 2, n); /* range, control region */
    acpi_put(b, 2, n);
    acpi_put(b, 8, nvdimm_data_size(m));
    acpi_put(b, 8, 0);
    acpi_put(b, 8, 0);
    acpi_put(b, 2, 0);
    acpi_put(b, 2, 1);
    acpi_put(b, 4, 0);
}

static void put_control(AcpiBuilder *b, unsigned n)
{
    acpi_put(b, 2, CONTROL_REGION);
    acpi_put(b, 2, 32);
    acpi_put(b, 2, n);
    acpi_put(b, 2, 0x8086);
    acpi_put(b, 2, 1);
    acpi_put(b, 2, 1);
    acpi_put_zeros(b, 12);
    acpi_put(b, 4, 0x123456 + n);
    acpi_put(b, 2, FORMAT_BYTE_ADDRESSABLE);
    acpi_put(b, 2, 0);
}

static void put_structures(AcpiBuilder *b)
{
    for (const MemoryDevice *m = nvdimm_from(memory_device_first()); m; m = nvdimm_from(m->next)) {
        unsigned n = handle((unsigned)m->slot);
        put_range(b, m, n);
        put_mapping(b, m, n);
        put_control(b, n);
    }
}

void acpi_build_nfit(AcpiBuilder *b)
{
    if (!nvdimm_from(memory_device_first()))
        return;
    uint32_t at = acpi_table_begin(b, "NFIT", 1);
    acpi_put(b, 4, 0);
    put_structures(b);
    acpi_table_end(b, at, true);
}

/* ---- registers ---- */

static const MemoryDevice *in_slot(uint32_t slot)
{
    const MemoryDevice *m = nvdimm_from(memory_device_first());
    while (m && (uint32_t)m->slot != slot)
        m = nvdimm_from(m->next);
    return m;
}

static MemResult fit_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    const AcpiFit *f = opaque;
    const MemoryDevice *m = in_slot(f->slot);
    uint64_t label_size = m ? nvdimm_label_size(m) : 0, labels = m ? m->addr + m->size - label_size : 0;
    switch (at) {
    case AT_SIZE: *value = f->table->len; break;
    case AT_BYTE: *value = f->at < f->table->len ? f->table->data[f->at] : 0; break;
    case AT_LABELS: *value = (uint32_t)labels; break;
    case AT_LABELS_HIGH: *value = labels >> 32; break;
    default: *value = label_size;
    }
    return MEM_OK;
}

static MemResult fit_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    AcpiFit *f = opaque;
    AcpiBuilder b = { .out.tables = f->table };
    switch (at) {
    case AT_TAKE:
        g_byte_array_set_size(f->table, 0);
        put_structures(&b);
        break;
    case AT_OFFSET: f->at = (uint32_t)value; break;
    case AT_SLOT: f->slot = (uint32_t)value; break;
    }
    return MEM_OK;
}
const MemOps acpi_fit_ops = { .read = fit_read, .write = fit_write, .min_size = 4, .max_size = 4 };

const StateField acpi_fit_state[] = { STATE_BUF(AcpiFit, table, FIT_MAX), STATE_U32(AcpiFit, at),
                                      STATE_U32(AcpiFit, slot), STATE_END_OF_TABLE };

void acpi_fit_init(AcpiFit *f) { f->table = g_byte_array_new(); }
void acpi_fit_free(AcpiFit *f) { g_byte_array_unref(f->table); }

void acpi_fit_reset(AcpiFit *f)
{
    g_byte_array_set_size(f->table, 0);
    f->at = f->slot = 0;
}

/* ---- AML ---- */

static void fields(Aml *a, AmlSpace space, uint64_t base)
{
    static const char *const reads[] = { "FSIZ", "FBYT", "LLOW", "LHGH", "LSIZ" }, *const writes[] = { "FTAK", "FOFS",
                                                                                                       "NSEL" };
    aml_region(a, "FITR", space, base, ACPI_NVDIMM_SIZE);
    aml_dword_fields(a, "FITR", reads, ARRAY_LEN(reads));
    aml_dword_fields(a, "FITR", writes, ARRAY_LEN(writes));
}

/* _FIT (): all structures, byte by byte. */
static void fit_method(Aml *a)
{
    aml_method(a, "_FIT", 0, true);
    aml_store_int(a, 0, "FTAK");
    aml_op(a, AML_STORE), aml_name(a, "FSIZ"), aml_local(a, 0);
    aml_op(a, AML_STORE), aml_buffer_begin(a), aml_local(a, 0), aml_end(a), aml_local(a, 1);
    aml_op(a, AML_STORE), aml_int(a, 0), aml_local(a, 2);
    aml_while(a);
    aml_op(a, AML_LLESS), aml_local(a, 2), aml_local(a, 0);
    aml_op(a, AML_STORE), aml_local(a, 2), aml_name(a, "FOFS");
    aml_op(a, AML_STORE), aml_name(a, "FBYT"), aml_op(a, AML_INDEX), aml_local(a, 1), aml_local(a, 2),
        aml_null_target(a);
    aml_op(a, AML_INCREMENT), aml_local(a, 2);
    aml_end(a);
    aml_op(a, AML_RETURN), aml_local(a, 1);
    aml_end(a);
}

/* A buffer of the status (32 bits) that a function begins its answer with. */
static void status(Aml *a, unsigned code) { aml_buffer(a, (uint8_t[4]){ (uint8_t)code }, 4); }

/* NLSI (size): status, size, most bytes of a transfer. */
static void label_size_method(Aml *a)
{
    aml_method(a, "NLSI", 1, true);
    aml_named(a, "LINF"), aml_buffer(a, (uint8_t[12]){ 0 }, 12);
    aml_op(a, AML_CREATE_DWORD_FIELD), aml_name(a, "LINF"), aml_int(a, 4), aml_name(a, "LALL");
    aml_op(a, AML_CREATE_DWORD_FIELD), aml_name(a, "LINF"), aml_int(a, 8), aml_name(a, "LMAX");
    aml_store_arg(a, 0, "LALL");
    aml_store_int(a, TRANSFER_MAX, "LMAX");
    aml_op(a, AML_RETURN), aml_name(a, "LINF");
    aml_end(a);
}

/* Mid (LBUF, ...), which is part of the window. */
static void mid(Aml *a) { aml_op(a, AML_MID), aml_name(a, "LBUF"); }

/*
 * NLRW (area, size, function, parameters): offset, length, bytes to write. The bytes are looked at through a window of
 * TRANSFER_MAX bytes that holds them, for a field has a length that does not change. Local0 is where the window begins
 * in the area, Local1 where the bytes do in the window.
 */
static void label_method(Aml *a)
{
    aml_method(a, "NLRW", 4, true);
    aml_op(a, AML_CREATE_DWORD_FIELD), aml_arg(a, 3), aml_int(a, 0), aml_name(a, "LOFS");
    aml_op(a, AML_CREATE_DWORD_FIELD), aml_arg(a, 3), aml_int(a, 4), aml_name(a, "LLEN");
    aml_if(a);
    aml_op(a, AML_LOR);
    aml_op(a, AML_LGREATER), aml_name(a, "LLEN"), aml_int(a, TRANSFER_MAX);
    aml_op(a, AML_LGREATER), aml_op(a, AML_ADD), aml_name(a, "LOFS"), aml_name(a, "LLEN"), aml_null_target(a),
        aml_arg(a, 1);
    aml_op(a, AML_RETURN), status(a, DSM_BAD_INPUT);
    aml_end(a);
    aml_op(a, AML_SUBTRACT), aml_arg(a, 1), aml_int(a, TRANSFER_MAX), aml_local(a, 0);
    aml_if(a);
    aml_op(a, AML_LLESS), aml_name(a, "LOFS"), aml_local(a, 0);
    aml_op(a, AML_STORE), aml_name(a, "LOFS"), aml_local(a, 0);
    aml_end(a);
    aml_op(a, AML_SUBTRACT), aml_name(a, "LOFS"), aml_local(a, 0), aml_local(a, 1);
    aml_op(a, AML_ADD), aml_arg(a, 0), aml_local(a, 0), aml_local(a, 2);
    aml_region_begin(a, "LWIN", AML_SYSTEM_MEMORY), aml_local(a, 2), aml_int(a, TRANSFER_MAX);
    aml_field(a, "LWIN", AML_ANY_ACC);
    aml_field_unit(a, "LBUF", TRANSFER_MAX * 8);
    aml_end(a);
    aml_if(a);
    aml_op(a, AML_LEQUAL), aml_arg(a, 2), aml_int(a, DSM_LABEL_READ);
    aml_op(a, AML_CONCATENATE), status(a, 0), mid(a), aml_local(a, 1), aml_name(a, "LLEN"), aml_null_target(a),
        aml_local(a, 3);
    aml_op(a, AML_RETURN), aml_local(a, 3);
    aml_end(a);
    /* what stands before, what is new, what stands behind */
    aml_op(a, AML_CONCATENATE), mid(a), aml_int(a, 0), aml_local(a, 1), aml_null_target(a);
    aml_op(a, AML_MID), aml_arg(a, 3), aml_int(a, 8), aml_name(a, "LLEN"), aml_null_target(a), aml_local(a, 3);
    aml_op(a, AML_ADD), aml_local(a, 1), aml_name(a, "LLEN"), aml_local(a, 4);
    aml_op(a, AML_CONCATENATE), aml_local(a, 3), mid(a), aml_local(a, 4), aml_int(a, TRANSFER_MAX), aml_null_target(a),
        aml_local(a, 5);
    aml_op(a, AML_STORE), aml_local(a, 5), aml_name(a, "LBUF");
    aml_op(a, AML_RETURN), status(a, 0);
    aml_end(a);
}

/* NDSM (slot, the arguments of _DSM): which functions a module knows depends on whether it has labels. */
static void dsm_method(Aml *a)
{
    static const uint8_t some = 1 << DSM_FUNCTIONS | 1 << DSM_LABEL_SIZE | 1 << DSM_LABEL_READ | 1 << DSM_LABEL_WRITE,
                         none = 0;
    aml_method(a, "NDSM", 5, true);
    aml_store_arg(a, 0, "NSEL");
    aml_op(a, AML_STORE), aml_name(a, "LSIZ"), aml_local(a, 0);
    aml_if(a);
    aml_op(a, AML_LAND), aml_op(a, AML_LEQUAL), aml_arg(a, 1), aml_uuid(a, "4309ac30-0d11-11e4-9191-0800200c9a66"),
        aml_local(a, 0);
    aml_if(a);
    aml_op(a, AML_LEQUAL), aml_arg(a, 3), aml_int(a, DSM_FUNCTIONS);
    aml_op(a, AML_RETURN), aml_buffer(a, &some, 1);
    aml_end(a);
    aml_if(a);
    aml_op(a, AML_LEQUAL), aml_arg(a, 3), aml_int(a, DSM_LABEL_SIZE);
    aml_op(a, AML_RETURN), aml_name(a, "NLSI"), aml_local(a, 0);
    aml_end(a);
    aml_if(a);
    aml_op(a, AML_LOR), aml_op(a, AML_LEQUAL), aml_arg(a, 3), aml_int(a, DSM_LABEL_READ);
    aml_op(a, AML_LEQUAL), aml_arg(a, 3), aml_int(a, DSM_LABEL_WRITE);
    aml_op(a, AML_SHIFT_LEFT), aml_name(a, "LHGH"), aml_int(a, 32), aml_local(a, 1);
    aml_op(a, AML_OR), aml_local(a, 1), aml_name(a, "LLOW"), aml_local(a, 1);
    aml_op(a, AML_STORE), aml_op(a, AML_DEREF_OF), aml_op(a, AML_INDEX), aml_arg(a, 4), aml_int(a, 0),
        aml_null_target(a), aml_local(a, 2);
    aml_op(a, AML_RETURN), aml_name(a, "NLRW"), aml_local(a, 1), aml_local(a, 0), aml_arg(a, 3), aml_local(a, 2);
    aml_end(a);
    aml_end(a);
    aml_op(a, AML_RETURN), aml_buffer(a, &none, 1);
    aml_end(a);
}

static void module_device(Aml *a, unsigned slot)
{
    g_autofree char *name = g_strdup_printf("NV%02X", slot & 0xff);
    aml_device(a, name);
    aml_named_int(a, "_ADR", handle(slot));
    aml_method(a, "_DSM", 4, true);
    aml_op(a, AML_RETURN), aml_name(a, "NDSM"), aml_int(a, slot);
    for (unsigned i = 0; i < 4; i++)
        aml_arg(a, i);
    aml_end(a);
    aml_end(a);
}

void acpi_nfit_aml(Aml *a, unsigned slots, AmlSpace space, uint64_t base)
{
    aml_device(a, "NVDR");
    aml_named_string(a, "_HID", "ACPI0012");
    fields(a, space, base);
    fit_method(a);
    label_size_method(a);
    label_method(a);
    dsm_method(a);
    aml_method(a, "CAME", 0, false);
    aml_op(a, AML_NOTIFY), aml_name(a, "\\_SB.NVDR"), aml_int(a, 0x80); /* section 5.6.6: the NFIT has changed */
    aml_end(a);
    for (unsigned i = 0; i < slots; i++)
        module_device(a, i);
    aml_end(a);
}

/* SPDX-License-Identifier: MIT */
/*
 * "acpi-memory-hotplug": slots of memory modules as registers (the interface that ACPI tables of virtual machines use
 * for PNP0C80).
 */
#include "hw/acpi/memory-hotplug.h"

#include "base/bits.h"
#include "base/log.h"
#include "hw/acpi/nfit.h"
#include "hw/acpi/slots.h"
#include "hw/mem/dimm.h"
#include "hw/mem/nvdimm.h"

enum { SLOTS_MAX = 256, PIN_NVDIMM = 1 };
enum {
    AT_SELECT = 0,
    AT_ADDRESS = 0,
    AT_OST_EVENT = 4,
    AT_OST_STATUS = 8,
    AT_LENGTH = 8,
    AT_NODE = 0x10,
    AT_FLAGS = 0x14
};

typedef struct Hotplug {
    AcpiSlots slots; /* always first */
    AcpiFit fit;
    uint32_t ged;
} Hotplug;

/* Persistent modules are told of in the NFIT only. */
static MemoryDevice *module(uint32_t slot)
{
    MemoryDevice *d = memory_device_first();
    while (d && (d->slot != (int)slot || is_nvdimm(d)))
        d = d->next;
    return slot < SLOTS_MAX ? d : NULL;
}

/* ---- registers ---- */

static MemResult slots_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Hotplug *h = opaque;
    const MemoryDevice *d = module(h->slots.selector);
    uint8_t bytes[ACPI_MEMHP_SIZE + 8] = { 0 };
    *value = 0;
    if (h->slots.selector >= SLOTS_MAX)
        return MEM_OK;
    if (d) {
        store_le(bytes + AT_ADDRESS, 8, d->addr);
        store_le(bytes + AT_LENGTH, 8, d->size);
        store_le(bytes + AT_NODE, 4, d->node);
    }
    bytes[AT_FLAGS] = acpi_slots_flags(&h->slots);
    *value = load_le(bytes + at, size);
    return MEM_OK;
}

static MemResult slots_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Hotplug *h = opaque;
    if (at == AT_SELECT && size == 4)
        h->slots.selector = (uint32_t)value;
    else if (h->slots.selector >= SLOTS_MAX)
        log_guest_error(h->slots.dev.id, "slot %u: there are 256 at most", h->slots.selector);
    else if (at == AT_OST_EVENT)
        h->slots.ost_event = (uint32_t)value;
    else if (at == AT_OST_STATUS)
        acpi_slots_wrote_status(&h->slots, (uint32_t)value);
    else if (at == AT_FLAGS)
        acpi_slots_wrote_flags(&h->slots, (uint8_t)value);
    return MEM_OK;
}
static const MemOps slots_regs = { .read = slots_read, .write = slots_write, .min_size = 1, .max_size = 4 };

/* Reading tells what happened, once. */
static MemResult ged_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Hotplug *h = opaque;
    *value = h->ged;
    h->ged = 0;
    return MEM_OK;
}
static MemResult ged_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs) { return MEM_OK; }
static const MemOps ged_ops = { .read = ged_read, .write = ged_write, .min_size = 4, .max_size = 4 };

/* ---- the device ---- */

static int find(const Device *d) { return ((const Dimm *)d)->mem.slot; }
static Device *in_slot(uint32_t n) { return module(n) ? module(n)->dev : NULL; }
static bool filled(uint32_t n) { return module(n); }
static void told(AcpiSlots *s, Device *d) { ((Hotplug *)s)->ged |= ACPI_GED_MEMORY; }

static void hot_plugged(Bus *b, Device *d)
{
    Hotplug *h = (Hotplug *)b->parent;
    if (!is_nvdimm(&((Dimm *)d)->mem)) {
        acpi_slots_hot_plugged(b, d);
        return;
    }
    lock_domain_lock(h->slots.dev.domain);
    h->ged |= ACPI_GED_NVDIMM;
    device_out(&h->slots.dev, PIN_NVDIMM, 1);
    device_out(&h->slots.dev, PIN_NVDIMM, 0);
    lock_domain_unlock(h->slots.dev.domain);
}

/* ACPI has no way for the NFIT to shrink. */
static bool ask_unplug(Bus *b, Device *d, Error **errp)
{
    if (!is_nvdimm(&((Dimm *)d)->mem))
        return acpi_slots_ask_unplug(b, d, errp);
    error_setf(errp, "device '%s': guests can't let a persistent module go; power the machine off and start it without",
               d->id);
    return false;
}

static void init(Device *d) { acpi_fit_init(&((Hotplug *)d)->fit); }
static void stop(Device *d) { acpi_fit_free(&((Hotplug *)d)->fit); }

static bool start(Device *d, Error **errp)
{
    d->region[0] = mem_io_new("acpi-memory-hotplug", ACPI_MEMHP_SIZE, &slots_regs, d, d->domain);
    d->region[1] = mem_io_new("acpi-ged", ACPI_GED_SIZE, &ged_ops, d, d->domain);
    d->region[2] = mem_io_new("acpi-nvdimm", ACPI_NVDIMM_SIZE, &acpi_fit_ops, &((Hotplug *)d)->fit, d->domain);
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    Hotplug *h = (Hotplug *)d;
    if (phase != RESET_ENTER)
        return;
    h->ged = 0;
    acpi_fit_reset(&h->fit);
}

static const StateField state[] = { STATE_U32(Hotplug, ged), STATE_STRUCT(Hotplug, fit, acpi_fit_state),
                                    STATE_END_OF_TABLE };
static const char *const provides[] = { "memory-slot", NULL }, *const pins[] = { "nvdimm", NULL };
static const AcpiSlotsClass class = {
    .bus = { .kind = "memory-slot",
             .may_hot_plug = acpi_slots_may_hot_plug,
             .hot_plugged = hot_plugged,
             .ask_unplug = ask_unplug },
    .bus_name = "memory-slots",
    .what = "slot",
    .find = find,
    .in_slot = in_slot,
    .filled = filled,
    .told = told,
};
static const DeviceType type = {
    .name = "acpi-memory-hotplug",
    .desc = "ACPI memory hot plug",
    .category = "Misc",
    .size = sizeof(Hotplug),
    .base = &acpi_slots_type,
    .state = state,
    .provides = provides,
    .out_pins = pins,
    .init = init,
    .start = start,
    .reset = reset,
    .stop = stop,
    .class_data = &class,
};
DEVICE_REGISTER(type)

/* ---- AML ---- */

static void fields(Aml *a, AmlSpace space, uint64_t base)
{
    static const char *const reads[] = { "MRBL", "MRBH", "MRLL", "MRLH", "MPX" }, *const writes[] = { "MSEL", "MOEV",
                                                                                                      "MOSC" };
    aml_region(a, "MHPR", space, base, ACPI_MEMHP_SIZE);
    aml_dword_fields(a, "MHPR", reads, ARRAY_LEN(reads));
    aml_dword_fields(a, "MHPR", writes, ARRAY_LEN(writes));
    aml_field(a, "MHPR", AML_BYTE_ACC);
    aml_field_unit(a, NULL, AT_FLAGS * 8);
    aml_field_unit(a, "MFLG", 8);
    aml_end(a);
}

static const AcpiSlotsNames names = { .select = "MSEL",
                                      .flags = "MFLG",
                                      .status = "MSTA",
                                      .eject = "MEJT",
                                      .ost = "MOST",
                                      .scan = "MSCN",
                                      .device = "MP%02X" };

/* local = low | high << 32 */
static void join(Aml *a, const char *low, const char *high, unsigned local)
{
    aml_op(a, AML_SHIFT_LEFT), aml_name(a, high), aml_int(a, 32), aml_local(a, local);
    aml_op(a, AML_OR), aml_local(a, local), aml_name(a, low), aml_local(a, local);
}

/* The range of a slot: a QWORD address space descriptor, filled in (ACPI 6.4 section 6.4.3.5.1). */
static void current_resources(Aml *a)
{
    static const struct { const char *name; unsigned at; } parts[] = { { "MIN", 14 }, { "MAX", 22 }, { "LEN", 38 } };
    aml_method(a, "MCRS", 1, true);
    aml_named(a, "MR64");
    aml_resources(a);
    aml_res_qword_memory(a, 0, 1);
    aml_resources_end(a);
    for (unsigned i = 0; i < ARRAY_LEN(parts); i++)
        aml_op(a, AML_CREATE_QWORD_FIELD), aml_name(a, "MR64"), aml_int(a, parts[i].at), aml_name(a, parts[i].name);
    aml_store_arg(a, 0, "MSEL");
    join(a, "MRBL", "MRBH", 0);
    join(a, "MRLL", "MRLH", 1);
    aml_op(a, AML_STORE), aml_local(a, 0), aml_name(a, "MIN");
    aml_op(a, AML_STORE), aml_local(a, 1), aml_name(a, "LEN");
    aml_op(a, AML_ADD), aml_local(a, 0), aml_local(a, 1), aml_local(a, 0);
    aml_op(a, AML_SUBTRACT), aml_local(a, 0), aml_int(a, 1), aml_name(a, "MAX");
    aml_op(a, AML_RETURN), aml_name(a, "MR64");
    aml_end(a);
}

static void helpers(Aml *a, unsigned slots)
{
    acpi_slots_aml_methods(a, &names, 0, slots);
    aml_method(a, "MPXM", 1, true);
    aml_store_arg(a, 0, "MSEL");
    aml_op(a, AML_RETURN), aml_name(a, "MPX");
    aml_end(a);
    aml_method(a, "MOST", 3, true);
    aml_store_arg(a, 0, "MSEL"), aml_store_arg(a, 1, "MOEV"), aml_store_arg(a, 2, "MOSC");
    aml_end(a);
    current_resources(a);
}

static void returning_call(Aml *a, const char *name, const char *callee, unsigned slot)
{
    aml_method(a, name, 0, true);
    aml_op(a, AML_RETURN), aml_name(a, callee), aml_int(a, slot);
    aml_end(a);
}

static void slot_device(Aml *a, unsigned slot)
{
    acpi_slots_aml_device(a, &names, "PNP0C80", slot, true);
    returning_call(a, "_CRS", "MCRS", slot);
    returning_call(a, "_PXM", "MPXM", slot);
    aml_end(a);
}

void acpi_memory_hotplug_aml(Aml *a, unsigned slots, AmlSpace space, uint64_t base)
{
    aml_device(a, "MHPC");
    aml_named_eisaid(a, "_HID", "PNP0A06");
    aml_named_string(a, "_UID", "Memory hotplug resources");
    aml_named(a, "_CRS");
    aml_resources(a);
    if (space == AML_SYSTEM_IO)
        aml_res_io(a, (uint16_t)base, 0, ACPI_MEMHP_SIZE);
    else
        aml_res_memory32(a, true, (uint32_t)base, ACPI_MEMHP_SIZE);
    aml_resources_end(a);
    fields(a, space, base);
    helpers(a, slots);
    for (unsigned i = 0; i < slots; i++)
        slot_device(a, i);
    aml_end(a);
}

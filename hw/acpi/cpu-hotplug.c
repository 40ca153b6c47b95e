/* SPDX-License-Identifier: MIT */
/*
 * "acpi-cpu-hotplug": places for CPUs as registers (QEMU's interface, its docs/specs/acpi_cpu_hotplug: the one that is
 * not legacy).
 */
#include "hw/acpi/cpu-hotplug.h"

#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/acpi/slots.h"
#include "hw/acpi/tables.h"
#include "hw/core/cpu-slots.h"
#include "hw/core/machine.h"

enum { AT_SELECT = 0, AT_DATA2 = 0, AT_FLAGS = 4, AT_COMMAND = 5, AT_DATA = 8, FLAG_FIRMWARE = 16 };
enum { COMMAND_NEXT, COMMAND_OST_EVENT, COMMAND_OST_STATUS, COMMAND_ARCH_ID };

typedef struct Hotplug {
    AcpiSlots slots; /* always first */
    uint8_t command;
    uint64_t firmware[ACPI_SLOTS_MAX / 64];
} Hotplug;

static const CpuSlots *slots(void)
{
    const Machine *m = machine_current();
    return m ? m->cpu_slots : NULL;
}

static unsigned count(void) { return slots() ? MIN(slots()->count, (unsigned)ACPI_SLOTS_MAX) : 0; }
static const CpuSlot *slot(uint32_t n) { return n < count() ? &slots()->slot[n] : NULL; }

/* ---- registers ---- */

static MemResult cpus_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    const Hotplug *h = opaque;
    uint32_t n = h->slots.selector;
    const CpuSlot *s = slot(n);
    *value = 0;
    if (!s)
        return MEM_OK;
    if (at == AT_FLAGS)
        *value = acpi_slots_flags(&h->slots) | (slot_bit(h->firmware, n) ? FLAG_FIRMWARE : 0u);
    else if (at == AT_DATA)
        *value = h->command == COMMAND_NEXT ? n : h->command == COMMAND_ARCH_ID ? s->arch_id : 0;
    return MEM_OK; /* command data 2: upper half of 64-bit ids, which no x86 CPU has */
}

/* The selector goes to the first CPU from itself on, around, that something has happened to; or stays. */
static void find_next(Hotplug *h)
{
    for (unsigned i = 0; i < count(); i++) {
        uint32_t n = (h->slots.selector + i) % count();
        if (slot_bit(h->slots.inserting, n) || slot_bit(h->slots.removing, n) || slot_bit(h->firmware, n)) {
            h->slots.selector = n;
            return;
        }
    }
}

static void wrote_data(Hotplug *h, uint32_t value)
{
    if (h->command == COMMAND_OST_EVENT)
        h->slots.ost_event = value;
    else if (h->command == COMMAND_OST_STATUS)
        acpi_slots_wrote_status(&h->slots, value);
}

static MemResult cpus_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Hotplug *h = opaque;
    if (at == AT_SELECT && size == 4)
        h->slots.selector = (uint32_t)value;
    uint32_t n = h->slots.selector;
    if (!slot(n)) {
        log_guest_error(h->slots.dev.id, "CPU %u: there is no such place", n);
    } else if (at == AT_FLAGS) {
        if (value & FLAG_FIRMWARE)
            slot_set_bit(h->firmware, n, true);
        acpi_slots_wrote_flags(&h->slots, (uint8_t)value);
    } else if (at == AT_COMMAND && (value & 0xff) <= COMMAND_ARCH_ID) {
        h->command = (uint8_t)value;
        if (h->command == COMMAND_NEXT)
            find_next(h);
    } else if (at == AT_DATA) {
        wrote_data(h, (uint32_t)value);
    }
    return MEM_OK;
}
static const MemOps cpus_ops = { .read = cpus_read, .write = cpus_write, .min_size = 1, .max_size = 4 };

/* ---- the device ---- */

static int find(const Device *d) { return cpu_slots_find(slots(), d); }
static Device *in_slot(uint32_t n) { return slot(n) ? slot(n)->dev : NULL; }
static bool filled(uint32_t n) { return slot(n) && slot(n)->filled; }
static void gone(AcpiSlots *s, uint32_t n) { slot_set_bit(((Hotplug *)s)->firmware, n, false); }

static bool start(Device *d, Error **errp)
{
    d->region[0] = mem_io_new("acpi-cpu-hotplug", ACPI_CPUHP_SIZE, &cpus_ops, d, d->domain);
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    Hotplug *h = (Hotplug *)d;
    if (phase != RESET_ENTER)
        return;
    h->command = 0;
    memset(h->firmware, 0, sizeof(h->firmware));
}

static const StateField state[] = { STATE_U8(Hotplug, command), STATE_U64_ARRAY(Hotplug, firmware),
                                    STATE_END_OF_TABLE };
static const char *const provides[] = { "cpu-slot", NULL };
static const AcpiSlotsClass class = { .bus = { .kind = "cpu-slot", ACPI_SLOTS_BUS },
                                      .bus_name = "cpu-slots",
                                      .what = "CPU",
                                      .find = find,
                                      .in_slot = in_slot,
                                      .filled = filled,
                                      .gone = gone };
static const DeviceType type = {
    .name = "acpi-cpu-hotplug",
    .desc = "ACPI CPU hot plug",
    .category = "Misc",
    .size = sizeof(Hotplug),
    .base = &acpi_slots_type,
    .state = state,
    .provides = provides,
    .start = start,
    .reset = reset,
    .class_data = &class,
};
DEVICE_REGISTER(type)

/* ---- AML ---- */

static void fields(Aml *a, uint16_t port)
{
    aml_region(a, "PRST", AML_SYSTEM_IO, port, ACPI_CPUHP_SIZE);
    aml_field(a, "PRST", AML_BYTE_ACC);
    aml_field_unit(a, NULL, AT_FLAGS * 8);
    aml_field_unit(a, "CFLG", 8);
    aml_field_unit(a, "CCMD", 8);
    aml_end(a);
    aml_field(a, "PRST", AML_DWORD_ACC);
    aml_field_unit(a, "CSEL", 32);
    aml_field_unit(a, NULL, 32);
    aml_field_unit(a, "CDAT", 32);
    aml_end(a);
}

static const AcpiSlotsNames names = { .select = "CSEL",
                                      .flags = "CFLG",
                                      .status = "CSTA",
                                      .eject = "CEJ0",
                                      .ost = "COST",
                                      .scan = "CSCN",
                                      .device = "C%03X" };

/* An entry of the MADT as if the CPU were there: the system takes the APIC id from it when the CPU comes. */
static void madt_entry(Aml *a, const AcpiPlatform *p, unsigned i)
{
    GByteArray *entry = acpi_madt_cpu(p, i, true);
    aml_named(a, "_MAT");
    aml_buffer(a, entry->data, entry->len);
    g_byte_array_unref(entry);
}

static void cpu_device(Aml *a, const AcpiPlatform *p, unsigned i)
{
    acpi_slots_aml_device(a, &names, "ACPI0007", i, i); /* the first one stays */
    madt_entry(a, p, i);
    if (p->numa)
        aml_named_int(a, "_PXM", p->numa->cpu_node[i]);
    aml_end(a);
}

void acpi_cpu_hotplug_aml(Aml *a, const AcpiPlatform *p)
{
    aml_device(a, "CPHR");
    aml_named_eisaid(a, "_HID", "PNP0A06");
    aml_named_string(a, "_UID", "CPU hotplug resources");
    aml_named(a, "_CRS");
    aml_resources(a);
    aml_res_io(a, p->cpu_hotplug_port, 1, ACPI_CPUHP_SIZE);
    aml_resources_end(a);
    aml_end(a);
    aml_device(a, "CPUS");
    aml_named_string(a, "_HID", "ACPI0010");
    aml_named_eisaid(a, "_CID", "PNP0A05");
    fields(a, p->cpu_hotplug_port);
    aml_method(a, "COST", 3, true);
    aml_store_arg(a, 0, "CSEL");
    aml_store_int(a, COMMAND_OST_EVENT, "CCMD"), aml_store_arg(a, 1, "CDAT");
    aml_store_int(a, COMMAND_OST_STATUS, "CCMD"), aml_store_arg(a, 2, "CDAT");
    aml_end(a);
    acpi_slots_aml_methods(a, &names, 1, p->max_cpus);
    for (unsigned i = 0; i < p->max_cpus; i++)
        cpu_device(a, p, i);
    aml_end(a);
}

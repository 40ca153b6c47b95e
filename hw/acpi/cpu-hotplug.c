/* SPDX-License-Identifier: MIT */
/* "acpi-cpu-hotplug": places for CPUs as registers (QEMU's interface, its docs/specs/acpi_cpu_hotplug: the one that is not legacy). */
#include "hw/acpi/cpu-hotplug.h"

#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "base/trace.h"
#include "hw/acpi/tables.h"
#include "hw/core/cpu-slots.h"
#include "hw/core/machine.h"

enum { CPUS_MAX = 1024 };
enum { AT_SELECT = 0, AT_DATA2 = 0, AT_FLAGS = 4, AT_COMMAND = 5, AT_DATA = 8 };
enum { FLAG_ENABLED = 1, FLAG_INSERTING = 2, FLAG_REMOVING = 4, FLAG_EJECT = 8, FLAG_FIRMWARE = 16 };
enum { COMMAND_NEXT, COMMAND_OST_EVENT, COMMAND_OST_STATUS, COMMAND_ARCH_ID, OST_EJECT_REQUEST = 3, OST_EJECT = 0x103 };

typedef struct Hotplug {
    Device dev;
    Bus bus;
    uint32_t selector, ost_event;
    uint8_t command;
    uint64_t inserting[CPUS_MAX / 64], removing[CPUS_MAX / 64], firmware[CPUS_MAX / 64];
} Hotplug;

static bool bit(const uint64_t *map, uint32_t n) { return map[n / 64] >> n % 64 & 1; }
static void set_bit(uint64_t *map, uint32_t n, bool on) { map[n / 64] = on ? map[n / 64] | BIT(n % 64) : map[n / 64] & ~BIT(n % 64); }

static const CpuSlots *slots(void)
{
    const Machine *m = machine_current();
    return m ? m->cpu_slots : NULL;
}

static const CpuSlot *selected(const Hotplug *h)
{
    const CpuSlots *s = slots();
    return s && h->selector < MIN(s->count, (unsigned)CPUS_MAX) ? &s->slot[h->selector] : NULL;
}

static void tell_guest(Hotplug *h)
{
    device_out(&h->dev, 0, 1);
    device_out(&h->dev, 0, 0);
}

/* ---- registers ---- */

static uint64_t flags(const Hotplug *h, const CpuSlot *s)
{
    uint32_t n = h->selector;
    return (s->filled ? FLAG_ENABLED : 0) | (bit(h->inserting, n) ? FLAG_INSERTING : 0) | (bit(h->removing, n) ? FLAG_REMOVING : 0) |
           (bit(h->firmware, n) ? FLAG_FIRMWARE : 0);
}

static MemResult cpus_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    const Hotplug *h = opaque;
    const CpuSlot *s = selected(h);
    *value = 0;
    if (!s)
        return MEM_OK;
    if (at == AT_FLAGS)
        *value = flags(h, s);
    else if (at == AT_DATA)
        *value = h->command == COMMAND_NEXT ? h->selector : h->command == COMMAND_ARCH_ID ? s->arch_id : 0;
    return MEM_OK; /* command data 2: upper half of 64-bit ids, which no x86 CPU has */
}

/* The selector goes to the first CPU from itself on, around, that something has happened to; or stays. */
static void find_next(Hotplug *h)
{
    unsigned count = slots() ? MIN(slots()->count, (unsigned)CPUS_MAX) : 0;
    for (unsigned i = 0; i < count; i++) {
        uint32_t n = (h->selector + i) % count;
        if (bit(h->inserting, n) || bit(h->removing, n) || bit(h->firmware, n)) {
            h->selector = n;
            return;
        }
    }
}

static void eject(Hotplug *h, const CpuSlot *s)
{
    if (s->dev && s->dev->unplug_asked) {
        TRACE(acpi_cpu_eject, "CPU %u", h->selector);
        set_bit(h->firmware, h->selector, false);
        device_unplugged(s->dev);
    } else {
        log_guest_error(h->dev.id, "eject of CPU %u: nobody asked for it", h->selector);
    }
}

static void wrote_flags(Hotplug *h, const CpuSlot *s, uint64_t value)
{
    if (value & FLAG_INSERTING)
        set_bit(h->inserting, h->selector, false);
    if (value & FLAG_REMOVING)
        set_bit(h->removing, h->selector, false);
    if (value & FLAG_FIRMWARE)
        set_bit(h->firmware, h->selector, true);
    if (value & FLAG_EJECT)
        eject(h, s);
}

static void wrote_data(Hotplug *h, const CpuSlot *s, uint32_t value)
{
    if (h->command == COMMAND_OST_EVENT)
        h->ost_event = value;
    else if (h->command == COMMAND_OST_STATUS && value && s->dev && (h->ost_event == OST_EJECT_REQUEST || h->ost_event == OST_EJECT))
        warn_reportf("device '%s': the guest does not let it go (status %u)", s->dev->id, value);
}

static MemResult cpus_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Hotplug *h = opaque;
    if (at == AT_SELECT && size == 4)
        h->selector = (uint32_t)value;
    const CpuSlot *s = selected(h);
    if (!s) {
        log_guest_error(h->dev.id, "CPU %u: there is no such place", h->selector);
    } else if (at == AT_FLAGS) {
        wrote_flags(h, s, value & 0xff);
    } else if (at == AT_COMMAND && (value & 0xff) <= COMMAND_ARCH_ID) {
        h->command = (uint8_t)value;
        if (h->command == COMMAND_NEXT)
            find_next(h);
    } else if (at == AT_DATA) {
        wrote_data(h, s, (uint32_t)value);
    }
    return MEM_OK;
}
static const MemOps cpus_ops = { .read = cpus_read, .write = cpus_write, .min_size = 1, .max_size = 4 };

/* ---- CPUs come and go ---- */

static bool may_hot_plug(Bus *b, Device *d, Error **errp) { return true; }

static void set_event(Bus *b, Device *d, uint64_t *map)
{
    Hotplug *h = (Hotplug *)b->parent;
    int n = cpu_slots_find(slots(), d);
    lock_domain_lock(h->dev.domain);
    if (n >= 0 && n < CPUS_MAX)
        set_bit(map, (uint32_t)n, true);
    tell_guest(h);
    lock_domain_unlock(h->dev.domain);
}

static void hot_plugged(Bus *b, Device *d) { set_event(b, d, ((Hotplug *)b->parent)->inserting); }

static bool ask_unplug(Bus *b, Device *d, Error **errp)
{
    set_event(b, d, ((Hotplug *)b->parent)->removing);
    return true;
}

static void unplug(Bus *b, Device *d)
{
    Hotplug *h = (Hotplug *)b->parent;
    int n = cpu_slots_find(slots(), d);
    if (n < 0 || n >= CPUS_MAX)
        return;
    set_bit(h->inserting, (uint32_t)n, false);
    set_bit(h->removing, (uint32_t)n, false);
    set_bit(h->firmware, (uint32_t)n, false);
}

static const BusType slot_bus = { .kind = "cpu-slot", .unplug = unplug, .may_hot_plug = may_hot_plug, .hot_plugged = hot_plugged,
                                  .ask_unplug = ask_unplug };

/* ---- the device ---- */

static bool start(Device *d, Error **errp)
{
    d->region[0] = mem_io_new("acpi-cpu-hotplug", ACPI_CPUHP_SIZE, &cpus_ops, d, d->domain);
    bus_init(&((Hotplug *)d)->bus, &slot_bus, "cpu-slots", d);
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    Hotplug *h = (Hotplug *)d;
    if (phase != RESET_ENTER)
        return;
    h->selector = h->ost_event = h->command = 0; /* what waits for the guest is in its tables after a reset */
    memset(h->inserting, 0, sizeof(h->inserting));
    memset(h->removing, 0, sizeof(h->removing));
    memset(h->firmware, 0, sizeof(h->firmware));
}

static void stop(Device *d)
{
    if (((Hotplug *)d)->bus.type)
        bus_fini(&((Hotplug *)d)->bus);
}

static const StateField state[] = { STATE_U32(Hotplug, selector), STATE_U32(Hotplug, ost_event), STATE_U8(Hotplug, command),
                                    STATE_U64_ARRAY(Hotplug, inserting), STATE_U64_ARRAY(Hotplug, removing), STATE_U64_ARRAY(Hotplug, firmware),
                                    STATE_END_OF_TABLE };
static const char *const provides[] = { "cpu-slot", NULL };
static const char *const pins[] = { "event", NULL };
static const DeviceType type = {
    .name = "acpi-cpu-hotplug", .desc = "ACPI CPU hot plug", .category = "Misc", .size = sizeof(Hotplug), .state = state,
    .provides = provides, .out_pins = pins, .start = start, .reset = reset, .stop = stop,
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

static void store_arg(Aml *a, unsigned arg, const char *field) { aml_op(a, AML_STORE), aml_arg(a, arg), aml_name(a, field); }
static void store_int(Aml *a, unsigned value, const char *field) { aml_op(a, AML_STORE), aml_int(a, value), aml_name(a, field); }

/* CSTA (cpu): its status. CEJ0 (cpu): eject it. COST (cpu, event, status): what the system did. */
static void helpers(Aml *a)
{
    aml_method(a, "CSTA", 1, true);
    store_arg(a, 0, "CSEL");
    aml_if(a);
    aml_op(a, AML_AND), aml_name(a, "CFLG"), aml_int(a, FLAG_ENABLED), aml_null_target(a);
    aml_op(a, AML_RETURN), aml_int(a, 0x0f);
    aml_end(a);
    aml_op(a, AML_RETURN), aml_int(a, 0);
    aml_end(a);
    aml_method(a, "CEJ0", 1, true);
    store_arg(a, 0, "CSEL"), store_int(a, FLAG_EJECT, "CFLG");
    aml_end(a);
    aml_method(a, "COST", 3, true);
    store_arg(a, 0, "CSEL");
    store_int(a, COMMAND_OST_EVENT, "CCMD"), store_arg(a, 1, "CDAT");
    store_int(a, COMMAND_OST_STATUS, "CCMD"), store_arg(a, 2, "CDAT");
    aml_end(a);
}

/* An entry of the MADT as if the CPU were there: the system takes the APIC id from it when the CPU comes. */
static void madt_entry(Aml *a, const AcpiPlatform *p, unsigned i)
{
    GByteArray *entry = acpi_madt_cpu(p, i, true);
    aml_named(a, "_MAT");
    aml_buffer(a, entry->data, entry->len);
    g_byte_array_unref(entry);
}

static void cpu_device(Aml *a, const AcpiPlatform *p, const char *name, unsigned i)
{
    aml_device(a, name);
    aml_named_string(a, "_HID", "ACPI0007");
    aml_named_int(a, "_UID", i);
    aml_method(a, "_STA", 0, true);
    aml_op(a, AML_RETURN), aml_name(a, "CSTA"), aml_int(a, i);
    aml_end(a);
    madt_entry(a, p, i);
    if (p->numa)
        aml_named_int(a, "_PXM", p->numa->cpu_node[i]);
    if (i) { /* the first one stays */
        aml_method(a, "_EJ0", 1, true);
        aml_name(a, "CEJ0"), aml_int(a, i);
        aml_end(a);
    }
    aml_method(a, "_OST", 3, true);
    aml_name(a, "COST"), aml_int(a, i), aml_arg(a, 0), aml_arg(a, 1);
    aml_end(a);
    aml_end(a);
}

/* If (And (Local0, flag)) { Notify (cpu, event); acknowledge } */
static void notify_if(Aml *a, unsigned flag, const char *cpu, unsigned event)
{
    aml_if(a);
    aml_op(a, AML_AND), aml_local(a, 0), aml_int(a, flag), aml_null_target(a);
    aml_op(a, AML_NOTIFY), aml_name(a, cpu), aml_int(a, event);
    store_int(a, flag, "CFLG");
    aml_end(a);
}

void acpi_cpu_hotplug_aml(Aml *a, const AcpiPlatform *p)
{
    char name[5];
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
    helpers(a);
    for (unsigned i = 0; i < p->max_cpus; i++) {
        g_snprintf(name, sizeof(name), "C%03X", i & 0xfff);
        cpu_device(a, p, name, i);
    }
    aml_method(a, "CSCN", 0, true);
    for (unsigned i = 1; i < p->max_cpus; i++) {
        g_snprintf(name, sizeof(name), "C%03X", i & 0xfff);
        store_int(a, i, "CSEL");
        aml_op(a, AML_STORE), aml_name(a, "CFLG"), aml_local(a, 0);
        notify_if(a, FLAG_INSERTING, name, 1);
        notify_if(a, FLAG_REMOVING, name, 3);
    }
    aml_end(a);
    aml_end(a);
}

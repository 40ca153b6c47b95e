/* SPDX-License-Identifier: MIT */
/* "acpi-memory-hotplug": slots of memory modules as registers (the interface that ACPI tables of virtual machines use for PNP0C80). */
#include "hw/acpi/memory-hotplug.h"

#include "base/bits.h"
#include "base/log.h"
#include "hw/mem/memory-device.h"

enum { SLOTS_MAX = 256, FLAG_ENABLED = 1, FLAG_INSERTING = 2, FLAG_REMOVING = 4, FLAG_EJECT = 8 };
enum { AT_SELECT = 0, AT_ADDRESS = 0, AT_OST_EVENT = 4, AT_OST_STATUS = 8, AT_LENGTH = 8, AT_NODE = 0x10, AT_FLAGS = 0x14 };
enum { OST_EJECT_REQUEST = 3, OST_EJECT = 0x103 };

typedef struct Hotplug {
    Device dev;
    Bus bus;
    uint32_t selector, ost_event, ged;
    uint64_t inserting[SLOTS_MAX / 64], removing[SLOTS_MAX / 64];
} Hotplug;

static MemoryDevice *in_slot(uint32_t slot)
{
    MemoryDevice *d = memory_device_first();
    while (d && d->slot != (int)slot)
        d = d->next;
    return slot < SLOTS_MAX ? d : NULL;
}

static bool bit(const uint64_t *map, uint32_t n) { return map[n / 64] >> n % 64 & 1; }

static void set_bit(uint64_t *map, uint32_t n, bool on)
{
    map[n / 64] = on ? map[n / 64] | BIT(n % 64) : map[n / 64] & ~BIT(n % 64);
}

static void tell_guest(Hotplug *h)
{
    h->ged |= ACPI_GED_MEMORY;
    device_out(&h->dev, 0, 1);
    device_out(&h->dev, 0, 0);
}

/* ---- registers ---- */

static uint64_t flags(const Hotplug *h, uint32_t slot)
{
    return (in_slot(slot) ? FLAG_ENABLED : 0) | (bit(h->inserting, slot) ? FLAG_INSERTING : 0) |
           (bit(h->removing, slot) ? FLAG_REMOVING : 0);
}

static MemResult slots_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Hotplug *h = opaque;
    const MemoryDevice *d = in_slot(h->selector);
    uint8_t bytes[ACPI_MEMHP_SIZE + 8] = { 0 };
    *value = 0;
    if (h->selector >= SLOTS_MAX)
        return MEM_OK;
    if (d) {
        store_le(bytes + AT_ADDRESS, 8, d->addr);
        store_le(bytes + AT_LENGTH, 8, d->size);
        store_le(bytes + AT_NODE, 4, d->node);
    }
    bytes[AT_FLAGS] = (uint8_t)flags(h, h->selector);
    *value = load_le(bytes + at, size);
    return MEM_OK;
}

static void wrote_flags(Hotplug *h, uint64_t value)
{
    uint32_t slot = h->selector;
    if (value & FLAG_INSERTING)
        set_bit(h->inserting, slot, false);
    if (value & FLAG_REMOVING)
        set_bit(h->removing, slot, false);
    if (!(value & FLAG_EJECT))
        return;
    const MemoryDevice *d = in_slot(slot);
    if (d && d->dev->unplug_asked)
        device_unplugged(d->dev);
    else
        log_guest_error(h->dev.id, "eject of slot %u: nobody asked for it", slot);
}

static void wrote_status(Hotplug *h, uint32_t status)
{
    const MemoryDevice *d = in_slot(h->selector);
    if (d && status && (h->ost_event == OST_EJECT_REQUEST || h->ost_event == OST_EJECT))
        warn_reportf("device '%s': the guest does not let it go (status %u)", d->dev->id, status);
}

static MemResult slots_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Hotplug *h = opaque;
    if (at == AT_SELECT && size == 4)
        h->selector = (uint32_t)value;
    else if (h->selector >= SLOTS_MAX)
        log_guest_error(h->dev.id, "slot %u: there are 256 at most", h->selector);
    else if (at == AT_OST_EVENT)
        h->ost_event = (uint32_t)value;
    else if (at == AT_OST_STATUS)
        wrote_status(h, (uint32_t)value);
    else if (at == AT_FLAGS)
        wrote_flags(h, value & 0xff);
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

/* ---- modules come and go ---- */

static Hotplug *of_bus(Bus *b) { return (Hotplug *)b->parent; }

static MemoryDevice *of_device(const Device *d)
{
    MemoryDevice *m = memory_device_first();
    while (m && m->dev != d)
        m = m->next;
    return m;
}

static bool may_hot_plug(Bus *b, Device *d, Error **errp) { return true; }

static void set_event(Bus *b, Device *d, uint64_t *map)
{
    Hotplug *h = of_bus(b);
    const MemoryDevice *m = of_device(d);
    lock_domain_lock(h->dev.domain);
    if (m)
        set_bit(map, (uint32_t)m->slot, true);
    tell_guest(h);
    lock_domain_unlock(h->dev.domain);
}

static void hot_plugged(Bus *b, Device *d) { set_event(b, d, of_bus(b)->inserting); }

static bool ask_unplug(Bus *b, Device *d, Error **errp)
{
    set_event(b, d, of_bus(b)->removing);
    return true;
}

static void unplug(Bus *b, Device *d)
{
    const MemoryDevice *m = of_device(d);
    if (!m)
        return;
    set_bit(of_bus(b)->inserting, (uint32_t)m->slot, false);
    set_bit(of_bus(b)->removing, (uint32_t)m->slot, false);
}

static const BusType slot_bus = { .kind = "memory-slot", .unplug = unplug, .may_hot_plug = may_hot_plug, .hot_plugged = hot_plugged,
                                  .ask_unplug = ask_unplug };

/* ---- the device ---- */

static bool start(Device *d, Error **errp)
{
    d->region[0] = mem_io_new("acpi-memory-hotplug", ACPI_MEMHP_SIZE, &slots_regs, d, d->domain);
    d->region[1] = mem_io_new("acpi-ged", ACPI_GED_SIZE, &ged_ops, d, d->domain);
    bus_init(&((Hotplug *)d)->bus, &slot_bus, "memory-slots", d);
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    Hotplug *h = (Hotplug *)d;
    if (phase != RESET_ENTER)
        return;
    h->selector = h->ost_event = h->ged = 0; /* what waits for the guest is in its tables after a reset */
    memset(h->inserting, 0, sizeof(h->inserting));
    memset(h->removing, 0, sizeof(h->removing));
}

static void stop(Device *d)
{
    if (((Hotplug *)d)->bus.type)
        bus_fini(&((Hotplug *)d)->bus);
}

static const StateField state[] = { STATE_U32(Hotplug, selector), STATE_U32(Hotplug, ost_event), STATE_U32(Hotplug, ged),
                                    STATE_U64_ARRAY(Hotplug, inserting), STATE_U64_ARRAY(Hotplug, removing), STATE_END_OF_TABLE };
static const char *const provides[] = { "memory-slot", NULL };
static const char *const pins[] = { "event", NULL };
static const DeviceType type = {
    .name = "acpi-memory-hotplug", .desc = "ACPI memory hot plug", .category = "Misc", .size = sizeof(Hotplug), .state = state,
    .provides = provides, .out_pins = pins, .start = start, .reset = reset, .stop = stop,
};
DEVICE_REGISTER(type)

/* ---- AML ---- */

static void fields(Aml *a, AmlSpace space, uint64_t base)
{
    static const char *const reads[] = { "MRBL", "MRBH", "MRLL", "MRLH", "MPX", NULL }, *const writes[] = { "MSEL", "MOEV", "MOSC", NULL };
    aml_region(a, "MHPR", space, base, ACPI_MEMHP_SIZE);
    aml_field(a, "MHPR", AML_DWORD_ACC);
    for (const char *const *n = reads; *n; n++)
        aml_field_unit(a, *n, 32);
    aml_end(a);
    aml_field(a, "MHPR", AML_DWORD_ACC);
    for (const char *const *n = writes; *n; n++)
        aml_field_unit(a, *n, 32);
    aml_end(a);
    aml_field(a, "MHPR", AML_BYTE_ACC);
    aml_field_unit(a, NULL, AT_FLAGS * 8);
    aml_field_unit(a, "MFLG", 8);
    aml_end(a);
}

static void store(Aml *a, const char *field, unsigned arg)
{
    aml_op(a, AML_STORE), aml_arg(a, arg), aml_name(a, field);
}

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
    store(a, "MSEL", 0);
    join(a, "MRBL", "MRBH", 0);
    join(a, "MRLL", "MRLH", 1);
    aml_op(a, AML_STORE), aml_local(a, 0), aml_name(a, "MIN");
    aml_op(a, AML_STORE), aml_local(a, 1), aml_name(a, "LEN");
    aml_op(a, AML_ADD), aml_local(a, 0), aml_local(a, 1), aml_local(a, 0);
    aml_op(a, AML_SUBTRACT), aml_local(a, 0), aml_int(a, 1), aml_name(a, "MAX");
    aml_op(a, AML_RETURN), aml_name(a, "MR64");
    aml_end(a);
}

static void helpers(Aml *a)
{
    aml_method(a, "MSTA", 1, true);
    store(a, "MSEL", 0);
    aml_if(a);
    aml_op(a, AML_AND), aml_name(a, "MFLG"), aml_int(a, FLAG_ENABLED), aml_null_target(a);
    aml_op(a, AML_RETURN), aml_int(a, 0x0f);
    aml_end(a);
    aml_op(a, AML_RETURN), aml_int(a, 0);
    aml_end(a);
    aml_method(a, "MPXM", 1, true);
    store(a, "MSEL", 0);
    aml_op(a, AML_RETURN), aml_name(a, "MPX");
    aml_end(a);
    aml_method(a, "MOST", 3, true);
    store(a, "MSEL", 0), store(a, "MOEV", 1), store(a, "MOSC", 2);
    aml_end(a);
    aml_method(a, "MEJT", 1, true);
    store(a, "MSEL", 0);
    aml_op(a, AML_STORE), aml_int(a, FLAG_EJECT), aml_name(a, "MFLG");
    aml_end(a);
    current_resources(a);
}

static void returning_call(Aml *a, const char *name, const char *callee, unsigned slot)
{
    aml_method(a, name, 0, true);
    aml_op(a, AML_RETURN), aml_name(a, callee), aml_int(a, slot);
    aml_end(a);
}

static void slot_device(Aml *a, const char *name, unsigned slot)
{
    aml_device(a, name);
    aml_named_eisaid(a, "_HID", "PNP0C80");
    aml_named_int(a, "_UID", slot);
    returning_call(a, "_STA", "MSTA", slot);
    returning_call(a, "_CRS", "MCRS", slot);
    returning_call(a, "_PXM", "MPXM", slot);
    aml_method(a, "_OST", 3, true);
    aml_name(a, "MOST"), aml_int(a, slot), aml_arg(a, 0), aml_arg(a, 1);
    aml_end(a);
    aml_method(a, "_EJ0", 1, true);
    aml_name(a, "MEJT"), aml_int(a, slot);
    aml_end(a);
    aml_end(a);
}

/* If (And (Local0, flag)) { Notify (slot, event); acknowledge } */
static void notify_if(Aml *a, unsigned flag, const char *slot, unsigned event)
{
    aml_if(a);
    aml_op(a, AML_AND), aml_local(a, 0), aml_int(a, flag), aml_null_target(a);
    aml_op(a, AML_NOTIFY), aml_name(a, slot), aml_int(a, event);
    aml_op(a, AML_STORE), aml_int(a, flag), aml_name(a, "MFLG");
    aml_end(a);
}

void acpi_memory_hotplug_aml(Aml *a, unsigned slots, AmlSpace space, uint64_t base)
{
    char name[5];
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
    helpers(a);
    for (unsigned i = 0; i < slots; i++) {
        g_snprintf(name, sizeof(name), "MP%02X", i & 0xff);
        slot_device(a, name, i);
    }
    aml_method(a, "MSCN", 0, true);
    for (unsigned i = 0; i < slots; i++) {
        g_snprintf(name, sizeof(name), "MP%02X", i & 0xff);
        aml_op(a, AML_STORE), aml_int(a, i), aml_name(a, "MSEL");
        aml_op(a, AML_STORE), aml_name(a, "MFLG"), aml_local(a, 0);
        notify_if(a, FLAG_INSERTING, name, 1);
        notify_if(a, FLAG_REMOVING, name, 3);
    }
    aml_end(a);
    aml_end(a);
}

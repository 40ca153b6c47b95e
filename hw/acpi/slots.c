/* SPDX-License-Identifier: MIT */
/* Slots with hot plug by ACPI: events, ejection, and the methods that look at them. */
#include "hw/acpi/slots.h"

#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "base/trace.h"

enum { OST_EJECT_REQUEST = 3, OST_EJECT = 0x103 }; /* ACPI 6.4 section 6.3.5 */

static const AcpiSlotsClass *class_of(const AcpiSlots *s) { return s->dev.type->class_data; }

void slot_set_bit(uint64_t *map, uint32_t n, bool on)
{
    map[n / 64] = on ? map[n / 64] | BIT(n % 64) : map[n / 64] & ~BIT(n % 64);
}

/* ---- registers ---- */

uint8_t acpi_slots_flags(const AcpiSlots *s)
{
    uint32_t n = s->selector;
    return (uint8_t)((class_of(s)->filled(n) ? SLOT_ENABLED : 0) | (slot_bit(s->inserting, n) ? SLOT_INSERTING : 0) |
                     (slot_bit(s->removing, n) ? SLOT_REMOVING : 0));
}

static void eject(AcpiSlots *s)
{
    Device *d = class_of(s)->in_slot(s->selector);
    if (!d || !d->unplug_asked) {
        log_guest_error(s->dev.id, "eject of %s %u: nobody asked for it", class_of(s)->what, s->selector);
        return;
    }
    TRACE(acpi_eject, "%s %u", class_of(s)->what, s->selector);
    slot_set_bit(s->inserting, s->selector, false);
    slot_set_bit(s->removing, s->selector, false);
    if (class_of(s)->gone)
        class_of(s)->gone(s, s->selector);
    device_unplugged(d);
}

void acpi_slots_wrote_flags(AcpiSlots *s, uint8_t flags)
{
    if (flags & SLOT_INSERTING)
        slot_set_bit(s->inserting, s->selector, false);
    if (flags & SLOT_REMOVING)
        slot_set_bit(s->removing, s->selector, false);
    if (flags & SLOT_EJECT)
        eject(s);
}

void acpi_slots_wrote_status(AcpiSlots *s, uint32_t status)
{
    const Device *d = class_of(s)->in_slot(s->selector);
    if (d && status && (s->ost_event == OST_EJECT_REQUEST || s->ost_event == OST_EJECT))
        warn_reportf("device '%s': the guest does not let it go (status %u)", d->id, status);
}

/* ---- devices come and go ---- */

static AcpiSlots *of_bus(Bus *b) { return (AcpiSlots *)b->parent; }

bool acpi_slots_may_hot_plug(Bus *b, Device *d, Error **errp) { return true; }

static void set_event(AcpiSlots *s, Device *d, uint64_t *map)
{
    int n = class_of(s)->find(d);
    lock_domain_lock(s->dev.domain);
    if (n >= 0 && n < ACPI_SLOTS_MAX)
        slot_set_bit(map, (uint32_t)n, true);
    if (class_of(s)->told)
        class_of(s)->told(s, d);
    device_out(&s->dev, 0, 1);
    device_out(&s->dev, 0, 0);
    lock_domain_unlock(s->dev.domain);
}

void acpi_slots_hot_plugged(Bus *b, Device *d) { set_event(of_bus(b), d, of_bus(b)->inserting); }

bool acpi_slots_ask_unplug(Bus *b, Device *d, Error **errp)
{
    set_event(of_bus(b), d, of_bus(b)->removing);
    return true;
}

/* ---- the base type ---- */

static bool start(Device *d, Error **errp)
{
    AcpiSlots *s = (AcpiSlots *)d;
    bus_init(&s->bus, &class_of(s)->bus, class_of(s)->bus_name, d);
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    AcpiSlots *s = (AcpiSlots *)d;
    if (phase != RESET_ENTER)
        return;
    s->selector = s->ost_event = 0; /* what waits for the guest is in its tables after a reset */
    memset(s->inserting, 0, sizeof(s->inserting));
    memset(s->removing, 0, sizeof(s->removing));
}

static void stop(Device *d)
{
    if (((AcpiSlots *)d)->bus.type)
        bus_fini(&((AcpiSlots *)d)->bus);
}

static const StateField state[] = { STATE_U32(AcpiSlots, selector), STATE_U32(AcpiSlots, ost_event),
                                    STATE_U64_ARRAY(AcpiSlots, inserting), STATE_U64_ARRAY(AcpiSlots, removing),
                                    STATE_END_OF_TABLE };
static const char *const pins[] = { "event", NULL };
const DeviceType acpi_slots_type = {
    .name = "acpi-slots",
    .desc = "slots with ACPI hot plug",
    .category = "Misc",
    .size = sizeof(AcpiSlots),
    .state = state,
    .out_pins = pins,
    .start = start,
    .reset = reset,
    .stop = stop,
};

/* ---- AML ---- */

void aml_store_int(Aml *a, uint64_t value, const char *field)
{
    aml_op(a, AML_STORE), aml_int(a, value), aml_name(a, field);
}
void aml_store_arg(Aml *a, unsigned arg, const char *field)
{
    aml_op(a, AML_STORE), aml_arg(a, arg), aml_name(a, field);
}

/* If (And (Local0, flag)) { Notify (device, event); acknowledge } */
static void notify_if(Aml *a, const AcpiSlotsNames *n, unsigned flag, const char *device, unsigned event)
{
    aml_if(a);
    aml_op(a, AML_AND), aml_local(a, 0), aml_int(a, flag), aml_null_target(a);
    aml_op(a, AML_NOTIFY), aml_name(a, device), aml_int(a, event);
    aml_store_int(a, flag, n->flags);
    aml_end(a);
}

static void device_name(const AcpiSlotsNames *n, unsigned slot, char out[5])
{
    g_snprintf(out, 5, n->device, slot & 0xfff);
}

void acpi_slots_aml_methods(Aml *a, const AcpiSlotsNames *n, unsigned first, unsigned count)
{
    char device[5];
    aml_method(a, n->status, 1, true);
    aml_store_arg(a, 0, n->select);
    aml_if(a);
    aml_op(a, AML_AND), aml_name(a, n->flags), aml_int(a, SLOT_ENABLED), aml_null_target(a);
    aml_op(a, AML_RETURN), aml_int(a, 0x0f);
    aml_end(a);
    aml_op(a, AML_RETURN), aml_int(a, 0);
    aml_end(a);
    aml_method(a, n->eject, 1, true);
    aml_store_arg(a, 0, n->select), aml_store_int(a, SLOT_EJECT, n->flags);
    aml_end(a);
    aml_method(a, n->scan, 0, true);
    for (unsigned i = first; i < count; i++) {
        device_name(n, i, device);
        aml_store_int(a, i, n->select);
        aml_op(a, AML_STORE), aml_name(a, n->flags), aml_local(a, 0);
        notify_if(a, n, SLOT_INSERTING, device, 1);
        notify_if(a, n, SLOT_REMOVING, device, 3);
    }
    aml_end(a);
}

void acpi_slots_aml_device(Aml *a, const AcpiSlotsNames *n, const char *hid, unsigned slot, bool may_go)
{
    char device[5];
    device_name(n, slot, device);
    aml_device(a, device);
    if (g_str_has_prefix(hid, "PNP"))
        aml_named_eisaid(a, "_HID", hid);
    else
        aml_named_string(a, "_HID", hid);
    aml_named_int(a, "_UID", slot);
    aml_method(a, "_STA", 0, true);
    aml_op(a, AML_RETURN), aml_name(a, n->status), aml_int(a, slot);
    aml_end(a);
    if (may_go) {
        aml_method(a, "_EJ0", 1, true);
        aml_name(a, n->eject), aml_int(a, slot);
        aml_end(a);
    }
    aml_method(a, "_OST", 3, true);
    aml_name(a, n->ost), aml_int(a, slot), aml_arg(a, 0), aml_arg(a, 1);
    aml_end(a);
}

/* SPDX-License-Identifier: MIT */
/*
 * "vmgenid": the identifier lies in a page of its own; loading a saved machine gives another one and tells the guest by
 * ACPI.
 */
#include "hw/misc/vmgenid.h"
#include <string.h>
#include "base/bits.h"
#include "hw/core/machine.h"

#define PAGE_AT UINT64_C(0xfed3f000) /* chipset addresses that no board uses */
enum { PAGE_SIZE = 4096, GUID_AT = 40 };

typedef struct VmGenId {
    Device dev;
    char *guid_prop;
    char guid[37];
    MemRegion *page;
} VmGenId;

static VmGenId *the_id;
static Irq the_event;

uint64_t vmgenid_address(void) { return the_id ? PAGE_AT + GUID_AT : 0; }
void vmgenid_set_event(Irq event) { the_event = event; }
const char *vmgenid_guid(void) { return the_id ? the_id->guid : NULL; }

static bool is_auto(const VmGenId *g) { return !strcmp(g->guid_prop, "auto"); }

/* As ACPI has them: the first three groups are little-endian numbers. */
static void show(VmGenId *g)
{
    static const uint8_t at[16] = { 6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34 };
    uint8_t bytes[16];
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(g_ascii_xdigit_value(g->guid[at[i]]) << 4 | g_ascii_xdigit_value(g->guid[at[i] + 1]));
    memcpy((uint8_t *)mem_host(g->page) + GUID_AT, bytes, sizeof(bytes));
}

static void choose(VmGenId *g)
{
    g_autofree char *random = is_auto(g) ? g_uuid_string_random() : NULL;
    g_strlcpy(g->guid, random ? random : g->guid_prop, sizeof(g->guid));
    show(g);
}

/* The machine was loaded, memory too: from here on it lives another life than the one that was saved. */
static void part_loaded(void *opaque)
{
    if (!the_id)
        return;
    choose(the_id);
    irq_pulse(&the_event);
}
static const MachinePart part = { .name = "vmgenid", .loaded = part_loaded };

static bool start(Device *d, Error **errp)
{
    VmGenId *g = (VmGenId *)d;
    if (the_id) {
        error_setf(errp, "device '%s': the machine has a generation identifier already ('%s')", d->id, the_id->dev.id);
        return false;
    }
    if (!g->guid_prop || (!is_auto(g) && !g_uuid_string_is_valid(g->guid_prop))) {
        error_setf(errp, "device '%s': guid=%s: write auto or 12345678-1234-1234-1234-123456789abc", d->id,
                   g->guid_prop ? g->guid_prop : "");
        return false;
    }
    g->page = mem_rom_new("vmgenid", PAGE_SIZE, NULL, 0, errp);
    if (!g->page)
        return false;
    mem_map(machine_current()->memory, PAGE_AT, g->page, 1);
    choose(g);
    the_id = g;
    machine_part_add(&part, NULL);
    return true;
}

static void stop(Device *d)
{
    VmGenId *g = (VmGenId *)d;
    mem_region_free(g->page);
    if (the_id == g)
        the_id = NULL;
}

static void info(Device *d, GString *out) { g_string_append_printf(out, "guid: %s\n", ((VmGenId *)d)->guid); }

static const Property props[] = { DEFINE_PROP_STRING("guid", VmGenId, guid_prop, "auto", "the identifier, or auto"),
                                  DEFINE_PROP_END };
static const DeviceType type = { .name = "vmgenid",
                                 .desc = "generation identifier of the machine",
                                 .category = "Misc",
                                 .size = sizeof(VmGenId),
                                 .user_creatable = true,
                                 .props = props,
                                 .start = start,
                                 .stop = stop,
                                 .info = info };
DEVICE_REGISTER(type)

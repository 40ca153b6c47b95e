/* SPDX-License-Identifier: MIT */
/* Memory of a PC: RAM below and above 4 GiB, the BIOS, the interrupt message window, ranges that are not modelled. */
#include <inttypes.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/acpi/memory-hotplug.h"
#include "hw/acpi/nfit.h"
#include "hw/i386/pc-board.h"
#include "hw/intc/apic.h"
#include "hw/mem/memory-device.h"
#include "hw/misc/vmgenid.h"

#define HIGH_RAM (4 * GiB)
#define BIOS_MAX (16 * MiB)
#define BIOS_SHADOW_MAX (128 * KiB)

enum { PRIO_UNMODELLED = -10, PRIO_PCI = -1, PRIO_RAM = 0, PRIO_DEVICE = 3 };

static MemRegion *map_new(MemRegion *into, hwaddr at, MemRegion *r, int priority)
{
    mem_map(into, at, r, priority);
    return r;
}

static uint64_t low_limit(const PcBoard *b)
{
    const PcModel *model = b->model;
    uint64_t size = b->machine.config.ram_size,
             limit = size >= model->low_limit ? model->low_split : model->low_limit;

    return b->max_ram_below_4g ? MIN(limit, b->max_ram_below_4g) : limit;
}

bool pc_board_add_ram(PcBoard *b, Error **errp)
{
    Machine *m = &b->machine;
    uint64_t size = m->config.ram_size, limit = low_limit(b);

    if (b->max_ram_below_4g && (b->max_ram_below_4g < MiB || b->max_ram_below_4g % MiB)) {
        error_setf(errp, "machine '%s': max-ram-below-4g must be a multiple of 1 MiB",
                   m->type->name);
        return false;
    }
    if (size < MiB) {
        error_setf(errp,
                   "machine '%s': %" PRIu64 " bytes of memory are too few, it needs 1 MiB; see -m",
                   m->type->name, size);
        return false;
    }
    if (!machine_make_ram(m, errp))
        return false;
    b->below_4g = MIN(size, limit);
    b->above_4g = size - b->below_4g;
    b->ram_low =
        map_new(m->memory, 0, mem_alias_new("ram-below-4g", m->ram, 0, b->below_4g), PRIO_RAM);
    if (b->above_4g)
        b->ram_high =
            map_new(m->memory, HIGH_RAM,
                    mem_alias_new("ram-above-4g", m->ram, b->below_4g, b->above_4g), PRIO_RAM);
    b->pci = map_new(m->memory, 0, mem_container_new("pci", UINT64_MAX), PRIO_PCI);
    b->apic_window = map_new(m->memory, APIC_DEFAULT_BASE, apic_window_new(), PRIO_DEVICE);
    if (b->smm != PC_OFF) {
        m->smm = mem_container_new("smm", UINT64_MAX);
        b->smm_memory =
            map_new(m->smm, 0, mem_alias_new("smm-memory", m->memory, 0, UINT64_MAX), PRIO_RAM);
        m->as_smm = as_new("smm", m->smm);
    }
    return true;
}

/* ---- Memory devices ---- */

/* General purpose event n. */
static void gpe_event(void *opaque, int n, int level)
{
    if (level)
        pc_board_raise_gpe(opaque, (unsigned)n);
}

bool pc_board_add_memory_slots(PcBoard *b, Error **errp)
{
    Machine *m = &b->machine;

    memory_devices_init(m, HIGH_RAM + b->above_4g);
    vmgenid_set_event((Irq){ .set = gpe_event, .opaque = b, .n = VMGENID_GPE });
    if (!m->config.ram_slots)
        return true;
    b->memory_hotplug = device_new_named("acpi-memory-hotplug", "memory-hotplug", errp);
    if (!b->memory_hotplug)
        return false;
    device_connect(b->memory_hotplug, "event", 0, (Irq){ .set = gpe_event, .opaque = b, .n = ACPI_MEMHP_GPE });
    device_connect(b->memory_hotplug, "nvdimm", 0, (Irq){ .set = gpe_event, .opaque = b, .n = ACPI_NVDIMM_GPE });
    if (!device_start(b->memory_hotplug, errp))
        return false;
    mem_map(m->io, ACPI_MEMHP_PORT, b->memory_hotplug->region[0], 0);
    mem_map(m->io, ACPI_NVDIMM_PORT, b->memory_hotplug->region[2], 0);
    return true;
}

unsigned pc_board_e820(const PcBoard *b, E820Entry out[2])
{
    out[0] = (E820Entry){ .addr = 0, .len = b->below_4g, .type = E820_RAM };
    out[1] = (E820Entry){ .addr = HIGH_RAM, .len = b->above_4g, .type = E820_RAM };
    return b->above_4g ? 2 : 1;
}

/* The image ends at 4 GiB; its last 128 KiB also show below 1 MiB, until PAM covers them with RAM. */
bool pc_board_load_bios(PcBoard *b, const char *dflt, Error **errp)
{
    const MachineConfig *c = &b->machine.config;
    const char *name = c->bios ? c->bios : dflt;
    uint64_t size, low;

    b->bios_image = firmware_read(c, name, BIOS_MAX, errp);
    if (!b->bios_image)
        return false;
    size = g_bytes_get_size(b->bios_image);
    if (size % (64 * KiB)) {
        error_setf(errp,
                   "firmware '%s': its %" PRIu64
                   " bytes are not a multiple of 64 KiB; this is no BIOS image",
                   name, size);
        return false;
    }
    low = MIN(size, BIOS_SHADOW_MAX);
    b->bios = mem_rom_new("bios", size, g_bytes_get_data(b->bios_image, NULL), size, errp);
    if (!b->bios)
        return false;
    mem_map(b->pci, HIGH_RAM - size, b->bios, 0);
    b->bios_low =
        map_new(b->pci, MiB - low, mem_alias_new("bios-below-1m", b->bios, size - low, low), 1);
    return true;
}

/* ---- Ranges that are decoded, but not modelled ---- */

void pc_board_add_unmodelled(PcBoard *b, const UnmodelledRange *ranges)
{
    if (!b->unmodelled)
        b->unmodelled = g_ptr_array_new_with_free_func((GDestroyNotify)mem_region_free);
    for (const UnmodelledRange *u = ranges; u->name; u++) {
        MemRegion *r = unmodelled_new(u, UINT64_MAX);
        mem_map(u->io ? b->machine.io : b->pci, u->base, r, PRIO_UNMODELLED);
        g_ptr_array_add(b->unmodelled, r);
    }
}

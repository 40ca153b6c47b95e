/* SPDX-License-Identifier: MIT */
/* Composition of q35 and pc: CPUs, interrupt controllers, chipset, ISA devices, fw_cfg, boot. */
#include <inttypes.h>
#include <stdarg.h>
#include "base/bits.h"
#include "chardev/chardev.h"
#include "hw/block/floppy.h"
#include "hw/core/cpu-slots.h"
#include "hw/i386/pc-acpi.h"
#include "hw/i386/pc-board.h"
#include "hw/ide/ata.h"
#include "hw/intc/apic.h"
#include "hw/mem/memory-device.h"
#include "hw/timer/mc146818rtc.h"

#define HPET_BASE 0xfed00000u

enum { PRIO_DEVICE = 3, CMOS_CPUS = 0x5f /* the BIOS waits for so many more */ };

const char *const pc_switch_names[] = { "auto", "on", "off", NULL };
const char *const pc_irqchip_names[] = { "on", "off", "split", NULL };

/* ---- Events ---- */

void pc_board_raise_gpe(PcBoard *b, unsigned gpe)
{
    lock_domain_lock(b->pm->owner->domain);
    acpi_pm_raise_gpe(b->pm, gpe);
    lock_domain_unlock(b->pm->owner->domain);
}

void pc_board_nmi(Machine *m)
{
    for (unsigned i = 0; i < cpu_port_count(); i++) {
        CpuPort *p = cpu_port(i);
        if (p && p->ops)
            p->ops->set_line(p, CPU_LINE_NMI, true);
    }
}

/* ---- ISA devices and interrupts ---- */

Device *pc_board_isa_device(PcBoard *b, const char *type, const char *id, Error **errp, ...)
{
    Device *d = isa_new(b->isa, type, id, errp);
    bool ok = d;
    va_list ap;

    va_start(ap, errp);
    for (const char *prop = va_arg(ap, const char *); ok && prop; prop = va_arg(ap, const char *))
        ok = device_set(d, prop, va_arg(ap, const char *), errp);
    va_end(ap);
    return ok && device_start(d, errp) ? d : NULL;
}

bool pc_board_add_irqchip(PcBoard *b, bool with_pic, Error **errp)
{
    Machine *m = &b->machine;

    if (with_pic && !(b->pic = pc_board_isa_device(b, "isa-i8259", "pic", errp, NULL)))
        return false;
    b->ioapic = device_new_named("ioapic", "ioapic", errp);
    if (!b->ioapic || !device_start(b->ioapic, errp))
        return false;
    mem_map(m->memory, IOAPIC_DEFAULT_BASE, b->ioapic->region[0], PRIO_DEVICE);
    gsi_router_init(&b->gsi, b->pic, b->ioapic);
    for (unsigned i = 0; i < ISA_IRQ_COUNT; i++)
        b->isa->irq[i] = b->gsi.irq[i];
    if (b->pic)
        apic_connect_pic(device_find("apic0"), b->pic);
    return true;
}

/* With an HPET the PIT's and the RTC's interrupts pass through it (legacy replacement). */
static bool add_hpet(PcBoard *b, Error **errp)
{
    g_autofree char *lines = g_strdup_printf("%#x", b->model->hpet_lines);

    b->hpet = device_new_named("hpet", "hpet", errp);
    if (!b->hpet || !device_set(b->hpet, "hpet-intcap", lines, errp))
        return false;
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        device_connect(b->hpet, "irq", i, b->gsi.irq[i]);
    if (!device_start(b->hpet, errp))
        return false;
    mem_map(b->machine.memory, HPET_BASE, b->hpet->region[0], PRIO_DEVICE);
    return true;
}

static Device *add_timer(PcBoard *b, const char *type, unsigned legacy, unsigned irq, Error **errp)
{
    const MachineConfig *c = &b->machine.config;
    Device *d = isa_new(b->isa, type, type, errp);

    if (!d)
        return NULL;
    device_connect(d, "irq", 0,
                   b->hpet ? device_input(b->hpet, "legacy", legacy) : b->gsi.irq[irq]);
    if (irq == 8 && c->rtc_base && !device_set(d, "base", c->rtc_base, errp))
        return NULL;
    if (irq == 8 && c->rtc_clock && !device_set(d, "clock", c->rtc_clock, errp))
        return NULL;
    return device_start(d, errp) ? d : NULL;
}

bool pc_board_add_timers(PcBoard *b, Error **errp)
{
    if (!b->machine.config.no_hpet && !add_hpet(b, errp))
        return false;
    b->rtc = add_timer(b, "mc146818rtc", 1, 8, errp);
    if (!b->rtc)
        return false;
    if (b->pit_switch == PC_OFF)
        return true;
    b->pit = add_timer(b, "isa-pit", 0, 0, errp);
    return b->pit && pc_board_isa_device(b, "isa-pcspk", "pcspk", errp, "pit", b->pit->id, NULL);
}

bool pc_board_add_serial(PcBoard *b, Error **errp)
{
    const MachineConfig *c = &b->machine.config;

    for (unsigned i = 0; i < ARRAY_LEN(c->serial); i++) {
        char index[2] = { (char)('0' + i), 0 }, id[] = "serial0";
        id[6] = index[0];
        if (c->serial[i] && !pc_board_isa_device(b, "isa-serial", id, errp, "index", index,
                                                 "chardev", chardev_id(c->serial[i]), NULL))
            return false;
    }
    return !c->debugcon || pc_board_isa_device(b, "isa-debugcon", "debugcon", errp, "chardev",
                                               chardev_id(c->debugcon), NULL);
}

static bool add_keyboard(PcBoard *b, Error **errp)
{
    static const char *const types[] = { "i8042", "port92" };

    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        Device *d;
        if (!strcmp(types[i], "i8042") && !b->i8042)
            continue;
        d = isa_new(b->isa, types[i], types[i], errp);
        if (!d)
            return false;
        device_connect(d, "a20", 0, CPU_PORTS_A20_IRQ);
        if (!device_start(d, errp))
            return false;
    }
    return true;
}

static void set_boot_order(PcBoard *b, const char *order)
{
    mc146818_set_boot_order(b->rtc, order ? order : "cad");
}

/*
 * The first four disks in the CMOS RAM, as BIOSes of PC/ATs keep them: type 47 with its geometry for two, and for each
 * whether the BIOS shows its geometry or one made from the number of sectors (byte 39h: two bits a disk; 0: its own, 1:
 * LBA).
 */
static void fill_cmos_disks(PcBoard *b)
{
    enum { TYPES = 0x12, EXTENDED = 0x19, TABLE = 0x1b, TABLE_SIZE = 9, TRANSLATION = 0x39, USER_TYPE = 47 };
    uint8_t types = 0, translation = 0;

    for (unsigned n = 0; n < 4; n++) {
        const AtaDrive *a = ide_disk(n / 2, n % 2);
        if (!a)
            continue;
        bool large = a->geometry.cyls > 1024 || a->geometry.heads > 16 || a->geometry.secs > 63;
        int how = a->translation != ATA_TRANS_AUTO ? a->translation : large ? ATA_TRANS_LBA : ATA_TRANS_NONE;
        translation |= (uint8_t)(how << 2 * n);
        if (n > 1)
            continue;
        const uint8_t cyls[] = { a->geometry.cyls & 0xff, (uint8_t)(a->geometry.cyls >> 8) };
        const uint8_t entry[TABLE_SIZE] = { cyls[0], cyls[1], (uint8_t)a->geometry.heads,
                                            0xff,    0xff,    0xc0 | (a->geometry.heads > 8 ? 8 : 0),
                                            cyls[0], cyls[1], (uint8_t)a->geometry.secs };
        types |= n ? 0x0f : 0xf0;
        mc146818_set(b->rtc, EXTENDED + n, USER_TYPE);
        for (unsigned i = 0; i < TABLE_SIZE; i++)
            mc146818_set(b->rtc, TABLE + n * TABLE_SIZE + i, entry[i]);
    }
    mc146818_set(b->rtc, TYPES, types);
    mc146818_set(b->rtc, TRANSLATION, translation);
}

static void fill_cmos_floppies(PcBoard *b)
{
    uint8_t a = floppy_cmos_type(0), second = floppy_cmos_type(1);

    mc146818_set(b->rtc, 0x10, (uint8_t)(a << 4 | second));
    /* equipment: FPU, PS/2 mouse, floppy drives */
    mc146818_set(b->rtc, 0x14, (uint8_t)(0x06 | (a || second) | (a && second) << 6));
}

void pc_board_reset(Machine *m)
{
    PcBoard *b = pc_board(m);

    fill_cmos_disks(b);
    mc146818_set(b->rtc, CMOS_CPUS, (uint8_t)(pc_board_cpus(b) - 1));
    fw_cfg_set_u16(b->fw, FW_CFG_NB_CPUS, (uint16_t)pc_board_cpus(b));
    fill_cmos_floppies(b);
    host_bridge(b->host)->resuming = b->pm->suspended;
    if (b->booted_once && !m->config.boot_once) {
        set_boot_order(b, m->config.boot_order);
        b->booted_once = false;
    }
}

static void fill_cmos(PcBoard *b)
{
    const MachineConfig *c = &b->machine.config;

    mc146818_set_memory(b->rtc, b->below_4g, b->above_4g);
    b->booted_once = c->boot_once != NULL;
    set_boot_order(b, c->boot_once ? c->boot_once : c->boot_order);
    mc146818_set(b->rtc, CMOS_CPUS, (uint8_t)(c->cpus - 1));
}

/* ---- Chipset ---- */

static bool check_options(PcBoard *b, Error **errp)
{
    const char *name = b->machine.type->name;

    if (b->usb) {
        error_setf(errp,
                   "machine '%s': usb=on: there is no USB controller in this version; leave it out",
                   name);
        return false;
    }
    if (b->vmport == PC_ON) {
        error_setf(errp,
                   "machine '%s': vmport=on: the back door port is not modelled; leave it out",
                   name);
        return false;
    }
    return true;
}

static bool add_chipset(PcBoard *b, Error **errp)
{
    const PcModel *model = b->model;
    Machine *m = &b->machine;
    HostBridge *h;

    b->host = device_new_named(model->host_type, "pcihost", errp);
    if (!b->host)
        return false;
    h = host_bridge(b->host);
    h->io = m->io;
    h->as_memory = m->as_memory;
    h->spaces = (SmramSpaces){.system = m->memory,
                              .smm = m->smm,
                              .pci = b->pci,
                              .ram = m->ram,
                              .ram_below_4g = b->below_4g};
    if (!device_start(b->host, errp))
        return false;
    b->mch = pci_new(&h->bus, model->north_type, model->north_type, 0, errp);
    if (!b->mch || !device_start(&b->mch->dev, errp))
        return false;
    b->south = pci_new(&h->bus, model->south_type, model->south_type, model->south_devfn, errp);
    if (!b->south)
        return false;
    device_set_default(&b->south->dev, "multifunction", "on");
    if (model->south_has_smm)
        device_set_default(&b->south->dev, "smm", b->smm == PC_OFF ? "off" : "on");
    return device_start(&b->south->dev, errp);
}

/* The bridge is started: its ISA bus and interrupt outputs get their lines. */
static bool connect_south(PcBoard *b, Error **errp)
{
    if (!pc_board_add_irqchip(b, true, errp))
        return false;
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        device_connect(&b->south->dev, "gsi", i, b->gsi.irq[i]);
    return b->model->add_functions(b, errp);
}

/* Ports that a PC has and this one does not; "quiet": written as a delay by design. */
static const UnmodelledRange pc_ranges[] = {
    { "post-code", 0x80, 1, true, true }, { "delay-port", 0xed, 1, true, true },
    { "fpu-error", 0xf0, 2, true },
    { "ide-secondary", 0x170, 8, true }, { "ide-primary", 0x1f0, 8, true },
    { "ide-secondary-control", 0x376, 1, true },
    { "vga", 0x3b0, 0x30, true }, { "floppy", 0x3f0, 6, true },
    { "ide-primary-control", 0x3f6, 1, true },
    { "isa-pnp", 0xa79, 1, true }, { "vmport", 0x5658, 4, true },
    { "vga-memory", 0xa0000, 0x20000 }, { "rom-area", 0xc0000, 0x40000, false, true },
    { "tpm", 0xfed40000, 0x5000 },
    { NULL },
};

/* ---- fw_cfg and boot ---- */

typedef struct __attribute__((packed)) HpetFwEntry {
    uint8_t count;
    struct __attribute__((packed)) {
        uint32_t event_timer_block_id;
        uint64_t address;
        uint16_t min_tick;
        uint8_t page_prot;
    } hpet[8];
} HpetFwEntry;

bool pc_board_add_fw_cfg(PcBoard *b, Error **errp)
{
    static const uint8_t sleep_states[6] = { 0x80, 0, 0, ACPI_SLP_S3, ACPI_SLP_S4, 0x80 };
    uint8_t states[6];
    E820Entry e820[2];
    HpetFwEntry hpet = { .count = 0 };

    b->fw = fw_cfg_io_create(&b->machine, errp);
    if (!b->fw)
        return false;
    fw_cfg_set_u16(b->fw, FW_CFG_MAX_CPUS, (uint16_t)b->apic_id_limit);
    fw_cfg_set_u32(b->fw, FW_CFG_IRQ0_OVERRIDE, 1);
    if (b->hpet) {
        hpet.count = 1;
        hpet.hpet[0].event_timer_block_id = 0x8086a201;
        hpet.hpet[0].address = HPET_BASE;
        hpet.hpet[0].min_tick = 100;
    }
    fw_cfg_set_bytes(b->fw, FW_CFG_HPET, &hpet, sizeof(hpet));
    memcpy(states, sleep_states, sizeof(states));
    if (b->pm && !b->pm->disable_s3)
        states[3] |= 0x80;
    if (b->pm && !b->pm->disable_s4)
        states[4] |= 0x80;
    uint64_t base, size, end = memory_devices_end(&b->machine, 4 * GiB + b->above_4g);
    if (memory_devices_range(&base, &size) &&
        !fw_cfg_add_file(b->fw, "etc/reserved-memory-end", &end, sizeof(end), errp))
        return false; /* firmware places the 64-bit window of PCI behind it */
    return fw_cfg_add_e820(b->fw, e820, pc_board_e820(b, e820), errp) &&
           fw_cfg_add_file(b->fw, "etc/system-states", states, sizeof(states), errp);
}

static bool add_boot(PcBoard *b, Error **errp)
{
    const MachineConfig *c = &b->machine.config;
    BootLayout layout = { .ram_below_4g = b->below_4g, .ram_above_4g = b->above_4g,
                          .reserve = 256 * KiB };

    if (!pc_board_load_bios(b, "bios-256k.bin", errp) || !pc_board_add_fw_cfg(b, errp))
        return false;
    return (c->no_acpi || pc_acpi_setup(b, errp)) && pc_smbios_setup(b, errp) &&
           boot_through_firmware(b->fw, c, &layout, errp);
}

/* The guest goes to sleep in S3: the BIOS finds this code after the wake-up reset and resumes. */
static void note_suspend(void *opaque)
{
    PcBoard *b = opaque;

    mc146818_set(b->rtc, 0x0f, 0xfe);
}

bool pc_board_build(Machine *m, const PcModel *model, Error **errp)
{
    PcBoard *b = pc_board(m);

    b->model = model;
    if (!check_options(b, errp) || !pc_board_add_ram(b, errp))
        return false;
    pc_board_add_unmodelled(b, pc_ranges);
    pc_board_add_unmodelled(b, model->unmodelled);
    if (!pc_board_add_cpus(b, errp) || !add_chipset(b, errp))
        return false;
    b->isa = isa_bus_first();
    if (!connect_south(b, errp) || !pc_board_add_timers(b, errp) || !add_keyboard(b, errp) ||
        !pc_board_isa_device(b, "i8257", "dma", errp, NULL) || !pc_board_add_serial(b, errp))
        return false;
    fill_cmos(b);
    if (!pc_board_add_memory_slots(b, errp) || !pc_board_add_cpu_hotplug(b, errp))
        return false;
    b->pm->suspending = note_suspend;
    b->pm->suspending_opaque = b;
    return add_boot(b, errp);
}

void pc_board_power_button(Machine *m)
{
    PcBoard *b = pc_board(m);

    if (!b->pm)
        return;
    lock_domain_lock(b->pm->owner->domain);
    acpi_pm_power_button(b->pm);
    lock_domain_unlock(b->pm->owner->domain);
}

void pc_board_destroy(Machine *m)
{
    PcBoard *b = pc_board(m);
    MemRegion **regions[] = { &b->bios_low, &b->bios, &b->apic_window, &b->ram_high, &b->ram_low,
                              &b->smm_memory, &b->pci };

    memory_devices_free();
    if (b->unmodelled)
        g_ptr_array_unref(b->unmodelled);
    for (unsigned i = 0; i < ARRAY_LEN(regions); i++)
        g_clear_pointer(regions[i], mem_region_free);
    g_clear_pointer(&b->bios_image, g_bytes_unref);
    g_clear_pointer(&m->cpu_slots, cpu_slots_free);
    g_free(b->apic_ids);
}

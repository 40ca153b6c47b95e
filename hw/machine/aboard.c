/* SPDX-License-Identifier: MIT */
/*
 * What the A-profile boards share: memory, parts and interrupt lines from tables, unmodelled ranges, kernels and device
 * trees.
 */
#include "hw/machine/aboard.h"

#include <inttypes.h>
#include <string.h>
#include "base/log.h"
#include "chardev/chardev.h"
#include "hw/arm/devtree.h"
#include "hw/block/pflash.h"
#include "hw/core/cpu-port.h"
#include "hw/firmware/arm.h"
#include "hw/firmware/image.h"
#include "hw/firmware/loader.h"
#include "hw/intc/arm-gic.h"

enum { RAM_PRIORITY = -500, RANGE_PRIORITY = -400 /* RAM may reach under peripherals */ };

MemRegion *aboard_own(ABoardMachine *m, MemRegion *r)
{
    g_ptr_array_add(m->regions, r);
    return r;
}

/* ---- memory ---- */

static MemRegion *alias_of(ABoardMachine *m, const AMem *row)
{
    const ABoard *b = m->board;
    if (row->of >= b->ram_at && row->of - b->ram_at < m->machine.config.ram_size)
        return mem_alias_new(row->name, m->machine.ram, row->of - b->ram_at,
                             MIN(row->size, m->machine.config.ram_size));
    for (const AMem *t = b->mem; t->kind; t++)
        if (t->kind != AMEM_ALIAS && row->of >= t->at && row->of - t->at < t->size)
            return mem_alias_new(row->name, m->regions->pdata[t - b->mem], row->of - t->at, row->size);
    g_assert_not_reached();
}

static bool add_memory(ABoardMachine *m, Error **errp)
{
    const ABoard *b = m->board;
    uint64_t size = m->machine.config.ram_size;
    if (size > b->ram_max) {
        error_setf(errp, "machine '%s': -m: it has room for %" PRIu64 " MiB at most", m->machine.type->name,
                   b->ram_max / MiB);
        return false;
    }
    m->machine.ram = mem_ram_new("ram", size, errp);
    if (!m->machine.ram)
        return false;
    mem_map(m->machine.memory, b->ram_at, m->machine.ram, RAM_PRIORITY);
    for (const AMem *row = b->mem; row && row->kind; row++) {
        MemRegion *r = row->kind == AMEM_RAM ? mem_ram_new(row->name, row->size, errp)
                     : row->kind == AMEM_ROM ? mem_rom_new(row->name, row->size, NULL, 0, errp) : alias_of(m, row);
        if (!r)
            return false;
        mem_map(m->machine.memory, row->at, aboard_own(m, r), row->kind == AMEM_ALIAS ? -1 : 0);
    }
    return true;
}

/* ---- CPUs and parts ---- */

static bool add_cpus(ABoardMachine *m, Error **errp)
{
    MachineConfig *c = &m->machine.config;
    const MachineType *t = m->machine.type;
    const ABoard *b = m->board;
    const char *model = c->cpu_model ? c->cpu_model : t->default_cpu;
    const CpuFamily *family = cpu_family_find(t->arch);
    if (b->min_cpus > c->cpus) /* the part has them all */
        c->cpus = c->max_cpus = c->cores = b->min_cpus;
    arm_board_configure(&b->cpu);
    for (unsigned i = 0; i < c->cpus; i++)
        if (!family->create(&m->machine, i, b->affinity ? b->affinity(i) : i, model, errp))
            return false;
    return true;
}

/* -drive if=pflash: the table's flashes in their order. */
static bool set_flash_file(ABoardMachine *m, Device *d, Error **errp)
{
    const MachineConfig *c = &m->machine.config;
    unsigned unit = m->flashes++;
    return unit >= ARRAY_LEN(c->pflash) || !c->pflash[unit] ||
           (device_set(d, "file", c->pflash[unit], errp) &&
            device_set(d, "readonly", c->pflash_readonly[unit] ? "on" : "off", errp));
}

static bool check_flash_files(ABoardMachine *m, Error **errp)
{
    const MachineConfig *c = &m->machine.config;
    for (unsigned unit = m->flashes; unit < ARRAY_LEN(c->pflash); unit++) {
        if (c->pflash[unit]) {
            error_setf(errp, "flash '%s': machine '%s' has %u of them; leave out -drive if=pflash,unit=%u",
                       c->pflash[unit], m->machine.type->name, m->flashes, unit);
            return false;
        }
    }
    return true;
}

Device *aboard_add(ABoardMachine *m, const APart *p, Error **errp)
{
    const MachineConfig *c = &m->machine.config;
    Device *d = device_new_named(p->type, p->id, errp);
    if (!d || !device_set_list(d, p->props, errp))
        return NULL;
    if (!strcmp(p->type, "cfi.pflash01") && !set_flash_file(m, d, errp))
        return NULL;
    Chardev *chr = p->serial && p->serial <= ARRAY_LEN(c->serial) ? c->serial[p->serial - 1] : NULL;
    if (chr)
        device_set_default(d, "chardev", chardev_id(chr));
    for (unsigned i = 0; i < ARRAY_LEN(p->irq); i++)
        if (p->irq[i])
            device_connect(d, "irq", i, m->board->irq(m, p->irq[i] - 1u));
    if (!device_start(d, errp))
        return NULL;
    if (p->at)
        mem_map(m->machine.memory, p->at, d->region[0], 0);
    return d;
}

Device *aboard_gic(ABoardMachine *m, unsigned irqs, Error **errp)
{
    g_autofree char *cpus = g_strdup_printf("%u", m->machine.config.cpus), *lines = g_strdup_printf("%u", irqs);
    Device *d = device_new_named("arm_gic", "gic", errp);
    if (!d || !device_set(d, "num-cpu", cpus, errp) || !device_set(d, "num-irq", lines, errp) ||
        !device_set(d, "has-security-extensions", "off", errp) || !device_start(d, errp))
        return NULL;
    return m->intc = d;
}

void aboard_a9_timers(ABoardMachine *m)
{
    Device *private = device_find("mptimer"), *global = device_find("gtimer");
    for (unsigned cpu = 0; cpu < m->machine.config.cpus; cpu++) {
        device_connect(private, "irq", cpu * 2, arm_gic_ppi(m->intc, cpu, 29));
        device_connect(private, "irq", cpu * 2 + 1, arm_gic_ppi(m->intc, cpu, 30));
        device_connect(global, "irq", cpu, arm_gic_ppi(m->intc, cpu, 27));
    }
}

/* ---- starting ---- */

static uint64_t kernel_ram(const ABoardMachine *m)
{
    uint64_t size = m->machine.config.ram_size;
    return size - MIN(m->board->ram_kept, size / 2);
}

static GBytes *device_tree(ABoardMachine *m, Error **errp)
{
    const MachineConfig *c = &m->machine.config;
    const struct ArmBoot *boot = m->boot;
    g_autoptr(GBytes) file = loader_read_file("device tree", c->dtb, 8 * MiB, errp);
    g_autoptr(DevTree) t = file ? dt_parse(file, c->dtb, errp) : NULL;
    if (!t)
        return NULL;
    g_autofree char *node = g_strdup_printf("/memory@%" PRIx64, m->board->ram_at);
    const char *memory = dt_has(t, node)                               ? node
                         : dt_has(t, "/memory@0") && !m->board->ram_at ? "/memory@0"
                         : dt_has(t, "/memory")                        ? "/memory"
                                                                       : node;
    dt_string(t, memory, "device_type", "memory");
    if (!dt_root_reg(t, memory, m->board->ram_at, kernel_ram(m)))
        warn_reportf("device tree '%s': its cells are too narrow for this machine's memory", c->dtb);
    if (c->append)
        dt_string(t, "/chosen", "bootargs", c->append);
    if (boot->initrd) {
        uint64_t start = boot->initrd_at, end = start + g_bytes_get_size(boot->initrd);
        dt_set(t, "/chosen", "linux,initrd-start", HI32(start), LO32(start));
        dt_set(t, "/chosen", "linux,initrd-end", HI32(end), LO32(end));
    }
    return dt_finish(t);
}

static bool load_kernel(ABoardMachine *m, Error **errp)
{
    const MachineConfig *c = &m->machine.config;
    ArmBootBoard where = { .ram_base = m->board->ram_at,
                           .ram_size = kernel_ram(m),
                           .a64 = !strcmp(m->machine.type->arch, "aarch64"),
                           .has_el3 = m->board->cpu.el3,
                           .board_id = m->board->id };
    m->boot = arm_boot_new(c, &where, errp);
    if (!m->boot)
        return false;
    if (!c->dtb)
        return true;
    GBytes *dtb = device_tree(m, errp);
    return dtb && arm_boot_set_dtb(m->boot, dtb, errp);
}

static bool load_firmware(ABoardMachine *m, Error **errp)
{
    const MachineConfig *c = &m->machine.config;
    if (m->board->boot_flash && c->pflash[0]) {
        error_setf(errp, "firmware '%s': both -bios and the first -drive if=pflash are the boot flash; leave out one",
                   c->bios);
        return false;
    }
    g_autoptr(GBytes) file = firmware_read(c, c->bios, 64 * MiB, errp);
    if (!file)
        return false;
    if (m->board->boot_flash)
        return pflash_fill(device_find(m->board->boot_flash), file, errp);
    m->firmware = image_parse("firmware", c->bios, file, m->board->cpu.rvbar, true, errp);
    return image_check(m->firmware, m->machine.as_memory, errp);
}

static bool prepare_boot(ABoardMachine *m, Error **errp)
{
    const MachineConfig *c = &m->machine.config;
    if (c->bios)
        return load_firmware(m, errp);
    if (c->kernel)
        return load_kernel(m, errp);
    if (c->initrd || c->append || c->dtb) {
        error_setf(errp, "%s: only with -kernel; add -kernel FILE",
                   c->initrd ? "-initrd"
                   : c->dtb  ? "-dtb"
                             : "-append");
        return false;
    }
    return true;
}

bool aboard_build(Machine *machine, const ABoard *board, Error **errp)
{
    ABoardMachine *m = (ABoardMachine *)machine;
    m->board = board;
    m->regions = g_ptr_array_new();
    if (!add_memory(m, errp) || !add_cpus(m, errp) || !board->intc(m, errp))
        return false;
    for (const APart *p = board->parts; p && p->type; p++)
        if (!aboard_add(m, p, errp))
            return false;
    for (const UnmodelledRange *r = board->unmodelled; r && r->name; r++)
        mem_map(m->machine.memory, r->base, aboard_own(m, unmodelled_new(r, 0)), RANGE_PRIORITY);
    return check_flash_files(m, errp) && (!board->wire || board->wire(m, errp)) && prepare_boot(m, errp);
}

void aboard_reset(Machine *machine)
{
    ABoardMachine *m = (ABoardMachine *)machine;
    if (m->boot)
        arm_boot_load(m->boot, machine->as_memory, &machine->boot);
    if (m->firmware)
        image_place(m->firmware, machine->as_memory);
    if (m->board->reset)
        m->board->reset(m);
}

void aboard_destroy(Machine *machine)
{
    ABoardMachine *m = (ABoardMachine *)machine;
    for (guint i = m->regions ? m->regions->len : 0; i-- > 0;) /* aliases before what they show */
        mem_region_free(m->regions->pdata[i]);
    g_clear_pointer(&m->regions, g_ptr_array_unref);
    g_clear_pointer(&m->boot, arm_boot_free);
    g_clear_pointer(&m->firmware, image_free);
    g_clear_pointer(&m->board_data, g_free);
}

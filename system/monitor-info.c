/* SPDX-License-Identifier: MIT */
/* Monitor: what `info` shows. */
#include <inttypes.h>
#include <string.h>
#include "accel/accel.h"
#include "accel/guest-arch.h"
#include "base/iothread.h"
#include "base/log.h"
#include "base/trace.h"
#include "chardev/chardev.h"
#include "hw/core/cpu-slots.h"
#include "hw/firmware/fw_cfg.h"
#include "hw/input/ps2.h"
#include "hw/misc/vmgenid.h"
#include "hw/pci/pci-host.h"
#include "system/monitor.h"
#include "system/monitor-x86.h"
#include "system/run.h"

static bool info_version(Monitor *mon, int argc, char **argv, Error **errp)
{
    monitor_printf(mon, "%s\n", RHEA_VERSION);
    return true;
}

static bool info_status(Monitor *mon, int argc, char **argv, Error **errp)
{
    RunState s = machine_run_state();
    if (s == RUN_RUNNING)
        monitor_printf(mon, "VM status: running\n");
    else
        monitor_printf(mon, "VM status: paused (%s)\n", run_suspended() ? "suspended" : run_state_name(s));
    return true;
}

static bool info_name(Monitor *mon, int argc, char **argv, Error **errp)
{
    const char *name = machine_current()->config.name;
    monitor_printf(mon, "%s\n", name ? name : "(none)");
    return true;
}

static bool info_generation(Monitor *mon, int argc, char **argv, Error **errp)
{
    const char *guid = vmgenid_guid();
    if (!guid)
        error_setf(errp, "the machine has no generation identifier; add -device vmgenid");
    else
        monitor_printf(mon, "%s\n", guid);
    return guid;
}

static bool info_uuid(Monitor *mon, int argc, char **argv, Error **errp)
{
    const char *uuid = machine_current()->config.uuid;
    monitor_printf(mon, "%s\n", uuid ? uuid : "00000000-0000-0000-0000-000000000000");
    return true;
}

static bool info_iothreads(Monitor *mon, int argc, char **argv, Error **errp)
{
    for (Object *o = object_first(); o; o = o->next) {
        if (strcmp(o->type->name, "iothread"))
            continue;
        IoThreadInfo i;
        iothread_info(o, &i);
        monitor_printf(mon,
                       "%s:\n  thread_id=%d\n  poll-max-ns=%" PRIu64 "\n  poll-grow=%" PRIu64 "\n  poll-shrink=%" PRIu64
                       "\n  aio-max-batch=%" PRIu64 "\n",
                       i.id, i.thread_id, i.poll_max_ns, i.poll_grow, i.poll_shrink, i.aio_max_batch);
        monitor_printf(mon,
                       "  queues served: %" PRIu64 " when rung, %" PRIu64 " by descriptor; io_uring: %" PRIu64
                       " batches of ended requests\n",
                       i.calls, i.watched, i.reaped);
    }
    return true;
}

/* ---- CPUs ---- */

typedef struct RegsWork {
    GString *out;
} RegsWork;

static void print_regs_work(Vcpu *v, void *opaque)
{
    RegsWork *w = opaque;
    v->arch->print_regs(v, w->out);
}

static bool info_registers(Monitor *mon, int argc, char **argv, Error **errp)
{
    bool all = argc > 1 && !strcmp(argv[1], "-a");
    if (argc > 1 && !all) {
        error_setf(errp, "info registers: '%s' is not -a", argv[1]);
        return false;
    }
    for (unsigned n = 0; n < vcpu_count(); n++) {
        RegsWork w = { monitor_out(mon) };
        if (!vcpu_get(n) || (!all && n != monitor_cpu(mon)))
            continue;
        monitor_printf(mon, "CPU#%u\n", n);
        vcpu_run_on_sync(vcpu_get(n), print_regs_work, &w);
    }
    return true;
}

static bool info_cpus(Monitor *mon, int argc, char **argv, Error **errp)
{
    for (unsigned n = 0; n < vcpu_count(); n++) {
        const Vcpu *v = vcpu_get(n);
        if (v)
            monitor_printf(mon, "%c CPU #%u: %s%s%s\n", n == monitor_cpu(mon) ? '*' : ' ', n, v->name,
                           v->halted ? " (halted)" : "", v->powered_off ? " (waits to be started)" : "");
    }
    return true;
}

static bool info_jit(Monitor *mon, int argc, char **argv, Error **errp)
{
    const AccelType *a = accel_current();
    if (!a || !a->info) {
        error_setf(errp, "info jit: no translator runs");
        return false;
    }
    a->info(monitor_out(mon));
    return true;
}

static bool info_kvm(Monitor *mon, int argc, char **argv, Error **errp)
{
    const AccelType *a = accel_current();
    monitor_printf(mon, "kvm support: %s\n",
                   a && !strcmp(a->name, "kvm") ? "enabled"
                   : accel_find("kvm")          ? "disabled"
                                                : "not compiled");
    return true;
}

/* ---- memory map ---- */

static bool info_mtree(Monitor *mon, int argc, char **argv, Error **errp)
{
    Machine *m = machine_current();
    bool flat = argc > 1 && !strcmp(argv[1], "-f");
    if (argc > 1 && !flat) {
        error_setf(errp, "info mtree: '%s' is not -f", argv[1]);
        return false;
    }
    if (!flat) {
        mem_print_tree(monitor_out(mon));
        return true;
    }
    AddressSpace *spaces[] = { m->as_memory, m->as_io, m->as_smm };
    for (unsigned i = 0; i < G_N_ELEMENTS(spaces); i++) {
        if (spaces[i])
            as_print_flat(spaces[i], monitor_out(mon));
    }
    return true;
}

static bool info_roms(Monitor *mon, int argc, char **argv, Error **errp)
{
    FwCfg *f = fw_cfg_find();
    if (!f) {
        monitor_printf(mon, "this machine has no firmware configuration device\n");
        return true;
    }
    device_print_info((Device *)f, monitor_out(mon));
    return true;
}

/* ---- devices ---- */

static void print_props(Device *d, GString *out)
{
    for (const DeviceType *t = d->type; t; t = t->base) {
        for (const Property *p = t->props; p && p->kind != PROP_END; p++) {
            g_autofree char *value = props_get(t->props, d, p->name);
            g_string_append_printf(out, "    %s = %s\n", p->name, value ? value : "(none)");
        }
    }
}

static void print_device(Device *d, GString *out)
{
    g_string_append_printf(out, "  dev: %s, id \"%s\"%s%s%s\n", d->type->name, d->id, d->bus ? ", bus \"" : "",
                           d->bus ? d->bus->name : "", d->bus ? "\"" : "");
}

static bool info_qtree(Monitor *mon, int argc, char **argv, Error **errp)
{
    GString *out = monitor_out(mon);
    for (Bus *b = bus_first(); b; b = b->next) {
        g_string_append_printf(out, "bus: %s (%s%s%s)\n", b->name, b->type->kind, b->parent ? ", of " : "",
                               b->parent ? b->parent->id : "");
        for (Device *d = device_first(); d; d = d->next) {
            if (d->bus == b) {
                print_device(d, out);
                print_props(d, out);
            }
        }
    }
    g_string_append_printf(out, "placed by the machine:\n");
    for (Device *d = device_first(); d; d = d->next) {
        if (!d->bus) {
            print_device(d, out);
            print_props(d, out);
        }
    }
    return true;
}

static bool info_devices(Monitor *mon, int argc, char **argv, Error **errp)
{
    if (argc > 1) {
        Device *d = device_find(argv[1]);
        if (!d) {
            error_setf(errp, "device '%s': no such device; 'info devices' lists them", argv[1]);
            return false;
        }
        print_device(d, monitor_out(mon));
        device_print_info(d, monitor_out(mon));
        return true;
    }
    for (Device *d = device_first(); d; d = d->next)
        print_device(d, monitor_out(mon));
    return true;
}

/* A tree of ids as QEMU's users know it: the machine, its devices, and the types of both. */
static bool info_qom_tree(Monitor *mon, int argc, char **argv, Error **errp)
{
    monitor_printf(mon, "/machine (%s-machine)\n", machine_current()->type->name);
    for (unsigned n = 0; n < vcpu_count(); n++) {
        if (vcpu_get(n))
            monitor_printf(mon, "  /cpu[%u] (%s-cpu)\n", n, vcpu_get(n)->arch->name);
    }
    for (Device *d = device_first(); d; d = d->next)
        monitor_printf(mon, "  /%s (%s)\n", d->id, d->type->name);
    return true;
}

/* Interrupt controllers: the devices whose type says so. */
static bool is_intc(const Device *d)
{
    static const char *const parts[] = { "pic", "8259", "gic", NULL };
    for (const char *const *p = parts; *p; p++) {
        if (strstr(d->type->name, *p))
            return true;
    }
    return false;
}

static bool info_pic(Monitor *mon, int argc, char **argv, Error **errp)
{
    for (Device *d = device_first(); d; d = d->next) {
        if (!is_intc(d))
            continue;
        monitor_printf(mon, "%s (%s)\n", d->id, d->type->name);
        device_print_info(d, monitor_out(mon));
    }
    return true;
}

/* Requests that stand at each CPU. */
static bool info_irq(Monitor *mon, int argc, char **argv, Error **errp)
{
    static const char *const names[CPU_LINE_COUNT] = { "INTR", "NMI", "SMI", "INIT", "SIPI", "MCE", "VIRQ", "VFIQ" };
    for (unsigned n = 0; n < vcpu_count(); n++) {
        if (!vcpu_get(n))
            continue;
        monitor_printf(mon, "CPU#%u:", n);
        for (unsigned l = 0; l < CPU_LINE_COUNT; l++) {
            if (vcpu_line(vcpu_get(n), (CpuLine)l))
                monitor_printf(mon, " %s", names[l]);
        }
        monitor_printf(mon, "\n");
    }
    return true;
}

static bool info_hotpluggable_cpus(Monitor *mon, int argc, char **argv, Error **errp)
{
    const CpuSlots *s = machine_current()->cpu_slots;
    if (s)
        cpu_slots_print(s, monitor_out(mon));
    else
        error_setf(errp, "info hotpluggable-cpus: this machine's CPUs don't come and go");
    return s;
}

static bool info_chardev(Monitor *mon, int argc, char **argv, Error **errp)
{
    chardev_print_info(monitor_out(mon));
    return true;
}

static bool info_mice(Monitor *mon, int argc, char **argv, Error **errp)
{
    bool any = ps2_send_mouse(0, 0, 0, 0);
    monitor_printf(mon, any ? "* Mouse #0: PS/2 mouse (relative)\n" : "no mouse\n");
    return true;
}

static bool info_pci(Monitor *mon, int argc, char **argv, Error **errp)
{
    pci_print_info(monitor_out(mon));
    return true;
}

static bool info_history(Monitor *mon, int argc, char **argv, Error **errp)
{
    const GPtrArray *h = monitor_history(mon);
    for (unsigned i = 0; h && i < h->len; i++)
        monitor_printf(mon, "%u: '%s'\n", i, (const char *)h->pdata[i]);
    return true;
}

const MonitorCommand monitor_info_items[] = {
    { "version", NULL, "version of the program", 0, 0, false, info_version },
    { "status", NULL, "does the machine run?", 0, 0, false, info_status },
    { "name", NULL, "the guest's name (-name)", 0, 0, false, info_name },
    { "vm-generation-id", NULL, "the generation identifier (-device vmgenid)", 0, 0, false, info_generation },
    { "uuid", NULL, "the machine's UUID (-uuid)", 0, 0, false, info_uuid },
    { "cpus", NULL, "the CPUs", 0, 0, false, info_cpus },
    { "hotpluggable-cpus", NULL, "places for CPUs, with or without one", 0, 0, false, info_hotpluggable_cpus },
    { "registers", "[-a]", "registers of the current CPU, or of all", 0, 1, false, info_registers },
    { "irq", NULL, "interrupt requests that stand at the CPUs", 0, 0, false, info_irq },
    { "pic", NULL, "state of the interrupt controllers", 0, 0, false, info_pic },
    { "tlb", NULL, "every mapping of the current CPU's page tables", 0, 0, false, monitor_info_tlb },
    { "mem", NULL, "the mapped ranges, with their rights", 0, 0, false, monitor_info_mem },
    { "kvm", NULL, "does KVM run the CPUs?", 0, 0, false, info_kvm },
    { "jit", NULL, "the translator's counters", 0, 0, false, info_jit },
    { "mtree", "[-f]", "the memory map as a tree, or flat", 0, 1, false, info_mtree },
    { "qtree", NULL, "buses, devices and their properties", 0, 0, false, info_qtree },
    { "qom-tree", NULL, "machine, CPUs and devices by name", 0, 0, false, info_qom_tree },
    { "devices", "[ID]", "the devices, or registers and state of one", 0, 1, false, info_devices },
    { "pci", NULL, "functions on the PCI buses, their BARs and interrupts", 0, 0, false, info_pci },
    { "roms", NULL, "files that firmware can read", 0, 0, false, info_roms },
    { "block", "[-n] [-v] [NAME]", "the drives and their images; -n: the named nodes; -v: more", 0, 3, false,
      monitor_info_block },
    { "iothreads", NULL, "the threads of -object iothread, and what they have done", 0, 0, false, info_iothreads },
    { "blockstats", NULL, "how many requests the drives had, and how long they took", 0, 0, false,
      monitor_info_blockstats },
    { "chardev", NULL, "the character devices", 0, 0, false, info_chardev },
    { "mice", NULL, "pointing devices", 0, 0, false, info_mice },
    { "snapshots", NULL, "snapshots of the machine in its disk images", 0, 0, false, monitor_info_snapshots },
    { "block-jobs", NULL, "jobs on disk images", 0, 0, false, monitor_info_block_jobs },
    { "savevm", NULL, "the snapshot that is being saved in the background", 0, 0, false, monitor_info_savevm },
    { "balloon", NULL, "how much memory the guest has, and its statistics", 0, 0, false, monitor_info_balloon },
    { "numa", NULL, "NUMA nodes of the guest", 0, 0, false, monitor_info_numa },
    { "memdev", NULL, "memory back ends", 0, 0, false, monitor_info_memdev },
    { "memory-devices", NULL, "memory modules and other devices that are memory", 0, 0, false,
      monitor_info_memory_devices },
    { "memory_size_summary", NULL, "bytes of RAM and of memory devices", 0, 0, false, monitor_info_memory_size },
    { "history", NULL, "the last commands", 0, 0, false, info_history },
    { 0 },
};

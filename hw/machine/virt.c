/* SPDX-License-Identifier: MIT */
/*
 * The virt machine: the board that only exists as an emulator's, for Arm kernels and firmware (memory map:
 * hw/arm/virt.h).
 */
#include <string.h>
#include "hw/core/cpu-port.h"
#include "hw/core/irqchip-host.h"
#include "hw/machine/virt-board.h"
#include "hw/mem/memory-device.h"
#include "target/arm/models.h"

enum { GIC_AUTO, GIC_2, GIC_3, GIC_4, GIC_MAX, GIC_HOST };
enum { V2_CPUS = 8 };
static const char *const gic_names[] = { "auto", "2", "3", "4", "max", "host", NULL };
static const char *const irqchip_names[] = { "on", "off", "split", NULL };
static const char *const iommu_names[] = { "none", NULL };

bool virt_refuse(VirtBoard *b, Error **errp, const char *why)
{
    error_setf(errp, "machine '%s': %s", b->machine.type->name, why);
    return false;
}

static bool choose_gic(VirtBoard *b, Error **errp)
{
    unsigned cpus = b->machine.config.max_cpus;
    const IrqchipHost *h = irqchip_host();
    unsigned offered = h ? h->gic_versions : 1 << 2 | 1 << 3;
    VirtFacts *f = &b->facts;
    bool prefers_2 = b->gic_version == GIC_2 || (b->gic_version == GIC_AUTO && cpus <= V2_CPUS);
    f->gic_version = prefers_2 ? 2 : 3;
    if (b->gic_version != GIC_2 && b->gic_version != GIC_3 && !(offered >> f->gic_version & 1))
        f->gic_version = 5 - f->gic_version; /* the other one */
    f->its = f->gic_version == 3 && b->its && (!h || h->its_new);
    if (!(offered >> f->gic_version & 1)) {
        error_setf(errp, "machine '%s': gic-version=%u: KVM does not have it %s; use gic-version=host%s",
                   b->machine.type->name, f->gic_version,
                   irqchip_host_gic() ? "on this host" : "with kernel-irqchip=off",
                   irqchip_host_gic() ? "" : " or kernel-irqchip=on");
        return false;
    }
    if (f->gic_version == 2 && cpus > V2_CPUS)
        return virt_refuse(b, errp, "gic-version=2 serves at most 8 CPUs; use gic-version=3");
    return true;
}

static bool choose_cpu(VirtBoard *b, Error **errp)
{
    const MachineConfig *c = &b->machine.config;
    const char *model = c->cpu_model ? c->cpu_model : b->machine.type->default_cpu;
    VirtFacts *f = &b->facts;
    b->cpu_name = g_strndup(model, strcspn(model, ","));
    const ArmModel *m = arm_model_find(b->cpu_name);
    if (m && m->has.m_profile) {
        error_setf(errp, "machine '%s': -cpu %s is a microcontroller; this machine takes Cortex-A and Neoverse models",
                   b->machine.type->name, b->cpu_name);
        return false;
    }
    f->cpu_model = b->cpu_name;
    f->a64 = !m || (m->has.aarch64 && !strstr(model, "aarch64=off")); /* an unknown name: creating the CPU says so */
    f->v8 = !m || m->has.v8;
    f->pmu = m && m->has.pmuv3 && !strstr(model, "pmu=off");
    return true;
}

static bool choose_facts(VirtBoard *b, Error **errp)
{
    const MachineConfig *c = &b->machine.config;
    VirtFacts *f = &b->facts;
    if (b->usb)
        return virt_refuse(b, errp, "usb=on: there is no USB controller in this version; leave it out");
    if (c->pflash[0] && c->bios)
        return virt_refuse(b, errp,
                           "the first flash takes its contents from -bios or from -drive if=pflash, not from both");
    f->cpus = c->cpus;
    f->sockets = c->sockets;
    f->clusters = MAX(c->dies, 1);
    f->cores = c->cores;
    f->threads = c->threads;
    f->secure = b->secure;
    f->virtualization = b->virtualization;
    f->ram_size = c->ram_size;
    f->numa = c->numa;
    f->randomness = b->randomness;
    f->firmware = c->bios || c->pflash[0];
    /* With a Secure state and nothing that starts a kernel for us, PSCI is the guest's own firmware's */
    f->psci = b->secure && (f->firmware || !c->kernel) ? NULL : b->virtualization ? "smc" : "hvc";
    if (!b->highmem && VIRT_RAM + c->ram_size > 4 * GiB)
        return virt_refuse(b, errp, "highmem=off leaves room for 3 GiB of memory; see -m");
    return choose_gic(b, errp) && choose_cpu(b, errp);
}

/* Above 256 GiB or RAM, each at a multiple of its size, as far as the CPU can address. */
static void choose_high_ranges(VirtBoard *b)
{
    const CpuFamily *family = cpu_family_find(b->machine.type->arch);
    unsigned phys_bits = family->phys_bits ? family->phys_bits(&b->machine) : 40;
    VirtFacts *f = &b->facts;
    uint64_t at = MAX(256 * GiB, align_up(memory_devices_end(&b->machine, VIRT_RAM + f->ram_size), GiB)),
             limit = phys_bits < 64 ? BIT(phys_bits) : UINT64_MAX;
    VirtRange high_ecam = { 0 };
    const struct { VirtRange *range; uint64_t size; bool on;
    } want[] = {
        { &f->redist_high, VIRT_HIGH_REDIST_SIZE,
          b->high_redist && f->gic_version == 3 && f->cpus > VIRT_REDIST_LOW_CPUS },
        { &high_ecam, VIRT_HIGH_ECAM_SIZE, b->high_ecam },
        { &f->mmio_high, VIRT_HIGH_MMIO_SIZE, b->high_mmio },
    };
    for (unsigned i = 0; i < ARRAY_LEN(want); i++) {
        at = align_up(at, want[i].size);
        if (b->highmem && want[i].on && at + want[i].size <= limit)
            *want[i].range = (VirtRange){ at, want[i].size };
        at += want[i].size;
    }
    f->ecam = high_ecam.size ? high_ecam : (VirtRange){ VIRT_PCIE_ECAM, VIRT_PCIE_ECAM_SIZE };
}

static bool virt_build(Machine *m, Error **errp)
{
    VirtBoard *b = (VirtBoard *)m;
    if (!choose_facts(b, errp) || !virt_add_ram(b, errp) || !virt_add_cpus(b, errp))
        return false;
    choose_high_ranges(b);
    return virt_add_devices(b, errp) && virt_load(b, errp);
}

static bool virt_complete(Machine *m, Error **errp) { return virt_describe((VirtBoard *)m, errp); }

static void virt_reset(Machine *m)
{
    VirtBoard *b = (VirtBoard *)m;
    if (b->boot) {
        arm_boot_load(b->boot, m->as_memory, &m->boot);
    } else {
        size_t len = g_bytes_get_size(b->dtb);
        if (len <= m->config.ram_size)
            as_write_rom(m->as_memory, VIRT_RAM, g_bytes_get_data(b->dtb, NULL), len);
    }
}

static void virt_power_button(Machine *m)
{
    Irq press = device_input(((VirtBoard *)m)->key, "press", 0);
    irq_pulse(&press);
}

static void virt_destroy(Machine *m)
{
    VirtBoard *b = (VirtBoard *)m;
    MemRegion **regions[] = {
        &b->secure_ram, &b->steal, &b->pio, &b->mmio, &b->mmio_high, &b->nothing, &b->nothing_high
    };
    memory_devices_free();
    for (unsigned i = 0; i < ARRAY_LEN(regions); i++)
        g_clear_pointer(regions[i], mem_region_free);
    arm_boot_free(b->boot);
    g_clear_pointer(&b->dtb, g_bytes_unref);
    g_free(b->mpidr);
    g_free(b->cpu_name);
}

#define SWITCH(name, f, dflt, help) DEFINE_PROP_BOOL(name, VirtBoard, f, dflt, help)
static const Property virt_props[] = {
    DEFINE_PROP_ENUM("gic-version", VirtBoard, gic_version, GIC_AUTO, gic_names,
                     "2 (up to 8 CPUs), 3; 4 and max are 3; host is what KVM has"),
    DEFINE_PROP_ENUM("kernel-irqchip", VirtBoard, irqchip, 0, irqchip_names,
                     "whether KVM keeps the interrupt controller"),
    SWITCH("secure", secure, false, "EL3 and the Secure state"),
    SWITCH("virtualization", virtualization, false, "EL2, for hypervisors inside"),
    SWITCH("highmem", highmem, true, "use addresses above 4 GiB"),
    SWITCH("highmem-ecam", high_ecam, true, "PCIe configuration space for 256 buses above 4 GiB"),
    SWITCH("highmem-mmio", high_mmio, true, "PCIe memory window above 4 GiB"),
    SWITCH("highmem-redists", high_redist, true, "redistributors above 4 GiB for more than 123 CPUs"),
    SWITCH("its", its, true, "interrupt translation service (gic-version=3)"),
    SWITCH("mte", mte, false, "memory tagging"),
    SWITCH("ras", ras, false, "report host memory errors (KVM only)"),
    SWITCH("usb", usb, false, "USB controller (none in this version)"),
    DEFINE_PROP_ENUM("iommu", VirtBoard, iommu, 0, iommu_names, "only none: -device virtio-iommu-pci makes one"),
    SWITCH("dtb-randomness", randomness, true, "random seeds in the device tree"),
    SWITCH("dtb-kaslr-seed", randomness, true, "the same"),
    DEFINE_PROP_STRING("dumpdtb", VirtBoard, dumpdtb, NULL, "write the device tree to this file and end"),
    DEFINE_PROP_END,
};

static const char *const virt_aliases[] = {
    "virt-7.2",  "virt-7.1", "virt-7.0", "virt-6.2", "virt-6.1", "virt-6.0", "virt-5.2",  "virt-5.1",
    "virt-5.0",  "virt-4.2", "virt-4.1", "virt-4.0", "virt-3.1", "virt-3.0", "virt-2.12", "virt-2.11",
    "virt-2.10", "virt-2.9", "virt-2.8", "virt-2.7", "virt-2.6", NULL,
};

static const MachineType virt_machine = {
    .name = "virt",
    .desc = "Arm virtual machine",
    .aliases = virt_aliases,
    .arch = "aarch64",
    .default_cpu = "cortex-a57",
    .max_cpus = 512,
    .default_ram = 128 * MiB,
    .ram_name = "mach-virt.ram",
    .size = sizeof(VirtBoard),
    .props = virt_props,
    .build = virt_build,
    .complete = virt_complete,
    .reset = virt_reset,
    .power_button = virt_power_button,
    .destroy = virt_destroy,
};
MACHINE_REGISTER(virt_machine)

/* SPDX-License-Identifier: MIT */
/*
 * The kernel's GICs and ITS: making them, lines, messages, registers for the models of hw/intc (kernel documentation:
 * virt/kvm/devices/arm-vgic.rst, arm-vgic-v3.rst, arm-vgic-its.rst, vcpu.rst).
 */
#include "target/arm/kvm.h"

#include <errno.h>
#include <unistd.h>
#include "base/log.h"
#include "hw/core/irqchip-host.h"

enum {
    IRQ_INTERNAL = 32,
    PPI_PMU = 23,
    PPI_VIRT = 27,
    PPI_PHYS = 30 /* as the Base System Architecture numbers them, section 4.1 */
};

static int gic = -1, its = -1; /* devices of the VM */
static unsigned version;

bool kvm_arm_set_attr(int fd, uint32_t group, uint64_t attr, const void *value)
{
    struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uintptr_t)value };
    return !kvm_ioctl(fd, KVM_SET_DEVICE_ATTR, &a);
}

bool kvm_arm_has_attr(int fd, uint32_t group, uint64_t attr)
{
    struct kvm_device_attr a = { .group = group, .attr = attr };
    return !kvm_ioctl(fd, KVM_HAS_DEVICE_ATTR, &a);
}

static int new_device(uint32_t type, uint32_t flags)
{
    struct kvm_create_device d = { .type = type, .flags = flags, .fd = 0 };
    return kvm_ioctl(kvm.vm, KVM_CREATE_DEVICE, &d) < 0 ? -1 : (int)d.fd;
}

static bool refused(Error **errp, const char *what)
{
    error_set_errno(errp, errno,
                    "kvm: GICv%u: the kernel refuses %s; use another gic-version, kernel-irqchip=off or -accel tcg",
                    version, what);
    return false;
}

/* --- making --- */

static bool set_addr(unsigned type, uint64_t at) { return kvm_arm_set_attr(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, type, &at); }

static bool place_v2(const IrqchipGicMap *m)
{
    return set_addr(KVM_VGIC_V2_ADDR_TYPE_DIST, m->dist) && set_addr(KVM_VGIC_V2_ADDR_TYPE_CPU, m->cpu);
}

/* Redistributors in runs; kernels before 4.18 know one only, as long as there are CPUs. */
static bool place_v3(const IrqchipGicMap *m)
{
    enum { COUNT_SHIFT = 52 };
    bool runs = kvm_arm_has_attr(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION);
    bool ok = set_addr(KVM_VGIC_V3_ADDR_TYPE_DIST, m->dist);
    for (unsigned i = 0; ok && i < ARRAY_LEN(m->redist) && m->redist[i].count; i++) {
        uint64_t run = (uint64_t)m->redist[i].count << COUNT_SHIFT | m->redist[i].base | i;
        ok = runs ? set_addr(KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION, run)
                  : !i && set_addr(KVM_VGIC_V3_ADDR_TYPE_REDIST, m->redist[i].base);
    }
    return ok;
}

bool kvm_arm_start_pmu(const KvmVcpu *k)
{
    return kvm_arm_set_attr(k->fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT, NULL);
}

/* The private interrupts that the kernel's timers and performance monitors raise. */
static bool connect_cpus(Error **errp)
{
    int virt = PPI_VIRT, phys = PPI_PHYS, pmu = PPI_PMU;
    for (unsigned i = 0; i < vcpu_count(); i++) {
        const KvmVcpu *k = vcpu_get(i) ? vcpu_get(i)->kvm : NULL;
        if (!k)
            continue;
        if (!kvm_arm_set_attr(k->fd, KVM_ARM_VCPU_TIMER_CTRL, KVM_ARM_VCPU_TIMER_IRQ_VTIMER, &virt) ||
            !kvm_arm_set_attr(k->fd, KVM_ARM_VCPU_TIMER_CTRL, KVM_ARM_VCPU_TIMER_IRQ_PTIMER, &phys))
            return refused(errp, "the timers' interrupts");
        if (kvm_arm(k)->init.features[0] >> KVM_ARM_VCPU_PMU_V3 & 1 &&
            (!kvm_arm_set_attr(k->fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, &pmu) ||
             !kvm_arm_start_pmu(k)))
            return refused(errp, "the performance monitors (-cpu host,pmu=off is without them)");
    }
    return true;
}

static void close_devices(void)
{
    if (gic >= 0)
        close(gic);
    if (its >= 0)
        close(its);
    gic = its = -1;
}

static bool gic_new(unsigned wanted, unsigned irqs, const IrqchipGicMap *map, Error **errp)
{
    uint32_t lines = irqs;
    version = wanted;
    close_devices();
    gic = new_device(version == 3 ? KVM_DEV_TYPE_ARM_VGIC_V3 : KVM_DEV_TYPE_ARM_VGIC_V2, 0);
    if (gic < 0)
        return refused(errp, "to make it");
    if (version == 3 ? !place_v3(map) : !place_v2(map))
        return refused(errp, "its place");
    if (!kvm_arm_set_attr(gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &lines))
        return refused(errp, "so many interrupts");
    if (!kvm_arm_set_attr(gic, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL))
        return refused(errp, "to start it");
    for (unsigned i = IRQ_INTERNAL; i < irqs; i++)
        kvm_route_pin(i - IRQ_INTERNAL, 0, i - IRQ_INTERNAL);
    kvm_routes_publish();
    return connect_cpus(errp);
}

static bool its_new(uint64_t base, Error **errp)
{
    its = new_device(KVM_DEV_TYPE_ARM_VGIC_ITS, 0);
    if (its >= 0 && kvm_arm_set_attr(its, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE, &base) &&
        kvm_arm_set_attr(its, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL)) {
        kvm_irq_messages_by_requester();
        return true;
    }
    return refused(errp, "its translation service (its=off is without it)");
}

/* --- lines and messages --- */

static void gic_line(unsigned irq, unsigned cpu, bool level)
{
    bool private = irq < IRQ_INTERNAL;
    uint32_t number = (private ? KVM_ARM_IRQ_TYPE_PPI : KVM_ARM_IRQ_TYPE_SPI) << KVM_ARM_IRQ_TYPE_SHIFT | irq;
    if (private)
        number |= (cpu & KVM_ARM_IRQ_VCPU_MASK) << KVM_ARM_IRQ_VCPU_SHIFT | (cpu >> 8) << KVM_ARM_IRQ_VCPU2_SHIFT;
    if (gic >= 0)
        kvm_set_gsi(number, level);
}

static void its_msi(uint64_t address, uint32_t data, uint32_t device)
{
    struct kvm_msi m = { .address_lo = (uint32_t)address,
                         .address_hi = (uint32_t)(address >> 32),
                         .data = data,
                         .flags = KVM_MSI_VALID_DEVID,
                         .devid = device };
    if (kvm_ioctl(kvm.vm, KVM_SIGNAL_MSI, &m) < 0)
        log_guest_error("kvm", "message %x of device %x: %s", data, device, g_strerror(errno));
}

/* --- registers --- */

static uint64_t attr_of(IrqchipGicPart part, unsigned cpu, uint64_t at)
{
    if (part == IRQCHIP_GIC_ITS)
        return at;
    if (version == 2)
        return (uint64_t)cpu << KVM_DEV_ARM_VGIC_CPUID_SHIFT | at;
    const CpuPort *p = cpu_port(cpu);
    uint64_t affinity = p ? p->arch_id : 0;
    if (part == IRQCHIP_GIC_LEVEL)
        at |= VGIC_LEVEL_INFO_LINE_LEVEL << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT;
    return affinity << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT | at;
}

static bool gic_reg(IrqchipGicPart part, unsigned cpu, uint64_t at, bool write, uint64_t *value)
{
    static const uint8_t groups[] = { [IRQCHIP_GIC_DIST] = KVM_DEV_ARM_VGIC_GRP_DIST_REGS,
                                      [IRQCHIP_GIC_CPU] = KVM_DEV_ARM_VGIC_GRP_CPU_REGS,
                                      [IRQCHIP_GIC_REDIST] = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS,
                                      [IRQCHIP_GIC_SYSREG] = KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS,
                                      [IRQCHIP_GIC_LEVEL] = KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO,
                                      [IRQCHIP_GIC_ITS] = KVM_DEV_ARM_VGIC_GRP_ITS_REGS };
    bool wide = part == IRQCHIP_GIC_SYSREG || part == IRQCHIP_GIC_ITS;
    uint32_t word = (uint32_t)*value;
    struct kvm_device_attr a = { .group = groups[part],
                                 .attr = attr_of(part, cpu, at),
                                 .addr = (uintptr_t)(wide ? (void *)value : &word) };
    bool ok = !kvm_ioctl(part == IRQCHIP_GIC_ITS ? its : gic, write ? KVM_SET_DEVICE_ATTR : KVM_GET_DEVICE_ATTR, &a);
    if (!ok)
        log_unimp("kvm", "the kernel %s register 0x%" G_GINT64_MODIFIER "x of part %u of the GIC: %s",
                  write ? "does not take" : "does not tell", (guint64)at, part, g_strerror(errno));
    else if (!wide)
        *value = word;
    return ok;
}

static bool gic_order(IrqchipGicOrder order)
{
    static const uint8_t orders[] = { [IRQCHIP_LPIS_TO_RAM] = KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES,
                                      [IRQCHIP_ITS_TO_RAM] = KVM_DEV_ARM_ITS_SAVE_TABLES,
                                      [IRQCHIP_ITS_FROM_RAM] = KVM_DEV_ARM_ITS_RESTORE_TABLES,
                                      [IRQCHIP_ITS_RESET] = KVM_DEV_ARM_ITS_CTRL_RESET };
    if (kvm_arm_set_attr(order == IRQCHIP_LPIS_TO_RAM ? gic : its, KVM_DEV_ARM_VGIC_GRP_CTRL, orders[order], NULL))
        return true;
    log_unimp("kvm", "order %u to the GIC: %s", order, g_strerror(errno));
    return false;
}

/* --- the choice --- */

static IrqchipHost host = {
    .gic_new = gic_new, .gic_line = gic_line, .gic_reg = gic_reg, .gic_order = gic_order, .its_msi = its_msi
};
/* version 3's CPU interface is in system registers, which the kernel does not pass on */
static const IrqchipHost outside = { .gic_versions = 1 << 2 };

bool kvm_arm_make_irqchip(KvmIrqchip mode)
{
    close_devices();
    if (mode == KVM_IRQCHIP_OFF) {
        irqchip_host_set(&outside);
        return true;
    }
    host.gic_versions = new_device(KVM_DEV_TYPE_ARM_VGIC_V2, KVM_CREATE_DEVICE_TEST) >= 0 ? 1 << 2 : 0;
    host.gic_versions |= new_device(KVM_DEV_TYPE_ARM_VGIC_V3, KVM_CREATE_DEVICE_TEST) >= 0 ? 1 << 3 : 0;
    host.its_new = new_device(KVM_DEV_TYPE_ARM_VGIC_ITS, KVM_CREATE_DEVICE_TEST) >= 0 ? its_new : NULL;
    if (mode == KVM_IRQCHIP_SPLIT || !host.gic_versions || kvm_check(KVM_CAP_IRQCHIP) <= 0)
        return false;
    irqchip_host_set(&host);
    return true;
}

/* SPDX-License-Identifier: MIT */
/*
 * KVM on arm64 hosts without a kernel: the model "host", state to and fro, timers, GICs, debug registers, exits; ioctl
 * is this file's.
 */
#include <errno.h>
#include <string.h>
#include "accel/accel.h"
#include "accel/vcpu.h"
#include "base/clock.h"
#include "hw/core/device.h"
#include "hw/core/event-doors.h"
#include "hw/core/irqchip-host.h"
#include "target/arm/helpers.h"
#include "target/arm/kvm.h"
#include "tests/device/whole-state.h"

enum { RAM = 1 << 20, FD_VM = 1000, FD_VCPU, FD_GIC, FD_ITS, MODELS_MIDR = 0x413fd0c1 };
#define SYSREG(op1, crn, crm, op2) \
    (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | ARM_SYS_KEY(3, op1, crn, crm, op2))
#define CORE(field) (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(field))

static Machine machine;
static ArmCpu *cpu;
static KvmVcpu *k;
static GString *said;

static void hear(void *opaque, const char *line) { g_string_append_printf(said, "%s\n", line); }

/* --- the kernel --- */

typedef struct Attr { int fd; uint32_t group; uint64_t attr, value; } Attr;

static GHashTable *regs; /* id -> 256 bytes */
static GArray *attrs;    /* of Attr, in order */
static unsigned inits, count_writes, version_mask = 4 | 8, irq_line, irq_level, msi_device;
static uint32_t features, mp_state, irqfd_gsi;
static struct kvm_irq_routing_entry route; /* the last one of a message */
static struct kvm_guest_debug debug;
static struct kvm_vcpu_events events;
static bool sve = true;

static const uint64_t listed[] = {
    SYSREG(0, 1, 0, 0) /* SCTLR_EL1 */,       SYSREG(0, 2, 0, 0) /* TTBR0_EL1 */,
    SYSREG(0, 12, 0, 0) /* VBAR_EL1 */,       SYSREG(0, 0, 0, 0) /* MIDR_EL1 */,
    SYSREG(3, 13, 0, 2) /* TPIDR_EL0 */,      SYSREG(3, 9, 12, 1) /* PMCNTENSET_EL0 */,
    SYSREG(3, 9, 12, 2) /* PMCNTENCLR_EL0 */, SYSREG(3, 14, 3, 2) /* TIMER_CNT */,
    SYSREG(3, 14, 0, 2) /* TIMER_CVAL */,     SYSREG(0, 15, 15, 7) /* not known to us */,
};

static void *reg(uint64_t id)
{
    void *v = g_hash_table_lookup(regs, &id);
    if (!v) {
        v = g_malloc0(256);
        g_hash_table_insert(regs, g_memdup2(&id, sizeof(id)), v);
    }
    return v;
}
static uint64_t *reg64(uint64_t id) { return reg(id); }

static int one_reg(const struct kvm_one_reg *r, bool set)
{
    size_t size = KVM_REG_SIZE(r->id);
    void *mine = reg(r->id), *theirs = (void *)(uintptr_t)r->addr;
    bool vector = (r->id & KVM_REG_ARM_COPROC_MASK) == KVM_REG_ARM_CORE &&
                  (r->id & KVM_REG_SIZE_MASK) == KVM_REG_SIZE_U128;
    if (vector && features >> KVM_ARM_VCPU_SVE & 1) {
        errno = EINVAL; /* they go by SVE's registers then */
        return -1;
    }
    count_writes += set && r->id == KVM_REG_ARM_TIMER_CNT;
    memcpy(set ? mine : theirs, set ? theirs : mine, size);
    if (set && r->id == SYSREG(3, 9, 12, 2)) /* one that clears */
        *reg64(SYSREG(3, 9, 12, 1)) &= ~*(uint64_t *)mine;
    return 0;
}

static int device_attr(int fd, const struct kvm_device_attr *a)
{
    Attr n = { fd, a->group, a->attr, 0 };
    bool wide = fd == FD_ITS || (fd == FD_VCPU && a->group == KVM_ARM_VCPU_PVTIME_CTRL) ||
                (fd == FD_GIC &&
                 (a->group == KVM_DEV_ARM_VGIC_GRP_ADDR || a->group == KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS));
    if (a->addr)
        memcpy(&n.value, (void *)(uintptr_t)a->addr, wide ? 8 : 4);
    g_array_append_val(attrs, n);
    return 0;
}

static int capability(uintptr_t cap)
{
    switch (cap) {
    case KVM_CAP_ARM_SVE: return sve;
    case KVM_CAP_ARM_VM_IPA_SIZE: return 44;
    case KVM_CAP_GUEST_DEBUG_HW_BPS: return 2;
    case KVM_CAP_GUEST_DEBUG_HW_WPS: return 1;
    default: return 1;
    }
}

static int create_device(struct kvm_create_device *d)
{
    static const unsigned masks[] = {
        [KVM_DEV_TYPE_ARM_VGIC_V2] = 4, [KVM_DEV_TYPE_ARM_VGIC_V3] = 8, [KVM_DEV_TYPE_ARM_VGIC_ITS] = 8
    };
    d->fd = d->type == KVM_DEV_TYPE_ARM_VGIC_ITS ? FD_ITS : FD_GIC;
    errno = ENODEV;
    return version_mask & masks[d->type] ? 0 : -1;
}

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
    switch (request) {
    case KVM_CREATE_VM: return FD_VM;
    case KVM_CREATE_VCPU: return FD_VCPU;
    case KVM_CHECK_EXTENSION: return capability((uintptr_t)arg);
    case KVM_ARM_PREFERRED_TARGET: return 0;
    case KVM_ARM_VCPU_INIT: inits++, features = ((struct kvm_vcpu_init *)arg)->features[0]; return 0;
    case KVM_ARM_VCPU_FINALIZE: return 0;
    case KVM_GET_ONE_REG: return one_reg(arg, false);
    case KVM_SET_ONE_REG: return one_reg(arg, true);
    case KVM_GET_REG_LIST: {
        struct kvm_reg_list *l = arg;
        bool room = l->n >= ARRAY_LEN(listed);
        l->n = ARRAY_LEN(listed);
        errno = E2BIG;
        if (room)
            memcpy(l->reg, listed, sizeof(listed));
        return room ? 0 : -1;
    }
    case KVM_GET_MP_STATE: ((struct kvm_mp_state *)arg)->mp_state = mp_state; return 0;
    case KVM_SET_MP_STATE: mp_state = ((struct kvm_mp_state *)arg)->mp_state; return 0;
    case KVM_GET_VCPU_EVENTS: *(struct kvm_vcpu_events *)arg = events; return 0;
    case KVM_SET_VCPU_EVENTS: events = *(struct kvm_vcpu_events *)arg; return 0;
    case KVM_SET_GUEST_DEBUG: debug = *(struct kvm_guest_debug *)arg; return 0;
    case KVM_CREATE_DEVICE: return create_device(arg);
    case KVM_SET_DEVICE_ATTR: return device_attr(fd, arg);
    case KVM_GET_DEVICE_ATTR: return device_attr(fd, arg);
    case KVM_IRQ_LINE:
        irq_line = ((struct kvm_irq_level *)arg)->irq, irq_level = ((struct kvm_irq_level *)arg)->level;
        return 0;
    case KVM_SIGNAL_MSI:
        msi_device = ((struct kvm_msi *)arg)->flags & KVM_MSI_VALID_DEVID ? ((struct kvm_msi *)arg)->devid : 0;
        return 1;
    case KVM_SET_GSI_ROUTING: {
        const struct kvm_irq_routing *t = arg;
        for (unsigned i = 0; i < t->nr; i++)
            route = t->entries[i].type == KVM_IRQ_ROUTING_MSI ? t->entries[i] : route;
        return 0;
    }
    case KVM_IRQFD: irqfd_gsi = ((struct kvm_irqfd *)arg)->gsi; return 0;
    case KVM_HAS_DEVICE_ATTR: return 0;
    default: break;
    }
    errno = ENOTTY;
    return -1;
}

static int find(int fd, uint32_t group, uint64_t attr, uint64_t value)
{
    for (unsigned i = 0; i < attrs->len; i++) {
        const Attr *a = &g_array_index(attrs, Attr, i);
        if (a->fd == fd && a->group == group && a->attr == attr && a->value == value)
            return (int)i;
    }
    return -1;
}

/* --- a CPU as the host shows it --- */

static void host(void)
{
    Error *err = NULL;
    *reg64(SYSREG(0, 0, 0, 0)) = MODELS_MIDR;
    /* AA64PFR0: 32-bit code, FP16, SVE */
    *reg64(SYSREG(0, 0, 4, 0)) = UINT64_C(0x00110022) | (sve ? UINT64_C(1) << 32 : 0);
    /* AA64DFR0: 6 breakpoints, 4 watchpoints, PMU */
    *reg64(SYSREG(0, 0, 5, 0)) = 0x10305408;
    /* AA64ISAR0: AES, PMULL, LSE, dot product ... */
    *reg64(SYSREG(0, 0, 6, 0)) = 0x0000100010211120;
    *reg64(SYSREG(0, 0, 7, 0)) = 0x0f100005;                                            /* AA64MMFR0 */
    *reg64(SYSREG(3, 9, 12, 0)) = 5 << 11;
    *reg64(KVM_REG_ARM64_SVE_VLS) = 0xb;
    g_assert_true(kvm_arm_read_host(44, &err));
}

static void start(const char *model)
{
    Error *err = NULL;
    host();
    arm_board_configure(&(ArmBoardCpus){ .psci = ARM_PSCI_HVC });
    cpu_family_find("aarch64")->create(&machine, 0, 0, model, &err);
    g_assert_no_error(err);
    vcpu_set_current(vcpu_get(0));
    cpu = arm_cpu(vcpu_get(0));
    k->v = &cpu->v;
    k->fd = FD_VCPU;
    cpu->v.kvm = k;
    features = inits = 0;
    g_assert_true(kvm_arm_table.vcpu_init(k, &err));
}

static void stop(void)
{
    kvm_arm_table.vcpu_free(k);
    cpu->v.kvm = NULL;
    vcpu_set_current(NULL);
    cpu_family_find("aarch64")->destroy_all(&machine);
    cpu_ports_clear();
    machine_parts_clear();
    g_hash_table_remove_all(regs);
    g_array_set_size(attrs, 0);
    irqchip_host_set(NULL);
}

static void refused(const char *model, const char *why)
{
    Error *err = NULL;
    ArmBoardCpus none = { 0 };
    g_autofree ArmCpu *c = g_new0(ArmCpu, 1);
    host();
    g_assert_false(arm_model_apply(c, model, &none, 0, &err));
    g_assert_nonnull(strstr(err->message, why));
    error_free(err);
}

static void test_model(void)
{
    start("host");
    g_assert_cmphex(cpu->midr, ==, MODELS_MIDR);
    g_assert_true(cpu->has.lse && cpu->has.aes && cpu->has.pmull && cpu->has.dotprod && cpu->has.fp16 && cpu->has.sve &&
                  cpu->has.pmuv3);
    g_assert_false(cpu->has.el2 || cpu->has.el3 || cpu->has.pauth || cpu->has.sha512);
    g_assert_cmphex(cpu->sve_lengths, ==, 0xb);
    g_assert_cmpuint(cpu->model->breakpoints, ==, 6);
    g_assert_cmpuint(arm_phys_bits(cpu), ==, 44);
    g_assert_cmphex(features, ==, 1u << KVM_ARM_VCPU_PSCI_0_2 | 1u << KVM_ARM_VCPU_PMU_V3 | 1u << KVM_ARM_VCPU_SVE);
    g_assert_cmphex(*reg64(KVM_REG_ARM64_SVE_VLS), ==, 0xb);
    stop();
    start("max,sve=off,pmu=off,aarch64=off");
    g_assert_cmphex(features, ==, 1u << KVM_ARM_VCPU_PSCI_0_2 | 1u << KVM_ARM_VCPU_EL1_32BIT);
    stop();
    refused("host,+pauth", "has no 'pauth'");
    refused("host,lse=off", "cannot be kept from guests");
    arm_models_set_host(NULL);
    Error *err = NULL;
    ArmBoardCpus none = { 0 };
    g_autofree ArmCpu *c = g_new0(ArmCpu, 1);
    g_assert_false(arm_model_apply(c, "host", &none, 0, &err));
    g_assert_nonnull(strstr(err->message, "only with -accel kvm"));
    error_free(err);
}

/* --- state --- */

static void test_state(void)
{
    start("host");
    for (unsigned i = 0; i < 32; i++)
        cpu->v.g[i] = 0x1000 + i, memset(cpu->v.v[i].u8, (int)i, 64);
    cpu->v.pc = 0x40200000;
    cpu->el = 1, cpu->sp_sel = true, cpu->daif = ARM_PSTATE_I;
    cpu->sp_el[0] = 0xabc;
    arm_set_nzcv(cpu, 0x90000000);
    cpu->elr_el[1] = 0x77, cpu->spsr_el[1] = 0x3c5, cpu->ttbr0_el[1] = 0x123000, cpu->tpidr_el[0] = 5;
    cpu->pred[3][0] = 0xff, cpu->ffr[0] = 0x0f;
    cpu->pmcnten = 0x80000003;
    *reg64(SYSREG(3, 9, 12, 1)) = 0x8000000c; /* bits that are to go */
    cpu->v.powered_off = false;
    cpu->serror_pending = true, cpu->serror_esr = 0x1234;
    g_assert_true(kvm_arm_put(k, NULL));
    g_assert_cmpuint(inits, ==, 2); /* it has been reset since */
    g_assert_cmphex(*reg64(CORE(regs.regs[30])), ==, 0x101e);
    g_assert_cmphex(*reg64(CORE(sp_el1)), ==, 0x101f);
    g_assert_cmphex(*reg64(CORE(regs.sp)), ==, 0xabc);
    g_assert_cmphex(*reg64(CORE(regs.pstate)), ==, 0x90000085);
    g_assert_cmphex(*reg64(CORE(spsr[0])), ==, 0x3c5);
    g_assert_cmphex(*reg64(SYSREG(0, 2, 0, 0)), ==, 0x123000);
    g_assert_cmphex(*reg64(SYSREG(3, 9, 12, 1)), ==, 0x80000003);
    g_assert_cmphex(((uint8_t *)reg(KVM_REG_ARM64_SVE_ZREG(7, 0)))[63], ==, 7);
    g_assert_cmphex(*reg64(KVM_REG_ARM64_SVE_PREG(3, 0)), ==, 0xff);
    g_assert_cmphex(*reg64(KVM_REG_ARM64_SVE_FFR(0)), ==, 0x0f);
    g_assert_cmpuint(mp_state, ==, KVM_MP_STATE_RUNNABLE);
    g_assert_true(events.exception.serror_pending && events.exception.serror_has_esr);
    memset(cpu->v.g, 0, sizeof(cpu->v.g));
    memset(cpu->v.v, 0, sizeof(cpu->v.v));
    cpu->v.pc = cpu->sp_el[0] = cpu->elr_el[1] = cpu->spsr_el[1] = cpu->ttbr0_el[1] = cpu->ffr[0] = 0;
    cpu->sp_sel = false, cpu->daif = 0, cpu->serror_pending = false;
    mp_state = KVM_MP_STATE_STOPPED;
    g_assert_true(kvm_arm_get(k, NULL));
    for (unsigned i = 0; i < 32; i++) {
        g_assert_cmphex(cpu->v.g[i], ==, 0x1000 + i);
        g_assert_cmphex(cpu->v.v[i].u8[63], ==, i);
    }
    g_assert_cmphex(arm_get_pstate(cpu), ==, 0x90000085);
    g_assert_cmphex(cpu->sp_el[0], ==, 0xabc);
    g_assert_cmphex(cpu->elr_el[1], ==, 0x77);
    g_assert_cmphex(cpu->spsr_el[1], ==, 0x3c5);
    g_assert_cmphex(cpu->ttbr0_el[1], ==, 0x123000);
    g_assert_cmphex(cpu->ffr[0], ==, 0x0f);
    g_assert_true(cpu->v.powered_off && cpu->psci_off && cpu->serror_pending);
    g_assert_true(kvm_arm_put(k, NULL));
    g_assert_cmpuint(inits, ==, 2); /* not again */
    stop();
}

/* What no table has is kept, saved where it differs from reset, and begins anew with a reset. */
static void test_rest(void)
{
    start("host");
    uint64_t *mine = reg64(SYSREG(0, 15, 15, 7));
    *mine = 0x99;
    g_assert_true(kvm_arm_get(k, NULL));
    g_autoptr(GBytes) stream = save_all();
    device_reset_all();
    g_assert_true(kvm_arm_put(k, NULL));
    g_assert_cmphex(*mine, ==, 0);
    load_all(stream);
    g_assert_true(kvm_arm_put(k, NULL));
    g_assert_cmphex(*mine, ==, 0x99);
    stop();
    start("host,kvm-steal-time=on");
    g_assert_true(arm_board_wants_steal_time());
    arm_board_steal_time(0x90a0000);
    g_assert_true(kvm_arm_put(k, NULL));
    g_assert_cmpint(find(FD_VCPU, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA, 0x90a0000), >=, 0);
    stop();
}

/* 32-bit code: banks of the modes stand where AArch64 sees them. */
static void test_state32(void)
{
    start("host,sve=off");
    cpu->aarch64 = false;
    cpu->mode32 = ARM_IRQ;
    cpu->el = 1;
    for (unsigned i = 0; i < 15; i++)
        cpu->v.g[i] = 0x100 + i;
    cpu->r13_bank[ARM_BANKED_SVC] = 0x5c13, cpu->r14_bank[ARM_BANKED_SVC] = 0x5c14,
    cpu->r13_bank[ARM_BANKED_USR] = 0x0513;
    cpu->r8_fiq[2] = 0xf10;
    cpu->spsr_bank[ARM_BANKED_IRQ] = 0x1f, cpu->spsr_bank[ARM_BANKED_SVC] = 0x10;
    cpu->t32 = true, cpu->daif = ARM_PSTATE_I | ARM_PSTATE_A;
    cpu->fpscr_nzcv = 0x60000000;
    cpu->v.v[1].u64[1] = 0x1122;
    g_assert_true(kvm_arm_put(k, NULL));
    g_assert_cmphex(*reg64(CORE(regs.regs[8])), ==, 0x108);
    g_assert_cmphex(*reg64(CORE(regs.regs[13])), ==, 0x0513);
    g_assert_cmphex(*reg64(CORE(regs.regs[16])), ==, 0x10e); /* LR_irq */
    g_assert_cmphex(*reg64(CORE(regs.regs[17])), ==, 0x10d); /* SP_irq */
    g_assert_cmphex(*reg64(CORE(regs.regs[18])), ==, 0x5c14);
    g_assert_cmphex(*reg64(CORE(regs.regs[19])), ==, 0x5c13);
    g_assert_cmphex(*reg64(CORE(regs.regs[26])), ==, 0xf10);
    g_assert_cmphex(*reg64(CORE(spsr[KVM_SPSR_IRQ])), ==, 0x1f);
    g_assert_cmphex(*reg64(CORE(regs.pstate)) & 0xffffff, ==, 0x1b2);
    g_assert_cmphex(cpu->v.g[14], ==, 0x10e); /* as it was */
    g_assert_cmphex(cpu->mode32, ==, ARM_IRQ);
    memset(cpu->v.g, 0, sizeof(cpu->v.g));
    memset(cpu->r13_bank, 0, sizeof(cpu->r13_bank));
    memset(cpu->spsr_bank, 0, sizeof(cpu->spsr_bank));
    cpu->aarch64 = true, cpu->t32 = false, cpu->mode32 = ARM_SVC, cpu->fpscr_nzcv = 0;
    g_assert_true(kvm_arm_get(k, NULL));
    g_assert_false(cpu->aarch64);
    g_assert_true(cpu->t32);
    g_assert_cmphex(cpu->mode32, ==, ARM_IRQ);
    for (unsigned i = 0; i < 15; i++)
        g_assert_cmphex(cpu->v.g[i], ==, 0x100 + i);
    g_assert_cmphex(cpu->r13_bank[ARM_BANKED_SVC], ==, 0x5c13);
    g_assert_cmphex(cpu->r13_bank[ARM_BANKED_USR], ==, 0x0513);
    g_assert_cmphex(cpu->spsr_bank[ARM_BANKED_IRQ], ==, 0x1f);
    g_assert_cmphex(cpu->spsr_bank[ARM_BANKED_SVC], ==, 0x10);
    g_assert_cmphex(cpu->fpscr_nzcv, ==, 0x60000000);
    stop();
}

/* Two of the kernel's numbers have changed places: the table must not take them by the architecture's encoding. */
static void test_timers(void)
{
    start("host");
    uint64_t now = arm_count(cpu), *physical = reg64(KVM_REG_ARM_PTIMER_CNT);
    *physical = now + 1000000;
    cpu->timer_cval[ARM_TIMER_VIRT] = 0x1111, cpu->timer_cval[ARM_TIMER_PHYS] = now + 500;
    cpu->timer_ctl[ARM_TIMER_VIRT] = 1, cpu->timer_ctl[ARM_TIMER_PHYS] = 3;
    kvm_arm_follow_clock();
    count_writes = 0;
    g_assert_true(kvm_arm_put(k, NULL));
    g_assert_cmpuint(count_writes, ==, 1);
    g_assert_cmphex(*reg64(KVM_REG_ARM_TIMER_CVAL), ==, 0x1111);
    g_assert_cmphex(*reg64(KVM_REG_ARM_TIMER_CNT), >=, now);
    g_assert_cmphex(*reg64(KVM_REG_ARM_TIMER_CTL), ==, 1);
    uint64_t cval = *reg64(KVM_REG_ARM_PTIMER_CVAL); /* as far from the host's count as it was from ours */
    g_assert_cmphex(cval, <=, *physical + 500);
    g_assert_true(kvm_arm_put(k, NULL)); /* a count that runs is let run */
    g_assert_cmpuint(count_writes, ==, 1);
    *reg64(KVM_REG_ARM_TIMER_CTL) = 5;
    *reg64(KVM_REG_ARM_TIMER_CVAL) = 0x2222;
    g_assert_true(kvm_arm_get(k, NULL));
    g_assert_cmphex(cpu->timer_cval[ARM_TIMER_VIRT], ==, 0x2222);
    g_assert_cmphex(cpu->timer_ctl[ARM_TIMER_VIRT], ==, 1);
    stop();
    start("host,kvm-no-adjvtime=on");
    kvm_arm_follow_clock();
    count_writes = 0;
    g_assert_true(kvm_arm_put(k, NULL));
    g_assert_cmpuint(count_writes, ==, 0);
    stop();
}

/* --- interrupt controllers --- */

static void test_gic(void)
{
    IrqchipGicMap v2 = { .dist = 0x8000000, .cpu = 0x8010000 },
                  v3 = { .dist = 0x8000000, .redist = { { 0x80a0000, 123 }, { 0x4000000000, 5 } } };
    start("host");
    version_mask = 4 | 8;
    g_assert_false(kvm_arm_make_irqchip(KVM_IRQCHIP_SPLIT));
    g_assert_true(kvm_arm_make_irqchip(KVM_IRQCHIP_OFF));
    g_assert_null(irqchip_host_gic());
    g_assert_cmphex(irqchip_host()->gic_versions, ==, 4);
    g_assert_true(kvm_arm_make_irqchip(KVM_IRQCHIP_ON));
    const IrqchipHost *h = irqchip_host_gic();
    kvm_irq_init(false, true);
    g_assert_cmphex(h->gic_versions, ==, 12);
    g_assert_true(h->gic_new(2, 288, &v2, NULL));
    g_assert_cmpint(find(FD_GIC, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V2_ADDR_TYPE_DIST, v2.dist), >=, 0);
    g_assert_cmpint(find(FD_GIC, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V2_ADDR_TYPE_CPU, v2.cpu), >=, 0);
    g_assert_cmpint(find(FD_GIC, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, 288), >=, 0);
    g_array_set_size(attrs, 0);
    g_assert_true(h->gic_new(3, 288, &v3, NULL));
    int placed = find(FD_GIC, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
                      UINT64_C(123) << 52 | 0x80a0000);
    int second = find(FD_GIC, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
                      UINT64_C(5) << 52 | 0x4000000000 | 1);
    int ready = find(FD_GIC, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, 0);
    g_assert_true(placed >= 0 && second > placed && ready > second);
    g_assert_cmpint(find(FD_VCPU, KVM_ARM_VCPU_TIMER_CTRL, KVM_ARM_VCPU_TIMER_IRQ_VTIMER, 27), >, ready);
    g_assert_cmpint(find(FD_VCPU, KVM_ARM_VCPU_TIMER_CTRL, KVM_ARM_VCPU_TIMER_IRQ_PTIMER, 30), >, ready);
    int irq = find(FD_VCPU, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, 23);
    g_assert_cmpint(find(FD_VCPU, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT, 0), >, irq);
    g_assert_cmpint(irq, >, ready);
    h->gic_line(40, 0, true);
    g_assert_cmphex(irq_line, ==, KVM_ARM_IRQ_TYPE_SPI << 24 | 40);
    g_assert_cmpuint(irq_level, ==, 1);
    h->gic_line(20, 0x103, false);
    g_assert_cmphex(irq_line, ==, 1u << 28 | KVM_ARM_IRQ_TYPE_PPI << 24 | 3 << 16 | 20);
    uint64_t value = 0x5a;
    g_array_set_size(attrs, 0);
    g_assert_true(h->gic_reg(IRQCHIP_GIC_LEVEL, 0, 64, true, &value));
    g_assert_cmpint(find(FD_GIC, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, 64, 0x5a), >=, 0);
    g_assert_true(h->gic_order(IRQCHIP_LPIS_TO_RAM));
    g_assert_cmpint(find(FD_GIC, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES, 0), >=, 0);
    g_assert_true(h->its_new(0x8080000, NULL));
    g_assert_cmpint(find(FD_ITS, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE, 0x8080000), >=, 0);
    h->its_msi(0x8090040, 3, 0x18);
    g_assert_cmphex(msi_device, ==, 0x18);

    /* messages by file descriptors say whose they are; they have numbers behind all lines */
    const EventDoors *doors = event_doors();
    g_assert_nonnull(doors->msi_fd_new);
    int door = doors->msi_fd_new(77, 0x8090040, 5, 0x28);
    g_assert_cmpint(door, >=, 1020);
    g_assert_cmpuint(irqfd_gsi, ==, door);
    g_assert_cmpuint(route.gsi, ==, door);
    g_assert_cmphex(route.flags, ==, KVM_MSI_VALID_DEVID);
    g_assert_cmphex(route.u.msi.devid, ==, 0x28);
    g_assert_cmphex(route.u.msi.address_lo, ==, 0x8090040);
    g_assert_cmphex(route.u.msi.data, ==, 5);
    g_assert_true(doors->msi_fd_set(door, 0x8090040, 6, 0x30));
    g_assert_cmphex(route.u.msi.devid, ==, 0x30);
    doors->msi_fd_free(door, 77);
    g_assert_true(doors->line_fd(9, 78, 79, true));
    g_assert_cmpuint(irqfd_gsi, ==, 9);
    g_assert_true(doors->line_fd(9, 78, 79, false));
    event_doors_set(NULL);
    stop();
    version_mask = 0;
    g_assert_false(kvm_arm_make_irqchip(KVM_IRQCHIP_ON));
    version_mask = 4 | 8;
}

/* --- the debugger --- */

static void test_debug(void)
{
    start("host");
    const DebugPoint points[] = { { DEBUG_BREAK_HW, 0x1000, 4 },
                                  { DEBUG_WATCH_WRITE, 0x2003, 2 },
                                  { DEBUG_BREAK_HW, 0x3000, 4 },
                                  { DEBUG_WATCH_READ, 0x5000, 4 } };
    g_string_truncate(said, 0);
    g_assert_true(kvm_arm_set_debug(k, points, 4, true));
    g_assert_cmphex(debug.control, ==, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_USE_HW);
    g_assert_cmphex(debug.arch.dbg_bvr[1], ==, 0x3000);
    g_assert_cmphex(debug.arch.dbg_bcr[0], ==, 0x1e7);
    g_assert_cmphex(debug.arch.dbg_wvr[0], ==, 0x2000);
    g_assert_cmphex(debug.arch.dbg_wcr[0], ==, 0x18 << 5 | 2 << 3 | 7);
    g_assert_nonnull(strstr(said->str, "0x5000")); /* the CPU has one watchpoint only */
    const DebugPoint wide = { DEBUG_WATCH_ACCESS, 0x4000, 64 };
    g_assert_true(kvm_arm_set_debug(k, &wide, 1, false));
    g_assert_cmphex(debug.arch.dbg_wcr[0], ==, 6 << 24 | 0xff << 5 | 3 << 3 | 7);
    cpu->v.debug.step = DEBUG_STEP;
    g_assert_true(kvm_arm_set_debug(k, NULL, 0, false));
    g_assert_cmphex(debug.control, ==, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
    *reg64(CORE(regs.pc)) = 0x1238;
    k->run->exit_reason = KVM_EXIT_DEBUG;
    k->run->debug.arch.hsr = UINT32_C(0x32) << 26;
    kvm_handle(k, 0);
    g_assert_cmpuint(cpu->v.debug.stop.reason, ==, DEBUG_STEPPED);
    cpu->v.debug.step = DEBUG_RUN;
    debug_release();
    stop();
}

/* A breakpoint instruction of the guest's own is its exception. */
static void test_own_brk(void)
{
    start("host");
    *reg64(CORE(regs.pc)) = 0x40001000;
    *reg64(CORE(regs.pstate)) = 5;
    *reg64(SYSREG(0, 12, 0, 0)) = 0x40800000;
    k->loaded = true;
    k->run->exit_reason = KVM_EXIT_DEBUG;
    k->run->debug.arch.hsr = UINT32_C(0x3c) << 26 | 1u << 25 | 0x321;
    kvm_handle(k, 0);
    g_assert_cmphex(cpu->v.pc, ==, 0x40800200);
    g_assert_cmphex(cpu->esr_el[1], ==, UINT64_C(0x3c) << 26 | 1u << 25 | 0x321);
    g_assert_cmphex(cpu->elr_el[1], ==, 0x40001000);
    g_assert_false(k->loaded);
    stop();
}

/* --- exits --- */

static void test_exits(void)
{
    start("host");
    machine_take_requests();
    k->run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
    k->run->system_event.type = KVM_SYSTEM_EVENT_SHUTDOWN;
    kvm_handle(k, 0);
    g_assert_true(machine_take_requests().shutdown);
    k->run->system_event.type = KVM_SYSTEM_EVENT_RESET;
    kvm_handle(k, 0);
    g_assert_true(machine_take_requests().reset);
    k->run->exit_reason = KVM_EXIT_ARM_NISV;
    k->run->arm_nisv.fault_ipa = 0x9000018;
    k->run->arm_nisv.esr_iss = 0x47;
    g_string_truncate(said, 0);
    memset(&events, 0, sizeof(events));
    kvm_handle(k, 0);
    g_assert_true(events.exception.ext_dabt_pending);
    g_assert_nonnull(strstr(said->str, "0x9000018"));
    kvm_handle(k, 0); /* told once */
    g_assert_cmpstr(strchr(said->str, '\n'), ==, "\n");
    stop();
}

/* SYSTEM_SUSPEND: the kernel waits; what wakes it starts the CPU where the guest has said. */
static void test_suspend(void)
{
    start("host");
    *reg64(CORE(regs.pstate)) = 5;
    *reg64(CORE(regs.regs[0])) = 0xc400000e;
    *reg64(CORE(regs.regs[1])) = 0x40002000;
    *reg64(CORE(regs.regs[2])) = 0x123456789;
    *reg64(SYSREG(0, 1, 0, 0)) = 5;
    k->loaded = true;
    k->run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
    k->run->system_event.type = KVM_SYSTEM_EVENT_SUSPEND;
    kvm_handle(k, 0);
    g_assert_true(kvm_arm_table.put(k, NULL));
    g_assert_cmpuint(mp_state, ==, KVM_MP_STATE_SUSPENDED);
    g_assert_true(kvm_arm_table.get(k, NULL)); /* as before saving */
    g_assert_true(kvm_arm_table.put(k, NULL));
    g_assert_cmpuint(mp_state, ==, KVM_MP_STATE_SUSPENDED);
    k->loaded = true;
    k->run->system_event.type = KVM_SYSTEM_EVENT_WAKEUP;
    kvm_handle(k, 0);
    g_assert_false(k->loaded);
    g_assert_true(kvm_arm_table.put(k, NULL));
    g_assert_cmpuint(mp_state, ==, KVM_MP_STATE_RUNNABLE);
    g_assert_cmphex(*reg64(CORE(regs.pc)), ==, 0x40002000);
    g_assert_cmphex(*reg64(CORE(regs.regs[0])), ==, 0x123456789);
    g_assert_cmphex(*reg64(CORE(regs.pstate)), ==, 0x3c5);
    g_assert_cmphex(*reg64(SYSREG(0, 1, 0, 0)) & 5, ==, 0);
    g_assert_cmpuint(machine_take_requests().shutdown, ==, 0);
    stop();
}

int main(int argc, char **argv)
{
    Error *err = NULL;
    g_test_init(&argc, &argv, NULL);
    said = g_string_new(NULL);
    error_set_sink(hear, NULL);
    machine.memory = mem_container_new("memory", UINT64_MAX);
    machine.as_memory = as_new("memory", machine.memory);
    mem_map(machine.memory, 0x40000000, mem_ram_new("ram", RAM, NULL), 0);
    g_autoptr(Opts) o = opts_parse("backend=interp", NULL, &err);
    g_assert_true(accel_setup(&machine, "tcg", o, &err));
    regs = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    attrs = g_array_new(false, false, sizeof(Attr));
    k = g_new0(KvmVcpu, 1);
    k->run = g_malloc0(8192);
    kvm_ioctl_hook = fake_ioctl;
    kvm = (Kvm){ .fd = FD_VM, .vm = FD_VM, .arch = &kvm_arm_table, .machine = &machine, .irqchip = KVM_IRQCHIP_ON };
    g_test_add_func("/kvm-arm/model", test_model);
    g_test_add_func("/kvm-arm/state", test_state);
    g_test_add_func("/kvm-arm/state32", test_state32);
    g_test_add_func("/kvm-arm/rest", test_rest);
    g_test_add_func("/kvm-arm/timers", test_timers);
    g_test_add_func("/kvm-arm/gic", test_gic);
    g_test_add_func("/kvm-arm/debug", test_debug);
    g_test_add_func("/kvm-arm/own-brk", test_own_brk);
    g_test_add_func("/kvm-arm/exits", test_exits);
    g_test_add_func("/kvm-arm/suspend", test_suspend);
    return g_test_run();
}

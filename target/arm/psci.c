/* SPDX-License-Identifier: MIT */
/* The firmware interface that the emulator answers itself: PSCI 1.1 (DEN 0022D) and SMCCC 1.1 (DEN 0028C). */
#include "base/log.h"
#include "hw/core/machine.h"
#include "target/arm/system.h"

enum {
    PSCI_SUCCESS = 0,
    PSCI_NOT_SUPPORTED = -1,
    PSCI_INVALID_PARAMETERS = -2,
    PSCI_DENIED = -3,
    PSCI_ALREADY_ON = -4,
    PSCI_ON_PENDING = -5,
    PSCI_INVALID_ADDRESS = -9
};
enum { FN_SMC64 = 1 << 30 };
enum {
    FN_VERSION = 0x84000000,
    FN_CPU_SUSPEND,
    FN_CPU_OFF,
    FN_CPU_ON,
    FN_AFFINITY_INFO,
    FN_MIGRATE,
    FN_MIGRATE_INFO_TYPE,
    FN_MIGRATE_INFO_UP_CPU,
    FN_SYSTEM_OFF,
    FN_SYSTEM_RESET,
    FN_FEATURES,
    FN_SYSTEM_SUSPEND = 0x8400000e,
    FN_SYSTEM_RESET2 = 0x84000012,
    FN_SMCCC_VERSION = 0x80000000,
    FN_SMCCC_ARCH_FEATURES = 0x80000001
};

static ArmCpu *cpu_by_mpidr(uint64_t mpidr)
{
    uint64_t mask = UINT64_C(0xff00ffffff);
    for (unsigned i = 0; i < vcpu_count(); i++) {
        Vcpu *v = vcpu_get(i);
        if (v && ((arm_cpu(v)->mpidr ^ mpidr) & mask) == 0)
            return arm_cpu(v);
    }
    return NULL;
}

static int64_t cpu_on(ArmCpu *c, uint64_t target, uint64_t entry, uint64_t context, bool wide)
{
    ArmCpu *t = cpu_by_mpidr(wide ? target : (uint32_t)target);
    if (!t)
        return PSCI_INVALID_PARAMETERS;
    if (!__atomic_load_n(&t->psci_off, __ATOMIC_ACQUIRE))
        return PSCI_ALREADY_ON;
    if (atomic_exchange(&t->on_pending, true))
        return PSCI_ON_PENDING;
    unsigned el = c->has.el2 && arm_el2_enabled(c) ? 2 : 1;
    arm_cpu_on(t, wide ? entry : (uint32_t)entry, wide ? context : (uint32_t)context, MIN(el, c->el >= 2 ? 2u : el),
               c->aarch64);
    return PSCI_SUCCESS;
}

static int64_t affinity_info(uint64_t target, uint64_t level)
{
    if (level > 3)
        return PSCI_INVALID_PARAMETERS;
    uint64_t mask = UINT64_C(0xff00ffffff) &
                    ~(level > 2 ? UINT64_C(0xffffff) : bits_mask(8 * (unsigned)level + 1) >> 1);
    int64_t found = PSCI_INVALID_PARAMETERS;
    for (unsigned i = 0; i < vcpu_count(); i++) {
        Vcpu *v = vcpu_get(i);
        if (!v || ((arm_cpu(v)->mpidr ^ target) & mask))
            continue;
        ArmCpu *t = arm_cpu(v);
        bool off = __atomic_load_n(&t->psci_off, __ATOMIC_ACQUIRE);
        int64_t state = !off ? 0 : atomic_load(&t->on_pending) ? 2 : 1;
        if (!state)
            return 0;
        found = state;
    }
    return found;
}

static bool known(uint32_t fn)
{
    switch (fn & ~(uint32_t)FN_SMC64) {
    case FN_VERSION:
    case FN_CPU_OFF:
    case FN_MIGRATE_INFO_TYPE:
    case FN_SYSTEM_OFF:
    case FN_SYSTEM_RESET:
    case FN_FEATURES: return !(fn & FN_SMC64);
    case FN_CPU_SUSPEND: case FN_CPU_ON: case FN_AFFINITY_INFO: case FN_SYSTEM_SUSPEND: case FN_SYSTEM_RESET2:
        return true;
    default:
        return fn == FN_SMCCC_VERSION || fn == FN_SMCCC_ARCH_FEATURES;
    }
}

/*
 * Like WFI. Powered down: the CPU goes on at the entry point, as after CPU_ON, at the level that has called (5.4, 6.4).
 */
static int64_t wait(ArmCpu *c, bool power_down, uint64_t entry, uint64_t context, bool wide)
{
    if (power_down && c->aarch64 && entry & 3)
        return PSCI_INVALID_ADDRESS;
    if (power_down)
        arm_cpu_suspend(c, wide ? entry : (uint32_t)entry, wide ? context : (uint32_t)context);
    c->wfx_kind = 0;
    c->wfx_until = INT64_MAX;
    c->v.halted = true;
    atomic_store(&c->v.exit_request, 1);
    return PSCI_SUCCESS;
}

/* In the original format of states, of the core alone: nothing above it has any. */
static int64_t cpu_suspend(ArmCpu *c, uint32_t state, uint64_t entry, uint64_t context, bool wide)
{
    enum { STATE_ID = 0xffff, POWER_DOWN = 1 << 16 };
    return state & ~(uint32_t)(STATE_ID | POWER_DOWN) ? PSCI_INVALID_PARAMETERS
                                                      : wait(c, state & POWER_DOWN, entry, context, wide);
}

/* The last CPU that is on (5.20). */
static int64_t system_suspend(ArmCpu *c, uint64_t entry, uint64_t context, bool wide)
{
    for (unsigned i = 0; i < vcpu_count(); i++) {
        Vcpu *v = vcpu_get(i);
        if (v && v != &c->v &&
            (!__atomic_load_n(&arm_cpu(v)->psci_off, __ATOMIC_ACQUIRE) || atomic_load(&arm_cpu(v)->on_pending)))
            return PSCI_DENIED;
    }
    return wait(c, true, entry, context, wide);
}

void arm_psci_call(ArmCpu *c)
{
    uint64_t *g = c->v.g;
    uint32_t fn = (uint32_t)g[0];
    bool wide = fn & FN_SMC64 && c->aarch64;
    int64_t r = PSCI_NOT_SUPPORTED;
    log_printf(LOG_INT, "%u: firmware call %08x %" PRIx64 " %" PRIx64 " %" PRIx64 "\n", c->v.index, fn, g[1], g[2],
               g[3]);
    switch (known(fn) ? fn & ~(uint32_t)FN_SMC64 : 0) {
    case FN_VERSION: r = 0x10001; break;
    case FN_CPU_SUSPEND: r = cpu_suspend(c, (uint32_t)g[1], g[2], g[3], wide); break;
    case FN_SYSTEM_SUSPEND: r = system_suspend(c, g[1], g[2], wide); break;
    case FN_CPU_OFF:
        arm_cpu_off(c);
        atomic_store(&c->v.exit_request, 1);
        return;
    case FN_CPU_ON: r = cpu_on(c, g[1], g[2], g[3], wide); break;
    case FN_AFFINITY_INFO: r = affinity_info(wide ? g[1] : (uint32_t)g[1], (uint32_t)g[2]); break;
    case FN_MIGRATE_INFO_TYPE: r = 2; break; /* no trusted OS that would have to migrate */
    case FN_SYSTEM_OFF:
        machine_request_shutdown(CAUSE_GUEST_SHUTDOWN);
        arm_cpu_off(c);
        atomic_store(&c->v.exit_request, 1);
        return;
    case FN_SYSTEM_RESET: case FN_SYSTEM_RESET2:
        machine_request_reset(CAUSE_GUEST_RESET);
        arm_cpu_off(c);
        atomic_store(&c->v.exit_request, 1);
        return;
    case FN_FEATURES: r = known((uint32_t)g[1]) ? 0 : PSCI_NOT_SUPPORTED; break;
    case FN_SMCCC_VERSION: r = 0x10001; break;
    case FN_SMCCC_ARCH_FEATURES: r = known((uint32_t)g[1]) ? 0 : PSCI_NOT_SUPPORTED; break;
    default: break;
    }
    g[0] = c->aarch64 ? (uint64_t)r : (uint32_t)r;
}

/* SPDX-License-Identifier: MIT */
/* Helpers and functions whose owners have not written them yet: weak, so that the real body takes over. Goes away in the end. */
#include "target/arm/m/m.h"
#include "target/arm/helpers.h"
#include "target/arm/system.h"

#define WEAK __attribute__((weak))
#define PENDING(name) WEAK ARM_HELPER(name) { arm_raise(arm_cpu(v), EC_UNKNOWN, 0, 0); return 0; }
#define PENDING_VOID(name) WEAK ARM_HELPER_VOID(name) { arm_raise(arm_cpu(v), EC_UNKNOWN, 0, 0); }

PENDING(m_mrs)
PENDING_VOID(m_msr)
PENDING_VOID(m_cps)
PENDING_VOID(m_bx)
PENDING_VOID(m_blxns)
PENDING_VOID(m_bxns)
PENDING_VOID(m_sg)
PENDING(m_tt)
PENDING_VOID(fp_context)
PENDING_VOID(m_vlstm)
PENDING_VOID(m_sp_limit)


/* --- M-profile --- */
WEAK void arm_m_create(ArmCpu *c, const ArmBoardCpus *board) { }
WEAK void arm_m_free(ArmCpu *c) { }
WEAK void arm_m_reset(ArmCpu *c) { }
WEAK void arm_m_start(ArmCpu *c) { }
WEAK void arm_m_deliver(Vcpu *v) { }
WEAK bool arm_m_poll(Vcpu *v) { return true; }
WEAK bool arm_m_has_work(Vcpu *v) { return false; }
WEAK bool arm_m_walk(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank, bool probe, WalkResult *out) { return false; }
WEAK void arm_m_bus_error(Vcpu *v, uint64_t va, hwaddr pa, AccessKind kind) { }
WEAK void arm_m_misaligned(Vcpu *v, uint64_t va, AccessKind kind, unsigned align) { }
WEAK void arm_m_divide_error(Vcpu *v) { }
WEAK MemAttrs arm_m_attrs(const Vcpu *v) { return MEM_ATTRS_DEVICE; }
WEAK bool arm_m_wait(ArmCpu *c, unsigned kind) { return false; }
WEAK void arm_m_event_all(void) { }
WEAK uint64_t arm_m_mode(const ArmCpu *c) { return ARM_MODE_M | ARM_MODE_T32; }
WEAK void arm_m_print_regs(Vcpu *v, GString *out) { }
WEAK bool arm_m_loaded(ArmCpu *c, Error **errp) { return true; }
WEAK const StateField arm_m_state[1] = { STATE_END_OF_TABLE };
WEAK Irq arm_board_nvic_input(unsigned index, unsigned n) { return (Irq){ 0 }; }
WEAK Irq arm_board_nvic_nmi(unsigned index) { return (Irq){ 0 }; }
WEAK void arm_board_set_idau(ArmIdau (*idau)(void *opaque, uint32_t addr), void *opaque) { }

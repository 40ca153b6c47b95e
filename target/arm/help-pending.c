/* SPDX-License-Identifier: MIT */
/* Helpers and functions whose owners have not written them yet: weak, so that the real body takes over. Goes away in the end. */
#include "target/arm/m/m.h"
#include "target/arm/helpers.h"
#include "target/arm/system.h"

#define WEAK __attribute__((weak))
#define PENDING(name) WEAK ARM_HELPER(name) { arm_raise(arm_cpu(v), EC_UNKNOWN, 0, 0); return 0; }
#define PENDING_VOID(name) WEAK ARM_HELPER_VOID(name) { arm_raise(arm_cpu(v), EC_UNKNOWN, 0, 0); }

PENDING_VOID(undef)
PENDING_VOID(raise)
PENDING_VOID(svc)
PENDING_VOID(hvc)
PENDING_VOID(smc)
PENDING_VOID(bkpt)
PENDING_VOID(eret)
PENDING_VOID(fp_trap)
PENDING_VOID(sve_trap)
PENDING_VOID(wfi)
PENDING_VOID(yield)
PENDING_VOID(sev)
PENDING_VOID(insn_end)
PENDING_VOID(breakpoint)
PENDING_VOID(watchpoint)
PENDING_VOID(pc_align)
PENDING_VOID(bti_check)
PENDING(mrs)
PENDING_VOID(msr)
PENDING(mrc)
PENDING_VOID(mcr)
PENDING_VOID(msr_imm)
PENDING_VOID(sys)
PENDING(mrs_cpsr)
PENDING_VOID(msr_cpsr)
PENDING_VOID(cps)
PENDING_VOID(return32)
PENDING(banked_get)
PENDING_VOID(banked_set)
PENDING(bank_user_get)
PENDING_VOID(bank_user_set)
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

WEAK ArmSysregUse arm_sysreg_lookup(const ArmCpu *c, uint32_t key, bool write) { return (ArmSysregUse){ 0 }; }
WEAK void arm_raise_event(ArmCpu *c, const ArmEvent *e)
{
    arm_record(c, e);
    vcpu_unwind(&c->v);
}
WEAK void arm_record(ArmCpu *c, const ArmEvent *e) { c->event = *e; }
WEAK void arm_raise(ArmCpu *c, unsigned ec, uint32_t iss, unsigned target_el)
{
    arm_raise_event(c, &(ArmEvent){ .kind = ARM_EVENT_SYNC, .ec = (uint8_t)ec, .iss = iss, .target_el = (uint8_t)target_el });
}
WEAK void arm_deliver(Vcpu *v) { arm_cpu(v)->event.kind = ARM_EVENT_NONE; }
WEAK bool arm_poll(Vcpu *v) { return !v->halted && !v->powered_off; }
WEAK bool arm_has_work(Vcpu *v) { return false; }
WEAK bool arm_walk(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank, bool probe, WalkResult *out)
{
    *out = (WalkResult){ .phys = va & ~UINT64_C(0xfff), .page_bits = 12, .readable = true, .writable = true, .executable = true };
    return true;
}
WEAK void arm_asid_changed(ArmCpu *c) { }
WEAK void arm_bus_error(Vcpu *v, uint64_t va, hwaddr pa, AccessKind kind) { }
WEAK void arm_misaligned(Vcpu *v, uint64_t va, AccessKind kind, unsigned align) { }
WEAK void arm_sysregs_reset(ArmCpu *c) { }
WEAK void arm_timers_init(ArmCpu *c) { }
WEAK void arm_timers_free(ArmCpu *c) { }
WEAK void arm_timers_update(ArmCpu *c) { }
WEAK uint64_t arm_debug_mode(const ArmCpu *c) { return 0; }
WEAK uint64_t arm_mte_mode(const ArmCpu *c) { return 0; }

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

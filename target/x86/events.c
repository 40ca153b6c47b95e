/* SPDX-License-Identifier: MIT */
/* What reaches a CPU from outside: INIT, SIPI, SMI, NMI, machine checks, interrupts; the lines of its port. */
#include "base/log.h"
#include "target/x86/cpu.h"
#include "target/x86/smm.h"

static bool intr_deliverable(const X86Cpu *c)
{
    return c->iflag && !c->shadow && vcpu_line(&c->v, CPU_LINE_INTR);
}

/* MWAIT with ECX[0] ends on an interrupt even when IF is clear. */
static bool intr_wakes(const X86Cpu *c)
{
    return vcpu_line(&c->v, CPU_LINE_INTR) && (c->iflag || c->wait_mwait);
}

bool x86_has_work(Vcpu *v)
{
    X86Cpu *c = x86_cpu(v);
    if (vcpu_line(v, CPU_LINE_INIT) && !c->smm)
        return true;
    if (v->powered_off)
        return vcpu_line(v, CPU_LINE_SIPI);
    if (c->triple_faulted)
        return false;
    return (vcpu_line(v, CPU_LINE_SMI) && !c->smm) || (vcpu_line(v, CPU_LINE_NMI) && !c->nmi_blocked) ||
           vcpu_line(v, CPU_LINE_MCE) || intr_wakes(c);
}

void x86_take_init(X86Cpu *c)
{
    x86_init_reset(c);
    if (c->v.port.intc_ops && c->v.port.intc_ops->cpu_reset)
        c->v.port.intc_ops->cpu_reset(c->v.port.intc, true);
    c->v.powered_off = !c->v.port.bsp;
    c->v.halted = c->v.powered_off;
}

void x86_take_sipi(X86Cpu *c)
{
    uint8_t vector = atomic_load(&c->v.sipi_vector);
    c->v.powered_off = c->v.halted = false;
    c->seg[SEG_CS].sel = (uint16_t)(vector << 8);
    c->seg[SEG_CS].base = (uint32_t)vector << 12;
    c->v.pc = 0;
    x86_update_mode(c);
    log_printf(LOG_INT, "%u: SIPI vector %02x\n", c->v.index, vector);
}

static void deliver_now(X86Cpu *c, X86EventKind kind, unsigned vector)
{
    c->event = (X86Event){ .kind = kind, .vector = (uint8_t)vector };
    x86_deliver(&c->v);
}

/* true: an interrupt was delivered (its vector may be spurious: then only the wait ends). */
static bool take_intr(X86Cpu *c)
{
    const CpuPort *p = &c->v.port;
    int vector = p->intc_ops && p->intc_ops->acknowledge ? p->intc_ops->acknowledge(p->intc) : -1;
    if (vector < 0)
        return false;
    c->v.halted = false;
    deliver_now(c, X86_EVENT_INTR, (unsigned)vector & 0xff);
    return true;
}

bool x86_poll(Vcpu *v)
{
    X86Cpu *c = x86_cpu(v);
    if (!c->smm && vcpu_take_event(v, CPU_LINE_INIT))
        x86_take_init(c);
    if (v->powered_off) {
        if (!vcpu_take_event(v, CPU_LINE_SIPI))
            return false;
        x86_take_sipi(c);
        return true;
    }
    vcpu_take_event(v, CPU_LINE_SIPI); /* only heard while waiting for it */
    if (c->triple_faulted)
        return false;
    if (c->event.kind != X86_EVENT_NONE) { /* loaded: another accelerator was about to deliver it */
        x86_deliver(v);
        return true;
    }
    if (c->data_bp_hits && !(v->mode & X86_MODE_DATA_BP)) { /* an I/O breakpoint */
        c->event = (X86Event){ .kind = X86_EVENT_TRAP, .vector = X86_DB, .dr6 = c->data_bp_hits };
        x86_deliver(v);
        return true;
    }
    if (!c->smm && !c->shadow && vcpu_take_event(v, CPU_LINE_SMI)) {
        x86_smm_enter(c);
        v->halted = false;
        return true;
    }
    if (!c->nmi_blocked && !c->shadow && vcpu_take_event(v, CPU_LINE_NMI)) {
        c->nmi_blocked = true;
        v->halted = false;
        deliver_now(c, X86_EVENT_NMI, X86_NMI);
        return true;
    }
    if (c->cr4 & CR4_MCE && vcpu_take_event(v, CPU_LINE_MCE)) {
        v->halted = false;
        deliver_now(c, X86_EVENT_TRAP, X86_MC);
        return true;
    }
    if (intr_deliverable(c))
        take_intr(c);
    else if (v->halted && intr_wakes(c))
        v->halted = false;
    return !v->halted;
}

/* --- the port --- */

static Vcpu *port_vcpu(CpuPort *p) { return container_of(p, Vcpu, port); }

/* An INIT ends a SIPI that came before it; one that follows at once must survive until the INIT has been taken. */
static void port_set_line(CpuPort *p, CpuLine line, bool level)
{
    if (line == CPU_LINE_INIT && level)
        vcpu_set_line(port_vcpu(p), CPU_LINE_SIPI, false);
    vcpu_set_line(port_vcpu(p), line, level);
}

static void port_sipi(CpuPort *p, uint8_t vector)
{
    atomic_store(&port_vcpu(p)->sipi_vector, vector);
    vcpu_set_line(port_vcpu(p), CPU_LINE_SIPI, true);
}

static void flush_after_a20(Vcpu *v, void *opaque) { tlb_flush_all(v); }

static void port_set_a20(CpuPort *p, bool enabled)
{
    X86Cpu *c = x86_cpu(port_vcpu(p));
    if (atomic_exchange(&c->a20_masked, !enabled) != !enabled)
        vcpu_run_on(&c->v, flush_after_a20, NULL);
}

static void port_set_pc(CpuPort *p, uint64_t pc) { container_of(p, X86Cpu, v.port)->v.pc = pc; }

const CpuPortOps x86_port_ops = {
    .set_pc = port_set_pc, .set_line = port_set_line, .sipi = port_sipi, .set_a20 = port_set_a20
};

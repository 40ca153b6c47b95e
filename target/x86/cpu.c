/* SPDX-License-Identifier: MIT */
/* Making, resetting and saving x86 CPUs; the table that an accelerator sees. */
#include "accel/accel.h"
#include "base/clock.h"
#include "base/log.h"
#include "target/x86/helpers.h"
#include "target/x86/kvmclock.h"
#include "target/x86/models.h"
#include "target/x86/print.h"
#include "target/x86/segments.h"
#include "target/x86/smm.h"
#include "target/x86/tcg/translate.h"

/* --- reset (SDM vol. 3, table 9-1) --- */

static void reset_segments(X86Cpu *c)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        c->seg[i] = (X86Seg){ .limit = 0xffff, .attr = SEG_P | SEG_S | SEG_W | SEG_A };
    c->seg[SEG_CS] = (X86Seg){
        .sel = 0xf000, .base = 0xffff0000, .limit = 0xffff, .attr = SEG_P | SEG_S | SEG_CODE | SEG_W | SEG_A
    };
    c->seg[SEG_LDTR] = (X86Seg){ .limit = 0xffff, .attr = SEG_P | DESC_LDT << 8 };
    c->seg[SEG_TR] = (X86Seg){ .limit = 0xffff, .attr = SEG_P | DESC_TSS32_BUSY << 8 };
    c->gdt = c->idt = (X86Table){ .limit = 0xffff };
}

static void reset_fpu(X86Cpu *c)
{
    memset(c->fpr, 0, sizeof(c->fpr));
    c->fp_cw = 0x40;
    c->fp_sw = c->fp_op = 0;
    c->fp_top = c->fp_tags = 0;
    c->fp_tags = 0xff; /* power-on: all valid zeros */
    c->fp_cs = c->fp_ds = 0;
    c->fp_ip = c->fp_dp = 0;
    memset(c->v.v, 0, sizeof(c->v.v));
    c->v.fp_control = 0x1f80;
    c->xcr0 = 1;
}

/* What power-on and INIT have in common. */
static void reset_core(X86Cpu *c)
{
    Vcpu *v = &c->v;
    memset(v->g, 0, sizeof(v->g));
    v->g[RDX] = c->signature;
    v->pc = 0xfff0;
    v->call_site = 0;
    reset_segments(c);
    c->cr0 = CR0_ET | (c->cr0 & (CR0_CD | CR0_NW));
    c->cr2 = c->cr3 = c->cr4 = 0;
    c->efer = 0;
    memset(c->dr, 0, sizeof(c->dr));
    c->dr[6] = 0xffff0ff0;
    c->dr[7] = 0x400;
    memset(c->pdpte, 0, sizeof(c->pdpte));
    c->cpl = 0;
    c->shadow = 0;
    c->nmi_blocked = c->triple_faulted = c->delivering = c->wait_mwait = false;
    c->monitor_armed = 0;
    c->event.kind = X86_EVENT_NONE;
    c->data_bp_hits = 0;
    x86_set_eflags(c, 2);
    tlb_flush_all(v);
    tlb_set_asid(v, 0);
}

void x86_init_reset(X86Cpu *c)
{
    reset_core(c);
    log_printf(LOG_RESET, "%u: INIT\n", c->v.index);
}

void x86_reset(Vcpu *v)
{
    X86Cpu *c = x86_cpu(v);
    c->smbase = 0x30000;
    x86_set_smm(c, false);
    c->cr0 = CR0_CD | CR0_NW;
    reset_fpu(c);
    x86_reset_msrs(c);
    x86_hv_reset(c);
    x86_ext_reset(c);
    reset_core(c);
    v->lines = 0;
    v->irq_pending = 0;
    v->powered_off = v->halted = !v->port.bsp;
}

/* --- direct boot: MachineBoot --- */

static void boot_direct(X86Cpu *c, const MachineBoot *b)
{
    bool is64 = b->mode == BOOT_LONG64;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        c->seg[i] = x86_flat_seg(0x18, SEG_W | SEG_D);
    c->seg[SEG_CS] = x86_flat_seg(0x10, SEG_CODE | SEG_W | (is64 ? SEG_L : SEG_D));
    c->seg[SEG_LDTR] = (X86Seg){ .attr = 0 };
    c->seg[SEG_TR] = (X86Seg){ .limit = 0x67, .attr = SEG_P | DESC_TSS32_BUSY << 8 };
    c->gdt = (X86Table){ .base = b->gdt_base, .limit = b->gdt_limit };
    c->idt = (X86Table){ .limit = 0 };
    c->cr0 = CR0_PE | CR0_ET | CR0_NE | (is64 ? CR0_PG : 0);
    if (is64) {
        c->cr4 = CR4_PAE;
        c->cr3 = b->cr3;
        c->efer = EFER_LME | EFER_LMA;
    }
    c->v.pc = b->rip;
    c->v.g[RSP] = b->rsp;
    c->v.g[RAX] = b->rax;
    c->v.g[RBX] = b->rbx;
    c->v.g[RSI] = b->rsi;
    tlb_flush_all(&c->v);
    x86_update_mode(c);
}

/* --- state --- */

static const StateField seg_state[] = { STATE_U64(X86Seg, base), STATE_U32(X86Seg, limit), STATE_U32(X86Seg, attr),
                                        STATE_U16(X86Seg, sel), STATE_END_OF_TABLE };
static const StateField table_state[] = { STATE_U64(X86Table, base), STATE_U16(X86Table, limit), STATE_END_OF_TABLE };
static const StateField fpr_state[] = { STATE_U64(X86FpReg, mant), STATE_U16(X86FpReg, sign_exp), STATE_END_OF_TABLE };
static const StateField flags_state[] = { STATE_U64(LazyFlags, dst), STATE_U64(LazyFlags, src),
                                          STATE_U64(LazyFlags, src2), STATE_U16(LazyFlags, op), STATE_END_OF_TABLE };
static const StateField event_state[] = {
    STATE_U8(X86Event, kind), STATE_U8(X86Event, vector), STATE_BOOL(X86Event, has_error), STATE_U32(X86Event, error),
    STATE_U64(X86Event, cr2), STATE_U64(X86Event, dr6), STATE_U64(X86Event, next_pc), STATE_END_OF_TABLE
};
static const StateField vec_state[] = { STATE_BYTES(VecReg, u8), STATE_END_OF_TABLE };

static const StateField cpu_state[] = { STATE_U64_ARRAY(X86Cpu, v.g),
                                        STATE_U64(X86Cpu, v.pc),
                                        STATE_STRUCT(X86Cpu, v.fl, flags_state),
                                        STATE_U32(X86Cpu, v.fp_control),
                                        STATE_STRUCT_ARRAY(X86Cpu, v.v, vec_state),
                                        STATE_U32(X86Cpu, v.lines),
                                        STATE_U8(X86Cpu, v.sipi_vector),
                                        STATE_BOOL(X86Cpu, v.halted),
                                        STATE_BOOL(X86Cpu, v.powered_off),
                                        STATE_STRUCT_ARRAY(X86Cpu, seg, seg_state),
                                        STATE_U64(X86Cpu, df),
                                        STATE_U8(X86Cpu, iflag),
                                        STATE_U8(X86Cpu, shadow),
                                        STATE_U32(X86Cpu, eflags),
                                        STATE_U64(X86Cpu, tsc_aux),
                                        STATE_U64(X86Cpu, cr0),
                                        STATE_U64(X86Cpu, cr2),
                                        STATE_U64(X86Cpu, cr3),
                                        STATE_U64(X86Cpu, cr4),
                                        STATE_U64(X86Cpu, xcr0),
                                        STATE_U64(X86Cpu, efer),
                                        STATE_U64_ARRAY(X86Cpu, dr),
                                        STATE_U64_ARRAY(X86Cpu, pdpte),
                                        STATE_STRUCT(X86Cpu, gdt, table_state),
                                        STATE_STRUCT(X86Cpu, idt, table_state),
                                        STATE_U8(X86Cpu, cpl),
                                        STATE_BOOL(X86Cpu, a20_masked),
                                        STATE_BOOL(X86Cpu, smm),
                                        STATE_BOOL(X86Cpu, nmi_blocked),
                                        STATE_BOOL(X86Cpu, smm_nmi_blocked),
                                        STATE_U8(X86Cpu, monitor_armed),
                                        STATE_BOOL(X86Cpu, wait_mwait),
                                        STATE_BOOL(X86Cpu, triple_faulted),
                                        STATE_U64(X86Cpu, smbase),
                                        STATE_U64(X86Cpu, data_bp_hits),
                                        STATE_STRUCT_ARRAY(X86Cpu, fpr, fpr_state),
                                        STATE_U16(X86Cpu, fp_cw),
                                        STATE_U16(X86Cpu, fp_sw),
                                        STATE_U16(X86Cpu, fp_op),
                                        STATE_U8(X86Cpu, fp_top),
                                        STATE_U8(X86Cpu, fp_tags),
                                        STATE_U16(X86Cpu, fp_cs),
                                        STATE_U16(X86Cpu, fp_ds),
                                        STATE_U64(X86Cpu, fp_ip),
                                        STATE_U64(X86Cpu, fp_dp),
                                        STATE_U64(X86Cpu, star),
                                        STATE_U64(X86Cpu, lstar),
                                        STATE_U64(X86Cpu, cstar),
                                        STATE_U64(X86Cpu, fmask),
                                        STATE_U64(X86Cpu, kernel_gs_base),
                                        STATE_U64(X86Cpu, sysenter_cs),
                                        STATE_U64(X86Cpu, sysenter_esp),
                                        STATE_U64(X86Cpu, sysenter_eip),
                                        STATE_U64(X86Cpu, pat),
                                        STATE_U64(X86Cpu, misc_enable),
                                        STATE_U64(X86Cpu, feature_control),
                                        STATE_U64(X86Cpu, spec_ctrl),
                                        STATE_U64(X86Cpu, debugctl),
                                        STATE_U64(X86Cpu, syscfg),
                                        STATE_U64(X86Cpu, hwcr),
                                        STATE_U64(X86Cpu, xss),
                                        STATE_U64(X86Cpu, mtrr_def_type),
                                        STATE_U64_ARRAY(X86Cpu, mtrr_fixed),
                                        STATE_U64_ARRAY(X86Cpu, mtrr_base),
                                        STATE_U64_ARRAY(X86Cpu, mtrr_mask),
                                        STATE_U64(X86Cpu, mcg_status),
                                        STATE_U64(X86Cpu, mcg_ctl),
                                        STATE_BYTES(X86Cpu, mce),
                                        STATE_U64(X86Cpu, tsc_offset),
                                        STATE_U64(X86Cpu, tsc_adjust),
                                        STATE_U64(X86Cpu, kvm_time),
                                        STATE_U64(X86Cpu, kvm_wall),
                                        STATE_U64(X86Cpu, kvm_async_pf),
                                        STATE_U64(X86Cpu, kvm_async_pf_int),
                                        STATE_U64(X86Cpu, kvm_steal_time),
                                        STATE_U64(X86Cpu, kvm_pv_eoi),
                                        STATE_U64(X86Cpu, kvm_poll_control),
                                        STATE_STRUCT(X86Cpu, event, event_state),
                                        STATE_END_OF_TABLE };

/* What the guest has switched on must be there: with another accelerator or host some of it may not be. */
static bool check_used(const X86Cpu *c, Error **errp)
{
    const struct { uint64_t value; unsigned feature; const char *name;
    } used[] = {
        { c->kvm_time & 1, X86_FEATURE_KVM_CLOCK, "kvmclock" },
        { c->kvm_async_pf & 1, X86_FEATURE_KVM_ASYNCPF, "kvm-asyncpf" },
        { c->kvm_steal_time & 1, X86_FEATURE_KVM_STEAL_TIME, "kvm-steal-time" },
        { c->kvm_pv_eoi & 1, X86_FEATURE_KVM_PV_EOI, "kvm-pv-eoi" },
        { c->cr4 & CR4_CET && !x86_has_feature(c, X86_FEATURE_IBT), X86_FEATURE_SHSTK, "shstk" },
        { c->cr4 & CR4_PKE, X86_FEATURE_PKU, "pku" },
        { c->cr4 & CR4_VMXE, X86_FEATURE_VMX, "vmx" },
        { c->efer & EFER_SVME, X86_FEATURE_SVM, "svm" },
    };
    for (unsigned i = 0; i < ARRAY_LEN(used); i++) {
        if (!used[i].value || x86_has_feature(c, used[i].feature))
            continue;
        error_setf(errp,
                   "CPU %u: the saved guest uses '%s', which is not there; save it with -cpu ...,-%s or load it where "
                   "the feature is",
                   c->v.index, used[i].name, used[i].name);
        return false;
    }
    return true;
}

/* Loaded values are untrusted: bring them into the ranges that the rest of the code takes for granted. */
static bool check_loaded(X86Cpu *c, Error **errp)
{
    bool ok = c->cpl <= 3 && c->fp_top < 8 && (c->df == 1 || c->df == -1) && c->iflag <= 1 && c->shadow <= 1;
    ok = ok && (!(c->efer & EFER_LMA) || (c->cr0 & CR0_PG && c->cr4 & CR4_PAE));
    ok = ok && c->event.kind <= X86_EVENT_NMI;
    ok = ok && c->v.fl.op >> 2 < FLAG_OP_COUNT && !(c->v.fp_control & ~0xffffu);
    if (!ok)
        error_setf(errp, "CPU %u: the saved state is not one that this CPU can be in", c->v.index);
    return ok && check_used(c, errp);
}

static void part_reset(void *opaque, ResetPhase phase)
{
    X86Cpu *c = opaque;
    if (phase == RESET_ENTER)
        x86_reset(&c->v);
    else if (phase == RESET_EXIT && c->v.port.bsp && c->v.machine->boot.mode != BOOT_RESET_VECTOR)
        boot_direct(c, &c->v.machine->boot);
}

static char *section_name(const X86Cpu *c) { return g_strdup_printf("cpu.%u", c->v.index); }

/*
 * The rate of the TSC, in a section of its own where it is not the translator's. Where it is loaded the guest's TSC
 * goes on at another rate, not elsewhere.
 */
typedef struct TscState { uint64_t hz; } TscState;
static const StateField tsc_state[] = { STATE_U64(TscState, hz), STATE_END_OF_TABLE };

static char *tsc_name(const X86Cpu *c) { return g_strdup_printf("cpu.%u.tsc", c->v.index); }

static void save_tsc(const X86Cpu *c, StateWriter *w)
{
    g_autofree char *name = tsc_name(c);
    TscState s = { .hz = c->tsc_hz };
    if (s.hz != X86_TSC_HZ)
        state_save_section(w, name, tsc_state, &s);
}

static bool load_tsc(X86Cpu *c, StateReader *r, Error **errp)
{
    g_autofree char *name = tsc_name(c);
    TscState s = { .hz = X86_TSC_HZ };
    if (state_reader_has(r, name) && !state_load_section(r, name, tsc_state, &s, errp))
        return false;
    unsigned __int128 ns = (uint64_t)clock_ns(CLOCK_VIRTUAL_NS);
    c->tsc_offset = (int64_t)((uint64_t)c->tsc_offset + (uint64_t)(ns * s.hz / 1000000000) -
                              (uint64_t)(ns * c->tsc_hz / 1000000000));
    return true;
}

/* NULL: the CPU has no interfaces of Hyper-V, and no such section. */
static char *hyperv_name(const X86Cpu *c)
{
    return x86_hv_msr(c, 0) ? g_strdup_printf("cpu.%u.hyperv", c->v.index) : NULL;
}

/* Flags that several instructions have made together are saved as bits: the fields that are saved hold those of one. */
static void part_save(void *opaque, StateWriter *w)
{
    X86Cpu *c = opaque;
    g_autofree char *name = section_name(c);
    flags_set_explicit(&c->v, flags_eval(&c->v.fl));
    state_save_section(w, name, cpu_state, c);
    save_tsc(c, w);
    g_autofree char *hyperv = hyperv_name(c);
    if (hyperv)
        state_save_section(w, hyperv, x86_hv_state, &c->hv);
    x86_ext_save(c, w);
}

static bool load_hyperv(X86Cpu *c, StateReader *r, Error **errp)
{
    g_autofree char *name = hyperv_name(c);
    uint32_t features = c->hv.features;
    if (!name)
        return true;
    if (!state_load_section(r, name, x86_hv_state, &c->hv, errp))
        return false;
    if (c->hv.features == features)
        return true;
    c->hv.features = features;
    error_setf(errp, "CPU %u: the saved guest has other interfaces of Hyper-V; load it with the same hv-* of -cpu",
               c->v.index);
    return false;
}

static bool part_load(void *opaque, StateReader *r, Error **errp)
{
    X86Cpu *c = opaque;
    g_autofree char *name = section_name(c);
    c->v.fl = (LazyFlags){ 0 };
    if (!state_load_section(r, name, cpu_state, c, errp) || !check_loaded(c, errp) || !load_tsc(c, r, errp) ||
        !load_hyperv(c, r, errp) || !x86_ext_load(c, r, errp))
        return false;
    c->v.irq_pending = c->v.lines != 0;
    c->v.call_site = 0;
    c->delivering = false;
    x86_set_smm(c, c->smm);
    tlb_flush_all(&c->v);
    tlb_set_asid(&c->v, c->cr4 & CR4_PCIDE ? c->cr3 & 0xfff : 0);
    x86_update_mode(c);
    return true;
}

static void part_loaded(void *opaque) { x86_kvmclock_update(opaque); }

static const MachinePart cpu_part = {
    .name = "cpu", .reset = part_reset, .save = part_save, .load = part_load, .loaded = part_loaded
};

/* --- the family --- */

static unsigned shift_for(unsigned n)
{
    unsigned s = 0;
    while (1u << s < n)
        s++;
    return s;
}

static void set_topology(X86Cpu *c, const MachineConfig *k)
{
    c->topo.threads = (uint16_t)MAX(k->threads, 1u);
    c->topo.cores = (uint16_t)MAX(k->cores, 1u);
    c->topo.dies = (uint16_t)MAX(k->dies, 1u);
    c->topo.sockets = (uint16_t)MAX(k->sockets, 1u);
    c->topo.smt_shift = (uint8_t)shift_for(c->topo.threads);
    c->topo.core_shift = (uint8_t)(c->topo.smt_shift + shift_for(c->topo.cores) + shift_for(c->topo.dies));
}

static void free_cpu(X86Cpu *c)
{
    x86_ext_free(c);
    vcpu_memory_free(c, sizeof(X86Cpu));
}

static uint64_t port_read_tsc(CpuPort *p) { return x86_tsc(x86_cpu(container_of(p, Vcpu, port))); }

static bool create(Machine *m, unsigned index, uint32_t arch_id, const char *model, Error **errp)
{
    X86Cpu *c = vcpu_memory_new(sizeof(X86Cpu));
    Vcpu *v = &c->v;
    v->port = (CpuPort){
        .ops = &x86_port_ops, .index = index, .arch_id = arch_id, .bsp = index == 0, .read_tsc = port_read_tsc
    };
    set_topology(c, &m->config);
    if (!x86_model_apply(c, model, index != 0, errp) || !vcpu_init(v, &x86_guest_arch, m, index, errp)) {
        free_cpu(c);
        return false;
    }
    v->port.tsc_hz = c->tsc_hz;
    cpu_port_add(&v->port);
    machine_part_add(&cpu_part, c);
    x86_reset(v);
    if (accel_current())
        vcpu_start_thread(v); /* it stands still until the machine runs */
    return true;
}

static void destroy_all(Machine *m)
{
    vcpus_stop_threads();
    for (unsigned i = vcpu_count(); i-- > 0;) {
        Vcpu *v = vcpu_get(i);
        if (v && v->arch == &x86_guest_arch) {
            vcpu_destroy(v);
            free_cpu(x86_cpu(v));
        }
    }
}

static void destroy(Machine *m, unsigned index)
{
    Vcpu *v = vcpu_get(index);
    if (!v || v->arch != &x86_guest_arch)
        return;
    vcpu_stop_thread(v);
    machine_part_remove(&cpu_part, x86_cpu(v));
    cpu_port_remove(&v->port);
    vcpu_destroy(v);
    free_cpu(x86_cpu(v));
}

static unsigned phys_bits(Machine *m)
{
    Vcpu *v = vcpu_get(0);
    return v ? x86_cpu(v)->phys_bits : 40;
}

static const CpuFamily x86_family = { .arch = "x86_64",
                                      .create = create,
                                      .destroy_all = destroy_all,
                                      .destroy = destroy,
                                      .print_help = x86_models_print_help,
                                      .phys_bits = phys_bits };
CPU_FAMILY_REGISTER(x86_family)

/* --- GuestArch --- */

static int8_t preferred_home(const char *host, unsigned g)
{
    static const int8_t x86_homes[16] = { 0, 1, 2, 3, 13, 12, 6, 7, 8, 9, -1, -1, 10, -1, -1, -1 };
    return !strcmp(host, "x86-64") && g < 16 ? x86_homes[g] : -1;
}

static uint64_t code_address(const Vcpu *v, unsigned *bank)
{
    const X86Cpu *c = x86_cpu_const(v);
    *bank = x86_bank(v->mode);
    return x86_is_64(c) ? v->pc : (uint32_t)(c->seg[SEG_CS].base + v->pc);
}

static void misaligned(Vcpu *v, uint64_t va, AccessKind kind, unsigned align)
{
    x86_record_fault(x86_cpu(v), align >= 16 ? X86_GP : X86_AC, true, 0);
}

static void divide_error(Vcpu *v) { x86_record_fault(x86_cpu(v), X86_DE, false, 0); }

static MemAttrs attrs(const Vcpu *v) { return (MemAttrs){ .cpu = v->index & 0xffff, .smm = x86_cpu_const(v)->smm }; }

static const uint8_t home_order[] = {
    RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R12, R10, R11, R13, R14, R15, 0xff
};

const GuestArch x86_guest_arch = {
    .name = "x86_64",
    .gregs = 16,
    .home_order = home_order,
    .banks = X86_BANK_COUNT,
    .preferred_home = preferred_home,
    .translate = x86_translate,
    .code_address = code_address,
    .walk = x86_walk,
    .misaligned = misaligned,
    .divide_error = divide_error,
    .deliver = x86_deliver,
    .poll = x86_poll,
    .has_work = x86_has_work,
    .reset = x86_reset,
    .attrs = attrs,
    .print_regs = x86_print_regs,
    .disassemble = x86_disassemble,
    .gdb = x86_gdb,
    .state = cpu_state,
};

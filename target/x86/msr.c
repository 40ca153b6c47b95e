/* SPDX-License-Identifier: MIT */
/* Model-specific registers: one table (SDM vol. 4; AMD APM vol. 2, appendix A; BKDGs for the C001_xxxx set). */
#include "base/clock.h"
#include "base/log.h"
#include "target/x86/kvmclock.h"
#include "target/x86/models.h"

typedef struct Msr Msr;
typedef bool MsrFn(X86Cpu *c, const Msr *m, unsigned index, uint64_t *value);
enum { MSR_RO = 1, MSR_ZERO = 2 /* reads 0, writes vanish */, MSR_CANONICAL = 4, MSR_CONST = 8 /* reads `reset` */ };

struct Msr {
    uint32_t number, count, stride;
    const char *name;
    uint32_t offset;     /* of the first uint64_t in X86Cpu; 0: none */
    uint32_t element;    /* distance between the elements */
    uint64_t reserved;   /* bits that must be 0 in a write */
    uint64_t reset;
    unsigned flags;
    int feature;         /* must be advertised; -1: none needed */
    MsrFn *read, *write; /* instead of the field */
};

static bool tsc_read(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    *v = x86_tsc(c);
    return true;
}

/* A write to the TSC moves TSC_ADJUST by as much, and the other way round (SDM vol. 3, 18.17.3). */
static bool tsc_write(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    uint64_t delta = *v - x86_tsc(c);
    c->tsc_offset = (int64_t)((uint64_t)c->tsc_offset + delta);
    c->tsc_adjust += delta;
    x86_kvmclock_update(c);
    return true;
}

static bool tsc_adjust_write(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    c->tsc_offset = (int64_t)((uint64_t)c->tsc_offset + (*v - c->tsc_adjust));
    c->tsc_adjust = *v;
    x86_kvmclock_update(c);
    return true;
}

static bool apic_base_read(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    const CpuPort *p = &c->v.port;
    *v = p->intc_ops && p->intc_ops->get_base ? p->intc_ops->get_base(p->intc) : 0xfee00000 | (p->bsp ? 0x100 : 0);
    return true;
}

static bool apic_base_write(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    const CpuPort *p = &c->v.port;
    bool x2apic = *v & BIT(10);
    if (*v & ~bits_mask(c->phys_bits) || (x2apic && !x86_has_feature(c, X86_FEATURE_X2APIC)))
        return false;
    return p->intc_ops && p->intc_ops->set_base ? p->intc_ops->set_base(p->intc, *v) : true;
}

static bool apic_read(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    const CpuPort *p = &c->v.port;
    return p->intc_ops && p->intc_ops->msr_read && p->intc_ops->msr_read(p->intc, m->number + i, v);
}

static bool apic_write(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    const CpuPort *p = &c->v.port;
    return p->intc_ops && p->intc_ops->msr_write && p->intc_ops->msr_write(p->intc, m->number + i, *v);
}

static bool efer_read(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    *v = c->efer;
    return true;
}
static bool efer_write(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v) { return x86_write_efer(c, *v); }

static bool feature_control_write(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    if (c->feature_control & 1) /* locked */
        return false;
    c->feature_control = *v & 1;
    return true;
}

static bool pat_type_ok(unsigned type) { return type < 8 && type != 2 && type != 3; }

static bool pat_write(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    for (unsigned n = 0; n < 8; n++) {
        if (!pat_type_ok(*v >> (n * 8) & 0xff))
            return false;
    }
    c->pat = *v;
    return true;
}

static bool mtrr_type_ok(unsigned type) { return type < 7 && type != 2 && type != 3; }

static bool mtrr_fixed_write(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    for (unsigned n = 0; n < 8; n++) {
        if (!mtrr_type_ok(*v >> (n * 8) & 0xff))
            return false;
    }
    *(uint64_t *)((char *)c + m->offset + i * m->element) = *v;
    return true;
}

static bool mtrr_base_write(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    if (*v & 0xf00 || !mtrr_type_ok(*v & 0xff) || *v & ~bits_mask(c->phys_bits))
        return false;
    c->mtrr_base[i] = *v;
    return true;
}

static bool mtrr_mask_write(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    if (*v & 0x7ff || *v & ~bits_mask(c->phys_bits))
        return false;
    c->mtrr_mask[i] = *v;
    return true;
}

static bool mtrr_def_write(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    if (*v & ~UINT64_C(0xcff) || !mtrr_type_ok(*v & 0xff))
        return false;
    c->mtrr_def_type = *v;
    return true;
}

/* MCi_CTL takes anything; STATUS, ADDR and MISC only 0 (SDM vol. 3, 16.3.2). */
static bool mc_write(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    if (i % 4 != 0 && *v)
        return false;
    c->mce[i / 4][i % 4] = *v;
    return true;
}

static bool mc_read(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    *v = c->mce[i / 4][i % 4];
    return true;
}

static bool seg_base_read(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    *v = c->seg[SEG_FS + i].base;
    return true;
}

static bool seg_base_write(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    c->seg[SEG_FS + i].base = *v;
    return true;
}

static bool smbase_read(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    *v = c->smbase;
    return true;
}

static bool kvm_write(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    return i ? x86_kvmclock_write(c, *v) : x86_kvmclock_write_wall(c, *v);
}

static bool kvm_read(X86Cpu *c, const Msr *m, unsigned i, uint64_t *v)
{
    *v = i ? c->kvm_time : c->kvm_wall;
    return true;
}

#define F(f) offsetof(X86Cpu, f), 8
#define NONE 0, 0
/* number count stride name field+element reserved reset flags feature read write */
static const Msr msrs[] = {
    { 0x000, 2, 1, "IA32_P5_MC", NONE, 0, 0, MSR_ZERO, -1 },
    { 0x010, 1, 1, "IA32_TSC", NONE, 0, 0, 0, X86_FEATURE_TSC, tsc_read, tsc_write },
    { 0x017, 1, 1, "IA32_PLATFORM_ID", NONE, 0, 0, MSR_ZERO | MSR_RO, -1 },
    { 0x01b, 1, 1, "IA32_APIC_BASE", NONE, 0, 0, 0, X86_FEATURE_APIC, apic_base_read, apic_base_write },
    { 0x02a, 1, 1, "EBL_CR_POWERON", NONE, 0, 0, MSR_ZERO, -1 },
    { 0x034, 1, 1, "MSR_SMI_COUNT", NONE, 0, 0, MSR_ZERO | MSR_RO, -1 },
    { 0x03a, 1, 1, "IA32_FEATURE_CONTROL", F(feature_control), 0, 0, 0, -1, NULL, feature_control_write },
    { 0x03b, 1, 1, "IA32_TSC_ADJUST", F(tsc_adjust), 0, 0, 0, X86_FEATURE_TSC_ADJUST, NULL, tsc_adjust_write },
    { 0x048, 1, 1, "IA32_SPEC_CTRL", F(spec_ctrl), ~UINT64_C(7), 0, 0, X86_FEATURE_SPEC_CTRL },
    { 0x049, 1, 1, "IA32_PRED_CMD", NONE, 0, 0, MSR_ZERO, X86_FEATURE_SPEC_CTRL },
    { 0x079, 1, 1, "IA32_BIOS_UPDT_TRIG", NONE, 0, 0, MSR_ZERO, -1 },
    { 0x08b, 1, 1, "IA32_BIOS_SIGN_ID", F(ucode_rev), 0, 0, MSR_CONST, -1 },
    { 0x0ce, 1, 1, "MSR_PLATFORM_INFO", NONE, 0, 0, MSR_ZERO | MSR_RO, -1 },
    { 0x0fe, 1, 1, "IA32_MTRRCAP", NONE, 0, 0x500 | X86_VAR_MTRRS, MSR_CONST | MSR_RO, X86_FEATURE_MTRR },
    { 0x174, 1, 1, "IA32_SYSENTER_CS", F(sysenter_cs), 0, 0, 0, X86_FEATURE_SEP },
    { 0x175, 1, 1, "IA32_SYSENTER_ESP", F(sysenter_esp), 0, 0, MSR_CANONICAL, X86_FEATURE_SEP },
    { 0x176, 1, 1, "IA32_SYSENTER_EIP", F(sysenter_eip), 0, 0, MSR_CANONICAL, X86_FEATURE_SEP },
    { 0x179, 1, 1, "IA32_MCG_CAP", NONE, 0, 0x100 | X86_MCE_BANKS, MSR_CONST | MSR_RO, X86_FEATURE_MCA },
    { 0x17a, 1, 1, "IA32_MCG_STATUS", F(mcg_status), ~UINT64_C(7), 0, 0, X86_FEATURE_MCA },
    { 0x17b, 1, 1, "IA32_MCG_CTL", F(mcg_ctl), 0, ~UINT64_C(0), 0, X86_FEATURE_MCA },
    { 0x198, 1, 1, "IA32_PERF_STATUS", NONE, 0, 1000 | UINT64_C(4) << 40, MSR_CONST | MSR_RO, -1 },
    { 0x199, 3, 1, "IA32_PERF_CTL", NONE, 0, 0, MSR_ZERO, -1 }, /* also CLOCK_MODULATION, THERM_INTERRUPT */
    { 0x19c, 1, 1, "IA32_THERM_STATUS", NONE, 0, 0, MSR_ZERO | MSR_RO, -1 },
    { 0x1a0, 1, 1, "IA32_MISC_ENABLE", F(misc_enable), 0, 0x1801, 0, -1 },
    { 0x1a2, 1, 1, "MSR_TEMPERATURE_TARGET", NONE, 0, 0, MSR_ZERO | MSR_RO, -1 },
    { 0x1d9, 1, 1, "IA32_DEBUGCTL", F(debugctl), ~UINT64_C(0xffc3), 0, 0, -1 },
    { 0x1db, 4, 1, "MSR_LASTBRANCH", NONE, 0, 0, MSR_ZERO | MSR_RO, -1 },
    { 0x200, X86_VAR_MTRRS, 2, "IA32_MTRR_PHYSBASE", F(mtrr_base), 0, 0, 0, X86_FEATURE_MTRR, NULL, mtrr_base_write },
    { 0x201, X86_VAR_MTRRS, 2, "IA32_MTRR_PHYSMASK", F(mtrr_mask), 0, 0, 0, X86_FEATURE_MTRR, NULL, mtrr_mask_write },
    { 0x250, 1, 1, "IA32_MTRR_FIX64K", F(mtrr_fixed[0]), 0, 0, 0, X86_FEATURE_MTRR, NULL, mtrr_fixed_write },
    { 0x258, 2, 1, "IA32_MTRR_FIX16K", F(mtrr_fixed[1]), 0, 0, 0, X86_FEATURE_MTRR, NULL, mtrr_fixed_write },
    { 0x268, 8, 1, "IA32_MTRR_FIX4K", F(mtrr_fixed[3]), 0, 0, 0, X86_FEATURE_MTRR, NULL, mtrr_fixed_write },
    { 0x277, 1, 1, "IA32_PAT", F(pat), 0, UINT64_C(0x0007040600070406), 0, X86_FEATURE_PAT, NULL, pat_write },
    { 0x2ff, 1, 1, "IA32_MTRR_DEF_TYPE", F(mtrr_def_type), 0, 0, 0, X86_FEATURE_MTRR, NULL, mtrr_def_write },
    { 0x400, X86_MCE_BANKS * 4, 1, "IA32_MCi", NONE, 0, 0, 0, X86_FEATURE_MCA, mc_read, mc_write },
    { 0x6e0, 1, 1, "IA32_TSC_DEADLINE", NONE, 0, 0, 0, X86_FEATURE_TSC_DEADLINE, apic_read, apic_write },
    { 0x800, 0x100, 1, "x2APIC", NONE, 0, 0, 0, X86_FEATURE_X2APIC, apic_read, apic_write },
    { 0x4b564d00, 2, 1, "KVM_WALL_CLOCK, KVM_SYSTEM_TIME", NONE, 0, 0, 0, X86_FEATURE_HYPERVISOR, kvm_read, kvm_write },
    { 0x4b564d02, 1, 1, "KVM asynchronous page faults", F(kvm_async_pf), 0, 0, 0, X86_FEATURE_KVM_ASYNCPF },
    { 0x4b564d03, 1, 1, "KVM steal time", F(kvm_steal_time), 0, 0, 0, X86_FEATURE_KVM_STEAL_TIME },
    { 0x4b564d04, 1, 1, "KVM paravirtual EOI", F(kvm_pv_eoi), 0, 0, 0, X86_FEATURE_KVM_PV_EOI },
    { 0x4b564d05, 1, 1, "KVM halt polling", F(kvm_poll_control), 0, 1, 0, X86_FEATURE_KVM_POLL_CONTROL },
    { 0x4b564d06, 1, 1, "KVM asynchronous page faults: vector", F(kvm_async_pf_int), 0, 0, 0,
      X86_FEATURE_KVM_ASYNCPF_INT },
    { 0xc0000080, 1, 1, "IA32_EFER", NONE, 0, 0, 0, X86_FEATURE_NX, efer_read, efer_write },
    { 0xc0000081, 1, 1, "IA32_STAR", F(star), 0, 0, 0, X86_FEATURE_SYSCALL },
    { 0xc0000082, 1, 1, "IA32_LSTAR", F(lstar), 0, 0, MSR_CANONICAL, X86_FEATURE_LM },
    { 0xc0000083, 1, 1, "IA32_CSTAR", F(cstar), 0, 0, MSR_CANONICAL, X86_FEATURE_LM },
    { 0xc0000084, 1, 1, "IA32_FMASK", F(fmask), 0, 0, 0, X86_FEATURE_LM },
    { 0xc0000100, 2, 1, "IA32_FS_BASE", NONE, 0, 0, MSR_CANONICAL, X86_FEATURE_LM, seg_base_read, seg_base_write },
    { 0xc0000102, 1, 1, "IA32_KERNEL_GS_BASE", F(kernel_gs_base), 0, 0, MSR_CANONICAL, X86_FEATURE_LM },
    { 0xc0000103, 1, 1, "IA32_TSC_AUX", F(tsc_aux), 0xffffffff00000000, 0, 0, X86_FEATURE_RDTSCP },
    /* AMD */
    { 0xc0010010, 1, 1, "SYSCFG", F(syscfg), 0, 0, 0, -1 },
    { 0xc0010015, 1, 1, "HWCR", F(hwcr), 0, 0, 0, -1 },
    { 0xc0010016, 5, 1, "IORR, TOP_MEM", NONE, 0, 0, MSR_ZERO, -1 },
    { 0xc001001d, 1, 1, "TOP_MEM2", NONE, 0, 0, MSR_ZERO, -1 },
    { 0xc001001f, 1, 1, "NB_CFG", NONE, 0, 0, MSR_ZERO, -1 },
    { 0xc0010020, 1, 1, "PATCH_LOADER", NONE, 0, 0, MSR_ZERO, -1 },
    { 0xc0010044, X86_MCE_BANKS, 1, "MCi_CTL_MASK", NONE, 0, 0, MSR_ZERO, -1 },
    { 0xc0010055, 1, 1, "INT_PENDING", NONE, 0, 0, MSR_ZERO, -1 },
    { 0xc0010058, 1, 1, "MMIO_CONF_BASE", NONE, 0, 0, MSR_ZERO, -1 },
    { 0xc0010061, 11, 1, "P-state", NONE, 0, 0, MSR_ZERO, -1 },
    { 0xc0010111, 1, 1, "SMM_BASE", NONE, 0, 0, MSR_RO, -1, smbase_read },
    { 0xc0010112, 2, 1, "SMM_ADDR, SMM_MASK", NONE, 0, 0, MSR_ZERO, -1 },
    { 0xc0010114, 1, 1, "VM_CR", NONE, 0, 0x10, MSR_CONST, -1 }, /* SVM disabled */
    { 0xc0010140, 2, 1, "OSVW", NONE, 0, 0, MSR_ZERO, -1 },
    { 0xc0011004, 2, 1, "CPUID override", NONE, 0, 0, MSR_ZERO, -1 },
    { 0xc0011020, 4, 1, "LS, IC, DC, BU_CFG", NONE, 0, 0, MSR_ZERO, -1 },
    { 0xc0011029, 2, 1, "DE_CFG, BU_CFG2", NONE, 0, 0, MSR_ZERO, -1 },
};

static bool available(const X86Cpu *c, const Msr *m)
{
    if (m->read == kvm_read)
        return x86_has_feature(c, X86_FEATURE_KVM_CLOCK);
    if (m->feature < 0 || x86_has_feature(c, (unsigned)m->feature))
        return true;
    /* EFER comes with any of the three */
    return m->read == efer_read && (x86_has_feature(c, X86_FEATURE_LM) || x86_has_feature(c, X86_FEATURE_SYSCALL));
}

/* Rows are in the order of their numbers; two that alternate (MTRR bases and masks) follow each other. */
static const Msr *find(const X86Cpu *c, uint32_t number, unsigned *index)
{
    unsigned low = 0, high = ARRAY_LEN(msrs);
    while (high - low > 1) {
        unsigned middle = (low + high) / 2;
        if (msrs[middle].number <= number)
            low = middle;
        else
            high = middle;
    }
    for (unsigned back = 0; back < 2 && back <= low; back++) {
        const Msr *m = &msrs[low - back];
        uint32_t d = number - m->number;
        if (d % m->stride || d / m->stride >= m->count)
            continue;
        *index = d / m->stride;
        return available(c, m) ? m : NULL;
    }
    return NULL;
}

static uint64_t *field(X86Cpu *c, const Msr *m, unsigned index)
{
    return (uint64_t *)((char *)c + m->offset + index * m->element);
}

uint64_t *x86_msr_field(X86Cpu *c, uint32_t number)
{
    unsigned index;
    const Msr *m = find(c, number, &index);
    if (m && m->read == mc_read)
        return &c->mce[index / 4][index % 4];
    return m && m->offset && !(m->flags & MSR_CONST) ? field(c, m, index) : NULL;
}

bool x86_read_msr(X86Cpu *c, uint32_t number, uint64_t *value)
{
    unsigned index;
    const Msr *m = find(c, number, &index);
    if (!m) {
        log_guest_error("cpu", "read of unknown MSR %08x at pc %016" PRIx64, number, c->v.pc);
        return false;
    }
    if (m->read)
        return m->read(c, m, index, value);
    *value = m->flags & MSR_ZERO ? 0 : m->offset ? *field(c, m, index) : m->reset;
    return true;
}

bool x86_write_msr(X86Cpu *c, uint32_t number, uint64_t value)
{
    unsigned index;
    const Msr *m = find(c, number, &index);
    if (!m) {
        log_guest_error("cpu", "write of unknown MSR %08x, value %016" PRIx64 ", at pc %016" PRIx64, number, value,
                        c->v.pc);
        return false;
    }
    if (m->flags & MSR_RO || value & m->reserved || (m->flags & MSR_CANONICAL && !x86_canonical(c, value)))
        return false;
    if (m->write)
        return m->write(c, m, index, &value);
    if (!(m->flags & (MSR_ZERO | MSR_CONST)))
        *field(c, m, index) = value;
    return true;
}

void x86_reset_msrs(X86Cpu *c)
{
    for (unsigned i = 0; i < ARRAY_LEN(msrs); i++) {
        for (unsigned n = 0; msrs[i].offset && !(msrs[i].flags & MSR_CONST) && n < msrs[i].count; n++)
            *field(c, &msrs[i], n) = msrs[i].reset;
    }
    if (x86_has_feature(c, X86_FEATURE_MONITOR))
        c->misc_enable |= BIT(18);
    c->kvm_time = c->kvm_wall = 0;
    memset(c->mce, 0, sizeof(c->mce));
    for (unsigned i = 0; i < X86_MCE_BANKS; i++)
        c->mce[i][0] = ~UINT64_C(0);
    c->tsc_offset = -(int64_t)((unsigned __int128)(uint64_t)clock_ns(CLOCK_VIRTUAL_NS) * c->tsc_hz / 1000000000);
}

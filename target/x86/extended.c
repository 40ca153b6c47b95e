/* SPDX-License-Identifier: MIT */
/*
 * What only the host's CPU can give: CPUID leaves 0AH, 0DH, 1DH and 1EH, MSRs, saved state (SDM vol. 1, chapter 13;
 * vol. 3, 20.2; APM vol. 2, 13.2).
 */
#include "target/x86/extended.h"

#include <string.h>
#include "target/x86/models.h"

enum { EAX, EBX, ECX, EDX };
enum { LEAF_TILE = 0x1d, LEAF_TMUL = 0x1e };
enum {
    MSR_XFD = 0x1c4,
    MSR_XFD_ERR = 0x1c5,
    MSR_U_CET = 0x6a0,
    MSR_S_CET = 0x6a2,
    MSR_PL0_SSP = 0x6a4,
    MSR_INTERRUPT_SSP = 0x6a8
};
enum {
    MSR_BNDCFGS = 0xd90,
    MSR_XSS = 0xda0,
    MSR_VMX_BASIC = 0x480,
    MSR_PERF_CAPABILITIES = 0x345,
    MSR_HSAVE = 0xc0010117,
    MSR_VM_CR = 0xc0010114,
    MSR_TSC_RATIO = 0xc0000104,
    TSC_RATIO_INT_SHIFT = 32
};

/* --- components of XSAVE --- */

static const struct {
    unsigned feature;
    const char *what;
    size_t offset;
    uint32_t size;
} components[X86_XSAVE_COMPONENTS] = {
#define ROW(field, feature_, what_) \
    { X86_FEATURE_##feature_, what_, offsetof(X86Components, field), sizeof(((X86Components *)0)->field) }
    [3] = ROW(bndregs, MPX, "bounds registers"), [4] = ROW(bndcsr, MPX, "bounds registers"),
    [5] = ROW(opmask, AVX512F, "AVX-512"),       [6] = ROW(zmm_hi256, AVX512F, "AVX-512"),
    [7] = ROW(hi16_zmm, AVX512F, "AVX-512"),     [9] = ROW(pkru, PKU, "protection keys"),
    [17] = ROW(tilecfg, AMX_TILE, "AMX tiles"),  [18] = ROW(tiledata, AMX_TILE, "AMX tiles"),
#undef ROW
};

/* Those that IA32_XSS enables: the kernel moves their registers as MSRs. */
enum { CET_USER = 11, CET_SUPERVISOR = 12 };
static const struct { uint8_t number, size; } supervisor[] = { { CET_USER, 16 }, { CET_SUPERVISOR, 24 } };

uint8_t *x86_ext_component(X86Components *x, unsigned number, uint32_t *size)
{
    if (number >= X86_XSAVE_COMPONENTS || !components[number].size)
        return NULL;
    *size = components[number].size;
    return (uint8_t *)x + components[number].offset;
}

static bool has(const uint32_t features[], unsigned f) { return features[f >> 5] >> (f & 31) & 1; }
static void drop(uint32_t features[], unsigned f) { features[f >> 5] &= ~(1u << (f & 31)); }

static bool holds(const X86ExtendedHost *host, unsigned i) { return host && host->xsave[i].size == components[i].size; }

static bool holds_cet(const X86ExtendedHost *host)
{
    for (unsigned i = 0; i < ARRAY_LEN(supervisor); i++) {
        if (!host || host->xsave[supervisor[i].number].size != supervisor[i].size)
            return false;
    }
    return host->ssp;
}

bool x86_ext_has_cet(const X86Cpu *c)
{
    return x86_has_feature(c, X86_FEATURE_SHSTK) || x86_has_feature(c, X86_FEATURE_IBT);
}

void x86_ext_hide(uint32_t features[], bool pmu)
{
    if (!pmu) {
        drop(features, X86_FEATURE_PDCM);
        drop(features, X86_FEATURE_PERFCTR_CORE);
    }
    if (!has(features, X86_FEATURE_SVM))
        features[X86_FW_SVM] = 0;
}

static void drop_family(uint32_t features[], const char *prefix)
{
    for (const char *const *f = x86_feature_names(); *f; f++) {
        if (g_str_has_prefix(*f, prefix))
            drop(features, (unsigned)x86_feature_find(*f));
    }
}

void x86_ext_filter(uint32_t features[], const X86ExtendedHost *host, bool pmu)
{
    for (unsigned i = X86_XSAVE_FIRST; i < X86_XSAVE_COMPONENTS; i++) {
        if (components[i].size && (!holds(host, i) || !has(features, X86_FEATURE_XSAVE)))
            drop(features, components[i].feature);
    }
    if (!has(features, X86_FEATURE_XFD)) /* tiles come with it */
        drop(features, X86_FEATURE_AMX_TILE);
    if (!has(features, X86_FEATURE_AVX512F))
        drop_family(features, "avx512");
    if (!has(features, X86_FEATURE_AMX_TILE)) {
        drop_family(features, "amx-");
        drop(features, X86_FEATURE_XFD);
    }
    if (!has(features, X86_FEATURE_XSAVE))
        drop(features, X86_FEATURE_XSAVES);
    if (!has(features, X86_FEATURE_XSAVES) || !holds_cet(host)) {
        drop(features, X86_FEATURE_SHSTK);
        drop(features, X86_FEATURE_IBT);
    }
    if (!host || !host->nested) {
        drop(features, X86_FEATURE_VMX);
        drop(features, X86_FEATURE_SVM);
    }
    x86_ext_hide(features, host && pmu);
}

void x86_ext_leaf_d(const X86Cpu *c, uint32_t sub, uint32_t o[4])
{
    const X86ExtendedHost *h = c->ext.host;
    for (unsigned i = X86_XSAVE_FIRST; h && i < X86_XSAVE_COMPONENTS; i++) {
        uint32_t end = h->xsave[i].offset + h->xsave[i].size;
        if (!(c->ext.xsave.there >> i & 1))
            continue;
        if (!sub) {
            o[EAX] |= 1u << i;
            o[EBX] = c->xcr0 >> i & 1 ? MAX(o[EBX], end) : o[EBX];
            o[ECX] = MAX(o[ECX], end);
        } else if (sub == i) {
            o[EAX] = h->xsave[i].size, o[EBX] = h->xsave[i].offset, o[ECX] = h->xsave[i].flags;
        }
    }
    if (sub == 1)
        o[ECX] |= (uint32_t)c->ext.xsave.supervisor;
    else if (sub < X86_XSAVE_COMPONENTS && c->ext.xsave.supervisor >> sub & 1)
        o[EAX] = h->xsave[sub].size, o[ECX] = h->xsave[sub].flags;
}

void x86_ext_leaf_tile(const X86Cpu *c, uint32_t leaf, uint32_t sub, uint32_t o[4])
{
    if (!x86_has_feature(c, X86_FEATURE_AMX_TILE))
        return;
    if (leaf == LEAF_TILE && sub < ARRAY_LEN(c->ext.host->tile))
        memcpy(o, c->ext.host->tile[sub], sizeof(c->ext.host->tile[sub]));
    else if (leaf == LEAF_TMUL && !sub)
        memcpy(o, c->ext.host->tmul, sizeof(c->ext.host->tmul));
}

/* --- performance counters --- */

static void init_pmu(X86Cpu *c)
{
    X86Pmu *p = &c->ext.pmu;
    const X86ExtendedHost *h = c->ext.host;
    uint32_t a = h->pmu_leaf[EAX], d = h->pmu_leaf[EDX];
    if (h->pmu_amd && x86_like_amd(c)) {
        p->kind = x86_has_feature(c, X86_FEATURE_PERFCTR_CORE) ? X86_PMU_CORE : X86_PMU_K7;
        p->general = p->kind == X86_PMU_CORE ? X86_PMU_AMD : 4;
    } else if (a & 0xff) {
        p->kind = X86_PMU_ARCH;
        memcpy(p->leaf, h->pmu_leaf, sizeof(p->leaf));
        p->version = a & 0xff;
        p->general = (uint8_t)MIN(a >> 8 & 0xff, (unsigned)X86_PMU_GENERAL);
        p->fixed = p->version < 2 ? 0 : (uint8_t)MIN(d & 31, (unsigned)X86_PMU_FIXED);
        p->leaf[EAX] = (a & ~0xff00u) | (uint32_t)p->general << 8;
        p->leaf[EDX] = p->version < 2 ? 0 : (d & ~31u) | p->fixed;
        p->perf_capabilities = x86_has_feature(c, X86_FEATURE_PDCM) ? h->perf_capabilities : 0;
        c->cpuid_level = MAX(c->cpuid_level, 0xau);
    }
}

void x86_ext_leaf_a(const X86Cpu *c, uint32_t o[4]) { memcpy(o, c->ext.pmu.leaf, sizeof(c->ext.pmu.leaf)); }

/* --- life --- */

void x86_ext_init(X86Cpu *c, const X86ExtendedHost *host, bool pmu)
{
    X86Extended *e = &c->ext;
    memset(e, 0, sizeof(*e));
    e->host = host;
    for (unsigned i = X86_XSAVE_FIRST; i < X86_XSAVE_COMPONENTS; i++) {
        if (components[i].size && x86_has_feature(c, components[i].feature))
            e->xsave.there |= UINT64_C(1) << i;
    }
    if (x86_ext_has_cet(c))
        e->xsave.supervisor = UINT64_C(1) << CET_USER | UINT64_C(1) << CET_SUPERVISOR;
    if (x86_has_feature(c, X86_FEATURE_AMX_TILE))
        c->cpuid_level = MAX(c->cpuid_level, (uint32_t)LEAF_TMUL);
    if (host && pmu)
        init_pmu(c);
    if (x86_has_feature(c, X86_FEATURE_VMX))
        memcpy(e->nested.vmx, host->vmx, sizeof(e->nested.vmx));
    if (x86_has_feature(c, X86_FEATURE_VMX) || x86_has_feature(c, X86_FEATURE_SVM))
        e->nested.state = g_byte_array_new();
}

void x86_ext_free(X86Cpu *c)
{
    if (c->ext.nested.state)
        g_byte_array_unref(c->ext.nested.state);
    c->ext.nested.state = NULL;
}

void x86_ext_reset(X86Cpu *c)
{
    X86Extended *e = &c->ext;
    X86Pmu *p = &e->pmu;
    e->xsave = (X86Components){ .there = e->xsave.there, .supervisor = e->xsave.supervisor };
    e->cet = (X86Cet){ 0 };
    p->fixed_control = p->global_status = 0;
    p->global_control = p->version >= 2 ? bits_mask(p->general) : 0; /* SDM vol. 3, table 9-1 */
    memset(p->fixed_counter, 0, sizeof(p->fixed_counter));
    memset(p->counter, 0, sizeof(p->counter));
    memset(p->select, 0, sizeof(p->select));
    memset(p->amd, 0, sizeof(p->amd));
    e->bndcfgs = 0;
    e->nested.hsave = e->nested.vm_cr = 0;
    e->nested.tsc_ratio = UINT64_C(1) << TSC_RATIO_INT_SHIFT;
    if (e->nested.state)
        g_byte_array_set_size(e->nested.state, 0);
}

/* --- MSRs --- */

typedef struct Range { uint32_t first, count; uint64_t *field; } Range;
enum { RANGES = 21 };

/* Switches before what they let run; the same table for both questions. */
static unsigned ranges(X86Cpu *c, Range out[RANGES])
{
    X86Pmu *p = &c->ext.pmu;
    bool arch2 = p->kind == X86_PMU_ARCH && p->version >= 2;
    const Range all[RANGES] = {
        { MSR_XSS, x86_has_feature(c, X86_FEATURE_XSAVES), &c->xss },
        { MSR_XFD, x86_has_feature(c, X86_FEATURE_XFD), &c->ext.xsave.xfd },
        { MSR_XFD_ERR, x86_has_feature(c, X86_FEATURE_XFD), &c->ext.xsave.xfd_err },
        { MSR_BNDCFGS, x86_has_feature(c, X86_FEATURE_MPX), &c->ext.bndcfgs },
        { MSR_U_CET, x86_ext_has_cet(c), &c->ext.cet.user },
        { MSR_S_CET, x86_ext_has_cet(c), &c->ext.cet.supervisor },
        { MSR_PL0_SSP, x86_has_feature(c, X86_FEATURE_SHSTK) ? 4 : 0, c->ext.cet.level_ssp },
        { MSR_INTERRUPT_SSP, x86_has_feature(c, X86_FEATURE_SHSTK) && x86_has_feature(c, X86_FEATURE_LM),
          &c->ext.cet.interrupt_table },
        { MSR_VMX_BASIC, x86_has_feature(c, X86_FEATURE_VMX) ? X86_VMX_MSRS : 0, c->ext.nested.vmx },
        { MSR_HSAVE, x86_has_feature(c, X86_FEATURE_SVM), &c->ext.nested.hsave },
        { MSR_VM_CR, x86_has_feature(c, X86_FEATURE_SVM), &c->ext.nested.vm_cr },
        { MSR_TSC_RATIO, x86_has_feature(c, X86_FEATURE_TSC_SCALE), &c->ext.nested.tsc_ratio },
        { MSR_PERF_CAPABILITIES, x86_has_feature(c, X86_FEATURE_PDCM) && p->kind == X86_PMU_ARCH,
          &p->perf_capabilities },
        { 0x38d, arch2, &p->fixed_control },
        { 0x38f, arch2, &p->global_control },
        { 0x38e, arch2, &p->global_status },
        { 0x309, p->fixed, p->fixed_counter },
        { 0xc1, p->kind == X86_PMU_ARCH ? p->general : 0, p->counter },
        { 0x186, p->kind == X86_PMU_ARCH ? p->general : 0, p->select },
        { 0xc0010200, p->kind == X86_PMU_CORE ? 2 * X86_PMU_AMD : 0, p->amd },
        { 0xc0010000, p->kind == X86_PMU_K7 ? 8 : 0, p->amd },
    };
    unsigned n = 0;
    for (unsigned i = 0; i < RANGES; i++) {
        if (all[i].count)
            out[n++] = all[i];
    }
    return n;
}

uint32_t x86_ext_msr(const X86Cpu *c, unsigned i)
{
    Range r[RANGES];
    unsigned n = ranges((X86Cpu *)c, r);
    for (unsigned k = 0; k < n; i -= r[k++].count) {
        if (i < r[k].count)
            return r[k].first + i;
    }
    return 0;
}

uint64_t *x86_ext_msr_field(X86Cpu *c, uint32_t number)
{
    Range r[RANGES];
    unsigned n = ranges(c, r);
    for (unsigned k = 0; k < n; k++) {
        if (number - r[k].first < r[k].count)
            return &r[k].field[number - r[k].first];
    }
    return NULL;
}

/* --- saved state --- */

static const StateField components_state[] = {
    STATE_U64(X86Extended, xsave.there),      STATE_U64(X86Extended, xsave.used),
    STATE_BYTES(X86Extended, xsave.bndregs),  STATE_BYTES(X86Extended, xsave.bndcsr),
    STATE_BYTES(X86Extended, xsave.opmask),   STATE_BYTES(X86Extended, xsave.zmm_hi256),
    STATE_BYTES(X86Extended, xsave.hi16_zmm), STATE_BYTES(X86Extended, xsave.pkru),
    STATE_U64(X86Extended, bndcfgs),          STATE_END_OF_TABLE
};
static const StateField tile_state[] = { STATE_BYTES(X86Components, tilecfg), STATE_BYTES(X86Components, tiledata),
                                         STATE_U64(X86Components, xfd), STATE_U64(X86Components, xfd_err),
                                         STATE_END_OF_TABLE };
static const StateField cet_state[] = { STATE_U64(X86Cet, user),
                                        STATE_U64(X86Cet, supervisor),
                                        STATE_U64(X86Cet, ssp),
                                        STATE_U64_ARRAY(X86Cet, level_ssp),
                                        STATE_U64(X86Cet, interrupt_table),
                                        STATE_END_OF_TABLE };
static const StateField pmu_state[] = { STATE_U8(X86Pmu, kind),           STATE_U8(X86Pmu, version),
                                        STATE_U8(X86Pmu, general),        STATE_U8(X86Pmu, fixed),
                                        STATE_U32_ARRAY(X86Pmu, leaf),    STATE_U64(X86Pmu, perf_capabilities),
                                        STATE_U64(X86Pmu, fixed_control), STATE_U64(X86Pmu, global_control),
                                        STATE_U64(X86Pmu, global_status), STATE_U64_ARRAY(X86Pmu, fixed_counter),
                                        STATE_U64_ARRAY(X86Pmu, counter), STATE_U64_ARRAY(X86Pmu, select),
                                        STATE_U64_ARRAY(X86Pmu, amd),     STATE_END_OF_TABLE };
static const StateField nested_state[] = { STATE_U64_ARRAY(X86Nested, vmx),
                                           STATE_U64(X86Nested, hsave),
                                           STATE_U64(X86Nested, vm_cr),
                                           STATE_U64(X86Nested, tsc_ratio),
                                           STATE_BUF(X86Nested, state, X86_NESTED_MAX),
                                           STATE_END_OF_TABLE };

static char *section(const X86Cpu *c, const char *what) { return g_strdup_printf("cpu.%u.%s", c->v.index, what); }

void x86_ext_save(X86Cpu *c, StateWriter *w)
{
    g_autofree char *xsave = section(c, "xsave"), *tile = section(c, "tile"), *cet = section(c, "cet"),
                    *pmu = section(c, "pmu"), *nested = section(c, "nested");
    if (c->ext.xsave.there)
        state_save_section(w, xsave, components_state, &c->ext);
    if (x86_has_feature(c, X86_FEATURE_AMX_TILE))
        state_save_section(w, tile, tile_state, &c->ext.xsave);
    if (x86_ext_has_cet(c))
        state_save_section(w, cet, cet_state, &c->ext.cet);
    if (c->ext.pmu.kind)
        state_save_section(w, pmu, pmu_state, &c->ext.pmu);
    if (c->ext.nested.state)
        state_save_section(w, nested, nested_state, &c->ext.nested);
}

static bool lacks(const X86Cpu *c, const char *what, Error **errp)
{
    error_setf(
        errp,
        "CPU %u: the saved guest has %s, which this CPU does not have; load it with the same -cpu where KVM offers it",
        c->v.index, what);
    return false;
}

/* What the guest can have touched must be here; a CPU with more starts it in its initial state. */
static bool load_components(X86Cpu *c, StateReader *r, Error **errp)
{
    g_autofree char *name = section(c, "xsave"), *tile = section(c, "tile");
    X86Components *x = &c->ext.xsave;
    uint64_t mine = x->there, allowed = mine | (x86_has_feature(c, X86_FEATURE_AVX) ? 7 : 3);
    x86_ext_reset(c);
    if (state_reader_has(r, name) && !state_load_section(r, name, components_state, &c->ext, errp))
        return false;
    if (state_reader_has(r, tile) && !x86_has_feature(c, X86_FEATURE_AMX_TILE))
        return lacks(c, "AMX tiles", errp);
    if (state_reader_has(r, tile) && !state_load_section(r, tile, tile_state, x, errp))
        return false;
    uint64_t missing = (x->used | x->there | c->xcr0) & ~allowed;
    x->there = mine;
    x->used &= mine;
    if (!missing)
        return true;
    unsigned first = (unsigned)__builtin_ctzll(missing);
    return lacks(c,
                 first < X86_XSAVE_COMPONENTS && components[first].what ? components[first].what
                 : first == 2                                           ? "AVX"
                                                                        : "more registers",
                 errp);
}

static bool load_cet(X86Cpu *c, StateReader *r, Error **errp)
{
    g_autofree char *name = section(c, "cet");
    if (!state_reader_has(r, name))
        return true;
    return x86_ext_has_cet(c) ? state_load_section(r, name, cet_state, &c->ext.cet, errp)
                              : lacks(c, "control-flow enforcement (shstk or ibt)", errp);
}

static bool load_pmu(X86Cpu *c, StateReader *r, Error **errp)
{
    g_autofree char *name = section(c, "pmu");
    X86Pmu mine = c->ext.pmu;
    if (!state_reader_has(r, name))
        return true;
    if (!mine.kind)
        return lacks(c, "performance counters (pmu=on)", errp);
    if (!state_load_section(r, name, pmu_state, &c->ext.pmu, errp))
        return false;
    const X86Pmu *p = &c->ext.pmu;
    if (p->kind == mine.kind && p->version == mine.version && p->general == mine.general && p->fixed == mine.fixed &&
        !memcmp(p->leaf, mine.leaf, sizeof(mine.leaf)) && p->perf_capabilities == mine.perf_capabilities)
        return true;
    c->ext.pmu = mine;
    return lacks(c, "performance counters of another kind", errp);
}

static bool load_nested(X86Cpu *c, StateReader *r, Error **errp)
{
    g_autofree char *name = section(c, "nested");
    uint64_t mine[X86_VMX_MSRS];
    if (!state_reader_has(r, name))
        return true;
    if (!c->ext.nested.state)
        return lacks(c, "nested virtualization (vmx or svm)", errp);
    memcpy(mine, c->ext.nested.vmx, sizeof(mine));
    if (!state_load_section(r, name, nested_state, &c->ext.nested, errp))
        return false;
    if (!memcmp(mine, c->ext.nested.vmx, sizeof(mine)))
        return true;
    memcpy(c->ext.nested.vmx, mine, sizeof(mine));
    return lacks(c, "VMX of another kind", errp);
}

bool x86_ext_load(X86Cpu *c, StateReader *r, Error **errp)
{
    return load_components(c, r, errp) && load_cet(c, r, errp) && load_pmu(c, r, errp) && load_nested(c, r, errp);
}

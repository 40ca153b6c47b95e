/* SPDX-License-Identifier: MIT */
/* Hyper-V's interfaces: the parts of -cpu, CPUID leaves, and which MSRs belong to them (TLFS chapters 2 and 3). */
#include "target/x86/hyperv.h"
#include <string.h>
#include "base/bits.h"
#include "base/opts.h"
#include "target/x86/cpu.h"

enum { EAX, EBX, ECX, EDX };
enum {
    RELAXED,
    VAPIC,
    RUNTIME,
    CRASH,
    RESET,
    VPINDEX,
    TIME,
    SYNIC,
    STIMER,
    STIMER_DIRECT,
    FREQUENCIES,
    REENLIGHTENMENT,
    TLBFLUSH,
    TLBFLUSH_EXT,
    IPI,
    AVIC,
    XMM_INPUT,
    CORESHARING,
    EVMCS,
    FEATURES
};
enum { MSR_VP_INDEX = 0x40000002, HYPERCALL_AVAILABLE = 1 << 5, DYNAMIC_PARTITIONING = 1 << 3, SPINLOCKS_NEVER = -1 };

typedef struct Feature {
    const char *name;
    uint32_t bits[X86_HV_WORDS];
    uint32_t needs; /* features, as bits */
} Feature;
#define ONE(n) (1u << (n))
static const Feature features[FEATURES] = {
    [RELAXED] = { "hv-relaxed", { [X86_HV_HINTS] = ONE(5) }, 0 },
    [VAPIC] = { "hv-vapic", { [X86_HV_PRIVILEGES] = ONE(4), [X86_HV_HINTS] = ONE(3) }, 0 },
    [RUNTIME] = { "hv-runtime", { [X86_HV_PRIVILEGES] = ONE(0) }, 0 },
    [CRASH] = { "hv-crash", { [X86_HV_MISC] = ONE(10) }, 0 },
    [RESET] = { "hv-reset", { [X86_HV_PRIVILEGES] = ONE(7) }, 0 },
    [VPINDEX] = { "hv-vpindex", { [X86_HV_PRIVILEGES] = ONE(6) }, 0 },
    [TIME] = { "hv-time", { [X86_HV_PRIVILEGES] = ONE(1) | ONE(9) }, 0 },
    [SYNIC] = { "hv-synic", { [X86_HV_PRIVILEGES] = ONE(2) }, ONE(VPINDEX) },
    [STIMER] = { "hv-stimer", { [X86_HV_PRIVILEGES] = ONE(3) }, ONE(SYNIC) | ONE(TIME) },
    [STIMER_DIRECT] = { "hv-stimer-direct", { [X86_HV_MISC] = ONE(19) }, ONE(STIMER) },
    [FREQUENCIES] = { "hv-frequencies", { [X86_HV_PRIVILEGES] = ONE(11), [X86_HV_MISC] = ONE(8) }, 0 },
    [REENLIGHTENMENT] = { "hv-reenlightenment", { [X86_HV_PRIVILEGES] = ONE(13) }, 0 },
    [TLBFLUSH] = { "hv-tlbflush", { [X86_HV_HINTS] = ONE(2) | ONE(11) }, ONE(VPINDEX) },
    [TLBFLUSH_EXT] = { "hv-tlbflush-ext", { [X86_HV_MISC] = ONE(14) }, ONE(TLBFLUSH) },
    [IPI] = { "hv-ipi", { [X86_HV_HINTS] = ONE(10) | ONE(11) }, ONE(VPINDEX) },
    [AVIC] = { "hv-avic", { [X86_HV_HINTS] = ONE(9) }, 0 },
    [XMM_INPUT] = { "hv-xmm-input", { [X86_HV_MISC] = ONE(4) }, 0 },
    [CORESHARING] = { "hv-no-nonarch-coresharing", { [X86_HV_HINTS] = ONE(18) }, 0 },
    [EVMCS] = { "hv-evmcs", { [X86_HV_HINTS] = ONE(14) }, ONE(VAPIC) },
};

/* --- -cpu --- */

void x86_hv_defaults(X86Hyperv *h)
{
    *h = (X86Hyperv){ .spinlocks = (uint32_t)SPINLOCKS_NEVER, .version = { 0x3839, 0x000a0000 } };
    g_strlcpy(h->vendor, "Microsoft Hv", sizeof(h->vendor));
}

enum {
    OPT_SPINLOCKS = FEATURES,
    OPT_VENDOR,
    OPT_PASSTHROUGH,
    OPT_ENFORCE_CPUID,
    OPT_BUILD,
    OPT_MAJOR,
    OPT_MINOR,
    OPT_SYNDBG,
    OPT_COUNT
};
static const char *const more_options[] = { "hv-spinlocks",        "hv-vendor-id",
                                            "hv-passthrough",      "hv-enforce-cpuid",
                                            "hv-version-id-build", "hv-version-id-major",
                                            "hv-version-id-minor", "hv-syndbg" };

const char *x86_hv_name(unsigned i)
{
    return i < FEATURES ? features[i].name : i < OPT_COUNT ? more_options[i - FEATURES] : NULL;
}

static unsigned find_option(const char *name)
{
    g_autofree char *dashes = g_strdelimit(g_strdup(name), "_", '-');
    unsigned i = 0;
    while (i < OPT_COUNT && strcmp(x86_hv_name(i), dashes))
        i++;
    return i;
}

static bool set_number(const char *name, const char *value, uint64_t max, uint64_t *out, Error **errp)
{
    if (value && parse_u64(value, out) && *out <= max)
        return true;
    error_setf(errp, "-cpu: '%s=%s': the value must be a number up to %" PRIu64, name, value ? value : "", max);
    return false;
}

static bool set_vendor(X86Hyperv *h, const char *value, Error **errp)
{
    if (!value || strlen(value) > 12) {
        error_setf(errp, "-cpu: 'hv-vendor-id=%s': the value must have at most 12 characters", value ? value : "");
        return false;
    }
    memset(h->vendor, 0, sizeof(h->vendor));
    g_strlcpy(h->vendor, value, sizeof(h->vendor));
    return true;
}

static bool set_switch(X86Hyperv *h, unsigned i, const char *value, Error **errp)
{
    bool on = true;
    if (i == CORESHARING && value && !strcmp(value, "auto"))
        value = "off"; /* only the user knows how CPUs are placed */
    if (value && !parse_bool(value, &on)) {
        error_setf(errp, "-cpu: '%s=%s': the value must be on or off", x86_hv_name(i), value);
        return false;
    }
    if (i == OPT_PASSTHROUGH)
        h->passthrough = on;
    else if (i == OPT_ENFORCE_CPUID)
        h->enforce_cpuid = on;
    else if (i == OPT_SYNDBG)
        h->syndbg = on;
    else
        h->features = on ? h->features | ONE(i) : h->features & ~ONE(i);
    return true;
}

bool x86_hv_option(X86Hyperv *h, const char *name, const char *value, bool *known, Error **errp)
{
    unsigned i = find_option(name);
    uint64_t n = 0;
    *known = i < OPT_COUNT;
    switch (i) {
    case OPT_COUNT: return true;
    case OPT_VENDOR: return set_vendor(h, value, errp);
    case OPT_SPINLOCKS:
        if (!set_number(x86_hv_name(i), value, UINT32_MAX, &n, errp))
            return false;
        h->spinlocks = (uint32_t)n;
        return true;
    case OPT_BUILD: case OPT_MAJOR: case OPT_MINOR:
        if (!set_number(x86_hv_name(i), value, i == OPT_BUILD ? UINT32_MAX : UINT16_MAX, &n, errp))
            return false;
        if (i == OPT_BUILD)
            h->version[0] = (uint32_t)n;
        else
            h->version[1] = (uint32_t)bits_set(h->version[1], i == OPT_MAJOR ? 16 : 0, 16, n);
        return true;
    default: return set_switch(h, i, value, errp);
    }
}

static bool wanted(const X86Hyperv *h)
{
    return h->features || h->passthrough || h->spinlocks != (uint32_t)SPINLOCKS_NEVER;
}

static bool has_bits(const X86HypervHost *host, const Feature *f)
{
    for (unsigned w = 0; w < X86_HV_WORDS; w++) {
        if (f->bits[w] & ~host->word[w])
            return false;
    }
    return true;
}

/* One feature that is wanted: its bits at the host, the features that it builds on. */
static bool check_feature(const X86Hyperv *h, const X86HypervHost *host, const Feature *f, Error **errp)
{
    uint32_t missing = f->needs & ~h->features;
    if (missing)
        error_setf(errp, "-cpu: '%s' builds on '%s'; add it", f->name, features[__builtin_ctz(missing)].name);
    else if (!has_bits(host, f))
        error_setf(errp, "-cpu: '%s': this host's kernel does not have it; leave it out or use another kernel",
                   f->name);
    else
        return true;
    return false;
}

static const char *first_wanted(const X86Hyperv *h)
{
    return x86_hv_name(h->features      ? (unsigned)__builtin_ctz(h->features)
                       : h->passthrough ? OPT_PASSTHROUGH
                                        : OPT_SPINLOCKS);
}

static bool nobody_has_them(X86Hyperv *h, bool enforce, bool quiet, Error **errp)
{
    if (enforce) {
        error_setf(errp,
                   "-cpu: '%s' with 'enforce': Hyper-V's interfaces are there with -accel kvm only; leave them out",
                   first_wanted(h));
        return false;
    }
    if (!quiet)
        warn_reportf("-cpu: '%s': Hyper-V's interfaces are there with -accel kvm only and are left out",
                     first_wanted(h));
    h->features = 0;
    h->passthrough = false;
    h->spinlocks = (uint32_t)SPINLOCKS_NEVER;
    return true;
}

/* A nested hypervisor's VMCS in memory of the guest; without VMX there is none. */
static bool check_evmcs(X86Hyperv *h, const X86HypervHost *host, bool vmx, Error **errp)
{
    if (!(h->features & ONE(EVMCS)))
        return true;
    memcpy(h->nested, host->nested, sizeof(h->nested));
    if (vmx)
        return true;
    error_setf(errp, "-cpu: 'hv-evmcs' builds on 'vmx'; add it");
    return false;
}

bool x86_hv_check(X86Hyperv *h, const X86HypervHost *host, bool vmx, bool enforce, bool quiet, Error **errp)
{
    if (h->syndbg) {
        error_setf(errp, "-cpu: 'hv-syndbg': there is no connection to a debugger here (device 'hv-syndbg'); leave it "
                         "out, and debug with -gdb");
        return false;
    }
    if (!wanted(h))
        return true;
    if (!host)
        return nobody_has_them(h, enforce, quiet, errp);
    if (!(host->word[X86_HV_PRIVILEGES] & HYPERCALL_AVAILABLE)) {
        error_setf(errp,
                   "-cpu: '%s': this host's kernel has no interfaces of Hyper-V; leave it out or use another kernel",
                   first_wanted(h));
        return false;
    }
    for (unsigned i = 0; h->passthrough && i < FEATURES; i++) {
        if (i != CORESHARING && (i != EVMCS || vmx) && has_bits(host, &features[i]))
            h->features |= ONE(i);
    }
    for (unsigned i = 0; i < FEATURES; i++) {
        if (h->features & ONE(i) && !check_feature(h, host, &features[i], errp))
            return false;
    }
    return check_evmcs(h, host, vmx, errp);
}

/* --- CPUID --- */

uint32_t x86_hv_last_leaf(const X86Cpu *c) { return x86_hv_has_evmcs(c) ? 0x4000000a : 0x40000006; }

static uint32_t word(const X86Hyperv *h, unsigned w)
{
    uint32_t bits = w == X86_HV_PRIVILEGES ? HYPERCALL_AVAILABLE
                    : w == X86_HV_MISC     ? DYNAMIC_PARTITIONING /* CPUs can come */
                                           : 0;
    for (unsigned i = 0; i < FEATURES; i++)
        bits |= h->features & ONE(i) ? features[i].bits[w] : 0;
    return bits;
}

void x86_hv_leaf(const X86Cpu *c, uint32_t leaf, uint32_t o[4])
{
    enum { MAX_CPUS = 64 };
    const X86Hyperv *h = &c->hv;
    switch (leaf) {
    case 0x40000000:
        o[EAX] = x86_hv_last_leaf(c);
        o[EBX] = load_le32(h->vendor), o[ECX] = load_le32(h->vendor + 4), o[EDX] = load_le32(h->vendor + 8);
        break;
    case 0x40000001: o[EAX] = load_le32("Hv#1"); break;
    case 0x40000002: o[EAX] = h->version[0], o[EBX] = h->version[1]; break;
    case 0x40000003: o[EAX] = word(h, X86_HV_PRIVILEGES), o[EDX] = word(h, X86_HV_MISC); break;
    case 0x40000004: o[EAX] = word(h, X86_HV_HINTS), o[EBX] = h->spinlocks; break;
    case 0x40000005: o[EAX] = MAX_CPUS; break;
    case 0x4000000a: o[EAX] = h->nested[0], o[EBX] = h->nested[1]; break;
    default: break;
    }
}

/* --- MSRs (TLFS appendix C) --- */

typedef struct Range { uint32_t first, count; uint32_t features; } Range; /* of any of these features; 0: of all */
static const Range ranges[] = {
    /* in this order: pages before timers, the identity of the guest before hypercalls */
    { 0x40000000, 2, 0 },          { MSR_VP_INDEX, 1, ONE(VPINDEX) },       { 0x40000010, 1, ONE(RUNTIME) },
    { 0x40000021, 1, ONE(TIME) },  { 0x40000073, 1, ONE(VAPIC) },           { 0x40000080, 1, ONE(SYNIC) },
    { 0x40000082, 2, ONE(SYNIC) }, { 0x40000090, 16, ONE(SYNIC) },          { 0x400000b0, 8, ONE(STIMER) },
    { 0x40000100, 6, ONE(CRASH) }, { 0x40000106, 3, ONE(REENLIGHTENMENT) },
};

static bool range_there(const X86Hyperv *h, const Range *r)
{
    return wanted(h) && (!r->features || h->features & r->features);
}

/* Place of a range's first value in X86Hyperv.msr: the same whatever is enabled. */
static unsigned place_of(unsigned range)
{
    unsigned n = 0;
    for (unsigned i = 0; i < range; i++)
        n += ranges[i].count;
    return n;
}

uint32_t x86_hv_msr(const X86Cpu *c, unsigned i)
{
    for (unsigned r = 0; r < ARRAY_LEN(ranges); r++) {
        if (!range_there(&c->hv, &ranges[r]))
            continue;
        if (i < ranges[r].count)
            return ranges[r].first + i;
        i -= ranges[r].count;
    }
    return 0;
}

uint64_t *x86_hv_msr_field(X86Cpu *c, uint32_t number)
{
    for (unsigned r = 0; r < ARRAY_LEN(ranges); r++) {
        if (number - ranges[r].first < ranges[r].count)
            return range_there(&c->hv, &ranges[r]) ? &c->hv.msr[place_of(r) + number - ranges[r].first] : NULL;
    }
    return NULL;
}

void x86_hv_reset(X86Cpu *c)
{
    memset(c->hv.msr, 0, sizeof(c->hv.msr));
    uint64_t *index = x86_hv_msr_field(c, MSR_VP_INDEX);
    if (index)
        *index = c->v.index;
}

bool x86_hv_has_evmcs(const X86Cpu *c) { return c->hv.features & ONE(EVMCS); }
bool x86_hv_has_synic(const X86Cpu *c) { return c->hv.features & ONE(SYNIC); }

const StateField x86_hv_state[] = { STATE_U32(X86Hyperv, features), STATE_U64_ARRAY(X86Hyperv, msr),
                                    STATE_END_OF_TABLE };

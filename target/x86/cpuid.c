/* SPDX-License-Identifier: MIT */
/* CPUID leaves (SDM vol. 2, CPUID; AMD APM vol. 3, appendix E). */
#include "target/x86/kvmclock.h"
#include "target/x86/models.h"

enum { EAX, EBX, ECX, EDX };

static void vendor_leaf(const X86Cpu *c, uint32_t max, uint32_t o[4])
{
    o[EAX] = max;
    o[EBX] = load_le32(c->vendor);
    o[EDX] = load_le32(c->vendor + 4);
    o[ECX] = load_le32(c->vendor + 8);
}

static unsigned package_threads(const X86Cpu *c) { return c->topo.threads * c->topo.cores * c->topo.dies; }

static void leaf_1(const X86Cpu *c, uint32_t o[4])
{
    unsigned threads = package_threads(c);
    o[EAX] = c->signature;
    o[EBX] = c->v.port.arch_id << 24 | MIN(threads, 255) << 16 | 8 << 8; /* CLFLUSH: 64 bytes */
    o[ECX] = c->feature[X86_FW_1_ECX];
    o[EDX] = c->feature[X86_FW_1_EDX];
    if (c->cr4 & CR4_OSXSAVE)
        o[ECX] |= 1u << (X86_FEATURE_OSXSAVE & 31);
    if (threads > 1)
        o[EDX] |= 1u << (X86_FEATURE_HT & 31);
}

/* Caches: 32 KiB L1d and L1i, 4 MiB L2 shared by a core, 16 MiB L3 of the package. */
typedef struct Cache { uint8_t type, level, ways; uint32_t sets; } Cache;
static const Cache caches[] = { { 1, 1, 8, 64 }, { 2, 1, 8, 64 }, { 3, 2, 16, 4096 }, { 3, 3, 16, 16384 } };

static void cache_leaf(const X86Cpu *c, uint32_t sub, bool amd, uint32_t o[4])
{
    if (sub >= ARRAY_LEN(caches))
        return;
    const Cache *k = &caches[sub];
    unsigned sharing = k->level == 3 ? package_threads(c) : c->topo.threads;
    o[EAX] = k->type | k->level << 5 | 1 << 8 | (MAX(sharing, 1u) - 1) << 14;
    if (!amd)
        o[EAX] |= (MIN(1u << (c->topo.core_shift - c->topo.smt_shift), 64u) - 1) << 26;
    o[EBX] = 63 | (uint32_t)(k->ways - 1) << 22;
    o[ECX] = k->sets - 1;
    o[EDX] = k->level == 3 ? 4 : 0;
}

static void leaf_7(const X86Cpu *c, uint32_t sub, uint32_t o[4])
{
    if (sub) {
        o[EAX] = sub == 1 ? c->feature[X86_FW_7_1_EAX] : 0;
        return;
    }
    o[EAX] = c->feature[X86_FW_7_1_EAX] != 0;
    o[EBX] = c->feature[X86_FW_7_EBX];
    o[ECX] = c->feature[X86_FW_7_ECX];
    o[EDX] = c->feature[X86_FW_7_EDX];
}

static void leaf_b(const X86Cpu *c, uint32_t sub, uint32_t o[4])
{
    o[ECX] = sub & 0xff;
    o[EDX] = c->v.port.arch_id;
    if (sub == 0) {
        o[EAX] = c->topo.smt_shift;
        o[EBX] = c->topo.threads;
        o[ECX] |= 1 << 8;
    } else if (sub == 1) {
        o[EAX] = c->topo.core_shift;
        o[EBX] = package_threads(c);
        o[ECX] |= 2 << 8;
    }
}

/* XSAVE areas: legacy + header 576 bytes, AVX 256 more, then what the host has. */
static void leaf_d(const X86Cpu *c, uint32_t sub, uint32_t o[4])
{
    if (!x86_has_feature(c, X86_FEATURE_XSAVE))
        return;
    bool avx = x86_has_feature(c, X86_FEATURE_AVX);
    if (sub == 0) {
        o[EAX] = 1 | (x86_has_feature(c, X86_FEATURE_SSE) ? 2 : 0) | (avx ? 4 : 0);
        o[EBX] = c->xcr0 & 4 ? 576 + 256 : 576;
        o[ECX] = avx ? 576 + 256 : 576;
    } else if (sub == 1) {
        o[EAX] = c->feature[X86_FW_D1_EAX];
    } else if (sub == 2 && avx) {
        o[EAX] = 256;
        o[EBX] = 576;
    }
    x86_ext_leaf_d(c, sub, o);
}

static void ext_1(const X86Cpu *c, uint32_t o[4])
{
    bool amd = x86_like_amd(c);
    o[EAX] = c->signature;
    o[ECX] = c->feature[X86_FW_EXT1_ECX];
    o[EDX] = c->feature[X86_FW_EXT1_EDX];
    if (amd)
        o[EDX] |= c->feature[X86_FW_1_EDX] & 0x0183f3ff; /* the bits that AMD repeats here */
    if (amd && package_threads(c) > 1)
        o[ECX] |= 1u << (X86_FEATURE_CMP_LEGACY & 31);
}

static void ext_name(const X86Cpu *c, unsigned part, uint32_t o[4])
{
    for (unsigned i = 0; i < 4; i++)
        o[i] = load_le32(c->model_id + part * 16 + i * 4);
}

static void ext_8(const X86Cpu *c, uint32_t o[4])
{
    /* kernels refuse 32 */
    o[EAX] = c->phys_bits | (x86_has_feature(c, X86_FEATURE_LM) ? (uint32_t)c->linear_bits << 8 : 0);
    o[EBX] = c->feature[X86_FW_EXT8_EBX];
    unsigned threads = package_threads(c);
    if (threads > 1)
        o[ECX] = (threads - 1) | (uint32_t)c->topo.core_shift << 12;
}

static void hypervisor_leaf(const X86Cpu *c, uint32_t leaf, uint32_t o[4])
{
    bool hyperv = x86_hv_msr(c, 0);
    if (hyperv && leaf <= x86_hv_last_leaf(c)) {
        x86_hv_leaf(c, leaf, o);
        return;
    }
    if (c->kvm) {
        x86_kvm_leaf(c, hyperv ? leaf - (X86_HV_KVM_LEAF - 0x40000000) : leaf, o);
        o[EAX] += hyperv && leaf == X86_HV_KVM_LEAF ? X86_HV_KVM_LEAF - 0x40000000 : 0;
        return;
    }
    if (leaf != 0x40000000)
        return;
    o[EAX] = 0x40000001;
    o[EBX] = load_le32("Rhea");
    o[ECX] = load_le32("Rhea");
    o[EDX] = load_le32("Rhea");
}

static void extended_leaf(const X86Cpu *c, uint32_t leaf, uint32_t sub, uint32_t o[4])
{
    switch (leaf) {
    case 0x80000000: vendor_leaf(c, c->cpuid_xlevel, o); break;
    case 0x80000001: ext_1(c, o); break;
    case 0x80000002: case 0x80000003: case 0x80000004: ext_name(c, leaf - 0x80000002, o); break;
    case 0x80000005: /* L1: 64-byte lines, 1 a tag, 8 ways, 32 KiB; TLBs 255/64 entries fully associative */
        o[EAX] = 0x01ff01ff, o[EBX] = 0x01ff01ff, o[ECX] = 32 << 24 | 8 << 16 | 1 << 8 | 64;
        o[EDX] = o[ECX];
        break;
    case 0x80000006: /* L2: 4 MiB, 16 ways; L3: 16 MiB in units of 512 KiB */
        o[EBX] = 0x42004200, o[ECX] = 4096u << 16 | 8 << 12 | 1 << 8 | 64, o[EDX] = 32u << 18 | 8 << 12 | 1 << 8 | 64;
        break;
    case 0x80000007: o[EDX] = c->feature[X86_FW_EXT7_EDX]; break;
    case 0x80000008: ext_8(c, o); break;
    case 0x8000000a: /* revision, address space identifiers */
        if (x86_has_feature(c, X86_FEATURE_SVM))
            o[EAX] = 1, o[EBX] = 16, o[EDX] = c->feature[X86_FW_SVM];
        break;
    case 0x8000001d:
        if (x86_has_feature(c, X86_FEATURE_TOPOEXT))
            cache_leaf(c, sub, true, o);
        break;
    case 0x8000001e: /* APIC id, threads of the core and its number, nodes */
        if (x86_has_feature(c, X86_FEATURE_TOPOEXT)) {
            unsigned core = (c->v.port.arch_id & ((1u << c->topo.core_shift) - 1)) >> c->topo.smt_shift;
            o[EAX] = c->v.port.arch_id;
            o[EBX] = (core & 0xff) | (uint32_t)(c->topo.threads - 1) << 8;
        }
        break;
    default: break;
    }
}

void x86_cpuid(const X86Cpu *c, uint32_t leaf, uint32_t sub, uint32_t o[4])
{
    memset(o, 0, 4 * sizeof(o[0]));
    if (leaf >> 16 == 0x4000) {
        if (x86_has_feature(c, X86_FEATURE_HYPERVISOR))
            hypervisor_leaf(c, leaf, o);
        return;
    }
    if (leaf >= 0x80000000) {
        if (leaf <= c->cpuid_xlevel)
            extended_leaf(c, leaf, sub, o);
        return;
    }
    if (leaf > c->cpuid_level)
        return;
    switch (leaf) {
    case 0: vendor_leaf(c, c->cpuid_level, o); break;
    case 1: leaf_1(c, o); break;
    case 2: o[EAX] = 0x01, o[EDX] = 0x2c307d; break; /* descriptors: L1d 32K, L1i 32K, L2 2M (leaf 4 is exact) */
    case 4: cache_leaf(c, sub, false, o); break;
    case 5:
        if (x86_has_feature(c, X86_FEATURE_MONITOR))
            o[EAX] = 64, o[EBX] = 64, o[ECX] = 3;
        break;
    case 6: o[EAX] = c->feature[X86_FW_6_EAX]; break;
    case 7: leaf_7(c, sub, o); break;
    case 0xa: x86_ext_leaf_a(c, o); break;
    case 0xb: leaf_b(c, sub, o); break;
    case 0xd: leaf_d(c, sub, o); break;
    case 0x1d: case 0x1e: x86_ext_leaf_tile(c, leaf, sub, o); break;
    case 0x15: /* TSC = crystal (here: TSC itself) * 1/1 */
        o[EAX] = 1, o[EBX] = 1, o[ECX] = (uint32_t)c->tsc_hz;
        break;
    case 0x16:
        o[EAX] = o[EBX] = (uint32_t)(c->tsc_hz / 1000000), o[ECX] = 100;
        break;
    default: break;
    }
}

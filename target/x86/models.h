/* SPDX-License-Identifier: MIT */
/* CPU models and their features. */
#ifndef TARGET_X86_MODELS_H
#define TARGET_X86_MODELS_H

#include "target/x86/cpu.h"

/* AMD's processors and those that follow them in what vendors differ in. */
static inline bool x86_like_amd(const X86Cpu *c) { return c->vendor[0] == 'A' || c->vendor[0] == 'H'; }

/* The CPUID words that features stand in. */
typedef enum X86FeatureWord {
    X86_FW_1_EDX,
    X86_FW_1_ECX,
    X86_FW_7_EBX,
    X86_FW_7_ECX,
    X86_FW_7_EDX,
    X86_FW_EXT1_EDX,
    X86_FW_EXT1_ECX,
    X86_FW_EXT7_EDX,
    X86_FW_EXT8_EBX,
    X86_FW_6_EAX,
    X86_FW_D1_EAX,
    X86_FW_7_1_EAX,
    X86_FW_SVM /* 8000000Ah EDX */,
    X86_FW_KVM /* 40000001h EAX */,
    X86_FW_KVM_HINTS /* EDX */,
    X86_FW_COUNT
} X86FeatureWord;
_Static_assert((int)X86_FW_COUNT <= (int)X86_FEATURE_WORDS, "feature words");

/* Features that the code asks for: word << 5 | bit. */
#define X86_FEATURE(word, bit) ((word) << 5 | (bit))
enum {
    X86_FEATURE_VME = X86_FEATURE(X86_FW_1_EDX, 1),
    X86_FEATURE_DE = X86_FEATURE(X86_FW_1_EDX, 2),
    X86_FEATURE_PSE = X86_FEATURE(X86_FW_1_EDX, 3),
    X86_FEATURE_TSC = X86_FEATURE(X86_FW_1_EDX, 4),
    X86_FEATURE_MSR = X86_FEATURE(X86_FW_1_EDX, 5),
    X86_FEATURE_PAE = X86_FEATURE(X86_FW_1_EDX, 6),
    X86_FEATURE_MCE = X86_FEATURE(X86_FW_1_EDX, 7),
    X86_FEATURE_APIC = X86_FEATURE(X86_FW_1_EDX, 9),
    X86_FEATURE_SEP = X86_FEATURE(X86_FW_1_EDX, 11),
    X86_FEATURE_MTRR = X86_FEATURE(X86_FW_1_EDX, 12),
    X86_FEATURE_PGE = X86_FEATURE(X86_FW_1_EDX, 13),
    X86_FEATURE_MCA = X86_FEATURE(X86_FW_1_EDX, 14),
    X86_FEATURE_PAT = X86_FEATURE(X86_FW_1_EDX, 16),
    X86_FEATURE_PSE36 = X86_FEATURE(X86_FW_1_EDX, 17),
    X86_FEATURE_FXSR = X86_FEATURE(X86_FW_1_EDX, 24),
    X86_FEATURE_SSE = X86_FEATURE(X86_FW_1_EDX, 25),
    X86_FEATURE_HT = X86_FEATURE(X86_FW_1_EDX, 28),
    X86_FEATURE_MONITOR = X86_FEATURE(X86_FW_1_ECX, 3),
    X86_FEATURE_PCID = X86_FEATURE(X86_FW_1_ECX, 17),
    X86_FEATURE_X2APIC = X86_FEATURE(X86_FW_1_ECX, 21),
    X86_FEATURE_TSC_DEADLINE = X86_FEATURE(X86_FW_1_ECX, 24),
    X86_FEATURE_XSAVE = X86_FEATURE(X86_FW_1_ECX, 26),
    X86_FEATURE_OSXSAVE = X86_FEATURE(X86_FW_1_ECX, 27),
    X86_FEATURE_AVX = X86_FEATURE(X86_FW_1_ECX, 28),
    X86_FEATURE_RDRAND = X86_FEATURE(X86_FW_1_ECX, 30),
    X86_FEATURE_HYPERVISOR = X86_FEATURE(X86_FW_1_ECX, 31),
    X86_FEATURE_FSGSBASE = X86_FEATURE(X86_FW_7_EBX, 0),
    X86_FEATURE_TSC_ADJUST = X86_FEATURE(X86_FW_7_EBX, 1),
    X86_FEATURE_SMEP = X86_FEATURE(X86_FW_7_EBX, 7),
    X86_FEATURE_INVPCID = X86_FEATURE(X86_FW_7_EBX, 10),
    X86_FEATURE_RDSEED = X86_FEATURE(X86_FW_7_EBX, 18),
    X86_FEATURE_SMAP = X86_FEATURE(X86_FW_7_EBX, 20),
    X86_FEATURE_UMIP = X86_FEATURE(X86_FW_7_ECX, 2),
    X86_FEATURE_LA57 = X86_FEATURE(X86_FW_7_ECX, 16),
    X86_FEATURE_RDPID = X86_FEATURE(X86_FW_7_ECX, 22),
    X86_FEATURE_PKU = X86_FEATURE(X86_FW_7_ECX, 3),
    X86_FEATURE_AVX512F = X86_FEATURE(X86_FW_7_EBX, 16),
    X86_FEATURE_MPX = X86_FEATURE(X86_FW_7_EBX, 14),
    X86_FEATURE_PDCM = X86_FEATURE(X86_FW_1_ECX, 15),
    X86_FEATURE_PERFCTR_CORE = X86_FEATURE(X86_FW_EXT1_ECX, 23),
    X86_FEATURE_SHSTK = X86_FEATURE(X86_FW_7_ECX, 7),
    X86_FEATURE_IBT = X86_FEATURE(X86_FW_7_EDX, 20),
    X86_FEATURE_AMX_TILE = X86_FEATURE(X86_FW_7_EDX, 24),
    X86_FEATURE_XFD = X86_FEATURE(X86_FW_D1_EAX, 4),
    X86_FEATURE_XSAVES = X86_FEATURE(X86_FW_D1_EAX, 3),
    X86_FEATURE_TSC_SCALE = X86_FEATURE(X86_FW_SVM, 4),
    X86_FEATURE_VMX = X86_FEATURE(X86_FW_1_ECX, 5),
    X86_FEATURE_SVM = X86_FEATURE(X86_FW_EXT1_ECX, 2),
    X86_FEATURE_SPEC_CTRL = X86_FEATURE(X86_FW_7_EDX, 26),
    X86_FEATURE_SYSCALL = X86_FEATURE(X86_FW_EXT1_EDX, 11),
    X86_FEATURE_NX = X86_FEATURE(X86_FW_EXT1_EDX, 20),
    X86_FEATURE_FFXSR = X86_FEATURE(X86_FW_EXT1_EDX, 25),
    X86_FEATURE_PDPE1GB = X86_FEATURE(X86_FW_EXT1_EDX, 26),
    X86_FEATURE_RDTSCP = X86_FEATURE(X86_FW_EXT1_EDX, 27),
    X86_FEATURE_LM = X86_FEATURE(X86_FW_EXT1_EDX, 29),
    X86_FEATURE_CMP_LEGACY = X86_FEATURE(X86_FW_EXT1_ECX, 1),
    X86_FEATURE_TOPOEXT = X86_FEATURE(X86_FW_EXT1_ECX, 22),
    X86_FEATURE_INVTSC = X86_FEATURE(X86_FW_EXT7_EDX, 8),
    X86_FEATURE_ARAT = X86_FEATURE(X86_FW_6_EAX, 2),
    X86_FEATURE_XGETBV1 = X86_FEATURE(X86_FW_D1_EAX, 2),
    X86_FEATURE_KVM_NOPIODELAY = X86_FEATURE(X86_FW_KVM, 1),
    X86_FEATURE_KVM_CLOCK = X86_FEATURE(X86_FW_KVM, 3),
    X86_FEATURE_KVM_ASYNCPF = X86_FEATURE(X86_FW_KVM, 4),
    X86_FEATURE_KVM_STEAL_TIME = X86_FEATURE(X86_FW_KVM, 5),
    X86_FEATURE_KVM_PV_EOI = X86_FEATURE(X86_FW_KVM, 6),
    X86_FEATURE_KVM_POLL_CONTROL = X86_FEATURE(X86_FW_KVM, 12),
    X86_FEATURE_KVM_ASYNCPF_INT = X86_FEATURE(X86_FW_KVM, 14),
    X86_FEATURE_KVM_CLOCK_STABLE = X86_FEATURE(X86_FW_KVM, 24),
};
static inline bool x86_has_feature(const X86Cpu *c, unsigned feature)
{
    return c->feature[feature >> 5] >> (feature & 31) & 1;
}

/* What the translator and this room implement: nothing else is ever advertised. */
extern const uint32_t x86_supported_features[X86_FW_COUNT];

/*
 * A host whose CPU runs the guest, under KVM: its features take the place of ours, and 'host' and 'max' are this CPU.
 */
typedef struct X86Host {
    uint32_t features[X86_FW_COUNT];
    uint32_t signature, level, xlevel;
    char vendor[13], model_id[49];
    uint8_t phys_bits;
    const X86HypervHost *hyperv; /* NULL: its kernel has no such interfaces */
    X86ExtendedHost extended;
} X86Host;
void x86_models_set_host(const X86Host *host); /* before CPUs are made; kept by reference; NULL: none */

/*
 * Set everything of `c` that the model fixes from "name,+feat,-feat,prop=value,...". Errors name the wrong part and the
 * nearest valid name. `quiet`: don't warn of features asked for that can't be had (CPUs after the first).
 */
bool x86_model_apply(X86Cpu *c, const char *text, bool quiet, Error **errp);
void x86_models_print_help(GString *out);
/* NULL-terminated names, of models and of features; for tests and error messages. */
const char *const *x86_model_names(void);
const char *const *x86_feature_names(void);
/* The feature's number by name (also aliases), -1: unknown. */
int x86_feature_find(const char *name);
#endif

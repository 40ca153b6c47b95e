/* SPDX-License-Identifier: MIT */
/* Names of the CPUID features, and which of them work. */
#include "target/x86/models.h"

/* By word and bit; a second name after a comma is an alias. */
static const char *const names[X86_FW_COUNT][32] = {
    [X86_FW_1_EDX] = { "fpu",  "vme",  "de",   "pse", "tsc",  "msr", "pae",   "mce", "cx8",           "apic", NULL,
                       "sep",  "mtrr", "pge",  "mca", "cmov", "pat", "pse36", "pn",  "clflush,clfsh", NULL,   "ds",
                       "acpi", "mmx",  "fxsr", "sse", "sse2", "ss",  "ht",    "tm",  "ia64",          "pbe" },
    [X86_FW_1_ECX] = { "sse3,pni",
                       "pclmulqdq,pclmuldq",
                       "dtes64",
                       "monitor",
                       "ds-cpl",
                       "vmx",
                       "smx",
                       "est",
                       "tm2",
                       "ssse3",
                       "cid",
                       NULL,
                       "fma",
                       "cx16",
                       "xtpr",
                       "pdcm",
                       NULL,
                       "pcid",
                       "dca",
                       "sse4.1,sse4-1,sse4_1",
                       "sse4.2,sse4-2,sse4_2",
                       "x2apic",
                       "movbe",
                       "popcnt",
                       "tsc-deadline,tsc_deadline",
                       "aes",
                       "xsave",
                       NULL,
                       "avx",
                       "f16c",
                       "rdrand",
                       "hypervisor" },
    [X86_FW_7_EBX] = { "fsgsbase",
                       "tsc-adjust,tsc_adjust",
                       "sgx",
                       "bmi1",
                       "hle",
                       "avx2",
                       "fdp-excptn-only",
                       "smep",
                       "bmi2",
                       "erms",
                       "invpcid",
                       "rtm",
                       NULL,
                       "zero-fcs-fds",
                       "mpx",
                       NULL,
                       "avx512f",
                       "avx512dq",
                       "rdseed",
                       "adx",
                       "smap",
                       "avx512ifma",
                       "pcommit",
                       "clflushopt",
                       "clwb",
                       "intel-pt",
                       "avx512pf",
                       "avx512er",
                       "avx512cd",
                       "sha-ni,sha",
                       "avx512bw",
                       "avx512vl" },
    [X86_FW_7_ECX] = { NULL,         "avx512vbmi",  "umip",         "pku",       NULL,
                       "waitpkg",    "avx512vbmi2", "shstk",        "gfni",      "vaes",
                       "vpclmulqdq", "avx512vnni",  "avx512bitalg", NULL,        "avx512-vpopcntdq",
                       NULL,         "la57",        NULL,           NULL,        NULL,
                       NULL,         NULL,          "rdpid",        NULL,        "bus-lock-detect",
                       "cldemote",   NULL,          "movdiri",      "movdir64b", NULL,
                       "sgxlc",      "pks" },
    [X86_FW_7_1_EAX] = { [4] = "avx-vnni", [5] = "avx512-bf16" },
    [X86_FW_7_EDX] = { [2] = "avx512-4vnniw",
                       [3] = "avx512-4fmaps",
                       [4] = "fsrm",
                       [8] = "avx512-vp2intersect",
                       [10] = "md-clear",
                       [14] = "serialize",
                       [20] = "ibt",
                       [22] = "amx-bf16",
                       [23] = "avx512-fp16",
                       [24] = "amx-tile",
                       [25] = "amx-int8",
                       [26] = "spec-ctrl",
                       [27] = "stibp",
                       [28] = "flush-l1d",
                       [29] = "arch-capabilities",
                       [30] = "core-capability",
                       [31] = "ssbd" },
    [X86_FW_EXT1_EDX] = { [11] = "syscall",
                          [19] = "mp",
                          [20] = "nx,xd",
                          [22] = "mmxext",
                          [25] = "fxsr-opt,ffxsr,fxsr_opt",
                          [26] = "pdpe1gb",
                          [27] = "rdtscp",
                          [29] = "lm,i64",
                          [30] = "3dnowext",
                          [31] = "3dnow" },
    [X86_FW_EXT1_ECX] = { "lahf-lm,lahf_lm",
                          "cmp-legacy,cmp_legacy",
                          "svm",
                          "extapic",
                          "cr8legacy",
                          "abm,lzcnt",
                          "sse4a",
                          "misalignsse",
                          "3dnowprefetch",
                          "osvw",
                          "ibs",
                          "xop",
                          "skinit",
                          "wdt",
                          NULL,
                          "lwp",
                          "fma4",
                          "tce",
                          NULL,
                          "nodeid-msr",
                          NULL,
                          "tbm",
                          "topoext",
                          "perfctr-core,perfctr_core",
                          "perfctr-nb,perfctr_nb" },
    [X86_FW_EXT7_EDX] = { [8] = "invtsc" },
    [X86_FW_EXT8_EBX] = { [0] = "clzero",
                          [2] = "xsaveerptr",
                          [9] = "wbnoinvd",
                          [12] = "ibpb",
                          [14] = "ibrs",
                          [15] = "amd-stibp",
                          [24] = "amd-ssbd",
                          [25] = "virt-ssbd",
                          [26] = "amd-no-ssb" },
    [X86_FW_6_EAX] = { [2] = "arat" },
    [X86_FW_D1_EAX] = { "xsaveopt", "xsavec", "xgetbv1", "xsaves", "xfd" },
    [X86_FW_SVM] = { "npt", "lbrv", "svm-lock,svm_lock", "nrip-save,nrip_save", "tsc-scale,tsc_scale",
                     "vmcb-clean,vmcb_clean", "flushbyasid",
                     "decodeassists", [10] = "pause-filter,pause_filter", [12] = "pfthreshold", [13] = "avic",
                     [15] = "v-vmsave-vmload", [16] = "vgif", [28] = "svme-addr-chk" },
    [X86_FW_KVM] = { [1] = "kvm-nopiodelay,kvm_nopiodelay",
                     [3] = "kvmclock",
                     [4] = "kvm-asyncpf,kvm_asyncpf",
                     [5] = "kvm-steal-time,kvm_steal_time",
                     [6] = "kvm-pv-eoi,kvm_pv_eoi",
                     [7] = "kvm-pv-unhalt,kvm_pv_unhalt",
                     [9] = "kvm-pv-tlb-flush",
                     [10] = "kvm-asyncpf-vmexit",
                     [11] = "kvm-pv-ipi",
                     [12] = "kvm-poll-control",
                     [13] = "kvm-pv-sched-yield",
                     [14] = "kvm-asyncpf-int",
                     [15] = "kvm-msi-ext-dest-id",
                     [24] = "kvmclock-stable-bit" },
    [X86_FW_KVM_HINTS] = { [0] = "kvm-hint-dedicated" },
};

/* Bit lists by number, words as above. The FP and SIMD bits are those of the front end's tables. */
const uint32_t x86_supported_features[X86_FW_COUNT] = {
    [X86_FW_1_EDX] = 1u << 0 /* fpu */ | 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 |
                     1u << 8 /* cx8 */ | 1u << 9 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 15 /* cmov */ |
                     1u << 16 | 1u << 17 | 1u << 19 /* clflush */ | 1u << 23 /* mmx */ | 1u << 24 | 1u << 25 |
                     1u << 26 /* sse2 */ | 1u << 27 /* ss */,
    [X86_FW_1_ECX] = 1u << 0 /* sse3 */ | 1u << 1 /* pclmulqdq */ | 1u << 3 /* monitor */ | 1u << 9 /* ssse3 */ |
                     1u << 13 /* cx16 */ | 1u << 17 /* pcid */ | 1u << 19 | 1u << 20 /* sse4.2 */ |
                     1u << 21 /* x2apic */ | 1u << 22 /* movbe */ | 1u << 23 /* popcnt */ |
                     1u << 24 /* tsc-deadline */ | 1u << 25 /* aes */ | 1u << 26 /* xsave */ | 1u << 30 /* rdrand */ |
                     1u << 31 /* hypervisor */,
    [X86_FW_7_EBX] = 1u << 0 /* fsgsbase */ | 1u << 1 | 1u << 3 /* bmi1 */ | 1u << 7 /* smep */ | 1u << 8 /* bmi2 */ |
                     1u << 9 /* erms */ | 1u << 10 /* invpcid */ | 1u << 13 | 1u << 18 /* rdseed */ |
                     1u << 19 /* adx */ | 1u << 20 /* smap */ | 1u << 23 /* clflushopt */ | 1u << 24 /* clwb */ |
                     1u << 29 /* sha-ni */,
    [X86_FW_7_ECX] = 1u << 2 /* umip */ | 1u << 16 /* la57 */ | 1u << 22 /* rdpid */,
    [X86_FW_7_EDX] = 1u << 4 /* fsrm */,
    [X86_FW_EXT1_EDX] = 1u << 11 /* syscall */ | 1u << 20 /* nx */ | 1u << 26 /* pdpe1gb */ | 1u << 27 /* rdtscp */ |
                        1u << 29 /* lm */,
    [X86_FW_EXT1_ECX] = 1u << 0 /* lahf-lm */ | 1u << 4 /* cr8legacy */ | 1u << 5 /* abm */ |
                        1u << 8 /* 3dnowprefetch */ | 1u << 22 /* topoext */,
    [X86_FW_EXT7_EDX] = 1u << 8 /* invtsc */,
    [X86_FW_EXT8_EBX] = 1u << 9 /* wbnoinvd */,
    [X86_FW_6_EAX] = 1u << 2 /* arat */,
    [X86_FW_KVM] = 1u << 1 /* kvm-nopiodelay */ | 1u << 3 /* kvmclock */ | 1u << 24 /* kvmclock-stable-bit */,
    [X86_FW_KVM_HINTS] = 1u << 0,
};

/* Made once, never freed: each name to its feature and 1. */
static GHashTable *numbers(void)
{
    static GHashTable *table;
    static gsize made;
    if (g_once_init_enter(&made)) {
        table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        for (unsigned i = 0; i < X86_FW_COUNT * 32; i++) {
            g_auto(GStrv) all = g_strsplit(names[i / 32][i % 32] ? names[i / 32][i % 32] : "", ",", -1);
            for (char **name = all; *name; name++) {
                if (!g_hash_table_contains(table, *name))
                    g_hash_table_insert(table, g_strdup(*name), GUINT_TO_POINTER(X86_FEATURE(i / 32, i % 32) + 1));
            }
        }
        g_once_init_leave(&made, 1);
    }
    return table;
}

int x86_feature_find(const char *name) { return (int)GPOINTER_TO_UINT(g_hash_table_lookup(numbers(), name)) - 1; }

/* Made once, never freed: all first names, sorted by word and bit. */
const char *const *x86_feature_names(void)
{
    static const char *list[X86_FW_COUNT * 32 + 1];
    static gsize done;
    if (g_once_init_enter(&done)) {
        unsigned n = 0;
        for (unsigned i = 0; i < X86_FW_COUNT * 32; i++) {
            const char *name = names[i / 32][i % 32];
            if (name)
                list[n++] = g_strndup(name, strcspn(name, ","));
        }
        g_once_init_leave(&done, 1);
    }
    return list;
}

/* SPDX-License-Identifier: MIT */
/* CPU models by the names people know, and the parts of -cpu. */
#include "base/log.h"
#include "base/opts.h"
#include "hw/core/cpu-slots.h"
#include "target/x86/models.h"

struct X86Model {
    const char *name, *desc;
    const char *base;      /* model whose features and numbers come first */
    char vendor;           /* 'I', 'A'; 0: the base's */
    uint16_t family, model, stepping;
    uint32_t level, xlevel;
    const char *model_id;
    const char *features;  /* added; "-x" takes away */
    bool all;              /* all that works: max, host */
};

#define PENTIUM_F "fpu de pse tsc msr cx8 vme mce mmx"
#define PPRO_F "fpu de pse tsc msr mce cx8 pge cmov pat fxsr mmx sse sse2 pae sep apic"
/* name desc base vendor family model stepping level xlevel model_id features */
static const X86Model models[] = {
    { "base", "a CPU without any feature", NULL, 'I', 6, 0, 0, 1, 0, "Rhea base CPU", "" },
    { "486", "Intel 486", NULL, 'I', 4, 8, 0, 1, 0, "", "fpu vme pse" },
    { "pentium", "Intel Pentium", NULL, 'I', 5, 4, 3, 1, 0, "", PENTIUM_F },
    { "pentium2", "Intel Pentium II", NULL, 'I', 6, 5, 2, 2, 0, "", PENTIUM_F " pae mtrr sep pge mca cmov pat pse36 fxsr apic" },
    { "pentium3", "Intel Pentium III", "pentium2", 'I', 6, 7, 3, 3, 0, "", "sse" },
    { "athlon", "AMD Athlon", NULL, 'A', 6, 2, 3, 1, 0x80000008, "QEMU Virtual CPU version 2.5+",
      PPRO_F " -sse -sse2 pse36 vme mtrr mca mmxext 3dnow 3dnowext" },
    { "qemu32", "QEMU's basic 32-bit CPU", NULL, 'I', 6, 6, 3, 4, 0x80000004, "QEMU Virtual CPU version 2.5+", PPRO_F " sse3 cx16 -cx16" },
    { "qemu64", "QEMU's basic 64-bit CPU", NULL, 'A', 15, 107, 1, 0xd, 0x8000000a, "QEMU Virtual CPU version 2.5+",
      PPRO_F " mtrr clflush mca pse36 sse3 cx16 lm syscall nx lahf-lm svm" },
    { "kvm32", "Common 32-bit CPU", NULL, 'I', 15, 6, 1, 5, 0x80000008, "Common 32-bit KVM processor",
      PPRO_F " vme mtrr clflush mca pse36 sse3" },
    { "kvm64", "Common 64-bit CPU", NULL, 'I', 15, 6, 1, 0xd, 0x80000008, "Common KVM processor",
      PPRO_F " vme mtrr clflush mca pse36 sse3 cx16 lm syscall nx" },
    { "coreduo", "Intel Core Duo", NULL, 'I', 6, 14, 8, 10, 0x80000008, "Genuine Intel(R) CPU           T2600  @ 2.16GHz",
      PPRO_F " vme mtrr clflush mca ss sse3 monitor nx" },
    { "n270", "Intel Atom N270", NULL, 'I', 6, 28, 2, 10, 0x80000008, "Intel(R) Atom(TM) CPU N270   @ 1.60GHz",
      PPRO_F " mtrr clflush mca vme ss sse3 monitor ssse3 movbe nx lahf-lm" },
    { "core2duo", "Intel Core 2 Duo T7700", NULL, 'I', 6, 15, 11, 10, 0x80000008, "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz",
      PPRO_F " vme mtrr clflush mca pse36 ss sse3 monitor ssse3 cx16 lm syscall nx lahf-lm" },
    { "phenom", "AMD Phenom 9550", NULL, 'A', 16, 2, 3, 5, 0x8000001a, "AMD Phenom(tm) 9550 Quad-Core Processor",
      PPRO_F " mtrr clflush mca pse36 vme sse3 monitor cx16 popcnt lm syscall nx 3dnow 3dnowext mmxext fxsr-opt pdpe1gb rdtscp lahf-lm abm "
      "sse4a svm" },
    { "Conroe", "Intel Core 2 Duo (Conroe)", "core2duo", 'I', 6, 15, 3, 10, 0x80000008, "Intel Celeron_4x0 (Conroe/Merom Class Core 2)",
      "-monitor -ss" },
    { "Penryn", "Intel Core 2 Duo (Penryn)", "Conroe", 'I', 6, 23, 3, 10, 0x80000008, "Intel Core 2 Duo P9xxx (Penryn Class Core 2)",
      "sse4.1" },
    { "Nehalem", "Intel Core i7 (Nehalem)", "Penryn", 'I', 6, 26, 3, 11, 0x80000008, "Intel Core i7 9xx (Nehalem Class Core i7)",
      "sse4.2 popcnt" },
    { "Westmere", "Intel Core i5 (Westmere)", "Nehalem", 'I', 6, 44, 1, 11, 0x80000008, "Westmere E56xx/L56xx/X56xx (Nehalem-C)",
      "aes pclmulqdq arat" },
    { "SandyBridge", "Intel Xeon E312xx", "Westmere", 'I', 6, 42, 1, 0xd, 0x80000008, "Intel Xeon E312xx (Sandy Bridge)",
      "avx xsave tsc-deadline x2apic rdtscp xsaveopt" },
    { "IvyBridge", "Intel Xeon E3-12xx v2", "SandyBridge", 'I', 6, 58, 9, 0xd, 0x80000008, "Intel Xeon E3-12xx v2 (Ivy Bridge)",
      "f16c rdrand fsgsbase smep erms" },
    { "Haswell", "Intel Core (Haswell)", "IvyBridge", 'I', 6, 60, 4, 0xd, 0x80000008, "Intel Core Processor (Haswell)",
      "fma movbe pcid bmi1 hle avx2 bmi2 invpcid rtm abm" },
    { "Broadwell", "Intel Core (Broadwell)", "Haswell", 'I', 6, 61, 2, 0xd, 0x80000008, "Intel Core Processor (Broadwell)",
      "rdseed adx smap 3dnowprefetch" },
    { "Skylake-Client", "Intel Core (Skylake)", "Broadwell", 'I', 6, 94, 3, 0xd, 0x80000008, "Intel Core Processor (Skylake)",
      "xsavec xgetbv1" },
    { "Skylake-Server", "Intel Xeon (Skylake)", "Skylake-Client", 'I', 6, 85, 4, 0xd, 0x80000008, "Intel Xeon Processor (Skylake)",
      "pdpe1gb clwb clflushopt avx512f avx512dq avx512bw avx512cd avx512vl pku" },
    { "Opteron_G1", "AMD Opteron 240", NULL, 'A', 15, 6, 1, 5, 0x80000008, "AMD Opteron 240 (Gen 1 Class Opteron)",
      PPRO_F " vme mtrr clflush mca pse36 sse3 lm syscall nx" },
    { "Opteron_G2", "AMD Opteron 22xx", "Opteron_G1", 'A', 15, 6, 1, 5, 0x80000008, "AMD Opteron 22xx (Gen 2 Class Opteron)",
      "cx16 svm lahf-lm" },
    { "Opteron_G3", "AMD Opteron 23xx", "Opteron_G2", 'A', 16, 2, 3, 5, 0x80000008, "AMD Opteron 23xx (Gen 3 Class Opteron)",
      "popcnt monitor rdtscp misalignsse sse4a abm" },
    { "EPYC", "AMD EPYC", NULL, 'A', 23, 1, 2, 0xd, 0x8000001e, "AMD EPYC Processor",
      PPRO_F " vme mtrr clflush mca pse36 sse3 pclmulqdq ssse3 fma cx16 sse4.1 sse4.2 movbe popcnt aes xsave avx f16c rdrand lm syscall nx "
      "mmxext fxsr-opt pdpe1gb rdtscp lahf-lm svm cr8legacy abm sse4a misalignsse 3dnowprefetch osvw topoext fsgsbase bmi1 avx2 smep "
      "bmi2 rdseed adx smap clflushopt sha-ni xsaveopt xsavec xgetbv1 arat" },
    { "max", "everything that works here", NULL, 'A', 15, 107, 1, 0xd, 0x8000001f, "Rhea virtual CPU", "", true },
    { "host", "the same as max", "max", 'A', 15, 107, 1, 0xd, 0x8000001f, "Rhea virtual CPU", "", true },
};

static const X86Host *host;

void x86_models_set_host(const X86Host *h) { host = h; }
static const uint32_t *available_features(void) { return host ? host->features : x86_supported_features; }

const char *const *x86_model_names(void)
{
    static const char *list[ARRAY_LEN(models) + 1];
    for (unsigned i = 0; i < ARRAY_LEN(models); i++)
        list[i] = models[i].name;
    return list;
}

static void __attribute__((constructor)) register_device_types(void) { cpu_slots_register_types(x86_model_names(), "x86_64-cpu"); }

static const X86Model *model_find(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(models); i++) {
        if (!strcmp(models[i].name, name))
            return &models[i];
    }
    return NULL;
}

static void feature_set(uint32_t words[], int feature, bool on)
{
    uint32_t bit = 1u << (feature & 31);
    words[feature >> 5] = on ? words[feature >> 5] | bit : words[feature >> 5] & ~bit;
}

static void model_features(uint32_t words[], const X86Model *m)
{
    if (m->base)
        model_features(words, model_find(m->base));
    g_auto(GStrv) parts = g_strsplit(m->features, " ", -1);
    for (unsigned i = 0; parts[i]; i++) {
        const char *name = parts[i][0] == '-' ? parts[i] + 1 : parts[i];
        if (!name[0])
            continue;
        int f = x86_feature_find(name);
        g_assert(f >= 0);
        feature_set(words, f, parts[i][0] != '-');
    }
}

static uint32_t signature(unsigned family, unsigned model, unsigned stepping)
{
    uint32_t s = (stepping & 15) | (model & 15) << 4 | (model >> 4 & 15) << 16;
    return s | (family > 15 ? 15u << 8 | (family - 15) << 20 : family << 8);
}

/* What the user set besides features; UINT64_MAX: not set. */
typedef struct CpuOptions {
    uint64_t family, model, stepping, level, xlevel, tsc_hz, phys_bits;
    char *vendor, *model_id;
    bool enforce, check, migratable, kvm;
    int8_t pmu; /* -1: not set */
    X86Hyperv hv;
} CpuOptions;

static void options_clear(CpuOptions *o)
{
    g_free(o->vendor);
    g_free(o->model_id);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CpuOptions, options_clear)

enum { OPT_U64, OPT_STRING, OPT_BOOL, OPT_SWITCH };
static const struct { const char *name; int kind; size_t offset; uint64_t min, max; } cpu_options[] = {
    { "family", OPT_U64, offsetof(CpuOptions, family), 0, 255 + 15 },
    { "model", OPT_U64, offsetof(CpuOptions, model), 0, 255 },
    { "stepping", OPT_U64, offsetof(CpuOptions, stepping), 0, 15 },
    { "level", OPT_U64, offsetof(CpuOptions, level), 0, 0x20 },
    { "xlevel", OPT_U64, offsetof(CpuOptions, xlevel), 0x80000000, 0x8000001f },
    { "tsc-frequency", OPT_U64, offsetof(CpuOptions, tsc_hz), 1000000, UINT64_C(100000000000) },
    { "phys-bits", OPT_U64, offsetof(CpuOptions, phys_bits), 32, 52 },
    { "vendor", OPT_STRING, offsetof(CpuOptions, vendor), 12, 12 },
    { "model-id", OPT_STRING, offsetof(CpuOptions, model_id), 0, 48 },
    { "enforce", OPT_BOOL, offsetof(CpuOptions, enforce), 0, 0 },
    { "check", OPT_BOOL, offsetof(CpuOptions, check), 0, 0 },
    { "migratable", OPT_BOOL, offsetof(CpuOptions, migratable), 0, 0 },
    { "kvm", OPT_BOOL, offsetof(CpuOptions, kvm), 0, 0 },
    { "pmu", OPT_SWITCH, offsetof(CpuOptions, pmu), 0, 0 },
};

static bool parse_frequency(const char *text, uint64_t *out)
{
    g_autofree char *digits = g_strdup(text);
    size_t n = strlen(digits);
    uint64_t unit = 1;
    if (n && strchr("kKMG", digits[n - 1])) {
        unit = digits[n - 1] == 'M' ? 1000000 : digits[n - 1] == 'G' ? 1000000000 : 1000;
        digits[n - 1] = 0;
    }
    if (!parse_u64(digits, out) || *out > UINT64_MAX / unit)
        return false;
    *out *= unit;
    return true;
}

static bool option_set(CpuOptions *o, unsigned i, const char *value, Error **errp)
{
    char *at = (char *)o + cpu_options[i].offset;
    uint64_t n;
    bool on;
    switch (cpu_options[i].kind) {
    case OPT_BOOL: case OPT_SWITCH: /* a switch's int8_t takes the same values */
        if (parse_bool(value, &on)) {
            *(uint8_t *)at = on;
            return true;
        }
        error_setf(errp, "-cpu: '%s=%s': the value must be on or off", cpu_options[i].name, value);
        return false;
    case OPT_STRING:
        if (strlen(value) >= cpu_options[i].min && strlen(value) <= cpu_options[i].max) {
            g_free(*(char **)at);
            *(char **)at = g_strdup(value);
            return true;
        }
        error_setf(errp, "-cpu: '%s=%s': the value must have %s%u characters", cpu_options[i].name, value,
                   cpu_options[i].min ? "exactly " : "at most ", (unsigned)cpu_options[i].max);
        return false;
    default:
        if (parse_frequency(value, &n) && n >= cpu_options[i].min && n <= cpu_options[i].max) {
            *(uint64_t *)at = n;
            return true;
        }
        error_setf(errp, "-cpu: '%s=%s': the value must be a number from %" PRIu64 " to %" PRIu64, cpu_options[i].name, value,
                   cpu_options[i].min, cpu_options[i].max);
        return false;
    }
}

static bool unknown_property(const char *name, Error **errp)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new();
    for (const char *const *f = x86_feature_names(); *f; f++)
        g_ptr_array_add(all, (void *)*f);
    for (unsigned i = 0; i < ARRAY_LEN(cpu_options); i++)
        g_ptr_array_add(all, (void *)cpu_options[i].name);
    for (unsigned i = 0; x86_hv_name(i); i++)
        g_ptr_array_add(all, (void *)x86_hv_name(i));
    return cpu_unknown_property(name, all, errp);
}

/* One piece of -cpu after the name. */
static bool apply_part(const char *part, uint32_t plus[], uint32_t minus[], CpuOptions *o, Error **errp)
{
    bool sign = part[0] == '+' || part[0] == '-', on = part[0] != '-';
    g_autofree char *name = g_strdup(sign ? part + 1 : part);
    char *value = sign ? NULL : strchr(name, '=');
    if (value)
        *value++ = 0;
    int f = x86_feature_find(name);
    if (f < 0) {
        for (unsigned i = 0; i < ARRAY_LEN(cpu_options); i++) {
            if (!strcmp(name, cpu_options[i].name) && (!sign || cpu_options[i].kind == OPT_BOOL))
                return option_set(o, i, value ? value : on ? "on" : "off", errp);
        }
        bool known = false;
        if (!x86_hv_option(&o->hv, name, sign ? on ? "on" : "off" : value, &known, errp))
            return false;
        return known || unknown_property(name, errp);
    }
    if (value && !parse_bool(value, &on)) {
        error_setf(errp, "-cpu: '%s': the value of a feature must be on or off", part);
        return false;
    }
    feature_set(plus, f, on);
    feature_set(minus, f, !on);
    return true;
}

static const char *feature_name(unsigned feature)
{
    for (const char *const *f = x86_feature_names(); *f; f++) {
        if (x86_feature_find(*f) == (int)feature)
            return *f;
    }
    return "?";
}

/* The accelerator offers less than the model has: one line for all of it. */
static void warn_left_out(const uint32_t all[], const uint32_t plus[], const char *model)
{
    g_autoptr(GString) names = g_string_new(NULL);
    for (unsigned i = 0; i < X86_FW_COUNT * 32; i++) {
        uint32_t missing = all[i / 32] & ~plus[i / 32] & ~available_features()[i / 32];
        if (missing >> (i % 32) & 1 && i != X86_FEATURE_X2APIC)
            g_string_append_printf(names, "%s%s", names->len ? ", " : "", feature_name(i));
    }
    if (names->len)
        warn_reportf("-cpu: model '%s' without what %s: %s", model, host ? "KVM does not offer here" : "the translator does not have", names->str);
}

/* Features asked for by name that don't work: a warning, an error with enforce. */
static bool check_missing(const uint32_t plus[], const uint32_t all[], const CpuOptions *o, const char *model, bool quiet, Error **errp)
{
    for (unsigned i = 0; i < X86_FW_COUNT * 32; i++) {
        uint32_t want = o->enforce ? all[i / 32] : plus[i / 32];
        if (!(want >> (i % 32) & 1) || available_features()[i / 32] >> (i % 32) & 1)
            continue;
        if (o->enforce) {
            error_setf(errp, "-cpu: model '%s' with 'enforce': feature '%s' is not available; leave out 'enforce' or add '-%s'", model,
                       feature_name(i), feature_name(i));
            return false;
        }
        if (!quiet && o->check)
            warn_reportf("-cpu: feature '%s' is not available and left out", feature_name(i));
    }
    if (!quiet && o->check)
        warn_left_out(all, plus, model);
    return true;
}

static void apply_numbers(X86Cpu *c, const X86Model *m, const CpuOptions *o)
{
    unsigned family = o->family != UINT64_MAX ? (unsigned)o->family : m->family;
    unsigned model = o->model != UINT64_MAX ? (unsigned)o->model : m->model;
    unsigned stepping = o->stepping != UINT64_MAX ? (unsigned)o->stepping : m->stepping;
    bool as_host = host && m->all;
    bool same = o->family == UINT64_MAX && o->model == UINT64_MAX && o->stepping == UINT64_MAX;
    c->signature = as_host && same ? host->signature : signature(family, model, stepping);
    g_strlcpy(c->vendor, o->vendor ? o->vendor : as_host ? host->vendor : m->vendor == 'A' ? "AuthenticAMD" : "GenuineIntel", sizeof(c->vendor));
    memset(c->model_id, 0, sizeof(c->model_id));
    g_strlcpy(c->model_id, o->model_id ? o->model_id : as_host && host->model_id[0] ? host->model_id : m->model_id, sizeof(c->model_id));
    bool lm = x86_has_feature(c, X86_FEATURE_LM);
    c->phys_bits = o->phys_bits != UINT64_MAX ? (uint8_t)o->phys_bits : lm ? 40 : x86_has_feature(c, X86_FEATURE_PAE) ? 36 : 32;
    if (host && o->phys_bits == UINT64_MAX)
        c->phys_bits = as_host ? host->phys_bits : MIN(c->phys_bits, host->phys_bits);
    c->linear_bits = !lm ? 32 : x86_has_feature(c, X86_FEATURE_LA57) ? 57 : 48;
    c->tsc_asked = o->tsc_hz != UINT64_MAX;
    c->tsc_hz = o->tsc_hz != UINT64_MAX ? o->tsc_hz : 1000000000;
    c->kvm = o->kvm && x86_has_feature(c, X86_FEATURE_HYPERVISOR);
    if (!c->kvm)
        c->feature[X86_FW_KVM] = c->feature[X86_FW_KVM_HINTS] = 0;
    if (!x86_has_feature(c, X86_FEATURE_TSC))
        feature_set(c->feature, X86_FEATURE_KVM_CLOCK, false);
    c->ucode_rev = c->vendor[0] == 'A' ? 0x01000065 : UINT64_C(0x100000000);
    c->cpuid_level = o->level != UINT64_MAX ? (uint32_t)o->level : m->level;
    c->cpuid_xlevel = o->xlevel != UINT64_MAX ? (uint32_t)o->xlevel : m->xlevel;
    if (o->level == UINT64_MAX) { /* leaves that features stand in */
        if (c->feature[X86_FW_7_EBX] | c->feature[X86_FW_7_ECX] | c->feature[X86_FW_7_EDX])
            c->cpuid_level = MAX(c->cpuid_level, 7u);
        if (x86_has_feature(c, X86_FEATURE_XSAVE))
            c->cpuid_level = MAX(c->cpuid_level, 0xdu);
    }
    if (o->xlevel == UINT64_MAX) {
        if (c->feature[X86_FW_EXT1_EDX] | c->feature[X86_FW_EXT1_ECX])
            c->cpuid_xlevel = MAX(c->cpuid_xlevel, 0x80000008u);
        if (c->cpuid_xlevel && x86_has_feature(c, X86_FEATURE_TOPOEXT))
            c->cpuid_xlevel = MAX(c->cpuid_xlevel, 0x8000001eu);
    }
}

/* What named models have on paper and nobody gets without naming it, on any accelerator: 'enforce' does not ask for it. */
static void hide_unless_asked(uint32_t words[], const X86Model *m)
{
    for (unsigned i = 0; !m->all && i < 2; i++)
        feature_set(words, i ? X86_FEATURE_VMX : X86_FEATURE_SVM, false);
    if (host)
        feature_set(words, X86_FEATURE_MONITOR, false);
}

/* Counters that were asked for. */
static bool no_pmu(const CpuOptions *o, bool quiet, Error **errp)
{
    if (host || o->enforce) {
        error_setf(errp, "-cpu: 'pmu=on': %s; leave it out",
                   host ? "this host's kernel gives guests no performance counters" : "performance counters are there with -accel kvm only");
        return false;
    }
    if (!quiet)
        warn_reportf("-cpu: 'pmu=on': performance counters are there with -accel kvm only; it is left out");
    return true;
}

bool x86_model_apply(X86Cpu *c, const char *text, bool quiet, Error **errp)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    const X86Model *m = parts[0] ? model_find(parts[0]) : NULL;
    if (!m) {
        error_set_unknown(errp, "-cpu", parts[0] ? parts[0] : "", x86_model_names());
        return false;
    }
    g_auto(CpuOptions) o = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, .check = true, .kvm = true, .pmu = -1 };
    x86_hv_defaults(&o.hv);
    uint32_t words[X86_FW_COUNT] = { 0 }, plus[X86_FW_COUNT] = { 0 }, minus[X86_FW_COUNT] = { 0 };
    model_features(words, m);
    if (m->all)
        memcpy(words, available_features(), sizeof(words));
    if (strcmp(m->name, "base"))
        feature_set(words, X86_FEATURE_HYPERVISOR, true);
    hide_unless_asked(words, m);
    if (words[X86_FW_1_EDX] & 1u << (X86_FEATURE_APIC & 31))
        feature_set(words, X86_FEATURE_X2APIC, true);
    words[X86_FW_KVM] |= x86_supported_features[X86_FW_KVM]; /* those that do not tell who runs the CPU */
    words[X86_FW_KVM_HINTS] = 0;
    for (unsigned i = 1; parts[i]; i++) {
        if (!apply_part(parts[i], plus, minus, &o, errp))
            return false;
    }
    for (unsigned i = 0; i < X86_FW_COUNT; i++)
        words[i] = (words[i] | plus[i]) & ~minus[i];
    if (!check_missing(plus, words, &o, m->name, quiet, errp))
        return false;
    for (unsigned i = 0; i < X86_FW_COUNT; i++)
        c->feature[i] = words[i] & available_features()[i];
    bool pmu = o.pmu > 0 || (o.pmu < 0 && host && m->all);
    x86_ext_filter(c->feature, host ? &host->extended : NULL, pmu);
    static const X86HypervHost no_hyperv;
    if (!x86_hv_check(&o.hv, !host ? NULL : host->hyperv ? host->hyperv : &no_hyperv, x86_has_feature(c, X86_FEATURE_VMX), o.enforce, quiet, errp))
        return false;
    c->hv = o.hv;
    c->model = m;
    apply_numbers(c, m, &o);
    x86_ext_init(c, host ? &host->extended : NULL, pmu);
    return o.pmu <= 0 || c->ext.pmu.kind || no_pmu(&o, quiet, errp);
}

void x86_models_print_help(GString *out)
{
    g_string_append(out, "Available CPUs:\n");
    for (unsigned i = 0; i < ARRAY_LEN(models); i++)
        g_string_append_printf(out, "  %-16s %s\n", models[i].name, models[i].desc);
    g_string_append(out, "\nFeatures (NAME,+feature,-feature,feature=on|off), those that work here:\n ");
    unsigned column = 1;
    for (const char *const *f = x86_feature_names(); *f; f++) {
        int n = x86_feature_find(*f);
        if (!(x86_supported_features[n >> 5] >> (n & 31) & 1))
            continue;
        if (column + strlen(*f) > 78) {
            g_string_append(out, "\n ");
            column = 1;
        }
        g_string_append_printf(out, " %s", *f);
        column += strlen(*f) + 1;
    }
    g_string_append(out, "\n\nProperties:\n ");
    for (unsigned i = 0; i < ARRAY_LEN(cpu_options); i++)
        g_string_append_printf(out, " %s", cpu_options[i].name);
    g_string_append(out, "\n\nInterfaces of Hyper-V, with -accel kvm where the kernel has them:\n ");
    for (unsigned i = 0; x86_hv_name(i); i++)
        g_string_append_printf(out, "%s %s", i && i % 5 == 0 ? "\n " : "", x86_hv_name(i));
    g_string_append(out, "\n");
}

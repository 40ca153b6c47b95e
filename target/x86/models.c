/* SPDX-License-Identifier: MIT */
/* From a CPU model's name (model-table.c) and the parts of -cpu to a CPU. */
#include "base/log.h"
#include "base/opts.h"
#include "hw/core/cpu-slots.h"
#include "target/x86/model-table.h"

static const X86Host *host;

void x86_models_set_host(const X86Host *h) { host = h; }
static const uint32_t *available_features(void) { return host ? host->features : x86_supported_features; }

/* By its version; NULL: it has no such name. Made once, never freed. */
static const char *versioned_name(const X86Model *m)
{
    static const char **first;
    if (m->version)
        return m->version[0] ? m->version : NULL;
    if (!first)
        first = g_new0(const char *, x86_model_count);
    const char **name = &first[m - x86_models];
    return *name = *name ? *name : g_strconcat(m->name, "-v1", NULL);
}

const char *const *x86_model_names(void)
{
    static const char **list;
    if (!list) {
        const char **to = list = g_new0(const char *, 2 * x86_model_count + 1);
        for (unsigned i = 0; i < x86_model_count; i++) {
            *to++ = x86_models[i].name;
            if (versioned_name(&x86_models[i]))
                *to++ = versioned_name(&x86_models[i]);
        }
    }
    return list;
}

static void __attribute__((constructor)) register_device_types(void)
{
    cpu_slots_register_types(x86_model_names(), "x86_64-cpu");
}

static const X86Model *model_find(const char *name)
{
    for (unsigned i = 0; i < x86_model_count; i++) {
        if (!strcmp(x86_models[i].name, name) || !g_strcmp0(versioned_name(&x86_models[i]), name))
            return &x86_models[i];
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
        error_setf(errp, "-cpu: '%s=%s': the value must be a number from %" PRIu64 " to %" PRIu64, cpu_options[i].name,
                   value, cpu_options[i].min, cpu_options[i].max);
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
        warn_reportf("-cpu: model '%s' without what %s: %s", model,
                     host ? "KVM does not offer here" : "the translator does not have", names->str);
}

/* Features asked for by name that don't work: a warning, an error with enforce. */
static bool check_missing(const uint32_t plus[], const uint32_t all[], const CpuOptions *o, const char *model,
                          bool quiet, Error **errp)
{
    for (unsigned i = 0; i < X86_FW_COUNT * 32; i++) {
        uint32_t want = o->enforce ? all[i / 32] : plus[i / 32];
        if (!(want >> (i % 32) & 1) || available_features()[i / 32] >> (i % 32) & 1)
            continue;
        if (o->enforce) {
            error_setf(
                errp,
                "-cpu: model '%s' with 'enforce': feature '%s' is not available; leave out 'enforce' or add '-%s'",
                model, feature_name(i), feature_name(i));
            return false;
        }
        if (!quiet && o->check)
            warn_reportf("-cpu: feature '%s' is not available and left out", feature_name(i));
    }
    if (!quiet && o->check)
        warn_left_out(all, plus, model);
    return true;
}

static const char *vendor_name(char vendor)
{
    return vendor == 'A' ? "AuthenticAMD" : vendor == 'H' ? "HygonGenuine" : "GenuineIntel";
}

static void apply_numbers(X86Cpu *c, const X86Model *m, const CpuOptions *o)
{
    unsigned family = o->family != UINT64_MAX ? (unsigned)o->family : m->family;
    unsigned model = o->model != UINT64_MAX ? (unsigned)o->model : m->model;
    unsigned stepping = o->stepping != UINT64_MAX ? (unsigned)o->stepping : m->stepping;
    bool as_host = host && m->all;
    bool same = o->family == UINT64_MAX && o->model == UINT64_MAX && o->stepping == UINT64_MAX;
    c->signature = as_host && same ? host->signature : signature(family, model, stepping);
    g_strlcpy(c->vendor, o->vendor ? o->vendor : as_host ? host->vendor : vendor_name(m->vendor), sizeof(c->vendor));
    memset(c->model_id, 0, sizeof(c->model_id));
    g_strlcpy(c->model_id,
              o->model_id                    ? o->model_id
              : as_host && host->model_id[0] ? host->model_id
                                             : m->model_id,
              sizeof(c->model_id));
    bool lm = x86_has_feature(c, X86_FEATURE_LM);
    c->phys_bits = o->phys_bits != UINT64_MAX            ? (uint8_t)o->phys_bits
                   : lm                                  ? 40
                   : x86_has_feature(c, X86_FEATURE_PAE) ? 36
                                                         : 32;
    if (host && o->phys_bits == UINT64_MAX)
        c->phys_bits = as_host ? host->phys_bits : MIN(c->phys_bits, host->phys_bits);
    c->linear_bits = !lm ? 32 : x86_has_feature(c, X86_FEATURE_LA57) ? 57 : 48;
    c->tsc_asked = o->tsc_hz != UINT64_MAX;
    c->tsc_hz = o->tsc_hz != UINT64_MAX ? o->tsc_hz : X86_TSC_HZ;
    c->kvm = o->kvm && x86_has_feature(c, X86_FEATURE_HYPERVISOR);
    if (!c->kvm)
        c->feature[X86_FW_KVM] = c->feature[X86_FW_KVM_HINTS] = 0;
    if (!x86_has_feature(c, X86_FEATURE_TSC))
        feature_set(c->feature, X86_FEATURE_KVM_CLOCK, false);
    c->ucode_rev = x86_like_amd(c) ? 0x01000065 : UINT64_C(0x100000000);
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

/*
 * What named models have on paper and nobody gets without naming it, on any accelerator: 'enforce' does not ask for it.
 */
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
                   host ? "this host's kernel gives guests no performance counters"
                        : "performance counters are there with -accel kvm only");
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
    g_auto(CpuOptions) o = { UINT64_MAX, UINT64_MAX, UINT64_MAX,    UINT64_MAX,  UINT64_MAX,
                             UINT64_MAX, UINT64_MAX, .check = true, .kvm = true, .pmu = -1 };
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
    bool pmu = o.pmu > 0 || (o.pmu < 0 && host && m->all);
    x86_ext_hide(words, pmu);
    if (!check_missing(plus, words, &o, m->name, quiet, errp))
        return false;
    for (unsigned i = 0; i < X86_FW_COUNT; i++)
        c->feature[i] = words[i] & available_features()[i];
    x86_ext_filter(c->feature, host ? &host->extended : NULL, pmu);
    static const X86HypervHost no_hyperv;
    if (!x86_hv_check(&o.hv,
                      !host          ? NULL
                      : host->hyperv ? host->hyperv
                                     : &no_hyperv,
                      x86_has_feature(c, X86_FEATURE_VMX), o.enforce, quiet, errp))
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
    for (unsigned i = 0; i < x86_model_count; i++) {
        const char *version = versioned_name(&x86_models[i]);
        g_string_append_printf(out, "  %-26s %s%s%s\n", x86_models[i].name, x86_models[i].desc,
                               version ? ", the same as " : "", version ? version : "");
    }
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

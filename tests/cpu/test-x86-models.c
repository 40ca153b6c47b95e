/* SPDX-License-Identifier: MIT */
/*
 * CPU models, -cpu options, CPUID leaves, MSRs, saved state: nothing is advertised that doesn't work, and what software
 * expects is there.
 */
#include "base/clock.h"
#include "tests/cpu/x86-fixture.h"

static void cpuid(X86Cpu *c, uint32_t leaf, uint32_t sub, uint32_t o[4]) { x86_cpuid(c, leaf, sub, o); }

/* Every model: only supported features, a vendor, consistent leaves. */
static void test_all_models(void)
{
    for (const char *const *name = x86_model_names(); *name; name++) {
        X86Cpu *c = fix_cpu(*name);
        uint32_t o[4], max;
        for (unsigned w = 0; w < X86_FW_COUNT; w++)
            g_assert_cmphex(c->feature[w] & ~x86_supported_features[w], ==, 0);
        cpuid(c, 0, 0, o);
        max = o[0];
        g_assert_true(!memcmp(&o[1], "Genu", 4) || !memcmp(&o[1], "Auth", 4) || !memcmp(&o[1], "Hygo", 4));
        cpuid(c, 1, 0, o);
        g_assert_cmphex(o[0], ==, c->signature);
        g_assert_true(c->signature || !strcmp(*name, "base"));
        if (x86_has_feature(c, X86_FEATURE_XSAVE))
            g_assert_cmpuint(max, >=, 0xd);
        cpuid(c, 0x80000000, 0, o);
        if (x86_has_feature(c, X86_FEATURE_LM))
            g_assert_cmphex(o[0], >=, 0x80000008);
        cpuid(c, max + 1, 0, o); /* beyond: zeros */
        g_assert_cmphex(o[0] | o[1] | o[2] | o[3], ==, 0);
        fix_free(c);
    }
}

static X86Cpu *apply(const char *model)
{
    X86Cpu *c = g_aligned_alloc0(1, sizeof(X86Cpu), 4096);
    Error *err = NULL;
    x86_model_apply(c, model, true, &err);
    g_assert_no_error(err);
    return c;
}

/* The same model by its name and its version; what a later version has more or less. On a host that has all of it. */
static void test_versions(void)
{
    static const struct { const char *a, *b, *feature; bool b_has;
    } t[] = {
        { "Haswell", "Haswell-v1", NULL, false },
        { "Haswell-noTSX-IBRS", "Haswell-v4", NULL, false },
        { "EPYC-IBPB", "EPYC-v2", NULL, false },
        { "qemu64", "qemu64-v1", NULL, false },
        { "Haswell-v1", "Haswell-v2", "hle", false },
        { "Haswell-v2", "Haswell-v3", "spec-ctrl", true },
        { "Icelake-Server-v3", "Icelake-Server-v4", "sha-ni", true },
        { "Cascadelake-Server-v4", "Cascadelake-Server-v5", "xsaves", true },
        { "Skylake-Server-v1", "Skylake-Server-v2", "clflushopt", false },
        { "EPYC-Rome-v1", "EPYC-Rome-v2", "ibrs", true },
        { "Snowridge-v3", "Snowridge-v4", "core-capability", false },
    };
    X86Host host = { .phys_bits = 46, .level = 0x20 };
    memset(host.features, 0xff, sizeof(host.features));
    x86_models_set_host(&host);
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        X86Cpu *a = apply(t[i].a), *b = apply(t[i].b);
        unsigned f = t[i].feature ? (unsigned)x86_feature_find(t[i].feature) : 0;
        if (!t[i].feature)
            g_assert_true(!memcmp(a->feature, b->feature, sizeof(a->feature)) && a->signature == b->signature &&
                          !strcmp(a->model_id, b->model_id));
        else if (x86_has_feature(a, f) == t[i].b_has || x86_has_feature(b, f) != t[i].b_has)
            g_error("%s and %s: %s", t[i].a, t[i].b, t[i].feature);
        g_aligned_free(b);
        g_aligned_free(a);
    }
    X86Cpu *c = apply("Icelake-Server-v4");
    g_assert_cmphex(c->signature, ==, 0x606a0);
    g_aligned_free(c);
    x86_models_set_host(NULL);
}

static void test_features(void)
{
    X86Cpu *c = fix_cpu(
        "qemu64,+popcnt,-nx,sse4.1=on,pge=off,vendor=GenuineIntel,family=6,model=0x2a,stepping=7,model-id=A test,"
        "tsc-frequency=2500M,phys-bits=36,level=5");
    uint32_t o[4];
    cpuid(c, 1, 0, o);
    g_assert_cmphex(o[0], ==, 0x206a7);
    g_assert_true(o[2] >> 23 & 1 && o[2] >> 19 & 1);
    g_assert_false(o[3] >> 13 & 1);
    g_assert_true(o[2] >> 31 & 1); /* hypervisor */
    cpuid(c, 0x80000001, 0, o);
    g_assert_false(o[3] >> 20 & 1);
    cpuid(c, 0x80000008, 0, o);
    g_assert_cmphex(o[0], ==, 48 << 8 | 36);
    cpuid(c, 0x80000002, 0, o);
    g_assert_cmpint(memcmp(o, "A test", 7), ==, 0);
    cpuid(c, 0, 0, o);
    g_assert_cmpuint(o[0], ==, 5);
    g_assert_cmphex(o[1], ==, 0x756e6547);
    g_assert_cmpuint(c->tsc_hz, ==, 2500000000u);
    fix_free(c);
}

static void test_errors(void)
{
    static const struct { const char *text, *part;
    } t[] = {
        { "Haswell-v5", "did you mean" },
        { "max-v1", "-cpu" },
        { "qemu65", "did you mean 'qemu64'" },
        { "", "valid" },
        { "qemu64,+ssse4", "no such feature" },
        { "qemu64,+popcmt", "did you mean 'popcnt'" },
        { "qemu64,family=x", "must be a number" },
        { "qemu64,family=999", "must be a number" },
        { "qemu64,vendor=Me", "exactly 12" },
        { "qemu64,nx=maybe", "on or off" },
        { "qemu64,-kvm,+family", "no such feature" },
        { "max,+avx512f,enforce", "not available" },
        { "qemu64,phys-bits=60", "from 32 to 52" },
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++)
        fix_refused(t[i].text, t[i].part);
}

static void test_topology(void)
{
    fix_machine.config = (MachineConfig){ .sockets = 2, .cores = 3, .threads = 2 };
    X86Cpu *c = fix_cpu("max");
    uint32_t o[4];
    cpuid(c, 1, 0, o);
    g_assert_cmpuint(o[1] >> 16 & 0xff, ==, 6);
    g_assert_true(o[3] >> 28 & 1); /* HTT */
    cpuid(c, 0xb, 0, o);
    g_assert_cmpuint(o[0], ==, 1);
    g_assert_cmpuint(o[1], ==, 2);
    g_assert_cmphex(o[2], ==, 0x100);
    cpuid(c, 0xb, 1, o);
    g_assert_cmpuint(o[0], ==, 3);
    g_assert_cmpuint(o[1], ==, 6);
    cpuid(c, 0xb, 2, o);
    g_assert_cmphex(o[2], ==, 2);
    cpuid(c, 4, 3, o); /* L3 of the package */
    g_assert_cmpuint(o[0] >> 5 & 7, ==, 3);
    fix_machine.config = (MachineConfig){ 0 };
    fix_free(c);
}

/* CPUID as the guest's instruction: CR4.OSXSAVE shows. */
static void test_osxsave(void)
{
    X86Cpu *c = fix_cpu("max");
    c->v.g[RAX] = 1;
    g_assert_true(fix_call(c, (const void *)x86_help_cpuid, 0, 0, 0, NULL));
    g_assert_false(c->v.g[RCX] >> 27 & 1);
    c->cr4 |= CR4_OSXSAVE;
    c->v.g[RAX] = 1;
    g_assert_true(fix_call(c, (const void *)x86_help_cpuid, 0, 0, 0, NULL));
    g_assert_true(c->v.g[RCX] >> 27 & 1);
    fix_free(c);
}

/* --- MSRs --- */

typedef struct MsrCase { uint32_t number; uint64_t value; bool ok; } MsrCase;
static const MsrCase msr_writes[] = {
    { 0x277, UINT64_C(0x0007010600070106), true }, { 0x277, 2, false },                       /* PAT: a reserved type */
    /* EFER.LMA while not in long mode is kept */
    { 0xc0000080, 0xd01, false },
    { 0xc0000082, UINT64_C(0xffffffff81000000), true }, { 0xc0000082, UINT64_C(0x8000000000000000), false },
    { 0xc0000100, UINT64_C(0x7fffdeadb000), true }, { 0xc0000100, BIT(52), false },
    { 0xc0000103, 5, true }, { 0xc0000103, BIT(32), false },
    { 0x200, 0x80000006, true }, { 0x200, 0x102, false }, { 0x201, 0xff80000800, true }, { 0x201, 0x400, false },
    { 0x2ff, 0xc06, true }, { 0x2ff, 0x1000, false }, { 0x250, 0x0606060606060606, true }, { 0x250, 2, false },
    { 0x400, 0, true }, { 0x401, 0, true }, { 0x401, 1, false }, { 0x179, 0, false }, { 0xfe, 0, false },
    { 0x3a, 1, true }, { 0x3a, 0, false },                                                   /* locked now */
    { 0x17a, 4, true }, { 0x17a, 8, false }, { 0x12345678, 0, false }, { 0x48, 1, false },
};

static void test_msr_writes(void)
{
    X86Cpu *c = fix_cpu("max");
    fix_protected32(c);
    for (unsigned i = 0; i < ARRAY_LEN(msr_writes); i++) {
        const MsrCase *t = &msr_writes[i];
        c->v.g[RCX] = t->number;
        c->v.g[RAX] = (uint32_t)t->value;
        c->v.g[RDX] = t->value >> 32;
        bool ok = fix_call(c, (const void *)x86_help_wrmsr, 0, 0, 0, NULL);
        bool want = t->ok || t->number == 0xc0000080; /* LMA is ignored, not refused */
        if (ok != want)
            g_error("MSR %x, value %" PRIx64 ": ok %d", t->number, t->value, ok);
        uint64_t back;
        if (ok && t->number != 0xc0000080) {
            g_assert_true(x86_read_msr(c, t->number, &back));
            g_assert_cmphex(back, ==, t->value);
        }
    }
    g_assert_cmphex(c->seg[SEG_FS].base, ==, 0x7fffdeadb000);
    g_assert_false(c->efer & EFER_LMA);
    fix_ring3(c);
    g_assert_false(fix_call(c, (const void *)x86_help_rdmsr, 0, 0, 0, NULL));
    fix_free(c);
}

/* What Linux reads without a safety net on the models that people use. */
static void test_msr_reads(void)
{
    static const uint32_t numbers[] = { 0x10,       0x17,       0x1b,       0x8b,       0xfe,       0x174,
                                        0x179,      0x17a,      0x1a0,      0x200,      0x20f,      0x250,
                                        0x26f,      0x277,      0x2ff,      0x400,      0x427,      0xc0000080,
                                        0xc0000081, 0xc0000102, 0xc0010010, 0xc0010015, 0xc001001a, 0xc001001d,
                                        0xc001001f, 0xc0010055, 0xc0010140, 0xc0011022, 0xc0011029 };
    static const char *const models[] = { "qemu64", "max", "kvm64", "Nehalem", "EPYC" };
    for (unsigned m = 0; m < ARRAY_LEN(models); m++) {
        X86Cpu *c = fix_cpu(models[m]);
        for (unsigned i = 0; i < ARRAY_LEN(numbers); i++) {
            uint64_t value;
            if (!x86_read_msr(c, numbers[i], &value))
                g_error("%s: MSR %x can't be read", models[m], numbers[i]);
        }
        fix_free(c);
    }
}

/*
 * What a guest computes from the clock page is the virtual clock, whatever the TSC runs at; a write of the TSC is
 * followed.
 */
static void test_kvmclock(void)
{
    static const char *const models[] = { "max", "qemu64,tsc-frequency=2500000000", "qemu64,tsc-frequency=100000000" };
    for (unsigned i = 0; i < ARRAY_LEN(models); i++) {
        X86Cpu *c = fix_cpu(models[i]);
        g_assert_true(x86_write_msr(c, 0x4b564d01, 0x50001));
        for (unsigned again = 0; again < 2; again++) {
            const uint8_t *p = fix_ram + 0x50000;
            int64_t before = clock_ns(CLOCK_VIRTUAL_NS);
            uint64_t delta = x86_tsc(c) - load_le64(p + 8);
            int64_t after = clock_ns(CLOCK_VIRTUAL_NS);
            int8_t shift = (int8_t)p[28];
            delta = shift < 0 ? delta >> -shift : delta << shift;
            int64_t ns = (int64_t)((unsigned __int128)delta * load_le32(p + 24) >> 32) + (int64_t)load_le64(p + 16);
            g_assert_cmpint(ns, >=, before - 100);
            g_assert_cmpint(ns, <=, after + 100);
            g_assert_true(x86_write_msr(c, 0x10, 123456789));
        }
        g_assert_false(x86_write_msr(c, 0x4b564d01, BIT(60) | 1));
        fix_free(c);
    }
    X86Cpu *c = fix_cpu("max,kvm=off");
    uint32_t o[4];
    cpuid(c, 0x40000000, 0, o);
    g_assert_cmphex(o[1], ==, load_le32("Rhea"));
    g_assert_false(x86_write_msr(c, 0x4b564d01, 0x50001));
    fix_free(c);
}

/* What only KVM does cannot be had from the translator, neither the bit nor the MSR; what is had can be left out. */
static void test_kvm_features(void)
{
    static const char *const by_kvm_only[] = { "kvm-asyncpf",        "kvm-steal-time",     "kvm-pv-eoi",
                                               "kvm-pv-unhalt",      "kvm-pv-tlb-flush",   "kvm-pv-ipi",
                                               "kvm-poll-control",   "kvm-pv-sched-yield", "kvm-asyncpf-int",
                                               "kvm-msi-ext-dest-id" };
    uint32_t o[4];
    uint64_t v;
    X86Cpu *c = fix_cpu("qemu64,check=off,+kvm-steal-time,kvm-pv-eoi=on,kvm-hint-dedicated=on");
    cpuid(c, 0x40000001, 0, o);
    g_assert_cmphex(o[0], ==, 0x0100000a);
    g_assert_cmphex(o[3], ==, 1);
    for (uint32_t n = 0x4b564d02; n <= 0x4b564d07; n++)
        g_assert_false(x86_read_msr(c, n, &v));
    fix_free(c);
    for (unsigned i = 0; i < ARRAY_LEN(by_kvm_only); i++) {
        int f = x86_feature_find(by_kvm_only[i]);
        g_assert_cmpint(f, >=, 0);
        g_assert_false(x86_supported_features[f >> 5] >> (f & 31) & 1);
    }
    c = fix_cpu("qemu64,-kvmclock,kvm_nopiodelay=off");
    cpuid(c, 0x40000001, 0, o);
    g_assert_cmphex(o[0], ==, 0x01000000);
    g_assert_false(x86_write_msr(c, 0x4b564d01, 0x50001));
    fix_free(c);
}

/* A host that has them: all for 'host', by name for others, and their MSRs hold what is written. */
static void test_kvm_host_features(void)
{
    static X86Host host;
    uint32_t o[4];
    uint64_t v = 0;
    memcpy(host.features, x86_supported_features, sizeof(host.features));
    host.features[X86_FW_KVM] = 0x01007efa;
    host.phys_bits = 40;
    x86_models_set_host(&host);
    X86Cpu *c = fix_cpu("host");
    cpuid(c, 0x40000001, 0, o);
    g_assert_cmphex(o[0], ==, 0x01007efa);
    g_assert_cmphex(o[3], ==, 0);
    g_assert_true(x86_read_msr(c, 0x4b564d05, &v));
    g_assert_cmphex(v, ==, 1);
    g_assert_true(x86_write_msr(c, 0x4b564d03, 0x12345641));
    g_assert_true(x86_read_msr(c, 0x4b564d03, &v));
    g_assert_cmphex(v, ==, 0x12345641);
    fix_free(c);
    c = fix_cpu("qemu64,kvm-steal-time=on");
    cpuid(c, 0x40000001, 0, o);
    g_assert_cmphex(o[0], ==, 0x0100002a);
    g_assert_false(x86_read_msr(c, 0x4b564d04, &v));
    fix_free(c);
    x86_models_set_host(NULL);
}

/* 'enforce' asks for what a model is known for, not for virtualization in the guest, which needs its name. */
static void test_enforce(void)
{
    X86Cpu *c = fix_cpu("qemu64,enforce");
    fix_free(c);
    fix_refused("qemu64,+svm,enforce", "feature 'svm' is not available");
}

/*
 * Every number from a range that has rows: reads never crash, names that exist are found (the look-up is a binary
 * search).
 */
static void test_msr_lookup(void)
{
    static const struct { uint32_t first, last, found;
    } t[] = {
        { 0x200, 0x20f, 16 }, { 0x210, 0x24f, 0 },           { 0x250, 0x26f, 11 },
        { 0x400, 0x427, 40 }, { 0xc0000080, 0xc0000084, 5 }, { 0xc0000100, 0xc0000103, 4 },
        { 0x174, 0x176, 3 },  { 0x178, 0x178, 0 },           { 0xffffffff, 0xffffffff, 0 },
    };
    X86Cpu *c = fix_cpu("max");
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        unsigned found = 0;
        uint64_t value;
        for (uint64_t n = t[i].first; n <= t[i].last; n++)
            found += x86_read_msr(c, (uint32_t)n, &value);
        g_assert_cmpuint(found, ==, t[i].found);
    }
    fix_free(c);
}

static void test_tsc(void)
{
    X86Cpu *c = fix_cpu("max");
    uint64_t adjust, v = 1000000;
    g_assert_true(x86_write_msr(c, 0x10, v));
    g_assert_true(x86_read_msr(c, 0x3b, &adjust));
    g_assert_cmphex(x86_tsc(c) - v, <, 1000000000);
    uint64_t before = x86_tsc(c);
    g_assert_true(x86_write_msr(c, 0x3b, adjust + 500000000000));
    g_assert_cmpuint(x86_tsc(c) - before, >=, 500000000000);
    fix_free(c);
}

static void test_eflags(void)
{
    X86Cpu *c = fix_cpu("max");
    fix_protected32(c);
    for (uint32_t bits = 0; bits < 0x400000; bits += 0x55) {
        x86_set_eflags(c, bits & ~(EFL_VM | EFL_RF));
        uint32_t want = (bits & 0x3c7fd5 & ~(EFL_VM | EFL_RF)) | 2;
        g_assert_cmphex(x86_get_eflags(c), ==, want);
    }
    fix_free(c);
}

/* --- saved state, direct boot --- */

static void randomize(GRand *r, void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)p)[i] = (uint8_t)g_rand_int(r);
}

static void test_save_load(void)
{
    X86Cpu *c = fix_cpu("max");
    g_autoptr(GRand) r = g_rand_new_with_seed(7);
    fix_long64(c);
    randomize(r, c->v.g, 16 * 8);
    randomize(r, c->v.v, sizeof(c->v.v));
    randomize(r, c->mce, sizeof(c->mce));
    c->lstar = 0x1234, c->tsc_offset = -5, c->fp_top = 3, c->nmi_blocked = true;
    c->v.fl = (LazyFlags){ .dst = 1, .src = 2, .op = LAZY_OP(FLAGS_SUB, 4) };
    StateWriter *w = state_writer_new();
    device_save_all(w);
    GBytes *first = state_writer_finish(w);
    X86Cpu before = *c;
    x86_reset(&c->v);
    Error *err = NULL;
    StateReader *reader = state_reader_new(first, &err);
    g_assert_no_error(err);
    g_assert_true(device_load_all(reader, &err));
    g_assert_no_error(err);
    state_reader_free(reader);
    g_assert_cmpmem(c->v.g, sizeof(c->v.g), before.v.g, sizeof(before.v.g));
    g_assert_cmpmem(c->v.v, sizeof(c->v.v), before.v.v, sizeof(before.v.v));
    g_assert_cmpmem(c->seg, sizeof(c->seg), before.seg, sizeof(before.seg));
    g_assert_cmphex(x86_get_eflags(c), ==, x86_get_eflags(&before));
    g_assert_cmphex(c->v.mode, ==, before.v.mode);
    g_assert_true(c->nmi_blocked);
    w = state_writer_new();
    device_save_all(w);
    GBytes *second = state_writer_finish(w);
    g_assert_true(g_bytes_equal(first, second));
    g_bytes_unref(second);

    c->cpl = 7; /* a state that can't be is refused */
    w = state_writer_new();
    device_save_all(w);
    second = state_writer_finish(w);
    reader = state_reader_new(second, &err);
    g_assert_false(device_load_all(reader, &err));
    g_assert_nonnull(err);
    error_free(err);
    state_reader_free(reader);
    c->cpl = 0;
    g_bytes_unref(second);
    g_bytes_unref(first);
    fix_free(c);
}

/*
 * Flags that several instructions have made together (CMP, then INC, then ...), into a CPU that holds its own in this
 * way.
 */
static void test_save_flags(void)
{
    static const LazyFlags mixed[] = {
        { .dst = 1, .src = 2, .op = LAZY_OP(FLAGS_SUB, 4), .rest_op = LAZY_OP(FLAGS_INC, 4), .rest_dst = 0x80000003 },
        { .dst = 8, .src = 9, .op = LAZY_OP(FLAGS_ADD, 1), .nz_op = LAZY_OP(FLAGS_LOGIC, 4), .nz_dst = 0 },
        { .dst = 8, .src = 9, .op = LAZY_OP(FLAGS_ADD, 1), .carry_op = 1, .carry = 1 },
        { .dst = 0xff, .src = 1, .op = LAZY_OP(FLAGS_ADD | FLAGS_NOTC, 4) },
    };
    X86Cpu *c = fix_cpu("max");
    for (unsigned i = 0; i < ARRAY_LEN(mixed); i++) {
        c->v.fl = mixed[i];
        uint32_t flags = x86_get_eflags(c);
        StateWriter *w = state_writer_new();
        device_save_all(w);
        g_autoptr(GBytes) stream = state_writer_finish(w);
        g_assert_cmphex(x86_get_eflags(c), ==, flags);
        c->v.fl = mixed[(i + 1) % ARRAY_LEN(mixed)];
        StateReader *reader = state_reader_new(stream, NULL);
        g_assert_true(device_load_all(reader, NULL));
        state_reader_free(reader);
        g_assert_cmphex(x86_get_eflags(c), ==, flags);
    }
    fix_free(c);
}

static void test_direct_boot(void)
{
    fix_machine.boot = (MachineBoot){ .mode = BOOT_LONG64,
                                      .rip = 0x1000000,
                                      .rsp = 0x9000,
                                      .rsi = 0x90000,
                                      .cr3 = FIX_PT,
                                      .gdt_base = FIX_GDT,
                                      .gdt_limit = 0x2f };
    X86Cpu *c = fix_cpu("max");
    device_reset_all();
    g_assert_true(x86_is_64(c) && c->cpl == 0 && !c->iflag);
    g_assert_cmphex(c->v.pc, ==, 0x1000000);
    g_assert_cmphex(c->v.g[RSI], ==, 0x90000);
    g_assert_cmphex(c->seg[SEG_DS].sel, ==, 0x18);
    g_assert_true(c->efer & EFER_LMA && c->cr0 & CR0_PG && c->cr4 & CR4_PAE);
    fix_machine.boot.mode = BOOT_PM32;
    device_reset_all();
    g_assert_true(c->cr0 & CR0_PE && !(c->cr0 & CR0_PG) && !c->efer);
    g_assert_cmphex(c->v.mode & (X86_MODE_CS32 | X86_MODE_SS32 | X86_MODE_ADDSEG | X86_MODE_CHECK(SEG_DS)), ==,
                    X86_MODE_CS32 | X86_MODE_SS32);
    fix_machine.boot.mode = BOOT_RESET_VECTOR;
    device_reset_all();
    g_assert_cmphex(c->seg[SEG_CS].base + c->v.pc, ==, 0xfffffff0);
    g_assert_cmphex(c->v.g[RDX], ==, c->signature);
    fix_free(c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/x86/models/all", test_all_models);
    g_test_add_func("/x86/models/versions", test_versions);
    g_test_add_func("/x86/models/features", test_features);
    g_test_add_func("/x86/models/errors", test_errors);
    g_test_add_func("/x86/models/topology", test_topology);
    g_test_add_func("/x86/cpuid/osxsave", test_osxsave);
    g_test_add_func("/x86/msr/writes", test_msr_writes);
    g_test_add_func("/x86/msr/reads", test_msr_reads);
    g_test_add_func("/x86/msr/lookup", test_msr_lookup);
    g_test_add_func("/x86/msr/tsc", test_tsc);
    g_test_add_func("/x86/kvmclock", test_kvmclock);
    g_test_add_func("/x86/kvm-features", test_kvm_features);
    g_test_add_func("/x86/kvm-features/host", test_kvm_host_features);
    g_test_add_func("/x86/models/enforce", test_enforce);
    g_test_add_func("/x86/eflags", test_eflags);
    g_test_add_func("/x86/state", test_save_load);
    g_test_add_func("/x86/state-flags", test_save_flags);
    g_test_add_func("/x86/direct-boot", test_direct_boot);
    return g_test_run();
}

/* SPDX-License-Identifier: MIT */
/* The CPU models: features, numbers from their Technical Reference Manuals, and -cpu's text. */
#include "target/arm/models.h"
#include "base/opts.h"
#include "target/arm/system.h"

/* --- what works --- */

#define ALL_32 \
    .v4t = true, .v5 = true, .v6 = true, .v6k = true, .v7 = true, .v7ve = true, .thumb2 = true, .thumb_div = true, \
    .arm_div = true, \
    .lpae32 = true, .pxn = true, .mpidr = true, .vfp2 = true, .vfp3 = true, .vfp_d32 = true, .vfp4 = true, \
    .vfp_fp16 = true, \
    .neon = true, .vfp_dp = true, .gentimer = true, .dsp = true
#define ALL_8_0 \
    ALL_32, .aarch64 = true, .aarch32_el0 = true, .el2 = true, .el3 = true, .v8 = true, .fp_v8 = true, .fp = true, \
    .simd = true, .crc32 = true, .pmuv3 = true, .gran64 = true
#define CRYPTO .aes = true, .pmull = true, .sha1 = true, .sha256 = true
#define ALL_8_2 \
    ALL_8_0, CRYPTO, .v8_1 = true, .v8_2 = true, .lse = true, .rdm = true, .pan = true, .pan2 = true, .uao = true, \
    .vhe = true, .hpds = true, \
    .vmid16 = true, .hafdbs = true, .lor = true, .dotprod = true, .fp16 = true, .dpb = true, .ras = true, \
    .lrcpc = true, .ssbs = true, \
    .xnx = true, .cnp = true, .gran16 = true, .v8debug2 = true, .csv2 = true, .csv3 = true
#define ALL_8_4 \
    ALL_8_2, .v8_3 = true, .v8_4 = true, .pauth = true, .jscvt = true, .fcma = true, .lse2 = true, .lrcpc2 = true, \
    .flagm = true, .dit = true, \
    .tlbios = true, .tlbirange = true, .fhm = true, .sha512 = true, .sha3 = true, .sm3 = true, .sm4 = true, \
    .ttst = true, .ttl = true, \
    .idst = true, .bbm = true, .dgh = true

const ArmFeatures arm_supported = {
    ALL_8_4,           .aarch32_el1 = true, .v8_5 = true,      .v8_6 = true,      .m_profile = true,
    .r_profile = true, .pmsa = true,        .mmu_v6 = true,    .jazelle = true,   .thumbee = true,
    .v6m = true,       .v7m = true,         .v7em = true,      .v8m = true,       .v8m_main = true,
    .v8_1m = true,     .m_security = true,  .m_mve_int = true, .m_mve_fp = true,  .m_lob = true,
    .m_fpu = true,     .m_fpu_dp = true,    .bti = true,       .pauth2 = true,    .pauth_qarma5 = true,
    .flagm2 = true,    .frintts = true,     .dpb2 = true,      .sb = true,        .specres = true,
    .rng = true,       .i8mm = true,        .bf16 = true,      .lva = true,       .lpa = true,
    .lpa2 = true,      .pan3 = true,        .wfxt = true,      .mte = true,       .mte2 = true,
    .fgt = true,       .sve = true,         .sve2 = true,      .sve2_aes = true,  .sve2_bitperm = true,
    .sve2_sha3 = true, .sve2_sm4 = true,    .sve_f32mm = true, .sve_f64mm = true,
};

/* --- ID registers of A32-only models, as their manuals print them --- */

static const ArmIds32 ids_a7 = { .pfr0 = 0x1131,
                                 .pfr1 = 0x11011,
                                 .dfr0 = 0x02010555,
                                 .mmfr = { 0x10101105, 0x40000000, 0x01240000, 0x02102211 },
                                 .isar = { 0x02101110, 0x13112111, 0x21232041, 0x11112131, 0x10011142 },
                                 .mvfr0 = 0x10110222,
                                 .mvfr1 = 0x11111111,
                                 .dbgdidr = 0x3515f005 };
static const ArmIds32 ids_a8 = { .pfr0 = 0x1031,
                                 .pfr1 = 0x11,
                                 .dfr0 = 0x400,
                                 .mmfr = { 0x31100003, 0x20000000, 0x01202000, 0x11 },
                                 .isar = { 0x00101111, 0x12112111, 0x21232031, 0x11112131, 0x00111142 },
                                 .mvfr0 = 0x11110222,
                                 .mvfr1 = 0x00011111,
                                 .dbgdidr = 0x15141000 };
static const ArmIds32 ids_a9 = { .pfr0 = 0x1031,
                                 .pfr1 = 0x11,
                                 .dfr0 = 0x00000,
                                 .mmfr = { 0x00100103, 0x20000000, 0x01230000, 0x00002111 },
                                 .isar = { 0x00101111, 0x13112111, 0x21232041, 0x11112131, 0x00111142 },
                                 .mvfr0 = 0x11110222,
                                 .mvfr1 = 0x01111111,
                                 .dbgdidr = 0x35141000 };
static const ArmIds32 ids_a15 = { .pfr0 = 0x1131,
                                  .pfr1 = 0x11011,
                                  .dfr0 = 0x02010555,
                                  .mmfr = { 0x10201105, 0x20000000, 0x01240000, 0x02102211 },
                                  .isar = { 0x02101110, 0x13112111, 0x21232041, 0x11112131, 0x10011142 },
                                  .mvfr0 = 0x10110222,
                                  .mvfr1 = 0x11111111,
                                  .dbgdidr = 0x3515f021 };
static const ArmIds32 ids_926 = { .pfr0 = 0, .isar = { 0 } };
static const ArmIds32 ids_1176 = { .pfr0 = 0x111,
                                   .pfr1 = 0x11,
                                   .dfr0 = 0x33,
                                   .mmfr = { 0x01130003, 0x10030302, 0x01222100, 0 },
                                   .isar = { 0x0140011, 0x12002111, 0x11231121, 0x01102131, 0x01141 },
                                   .mvfr0 = 0x11111111,
                                   .dbgdidr = 0x15121002 };
static const ArmIds32 ids_r5 = { .pfr0 = 0x0131,
                                 .pfr1 = 0x001,
                                 .dfr0 = 0x00010400,
                                 .mmfr = { 0x0210030, 0, 0x01200000, 0x0211 },
                                 .isar = { 0x02101111, 0x13112111, 0x21232141, 0x01112131, 0x0010142 },
                                 .mvfr0 = 0x10110221,
                                 .mvfr1 = 0x00000011 };
static const ArmIds32 ids_r52 = { .pfr0 = 0x00000131,
                                  .pfr1 = 0x10111001,
                                  .dfr0 = 0x03010006,
                                  .mmfr = { 0x00211040, 0x40000000, 0x01200000, 0xf0102211 },
                                  .isar = { 0x02101110, 0x13112111, 0x21232142, 0x01112131, 0x00010142 },
                                  .mvfr0 = 0x10110222,
                                  .mvfr1 = 0x12111111,
                                  .dbgdidr = 0x77168000 };

/* --- the table --- */

#define V4T_926 .v4t = true, .v5 = true, .jazelle = true, .vfp2 = true, .vfp_dp = true, .dsp = true
#define V6_1176 \
    .v4t = true, .v5 = true, .v6 = true, .v6k = true, .vfp2 = true, .vfp_dp = true, .el3 = true, .dsp = true, \
    .mmu_v6 = true
#define V7_BASE \
    .v4t = true, .v5 = true, .v6 = true, .v6k = true, .v7 = true, .thumb2 = true, .vfp2 = true, .vfp3 = true, \
    .vfp_dp = true, .dsp = true
#define V7_A8 V7_BASE, .vfp_d32 = true, .neon = true, .el3 = true, .thumbee = true
#define V7_R V7_BASE, .r_profile = true, .pmsa = true, .thumb_div = true, .arm_div = true, .mpidr = true
#define M6 .m_profile = true, .v6m = true, .v4t = true, .v5 = true, .v6 = true
#define M7 M6, .v7m = true, .v7 = true, .v6k = true, .thumb2 = true, .thumb_div = true
#define M7E M7, .v7em = true, .dsp = true, .m_fpu = true, .vfp2 = true, .vfp3 = true, .vfp4 = true, .vfp_fp16 = true
#define M8 \
    M7, .v8m = true, .v8m_main = true, .m_security = true, .dsp = true, .m_fpu = true, .vfp2 = true, .vfp3 = true, \
    .vfp4 = true, \
    .vfp_fp16 = true, .fp_v8 = true
/* L1 of 32 KiB and a unified L2, 64-byte lines (CLIDR, CCSIDR by CSSELR). */
#define CACHES_A53 .clidr = 0x0a200023, .ccsidr = { 0x700fe01a, 0x201fe00a, 0x707fe07a }
#define CACHES_A57 .clidr = 0x0a200023, .ccsidr = { 0x701fe00a, 0x201fe012, 0x70ffe07a }
#define CACHES_N1 .clidr = 0x82000023, .ccsidr = { 0x701fe01a, 0x201fe01a, 0x70ffe03a }

static const ArmModel models[] = {
    { .name = "max",
      .desc = "Everything that works here",
      .midr = 0x000f0510,
      .ctr = 0x80038003,
      CACHES_A57,
      .pa_range = 6,
      .breakpoints = 6,
      .watchpoints = 4,
      .pmu_counters = 6,
      .cntfrq = 1000000000,
      .has = { ALL_8_4,           .aarch32_el1 = true, .v8_5 = true,         .v8_6 = true,      .bti = true,
               .pauth2 = true,    .flagm2 = true,      .frintts = true,      .dpb2 = true,      .sb = true,
               .specres = true,   .rng = true,         .i8mm = true,         .bf16 = true,      .lva = true,
               .lpa = true,       .lpa2 = true,        .pan3 = true,         .wfxt = true,      .sve = true,
               .sve2 = true,      .sve2_aes = true,    .sve2_bitperm = true, .sve2_sha3 = true, .sve2_sm4 = true,
               .sve_f32mm = true, .sve_f64mm = true,   .mte = true,          .mte2 = true,      .secure_el2 = true,
               .fgt = true,       .evt = true,         .mops = true,         .fpac = true },
      .sve_lengths = 0xb },
    { .name = "cortex-a35",
      .desc = "ARMv8.0",
      .midr = 0x411fd040,
      .ctr = 0x84448004,
      CACHES_A53,
      .pa_range = 2,
      .breakpoints = 6,
      .watchpoints = 4,
      .pmu_counters = 6,
      .fpsid = 0x41034043,
      .has = { ALL_8_0, .aarch32_el1 = true, CRYPTO, .gran16 = true } },
    { .name = "cortex-a53",
      .desc = "ARMv8.0",
      .midr = 0x410fd034,
      .revidr = 0x100,
      .ctr = 0x84448004,
      CACHES_A53,
      .pa_range = 2,
      .breakpoints = 6,
      .watchpoints = 4,
      .pmu_counters = 6,
      .fpsid = 0x41034034,
      .has = { ALL_8_0, .aarch32_el1 = true, CRYPTO } },
    { .name = "cortex-a55",
      .desc = "ARMv8.2",
      .midr = 0x412fd050,
      .ctr = 0x84448004,
      .clidr = 0x82000023,
      .ccsidr = { 0x200fe01a, 0x200fe01a, 0x703fe07a },
      .pa_range = 2,
      .breakpoints = 6,
      .watchpoints = 4,
      .pmu_counters = 6,
      .has = { ALL_8_2, .aarch32_el1 = true },
      .big_mpidr = true },
    { .name = "cortex-a57",
      .desc = "ARMv8.0",
      .midr = 0x411fd070,
      .ctr = 0x8444c004,
      CACHES_A57,
      .pa_range = 4,
      .breakpoints = 6,
      .watchpoints = 4,
      .pmu_counters = 6,
      .fpsid = 0x41034070,
      .has = { ALL_8_0, .aarch32_el1 = true, CRYPTO } },
    { .name = "cortex-a72",
      .desc = "ARMv8.0",
      .midr = 0x410fd083,
      .ctr = 0x8444c004,
      .clidr = 0x0a200023,
      .ccsidr = { 0x701fe00a, 0x201fe012, 0x707fe07a },
      .pa_range = 4,
      .breakpoints = 6,
      .watchpoints = 4,
      .pmu_counters = 6,
      .fpsid = 0x41034080,
      .has = { ALL_8_0, .aarch32_el1 = true, CRYPTO } },
    { .name = "cortex-a76",
      .desc = "ARMv8.2",
      .midr = 0x414fd0b1,
      .ctr = 0x8444c004,
      CACHES_N1,
      .pa_range = 2,
      .breakpoints = 6,
      .watchpoints = 4,
      .pmu_counters = 6,
      .has = { ALL_8_2 },
      .big_mpidr = true },
    { .name = "cortex-a710",
      .desc = "ARMv9.0",
      .midr = 0x412fd471,
      .ctr = 0x9444c004,
      CACHES_N1,
      .pa_range = 2,
      .breakpoints = 6,
      .watchpoints = 4,
      .pmu_counters = 6,
      .big_mpidr = true,
      .has = { ALL_8_4,          .v8_5 = true, .bti = true,      .flagm2 = true,       .frintts = true,
               .dpb2 = true,     .sb = true,   .specres = true,  .i8mm = true,         .bf16 = true,
               .sve = true,      .sve2 = true, .sve2_aes = true, .sve2_bitperm = true, .sve2_sha3 = true,
               .sve2_sm4 = true, .mte = true,  .mte2 = true,     .pauth2 = true,       .fpac = true },
      .sve_lengths = 1 },
    { .name = "neoverse-n1",
      .desc = "ARMv8.2",
      .midr = 0x414fd0c1,
      .ctr = 0x8444c004,
      CACHES_N1,
      .pa_range = 5,
      .breakpoints = 6,
      .watchpoints = 4,
      .pmu_counters = 6,
      .has = { ALL_8_2 },
      .big_mpidr = true },
    { .name = "neoverse-v1",
      .desc = "ARMv8.4",
      .midr = 0x411fd402,
      .ctr = 0xb444c004,
      CACHES_N1,
      .pa_range = 5,
      .breakpoints = 6,
      .watchpoints = 4,
      .pmu_counters = 6,
      .big_mpidr = true,
      .has = { ALL_8_4, .dpb2 = true, .rng = true, .i8mm = true, .bf16 = true, .sve = true },
      .sve_lengths = 3 },
    { .name = "cortex-a7",
      .desc = "ARMv7",
      .midr = 0x410fc075,
      .ctr = 0x84448003,
      .clidr = 0x0a200023,
      .ccsidr = { 0x701fe00a, 0x201fe00a, 0x711fe07a },
      .pa_range = 2,
      .breakpoints = 6,
      .watchpoints = 4,
      .pmu_counters = 4,
      .fpsid = 0x41023075,
      .ids32 = &ids_a7,
      .sctlr = 0x00c50078,
      .has = { V7_A8, .v7ve = true, .el2 = true, .mpidr = true, .lpae32 = true, .pxn = true, .thumb_div = true,
               .arm_div = true, .vfp4 = true, .vfp_fp16 = true, .gentimer = true, .pmuv3 = true } },
    { .name = "cortex-a8",
      .desc = "ARMv7",
      .midr = 0x410fc080,
      .ctr = 0x82048004,
      .clidr = 0x0a000023,
      .ccsidr = { 0xe007e01a, 0x2007e01a, 0xf0000000 },
      .breakpoints = 6,
      .watchpoints = 2,
      .pmu_counters = 4,
      .fpsid = 0x410330c0,
      .ids32 = &ids_a8,
      .sctlr = 0x00c50078,
      .has = { V7_A8, .pmuv3 = true } },
    { .name = "cortex-a9",
      .desc = "ARMv7",
      .midr = 0x410fc090,
      .ctr = 0x80038003,
      .clidr = 0x09000003,
      .ccsidr = { 0xe00fe019, 0x200fe019 },
      .breakpoints = 6,
      .watchpoints = 1,
      .pmu_counters = 6,
      .fpsid = 0x41033090,
      .ids32 = &ids_a9,
      .sctlr = 0x00c50078,
      .has = { V7_A8, .mpidr = true, .vfp_fp16 = true, .pmuv3 = true } },
    { .name = "cortex-a15",
      .desc = "ARMv7",
      .midr = 0x412fc0f1,
      .ctr = 0x8444c004,
      .clidr = 0x0a200023,
      .ccsidr = { 0x701fe00a, 0x201fe00a, 0x711fe07a },
      .pa_range = 2,
      .breakpoints = 6,
      .watchpoints = 4,
      .pmu_counters = 6,
      .fpsid = 0x410430f0,
      .ids32 = &ids_a15,
      .sctlr = 0x00c50078,
      .has = { V7_A8, .v7ve = true, .el2 = true, .mpidr = true, .lpae32 = true, .pxn = true, .thumb_div = true,
               .arm_div = true, .vfp4 = true, .vfp_fp16 = true, .gentimer = true, .pmuv3 = true } },
    { .name = "arm926",
      .desc = "ARMv5TEJ",
      .midr = 0x41069265,
      .ctr = 0x01dd20d2,
      .fpsid = 0x41011090,
      .ids32 = &ids_926,
      .sctlr = 0x00090078,
      .has = { V4T_926 } },
    { .name = "arm1176",
      .desc = "ARMv6K",
      .midr = 0x410fb767,
      .ctr = 0x01dd20d2,
      .fpsid = 0x410120b5,
      .ids32 = &ids_1176,
      .sctlr = 0x00050078,
      .breakpoints = 6,
      .watchpoints = 2,
      .has = { V6_1176 } },
    { .name = "cortex-r5",
      .desc = "ARMv7-R",
      .midr = 0x411fc153,
      .ctr = 0x8003c003,
      .fpsid = 0x41023150,
      .ids32 = &ids_r5,
      .sctlr = 0x00e50878,
      .clidr = 0x09200003,
      .ccsidr = { 0xf00fe019, 0xf00fe019 },
      .breakpoints = 6,
      .watchpoints = 4,
      .pmu_counters = 3,
      .mpu_regions = 16,
      .has = { V7_R, .pmuv3 = true } },
    { .name = "cortex-r52",
      .desc = "ARMv8-R",
      .midr = 0x411fd133,
      .ctr = 0x8144c004,
      .fpsid = 0x41034023,
      .ids32 = &ids_r52,
      .sctlr = 0x30c50838,
      .clidr = 0x09200003,
      .ccsidr = { 0x700fe01a, 0x201fe00a },
      .breakpoints = 8,
      .watchpoints = 8,
      .pmu_counters = 4,
      .mpu_regions = 16,
      .has = { V7_R, .v7ve = true, .v8 = true, .el2 = true, .lpae32 = true, .vfp_d32 = true, .neon = true, .vfp4 = true,
               .vfp_fp16 = true, .fp_v8 = true, .gentimer = true, .pmuv3 = true } },
    { .name = "cortex-m0", .desc = "ARMv6-M", .midr = 0x410cc200, .has = { M6 } },
    { .name = "cortex-m3", .desc = "ARMv7-M", .midr = 0x410fc231, .mpu_regions = 8, .has = { M7 } },
    { .name = "cortex-m4", .desc = "ARMv7E-M", .midr = 0x410fc240, .mpu_regions = 8, .has = { M7E } },
    { .name = "cortex-m7",
      .desc = "ARMv7E-M",
      .midr = 0x411fc272,
      .mpu_regions = 8,
      .clidr = 0x0a000003,
      .ctr = 0x8303c003,
      .has = { M7E, .m_fpu_dp = true, .vfp_dp = true, .fp_v8 = true } },
    { .name = "cortex-m33", .desc = "ARMv8-M", .midr = 0x410fd213, .mpu_regions = 8, .ctr = 0x8000c000, .has = { M8 } },
    { .name = "cortex-m55",
      .desc = "ARMv8.1-M",
      .midr = 0x410fd221,
      .mpu_regions = 8,
      .ctr = 0x8303c003,
      .has = { M8, .v8_1m = true, .m_lob = true, .m_mve_int = true, .m_mve_fp = true, .m_fpu_dp = true, .vfp_dp = true,
               .fp16 = true, .pxn = true, .ras = true } },
};

static const char *const aliases[][2] = {
    { "any", "max" }, { "arm926ej-s", "arm926" }, { "arm1176jzf-s", "arm1176" }, { "cortex-r5f", "cortex-r5" }
};

static const ArmModel *host_model;
void arm_models_set_host(const ArmModel *host) { host_model = host; }

const ArmModel *arm_model_find(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(aliases); i++)
        name = strcmp(name, aliases[i][0]) ? name : aliases[i][1];
    if (host_model && (!strcmp(name, "host") || !strcmp(name, "max")))
        return host_model;
    for (unsigned i = 0; i < ARRAY_LEN(models); i++)
        if (!strcmp(name, models[i].name))
            return &models[i];
    return NULL;
}

const char *const *arm_model_names(void)
{
    static const char *names[ARRAY_LEN(models) + 1];
    for (unsigned i = 0; i < ARRAY_LEN(models); i++)
        names[i] = models[i].name;
    return names;
}

/* --- features by name: "lse", "sve2-aes" --- */

static const struct { const char *name; uint16_t offset; } feature_names[] = {
#define X(f) { #f, offsetof(ArmFeatures, f) },
    ARM_FEATURES(X)
#undef X
};

static bool *feature_at(ArmFeatures *f, unsigned i) { return (bool *)((char *)f + feature_names[i].offset); }

static int feature_find(const char *name)
{
    g_autofree char *spelt = g_strdelimit(g_strdup(name), "-", '_');
    for (unsigned i = 0; i < ARRAY_LEN(feature_names); i++)
        if (!strcmp(feature_names[i].name, spelt))
            return (int)i;
    return -1;
}

/* What can't stand alone. */
static void feature_rules(ArmFeatures *f)
{
    if (!f->aarch64)
        f->lse = f->pauth = f->sve = f->mte = f->bti = f->vhe = f->lpa = f->lva = f->aarch32_el0 = false;
    if (!f->lpa || !f->lva || !f->gran16)
        f->lpa2 = false;
    if (f->aarch64 && !f->fp)
        f->simd = false;
    if (!f->simd && f->aarch64)
        f->aes = f->pmull = f->sha1 = f->sha256 = f->sha512 = f->sha3 = f->sm3 = f->sm4 = f->dotprod = f->fhm =
            f->bf16 = f->i8mm = f->rdm = f->fcma = f->sve = false;
    if (!f->pauth)
        f->pauth2 = f->fpac = false;
    if (!f->sve)
        f->sve2 = f->sve_f32mm = f->sve_f64mm = false;
    if (!f->sve2)
        f->sve2_aes = f->sve2_bitperm = f->sve2_sha3 = f->sve2_sm4 = false;
    if (!f->mte)
        f->mte2 = false;
    if (!f->el2)
        f->secure_el2 = f->fgt = false;
}

/* --- -cpu's text --- */

typedef struct CpuOptions {
    bool aarch64, pmu, hivecs, big_endian, el2, el3, pauth_impdef, kvm_no_adjvtime, kvm_steal_time;
    bool sve128, sve256, sve512;
    uint64_t cntfrq, rvbar, midr, sve_max_vq;
} CpuOptions;

/* QEMU's properties that are no feature by themselves. */
static const struct { const char *name; bool number; uint16_t offset;
} cpu_options[] = {
    { "aarch64", false, offsetof(CpuOptions, aarch64) },
    { "pmu", false, offsetof(CpuOptions, pmu) },
    { "kvm-no-adjvtime", false, offsetof(CpuOptions, kvm_no_adjvtime) },
    { "kvm-steal-time", false, offsetof(CpuOptions, kvm_steal_time) },
    { "pauth-impdef", false, offsetof(CpuOptions, pauth_impdef) },
    { "reset-hivecs", false, offsetof(CpuOptions, hivecs) },
    { "cfgend", false, offsetof(CpuOptions, big_endian) },
    { "has_el2", false, offsetof(CpuOptions, el2) },
    { "has_el3", false, offsetof(CpuOptions, el3) },
    { "cntfrq", true, offsetof(CpuOptions, cntfrq) },
    { "rvbar", true, offsetof(CpuOptions, rvbar) },
    { "midr", true, offsetof(CpuOptions, midr) },
    { "sve128", false, offsetof(CpuOptions, sve128) },
    { "sve256", false, offsetof(CpuOptions, sve256) },
    { "sve512", false, offsetof(CpuOptions, sve512) },
    { "sve-max-vq", true, offsetof(CpuOptions, sve_max_vq) },
};

static bool unknown_property(const char *name, Error **errp)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new();
    for (unsigned i = 0; i < ARRAY_LEN(feature_names); i++)
        g_ptr_array_add(all, (void *)feature_names[i].name);
    for (unsigned i = 0; i < ARRAY_LEN(cpu_options); i++)
        g_ptr_array_add(all, (void *)cpu_options[i].name);
    return cpu_unknown_property(name, all, errp);
}

static bool set_option(CpuOptions *o, unsigned i, const char *value, Error **errp)
{
    void *at = (char *)o + cpu_options[i].offset;
    if (cpu_options[i].number ? parse_u64(value, at) : parse_bool(value, at))
        return true;
    error_setf(errp, "-cpu: '%s=%s': the value must be %s", cpu_options[i].name, value,
               cpu_options[i].number ? "a number" : "on or off");
    return false;
}

/* The host's CPU has what it has; vectors and pointer authentication can be kept from its guests. */
static bool set_host_feature(const ArmModel *m, const char *name, bool *feature, bool on, Error **errp)
{
    if (on && !*feature) {
        error_setf(errp, "-cpu %s: this host's CPU, or its kernel, has no '%s' for guests; leave it out", m->name,
                   name);
        return false;
    }
    if (!on && *feature && strcmp(name, "sve") && strcmp(name, "pauth")) {
        error_setf(
            errp,
            "-cpu %s: '%s' cannot be kept from guests of KVM; leave it, or use -accel tcg with a model that lacks it",
            m->name, name);
        return false;
    }
    *feature = on;
    return true;
}

static bool apply_part(const ArmModel *m, const char *part, ArmFeatures *f, CpuOptions *o, Error **errp)
{
    bool sign = part[0] == '+' || part[0] == '-', on = part[0] != '-';
    g_autofree char *name = g_strdup(sign ? part + 1 : part);
    char *value = sign ? NULL : strchr(name, '=');
    if (value)
        *value++ = 0;
    for (unsigned i = 0; i < ARRAY_LEN(cpu_options); i++)
        if (!strcmp(name, cpu_options[i].name))
            return set_option(o, i, value ? value : on ? "on" : "off", errp);
    int n = feature_find(name);
    if (n < 0)
        return unknown_property(name, errp);
    if (value && !parse_bool(value, &on)) {
        error_setf(errp, "-cpu: '%s': the value of a feature must be on or off", part);
        return false;
    }
    if (m->host_ids)
        return set_host_feature(m, feature_names[n].name, feature_at(f, (unsigned)n), on, errp);
    bool supported = *feature_at((ArmFeatures *)&arm_supported, (unsigned)n);
    if (on && !supported) {
        error_setf(errp, "-cpu: feature '%s' is not available; leave it out", name);
        return false;
    }
    *feature_at(f, (unsigned)n) = on;
    return true;
}

static void apply_options(ArmCpu *c, const CpuOptions *o, const ArmBoardCpus *board)
{
    ArmFeatures *f = &c->has;
    bool r_el2 = f->r_profile && f->el2; /* R52: EL2 is the MPU's */
    f->el2 = f->el2 && (o->el2 || r_el2);
    f->el3 = f->el3 && o->el3;
    f->pmuv3 = f->pmuv3 && o->pmu;
    f->mte2 = f->mte2 && board->mte; /* without tag memory there are the instructions alone */
    if (!o->aarch64)
        f->aarch64 = false;
    f->pauth_qarma5 = f->pauth && !o->pauth_impdef;
    feature_rules(f);
    c->cntfrq = o->cntfrq ? o->cntfrq : c->model->cntfrq ? c->model->cntfrq : 62500000;
    c->reset_pc = o->hivecs && !f->aarch64 ? 0xffff0000 : o->rvbar;
    c->psci_hvc = board->psci == ARM_PSCI_HVC;
    c->psci_smc = board->psci == ARM_PSCI_SMC;
    c->reset_cbar = board->reset_cbar;
    c->midr = o->midr ? o->midr : c->model->midr;
    c->kvm_no_adjvtime = o->kvm_no_adjvtime;
    c->kvm_steal_time = o->kvm_steal_time;
}

/* Vectors of 128 bits, and of all powers of two up to the longest (DDI 0487, B1.3.2). */
static bool sve_lengths(ArmCpu *c, const CpuOptions *o, Error **errp)
{
    bool v512 = o->sve512 && o->sve_max_vq >= 4, v256 = o->sve256 && o->sve_max_vq >= 2;
    c->sve_lengths = 0;
    if (!c->has.sve)
        return true;
    if (c->model->host_ids) { /* those of the host up to the longest that is wanted: the kernel takes no others */
        unsigned longest = v512 ? 4 : v256 ? 2 : 1;
        c->sve_lengths = (uint8_t)(c->model->sve_lengths & bits_mask(MIN(longest, (unsigned)o->sve_max_vq)));
        return true;
    }
    if (!o->sve_max_vq || !o->sve128 || (v512 && !o->sve256)) {
        error_setf(errp, "-cpu: '%s' can't be without vectors of %s bits; leave the property out", c->model->name,
                   v512 && !o->sve256 ? "256" : "128");
        return false;
    }
    c->sve_lengths = (uint8_t)(1 | v256 << 1 | v512 << 3);
    return true;
}

static uint64_t mpidr_of(const ArmCpu *c, uint32_t arch_id)
{
    if (c->has.m_profile)
        return 0;
    uint64_t r = c->has.mpidr ? BIT(31) : 0;
    return r | (arch_id & 0xffffff) | (c->model->big_mpidr ? BIT(24) : 0);
}

bool arm_model_apply(ArmCpu *c, const char *text, const ArmBoardCpus *board, uint32_t arch_id, Error **errp)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    const ArmModel *m = parts[0] ? arm_model_find(parts[0]) : NULL;
    if (!m) {
        if (!g_strcmp0(parts[0], "host"))
            error_setf(errp, "-cpu host: only with -accel kvm; the translator's largest model is -cpu max");
        else
            error_set_unknown(errp, "-cpu", parts[0] ? parts[0] : "", arm_model_names());
        return false;
    }
    CpuOptions o = { .aarch64 = true,
                     .pmu = true,
                     .hivecs = board->hivecs,
                     .big_endian = board->big_endian,
                     .el2 = board->el2,
                     .el3 = board->el3,
                     .pauth_impdef = true,
                     .cntfrq = board->cntfrq,
                     .rvbar = board->rvbar,
                     .sve128 = true,
                     .sve256 = m->sve_lengths >> 1 & 1,
                     .sve512 = m->sve_lengths >> 3 & 1,
                     .sve_max_vq = ARM_SVE_MAX_VQ };
    c->model = m;
    c->has = m->has;
    for (unsigned i = 0; i < ARRAY_LEN(feature_names); i++)
        *feature_at(&c->has, i) &= m->host_ids || *feature_at((ArmFeatures *)&arm_supported, i);
    for (unsigned i = 1; parts[i]; i++) {
        if (!apply_part(m, parts[i], &c->has, &o, errp))
            return false;
    }
    if (!o.aarch64 && m->has.aarch64 && !c->has.aarch32_el1) {
        error_setf(errp, "-cpu: model '%s' has no AArch32; leave out 'aarch64=off'", m->name);
        return false;
    }
    if (o.kvm_steal_time && !m->host_ids) {
        error_setf(errp, "-cpu: 'kvm-steal-time' works with -accel kvm only; leave it out");
        return false;
    }
    apply_options(c, &o, board);
    if (!sve_lengths(c, &o, errp))
        return false;
    c->mpidr = mpidr_of(c, arch_id);
    arm_model_ids(c);
    c->reset_sctlr |= (o.hivecs ? BIT(13) : 0) | (o.big_endian ? BIT(25) : 0);
    return true;
}

unsigned arm_phys_bits(const ArmCpu *c)
{
    static const uint8_t bits[] = { 32, 36, 40, 42, 44, 48, 52 };
    unsigned n = bits[MIN(c->model->pa_range, 6)];
    if (!c->has.aarch64)
        return c->has.lpae32 && !c->has.m_profile ? 40 : 32;
    return n > 48 && !c->has.lpa ? 48 : n;
}

unsigned arm_phys_bits_of(const ArmCpu *c) { return arm_phys_bits(c); }

void arm_models_print_help(GString *out)
{
    g_string_append(out, "Available CPUs:\n");
    for (unsigned i = 0; i < ARRAY_LEN(models); i++)
        g_string_append_printf(out, "  %-16s %s\n", models[i].name, models[i].desc);
    g_string_append(out, "\nFeatures (NAME,+feature,-feature,feature=on|off), those that work here:\n ");
    unsigned column = 1;
    for (unsigned i = 0; i < ARRAY_LEN(feature_names); i++) {
        if (!*feature_at((ArmFeatures *)&arm_supported, i))
            continue;
        if (column + strlen(feature_names[i].name) > 78) {
            g_string_append(out, "\n ");
            column = 1;
        }
        g_string_append_printf(out, " %s", feature_names[i].name);
        column += (unsigned)strlen(feature_names[i].name) + 1;
    }
    g_string_append(out, "\n\nProperties:\n ");
    for (unsigned i = 0; i < ARRAY_LEN(cpu_options); i++)
        g_string_append_printf(out, " %s", cpu_options[i].name);
    g_string_append(out, "\n");
}

/* SPDX-License-Identifier: MIT */
/* Identification registers from the features (DDI 0487, D19.2.61 on; G8.2 for AArch32). */
#include "target/arm/models.h"

/* Field at `shift` of the register at `reg` is at least `value` when the feature at `feature` is there. */
typedef struct IdRule { uint32_t reg; uint16_t feature; uint8_t shift, value; } IdRule;
#define R(reg, shift, f, value) { offsetof(ArmCpu, id_##reg), offsetof(ArmFeatures, f), shift, value }

static const IdRule rules64[] = {
    R(aa64isar0, 4, aes, 1),        R(aa64isar0, 4, pmull, 2),      R(aa64isar0, 8, sha1, 1),
    R(aa64isar0, 12, sha256, 1),    R(aa64isar0, 12, sha512, 2),    R(aa64isar0, 16, crc32, 1),
    R(aa64isar0, 20, lse, 2),       R(aa64isar0, 28, rdm, 1),       R(aa64isar0, 32, sha3, 1),
    R(aa64isar0, 36, sm3, 1),       R(aa64isar0, 40, sm4, 1),       R(aa64isar0, 44, dotprod, 1),
    R(aa64isar0, 48, fhm, 1),       R(aa64isar0, 52, flagm, 1),     R(aa64isar0, 52, flagm2, 2),
    R(aa64isar0, 56, tlbios, 1),    R(aa64isar0, 56, tlbirange, 2), R(aa64isar0, 60, rng, 1),
    R(aa64isar1, 0, dpb, 1),        R(aa64isar1, 0, dpb2, 2),       R(aa64isar1, 12, jscvt, 1),
    R(aa64isar1, 16, fcma, 1),      R(aa64isar1, 20, lrcpc, 1),     R(aa64isar1, 20, lrcpc2, 2),
    R(aa64isar1, 32, frintts, 1),   R(aa64isar1, 36, sb, 1),        R(aa64isar1, 40, specres, 1),
    R(aa64isar1, 44, bf16, 1),      R(aa64isar1, 48, dgh, 1),       R(aa64isar1, 52, i8mm, 1),
    R(aa64isar2, 0, wfxt, 2),       R(aa64isar2, 16, mops, 1),      R(aa64pfr0, 0, aarch64, 1),
    R(aa64pfr0, 0, aarch32_el0, 2), R(aa64pfr0, 4, aarch64, 1),     R(aa64pfr0, 4, aarch32_el1, 2),
    R(aa64pfr0, 8, el2, 1),         R(aa64pfr0, 12, el3, 1),        R(aa64pfr0, 28, ras, 1),
    R(aa64pfr0, 32, sve, 1),        R(aa64pfr0, 36, secure_el2, 1), R(aa64pfr0, 48, dit, 1),
    R(aa64pfr0, 56, csv2, 1),       R(aa64pfr0, 60, csv3, 1),       R(aa64pfr1, 0, bti, 1),
    R(aa64pfr1, 4, ssbs, 2),        R(aa64pfr1, 8, mte, 1),         R(aa64pfr1, 8, mte2, 2),
    R(aa64zfr0, 0, sve2, 1),        R(aa64zfr0, 4, sve2_aes, 2),    R(aa64zfr0, 16, sve2_bitperm, 1),
    R(aa64zfr0, 32, sve2_sha3, 1),  R(aa64zfr0, 40, sve2_sm4, 1),   R(aa64zfr0, 20, bf16, 1),
    R(aa64zfr0, 44, i8mm, 1),       R(aa64zfr0, 52, sve_f32mm, 1),  R(aa64zfr0, 56, sve_f64mm, 1),
    R(aa64mmfr0, 4, aarch64, 2),    R(aa64mmfr0, 8, aarch64, 1),    R(aa64mmfr0, 12, el3, 1),
    R(aa64mmfr0, 20, gran16, 1),    R(aa64mmfr0, 20, lpa2, 2),      R(aa64mmfr0, 28, lpa2, 1),
    R(aa64mmfr0, 56, fgt, 1),       R(aa64mmfr1, 0, hafdbs, 2),     R(aa64mmfr1, 4, vmid16, 2),
    R(aa64mmfr1, 8, vhe, 1),        R(aa64mmfr1, 12, hpds, 1),      R(aa64mmfr1, 16, lor, 1),
    R(aa64mmfr1, 20, pan, 1),       R(aa64mmfr1, 20, pan2, 2),      R(aa64mmfr1, 20, pan3, 3),
    R(aa64mmfr1, 28, xnx, 1),       R(aa64mmfr2, 0, cnp, 1),        R(aa64mmfr2, 4, uao, 1),
    R(aa64mmfr2, 16, lva, 1),       R(aa64mmfr2, 28, ttst, 1),      R(aa64mmfr2, 32, lse2, 1),
    R(aa64mmfr2, 36, idst, 1),      R(aa64mmfr2, 48, ttl, 1),       R(aa64mmfr2, 52, bbm, 2),
    R(aa64mmfr2, 56, evt, 2),
};

/* AArch32's view on CPUs that have AArch64. */
static const IdRule rules32[] = {
    R(isar[5], 4, aes, 1),    R(isar[5], 4, pmull, 2), R(isar[5], 8, sha1, 1),    R(isar[5], 12, sha256, 1),
    R(isar[5], 16, crc32, 1), R(isar[5], 24, rdm, 1),  R(isar[6], 4, dotprod, 1), R(isar[6], 8, fhm, 1),
    R(isar[6], 12, sb, 1),    R(isar[6], 20, bf16, 1), R(isar[6], 24, i8mm, 1),   R(isar[5], 28, fcma, 1),
    R(isar[6], 0, jscvt, 1),  R(mmfr[3], 16, pan, 1),  R(mmfr[3], 16, pan2, 2),   R(mmfr[4], 24, evt, 2),
    R(mmfr[4], 16, hpds, 1),  R(pfr2, 4, ssbs, 1),     R(pfr0, 24, dit, 1),       R(pfr0, 28, ras, 1),
    R(pfr1, 12, el2, 1),      R(pfr1, 4, el3, 1),      R(pfr1, 16, gentimer, 1),
};

static void apply(ArmCpu *c, const IdRule *r, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t *reg = (uint64_t *)((char *)c + r[i].reg);
        if (*((const bool *)&c->has + r[i].feature))
            *reg = bits_set(*reg, r[i].shift, 4, MAX(bits_get(*reg, r[i].shift, 4), r[i].value));
    }
}

static void ids64(ArmCpu *c)
{
    const ArmModel *m = c->model;
    c->id_aa64pfr0 = c->id_aa64pfr1 = c->id_aa64zfr0 = c->id_aa64isar0 = c->id_aa64isar1 = c->id_aa64isar2 = 0;
    c->id_aa64mmfr0 = c->id_aa64mmfr1 = c->id_aa64mmfr2 = c->id_aa64dfr0 = c->id_aa64dfr1 = 0;
    if (!c->has.aarch64)
        return;
    apply(c, rules64, ARRAY_LEN(rules64));
    if (c->has.pauth) { /* APA and GPA: QARMA5; API and GPI: another algorithm */
        unsigned shift = c->has.pauth_qarma5 ? 0 : 4;
        c->id_aa64isar1 |= (uint64_t)(c->has.fpac     ? 4
                                      : c->has.pauth2 ? 3
                                                      : 1)
                               << (4 + shift) |
                           UINT64_C(1) << (24 + shift);
    }
    if (!c->has.sve)
        c->id_aa64zfr0 = 0;
    unsigned fp = !c->has.fp ? 0xf : c->has.fp16, simd = !c->has.simd ? 0xf : c->has.fp16;
    c->id_aa64pfr0 |= (uint64_t)fp << 16 | (uint64_t)simd << 20;
    c->id_aa64mmfr0 |= m->pa_range == 6 && !c->has.lpa ? 5 : m->pa_range;
    c->id_aa64mmfr0 |= (uint64_t)(c->has.gran64 ? 0 : 0xf) << 24;
    c->id_aa64dfr0 = (c->has.v8debug2 ? 8 : 6) | (uint64_t)(m->breakpoints - 1) << 12 |
                     (uint64_t)(m->watchpoints - 1) << 20 | UINT64_C(1) << 28;
    if (c->has.pmuv3)
        c->id_aa64dfr0 |= (c->has.v8_1 ? 4 : 1) << 8;
}

static void ids32_derived(ArmCpu *c)
{
    static const uint32_t isar[] = { 0x02101110, 0x13112111, 0x21232042, 0x01112131, 0x00011142, 1, 0 };
    static const uint32_t mmfr[] = { 0x10201105, 0x40000000, 0x01260000, 0x02102211, 0, 0 };
    for (unsigned i = 0; i < ARRAY_LEN(isar); i++)
        c->id_isar[i] = isar[i];
    for (unsigned i = 0; i < ARRAY_LEN(mmfr); i++)
        c->id_mmfr[i] = mmfr[i];
    c->id_pfr0 = 0x131, c->id_pfr1 = 0x1, c->id_pfr2 = 0, c->id_afr0 = 0, c->id_dfr1 = 0;
    c->id_dfr0 = 0x03010066; /* v8 debug, PMUv3 */
    c->mvfr0 = 0x10110222, c->mvfr1 = c->has.fp16 ? 0x13211111 : 0x12111111, c->mvfr2 = 0x43;
    c->dbgdidr = (uint64_t)(c->model->watchpoints - 1) << 28 | (uint64_t)(c->model->breakpoints - 1) << 24 | 1 << 20 |
                 6 << 16 | 1 << 15;
    apply(c, rules32, ARRAY_LEN(rules32));
    if (!c->has.aarch32_el0 && c->has.aarch64) {
        c->id_pfr0 = c->id_pfr1 = c->id_dfr0 = c->mvfr0 = c->mvfr1 = c->mvfr2 = c->dbgdidr = 0;
        memset(c->id_isar, 0, sizeof c->id_isar);
        memset(c->id_mmfr, 0, sizeof c->id_mmfr);
    }
}

static void ids32_given(ArmCpu *c, const ArmIds32 *g)
{
    c->id_pfr0 = g->pfr0, c->id_pfr1 = g->pfr1, c->id_dfr0 = g->dfr0, c->id_afr0 = g->afr0;
    for (unsigned i = 0; i < 4; i++)
        c->id_mmfr[i] = g->mmfr[i];
    for (unsigned i = 0; i < 5; i++)
        c->id_isar[i] = g->isar[i];
    c->mvfr0 = g->mvfr0, c->mvfr1 = g->mvfr1, c->mvfr2 = c->has.fp_v8 ? 0x40 : 0, c->dbgdidr = g->dbgdidr;
    if (!c->has.el3 && !c->has.r_profile)
        c->id_pfr1 &= ~UINT64_C(0xf0);
    if (!c->has.el2)
        c->id_pfr1 &= ~UINT64_C(0xf000);
}

/* --- a CPU of the host's --- */

enum { HOST_IDS_AT = offsetof(ArmCpu, midr), HOST_IDS_SIZE = offsetof(ArmCpu, fpsid) - HOST_IDS_AT };

const uint64_t *arm_host_ids(const ArmCpu *c)
{
    static uint64_t ids[HOST_IDS_SIZE / 8];
    memcpy(ids, (const char *)c + HOST_IDS_AT, HOST_IDS_SIZE);
    return ids;
}

static void ids_of_host(ArmCpu *c, const uint64_t *ids)
{
    uint64_t mpidr = c->mpidr;
    memcpy((char *)c + HOST_IDS_AT, ids, HOST_IDS_SIZE);
    c->mpidr = mpidr;
    c->reset_sctlr = 0x30c50838;
}

void arm_features_of_ids(const ArmCpu *c, ArmFeatures *out)
{
    *out = (ArmFeatures){ .v8 = true, .gentimer = true, .mpidr = true };
    for (unsigned i = 0; i < ARRAY_LEN(rules64); i++) {
        const IdRule *r = &rules64[i];
        uint64_t reg = *(const uint64_t *)((const char *)c + r->reg);
        *((bool *)out + r->feature) |= bits_get(reg, r->shift, 4) >= r->value;
    }
    unsigned fp = (unsigned)bits_get(c->id_aa64pfr0, 16, 4), simd = (unsigned)bits_get(c->id_aa64pfr0, 20, 4),
             pmu = (unsigned)bits_get(c->id_aa64dfr0, 8, 4);
    out->fp = fp != 0xf, out->simd = simd != 0xf, out->fp16 = fp == 1;
    out->gran64 = bits_get(c->id_aa64mmfr0, 24, 4) != 0xf;
    out->pmuv3 = pmu && pmu != 0xf;
    out->v8debug2 = bits_get(c->id_aa64dfr0, 0, 4) >= 8;
    out->v8_1 = out->lse;
    bool a32 = out->aarch32_el0;
    out->v4t = out->v5 = out->v6 = out->v6k = out->v7 = out->v7ve = out->thumb2 = out->thumb_div = out->arm_div =
        out->lpae32 = out->pxn = a32;
    out->vfp2 = out->vfp3 = out->vfp_d32 = out->vfp4 = out->vfp_fp16 = out->neon = out->vfp_dp = out->dsp = out->fp_v8 =
        a32 && out->fp;
}

void arm_model_ids(ArmCpu *c)
{
    const ArmModel *m = c->model;
    if (m->host_ids) {
        ids_of_host(c, m->host_ids);
        return;
    }
    c->revidr = m->revidr, c->ctr = m->ctr, c->clidr = m->clidr, c->fpsid = m->fpsid, c->dczid = 4;
    for (unsigned i = 0; i < ARRAY_LEN(m->ccsidr); i++)
        c->ccsidr[i] = m->ccsidr[i];
    ids64(c);
    if (m->ids32)
        ids32_given(c, m->ids32);
    else
        ids32_derived(c);
    if (!c->has.pmuv3)
        c->id_dfr0 &= ~UINT64_C(0x0f000000);
    c->mpuir = (uint64_t)m->mpu_regions << 8;
    c->reset_sctlr = c->has.aarch64 ? 0x30c50838 : m->sctlr ? m->sctlr : 0x00c50838;
    if (!c->fpsid && c->has.vfp2)
        c->fpsid = 0x41034070;
}

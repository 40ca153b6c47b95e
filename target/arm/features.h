/* SPDX-License-Identifier: MIT */
/* What an Arm CPU model has: the questions that decoders and system registers ask. */
#ifndef TARGET_ARM_FEATURES_H
#define TARGET_ARM_FEATURES_H

#include <stdbool.h>

/* X(field): names follow the architecture's FEAT_ names, in lower case; models.c sets them, ID registers must agree. */
#define ARM_FEATURES(X) \
    /* profiles and states */ \
    X(aarch64) X(aarch32_el0) X(aarch32_el1) X(m_profile) X(r_profile) X(el2) X(el3) X(secure_el2) \
    X(v4t) X(v5) X(v6) X(v6k) X(v7) X(v7ve) X(v8) X(v8_1) X(v8_2) X(v8_3) X(v8_4) X(v8_5) X(v8_6) \
    X(thumb2) X(thumb_div) X(arm_div) X(thumbee) X(jazelle) X(lpae32) X(pmsa) X(pxn) X(mpidr) \
    X(v6m) X(v7m) X(v7em) X(v8m) X(v8m_main) X(v8_1m) X(m_security) X(m_mve_int) X(m_mve_fp) X(m_lob) X(m_fpu) \
    X(m_fpu_dp) \
    /* AArch32 FP and SIMD */ \
    X(vfp2) X(vfp3) X(vfp_d32) X(vfp4) X(vfp_fp16) X(neon) X(fp_v8) X(vfp_dp) \
    /* AArch64 and v8 */ \
    X(fp) X(simd) X(fp16) X(fhm) X(bf16) X(i8mm) X(dotprod) X(rdm) X(jscvt) X(fcma) X(frintts) \
    X(aes) X(pmull) X(sha1) X(sha256) X(sha512) X(sha3) X(sm3) X(sm4) X(crc32) \
    X(lse) X(lse2) X(lor) X(lrcpc) X(lrcpc2) X(flagm) X(flagm2) X(dpb) X(dpb2) X(sb) X(ssbs) X(specres) X(rng) X(bti) \
    X(pauth) X(pauth_qarma5) X(pauth2) X(fpac) \
    X(mte) X(mte2) X(sve) X(sve2) X(sve2_aes) X(sve2_bitperm) X(sve2_sha3) X(sve2_sm4) X(sve_f32mm) X(sve_f64mm) \
    X(pan) X(pan2) X(uao) X(vhe) X(hpds) X(lpa) X(lva) X(ttst) X(ttl) X(xnx) X(hafdbs) X(vmid16) X(cnp) X(tlbios) \
    X(tlbirange) X(nv) X(nv2) \
    X(ras) X(dit) X(pmuv3) X(sel2) X(evt) X(ecv) X(fgt) X(wfxt) X(mops) X(ls64) X(idst) X(bbm) \
    X(gran16) X(gran64) X(gentimer) X(pan3) X(lpa2) X(dsp) X(v8debug2) X(csv2) X(csv3) X(dgh) X(mmu_v6)
typedef struct ArmFeatures {
#define X(f) bool f;
    ARM_FEATURES(X)
#undef X
} ArmFeatures;

/*
 * What the translator and target/arm implement: models are cut down to it, so that nothing else is ever advertised
 * (models.c).
 */
extern const ArmFeatures arm_supported;
#endif

/* SPDX-License-Identifier: MIT */
/* CPU models: names, features, identification registers. */
#ifndef TARGET_ARM_MODELS_H
#define TARGET_ARM_MODELS_H

#include "target/arm/board.h"
#include "target/arm/cpu.h"

/* A32-only models give their ID registers as the manual prints them; for others they follow from the features. */
typedef struct ArmIds32 {
    uint32_t pfr0, pfr1, dfr0, afr0, mmfr[4], isar[5], mvfr0, mvfr1, dbgdidr;
} ArmIds32;

struct ArmModel {
    const char *name, *desc;
    uint32_t midr, revidr, ctr, fpsid;
    uint32_t clidr, ccsidr[6];      /* by CSSELR */
    uint32_t sctlr;                 /* reset value of SCTLR, 0: the architecture's */
    uint8_t pa_range;               /* ID_AA64MMFR0_EL1.PARange; AArch32: 0 = 32 bits, 2 = 40 bits */
    uint8_t breakpoints, watchpoints, pmu_counters;
    uint32_t cntfrq;
    const ArmIds32 *ids32;
    ArmFeatures has;
    uint8_t sve_lengths;            /* bit n: SVE vectors of (n + 1) * 128 bits */
    uint8_t mpu_regions;            /* PMSA, M-profile */
    /* what arm_host_ids() took of the host's CPU, which then has nothing but the table's words; NULL elsewhere */
    const uint64_t *host_ids;
    bool big_mpidr;                 /* affinity starts at bit 8, MT set (DynamIQ cores) */
};

/*
 * Set everything of `c` that the model fixes from "name,+feat,-feat,prop=value,...", with EL2 and EL3 as the board has
 * them. Errors name the wrong part and the nearest valid name. `arch_id`: the MPIDR affinity.
 */
bool arm_model_apply(ArmCpu *c, const char *text, const ArmBoardCpus *board, uint32_t arch_id, Error **errp);
/* ID registers from the features (and back: nothing is advertised that `has` lacks). */
void arm_model_ids(ArmCpu *c);
unsigned arm_phys_bits(const ArmCpu *c);
/* The model "host", which "max" is then, too; NULL: there is none. It is not copied. */
void arm_models_set_host(const ArmModel *host);
/* The identification registers of `c` as a model keeps them (static: the last call's). */
const uint64_t *arm_host_ids(const ArmCpu *c);
/* The features that the identification registers of an AArch64 CPU tell. */
void arm_features_of_ids(const ArmCpu *c, ArmFeatures *out);
void arm_models_print_help(GString *out);
const char *const *arm_model_names(void); /* NULL-terminated */
/* The model of that name without its options, or NULL. */
const ArmModel *arm_model_find(const char *name);
#endif

/* SPDX-License-Identifier: MIT */
/* Private to the translation files of target/arm: regimes, faults, results of walks. */
#ifndef TARGET_ARM_MMU_H
#define TARGET_ARM_MMU_H

#include "target/arm/system.h"

typedef enum FaultType {
    FAULT_NONE,
    FAULT_ADDRESS_SIZE,
    FAULT_TRANSLATION,
    FAULT_ACCESS_FLAG,
    FAULT_PERMISSION,
    FAULT_EXTERNAL,
    FAULT_EXTERNAL_WALK,
    FAULT_ALIGNMENT,
    FAULT_DOMAIN,
    FAULT_BACKGROUND,
    FAULT_UNSUPPORTED_ATOMIC
} FaultType;

typedef struct MmuFault {
    uint8_t type;
    int8_t level;      /* -1..3 */
    bool stage2;       /* of stage 2: ipa is valid */
    bool s1ptw;        /* ... while stage 1's tables were read */
    uint8_t domain;    /* short descriptors */
    uint64_t ipa;
} MmuFault;

/* A translation regime with the registers that control it. */
typedef struct Regime {
    unsigned el;       /* whose registers; AArch32 Secure PL1: 3 */
    bool user, pan, two_ranges, aa64, stage2;
    uint64_t sctlr, tcr, hcr;
} Regime;

typedef struct MmuOut {
    hwaddr pa;         /* of the address itself */
    uint8_t page_bits;
    bool r, w, x, global, device, guarded, tbi;
    bool ns;           /* Secure tables: leads to Non-secure memory */
    uint8_t attr;      /* MAIR byte (long) */
    uint8_t sh;
} MmuOut;

/* DC, AT and probes: flags beside AccessKind. */
typedef struct MmuAccess { AccessKind kind; bool probe; } MmuAccess;

Regime arm_regime(const ArmCpu *c, unsigned bank);
/* Both stages. false: fault. Nothing is recorded. */
bool arm_translate_va(ArmCpu *c, const Regime *r, uint64_t va, MmuAccess a, MmuOut *out, MmuFault *f);
bool arm_stage1(ArmCpu *c, const Regime *r, uint64_t va, MmuAccess a, MmuOut *out, MmuFault *f);
bool arm_stage2(ArmCpu *c, uint64_t ipa, MmuAccess a, bool user, bool s1_walk, MmuOut *out, MmuFault *f);
bool arm_walk_long(ArmCpu *c, const Regime *r, uint64_t va, MmuAccess a, MmuOut *out, MmuFault *f);
bool arm_walk_short(ArmCpu *c, const Regime *r, uint32_t va, MmuAccess a, MmuOut *out, MmuFault *f);
bool arm_pmsa(ArmCpu *c, const Regime *r, uint32_t va, MmuAccess a, MmuOut *out, MmuFault *f);
/*
 * Read a descriptor of stage 1 through stage 2; false: fault (an external abort: the caller knows the level). *pa:
 * where it stands.
 */
bool arm_read_descriptor(ArmCpu *c, const Regime *r, uint64_t at, unsigned size, uint64_t *desc, hwaddr *pa,
                         MmuFault *f);
static inline bool mmu_fault(MmuFault *f, FaultType type, int level)
{
    *f = (MmuFault){ .type = (uint8_t)type, .level = (int8_t)level };
    return false;
}
static inline bool mmu_allowed(const MmuOut *o, AccessKind kind)
{
    return kind == ACCESS_READ ? o->r : kind == ACCESS_WRITE ? o->w : o->x;
}
uint32_t arm_fsc_long(const MmuFault *f);
uint32_t arm_fsr_short(const MmuFault *f);
/* Does AArch32 at that regime use long descriptors? */
static inline bool regime_long(const ArmCpu *c, const Regime *r)
{
    return r->aa64 || r->el == 2 || (c->has.lpae32 && r->tcr & BIT(31));
}
#endif

/* SPDX-License-Identifier: MIT */
/* What the A64 emitters share. */
#ifndef TARGET_ARM_TCG_A64_H
#define TARGET_ARM_TCG_A64_H

#include "target/arm/tcg/translate.h"
#include "target/arm/tcg/a64.decode.h"

/* Operand size of a row with sf. */
static inline unsigned a64_size(const A64Insn *i) { return i->sf ? 8 : 4; }
/* SP has been written: is it still known to be aligned after it moved by n? */
static inline void a64_sp_moved(ArmTrans *x, unsigned rd, int64_t n)
{
    if (rd == 31 && n & 15)
        x->sp_checked = false;
}
/* rd = value, and what follows may build on it. */
void a64_set_known(ArmTrans *x, unsigned rd, uint64_t value);
/* The last insn has left *value in rn. */
bool a64_known(const ArmTrans *x, unsigned rn, uint64_t *value);
/* Register rm, 31 = 0, shifted (type 0 LSL, 1 LSR, 2 ASR, 3 ROR). */
IrRef a64_shifted(ArmTrans *x, unsigned size, unsigned rm, unsigned type, unsigned amount);
/* Register rm extended by option (UXTB ... SXTX) and shifted left; a temporary unless it is rm itself. */
IrRef a64_extended(ArmTrans *x, unsigned size, unsigned rm, unsigned option, unsigned amount);
/* The base of an access, 31 = SP, after the pre-index, or before the post-index, is written back. */
void a64_writeback(ArmTrans *x, unsigned rn, int64_t imm);
/* d = the real NZCV in bits 31:28; the flags in mask (bits 31:28) from value, which is not kept. */
void a64_get_nzcv(ArmTrans *x, IrRef d);
void a64_put_nzcv(ArmTrans *x, IrRef value, uint32_t mask);
/* Bits of FLAG_* that stand for a constant NZCV (3:0). */
uint32_t a64_flag_bits(unsigned nzcv);

/* d = pointer with its code added, or checked: `what` as arm_help_pauth. Raises before d is written. */
void a64_pauth(ArmTrans *x, IrRef d, IrRef ptr, ArmArg modifier, unsigned what);

/* --- help-a64.c --- */
uint64_t arm_help_crc32(Vcpu *v, uint64_t crc, uint64_t data, uint64_t bytes);        /* GP */
uint64_t arm_help_stxp(Vcpu *v, uint64_t va, uint64_t low, uint64_t high);            /* R: 0 stored, 1 not */
/* R: regs = rs | rt << 8; g[rs], g[rs+1] changed */
void arm_help_casp(Vcpu *v, uint64_t va, uint64_t regs, uint64_t is64);
/* RF: tags: 0 data, 1 tags (GVA), 2 both (GZVA) */
void arm_help_zva(Vcpu *v, uint64_t va, uint64_t iss, uint64_t tags);
/* --- help-pauth.c --- */
enum { PAUTH_IA, PAUTH_IB, PAUTH_DA, PAUTH_DB, PAUTH_ADD = 0, PAUTH_CHECK = 4 /* | key */, PAUTH_COMBINED = 8 };
/* GP; RP when EL2 or EL3 may trap: a64_pauth() */
uint64_t arm_help_pauth(Vcpu *v, uint64_t ptr, uint64_t modifier, uint64_t what);
uint64_t arm_help_pacga(Vcpu *v, uint64_t value, uint64_t modifier, uint64_t unused); /* RF */
uint64_t arm_help_xpac(Vcpu *v, uint64_t ptr, uint64_t data, uint64_t unused);        /* P */
/* --- help-mte.c --- */
uint64_t arm_help_irg(Vcpu *v, uint64_t ptr, uint64_t exclude, uint64_t unused);      /*   */
uint64_t arm_help_addg(Vcpu *v, uint64_t ptr, uint64_t offset, uint64_t tag_offset);  /* P */
uint64_t arm_help_ldg(Vcpu *v, uint64_t va, uint64_t old, uint64_t unused);           /* R */
/* R: bit 0 pair, bit 1 zero the data too */
void arm_help_stg(Vcpu *v, uint64_t va, uint64_t ptr, uint64_t what);
uint64_t arm_help_ldgm(Vcpu *v, uint64_t va, uint64_t a, uint64_t b);                 /* R */
void arm_help_stgm(Vcpu *v, uint64_t va, uint64_t tags, uint64_t zero);               /* R */
#endif

/* SPDX-License-Identifier: MIT */
/* Where capstone 4.0.2 differs from the manuals: each entry says what it gets wrong. */
#ifndef TESTS_DECODE_CAPSTONE_ERRORS_H
#define TESTS_DECODE_CAPSTONE_ERRORS_H

enum { IN16 = 1, IN32 = 2, IN64 = 4, INALL = 7 };

/*
 * ours: the name by our table, "(#UD)" for none; theirs: how capstone's name starts, "" when it finds no instruction.
 */
static const struct { const char *ours, *theirs; unsigned modes; const char *why; } capstone_errors[] = {
    { "ud0", "", INALL, "the ModRM byte of UD0 (SDM: UD) is unknown to it" },
    { "ud0", "ud0", INALL, "the same" },
    { "ud1", "ud2b", INALL, "takes the ModRM byte without SIB and displacement" },
    { "lfence", "", INALL, "0F AE /5 with any rm is LFENCE (SDM: LFENCE)" },
    { "mfence", "", INALL, "the same" },
    { "sfence", "", INALL, "the same" },
    { "prefetchw", "", INALL, "0F 0D /2../7 with memory are reserved prefetches (APM: PREFETCHlevel)" },
    { "nop", "", INALL, "0F 0D, 0F 18 .. 0F 1F are reserved NOPs with any ModRM (SDM table A-3)" },
    { "prefetch", "nop", INALL, "0F 18 with memory: hints or NOPs, no difference" },
    { "prefetch", "prefetch", INALL, "the level of the hint is not a row here" },
    { "rdpid", "rdseed", INALL, "RDPID is F3 0F C7 /7" },
    { "mov", "", IN64, "REX.R does not select a segment register: it is ignored" },
    { "(#UD)", "mov", INALL, "MOV to CS, and control and debug registers that do not exist" },
    { "insd", "insw", IN64, "REX.W before 66: the operand size is 64, INS uses 32 bits" },
    { "outsd", "outsw", IN64, "the same" },
    { "clwb", "xsaveopt", INALL, "CLWB is 66 0F AE /6" },
    { "clflush", "clflushopt", INALL, "F2 and F3 count before 66" },
    { "pause", "xchg", INALL, "F3 90 is PAUSE whatever REX.W" },
    { "cbw", "cwde", IN16, "names of the 32-bit default" },
    { "cwd", "cdq", IN16, "the same" },
    { "jecxz", "jcxz", IN16, "the same" },
    { "popfq", "popf", IN64, "REX.W wins over 66" },
    { "pushfq", "pushf", IN64, "the same" },
    /* names only */
    { "movlps", "movhlps", INALL, "the register form has a name of its own" },
    { "movhps", "movlhps", INALL, "the same" },
    { "fucompi", "fucomip", INALL, "FUCOMIP" },
    { "fcompi", "fcomip", INALL, "FCOMIP" },
    { "movq", "movd", INALL, "REX.W" },
    { "cvtsi2ssl", "cvtsi2ss", INALL, "the suffix is ours" },
    { "cvtsi2ssq", "cvtsi2ss", INALL, "the same" },
    { "cvtsi2sdl", "cvtsi2sd", INALL, "the same" },
    { "cvtsi2sdq", "cvtsi2sd", INALL, "the same" },
    { "cmpps", "cmp", INALL, "the predicate is part of the name" },
    { "cmppd", "cmp", INALL, "the same" },
    { "cmpss", "cmp", INALL, "the same" },
    { "cmpsd", "cmp", INALL, "the same" },
};

/* Its 16-bit mode does not know mandatory prefixes, nor opcodes that have forms with them. */
static bool beyond_capstone(const X86Op *op, unsigned bits)
{
    return bits == 16 && op->match & (X86M_NP66 | X86M_PF3 | X86M_PF2);
}

/* 66 before a near branch in 64-bit code: capstone has AMD's rule (16 bits), we have Intel's (ignored). */
static bool near_branch_66(const X86Insn *i)
{
    return i->bits == 64 && i->p66 && i->op && i->op->attr & X86A_F64;
}

static bool capstone_is_wrong(const X86Insn *i, bool ok, const char *name, const cs_insn *theirs)
{
    const char *other = theirs ? skip_prefix_words(theirs->mnemonic) : "";
    if (ok && (near_branch_66(i) || beyond_capstone(i->op, i->bits)))
        return true;
    if (ok && i->rex & 8 && i->asize == 4 && i->op->match & X86M_NP) /* it takes 67 REX.W for 66 */
        return true;
    for (unsigned n = 0; n < ARRAY_LEN(capstone_errors); n++) {
        if (strcmp(name, capstone_errors[n].ours) || !(capstone_errors[n].modes & i->bits >> 4))
            continue;
        if (*capstone_errors[n].theirs ? g_str_has_prefix(other, capstone_errors[n].theirs) : !*other)
            return true;
    }
    return false;
}
#endif

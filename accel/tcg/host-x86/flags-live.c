/* SPDX-License-Identifier: MIT */
/* Which of the flags somebody still reads, at each op of a block. */
#include "accel/tcg/host-x86/jit.h"
#include "accel/tcg/vec.h"

unsigned flags_read_by(IrCond c)
{
    static const uint8_t g[8] = { GROUP_O, GROUP_C, GROUP_R, GROUP_C | GROUP_R, GROUP_R, GROUP_R, GROUP_RO, GROUP_RO };
    return g[c >> 1 & 7];
}

static bool is_access(const IrInsn *i)
{
    return i->op != IR_PREFETCH && (i->d == IR_MEM || i->a == IR_MEM || i->b == IR_MEM || i->op == IR_XCHG ||
                                    i->op == IR_XADD || i->op == IR_CMPXCHG);
}

/* Groups that the op sets whatever happens (kill), needs before it, given what is needed after it. */
static void effects(const IrInsn *i, unsigned after, unsigned *kill, unsigned *use)
{
    unsigned merge = need_groups(after); /* for ops that keep some of what they do not set: they read it */
    bool setf = i->flags & IR_SETF;
    *kill = *use = 0;
    switch ((IrOp)i->op) {
    case IR_ADC: case IR_SBB: *use = NEED_READ_C; *kill = setf ? GROUP_ALL : 0; break;
    case IR_INC: case IR_DEC: *kill = setf ? GROUP_RO : 0; break;
    case IR_SHL: case IR_SHR: case IR_SAR:
        if (setf && i->b == IR_IMM && i->imm & (i->size == 8 ? 63 : 31))
            *kill = GROUP_ALL;
        else
            *use = setf ? merge : 0;
        break;
    case IR_ROL: case IR_ROR: case IR_SHLD: case IR_SHRD: *use = setf ? merge : 0; break;
    case IR_RCL: case IR_RCR: *use = NEED_READ_C | (setf ? merge : 0); break;
    case IR_BT: case IR_BTS: case IR_BTR: case IR_BTC: *kill = setf ? GROUP_C : 0; break;
    case IR_SETCC: case IR_CMOV: case IR_BRCC: case IR_GOTOCC: *use = flags_read_by(i->cond); break;
    case IR_GETF: *use = NEED_READ; break;
    case IR_PUTF:
        if ((i->imm & FLAG_ALL) == FLAG_ALL)
            *kill = GROUP_ALL;
        else if ((i->imm & FLAG_ALL) == FLAG_C)
            *kill = GROUP_C;
        else
            *use = merge;
        break;
    case IR_CCMP: case IR_CCMN: *use = flags_read_by(i->cond); *kill = GROUP_ALL; break;
    case IR_SETNZ: *kill = GROUP_R; break;
    case IR_CMC: *use = NEED_READ_C; *kill = GROUP_C; break;
    case IR_CALL:
        *kill = i->flags & IR_CALL_WRITES_FLAGS ? GROUP_ALL : 0;
        *use = (i->flags & IR_CALL_READS_FLAGS ? NEED_READ | NEED_SEEN : 0) |
               (i->flags & IR_CALL_RAISES ? NEED_SEEN : 0);
        break;
    case IR_DIVU: case IR_DIVS: *use = NEED_SEEN; break;
    case IR_UDIV: case IR_SDIV:
    case IR_MOV:
    case IR_NOT:
    case IR_ZEXT:
    case IR_SEXT:
    case IR_LEA:
    case IR_BSWAP:
    case IR_RBIT:
    case IR_PDEP:
    case IR_PEXT:
    case IR_CRC32C: case IR_XCHG: case IR_LDE: case IR_STE: case IR_INSN: case IR_BR: case IR_BRZ: case IR_BRNZ:
    case IR_LABEL:
    case IR_PREFETCH: case IR_FENCE: break;
    case IR_GOTO: case IR_JMP: case IR_EXIT: case IR_LOOKUP: *kill = GROUP_ALL; *use = NEED_SEEN; break;
    case IR_CHECK: case IR_COUNT: case IR_TRAPNZ: case IR_GOTOZ: case IR_GOTONZ: *use = NEED_SEEN; break;
    case IR_SIMD: break;
    case IR_VEC: *kill = vec_info[i->vec].shape == VEC_SHAPE_F ? GROUP_ALL : 0; break;
    default: *kill = setf ? GROUP_ALL : 0; break;
    }
    if (i->op == IR_GOTOCC)
        *use |= NEED_SEEN;
    if (is_access(i) && i->op != IR_LEA)
        *use |= NEED_SEEN;
}

void flags_analyse(Jit *j)
{
    const IrBlock *b = j->ir;
    uint8_t at_label[IR_MAX_LABELS];
    memset(at_label, NEED_ALL, sizeof at_label); /* a jump backwards finds this */
    unsigned live = NEED_ALL;
    for (unsigned k = b->count; k-- > 0;) {
        const IrInsn *i = &b->insn[k];
        if (i->op == IR_BR)
            live = at_label[i->imm];
        else if (i->op == IR_BRCC || i->op == IR_BRZ || i->op == IR_BRNZ)
            live |= at_label[i->imm];
        unsigned kill, use;
        effects(i, live, &kill, &use);
        if (!tcg.opt.opt_flags)
            live = NEED_ALL, use = NEED_ALL;
        j->after[k] = (uint8_t)live;
        j->keep[k] = (uint8_t)(live & ~group_needs(kill));
        live = j->keep[k] | use;
        j->before[k] = (uint8_t)live;
        if (i->op == IR_LABEL)
            at_label[i->imm] = (uint8_t)live;
    }
    j->block->kills_flags = tcg.opt.opt_flags && j->before[0] == 0;
}

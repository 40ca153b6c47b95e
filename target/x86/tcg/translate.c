/* SPDX-License-Identifier: MIT */
/* Guest code → IR block: fetch, decode, emit, and where a block ends (GuestArch.translate). */
#include "target/x86/tcg/translate.h"
#include "target/x86/models.h"
#include "target/x86/tcg/emit.h"

enum { LONGEST_INSN = 15, ROOM_OPS = 96, ROOM_LABELS = 8 /* what one instruction can need */ };

uint64_t x86_decode_needs(const X86Cpu *c)
{
    enum { FW_1_EDX = X86_FW_1_EDX, FW_1_ECX = X86_FW_1_ECX, FW_7_EBX = X86_FW_7_EBX, FW_7_ECX = X86_FW_7_ECX,
           FW_EXT1_EDX = X86_FW_EXT1_EDX, FW_EXT1_ECX = X86_FW_EXT1_ECX, FW_D1_EAX = X86_FW_D1_EAX };
    static const struct { uint8_t word, bit; } at[X86_NEED_COUNT] = {
#define X(name, word, bit) [X86_NEED_##name] = { FW_##word, bit },
        X86_NEEDS(X)
#undef X
    };
    uint64_t mask = 1;
    for (unsigned n = 1; n < X86_NEED_COUNT; n++)
        mask |= (uint64_t)(c->feature[at[n].word] >> at[n].bit & 1) << n;
    return mask;
}

static void setup(X86Trans *x, Vcpu *v, TransCtx *t)
{
    uint64_t mode = t->b->mode;
    *x = (X86Trans){
        .t = t,
        .c = x86_cpu(v),
        .mode = mode,
        .bits = mode & X86_MODE_CS64 ? 64 : mode & X86_MODE_CS32 ? 32 : 16,
        .ss_size = mode & X86_MODE_CS64 ? 8 : mode & X86_MODE_SS32 ? 4 : 2,
        .bank = x86_bank(mode),
        .protected = (mode & (X86_MODE_PE | X86_MODE_VM86)) == X86_MODE_PE,
        .needs = x86_decode_needs(x86_cpu(v)),
        .stepping = mode & (X86_MODE_TF | X86_MODE_DATA_BP),
        .pc = t->b->pc,
        .cs_base = t->b->linear - t->b->pc,
    };
    x->one = x->stepping || mode & X86_MODE_SHADOW || t->max_insns == 1;
}

/* Linear address of code; outside 64-bit code it wraps at 4 GiB. */
static uint64_t code_linear(const X86Trans *x, uint64_t pc)
{
    uint64_t linear = x->cs_base + pc;
    return x->bits == 64 ? linear : (uint32_t)linear;
}

/* The instruction reaches into the second page: its bytes are fetched one by one, no more than it has. */
static X86DecodeStatus fetch_across(X86Trans *x, X86Insn *i, const uint8_t *first, unsigned avail)
{
    uint8_t code[LONGEST_INSN];
    X86DecodeStatus status = X86D_MORE;
    memcpy(code, first, avail);
    while (status == X86D_MORE && avail < LONGEST_INSN) {
        code[avail] = trans_fetch8(x->t, code_linear(x, x->pc + avail));
        if (x->t->fetch_failed)
            return X86D_MORE;
        i->pc = x->pc;
        status = x86_decode(i, code, ++avail, x->bits, x->protected, x->needs);
    }
    return status;
}

static X86DecodeStatus fetch(X86Trans *x, X86Insn *i)
{
    TransCtx *t = x->t;
    uint64_t at = code_linear(x, x->pc);
    unsigned avail = MIN(t->page_end - at, LONGEST_INSN);
    const uint8_t *code = t->page[0] + (at - t->linear_page);
    i->pc = x->pc;
    X86DecodeStatus status = x86_decode(i, code, avail, x->bits, x->protected, x->needs);
    if (status == X86D_MORE && avail < LONGEST_INSN && t->b->guest_insns == 0)
        status = fetch_across(x, i, code, avail);
    return status;
}

/* #UD and #GP(0) that the row or the mode asks for. */
static bool allowed(X86Trans *x, const X86Insn *i)
{
    unsigned attr = i->op->attr;
    if (attr & X86A_PROT && !x->protected) {
        x86_raise_now(x, X86_UD);
        return false;
    }
    if (attr & X86A_CPL0 && x->mode & X86_MODE_CPL) {
        x86_raise_gp0(x);
        return false;
    }
    return true;
}

static void translate_insn(X86Trans *x, const X86Insn *i, X86DecodeStatus status)
{
    bool check = x->check_next;
    x->pc = i->next_pc;
    if (x->mode & X86_MODE_CODE_BP)
        x86_call(x, x86_help_code_bp, H_R | H_F | H_P, IR_NONE, A_IMM(i->pc), A_NONE, A_NONE);
    if (status == X86D_TOO_LONG)
        x86_raise_gp0(x);
    else if (status == X86D_UD)
        x86_raise_now(x, X86_UD);
    else if (allowed(x, i))
        i->op->emit(x, i);
    if (x->ended)
        return;
    if (x->stepping)
        x86_end_next(x, i);
    else if (x->mode & X86_MODE_SHADOW)
        x86_end_exit(x, i);
    if (check && !x->ended) {
        ir_goto(x->t, IR_CHECK, x->pc);
        x->check_next = false;
    }
}

/* The first instruction can't be fetched: its fault is the block. */
static void fetch_fault(X86Trans *x)
{
    uint64_t at = x->t->page_end;
    x86_call(x, trans_fetch_fault, H_R | H_P, IR_NONE, A_IMM(x->bits == 64 ? at : (uint32_t)at), A_NONE, A_NONE);
    ir_emit(x->t, IR_LOOKUP, 8); /* not reached */
    x->ended = true;
}

void x86_translate(Vcpu *v, TransCtx *t)
{
    X86Trans x;
    X86Insn i;
    IrBlock *b = t->b;
    setup(&x, v, t);
    do {
        X86DecodeStatus status = fetch(&x, &i);
        if (status == X86D_MORE && b->guest_insns)
            break; /* reaches into the next page: a block of its own */
        ir_temps_reset(t);
        ir_goto(t, IR_INSN, x.pc);
        if (x.mode & X86_MODE_SHADOW)
            x86_call0(&x, x86_help_shadow_end, H_P);
        b->guest_insns++;
        if (status == X86D_MORE) {
            b->guest_bytes = t->page_end - b->linear;
            fetch_fault(&x);
        } else {
            b->guest_bytes = code_linear(&x, i.pc) + i.len - b->linear;
            translate_insn(&x, &i, status);
        }
    } while (!x.ended && !x.one && ir_room_left(x.t, ROOM_OPS, ROOM_LABELS) && code_linear(&x, x.pc) >= b->linear &&
             code_linear(&x, x.pc) < t->page_end);
    if (!x.ended)
        ir_goto(t, IR_GOTO, x.pc);
}

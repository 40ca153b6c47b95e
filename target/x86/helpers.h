/* SPDX-License-Identifier: MIT */
/* Helpers of target/x86 that generated code calls: how to call each stands next to it.
 *
 * Letters in the comments, for the emitter:
 *   R  IR_CALL_RAISES         F  IR_CALL_READS_FLAGS       W  IR_CALL_WRITES_FLAGS
 *   G  IR_CALL_GPR_ONLY       P  IR_CALL_PURE (neither reads nor writes g[] and v[])
 *      (a helper that raises is never called as G: x86_call() drops it, since unwinding would lose the vectors)
 *   N  store the pc of the next insn in X86Cpu.next_pc (STE) before the call
 *   L  the helper has set v->pc (to the target or to next_pc): end the block with IR_LOOKUP
 *   X  the helper leaves v->pc alone; mode may have changed: end the block with EXIT at the next pc (events are polled)
 *   M  the helper leaves v->pc alone; mode may have changed, nothing to poll: store v->pc and end with LOOKUP
 *   .  none of N L X M: go on in the block
 * The third argument is called c in the comments (a3 in the code). `seg` is an X86SegReg; `osize` 2, 4 or 8. Offsets
 * are within the segment, already wrapped to the address size.
 */
#ifndef TARGET_X86_HELPERS_H
#define TARGET_X86_HELPERS_H

#include "target/x86/cpu.h"

#define X86_HELPER(name) uint64_t x86_help_##name(Vcpu *v, uint64_t a, uint64_t b, uint64_t a3)
#define X86_HELPER_VOID(name) void x86_help_##name(Vcpu *v, uint64_t a, uint64_t b, uint64_t a3)

/* --- exceptions and debug --- */
X86_HELPER_VOID(raise);          /* RP   a = vector, no error code; fault at this insn (UD: raise(6), NM: raise(7)) */
X86_HELPER_VOID(raise_err);      /* RP   a = vector, b = error code */
X86_HELPER_VOID(int);            /* RFN  INT n: a = vector (INT3 is INT 3 by opcode CC, INTO when O: vector 4; see b);
                                         b = 1 for CC, CE (no VME redirection, no IOPL check). Never returns */
X86_HELPER_VOID(icebp);          /* RFN  INT1 (F1). Never returns */
X86_HELPER_VOID(shadow_end);     /* P    first op of a block in X86_MODE_SHADOW; . */
X86_HELPER_VOID(
    sti); /* RP   STI with all checks; sets IF; a = 1: also the interrupt shadow when IF was 0, then M.
                  With a = 0 the emitter keeps the next insn in the same block, then CHECK. VME/PVI done here */
X86_HELPER_VOID(cli);            /* RP   CLI with all checks (with X86_MODE_IOPL_OK: STE iflag = 0 does); . */
X86_HELPER_VOID(insn_end); /* RFNL end of each insn in X86_MODE_TF or X86_MODE_DATA_BP, instead of GOTO when the insn
                              did not set v->pc; raises the #DB trap, or sets v->pc = next_pc */
X86_HELPER_VOID(insn_end_jumped); /* RFL  the same after an insn whose helper or emitter has set v->pc already (jumps:
                                     STE v.pc first); a = 1: TF was set when the insn began */
X86_HELPER_VOID(code_bp);        /* RFP  first op of each insn in X86_MODE_CODE_BP; a = pc; . */
/* GP   X86_MODE_DATA_BP: before each access; a = linear address, b = size, c = 1 for writes; . */
X86_HELPER_VOID(data_bp);
/* RGP  X86_MODE_CHECK(seg): a = offset, b = size | seg << 8 | write << 16; raises #GP(0) or #SS(0); . */
X86_HELPER_VOID(seg_check);
/* RGP  X86_MODE_CHECK(SEG_CS): a = target offset of a near branch; #GP(0) beyond the limit; . */
X86_HELPER_VOID(code_check);
X86_HELPER_VOID(divide_error);   /* RP */

/* --- flags --- */
X86_HELPER(read_eflags);         /* FP   whole EFLAGS, also RF and VM; . */
/* RFP  the image PUSHF pushes (RF, VM clear; VME: IF from VIF); a = osize; #GP(0) in VM86; . */
X86_HELPER(pushf);
/* RWP  a = image, b = osize. Result 1: the mode changed, store v->pc and LOOKUP; 0: CHECK, go on */
X86_HELPER(popf);
X86_HELPER_VOID(set_ac);         /* RP   CLAC / STAC: a = 0 / 1; #UD unless CPL 0; M */

/* --- far control transfers; stack, segments, tasks --- */
X86_HELPER_VOID(ljmp);           /* RFNL a = selector, b = offset, c = osize */
X86_HELPER_VOID(lcall);          /* RFNL the same */
X86_HELPER_VOID(lret);           /* RFL  a = osize, b = bytes to add */
/* RFWNL a = osize; what follows is polled: end with LOOKUP, CHECK comes by exit_request */
X86_HELPER_VOID(iret);
X86_HELPER_VOID(syscall);        /* RFWNL */
X86_HELPER_VOID(sysret);         /* RWNL a = osize (4 or 8) */
X86_HELPER_VOID(sysenter);       /* RL */
X86_HELPER_VOID(sysexit);        /* RL   a = osize (4 or 8) */
X86_HELPER_VOID(rsm);            /* RWL  #UD outside SMM */
X86_HELPER_VOID(load_seg); /* R    MOV/POP/Lxx to a segment register (not CS): a = seg, b = selector. ES DS FS GS: M
                                   (64-bit code: go on in the block). SS: M with shadow set. Flags untouched */
X86_HELPER_VOID(lldt);           /* R    a = selector; . */
X86_HELPER_VOID(ltr);            /* R    a = selector; . */
X86_HELPER(sldt);                /* RP   selector (UMIP checked); . */
X86_HELPER(str);                 /* RP   . */
X86_HELPER(smsw);                /* RP   whole CR0: the emitter takes what it needs; . */
/* R    a = linear address of the operand, b = osize; also SS-relative checks are the emitter's; . */
X86_HELPER_VOID(lgdt);
X86_HELPER_VOID(lidt);           /* R    . */
X86_HELPER_VOID(sgdt);           /* R    . */
X86_HELPER_VOID(sidt);           /* R    . */
/* RFW  a = selector, b = old destination, c = osize; result = new destination; sets Z; . */
X86_HELPER(lar);
X86_HELPER(lsl);                 /* RFW  . */
X86_HELPER_VOID(verr);           /* RFW  a = selector; . */
X86_HELPER_VOID(verw);           /* RFW  . */
/* R    a = allocation, b = level (0..31), c = osize: all of it, RBP and RSP included; . */
X86_HELPER_VOID(enter);
X86_HELPER_VOID(bound);          /* RP   a = index (sign-extended), b = lower, c = upper: #BR; . */
X86_HELPER_VOID(swapgs);         /* RP   . */
X86_HELPER(rdfsgs);              /* RP   a = seg: its base (#UD without CR4.FSGSBASE); . */
X86_HELPER_VOID(wrfsgs);         /* RP   a = seg, b = value (already zero-extended); . */

/* --- system registers --- */
X86_HELPER(read_cr);             /* R    a = number (0 2 3 4 8); CPL 0 checked; . */
X86_HELPER_VOID(write_cr);       /* RF   a = number, b = value; X (CR8: .) */
X86_HELPER(read_dr);             /* R    a = number; . */
X86_HELPER_VOID(write_dr);       /* RF   a = number, b = value; X */
X86_HELPER_VOID(clts);           /* R    X or M */
X86_HELPER_VOID(lmsw);           /* RF   a = value; X */
X86_HELPER_VOID(invlpg);         /* R    a = linear address; X */
X86_HELPER_VOID(invpcid);        /* R    a = type, b = linear address of the descriptor; X */
X86_HELPER_VOID(wbinvd);         /* RP   also INVD, WBNOINVD; CPL check; . */
X86_HELPER_VOID(cpuid);          /* .    EAX ECX in, EAX EBX ECX EDX out (R with CPL faulting: never here) */
X86_HELPER_VOID(rdmsr);          /* R    . */
X86_HELPER_VOID(wrmsr);          /* RF   X */
X86_HELPER_VOID(rdtsc);          /* R    EDX:EAX; . */
X86_HELPER_VOID(rdtscp);         /* R    . */
X86_HELPER(rdpid);               /* P    TSC_AUX; . */
X86_HELPER_VOID(rdpmc);          /* R    . */
X86_HELPER_VOID(xgetbv);         /* R    . */
X86_HELPER_VOID(xsetbv);         /* R    X */
X86_HELPER(rdrand);              /* WP   a = size: the number (C = 1, other flags 0); . */
X86_HELPER(rdseed);              /* WP   . */
/* RFN  CPL 0; sets v->pc = next_pc and halts: end with LOOKUP (the helper unwinds: never returns) */
X86_HELPER_VOID(hlt);
X86_HELPER_VOID(monitor);        /* R    a = linear address; checks ECX = 0; . */
X86_HELPER_VOID(mwait);          /* RFN  as hlt */
X86_HELPER_VOID(pause);          /* .    spin hint; a block may also ignore it */
/* RP   a = 1 for WAIT (TS with MP), 0 for x87, MMX (EM: #NM; MMX: the emitter tests EM for #UD): #NM by CR0; . */
X86_HELPER_VOID(fpu_check);

/* --- ports; a = port (16 bits) --- */
X86_HELPER(in);                  /* R    b = size; IOPL, bitmap and I/O breakpoints checked; . */
/* R    b = size, c = value; end with CHECK (the device may have stopped or reset us); . */
X86_HELPER_VOID(out);
X86_HELPER_VOID(ins); /* R    one iteration: a = offset of the destination in ES, b = size, c = address size; port in
                         DX; indexes and counts are the emitter's; . */
X86_HELPER_VOID(outs);           /* R    a = offset of the source, b = size | seg << 8; . */

/* --- decimal and odd arithmetic (help-bcd.c): on AX in place --- */
X86_HELPER_VOID(daa);            /* GFW  . */
X86_HELPER_VOID(das);            /* GFW  . */
X86_HELPER_VOID(aaa);            /* GFW  . */
X86_HELPER_VOID(aas);            /* GFW  . */
X86_HELPER_VOID(aam);            /* RGW  a = base; #DE when 0; . */
X86_HELPER_VOID(aad);            /* GW   a = base; . */
X86_HELPER_VOID(cmpxchg16b);     /* RFW  a = linear address (64-bit offset + base): #GP when misaligned; sets Z; . */
X86_HELPER_VOID(cmpxchg8b);      /* RFW  a = linear address; . (or the emitter's own) */
#endif

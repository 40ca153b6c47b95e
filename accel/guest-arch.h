/* SPDX-License-Identifier: MIT */
/* What an accelerator knows of a guest architecture: one const table of functions. */
#ifndef ACCEL_GUEST_ARCH_H
#define ACCEL_GUEST_ARCH_H

#include "accel/gdb-regs.h"
#include "accel/vcpu.h"
#include "hw/core/memory.h"

typedef enum AccessKind { ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH } AccessKind;

/* Result of a page walk. */
typedef struct WalkResult {
    hwaddr phys;        /* of the 4 KiB page's first byte, whatever the size of the mapping */
    /*
     * Size of the mapping: 12, 21, 22, 30 ... for exact invalidation of large pages. Below 12: the answer holds for
     * that naturally aligned piece only, and each access and each fetch there walks; then it is below 12 for all
     * addresses of the page.
     */
    uint8_t page_bits;
    bool readable, writable, executable; /* now, without further side effects: writable only once D is set */
    bool global;        /* survives an address-space switch */
    bool aligned;       /* data accesses must be multiples of their size (Arm: Device memory), else arch->misaligned */
    bool top_byte_ignored; /* va's bits 63:56 made no difference */
} WalkResult;

typedef struct TransCtx TransCtx; /* accel/tcg/trans.h */

struct GuestArch {
    const char *name;             /* "x86_64" */
    unsigned gregs;               /* in use */
    const uint8_t *home_order;    /* greg numbers, hottest first, ended by 0xff: who gets host registers */
    /* V numbers (temporaries too) for IR op SIMD, likewise; NULL: V(0..15), which op VEC needs */
    const uint8_t *vec_home_order;
    unsigned banks;               /* TLB banks in use */
    /* Banks that generated code uses only in modes whose code is fetched through them: what they hold outlasts changes
     * of the address space and back that other modes make. */
    uint8_t own_banks;
    /*
     * The host register (by the back end's name, "x86-64") that greg g should live in (x86 on x86: rax, rcx, rdx); -1:
     * any.
     */
    int8_t (*preferred_home)(const char *host, unsigned g);

    /* Translate one guest block into IR (accel/tcg/trans.h); reads code through trans_fetch*(). Never raises. */
    void (*translate)(Vcpu *v, TransCtx *t);
    /* The linear address of code at v->pc and the bank to fetch it through. */
    uint64_t (*code_address)(const Vcpu *v, unsigned *bank);

    /*
     * Translate a virtual address. May set accessed/dirty bits (atomically, in guest RAM). Called in the vCPU's thread.
     * probe: no fault is recorded and A/D not set. false: not allowed; unless probe, the target has recorded the
     * exception (the caller then unwinds).
     */
    bool (*walk)(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank, bool probe, WalkResult *out);
    /*
     * The bus refused an access; may be NULL. It may record an exception and unwind: the access has not been done, the
     * state is that of the guest instruction (one that also reads the location may have changed registers).
     */
    void (*bus_error)(Vcpu *v, uint64_t va, hwaddr pa, AccessKind kind);
    /*
     * An access at va that IrMem.align (bytes: `align`) forbids: record the exception; the caller unwinds. x86: 16 is
     * #GP(0), else #AC.
     */
    void (*misaligned)(Vcpu *v, uint64_t va, AccessKind kind, unsigned align);
    /* A block that ends with a divide error, see IR_DIVU/IR_DIVS: record the exception; the caller unwinds. */
    void (*divide_error)(Vcpu *v);

    /* Run loop, own thread, outside generated code, v precise. */
    void (*deliver)(Vcpu *v);       /* deliver the recorded exception (may itself unwind on a nested fault) */
    bool (*poll)(Vcpu *v);          /* take events and interrupts now deliverable; false: stay halted */
    bool (*has_work)(Vcpu *v);      /* would poll() wake a halted CPU? any thread */
    void (*reset)(Vcpu *v);
    void (*set_pc)(Vcpu *v, uint64_t pc); /* as CpuPortOps.set_pc; NULL: v->pc = pc */
    MemAttrs (*attrs)(const Vcpu *v);
    void (*print_regs)(Vcpu *v, GString *out);     /* `info registers`, -d cpu */
    /* one insn: its length */
    int (*disassemble)(uint64_t mode, uint64_t pc, const uint8_t *code, unsigned len, GString *out);
    const GdbTarget *(*gdb)(const Vcpu *v);        /* registers as a debugger sees them; NULL: none */
    const StateField *state;        /* offsets in the target's structure, whose first member is the Vcpu */
};
#endif

/* SPDX-License-Identifier: MIT */
/* A vCPU: its thread, its event lines, and the part of its state that generated code addresses. */
#ifndef ACCEL_VCPU_H
#define ACCEL_VCPU_H

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "accel/debug.h"
#include "hw/core/cpu-port.h"
#include "hw/core/machine.h"

typedef struct Vcpu Vcpu;
typedef struct GuestArch GuestArch;
typedef struct IrBlock IrBlock;

enum {
    VCPU_GREGS = 40,      /* guest integer registers that IR can name as G(n) */
    VCPU_VREGS = 32,      /* guest vector registers V(n) */
    VCPU_VTEMPS = 4,      /* vector temporaries of one guest instruction: V(VCPU_VREGS ..) */
    VCPU_TEMPS = 48,      /* IR temporaries of one block, each with a spill slot */
    TLB_BITS = 12, TLB_SIZE = 1 << TLB_BITS, /* fast level: direct mapped by low bits of the page number */
    TLB_BANKS = 8,        /* one per translation regime a block can be compiled for ("mmu index") */
    JUMP_CACHE_BITS = 16, CODE_TLB_BITS = 13,
    TCG_PAGE_BITS = 12,
};
#define TCG_PAGE_SIZE (UINT64_C(1) << TCG_PAGE_BITS)
#define TCG_PAGE_MASK (~(TCG_PAGE_SIZE - 1))

/* A guest vector register; size fits AVX-512 / SVE-512. Little-endian lanes. */
typedef union VecReg {
    uint8_t u8[64]; uint16_t u16[32]; uint32_t u32[16]; uint64_t u64[8];
    int8_t s8[64]; int16_t s16[32]; int32_t s32[16]; int64_t s64[8];
    float f32[16]; double f64[8];
} VecReg __attribute__((aligned(64)));

/*
 * Fast softmmu level: structure of arrays, so that generated code indexes with a scaled register. read/write: virtual
 * address of the page for which the access is allowed without any side effect, or tlb_empty(slot). host: host address
 * of the page. A page is absent from `write` (though mapped writable) while it holds translated code or is not dirty
 * yet.
 */
typedef struct TlbBank {
    uint64_t read[TLB_SIZE], write[TLB_SIZE], host[TLB_SIZE];
} TlbBank;
/* A page address that falls into another slot: no address that indexes `slot` is within a page of it. */
static inline uint64_t tlb_empty(unsigned slot) { return (uint64_t)(slot ^ TLB_SIZE / 2) << TCG_PAGE_BITS; }

typedef struct JumpCacheEntry { uint64_t tag; const void *host; } JumpCacheEntry;

/*
 * How a lazily held flag result was made: evaluated by flags_eval() (accel/tcg/flags.h). Explicit bits use the
 * positions C=0 P=2 A=4 Z=6 S(N)=7 O(V)=11. Low 2 bits of an op: log2 of the size; the rest: FlagOp. Most operations
 * set all flags by op from dst, src, src2. Others set only some, over those: when rest_op is not 0, it gives all flags
 * but C from rest_dst and rest_src; when nz_op is not 0, it gives all but C and O from nz_dst; when carry_op is not 0,
 * C is bit 0 of carry. (One store clears them all.)
 */
typedef struct LazyFlags {
    uint64_t dst, src, src2;
    uint16_t op, rest_op, nz_op, carry_op;
    uint64_t rest_dst, rest_src, nz_dst, carry;
} LazyFlags;

struct Vcpu {
    /* --- addressed by generated code; order matters for short displacements --- */
    uint64_t g[VCPU_GREGS];       /* valid here whenever C code runs */
    uint64_t pc;                  /* guest pc (x86: EIP/RIP, not linear); precise after vcpu_sync() */
    LazyFlags fl;                 /* precise after vcpu_sync() */
    uint32_t call_site;           /* record index of the slow path or helper call in progress, 0: none */
    _Atomic uint8_t exit_request; /* edge: leave generated code at the next safe point */
    _Atomic uint8_t irq_pending;  /* level: some line in `lines` is up (the target decides whether it is deliverable) */
    uint64_t jc_key;              /* xor-ed into jump cache tags: flush generation and mode */
    uint64_t mode;                /* mode bits that translation depends on (target-defined); set by vcpu_set_mode() */
    uint64_t tmp[VCPU_TEMPS];     /* spill slots */
    uint64_t flag_slot[8];        /* values that flag descriptors of the present block need */
    uint64_t run_slot[4];         /* host addresses of ranges that the present block has checked */
    uint64_t scratch[10] __attribute__((aligned(64))); /* bounce buffer of slow accesses (64 bytes + slack) */
    uint64_t slow[4];             /* operands of the slow path in progress */
    int64_t icount_left;          /* -icount: instructions until the slice ends, see IR_COUNT */
    /* guest's SIMD FP control and sticky flags (x86: MXCSR), loaded while generated code runs */
    uint32_t fp_control;
    uint32_t host_fp_control;
    uint64_t host_const[2 * 32];  /* constants of the back end */
    uint32_t fp_rules, fp_more;   /* accel/tcg/simd.h: FP_RULE_*, FP_MORE_* */
    VecReg v[VCPU_VREGS + VCPU_VTEMPS];
    uint32_t code_tlb[1 << CODE_TLB_BITS]; /* mapping id of (virtual page -> physical page), 0: unknown */
    JumpCacheEntry jump_cache[1 << JUMP_CACHE_BITS];
    TlbBank tlb[TLB_BANKS];

    /* --- not addressed by generated code --- */
    CpuPort port;
    const GuestArch *arch;
    Machine *machine;
    unsigned index;
    AddressSpace *as;             /* memory as this CPU sees it now (x86: changes with SMM) */
    _Atomic uint32_t lines;       /* bit per CpuLine: levels and pending events */
    _Atomic uint8_t sipi_vector;
    bool halted;                  /* HLT/WFI: waits for an event; own thread only */
    bool powered_off;             /* waits for SIPI / PSCI CPU_ON */
    VcpuDebug debug;
    sigjmp_buf unwind;            /* back to the run loop: vcpu_unwind() */
    pthread_t thread;
    struct VcpuRun *run;          /* accel/vcpu.c: waiting, work queue */
    /* of the translator, and of those who use its memory accesses: L2 TLB, counters ... */
    void *accel_data;
    struct KvmVcpu *kvm;          /* accel/kvm; NULL under another accelerator */
    char name[24];
};

/* Zeroed memory for a CPU's structure, of which only those pages count that are used; aborts when there is none. */
void *vcpu_memory_new(size_t size);
void vcpu_memory_free(void *p, size_t size);
/* Made by the target: called by the board to create CPUs (CpuFamily.create). Starts nothing. */
bool vcpu_init(Vcpu *v, const GuestArch *arch, Machine *m, unsigned index, Error **errp);
void vcpu_destroy(Vcpu *v);   /* its thread has ended or was never started; the memory is the target's */
/* main thread; while vCPUs are paused it returns when the thread stands, as after vcpus_pause() */
void vcpu_start_thread(Vcpu *v);
void vcpu_stop_thread(Vcpu *v);  /* main thread, vCPUs paused: only this one's thread ends */
void vcpus_stop_threads(void); /* main thread: every vCPU thread leaves its loop and is joined */
Vcpu *vcpu_get(unsigned index);
unsigned vcpu_count(void);
Vcpu *vcpu_current(void); /* NULL outside vCPU threads */

/* Any thread. Set or clear a line; setting kicks the vCPU. Events are taken with vcpu_take_event(). */
void vcpu_set_line(Vcpu *v, CpuLine line, bool level);
static inline bool vcpu_line(const Vcpu *v, CpuLine line)
{
    return atomic_load_explicit(&v->lines, memory_order_acquire) >> line & 1;
}
bool vcpu_take_event(Vcpu *v, CpuLine line); /* own thread: clear it, tell whether it was set */
void vcpu_kick(Vcpu *v);

/*
 * For the loop of an accelerator, v's thread outside guest code and outside RCU sections. vcpu_service: do queued work
 * and stand still while vCPUs are paused or this one is held (debug.h; one thread for all: its loop passes over those
 * held); false: the thread shall end. vcpu_wait: block until the vCPU is kicked or `ready` (may be NULL) is true.
 */
bool vcpu_service(Vcpu *v);
void vcpu_work(Vcpu *v); /* only the queued work */
/* would vcpu_service() do more than return true? A reason that comes later kicks */
bool vcpu_service_due(const Vcpu *v);
void vcpu_wait(Vcpu *v, bool (*ready)(Vcpu *v));
void vcpu_set_current(Vcpu *v); /* thread start; single-threaded TCG switches */

/* Run fn(v, opaque) in v's thread outside guest code; sync: wait for it (not from another vCPU's helper: use async). */
typedef void VcpuWorkFn(Vcpu *v, void *opaque);
void vcpu_run_on(Vcpu *v, VcpuWorkFn *fn, void *opaque);        /* async; queued in order */
void vcpu_run_on_sync(Vcpu *v, VcpuWorkFn *fn, void *opaque);   /* main thread only */

/*
 * Main thread. vcpus_pause: returns when every vCPU stands outside guest code; work of vcpu_run_on() is still done
 * then. vcpus_resume: let them go on; no vCPU enters guest code before the first one. system/ puts both into
 * MachineRunOps.
 */
void vcpus_pause(void);
void vcpus_resume(void);
bool vcpu_paused(void);
/* In a vCPU's thread: all vCPUs stand soon, as a pause that the main thread will complete. Elsewhere nothing. */
void vcpus_pause_soon(void);

/*
 * Helpers called by generated code (own thread only).
 * vcpu_sync: make v->pc (start of the present guest instruction) and v->fl precise. Registers g[] and v[] already are.
 * vcpu_unwind: drop the present block and go back to the run loop, which calls arch->deliver when an exception is
 * pending (the target recorded it). Nothing may be held (locks, allocations). Calls vcpu_sync itself if need be.
 */
void vcpu_sync(Vcpu *v);
_Noreturn void vcpu_unwind(Vcpu *v);
#endif

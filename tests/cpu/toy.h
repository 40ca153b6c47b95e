/* SPDX-License-Identifier: MIT */
/* A guest for tests of the translator: each two-byte instruction is an index into a table of IR sequences. */
#ifndef TESTS_CPU_TOY_H
#define TESTS_CPU_TOY_H

#include "accel/tcg/tcg.h"

enum { TOY_PAGES = 64, TOY_RAM = 1 << 20, TOY_MMIO = 0x10000000, TOY_INSNS = 512, TOY_OPS = 24, TOY_GREGS = 16 };
/*
 * TOY_SMALL: of the page's pieces of 64 bytes, only the even ones can be accessed. TOY_ALIGNED: accesses must be
 * aligned. TOY_LARGE: four pages in one.
 */
enum { TOY_R = 1, TOY_W = 2, TOY_X = 4, TOY_GLOBAL = 8, TOY_SMALL = 16, TOY_ALIGNED = 32, TOY_LARGE = 64 };
enum { TOY_NONE, TOY_PAGE_FAULT, TOY_MISALIGNED, TOY_DIVIDE, TOY_RAISED, TOY_BUS };

typedef struct ToyInsn { IrInsn op[TOY_OPS]; unsigned count; bool ends; } ToyInsn;

typedef struct ToyCpu {
    Vcpu v;
    uint64_t segment;     /* base of segmented accesses */
    uint64_t field[4];    /* LDE and STE */
    struct { uint64_t phys; uint8_t perm; } page[TOY_PAGES]; /* virtual page n; others fault */
    /* the recorded fault */
    unsigned fault;
    uint64_t fault_va, fault_pc;
    uint32_t fault_flags;
    uint64_t fault_g[TOY_GREGS];
    unsigned walks;
    bool bus_errors;      /* refusals of the bus are faults */
    bool stop;            /* deliver a fault, or the STOP helper: leave the run */
} ToyCpu;

extern const GuestArch toy_arch;
extern ToyInsn toy_insn[TOY_INSNS];
extern uint8_t *toy_ram;          /* TOY_RAM bytes at physical 0 */
extern uint64_t toy_mmio_value;
extern unsigned toy_mmio_reads, toy_mmio_writes;

/* Machine and accelerator with these options ("backend=interp,..."); once per process and combination. */
void toy_setup(const char *accel_options);
ToyCpu *toy_cpu_new(void);
void toy_cpu_free(ToyCpu *c);
void toy_map(ToyCpu *c, unsigned vpage, uint64_t phys, unsigned perm);
/* Run from pc in this thread until the guest stops. */
void toy_run(ToyCpu *c, uint64_t pc);
/* Helper for IR: ends the run. */
uint64_t toy_stop(Vcpu *v, uint64_t a, uint64_t b, uint64_t c);

/* Build the IR of instruction n: clears it, then ops are added with toy_op(). */
void toy_begin(unsigned n);
IrInsn *toy_op(unsigned n, IrOp op, unsigned size, IrRef d, IrRef a, IrRef b, uint64_t imm);
void toy_code(uint64_t phys, const uint16_t *insns, unsigned count);
#endif

/* SPDX-License-Identifier: MIT */
/* An x86 CPU in a bare machine (RAM, ports, no devices) for unit tests: helpers are called in the test's own thread. */
#ifndef TESTS_CPU_X86_FIXTURE_H
#define TESTS_CPU_X86_FIXTURE_H

#include "target/x86/helpers.h"
#include "target/x86/models.h"
#include "target/x86/segments.h"

enum { FIX_RAM = 4 << 20 };
extern uint8_t *fix_ram;
extern Machine fix_machine;
extern uint64_t fix_port_value; /* what every port reads, and the last value written */

/* One CPU of the model, in power-on state; asserts on errors. fix_free() ends it. */
X86Cpu *fix_cpu(const char *model);
void fix_free(X86Cpu *c);
/* asserts that -cpu refuses it, in one line that has `why` in it */
void fix_refused(const char *model, const char *why);

/* Call a helper; true: it returned (*result), false: it unwound (c->event tells why). */
typedef uint64_t FixHelper(Vcpu *v, uint64_t a, uint64_t b, uint64_t a3);
bool fix_call(X86Cpu *c, const void *helper, uint64_t a, uint64_t b, uint64_t a3, uint64_t *result);
/* Deliver what is recorded, nested faults included, as the run loop does. */
void fix_deliver(X86Cpu *c);
/* Run guest code at pc until it halts for good (HLT) or `limit` slices have passed. */
void fix_run(X86Cpu *c, unsigned limit);

/* Flat 32-bit or 64-bit ring 0 with a GDT at FIX_GDT; paging off (32) or an identity map of 4 MiB at FIX_PT (64). */
enum {
    FIX_GDT = 0x1000,
    FIX_IDT = 0x2000,
    FIX_TSS = 0x3000,
    FIX_TSS2 = 0x3800,
    FIX_PT = 0x10000,
    FIX_CODE = 0x20000,
    FIX_STACK = 0x30000,
    FIX_STACK3 = 0x38000,
    FIX_LDT = 0x4000
};
/* Selectors */
enum {
    SEL_CODE0 = 0x08,
    SEL_DATA0 = 0x10,
    SEL_CODE3 = 0x1b,
    SEL_DATA3 = 0x23,
    SEL_TSS = 0x28,
    /* 16 bytes */ SEL_CODE64 = 0x38,
    SEL_CODE64_3 = 0x43,
    SEL_TSS2 = 0x48,
    SEL_GATE = 0x58,
    SEL_LDT = 0x68,
    SEL_CONFORMING = 0x78,
    SEL_NOT_PRESENT = 0x80,
    SEL_READ_ONLY = 0x88,
    SEL_SMALL = 0x90,
    SEL_EXEC_ONLY = 0x98,
    SEL_TASK_GATE = 0xa0
};
void fix_protected32(X86Cpu *c);
void fix_long64(X86Cpu *c);
void fix_ring3(X86Cpu *c); /* from either */
void fix_desc(unsigned sel, uint32_t base, uint32_t limit, uint32_t attr);
void fix_gate(unsigned vector, unsigned size, uint16_t sel, uint64_t offset, unsigned type, unsigned dpl, unsigned ist);
#endif

/* SPDX-License-Identifier: MIT */
/* Inside target/x86: descriptors, stacks of far transfers, task switches. */
#ifndef TARGET_X86_SEGMENTS_H
#define TARGET_X86_SEGMENTS_H

#include "target/x86/cpu.h"

/* System descriptor types (SDM vol. 3, table 3-2) */
enum {
    DESC_TSS16 = 1,
    DESC_LDT = 2,
    DESC_TSS16_BUSY = 3,
    DESC_CALL16 = 4,
    DESC_TASK_GATE = 5,
    DESC_INT16 = 6,
    DESC_TRAP16 = 7,
    DESC_TSS32 = 9,
    DESC_TSS32_BUSY = 11,
    DESC_CALL32 = 12,
    DESC_INT32 = 14,
    DESC_TRAP32 = 15
};

/* A descriptor as it stands in its table; `attr` is the attribute part of hi. */
typedef struct X86Desc {
    uint32_t lo, hi;
    uint64_t va; /* where it was read */
} X86Desc;
#define desc_is_code(d) (((d)->hi & (SEG_S | SEG_CODE)) == (SEG_S | SEG_CODE))
#define desc_conforming(d) ((d)->hi & SEG_E)
#define desc_dpl(d) seg_dpl((d)->hi)
#define sel_rpl(sel) ((sel) & 3)
#define sel_null(sel) (!((sel) & 0xfffc))
#define sel_error(sel) ((sel) & 0xfffcu)

/* Read the descriptor that a selector names; false: beyond its table (or null LDT). May raise #PF. */
bool x86_desc_read(X86Cpu *c, uint16_t sel, X86Desc *d);
/* The same, #`vector`(sel) when there is none; null selectors too. */
void x86_desc_need(X86Cpu *c, uint16_t sel, unsigned vector, X86Desc *d);
/* The upper 8 bytes of a 16-byte system descriptor: its second base/offset word. false: beyond the table. */
bool x86_desc_read_high(X86Cpu *c, uint16_t sel, const X86Desc *d, uint32_t *high, uint32_t *high2);
X86Seg x86_desc_seg(uint16_t sel, const X86Desc *d);
void x86_desc_set_accessed(X86Cpu *c, X86Desc *d);
void x86_desc_set_busy(X86Cpu *c, uint16_t sel, bool busy);
uint64_t x86_gate_offset(const X86Desc *d);

/* Put a segment in place as real mode and VM86 do. */
void x86_set_real_seg(X86Cpu *c, unsigned seg, uint16_t sel);
X86Seg x86_vm86_seg(uint16_t sel);
X86Seg x86_flat_seg(uint16_t sel, uint32_t attr);

/* [off, off + size) is within the segment; no rights looked at. */
bool x86_seg_in_limit(const X86Seg *s, uint64_t off, unsigned size);
/* The descriptor of a code segment for a far JMP/CALL/gate target; checks it against cpl and rpl. #GP/#NP(sel). */
void x86_check_code(X86Cpu *c, uint16_t sel, X86Desc *d, unsigned rpl, bool gate);
/* New CS and pc are final: check limit or canonical form, then set both. */
void x86_commit_cs(X86Cpu *c, const X86Seg *cs, uint64_t pc);
void x86_need_target(X86Cpu *c, const X86Seg *cs, uint64_t pc);
/* SS loaded by an inner-level switch: checks with #`vector`(sel + ext). */
X86Seg x86_load_inner_ss(X86Cpu *c, uint16_t sel, unsigned cpl, unsigned vector);
/* After a return to an outer level: unusable data segments become null. */
void x86_drop_inner_segs(X86Cpu *c);

/* A stack in use, before anything is committed. */
typedef struct X86Stack {
    X86Cpu *c;
    X86Seg ss;
    uint64_t sp, mask;  /* mask of the offset: 16, 32 or 64 bits */
    unsigned bank;
    uint32_t fault;     /* error code of #SS */
} X86Stack;
void x86_stack_open(X86Stack *s, X86Cpu *c, const X86Seg *ss, uint64_t sp, unsigned cpl, bool is64, uint32_t fault);
void x86_stack_current(X86Stack *s, X86Cpu *c);
void x86_stack_push(X86Stack *s, unsigned size, uint64_t value);
uint64_t x86_stack_pop(X86Stack *s, unsigned size);
uint64_t x86_stack_rsp(const X86Stack *s, uint64_t old); /* the RSP to commit */

/* Inner stack pointer of the TSS for `cpl`; 64-bit TSS: RSP0..2, or IST (1..7) when ist != 0. */
void x86_tss_stack(X86Cpu *c, unsigned cpl, unsigned ist, uint16_t *ss, uint64_t *sp);

/* Task switch to the TSS `sel` (its descriptor checked by the caller for type and presence). */
typedef enum X86TaskSwitch { TASK_JMP, TASK_CALL, TASK_INT, TASK_IRET } X86TaskSwitch;
void x86_task_switch(X86Cpu *c, uint16_t sel, const X86Desc *d, X86TaskSwitch kind, uint64_t next_pc, bool has_error,
                     uint32_t error);
/* Through a task gate or straight: checks, then the switch. */
void x86_task_enter(X86Cpu *c, uint16_t sel, X86TaskSwitch kind, uint64_t next_pc, bool has_error, uint32_t error);

/* Debug conditions: DR6 bits of code/data/I-O breakpoints that hit. */
uint64_t x86_breakpoint_hits(const X86Cpu *c, unsigned kind, uint64_t addr, unsigned size);
_Noreturn void x86_raise_db(X86Cpu *c, uint64_t dr6, bool trap);
#endif

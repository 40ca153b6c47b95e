/* SPDX-License-Identifier: MIT */
/* Vectors (copied to 0 where there is no VBAR), stacks, and on to run(). */
    .syntax unified
    .arm
    .text
    .globl start
start:
#ifdef RASPI
    mrc p15, 0, r0, c0, c0, 5
    ands r0, r0, #3
    bne stop
#endif
    ldr r0, =vectors
#ifdef VERSATILE
    mov r1, #0
    ldmia r0, {r2-r9}
    stmia r1!, {r2-r9}
    add r0, r0, #32
    ldmia r0, {r2-r9}
    stmia r1!, {r2-r9}
#else
    mcr p15, 0, r0, c12, c0, 0
#endif
    msr cpsr_c, #0xd2 /* IRQ */
    ldr sp, =irq_stack
    msr cpsr_c, #0xd3 /* Supervisor */
    ldr sp, =stack
    b run
    .balign 32
vectors:
    ldr pc, 1f
    ldr pc, 1f
    ldr pc, 1f
    ldr pc, 1f
    ldr pc, 1f
    ldr pc, 1f
    ldr pc, 2f
    ldr pc, 1f
1:  .word stop
2:  .word irq
    .space 24
stop: b stop
    .bss
    .balign 8
    .space 1024
irq_stack:
    .space 4096
stack:

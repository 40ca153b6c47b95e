/* SPDX-License-Identifier: MIT */
/*
 * R-profile start: vectors (at HVBAR and VBAR, or copied to 0), stacks of the modes, a Frame for handle(). Other cores
 * sleep.
 */
        .syntax unified
        .arch armv8-r
        .arm
        .section .text.start, "ax"
        .globl _start
_start: mrc p15, 0, r0, c0, c0, 5
        tst r0, #3
1:      wfene
        bne 1b
        mrs r0, cpsr
        and r0, r0, #0x1f
        cmp r0, #0x1a
        beq 1f
        cps #0x1f                       /* no Hyp mode: System mode */
1:      ldr sp, =stacks + 0x8000
        bl payload_main
2:      b 2b

/* enter_el1(function): from Hyp to System mode; comes back by HVC #0 through handle(). */
        .globl enter_el1
enter_el1:
        push {r4-r12, lr}
        ldr r1, =hyp_sp
        str sp, [r1]
        msr elr_hyp, r0
        mov r0, #0xdf
        msr spsr_hyp, r0
        ldr r0, =stacks + 0x6000
        msr sp_usr, r0
        eret
        .globl leave_el1
leave_el1:
        ldr r1, =hyp_sp
        ldr sp, [r1]
        pop {r4-r12, pc}

/* Stacks of the exception modes; called in System mode. */
        .globl stacks_pl1
stacks_pl1:
        ldr r0, =stacks
        mrs r1, cpsr
        cps #0x12
        add sp, r0, #0x1000
        cps #0x17
        add sp, r0, #0x2000
        cps #0x1b
        add sp, r0, #0x3000
        cps #0x13
        add sp, r0, #0x4000
        msr cpsr_c, r1
        bx lr

        .balign 32
        .globl vectors
vectors:
        ldr pc, =vectors
        ldr pc, =v_und
        ldr pc, =v_svc
        ldr pc, =v_pabt
        ldr pc, =v_dabt
        ldr pc, =v_hyp
        ldr pc, =v_irq
        ldr pc, =vectors
        .ltorg
        .globl vectors_end
vectors_end:

#include "entry32.h"
        entry v_und, 1
        entry v_svc, 2
        entry v_pabt, 3
        entry v_dabt, 4
        entry v_hyp, 5
        entry v_irq, 6
        enter_common
        mrs r1, cpsr
        and r1, r1, #0x1f
        cmp r1, #0x1a
        beq 1f
        pop {r0-r12, lr}
        movs pc, lr
1:      pop {r0-r12, lr}        /* Hyp mode returns to ELR_hyp */
        eret

        .bss
        .balign 4096
stacks: .space 0x8000
hyp_sp: .word 0

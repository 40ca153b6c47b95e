/* SPDX-License-Identifier: MIT */
/* Bare-metal A32 start: vectors, a stack for each mode, a Frame for handle(). */
        .syntax unified
        .arch armv7-a
        .arch_extension virt
        .arch_extension sec
        .arm
        .section .text.start, "ax"
        .globl _start
_start:
        mrs r0, cpsr
        and r0, r0, #0x1f
        cmp r0, #0x1a
        bne 1f
        ldr r0, =1f             /* Hyp mode: down to SVC */
        msr elr_hyp, r0
        mov r0, #0xd3
        msr spsr_hyp, r0
        eret
1:      ldr r0, =stacks
        cps #0x11
        add sp, r0, #0x1000
        cps #0x12
        add sp, r0, #0x2000
        cps #0x17
        add sp, r0, #0x3000
        cps #0x1b
        add sp, r0, #0x4000
        cps #0x1f
        add sp, r0, #0x6000
        cps #0x13
        add sp, r0, #0x8000
        ldr r1, =vectors
        mcr p15, 0, r1, c12, c0, 0
        bl payload_main
2:      wfi
        b 2b

        .balign 32
vectors:
        b .
        b v_und
        b v_svc
        b v_pabt
        b v_dabt
        b .
        b v_irq
        b v_fiq

#include "entry32.h"
        entry v_und, 1
        entry v_svc, 2
        entry v_pabt, 3
        entry v_dabt, 4
        entry v_irq, 6
        entry v_fiq, 7
        enter_common
        pop {r0-r12, lr}
        movs pc, lr

        .bss
        .balign 4096
stacks: .space 0x8000

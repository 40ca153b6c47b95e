/* SPDX-License-Identifier: MIT */
/*
 * For A32 start code: exception entries that push a Frame (lib32.h) and call handle(); r0-r12 and lr are still on the
 * stack then.
 */
#ifndef PAYLOAD_ARM_ENTRY32_H
#define PAYLOAD_ARM_ENTRY32_H
        .macro entry name, kind
\name:  push {r0-r12, lr}
        mov r1, #\kind
        b common
        .endm

        .macro enter_common
common: mrs r2, spsr
        push {r1, r2}
        mov r0, sp
        mov r4, sp
        bic sp, sp, #7
        bl handle
        mov sp, r4
        pop {r1, r2}
        msr spsr_cxsf, r2
        .endm
#endif

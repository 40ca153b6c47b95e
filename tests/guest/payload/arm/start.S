/* SPDX-License-Identifier: MIT */
/*
 * Bare-metal A64 start: stacks, vectors of every level, entry to a lower level and the way back. Entered at the
 * highest level that there is.
 */
        .arch armv8.2-a
        .section .text.start, "ax"
        .globl _start
_start:
        mrs x1, mpidr_el1
        and x1, x1, #3
        b start_cpu

/* Where CPU_ON leads: x0 is the function to call. */
        .globl start_second
start_second:
        mrs x1, mpidr_el1
        and x1, x1, #3
        mov x20, x0
start_cpu:
        adrp x2, stacks + 0x10000
        add x2, x2, :lo12:(stacks + 0x10000)
        add x2, x2, x1, lsl #16
        adrp x3, vectors
        add x3, x3, :lo12:vectors
        mrs x4, currentel
        lsr x4, x4, #2
        cmp x4, #2
        b.lo 1f
        b.eq 2f
        msr vbar_el3, x3
        mrs x5, id_aa64pfr0_el1
        tst x5, #0xf00
        b.eq 1f
2:      msr vbar_el2, x3
1:      msr vbar_el1, x3
        msr spsel, #1
        mov sp, x2
        sub x2, x2, #0x4000
        cbnz x1, 3f
        bl payload_main
4:      wfi
        b 4b
3:      blr x20
        b 4b

/* --- vectors: a Frame on the stack of the level, handle(frame) --- */
        .macro stub n
        .balign 128
        sub sp, sp, #304
        stp x0, x1, [sp]
        mov x0, #\n
        b common
        .endm
        .balign 2048
        .globl vectors
vectors:
        .set n, 0
        .rept 16
        stub n
        .set n, n + 1
        .endr

        .macro levels reg, name
        cmp x1, #2
        b.lo 1f
        b.eq 2f
        mrs \reg, \name\()_el3
        b 3f
2:      mrs \reg, \name\()_el2
        b 3f
1:      mrs \reg, \name\()_el1
3:
        .endm
        .macro set_levels name, reg
        cmp x1, #2
        b.lo 1f
        b.eq 2f
        msr \name\()_el3, \reg
        b 3f
2:      msr \name\()_el2, \reg
        b 3f
1:      msr \name\()_el1, \reg
3:
        .endm
common:
        stp x2, x3, [sp, #16]
        stp x4, x5, [sp, #32]
        stp x6, x7, [sp, #48]
        stp x8, x9, [sp, #64]
        stp x10, x11, [sp, #80]
        stp x12, x13, [sp, #96]
        stp x14, x15, [sp, #112]
        stp x16, x17, [sp, #128]
        stp x18, x19, [sp, #144]
        stp x20, x21, [sp, #160]
        stp x22, x23, [sp, #176]
        stp x24, x25, [sp, #192]
        stp x26, x27, [sp, #208]
        stp x28, x29, [sp, #224]
        mrs x1, currentel
        lsr x1, x1, #2
        levels x2, elr
        levels x3, spsr
        levels x4, esr
        levels x5, far
        stp x30, x2, [sp, #240]
        stp x3, x4, [sp, #256]
        stp x5, x0, [sp, #272]
        str x1, [sp, #288]
        mov x0, sp
        bl handle
        mrs x1, currentel
        lsr x1, x1, #2
        ldp x30, x2, [sp, #240]
        ldr x3, [sp, #256]
        set_levels elr, x2
        set_levels spsr, x3
        ldp x28, x29, [sp, #224]
        ldp x26, x27, [sp, #208]
        ldp x24, x25, [sp, #192]
        ldp x22, x23, [sp, #176]
        ldp x20, x21, [sp, #160]
        ldp x18, x19, [sp, #144]
        ldp x16, x17, [sp, #128]
        ldp x14, x15, [sp, #112]
        ldp x12, x13, [sp, #96]
        ldp x10, x11, [sp, #80]
        ldp x8, x9, [sp, #64]
        ldp x6, x7, [sp, #48]
        ldp x4, x5, [sp, #32]
        ldp x2, x3, [sp, #16]
        ldp x0, x1, [sp]
        add sp, sp, #304
        eret

/*
 * u64 enter(spsr, pc, stack of the other level, x0, save): leaves with ERET; handle() comes back by leave(save,
 * value).
 */
        .globl enter
enter:
        stp x19, x20, [x4]
        stp x21, x22, [x4, #16]
        stp x23, x24, [x4, #32]
        stp x25, x26, [x4, #48]
        stp x27, x28, [x4, #64]
        stp x29, x30, [x4, #80]
        mov x5, sp
        str x5, [x4, #96]
        mov x6, x0
        mov x7, x1
        mrs x1, currentel
        lsr x1, x1, #2
        set_levels spsr, x6
        set_levels elr, x7
        and x6, x6, #0xf
        cbnz x6, 1f
        msr sp_el0, x2
        b 2f
1:      cmp x1, #2
        b.lo 2f
        msr sp_el1, x2
2:      mov x0, x3
        eret

        .globl leave
leave:
        ldp x19, x20, [x0]
        ldp x21, x22, [x0, #16]
        ldp x23, x24, [x0, #32]
        ldp x25, x26, [x0, #48]
        ldp x27, x28, [x0, #64]
        ldp x29, x30, [x0, #80]
        ldr x5, [x0, #96]
        mov sp, x5
        mov x0, x1
        ret

        .bss
        .balign 4096
stacks: .space 0x40000

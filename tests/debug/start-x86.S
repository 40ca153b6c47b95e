/* SPDX-License-Identifier: MIT */
/* Start of the debugger's payloads on x86: PVH entry, flat segments, an IDT whose vector 0x20 calls on_timer(). */
        .section .note.pvh, "a"
        .align 4
        .long 4, 4, 18
        .asciz "Xen"
        .long start32

        .text
        .code32
        .globl start32
start32:
        cli
        cld
        mov $stack_top, %esp
        lgdt gdt_ptr
        ljmp $0x08, $1f
1:      mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov $timer_entry, %eax
        mov %ax, idt + 0x20 * 8
        shr $16, %eax
        mov %ax, idt + 0x20 * 8 + 6
        movl $0x00080000 >> 16, idt + 0x20 * 8 + 2
        movw $0x8e00, idt + 0x20 * 8 + 4
        lidt idt_ptr
        call main
2:      hlt
        jmp 2b

timer_entry:
        pushal
        cld
        call on_timer
        popal
        iret

        .data
        .align 8
gdt:    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_ptr: .word 23
        .long gdt
idt_ptr: .word 0x21 * 8 - 1
        .long idt
        .bss
        .align 16
idt:    .skip 0x21 * 8
        .skip 16384
stack_top:

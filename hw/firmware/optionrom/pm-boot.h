/* SPDX-License-Identifier: MIT */
/*
 * Boot a kernel that wants to start in flat protected mode (multiboot, PVH). The pieces in fw_cfg: KERNEL (the image),
 * INITRD (the modules), SETUP (the information structure with all it points to, in low memory), KERNEL_ENTRY. This
 * code adds what only the BIOS knows: the memory map and, for PVH, the place of the ACPI tables.
 */

#pragma once
#define E820_SMAP 0x534d4150
#define MAP_AT 0x8000       /* memory map that we write for the kernel */
#define MAP_ROOM 0x1800     /* bytes of it: the boot stack is below 0x7c00, the information structure from 0x10000 on */
#define SEL_CODE 0x08
#define SEL_DATA 0x10

/*
 * Ask the BIOS for its memory map into MAP_AT: entries of `stride` bytes with the 20 bytes of E820 at `skip`.
 * Afterwards %di is the end of the map.
 */
.macro READ_E820 stride, skip
    xorw %ax, %ax
    movw %ax, %es
    movw $MAP_AT, %di
    xorl %ebx, %ebx
10: movl $0, %es:(%di)
    movl $0, %es:20(%di)
    addw $\skip, %di
    movl $0xe820, %eax
    movl $E820_SMAP, %edx
    movl $20, %ecx
    int $0x15
    leaw -\skip(%di), %di
    jc 11f
    cmpl $E820_SMAP, %eax
    jne 11f
    .if \skip
    movl $20, %es:(%di)
    .endif
    addw $\stride, %di
    testl %ebx, %ebx
    jz 11f
    cmpw $(MAP_AT + MAP_ROOM), %di
    jb 10b
11:
.endm

/* Enter the kernel: %eax and %ebx are the values that it finds there. */
.macro ENTER_PROTECTED_MODE
    pushl %eax
    movw $FW_CFG_KERNEL_ENTRY, %ax
    call fw_read32
    movl %eax, %edx
    popl %eax
    cli
    xorl %ecx, %ecx
    movw %cs, %cx
    shll $4, %ecx
    leal gdt - _start(%ecx), %esi
    pushl %esi
    pushw $(gdt_end - gdt - 1)
    movw %sp, %bp
    lgdtl (%bp)
    addw $6, %sp
    movl %cr0, %esi
    orl $1, %esi
    movl %esi, %cr0
    pushl $SEL_CODE
    leal in_pm - _start(%ecx), %esi
    pushl %esi
    lretl
    .code32
in_pm:
    movw $SEL_DATA, %cx
    movw %cx, %ds
    movw %cx, %es
    movw %cx, %fs
    movw %cx, %gs
    movw %cx, %ss
    jmp *%edx
    .code16
    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
gdt_end:
.endm

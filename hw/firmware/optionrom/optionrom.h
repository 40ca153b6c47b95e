/* SPDX-License-Identifier: MIT */
/* What our option ROMs have in common: header, Plug and Play header with a boot entry, fw_cfg DMA, messages. */

#pragma once
/* Keys of fw_cfg: the numbers of hw/firmware/fw_cfg.h. */
FW_CFG_KERNEL_ADDR = 0x07
FW_CFG_KERNEL_SIZE = 0x08
FW_CFG_INITRD_ADDR = 0x0a
FW_CFG_INITRD_SIZE = 0x0b
FW_CFG_KERNEL_ENTRY = 0x10
FW_CFG_KERNEL_DATA = 0x11
FW_CFG_INITRD_DATA = 0x12
FW_CFG_CMDLINE_ADDR = 0x13
FW_CFG_CMDLINE_SIZE = 0x14
FW_CFG_CMDLINE_DATA = 0x15
FW_CFG_SETUP_ADDR = 0x16
FW_CFG_SETUP_SIZE = 0x17
FW_CFG_SETUP_DATA = 0x18

FW_CFG_DMA_PORT = 0x514
FW_CFG_DMA_ERROR = 0x01
FW_CFG_DMA_READ = 0x02
FW_CFG_DMA_SELECT = 0x08

    .code16
    .section .text, "ax"
    .globl _start

/*
 * Expansion ROM header (PCI Firmware Specification 3.0, 5.2) and Plug and Play expansion header (Plug and Play BIOS
 * Specification 1.0A, 3.2). Length and checksums are filled in by the build (scripts/rom2c.py). The BIOS far-calls +3
 * once; the bootstrap entry vector is what it offers as a boot device.
 */
.macro ROM_HEADER product
_start:
    .short 0xaa55
    .byte 0
    movw $0x20, %ax         /* an IPL device is attached */
    lretw
    .org 0x1a
    .short pnp - _start
    .balign 16
pnp:
    .ascii "$PnP"
    .byte 1                 /* revision */
    .byte (pnp_end - pnp) / 16
    .short 0                /* next header */
    .byte 0
    .byte 0                 /* checksum */
    .long 0                 /* device identifier */
    .short manufacturer - _start
    .short product_name - _start
    .byte 0x02, 0x00, 0x80  /* device type: network controller class, as boot ROMs have it */
    .byte 0x64              /* may be shadowed, is read-cacheable, is an IPL device */
    .short 0                /* boot connection vector */
    .short 0                /* disconnect vector */
    .short boot - _start    /* bootstrap entry vector */
    .short 0
    .short 0                /* static resource information vector */
pnp_end:
manufacturer:
    .asciz "Rhea"
product_name:
    .asciz "\product"
.endm

/* Start of a boot entry: flat stack below the boot sector's address, as any boot loader finds it; never returns. */
.macro BOOT_ENTRY
boot:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ss
    movl $0x7c00, %esp
    sti
    pushw %cs
    popw %ds
    movw $0x2401, %ax       /* A20 on */
    int $0x15
.endm

/*
 * Routines. Registers: as said; %ds is the ROM's segment, %ss is 0, so that a stack address is a physical address.
 */
.macro ROM_ROUTINES

/*
 * Read %ecx bytes of key %ax from its start to physical address %edi. Keeps all registers but flags; fails into
 * `broken`.
 */
fw_read:
    testl %ecx, %ecx
    jz 9f
    pushal
    movw %sp, %bp
    /* struct { be32 control, length; be64 address } below the saved registers */
    bswapl %edi
    pushl %edi
    pushl $0
    bswapl %ecx
    pushl %ecx
    shll $16, %eax
    orl $(FW_CFG_DMA_READ | FW_CFG_DMA_SELECT), %eax
    bswapl %eax
    pushl %eax
    movzwl %sp, %esi
    movw $FW_CFG_DMA_PORT, %dx
    xorl %eax, %eax
    outl %eax, %dx          /* high half of the descriptor's address */
    addw $4, %dx
    movl %esi, %eax
    bswapl %eax
    outl %eax, %dx          /* low half: go */
3:  movl %ss:(%si), %eax
    bswapl %eax
    testl $~FW_CFG_DMA_ERROR, %eax
    jnz 3b
    testl $FW_CFG_DMA_ERROR, %eax
    jnz broken
    movw %bp, %sp
    popal
9:  ret

/* The 32-bit value of key %ax in %eax. */
fw_read32:
    pushl %ecx
    pushl %edi
    pushl $0
    movl $4, %ecx
    movzwl %sp, %edi
    call fw_read
    popl %eax
    popl %edi
    popl %ecx
    ret

broken:
    movw $broken_text - _start, %si
    pushw %cs
    popw %ds
    call print
    int $0x18               /* next boot device */
4:  hlt
    jmp 4b

/* The text at %ds:%si on the BIOS console. */
print:
    lodsb
    testb %al, %al
    jz 5f
    movb $0x0e, %ah
    movw $7, %bx
    int $0x10
    jmp print
5:  ret

/* End of the RAM below 4 GiB that the BIOS leaves us, as a physical address in %eax; 0: the BIOS does not tell. */
ram_end:
    pushl %ebx
    pushl %ecx
    pushl %edx
    xorl %ecx, %ecx
    xorl %edx, %edx
    movw $0xe801, %ax
    int $0x15
    jc 7f
    testw %dx, %dx
    jnz 6f
    movw %bx, %dx
6:  movzwl %dx, %eax
    testl %eax, %eax
    jz 8f
    shll $16, %eax
    addl $0x1000000, %eax
    jmp 8f
7:  xorl %eax, %eax
8:  popl %edx
    popl %ecx
    popl %ebx
    ret

broken_text:
    .asciz "boot ROM: reading the kernel through fw_cfg failed\r\n"
.endm

/* Load the piece of a kernel that the three keys name. */
.macro LOAD_PIECE piece
    movw $FW_CFG_\piece\()_ADDR, %ax
    call fw_read32
    movl %eax, %edi
    movw $FW_CFG_\piece\()_SIZE, %ax
    call fw_read32
    movl %eax, %ecx
    movw $FW_CFG_\piece\()_DATA, %ax
    call fw_read
.endm

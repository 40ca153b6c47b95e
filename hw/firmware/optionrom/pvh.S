/* SPDX-License-Identifier: MIT */
/* Boot an ELF kernel by its PVH entry (Xen docs/misc/pvh.pandoc and public header arch-x86/hvm/start_info.h). */
#include "optionrom.h"
#include "pm-boot.h"

#define HSI_RSDP 32
#define HSI_MEMMAP 40
#define HSI_MEMMAP_ENTRIES 48

    ROM_HEADER "PVH loader"
    BOOT_ENTRY
    movw $banner - _start, %si
    call print
    LOAD_PIECE SETUP
    LOAD_PIECE KERNEL
    LOAD_PIECE INITRD

    READ_E820 24, 0
    movw $FW_CFG_SETUP_ADDR, %ax
    call fw_read32
    pushl %eax
    shrl $4, %eax
    movw %ax, %fs           /* the start info */
    movl $MAP_AT, %fs:HSI_MEMMAP
    movzwl %di, %eax
    subl $MAP_AT, %eax
    xorl %edx, %edx
    movl $24, %ecx
    divl %ecx
    movl %eax, %fs:HSI_MEMMAP_ENTRIES

    /* The RSDP: "RSD PTR " on a paragraph of the first KiB of the EBDA or of 0xe0000..0xfffff (ACPI 6.4, 5.2.5.1). */
    movw $0x40, %ax
    movw %ax, %es
    movw %es:0x0e, %ax
    movw $0x40, %cx
    call find_rsdp
    jz 1f
    movw $0xe000, %ax
    movw $0x2000, %cx
    call find_rsdp
    jnz 2f
1:  movzwl %ax, %eax
    shll $4, %eax
    movl %eax, %fs:HSI_RSDP
2:  popl %ebx
    xorl %eax, %eax
    ENTER_PROTECTED_MODE

/* Look in %cx paragraphs from segment %ax on: Z set and %ax its segment when found. */
find_rsdp:
    movw %ax, %es
    cmpl $0x20445352, %es:0
    jne 3f
    cmpl $0x20525450, %es:4
    je 4f
3:  incw %ax
    decw %cx
    jnz find_rsdp
    orw $1, %cx             /* Z clear */
4:  ret

banner:
    .asciz "Booting the PVH kernel from -kernel\r\n"
    ROM_ROUTINES

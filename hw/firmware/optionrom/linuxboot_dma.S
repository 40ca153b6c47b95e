/* SPDX-License-Identifier: MIT */
/*
 * Boot a Linux bzImage whose pieces stand in fw_cfg: load set-up code, kernel, command line and initrd, then enter the
 * set-up code as a boot loader does (Linux/x86 boot protocol, "Running the kernel").
 */
#include "optionrom.h"

#define HDR_RAMDISK_IMAGE 0x218

    ROM_HEADER "Linux loader"
    BOOT_ENTRY
    movw $banner - _start, %si
    call print
    LOAD_PIECE SETUP
    LOAD_PIECE KERNEL
    LOAD_PIECE CMDLINE

    /*
     * The initrd goes where the host said, or lower when the BIOS keeps more of the top of RAM than the host thought.
     */
    movw $FW_CFG_INITRD_SIZE, %ax
    call fw_read32
    movl %eax, %ecx
    jecxz enter
    movw $FW_CFG_INITRD_ADDR, %ax
    call fw_read32
    movl %eax, %edi
    call ram_end
    testl %eax, %eax
    jz 1f
    subl %ecx, %eax
    jbe broken
    andl $0xfffff000, %eax
    cmpl %edi, %eax
    jae 1f
    movl %eax, %edi
    movw $FW_CFG_SETUP_ADDR, %ax
    call fw_read32
    shrl $4, %eax
    movw %ax, %es
    movl %edi, %es:HDR_RAMDISK_IMAGE
1:  movw $FW_CFG_INITRD_DATA, %ax
    call fw_read

    /* All segments at the set-up code, stack at the top of its heap, and off to its entry 0x200 bytes in. */
enter:
    movw $FW_CFG_SETUP_ADDR, %ax
    call fw_read32
    movl %eax, %ebx
    movw $FW_CFG_CMDLINE_ADDR, %ax
    call fw_read32
    subl %ebx, %eax
    subl $16, %eax
    cli
    shrl $4, %ebx
    movw %bx, %ds
    movw %bx, %es
    movw %bx, %fs
    movw %bx, %gs
    movw %bx, %ss
    movzwl %ax, %esp
    addw $0x20, %bx
    pushw %bx
    pushw $0
    xorl %eax, %eax
    xorl %ebx, %ebx
    xorl %ecx, %ecx
    xorl %edx, %edx
    xorl %esi, %esi
    xorl %edi, %edi
    xorl %ebp, %ebp
    lretw

banner:
    .asciz "Booting the kernel from -kernel\r\n"
    ROM_ROUTINES

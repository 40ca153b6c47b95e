/* SPDX-License-Identifier: MIT */
/* Boot a multiboot 1 kernel that the host has laid out in fw_cfg (Multiboot Specification 0.6.96, 3.2 and 3.3). */
#include "optionrom.h"
#include "pm-boot.h"

#define MBI_FLAGS 0
#define MBI_MEM_LOWER 4
#define MBI_MEM_UPPER 8
#define MBI_MMAP_LENGTH 44
#define MBI_MMAP_ADDR 48
#define MBI_HAS_MEM 0x01
#define MBI_HAS_MMAP 0x40
#define BOOTLOADER_MAGIC 0x2badb002

    ROM_HEADER "Multiboot loader"
    BOOT_ENTRY
    movw $banner - _start, %si
    call print
    LOAD_PIECE SETUP
    LOAD_PIECE KERNEL
    LOAD_PIECE INITRD

    READ_E820 24, 4
    movw $FW_CFG_SETUP_ADDR, %ax
    call fw_read32
    movl %eax, %esi
    shrl $4, %eax
    movw %ax, %fs           /* the information structure */
    movzwl %di, %eax
    subl $MAP_AT, %eax
    movl %eax, %fs:MBI_MMAP_LENGTH
    movl $MAP_AT, %fs:MBI_MMAP_ADDR
    int $0x12
    movzwl %ax, %eax
    movl %eax, %fs:MBI_MEM_LOWER
    call ram_end
    testl %eax, %eax
    jz 1f
    shrl $10, %eax
    subl $1024, %eax
1:  movl %eax, %fs:MBI_MEM_UPPER
    orl $(MBI_HAS_MEM | MBI_HAS_MMAP), %fs:MBI_FLAGS

    movl %esi, %ebx
    movl $BOOTLOADER_MAGIC, %eax
    ENTER_PROTECTED_MODE

banner:
    .asciz "Booting the multiboot kernel from -kernel\r\n"
    ROM_ROUTINES

/* SPDX-License-Identifier: MIT */
/*
 * Starting a kernel or a bare program on an Arm board: images, initrd, device tree, and the state that the CPU starts
 * in.
 */
#ifndef HW_FIRMWARE_ARM_H
#define HW_FIRMWARE_ARM_H

#include <glib.h>
#include "base/error.h"
#include "hw/core/machine.h"
#include "hw/core/memory.h"

/* What the loader must know about the board. */
typedef struct ArmBootBoard {
    uint64_t ram_base, ram_size;
    bool a64;         /* the CPU starts in AArch64 */
    bool has_el3;     /* and a bare program may have it: it starts in the Secure state */
    uint32_t board_id; /* machine number for AArch32 kernels without a device tree; ~0: none */
} ArmBootBoard;

typedef struct ArmBoot {
    ArmBootBoard board;
    const char *format;     /* for messages */
    bool linux_protocol;    /* kernel: device tree and registers by its boot protocol; else a bare program */
    uint64_t image_at, entry, image_end; /* image_end: of what it uses, BSS included */
    GBytes *image, *initrd, *dtb;
    struct FirmwareImage *pieces;        /* in place of image: ELF, hex ... */
    uint64_t initrd_at, dtb_at;
    uint64_t dtb_room;      /* bytes that a device tree may have at dtb_at; 0: no room */
} ArmBoot;

/*
 * Take config->kernel (arm64 Image, also gzip and EFI zboot; zImage; uImage; ELF, Intel hex, S-record, UF2: bare
 * programs, anywhere in the machine's memory, which is there already; anything else: raw) and config->initrd apart and
 * choose their places. Errors name the file. The caller then makes the device tree (initrd_at, size) and hands it over.
 */
ArmBoot *arm_boot_new(const MachineConfig *config, const ArmBootBoard *board, Error **errp);
bool arm_boot_set_dtb(ArmBoot *b, GBytes *dtb, Error **errp); /* takes the reference */
/* At each reset: put all into memory, and say how the CPU starts. */
void arm_boot_load(const ArmBoot *b, AddressSpace *as, MachineBoot *out);
void arm_boot_free(ArmBoot *b);

/* The kernel file with its compression (gzip, EFI zboot with gzip) taken off, for firmware that boots it. */
GBytes *arm_kernel_file(const MachineConfig *config, Error **errp);
#endif

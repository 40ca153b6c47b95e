/* SPDX-License-Identifier: MIT */
/* Kernel images (-kernel, -initrd, -append) and firmware files: how a machine gets them to its guest. */
#ifndef HW_FIRMWARE_LOADER_H
#define HW_FIRMWARE_LOADER_H

#include <stdbool.h>
#include <stdint.h>
#include <glib.h>
#include "base/error.h"
#include "hw/core/machine.h"
#include "hw/core/memory.h"
#include "hw/firmware/fw_cfg.h"

/*
 * Read a firmware file: `name` is a path, or a file name that is looked for in config->firmware_dir (-L) and then in
 * the usual places (/usr/share/seabios, /usr/share/qemu, /usr/share/OVMF, ...). Longer than max or empty: an error.
 */
GBytes *firmware_read(const MachineConfig *config, const char *name, uint64_t max, Error **errp);

/*
 * A whole file, at most `max` bytes; `what` ("kernel", "initrd") names it in the error. Directories and devices:
 * errors.
 */
GBytes *loader_read_file(const char *what, const char *path, uint64_t max, Error **errp);

/* What a loader must know about the machine. */
typedef struct BootLayout {
    uint64_t ram_below_4g; /* RAM is [0, ram_below_4g) and [4 GiB, 4 GiB + ram_above_4g) */
    uint64_t ram_above_4g;
    uint64_t ram_base;     /* boards whose RAM starts elsewhere: RAM is [ram_base, ram_base + ram_below_4g); 0: a PC */
    /* bytes at the top of low RAM that firmware keeps for itself (ACPI tables): no initrd there */
    uint64_t reserve;
    const E820Entry *e820; /* direct boot only: the memory map to hand over */
    unsigned e820_count;
    uint64_t rsdp;         /* direct boot only: address of the ACPI RSDP, 0: none */
} BootLayout;

/*
 * -kernel through the BIOS: when config->kernel is set, put the image's pieces under the fw_cfg keys, add the option
 * ROM that loads them ("genroms/...") and make it the first boot device. True (nothing done) when there is no kernel;
 * -initrd or -append without -kernel is an error.
 */
bool boot_through_firmware(FwCfg *f, const MachineConfig *config, const BootLayout *layout, Error **errp);

/*
 * -kernel directly: the pieces are placed in RAM by boot_direct_load() after each reset of the machine, and `out` says
 * in which state the boot CPU then starts. Uses RAM below 1 MiB (boot_params, command line, GDT, page tables) at
 * 0x7000..0x2ffff. Machine: m->boot = *out before the first reset; CPUs apply it (see MachineBoot).
 */
typedef struct BootPlan BootPlan;
BootPlan *boot_direct_new(const MachineConfig *config, const BootLayout *layout, MachineBoot *out, Error **errp);
void boot_direct_load(const BootPlan *p, AddressSpace *as);
void boot_direct_free(BootPlan *p);

#endif

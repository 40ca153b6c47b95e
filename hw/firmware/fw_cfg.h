/* SPDX-License-Identifier: MIT */
/* fw_cfg: the machine's key/value store and file directory that firmware reads (devices "fw_cfg_io", "fw_cfg_mem"). */
#ifndef HW_FIRMWARE_FW_CFG_H
#define HW_FIRMWARE_FW_CFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <glib.h>
#include "base/error.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"
#include "hw/core/memory.h"

/* Selector keys: numbers of the interface, little-endian values unless noted. */
enum {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_NB_CPUS = 0x05,
    FW_CFG_MACHINE_ID = 0x06,
    FW_CFG_KERNEL_ADDR = 0x07,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_KERNEL_CMDLINE = 0x09,
    FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_DEVICE = 0x0c,
    FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_ENTRY = 0x10,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16,
    FW_CFG_SETUP_SIZE = 0x17,
    FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_FILE_SLOTS = 0x60, /* files 0x20 .. 0x7f */
    FW_CFG_ARCH_LOCAL = 0x8000,
    FW_CFG_ACPI_TABLES = 0x8000,
    FW_CFG_SMBIOS_ENTRIES = 0x8001,
    FW_CFG_IRQ0_OVERRIDE = 0x8002,
    FW_CFG_HPET = 0x8004,
};

#define FW_CFG_IO_BASE 0x510
#define FW_CFG_MAX_FILE_NAME 56 /* with the NUL */

typedef struct FwCfg FwCfg;

/*
 * Make, start and map the x86 flavour: ports 0x510/0x511 and the DMA register 0x514 in m->io; DMA goes to m->as_memory.
 * All functions below: main thread, or a hook under the device's lock domain. They copy data unless they say otherwise.
 */
FwCfg *fw_cfg_io_create(Machine *m, Error **errp);
/* The MMIO flavour: data at +0 (8 bytes wide), selector +8, DMA +16, all big-endian; mapped at `base` of m->memory. */
FwCfg *fw_cfg_mem_create(Machine *m, hwaddr base, Error **errp);
FwCfg *fw_cfg_from_device(Device *d);
FwCfg *fw_cfg_find(void); /* the machine's one, or NULL */
/* Where DMA goes; NULL: every DMA request gets the error bit. */
void fw_cfg_set_dma(FwCfg *f, AddressSpace *as);

/* Keys. Setting a key again replaces its value. */
void fw_cfg_set_bytes(FwCfg *f, uint16_t key, const void *data, size_t len);
void fw_cfg_set_gbytes(FwCfg *f, uint16_t key, GBytes *data); /* shares the bytes */
void fw_cfg_set_u16(FwCfg *f, uint16_t key, uint16_t v);
void fw_cfg_set_u32(FwCfg *f, uint16_t key, uint32_t v);
void fw_cfg_set_u64(FwCfg *f, uint16_t key, uint64_t v);
GBytes *fw_cfg_get(FwCfg *f, uint16_t key); /* borrowed; NULL: no such key */

/*
 * Files. The directory is sorted by name; keys are given out in that order when the machine is first reset, so add
 * files before that. A name must be shorter than 56 bytes; adding a name again replaces its contents. `fw_cfg_add_file`
 * fails only for a bad name or too many files (the user can provoke neither but through -fw_cfg).
 */
bool fw_cfg_add_file(FwCfg *f, const char *name, const void *data, size_t len, Error **errp);
bool fw_cfg_add_file_gbytes(FwCfg *f, const char *name, GBytes *data, Error **errp);
/*
 * A file with hooks; both are called under the device's lock domain.
 *  - select: the guest selects the file (from the start): the hook may call fw_cfg_replace_file().
 *  - wrote: only for writable files (the guest may write by DMA, inside the file's size): bytes offset .. offset+len
 * changed.
 */
typedef struct FwCfgFileOps {
    void (*select)(void *opaque);
    void (*wrote)(void *opaque, const uint8_t *contents, size_t offset, size_t len);
} FwCfgFileOps;
bool fw_cfg_add_file_ops(FwCfg *f, const char *name, const void *data, size_t len, bool writable,
                         const FwCfgFileOps *ops, void *opaque, Error **errp);
/*
 * Change the contents of a file later (e.g. tables rebuilt when firmware has set up PCI); becomes part of the saved
 * state.
 */
void fw_cfg_replace_file(FwCfg *f, const char *name, const void *data, size_t len);
GBytes *fw_cfg_get_file(FwCfg *f, const char *name); /* borrowed; NULL: no such file */

/*
 * Signature, id, uuid, ram size, cpu counts, nographic, boot menu: what m->config says. Called by the *_create
 * functions.
 */
void fw_cfg_add_machine_keys(FwCfg *f, const Machine *m);

/* "etc/e820": usable and reserved ranges, in the order given. */
typedef struct E820Entry {
    uint64_t addr, len;
    uint32_t type;
} E820Entry;
enum { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4 };
bool fw_cfg_add_e820(FwCfg *f, const E820Entry *e, unsigned n, Error **errp);

/*
 * The file "bootorder": one Open-Firmware-like path per line, smaller index first ("/rom@genroms/linuxboot_dma.bin",
 * "/pci@i0cf8/ide@1f,2/drive@0/disk@0"). Written anew at each call.
 */
bool fw_cfg_add_boot_path(FwCfg *f, const char *path, int index, Error **errp);
/* The paths of all devices whose property bootindex is not negative. No two may have the same. */
bool fw_cfg_add_boot_devices(FwCfg *f, Error **errp);

#endif

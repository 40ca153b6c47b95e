/* SPDX-License-Identifier: MIT */
/* The structure behind FwCfg, shared by the store, the devices and the machine glue. */
#ifndef HW_FIRMWARE_FW_CFG_INTERNAL_H
#define HW_FIRMWARE_FW_CFG_INTERNAL_H

#include "hw/firmware/fw_cfg.h"

#define FW_CFG_ARCH_KEYS 0x20 /* 0x8000 .. 0x801f */
#define FW_CFG_CHANGED_MAX (16 * 1024 * 1024)

/* One item: read-only items share a GBytes, writable ones own their bytes. */
typedef struct FwCfgItem {
    char *name; /* of a file, else NULL */
    GBytes *data;
    uint8_t *writable; /* contents when the guest may write, else NULL */
    const FwCfgFileOps *ops;
    void *opaque;
    bool changed; /* since it was added: part of the saved state */
} FwCfgItem;

/* A line of the file "bootorder". */
typedef struct BootPath {
    char *path;
    int index;
} BootPath;

struct FwCfg {
    Device dev;
    AddressSpace *dma_as;
    bool dma_enabled;
    uint16_t selected;
    uint32_t offset;
    uint64_t dma_addr;
    bool boot_strict; /* -boot strict=on: nothing but the listed devices */
    bool dma_busy; /* a request is being carried out: a descriptor that reaches our own register is refused */
    GByteArray *changed; /* contents of changed items, only while saving and loading */
    FwCfgItem fixed[FW_CFG_FILE_FIRST];
    FwCfgItem arch[FW_CFG_ARCH_KEYS];
    GPtrArray *files; /* of FwCfgItem, sorted by name; key = FW_CFG_FILE_FIRST + index */
    GArray *boot_paths; /* of BootPath, sorted by index */
};

/* The store (fw_cfg.c). */
FwCfgItem *fw_cfg_item(FwCfg *f, uint16_t key); /* NULL: no such key */
size_t fw_cfg_item_size(const FwCfgItem *i);
const uint8_t *fw_cfg_item_bytes(const FwCfgItem *i);
void fw_cfg_item_clear(FwCfgItem *i);
void fw_cfg_select(FwCfg *f, uint16_t key);
/* Copy the next n bytes of the selected item (zeros after its end) and go on behind them. */
void fw_cfg_read_next(FwCfg *f, void *buf, size_t n);

#endif

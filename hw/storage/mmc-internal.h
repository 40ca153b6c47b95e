/* SPDX-License-Identifier: MIT */
/* Between mmc.c and mmc-info.c. */
#ifndef HW_STORAGE_MMC_INTERNAL_H
#define HW_STORAGE_MMC_INTERNAL_H

#include "base/bits.h"
#include "hw/storage/mmc.h"

enum { MMC_SPEED = 706 * 4, MMC_FRAMES = 75, MMC_LEAD_IN = 150 };

typedef struct MmcCall {
    MmcDrive *m;
    const uint8_t *cdb;
    uint8_t *d;      /* MMC_DATA_MAX, the first 4 KiB are zero */
    MmcResult *r;
} MmcCall;

static inline unsigned be16(const uint8_t *p) { return (unsigned)load_be(p, 2); }
static inline uint32_t be32(const uint8_t *p) { return (uint32_t)load_be(p, 4); }
static inline void fail(MmcCall *k, uint32_t sense) { mmc_fail(k->m, k->r, sense); }
/* `len` bytes of k->d, cut to what the initiator has room for. */
void mmc_reply(MmcCall *k, uint32_t len, uint32_t room);
void mmc_put_address(uint8_t *d, uint32_t lba, bool msf);

void mmc_inquiry(MmcCall *k);
void mmc_mode_sense(MmcCall *k);
void mmc_mode_select(MmcCall *k);
void mmc_read_capacity(MmcCall *k);
void mmc_read_toc(MmcCall *k);
void mmc_read_disc_info(MmcCall *k);
void mmc_read_track_info(MmcCall *k);
void mmc_read_dvd_structure(MmcCall *k);
void mmc_get_configuration(MmcCall *k);
void mmc_get_event_status(MmcCall *k);
void mmc_mechanism_status(MmcCall *k);
void mmc_set_speed(MmcCall *k);
void mmc_get_performance(MmcCall *k);
#endif

/* SPDX-License-Identifier: MIT */
/* SSE-200 and SSE-300: what boards wire of their protection controllers. */
#ifndef HW_MISC_IOTKIT_H
#define HW_MISC_IOTKIT_H

#include "base/bits.h"
#include "hw/core/device.h"

enum { IOT_AHB_PPC0, IOT_AHB_PPCEXP0, IOT_APB_PPC0 = 5, IOT_APB_PPCEXP0 = 7, IOT_PPCS = 11 };
enum { IOT_MPC_WORDS = 16 };

/* Device "iotkit-secctl": region 0 is the secure block, region 1 the non-secure one. */
typedef struct IotSec {
    Device dev; /* always first */
    uint32_t nsppc[IOT_PPCS], spppc[IOT_PPCS], nspppc[IOT_PPCS]; /* a bit a port */
    uint32_t mpc_stat, secrespcfg, nsccfg, ppcinten, mscinten, brginten, nsmscexp;
} IotSec;

/*
 * What a memory protection controller guards: `memory` (RAM) from `offset` on, which `container` shows at both
 * addresses.
 */
typedef struct IotMpcPlace {
    MemRegion *container, *memory;
    hwaddr offset, nonsecure_at, secure_at;
    hwaddr ns_window; /* Non-secure transactions see an address there */
} IotMpcPlace;
/* Device "tz-mpc". */
typedef struct IotMpc {
    Device dev; /* always first */
    uint32_t ctrl, blk_idx, int_stat, int_en, int_info[2], lut[IOT_MPC_WORDS], size, block_size;
    IotMpcPlace place;
    MemRegion *open;
    GPtrArray *windows;
} IotMpc;
/* After start: from now on. The regions outlive the device. */
void iot_mpc_protect(Device *mpc, const IotMpcPlace *place);

/* Stands in front of `target` (I/O region of a peripheral) at its secure or its non-secure address. */
typedef struct IotGate {
    const char *name;
    MemRegion *target;
    const IotSec *sec;
    bool secure_alias;
    uint8_t ppc, port;
} IotGate;
/* A region to map; keeps a copy of *gate. */
MemRegion *iot_gate_new(const IotGate *gate);
#endif

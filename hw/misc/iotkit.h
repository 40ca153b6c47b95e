/* SPDX-License-Identifier: MIT */
/* SSE-200 and SSE-300: what boards wire of their protection controllers. */
#ifndef HW_MISC_IOTKIT_H
#define HW_MISC_IOTKIT_H

#include "base/bits.h"
#include "hw/core/device.h"

enum { IOT_AHB_PPC0, IOT_AHB_PPCEXP0, IOT_APB_PPC0 = 5, IOT_APB_PPCEXP0 = 7, IOT_PPCS = 11 };
enum { IOT_MPC_BLOCK = 32768, IOT_MPC_WORDS = 16 };

/* Device "iotkit-secctl": region 0 is the secure block, region 1 the non-secure one. */
typedef struct IotSec {
    Device dev; /* always first */
    uint32_t nsppc[IOT_PPCS], spppc[IOT_PPCS], nspppc[IOT_PPCS]; /* a bit a port */
    uint32_t secrespcfg, nsccfg, ppcinten, mscinten, brginten, nsmscexp;
} IotSec;

typedef struct IotMpc {
    Device dev; /* always first */
    uint32_t ctrl, blk_idx, int_en, lut[IOT_MPC_WORDS], size;
} IotMpc;

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

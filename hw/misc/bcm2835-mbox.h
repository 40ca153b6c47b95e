/* SPDX-License-Identifier: MIT */
/* What the mailboxes of the Raspberry Pi and the answers of their property channel share. */
#ifndef HW_MISC_BCM2835_MBOX_H
#define HW_MISC_BCM2835_MBOX_H

#include "base/bits.h"
#include "hw/core/machine.h"
#include "hw/misc/bcm2835-fb.h"

enum { MBOX_DEPTH = 8, MBOX_CLOCKS = 16, MBOX_EXPANDER = 8 };

typedef struct Mbox {
    Device dev; /* always first */
    uint32_t revision, vc_size;
    uint32_t config, fifo[MBOX_DEPTH], head, count;
    Bcm2835Fb fb;
    Display display;
    uint32_t power, clocks_off;      /* bit per device, per clock */
    uint32_t clock[MBOX_CLOCKS];     /* rates that the guest set; 0: as the firmware leaves it */
    uint32_t expander[MBOX_EXPANDER]; /* GPIOs of the firmware, from 128 on */
} Mbox;

uint32_t mbox_vc_base(const Mbox *s);
uint32_t mbox_vc_size(const Mbox *s);
uint32_t mbox_fb_base(const Mbox *s);
uint32_t mbox_fb_room(const Mbox *s);

/* Answer the message at `at`. */
void mbox_property(Mbox *s, uint32_t at);
void mbox_property_reset(Mbox *s);
#endif

/* SPDX-License-Identifier: MIT */
/*
 * The frame buffer that the firmware of the Raspberry Pi keeps in the GPU's memory, as the property channel sets it up.
 */
#ifndef HW_MISC_BCM2835_FB_H
#define HW_MISC_BCM2835_FB_H

#include "hw/display/display.h"

typedef struct Bcm2835Fb {
    uint32_t size[2], virtual_size[2], offset[2]; /* pixels: x, y */
    uint32_t depth, order /* 1: red lowest (RGB), 0: BGR */, alpha, overscan[4], blank, on;
    uint32_t palette[256];                        /* 0x00bbggrr */
} Bcm2835Fb;

enum { BCM2835_FB_OFFSET = 0x100000 /* in the GPU's memory */ };

void bcm2835_fb_reset(Bcm2835Fb *f);
uint32_t bcm2835_fb_pitch(const Bcm2835Fb *f);
uint32_t bcm2835_fb_bytes(const Bcm2835Fb *f);
/* Make the values such that it fits into `room` bytes and the picture into it. */
void bcm2835_fb_settle(Bcm2835Fb *f, uint32_t room);
bool bcm2835_fb_picture(const Bcm2835Fb *f, uint64_t at, Picture *out);
extern const StateField bcm2835_fb_state[];
#endif

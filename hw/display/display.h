/* SPDX-License-Identifier: MIT */
/* What the machine shows: devices with a screen offer its picture; consoles and the monitor's screendump take it. */
#ifndef HW_DISPLAY_DISPLAY_H
#define HW_DISPLAY_DISPLAY_H

#include "hw/core/device.h"

enum { PICTURE_MAX_SIDE = 8192 };

/* Rows from the top, without gaps; 0x00RRGGBB. */
typedef struct Picture {
    unsigned width, height;
    uint32_t *pixels; /* g_free() it: picture_clear() */
} Picture;

typedef struct Display Display;
struct Display {
    Device *dev;
    /* Under the device's domain: the picture as the screen shows it now. false: the screen is off. */
    bool (*picture)(Device *d, Picture *out);
    Display *next;
};

/* In start() and stop(), main thread; remove may be called for one that never was added. */
void display_add(Display *s, Device *d, bool (*picture)(Device *d, Picture *out));
void display_remove(Display *s);
/* That of a device; NULL: the first. */
Display *display_find(const char *device_id);
/* Main thread, no lock held. false: the screen is off. */
bool display_take(Display *s, Picture *out);

/* A black picture; sides beyond PICTURE_MAX_SIDE are cut. */
void picture_new(Picture *p, unsigned width, unsigned height);
void picture_clear(Picture *p);
/* Binary portable pixmap. */
bool picture_write_ppm(const Picture *p, const char *file, Error **errp);

/* 5, 6 or 8 bits of a colour to 8. */
static inline uint32_t colour5(uint32_t v) { return (v & 31) << 3 | (v & 31) >> 2; }
static inline uint32_t colour6(uint32_t v) { return (v & 63) << 2 | (v & 63) >> 4; }
static inline uint32_t rgb(uint32_t r, uint32_t g, uint32_t b) { return (r & 255) << 16 | (g & 255) << 8 | (b & 255); }
static inline uint32_t swap_red_blue(uint32_t v) { return (v & 0xff00) | (v & 255) << 16 | (v >> 16 & 255); }
#endif

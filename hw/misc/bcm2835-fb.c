/* SPDX-License-Identifier: MIT */
/*
 * The Raspberry Pi's frame buffer: its settings and its picture (firmware wiki, "Mailbox property interface",
 * "Framebuffer").
 */
#include "hw/misc/bcm2835-fb.h"

#include <string.h>
#include "base/bits.h"
#include "hw/core/machine.h"

enum { MAX_SIDE = 4096 };

void bcm2835_fb_reset(Bcm2835Fb *f)
{
    *f = (Bcm2835Fb){ .size = { 640, 480 }, .virtual_size = { 640, 480 }, .depth = 16, .order = 1, .alpha = 2 };
}

uint32_t bcm2835_fb_pitch(const Bcm2835Fb *f) { return f->virtual_size[0] * f->depth / 8; }
uint32_t bcm2835_fb_bytes(const Bcm2835Fb *f) { return bcm2835_fb_pitch(f) * f->virtual_size[1]; }

void bcm2835_fb_settle(Bcm2835Fb *f, uint32_t room)
{
    if (f->depth != 8 && f->depth != 16 && f->depth != 24 && f->depth != 32)
        f->depth = 32;
    for (unsigned i = 0; i < 2; i++) {
        f->size[i] = CLAMP(f->size[i], 1, MAX_SIDE);
        f->virtual_size[i] = CLAMP(f->virtual_size[i], f->size[i], MAX_SIDE);
    }
    if (bcm2835_fb_bytes(f) > room)
        memcpy(f->virtual_size, f->size, sizeof f->size);
    if (bcm2835_fb_bytes(f) > room)
        f->size[1] = f->virtual_size[1] = room / bcm2835_fb_pitch(f);
    for (unsigned i = 0; i < 2; i++)
        f->offset[i] = MIN(f->offset[i], f->virtual_size[i] - f->size[i]);
    f->order &= 1;
}

static uint32_t pixel(const Bcm2835Fb *f, const uint8_t *p)
{
    uint32_t v;
    switch (f->depth) {
    case 8: return swap_red_blue(f->palette[*p]);
    case 16:
        v = load_le16(p);
        v = rgb(colour5(v >> 11), colour6(v >> 5), colour5(v));
        break;
    default: v = rgb(p[0], p[1], p[2]); break;
    }
    return f->order ? v : swap_red_blue(v);
}

bool bcm2835_fb_picture(const Bcm2835Fb *f, uint64_t at, Picture *out)
{
    if (!f->on)
        return false;
    uint32_t pitch = bcm2835_fb_pitch(f), step = f->depth / 8;
    g_autofree uint8_t *row = g_malloc0(pitch);
    picture_new(out, f->size[0], f->size[1]);
    for (unsigned y = 0; y < out->height && !f->blank; y++) {
        if (as_read(machine_current()->as_memory, at + (uint64_t)(f->offset[1] + y) * pitch, row, pitch,
                    MEM_ATTRS_DEVICE) != MEM_OK)
            break;
        for (unsigned x = 0; x < out->width; x++)
            out->pixels[(size_t)y * out->width + x] = pixel(f, row + (f->offset[0] + x) * step);
    }
    return true;
}

const StateField bcm2835_fb_state[] = {
    STATE_U32_ARRAY(Bcm2835Fb, size),
    STATE_U32_ARRAY(Bcm2835Fb, virtual_size),
    STATE_U32_ARRAY(Bcm2835Fb, offset),
    STATE_U32(Bcm2835Fb, depth),
    STATE_U32(Bcm2835Fb, order),
    STATE_U32(Bcm2835Fb, alpha),
    STATE_U32_ARRAY(Bcm2835Fb, overscan),
    STATE_U32(Bcm2835Fb, blank),
    STATE_U32(Bcm2835Fb, on),
    STATE_U32_ARRAY(Bcm2835Fb, palette),
    STATE_END_OF_TABLE,
};

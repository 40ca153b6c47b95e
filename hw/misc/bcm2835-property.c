/* SPDX-License-Identifier: MIT */
/*
 * What the firmware of the Raspberry Pi answers on the property channel (firmware wiki, "Mailbox property interface").
 */
#include <string.h>
#include "base/log.h"
#include "hw/misc/bcm2835-mbox.h"

enum { MAX_MESSAGE = 64 * KiB, WORDS = 260 /* the palette's tag is the longest */, EXPANDER_FIRST = 128, UNKNOWN = -1 };
#define RESPONSE 0x80000000u
#define PARSE_ERROR 0x80000001u

/* One tag: in[words] is what the guest sent, zeros behind; fills out and returns how many bytes the answer has. */
typedef int Answer(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out);

/* ---- board and power ---- */

static int revision(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    out[0] = s->revision;
    return 4;
}
static int arm_memory(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    out[0] = 0;
    out[1] = mbox_vc_base(s);
    return 8;
}
static int vc_memory(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    out[0] = mbox_vc_base(s);
    out[1] = mbox_vc_size(s);
    return 8;
}
static int power(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    bool known = in[0] < 32;
    if (tag & 0x8000 && known)
        s->power = in[1] & 1 ? s->power | 1u << in[0] : s->power & ~(1u << in[0]);
    out[0] = in[0];
    out[1] = known ? s->power >> in[0] & 1 : 2 /* no such device */;
    return 8;
}

/* ---- clocks ---- */

static const uint32_t rates[MBOX_CLOCKS] = {
    [1] = 50000000 /* EMMC */,   [2] = 48000000 /* UART */,  [3] = 700000000 /* ARM */, [4] = 350000000 /* core */,
    [5] = 250000000 /* V3D */,   [6] = 250000000 /* H264 */, [7] = 250000000 /* ISP */, [8] = 400000000 /* SDRAM */,
    [9] = 148500000 /* pixel */, [10] = 0 /* PWM */,
};
static uint32_t rate(const Mbox *s, uint32_t id)
{
    return id >= MBOX_CLOCKS ? 0 : s->clock[id] ? s->clock[id] : rates[id];
}

static int clock_list(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    unsigned n = 0;
    for (unsigned id = 1; id < MBOX_CLOCKS; id++) {
        if (rates[id]) {
            out[n++] = 0; /* parent */
            out[n++] = id;
        }
    }
    return (int)n * 4;
}
static int clock_state(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    bool known = in[0] && in[0] < MBOX_CLOCKS;
    if (tag & 0x8000 && known)
        s->clocks_off = in[1] & 1 ? s->clocks_off & ~(1u << in[0]) : s->clocks_off | 1u << in[0];
    out[0] = in[0];
    out[1] = known ? ~s->clocks_off >> in[0] & 1 : 2;
    return 8;
}
static int clock_rate(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    if (tag & 0x8000 && in[0] && in[0] < MBOX_CLOCKS && rates[in[0]])
        s->clock[in[0]] = MIN(in[1], rates[in[0]]);
    out[0] = in[0];
    out[1] = rate(s, in[0]);
    return 8;
}
static int clock_limit(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    out[0] = in[0];
    out[1] = in[0] < MBOX_CLOCKS ? rates[in[0]] : 0;
    return 8;
}

/* ---- GPIOs behind the firmware ---- */

static uint32_t *expander(Mbox *s, uint32_t pin)
{
    return pin - EXPANDER_FIRST < MBOX_EXPANDER ? &s->expander[pin - EXPANDER_FIRST] : NULL;
}

/* The pin's number comes back as 0: no error. */
static int gpio_state(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    uint32_t *pin = expander(s, in[0]);
    if (tag & 0x8000 && pin)
        *pin = in[1] & 1;
    out[0] = pin ? 0 : in[0];
    out[1] = pin ? *pin : 0;
    return 8;
}
/* Direction, polarity, termination, pull-up: an output without any. */
static int gpio_config(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    uint32_t *pin = expander(s, in[0]);
    if (tag & 0x8000 && pin)
        *pin = in[5] & 1;
    out[0] = pin ? 0 : in[0];
    out[1] = 1;
    return 20;
}

/* ---- frame buffer: 0x4nnnn gets, 0x44nnn tests, 0x48nnn sets ---- */

static bool sets(uint32_t tag) { return tag & 0x8000; }
static bool tests(uint32_t tag) { return tag & 0x4000; }

/* Change settings: what comes out is what they are, or would be. */
static Bcm2835Fb *change(Mbox *s, uint32_t tag, Bcm2835Fb *copy)
{
    *copy = s->fb;
    return tests(tag) ? copy : &s->fb;
}

static int fb_allocate(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    s->fb.on = !sets(tag);
    out[0] = mbox_fb_base(s);
    out[1] = bcm2835_fb_bytes(&s->fb);
    return sets(tag) ? 0 : 8;
}
static int fb_blank(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    s->fb.blank = in[0] & 1;
    out[0] = s->fb.blank;
    return 4;
}
/* Pairs: sizes and offset. */
static int fb_pair(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    Bcm2835Fb copy, *f = change(s, tag, &copy);
    unsigned what = tag & 15;
    uint32_t *pair = what == 3 ? f->size : what == 4 ? f->virtual_size : f->offset;
    if (sets(tag) || tests(tag)) {
        memcpy(pair, in, 8);
        if (what == 3 && sets(tag))
            f->on = true;
        bcm2835_fb_settle(f, mbox_fb_room(s));
    }
    memcpy(out, pair, 8);
    return 8;
}
static int fb_word(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    Bcm2835Fb copy, *f = change(s, tag, &copy);
    unsigned what = tag & 15;
    uint32_t *word = what == 5 ? &f->depth : what == 6 ? &f->order : &f->alpha;
    if (sets(tag) || tests(tag)) {
        *word = in[0];
        bcm2835_fb_settle(f, mbox_fb_room(s));
    }
    out[0] = *word;
    return 4;
}
static int fb_pitch(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    out[0] = bcm2835_fb_pitch(&s->fb);
    return 4;
}
static int fb_overscan(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    Bcm2835Fb copy, *f = change(s, tag, &copy);
    if (sets(tag) || tests(tag))
        memcpy(f->overscan, in, sizeof f->overscan);
    memcpy(out, f->overscan, sizeof f->overscan);
    return 16;
}
/* To set or test: first entry, count, colours; the answer is 0: valid. */
static int fb_palette(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    if (!sets(tag) && !tests(tag)) {
        memcpy(out, s->fb.palette, sizeof s->fb.palette);
        return sizeof s->fb.palette;
    }
    uint32_t first = in[0], count = in[1];
    bool good = first < 256 && count >= 1 && count <= 256 - first && words >= 2 + count;
    if (good && sets(tag))
        memcpy(s->fb.palette + first, in + 2, count * 4);
    out[0] = !good;
    return 4;
}

/* ---- the table ---- */

static const struct Tag {
    uint32_t tag;
    Answer *answer;                   /* NULL: `bytes` of `value` */
    uint32_t bytes, value[2];
} tags[] = {
    { 0x00000001, .bytes = 4, .value = { 346337 } }, /* firmware revision */
    { 0x00010001, .bytes = 4 }, /* board model */
    /* MAC address 52:54:00:12:34:56 */
    { 0x00010002, revision },
    { 0x00010003, .bytes = 6, .value = { 0x12005452, 0x5634 } },
    { 0x00010004, .bytes = 8 }, /* serial number */
    { 0x00010005, arm_memory },
    { 0x00010006, vc_memory },
    { 0x00010007, clock_list },
    { 0x00020001, power },
    { 0x00028001, power },
    { 0x00020002, .bytes = 8, .value = { 0, 1 } }, /* us to wait */
    { 0x00030001, clock_state },
    { 0x00038001, clock_state },
    { 0x00030002, clock_rate },
    { 0x00038002, clock_rate },
    { 0x00030047, clock_rate },
    /* turbo: off */
    { 0x00030004, clock_limit },
    { 0x00030007, clock_limit },
    { 0x00030009, .bytes = 8 },
    { 0x00038009, .bytes = 8 },
    /* voltages: no offset */
    { 0x00030003, .bytes = 8 },
    { 0x00038003, .bytes = 8 },
    { 0x00030005, .bytes = 8 },
    { 0x00030008, .bytes = 8 },
    /* temperature, and its limit */
    { 0x00030006, .bytes = 8, .value = { 0, 25000 } },
    { 0x0003000a, .bytes = 8, .value = { 0, 85000 } },
    { 0x00030020, .bytes = 136, .value = { 0, 1 } }, /* EDID: there is none */
    { 0x00030030, .bytes = 0 },
    { 0x00038030, .bytes = 0 },
    { 0x00030048, .bytes = 0 }, /* the system restarts; XHCI */
    { 0x00030041, gpio_state },
    { 0x00038041, gpio_state },
    { 0x00030043, gpio_config },
    { 0x00038043, gpio_config },
    { 0x00030046, .bytes = 4 } /* throttled */,
    { 0x00030058, .bytes = 4 },
    { 0x00040001, fb_allocate },
    { 0x00048001, fb_allocate },
    { 0x00040002, fb_blank },
    { 0x00040003, fb_pair },
    { 0x00044003, fb_pair },
    { 0x00048003, fb_pair },
    { 0x00040004, fb_pair },
    { 0x00044004, fb_pair },
    { 0x00048004, fb_pair },
    { 0x00040005, fb_word },
    { 0x00044005, fb_word },
    { 0x00048005, fb_word },
    { 0x00040006, fb_word },
    { 0x00044006, fb_word },
    { 0x00048006, fb_word },
    { 0x00040007, fb_word },
    { 0x00044007, fb_word },
    { 0x00048007, fb_word },
    { 0x00040008, fb_pitch },
    { 0x00040009, fb_pair },
    { 0x00044009, fb_pair },
    { 0x00048009, fb_pair },
    { 0x0004000a, fb_overscan },
    { 0x0004400a, fb_overscan },
    { 0x0004800a, fb_overscan },
    { 0x0004000b, fb_palette },
    { 0x0004400b, fb_palette },
    { 0x0004800b, fb_palette },
    /* displays: one, number 0 */
    { 0x00040013, .bytes = 4, .value = { 1 } },
    { 0x00040016, .bytes = 4 },
    { 0x00048013, .bytes = 4 },
    { 0x0004800e, .bytes = 4 },
    { 0x0004800f, .bytes = 4 },
    { 0x00048010, .bytes = 4, .value = { 1 } },
    { 0x00008010, .bytes = 4, .value = { 1 } },
    { 0x00008011, .bytes = 4, .value = { 1 } }, /* vertical sync, backlight; cursor: there is none */
    { 0x00050001, .bytes = 0 }, /* command line */
    { 0x00060001, .bytes = 4, .value = { 0x003c } }, /* DMA channels */
};

static int answer(Mbox *s, uint32_t tag, const uint32_t *in, unsigned words, uint32_t *out)
{
    for (const struct Tag *t = tags; t < tags + ARRAY_LEN(tags); t++) {
        if (t->tag != tag)
            continue;
        if (t->answer)
            return t->answer(s, tag, in, words, out);
        memcpy(out, t->value, sizeof t->value);
        if (t->bytes == 8 && t->tag >> 16 >= 2)
            out[0] = in[0]; /* whose it is */
        return (int)t->bytes;
    }
    return UNKNOWN;
}

/* The message at `at`: size, code, then tags { id, room, code, value[room] } up to id 0. */
void mbox_property(Mbox *s, uint32_t at)
{
    AddressSpace *as = machine_current()->as_memory;
    uint32_t head[3], size, done = RESPONSE;
    if (as_read(as, at, &size, 4, MEM_ATTRS_DEVICE) != MEM_OK || size > MAX_MESSAGE) {
        log_guest_error(s->dev.id, "property message at 0x%08x: impossible size", at);
        return;
    }
    for (uint32_t pos = 8; pos + 12 <= size;) {
        uint32_t in[WORDS] = { 0 }, out[WORDS] = { 0 };
        as_read(as, at + pos, head, sizeof head, MEM_ATTRS_DEVICE);
        if (!head[0])
            break;
        if (head[1] > size - pos - 12) {
            done = PARSE_ERROR;
            break;
        }
        as_read(as, at + pos + 12, in, MIN(head[1], (uint32_t)sizeof in), MEM_ATTRS_DEVICE);
        int bytes = answer(s, head[0], in, MIN(head[1] / 4, (uint32_t)WORDS), out);
        if (bytes < 0) {
            log_unimp(s->dev.id, "property tag 0x%08x", head[0]);
        } else {
            uint32_t code = RESPONSE | (uint32_t)bytes;
            as_write(as, at + pos + 8, &code, 4, MEM_ATTRS_DEVICE);
            as_write(as, at + pos + 12, out, MIN((uint32_t)bytes, head[1]), MEM_ATTRS_DEVICE);
        }
        pos += 12 + ((head[1] + 3) & ~3u);
    }
    as_write(as, at + 4, &done, 4, MEM_ATTRS_DEVICE);
}

void mbox_property_reset(Mbox *s)
{
    s->power = s->clocks_off = 0;
    memset(s->clock, 0, sizeof s->clock);
    memset(s->expander, 0, sizeof s->expander);
}

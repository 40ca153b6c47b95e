/* SPDX-License-Identifier: MIT */
/* The mailboxes between Arm and GPU of the Raspberry Pi, and the GPU firmware's answers on the property channel (firmware wiki, "Mailboxes"). */
#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"

enum { DEPTH = 8, CHANNEL_PROPERTY = 8, STATUS_EMPTY = 1 << 30, MAX_MESSAGE = 64 * KiB, MAX_VALUE = 256 };
#define RESPONSE 0x80000000u

typedef struct Mbox {
    Device dev; /* always first */
    uint32_t revision, vc_base, vc_size;
    uint32_t config, fifo[DEPTH], head, count;
    uint32_t fb[7]; /* width, height, virtual width, virtual height, depth, x, y */
    uint32_t power; /* bit per device */
} Mbox;

static void update(Mbox *s) { device_out(&s->dev, 0, s->config & 1 && s->count); }

static void push(Mbox *s, uint32_t value)
{
    if (s->count < DEPTH)
        s->fifo[(s->head + s->count++) % DEPTH] = value;
    update(s);
}

/* ---- property tags ---- */

static uint32_t clock_rate(uint32_t id)
{
    switch (id) {
    case 1: return 50000000;   /* EMMC */
    case 2: return 48000000;   /* UART */
    case 3: return 700000000;  /* ARM */
    case 4: return 350000000;  /* core */
    default: return 350000000;
    }
}

/* What tags without state answer; words beyond the first are 0. */
static const struct Constant { uint32_t tag; uint8_t words; uint32_t value[2]; } constants[] = {
    { 0x00000001, 1, { 346337 } }, { 0x00010001, 1, { 0 } }, { 0x00010003, 2, { 0x3456b827, 0x5412 } /* MAC 52:54:00.. style */ }, { 0x00010004, 2, { 0, 0 } },
    { 0x00060001, 1, { 0x003c } } /* DMA channels */, { 0x00030046, 1, { 0 } } /* throttled */, { 0x00050001, 0, { 0 } } /* command line */,
};

/* in: the tag's value (n words may be read); out: the answer. Returns its words, -1: not known. */
static int answer(Mbox *s, uint32_t tag, const uint32_t *in, uint32_t *out)
{
    const Machine *m = machine_current();
    for (unsigned i = 0; i < ARRAY_LEN(constants); i++) {
        if (constants[i].tag == tag) {
            memcpy(out, constants[i].value, sizeof constants[i].value);
            return constants[i].words;
        }
    }
    out[0] = in[0];
    switch (tag) {
    case 0x00010002: out[0] = s->revision; return 1;
    case 0x00010005: out[0] = 0; out[1] = (uint32_t)MIN(m->config.ram_size, s->vc_base); return 2;
    case 0x00010006: out[0] = s->vc_base; out[1] = s->vc_size; return 2;
    case 0x00020001: out[1] = in[0] < 32 && s->power >> in[0] & 1; return 2;
    case 0x00020002: out[1] = 1; return 2;
    case 0x00028001:
        if (in[0] < 32)
            s->power = in[1] & 1 ? s->power | 1u << in[0] : s->power & ~(1u << in[0]);
        out[1] = in[1] & 1;
        return 2;
    case 0x00030001: case 0x00038001: out[1] = 1; return 2;
    case 0x00030002: case 0x00038002: case 0x00030004: case 0x00030007: case 0x00030047: out[1] = clock_rate(in[0]); return 2;
    case 0x00030003: case 0x00038003: case 0x00030005: case 0x00030008: out[1] = 0; return 2; /* voltages: offsets in uV */
    case 0x00030006: out[1] = 25000; return 2;
    case 0x0003000a: out[1] = 85000; return 2;
    case 0x00030030: case 0x00038030: return 0; /* reboot notice */
    case 0x00030043: case 0x00038041: case 0x00030041: case 0x00038043: out[1] = 0; return 2; /* GPIO expander */
    case 0x00040001: out[0] = s->vc_base; out[1] = s->fb[0] * s->fb[1] * s->fb[4] / 8; return 2;
    case 0x00048001: return 0;
    case 0x00040008: out[0] = s->fb[2] * s->fb[4] / 8; return 1;
    case 0x00040003: case 0x00044003: case 0x00048003: case 0x00040004: case 0x00044004: case 0x00048004: {
        uint32_t *at = tag & 4 ? &s->fb[2] : &s->fb[0];
        if (tag & 0x8000)
            at[0] = MIN(in[0], 4096u), at[1] = MIN(in[1], 4096u);
        out[0] = at[0], out[1] = at[1];
        return 2;
    }
    case 0x00040005: case 0x00048005:
        if (tag & 0x8000)
            s->fb[4] = MIN(in[0], 32u);
        out[0] = s->fb[4];
        return 1;
    case 0x00040006: case 0x00040007: out[0] = 0; return 1;
    case 0x00048006: case 0x00048007: return 1;
    case 0x00040009: case 0x00048009: out[1] = in[1]; return 2;
    case 0x00040013: out[0] = 1; return 1; /* displays */
    case 0x0004000a: case 0x0004800a: memset(out, 0, 16); return 4;
    default: return -1;
    }
}

/* The message at `at`: size, code, then tags { id, room, code, value[room] } up to id 0. */
static void property(Mbox *s, uint32_t at)
{
    AddressSpace *as = machine_current()->as_memory;
    uint32_t head[3], size;
    if (as_read(as, at, &size, 4, MEM_ATTRS_DEVICE) != MEM_OK || size > MAX_MESSAGE) {
        log_guest_error(s->dev.id, "property message at 0x%08x: impossible size", at);
        return;
    }
    for (uint32_t pos = 8; pos + 12 <= size;) {
        uint32_t in[MAX_VALUE / 4] = { 0 }, out[MAX_VALUE / 4] = { 0 };
        as_read(as, at + pos, head, sizeof head, MEM_ATTRS_DEVICE);
        if (!head[0] || head[1] > size - pos - 12)
            break;
        as_read(as, at + pos + 12, in, MIN(head[1], (uint32_t)sizeof in), MEM_ATTRS_DEVICE);
        int words = answer(s, head[0], in, out);
        if (words < 0) {
            log_unimp(s->dev.id, "property tag 0x%08x", head[0]);
            words = 0;
        } else {
            uint32_t code = RESPONSE | (uint32_t)words * 4;
            as_write(as, at + pos + 8, &code, 4, MEM_ATTRS_DEVICE);
        }
        as_write(as, at + pos + 12, out, MIN((uint32_t)words * 4, head[1]), MEM_ATTRS_DEVICE);
        pos += 12 + ((head[1] + 3) & ~3u);
    }
    uint32_t done = RESPONSE;
    as_write(as, at + 4, &done, 4, MEM_ATTRS_DEVICE);
}

/* ---- registers ---- */

static uint64_t mail_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Mbox *s = (Mbox *)d;
    if (!s->count)
        return 15; /* channel 15: nothing */
    uint32_t value = s->fifo[s->head];
    if (r->at == 0x00) {
        s->head = (s->head + 1) % DEPTH;
        s->count--;
        update(s);
    }
    return value;
}
static uint64_t status_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return r->at == 0x38 ? STATUS_EMPTY : ((Mbox *)d)->count ? 0 : STATUS_EMPTY;
}
static void config_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update((Mbox *)d); }
static void mail_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Mbox *s = (Mbox *)d;
    uint32_t v = (uint32_t)value;
    if ((v & 15) == CHANNEL_PROPERTY)
        property(s, v & 0x3ffffff0); /* bus addresses: RAM without and with the GPU's cache */
    push(s, v);
}

static const Reg mbox_regs[] = {
    { .name = "MAIL0", .at = 0x00, .size = 4, .field = REG_NO_FIELD, .read = mail_read, .access = REG_RO },
    { .name = "PEEK0", .at = 0x10, .size = 4, .field = REG_NO_FIELD, .read = mail_read, .access = REG_RO },
    { .name = "STATUS0", .at = 0x18, .size = 4, .field = REG_NO_FIELD, .read = status_read, .access = REG_RO },
    { .name = "CONFIG0", .at = 0x1c, .size = 4, .field = offsetof(Mbox, config), .rsvd = 0xfffffff8, .wrote = config_wrote },
    { .name = "MAIL1", .at = 0x20, .size = 4, .field = REG_NO_FIELD, .wrote = mail_wrote, .access = REG_WO },
    { .name = "STATUS1", .at = 0x38, .size = 4, .field = REG_NO_FIELD, .read = status_read, .access = REG_RO }, { .name = NULL },
};
static const RegBank mbox_bank = { .name = "regs", .size = 0x40, .regs = mbox_regs };
static const RegBank *const mbox_banks[] = { &mbox_bank, NULL };
static const char *const mbox_pins[] = { "irq", NULL };
static const StateField mbox_state[] = { STATE_U32_ARRAY(Mbox, fifo), STATE_U32(Mbox, head), STATE_U32(Mbox, count), STATE_U32_ARRAY(Mbox, fb),
                                         STATE_U32(Mbox, power), STATE_END_OF_TABLE };

static void mbox_reset(Device *d, ResetPhase phase)
{
    static const uint32_t fb[7] = { 640, 480, 640, 480, 16, 0, 0 };
    Mbox *s = (Mbox *)d;
    if (phase == RESET_ENTER) {
        memcpy(s->fb, fb, sizeof fb);
        memset(s->fifo, 0, sizeof s->fifo);
        s->head = s->count = 0;
        s->power = 0;
    } else if (phase == RESET_HOLD) {
        update(s);
    }
}

static bool mbox_loaded(Device *d, Error **errp)
{
    const Mbox *s = (const Mbox *)d;
    if (s->head < DEPTH && s->count <= DEPTH && s->fb[0] <= 4096 && s->fb[1] <= 4096 && s->fb[2] <= 4096 && s->fb[4] <= 32)
        return true;
    error_setf(errp, "bcm2835-mbox: impossible state");
    return false;
}

static const Property mbox_props[] = {
    DEFINE_PROP_U32("board-rev", Mbox, revision, 0xa21041, "board revision code"),
    DEFINE_PROP_U32("vcram-base", Mbox, vc_base, 0x3c000000, "where the GPU's memory starts"),
    DEFINE_PROP_U32("vcram-size", Mbox, vc_size, 0x4000000, "its size"), DEFINE_PROP_END,
};
static const DeviceType mbox_type = {
    .name = "bcm2835-mbox", .desc = "BCM2835 mailboxes with the property channel", .category = "Misc", .size = sizeof(Mbox), .banks = mbox_banks,
    .props = mbox_props, .state = mbox_state, .out_pins = mbox_pins, .reset = mbox_reset, .loaded = mbox_loaded,
};
DEVICE_REGISTER(mbox_type)

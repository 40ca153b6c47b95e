/* SPDX-License-Identifier: MIT */
/*
 * The mailboxes between Arm and GPU of the Raspberry Pi (firmware wiki, "Mailboxes", "Accessing mailboxes"); channels
 * 1, frame buffer, and 8, properties.
 */
#include <string.h>
#include "base/log.h"
#include "hw/misc/bcm2835-mbox.h"

enum { STATUS_FULL = 1u << 31, STATUS_EMPTY = 1 << 30, CHANNEL_FB = 1, CHANNEL_PROPERTY = 8, CHANNELS = 10 };

static void update(Mbox *s) { device_out(&s->dev, 0, s->config & 1 && s->count); }

static void push(Mbox *s, uint32_t value)
{
    if (s->count < MBOX_DEPTH)
        s->fifo[(s->head + s->count++) % MBOX_DEPTH] = value;
    update(s);
}

/* The GPU has the end of RAM. */
uint32_t mbox_vc_base(const Mbox *s)
{
    uint64_t ram = machine_current()->config.ram_size;
    return (uint32_t)(ram - MIN(s->vc_size, ram / 2));
}
uint32_t mbox_vc_size(const Mbox *s) { return (uint32_t)(machine_current()->config.ram_size - mbox_vc_base(s)); }
uint32_t mbox_fb_room(const Mbox *s) { return mbox_vc_size(s) - MIN(BCM2835_FB_OFFSET, mbox_vc_size(s)); }
uint32_t mbox_fb_base(const Mbox *s) { return mbox_vc_base(s) + BCM2835_FB_OFFSET; }

/* Ten words: sizes, virtual sizes, pitch, depth, offsets, base, bytes. The answer in the mailbox is 0: done. */
static void frame_buffer(Mbox *s, uint32_t at)
{
    AddressSpace *as = machine_current()->as_memory;
    uint8_t m[40];
    if (as_read(as, at, m, sizeof m, MEM_ATTRS_DEVICE) != MEM_OK) {
        log_guest_error(s->dev.id, "frame buffer message at 0x%08x: nothing is there", at);
        return;
    }
    Bcm2835Fb *f = &s->fb;
    for (unsigned i = 0; i < 2; i++) {
        f->size[i] = load_le32(m + 4 * i);
        f->virtual_size[i] = load_le32(m + 8 + 4 * i);
        f->offset[i] = load_le32(m + 24 + 4 * i);
    }
    f->depth = load_le32(m + 20);
    f->on = true;
    bcm2835_fb_settle(f, mbox_fb_room(s));
    for (unsigned i = 0; i < 2; i++) {
        store_le32(m + 4 * i, f->size[i]);
        store_le32(m + 8 + 4 * i, f->virtual_size[i]);
        store_le32(m + 24 + 4 * i, f->offset[i]);
    }
    store_le32(m + 16, bcm2835_fb_pitch(f));
    store_le32(m + 20, f->depth);
    store_le32(m + 32, mbox_fb_base(s));
    store_le32(m + 36, bcm2835_fb_bytes(f));
    as_write(as, at, m, sizeof m, MEM_ATTRS_DEVICE);
}

/* ---- registers ---- */

static uint64_t mail_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Mbox *s = (Mbox *)d;
    if (!s->count)
        return 15; /* channel 15: nothing */
    uint32_t value = s->fifo[s->head];
    if (r->at == 0x00) {
        s->head = (s->head + 1) % MBOX_DEPTH;
        s->count--;
        update(s);
    }
    return value;
}
static uint64_t status_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    uint32_t count = ((Mbox *)d)->count;
    if (r->at == 0x38) /* what the CPU sent is taken at once, while there is room for the answer */
        return STATUS_EMPTY | (count == MBOX_DEPTH ? STATUS_FULL : 0);
    return count ? count : STATUS_EMPTY;
}
static void config_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update((Mbox *)d); }
static void mail_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Mbox *s = (Mbox *)d;
    uint32_t v = (uint32_t)value, at = v & 0x3ffffff0; /* bus addresses: RAM without and with the GPU's cache */
    if ((v & 15) == CHANNEL_PROPERTY) {
        mbox_property(s, at);
    } else if ((v & 15) == CHANNEL_FB) {
        frame_buffer(s, at);
        v = CHANNEL_FB;
    }
    push(s, v);
}

static const Reg regs[] = {
    { .name = "MAIL0", .at = 0x00, .size = 4, .field = REG_NO_FIELD, .read = mail_read, .access = REG_RO },
    { .name = "PEEK0", .at = 0x10, .size = 4, .field = REG_NO_FIELD, .read = mail_read, .access = REG_RO },
    { .name = "STATUS0", .at = 0x18, .size = 4, .field = REG_NO_FIELD, .read = status_read, .access = REG_RO },
    { .name = "CONFIG0",
      .at = 0x1c,
      .size = 4,
      .field = offsetof(Mbox, config),
      .rsvd = 0xfffffff8,
      .wrote = config_wrote },
    { .name = "MAIL1", .at = 0x20, .size = 4, .field = REG_NO_FIELD, .wrote = mail_wrote, .access = REG_WO },
    { .name = "STATUS1", .at = 0x38, .size = 4, .field = REG_NO_FIELD, .read = status_read, .access = REG_RO },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x40, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const char *const pins[] = { "irq", NULL };
static const StateField state[] = { STATE_U32_ARRAY(Mbox, fifo), STATE_U32(Mbox, head),
                                    STATE_U32(Mbox, count),      STATE_STRUCT(Mbox, fb, bcm2835_fb_state),
                                    STATE_U32(Mbox, power),      STATE_U32_ARRAY(Mbox, clock),
                                    STATE_U32(Mbox, clocks_off), STATE_U32_ARRAY(Mbox, expander),
                                    STATE_END_OF_TABLE };

static bool picture(Device *d, Picture *out)
{
    Mbox *s = (Mbox *)d;
    return bcm2835_fb_picture(&s->fb, mbox_fb_base(s), out);
}

static bool start(Device *d, Error **errp)
{
    display_add(&((Mbox *)d)->display, d, picture);
    return true;
}
static void stop(Device *d) { display_remove(&((Mbox *)d)->display); }

static void reset(Device *d, ResetPhase phase)
{
    Mbox *s = (Mbox *)d;
    if (phase == RESET_ENTER) {
        bcm2835_fb_reset(&s->fb);
        memset(s->fifo, 0, sizeof s->fifo);
        s->head = s->count = 0;
        mbox_property_reset(s);
    } else if (phase == RESET_HOLD) {
        update(s);
    }
}

static bool loaded(Device *d, Error **errp)
{
    Mbox *s = (Mbox *)d;
    Bcm2835Fb f = s->fb;
    bcm2835_fb_settle(&f, mbox_fb_room(s));
    if (s->head < MBOX_DEPTH && s->count <= MBOX_DEPTH && !memcmp(&f, &s->fb, sizeof f))
        return true;
    bcm2835_fb_reset(&s->fb);
    s->head = s->count = 0;
    error_setf(errp, "device '%s': the saved mailbox or frame buffer makes no sense", d->id);
    return false;
}

static const Property props[] = {
    DEFINE_PROP_U32("board-rev", Mbox, revision, 0xa21041, "board revision code"),
    DEFINE_PROP_U32("vcram-size", Mbox, vc_size, 0x4000000, "bytes of RAM that the GPU has, at the end"),
    DEFINE_PROP_END,
};
static const DeviceType mbox_type = {
    .name = "bcm2835-mbox",
    .desc = "BCM2835 mailboxes with properties and frame buffer",
    .category = "Misc",
    .size = sizeof(Mbox),
    .banks = banks,
    .props = props,
    .state = state,
    .out_pins = pins,
    .start = start,
    .reset = reset,
    .loaded = loaded,
    .stop = stop,
};
DEVICE_REGISTER(mbox_type)

/* SPDX-License-Identifier: MIT */
/*
 * Port 61h: gate of counter 2, speaker enable, refresh toggle, counter 2's output.
 * Source: ICH9 data sheet 316972, section 13.7.1 (NMI_SC). No sound is made yet.
 */
#include "hw/isa/isa.h"
#include "hw/timer/i8254.h"

enum { GATE2 = 0x01, WRITABLE = 0x0f, REFRESH = 0x10, OUT2 = 0x20 };
#define REFRESH_HALF_NS 15085

typedef struct PcSpeaker {
    Device dev;
    Device *pit;
    uint8_t control; /* bits 3:0 as written */
} PcSpeaker;

static MemResult speaker_read(void *o, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    PcSpeaker *s = o;
    bool refresh = clock_ns(CLOCK_VIRTUAL_NS) / REFRESH_HALF_NS & 1;

    *value = s->control | (refresh ? REFRESH : 0) | (s->pit && i8254_out(s->pit, 2) ? OUT2 : 0);
    return MEM_OK;
}

static MemResult speaker_write(void *o, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    PcSpeaker *s = o;

    s->control = value & WRITABLE;
    if (s->pit)
        i8254_set_gate(s->pit, 2, value & GATE2);
    return MEM_OK;
}

static const MemOps speaker_ops = { .read = speaker_read, .write = speaker_write, .min_size = 1, .max_size = 1 };

static bool speaker_start(Device *d, Error **errp)
{
    isa_io_new(d, "pcspk", 0x61, 1, &speaker_ops);
    return true;
}

static void speaker_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        ((PcSpeaker *)d)->control = 0;
}

static bool speaker_loaded(Device *d, Error **errp)
{
    ((PcSpeaker *)d)->control &= WRITABLE;
    return true;
}

static const Property props[] = {
    { .name = "pit",
      .kind = PROP_LINK,
      .offset = offsetof(PcSpeaker, pit),
      .help = "the isa-pit whose counter 2 it gates" },
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_U8(PcSpeaker, control), STATE_END_OF_TABLE };

static const DeviceType speaker_type = {
    .name = "isa-pcspk", .desc = "PC speaker port", .category = "Sound", .size = sizeof(PcSpeaker), .bus = "isa",
    .props = props, .state = state, .start = speaker_start, .reset = speaker_reset, .loaded = speaker_loaded,
};
DEVICE_REGISTER(speaker_type)

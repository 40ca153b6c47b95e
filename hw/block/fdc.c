/* SPDX-License-Identifier: MIT */
/* Floppy disk controller 82078 of a PC: registers, commands that move no data (Intel 82078, sections 2 and 6). */
#include "hw/block/fdc.h"
#include <string.h>
#include "base/bits.h"
#include "base/log.h"

enum { REG_SRA, REG_SRB, REG_DOR, REG_TDR, REG_MSR, REG_FIFO, REG_DIR = 7 };
enum {
    DOR_RUN = 4,
    DOR_GATE = 8,
    DSR_RESET = 0x80,
    MSR_RQM = 0x80,
    MSR_DIO = 0x40,
    MSR_NON_DMA = 0x20,
    MSR_BUSY = 0x10,
    DIR_CHANGED = 0x80
};
enum { VERSION = 0x90, PART = 0x41, PIN_IRQ = 0 };

Floppy *fdc_drive(const Fdc *f, unsigned n)
{
    return n < FDC_DRIVES && f->unit[n] && f->unit[n]->type != FLOPPY_NONE ? f->unit[n] : NULL;
}
uint8_t fdc_rate(const Fdc *f) { return f->ccr & 3; }

static void update_irq(Fdc *f) { device_out(&f->dev, PIN_IRQ, f->int_pending && f->dor & DOR_GATE); }

void fdc_interrupt(Fdc *f, bool on)
{
    f->int_pending = on;
    update_irq(f);
}

/* --- commands --- */

static void reply(Fdc *f, const uint8_t *bytes, unsigned len)
{
    if (len)
        memcpy(f->fifo, bytes, len);
    f->at = 0;
    f->len = (uint8_t)len;
    f->phase = len ? FDC_RESULT : FDC_COMMAND;
}
#define REPLY(f, ...) reply(f, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static uint8_t track_of(const Fdc *f, unsigned n) { return fdc_drive(f, n) ? fdc_drive(f, n)->track : 0; }

static void invalid(Fdc *f) { REPLY(f, ST0_INVALID); }

static void specify(Fdc *f)
{
    f->specify1 = f->fifo[1];
    f->specify2 = f->fifo[2];
    reply(f, NULL, 0);
}

static void sense_drive(Fdc *f)
{
    unsigned n = f->fifo[1] & 3;
    const Floppy *d = fdc_drive(f, n);
    REPLY(f, (uint8_t)((f->fifo[1] & 7) | ST3_READY | ST3_TWO_SIDES | (d && !d->track ? ST3_TRACK0 : 0) |
                       (d && floppy_ready(d) && !blk_writable(d->blk) ? ST3_PROTECTED : 0)));
}

static void seek(Fdc *f, unsigned n, unsigned track, uint8_t st0)
{
    Floppy *d = fdc_drive(f, n);
    f->seek_done = true;
    f->seek_drive = (uint8_t)n;
    f->seek_st0 = (uint8_t)(st0 | n | (d ? ST0_SEEK : ST0_SEEK | ST0_ABNORMAL | ST0_EQUIPMENT));
    if (d) {
        d->track = (uint8_t)MIN(track, 85u);
        d->changed &= !floppy_ready(d); /* a step finds the disk that is in it now */
    }
    reply(f, NULL, 0);
    fdc_interrupt(f, true);
}

static void recalibrate(Fdc *f) { seek(f, f->fifo[1] & 3, 0, 0); }
static void do_seek(Fdc *f) { seek(f, f->fifo[1] & 3, f->fifo[2], f->fifo[1] & 4); }

static void relative_seek(Fdc *f)
{
    unsigned n = f->fifo[1] & 3, by = f->fifo[2], now = track_of(f, n);
    seek(f, n, f->fifo[0] & 0x40 ? now + by : now - MIN(now, by), f->fifo[1] & 4);
}

static void sense_interrupt(Fdc *f)
{
    fdc_interrupt(f, false);
    if (f->reset_sense) {
        unsigned n = 4u - f->reset_sense--;
        REPLY(f, (uint8_t)(ST0_READY_CHANGED | n), track_of(f, n));
    } else if (f->seek_done) {
        f->seek_done = false;
        REPLY(f, f->seek_st0, track_of(f, f->seek_drive));
    } else {
        invalid(f);
    }
}

static void dump_registers(Fdc *f)
{
    REPLY(f, track_of(f, 0), track_of(f, 1), 0, 0, f->specify1, f->specify2, f->eot,
          (uint8_t)(f->lock << 7 | f->perpendicular), f->config, f->precompensation);
}

static void save(Fdc *f)
{
    REPLY(f, 0, 0, track_of(f, 0), track_of(f, 1), 0, 0, f->specify1, f->specify2, f->eot,
          (uint8_t)(f->lock << 7 | f->perpendicular), f->config, f->precompensation, 0, 0, 0);
}

static void restore(Fdc *f)
{
    f->specify1 = f->fifo[7];
    f->specify2 = f->fifo[8];
    f->lock = f->fifo[10] & 0x80;
    f->perpendicular = f->fifo[10] & 0x7f;
    f->config = f->fifo[11];
    f->precompensation = f->fifo[12];
    reply(f, NULL, 0);
}

static void version(Fdc *f) { REPLY(f, VERSION); }
static void part(Fdc *f) { REPLY(f, PART); }
static void power_down(Fdc *f) { REPLY(f, f->fifo[1]); }
static void nothing(Fdc *f) { reply(f, NULL, 0); }

static void set_perpendicular(Fdc *f)
{
    f->perpendicular = f->fifo[1] & 0x80 ? f->fifo[1] & 0x7f : (uint8_t)((f->perpendicular & 0x3c) | (f->fifo[1] & 3));
    reply(f, NULL, 0);
}

static void configure(Fdc *f)
{
    f->config = f->fifo[2];
    f->precompensation = f->fifo[3];
    reply(f, NULL, 0);
}

static void lock(Fdc *f)
{
    f->lock = f->fifo[0] & 0x80;
    REPLY(f, (uint8_t)(f->lock << 4));
}

static void drive_specification(Fdc *f)
{
    if (f->fifo[f->len - 1] & 0x40)
        REPLY(f, 0, 0, 0, 0);
    else
        reply(f, NULL, 0);
}

/* len: with the opcode. */
typedef struct Command { uint8_t value, mask, len; void (*run)(Fdc *f); } Command;
enum { DRIVE_SPECIFICATION = 0x8e };
static const Command commands[] = {
    { 0x03, 0xff, 3, specify },
    { 0x04, 0xff, 2, sense_drive },
    { 0x07, 0xff, 2, recalibrate },
    { 0x08, 0xff, 1, sense_interrupt },
    { 0x0f, 0xff, 3, do_seek },
    { 0x8f, 0xbf, 3, relative_seek },
    { 0x0e, 0xff, 1, dump_registers },
    { 0x10, 0xff, 1, version },
    { 0x12, 0xff, 2, set_perpendicular },
    { 0x13, 0xff, 4, configure },
    { 0x14, 0x7f, 1, lock },
    { 0x17, 0xff, 2, power_down },
    { 0x18, 0xff, 1, part },
    { 0x2e, 0xff, 1, save },
    { 0x4e, 0xff, 17, restore },
    { 0x33, 0xff, 2, nothing },
    { DRIVE_SPECIFICATION, 0xff, 6, drive_specification },
    { 0x02, 0x9f, 9, fdc_transfer_start },
    { 0x05, 0x3f, 9, fdc_transfer_start },
    { 0x06, 0x1f, 9, fdc_transfer_start },
    { 0x09, 0x3f, 9, fdc_transfer_start },
    { 0x0c, 0x1f, 9, fdc_transfer_start },
    { 0x16, 0x1f, 9, fdc_transfer_start },
    { 0x11, 0x1f, 9, fdc_transfer_start },
    { 0x19, 0x1f, 9, fdc_transfer_start },
    { 0x1d, 0x1f, 9, fdc_transfer_start },
    { 0x0d, 0xbf, 6, fdc_transfer_start },
    { 0x0a, 0xbf, 2, fdc_read_id },
};

static const Command *find_command(uint8_t opcode)
{
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        if ((opcode & commands[i].mask) == commands[i].value)
            return &commands[i];
    }
    return NULL;
}

static void command_byte(Fdc *f, uint8_t v)
{
    f->fifo[f->at++] = v;
    const Command *c = find_command(f->fifo[0]);
    if (!c) {
        log_guest_error(f->dev.id, "floppy: no command 0x%02x", f->fifo[0]);
        invalid(f);
        return;
    }
    bool done = f->fifo[0] == DRIVE_SPECIFICATION && f->at > 1 && v & 0x80;
    if (f->at < c->len && !done)
        return;
    f->len = f->at;
    f->at = 0;
    c->run(f);
}

/* --- registers --- */

/* The 82078 begins anew; what CONFIGURE has set stays when it is locked. */
static void soft_reset(Fdc *f)
{
    fdc_transfer_abort(f);
    fdc_interrupt(f, false);
    f->seek_done = false;
    f->reset_sense = 0;
    if (!f->lock)
        f->config = 0x20; /* FIFO off */
    f->perpendicular &= 0x3c;
}

static void come_up(Fdc *f)
{
    f->reset_sense = 4;
    fdc_interrupt(f, true);
}

static uint8_t main_status(const Fdc *f)
{
    uint8_t non_dma = f->specify2 & 1 || !(f->dor & DOR_GATE) || !f->has_dma ? MSR_NON_DMA : 0;
    if (!(f->dor & DOR_RUN))
        return 0;
    switch (f->phase) {
    case FDC_COMMAND: return f->at ? MSR_RQM | MSR_BUSY : MSR_RQM;
    case FDC_RESULT: return MSR_RQM | MSR_DIO | MSR_BUSY;
    case FDC_TO_HOST: return non_dma ? MSR_RQM | MSR_DIO | MSR_NON_DMA | MSR_BUSY : MSR_BUSY;
    case FDC_FROM_HOST: return non_dma ? MSR_RQM | MSR_NON_DMA | MSR_BUSY : MSR_BUSY;
    default: return MSR_BUSY | non_dma;
    }
}

static uint8_t read_fifo(Fdc *f)
{
    if (f->phase == FDC_RESULT) {
        uint8_t v = f->fifo[f->at++];
        fdc_interrupt(f, false);
        if (f->at == f->len) {
            f->at = f->len = 0;
            f->phase = FDC_COMMAND;
        }
        return v;
    }
    if (f->phase != FDC_TO_HOST || !(main_status(f) & MSR_RQM))
        return 0;
    uint8_t v = f->data[f->data_at++];
    fdc_transfer_byte_taken(f);
    return v;
}

static void write_fifo(Fdc *f, uint8_t v)
{
    if (!(f->dor & DOR_RUN))
        return;
    if (f->phase == FDC_COMMAND) {
        command_byte(f, v);
    } else if (f->phase == FDC_FROM_HOST && main_status(f) & MSR_RQM) {
        fdc_transfer_give(f, v);
    } else {
        log_guest_error(f->dev.id, "floppy: a byte that nobody waits for");
    }
}

static void write_dor(Fdc *f, uint8_t v)
{
    uint8_t old = f->dor;
    if (old & DOR_RUN && !(v & DOR_RUN))
        soft_reset(f);
    f->dor = v;
    if (!(old & DOR_RUN) && v & DOR_RUN)
        come_up(f);
    update_irq(f);
}

static uint8_t change_line(const Fdc *f)
{
    const Floppy *d = fdc_drive(f, f->dor & 3);
    return d && (d->changed || !floppy_ready(d)) ? DIR_CHANGED : 0;
}

static MemResult port_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Fdc *f = opaque;
    const Floppy *d = fdc_drive(f, f->dor & 3);
    switch (at) {
    case REG_SRA:
        *value = (uint8_t)(f->int_pending << 7 | (f->unit[1] ? 0 : 0x40) | (d && !d->track ? 0 : 0x10) | f->head << 3 |
                           6);
        break;
    case REG_SRB: *value = 0xc0 | (f->dor & 1) << 5 | (f->dor >> 4 & 3); break;
    case REG_DOR: *value = f->dor; break;
    case REG_TDR: *value = f->tdr; break;
    case REG_MSR: *value = main_status(f); break;
    case REG_FIFO: *value = read_fifo(f); break;
    default: *value = 0; break;
    }
    return MEM_OK;
}

static MemResult port_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Fdc *f = opaque;
    switch (at) {
    case REG_DOR: write_dor(f, (uint8_t)value); break;
    case REG_TDR: f->tdr = value & 3; break;
    case REG_MSR: /* DSR */
        f->ccr = value & 3;
        f->dsr = value & 0x7f;
        if (value & DSR_RESET) {
            soft_reset(f);
            come_up(f);
        }
        break;
    case REG_FIFO: write_fifo(f, (uint8_t)value); break;
    default: break;
    }
    return MEM_OK;
}

static MemResult dir_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = change_line(opaque);
    return MEM_OK;
}
static MemResult ccr_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    ((Fdc *)opaque)->ccr = value & 3;
    return MEM_OK;
}
static const MemOps port_ops = { port_read, port_write, 1, 1 }, dir_ops = { dir_read, ccr_write, 1, 1 };

/* --- the device --- */

static bool start(Device *d, Error **errp)
{
    Fdc *f = (Fdc *)d;
    bus_init(&f->bus, &floppy_bus_type, bus_find("floppy-bus.0") ? d->id : "floppy-bus.0", d);
    f->bus_made = true;
    isa_io_new(d, "fdc", f->iobase, 6, &port_ops);
    isa_io_new(d, "fdc-dir", (uint16_t)(f->iobase + REG_DIR), 1, &dir_ops);
    if (isa_dma_exists(d) && !isa_dma_take(d, f->dma, fdc_dma_ready, f, errp))
        return false;
    f->has_dma = isa_dma_exists(d);
    return isa_connect_irq(d, PIN_IRQ, f->irq, errp);
}

static void reset(Device *d, ResetPhase phase)
{
    Fdc *f = (Fdc *)d;
    if (phase != RESET_ENTER) {
        update_irq(f);
        return;
    }
    fdc_transfer_abort(f);
    f->lock = f->int_pending = f->seek_done = f->multi = f->ended = false;
    f->dor = f->tdr = f->dsr = f->reset_sense = f->seek_st0 = f->seek_drive = 0;
    f->ccr = 2;
    f->st1 = f->st2 = f->head = f->c = f->h = f->r = f->n = f->eot = f->drive = 0;
    f->specify1 = f->specify2 = f->precompensation = f->perpendicular = 0;
    f->config = 0x20;
    f->verify_left = f->data_at = f->data_len = 0;
    memset(f->fifo, 0, sizeof f->fifo);
    memset(f->data, 0, sizeof f->data);
}

static bool loaded(Device *d, Error **errp)
{
    Fdc *f = (Fdc *)d;
    bool data = f->phase == FDC_TO_HOST || f->phase == FDC_FROM_HOST;
    bool ok = f->phase <= FDC_RESULT && f->len <= FDC_FIFO && f->at < FDC_FIFO &&
              (f->phase != FDC_RESULT || f->at < f->len) && f->drive < 4 && f->head < 2 && f->data_len <= FDC_SECTOR &&
              f->data_at <= f->data_len && (!data || f->data_at < f->data_len) && f->reset_sense <= 4 &&
              f->seek_drive < 4;
    if (ok && f->phase == FDC_COMMAND && f->at) { /* in the midst of a command */
        const Command *c = find_command(f->fifo[0]);
        ok = c && f->at < c->len;
    }
    if (ok)
        return true;
    error_setf(errp, "floppy controller '%s': the saved state is not one that it can be in", d->id);
    f->phase = FDC_COMMAND;
    f->at = f->len = f->drive = f->head = f->reset_sense = f->seek_drive = 0;
    f->data_at = f->data_len = 0;
    return false;
}

static void stop(Device *d)
{
    Fdc *f = (Fdc *)d;
    if (f->has_dma)
        isa_dma_give_back(d, f->dma);
    if (f->bus_made)
        bus_fini(&f->bus);
}

static const Property props[] = {
    PROP_(PROP_U16, "iobase", Fdc, iobase, 0x3f0, "first port", .max = 0xfff8),
    PROP_(PROP_U8, "irq", Fdc, irq, 6, "ISA line", .max = 15),
    PROP_(PROP_U8, "dma", Fdc, dma, 2, "ISA DMA channel", .max = 3),
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_U8(Fdc, dor),
                                    STATE_U8(Fdc, tdr),
                                    STATE_U8(Fdc, dsr),
                                    STATE_U8(Fdc, ccr),
                                    STATE_BOOL(Fdc, int_pending),
                                    STATE_U8(Fdc, reset_sense),
                                    STATE_BOOL(Fdc, seek_done),
                                    STATE_U8(Fdc, seek_st0),
                                    STATE_U8(Fdc, seek_drive),
                                    STATE_U8(Fdc, phase),
                                    STATE_BYTES(Fdc, fifo),
                                    STATE_U8(Fdc, at),
                                    STATE_U8(Fdc, len),
                                    STATE_U8(Fdc, st1),
                                    STATE_U8(Fdc, st2),
                                    STATE_U8(Fdc, head),
                                    STATE_U8(Fdc, c),
                                    STATE_U8(Fdc, h),
                                    STATE_U8(Fdc, r),
                                    STATE_U8(Fdc, n),
                                    STATE_U8(Fdc, eot),
                                    STATE_U8(Fdc, drive),
                                    STATE_BOOL(Fdc, multi),
                                    STATE_BOOL(Fdc, ended),
                                    STATE_U16(Fdc, verify_left),
                                    STATE_BYTES(Fdc, data),
                                    STATE_U16(Fdc, data_at),
                                    STATE_U16(Fdc, data_len),
                                    STATE_U8(Fdc, specify1),
                                    STATE_U8(Fdc, specify2),
                                    STATE_U8(Fdc, config),
                                    STATE_U8(Fdc, precompensation),
                                    STATE_U8(Fdc, perpendicular),
                                    STATE_BOOL(Fdc, lock),
                                    STATE_END_OF_TABLE };
static const char *const pins[] = { "irq", NULL };
static const char *const provides[] = { "floppy-bus", NULL };
static const DeviceType fdc_type = {
    .name = "isa-fdc",
    .desc = "floppy disk controller (82078)",
    .category = "Storage",
    .size = sizeof(Fdc),
    .bus = "isa",
    .user_creatable = true,
    .provides = provides,
    .props = props,
    .state = state,
    .out_pins = pins,
    .start = start,
    .reset = reset,
    .loaded = loaded,
    .stop = stop,
};
DEVICE_REGISTER(fdc_type)

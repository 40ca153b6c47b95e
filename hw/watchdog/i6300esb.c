/* SPDX-License-Identifier: MIT */
/*
 * The watchdog timer of Intel's 6300ESB (datasheet 300641, chapter 16): two stages; the first interrupts, the second
 * resets.
 */
#include "base/bits.h"
#include "base/log.h"
#include "hw/pci/pci.h"
#include "hw/watchdog/watchdog.h"

enum { CONFIG = 0x60, LOCK = 0x68, BAR_SIZE = 16 };                                       /* configuration space */
enum { INT_TYPE = 3, INT_IRQ = 0, PRESCALE_SHORT = 4, NO_REBOOT = 0x20 };                 /* CONFIG */
enum { LOCKED = 1, ENABLE = 2, FREE_RUNNING = 4 };                                        /* LOCK */
enum { TIMER1 = 0, TIMER2 = 4, STATUS = 8, RELOAD = 12, RELOAD_NOW = 0x100, TIMED_OUT = 0x200, PRELOAD = 0xfffff };
#define CLOCK_HZ UINT64_C(33000000)

typedef struct Esb {
    PciDevice pci; /* always first */
    uint32_t preload[2];
    uint8_t status, keys /* of the sequence 80h, 86h that were written */, stage;
    bool running, free_running, locked, bitten;
    Timer *timer;
} Esb;

/* The preload value counts from bit 15 of the clock's divider on, or from bit 5. */
static int64_t stage_ns(const Esb *e)
{
    unsigned shift = e->pci.config[CONFIG] & PRESCALE_SHORT ? 5 : 15;
    return (int64_t)(((uint64_t)MAX(e->preload[e->stage], 1) << shift) * 1000000000 / CLOCK_HZ);
}

/* A period of a guest's choice has a lower bound. */
static void start_stage(Esb *e, unsigned stage)
{
    e->stage = (uint8_t)stage;
    if (e->running)
        timer_arm(e->timer, clock_ns(CLOCK_VIRTUAL_NS) + MAX(stage_ns(e), INT64_C(10000)));
    else
        timer_cancel(e->timer);
}

static void update_irq(Esb *e)
{
    pci_set_irq(&e->pci, e->status & 1 && (e->pci.config[CONFIG] & INT_TYPE) == INT_IRQ);
}

static void expired(void *opaque)
{
    Esb *e = opaque;
    if (!e->stage) {
        e->status |= 1;
        update_irq(e);
        start_stage(e, 1);
    } else if (e->free_running) {
        start_stage(e, 0);
    } else {
        e->bitten = true;
        e->running = false;
        if (!(e->pci.config[CONFIG] & NO_REBOOT))
            watchdog_expired(&e->pci.dev);
    }
}

/* ---- configuration space ---- */

static void config_wrote(PciDevice *d, uint32_t at, unsigned size)
{
    Esb *e = (Esb *)d;
    if (at <= CONFIG + 1 && at + size > CONFIG)
        update_irq(e);
    if (at > LOCK || at + size <= LOCK)
        return;
    uint8_t value = (uint8_t)pci_config_get(d, LOCK, 1);
    if (e->locked) { /* nothing changes any more until the next reset */
        pci_config_set(d, LOCK, 1,
                       (uint32_t)(LOCKED | (e->running ? ENABLE : 0) | (e->free_running ? FREE_RUNNING : 0)));
        return;
    }
    bool was = e->running;
    e->locked = value & LOCKED;
    e->running = value & ENABLE;
    e->free_running = value & FREE_RUNNING;
    if (was != e->running)
        start_stage(e, 0);
}

/* ---- memory: 80h, then 86h at RELOAD open the registers for one write ---- */

static MemResult esb_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    const Esb *e = opaque;
    uint32_t word = 0;
    switch (at & 12) {
    case STATUS: word = e->status; break;
    case RELOAD: word = e->bitten ? TIMED_OUT : 0; break;
    }
    *value = word >> 8 * (at & 3);
    return MEM_OK;
}

static void write_open(Esb *e, hwaddr at, uint32_t value)
{
    if (at == TIMER1 || at == TIMER2) {
        e->preload[at / 4] = value & PRELOAD;
    } else if (at == RELOAD) {
        if (value & TIMED_OUT)
            e->bitten = false;
        if (value & RELOAD_NOW)
            start_stage(e, 0);
    }
}

static MemResult esb_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Esb *e = opaque;
    bool open = e->keys == 2;
    if (at == RELOAD && value == 0x80) {
        e->keys = 1;
    } else if (at == RELOAD && value == 0x86 && e->keys == 1) {
        e->keys = 2;
    } else if (at == STATUS) {
        e->status &= (uint8_t)~value;
        update_irq(e);
    } else if (open) {
        write_open(e, at, (uint32_t)value);
        e->keys = 0;
    } else {
        log_guest_error(e->pci.dev.id, "write at 0x%x without the keys", (unsigned)at);
        e->keys = 0;
    }
    return MEM_OK;
}

static const MemOps esb_ops = { esb_read, esb_write, 1, 4 };

/* ---- life ---- */

static void init(Device *d)
{
    ((Esb *)d)->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, expired, d);
}

static bool start(Device *d, Error **errp)
{
    PciDevice *p = pci_device(d);
    d->region[0] = mem_io_new("i6300esb", BAR_SIZE, &esb_ops, d, d->domain);
    pci_register_bar(p, 0, PCI_BAR_MEM, d->region[0]);
    pci_config_define(p, CONFIG, 2, 0, 0x27);
    pci_config_define(p, LOCK, 1, 0, 7);
    return true;
}

/* That it has bitten is what the driver wants to know after the reset. */
static void reset(Device *d, ResetPhase phase)
{
    Esb *e = (Esb *)d;
    if (phase == RESET_ENTER) {
        e->preload[0] = e->preload[1] = PRELOAD;
        e->status = e->keys = e->stage = 0;
        e->running = e->free_running = e->locked = false;
        timer_cancel(e->timer);
    } else if (phase == RESET_HOLD) {
        update_irq(e);
    }
}

static bool loaded(Device *d, Error **errp)
{
    Esb *e = (Esb *)d;
    if (e->stage <= 1 && e->keys <= 2 && !((e->preload[0] | e->preload[1]) & ~(uint32_t)PRELOAD))
        return true;
    error_setf(errp, "device '%s': counters that can't be", d->id);
    return false;
}

static void stop(Device *d) { timer_free(((Esb *)d)->timer); }

static const StateField state[] = { STATE_U32_ARRAY(Esb, preload), STATE_U8(Esb, status),
                                    STATE_U8(Esb, keys),           STATE_U8(Esb, stage),
                                    STATE_BOOL(Esb, running),      STATE_BOOL(Esb, free_running),
                                    STATE_BOOL(Esb, locked),       STATE_BOOL(Esb, bitten),
                                    STATE_TIMER(Esb, timer),       STATE_END_OF_TABLE };
static const PciDeviceInfo info = {
    .vendor = 0x8086, .device = 0x25ab, .class_code = 0x088000, .interrupt_pin = 1, .config_wrote = config_wrote
};
static const DeviceType esb_type = {
    .name = "i6300esb",
    .desc = "Intel 6300ESB watchdog",
    .category = "Watchdog",
    .size = sizeof(Esb),
    .bus = "pci",
    .base = &pci_device_type,
    .user_creatable = true,
    .state = state,
    .init = init,
    .start = start,
    .reset = reset,
    .loaded = loaded,
    .stop = stop,
    .class_data = &info,
};
DEVICE_REGISTER(esb_type)

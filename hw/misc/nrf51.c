/* SPDX-License-Identifier: MIT */
/*
 * nRF51: the common part, and the small peripherals: CLOCK and POWER, RNG, TEMP, WDT, FICR, UICR, NVMC with the flash.
 */
#include "hw/misc/nrf51.h"

#include <sys/random.h>
#include "base/log.h"
#include "base/rcu.h"
#include "hw/core/machine.h"
#include "hw/timer/ticks.h"

void nrf_update(NrfPeriph *p) { device_out(&p->dev, 0, (p->events & p->inten) != 0); }

void nrf_event(NrfPeriph *p, unsigned n)
{
    p->events |= 1u << n;
    nrf_update(p);
    if (p->ppi)
        nrf_ppi_event(p->ppi, p->at + NRF_EVENTS + 4 * n);
}

static const NrfType *type_of(const NrfPeriph *p) { return p->dev.type->class_data; }

static MemResult periph_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    NrfPeriph *p = opaque;
    uint32_t at = (uint32_t)offset;
    if (at >= NRF_EVENTS && at < NRF_EVENTS + 0x80)
        *value = p->events >> (at - NRF_EVENTS) / 4 & 1;
    else if (at == NRF_SHORTS)
        *value = p->shorts;
    else if (at == NRF_INTEN || at == NRF_INTENSET || at == NRF_INTENCLR)
        *value = p->inten;
    else
        *value = type_of(p)->read ? type_of(p)->read(p, at) : 0;
    return MEM_OK;
}

static MemResult periph_write(void *opaque, hwaddr offset, unsigned size, uint64_t v, MemAttrs attrs)
{
    NrfPeriph *p = opaque;
    const NrfType *t = type_of(p);
    uint32_t at = (uint32_t)offset, value = (uint32_t)v;
    if (at < NRF_EVENTS) {
        if (value & 1 && t->task)
            t->task(p, at / 4);
    } else if (at < NRF_EVENTS + 0x80) {
        unsigned n = (at - NRF_EVENTS) / 4;
        p->events = (p->events & ~(1u << n)) | (value & 1) << n;
        if (!(value & 1) && t->cleared)
            t->cleared(p, n);
    } else if (at == NRF_SHORTS) {
        p->shorts = value;
    } else if (at == NRF_INTEN) {
        p->inten = value;
    } else if (at == NRF_INTENSET) {
        p->inten |= value;
    } else if (at == NRF_INTENCLR) {
        p->inten &= ~value;
    } else if (t->write) {
        t->write(p, at, value);
    }
    nrf_update(p);
    return MEM_OK;
}

static const MemOps periph_ops = { .read = periph_read, .write = periph_write, .min_size = 4, .max_size = 4 };

static bool periph_start(Device *d, Error **errp)
{
    d->region[0] = mem_io_new(d->id, 0x1000, &periph_ops, d, d->domain);
    return true;
}

static void periph_reset(Device *d, ResetPhase phase)
{
    NrfPeriph *p = (NrfPeriph *)d;
    if (phase == RESET_ENTER)
        p->events = p->inten = p->shorts = 0;
    else if (phase == RESET_HOLD)
        nrf_update(p);
}

static const StateField periph_state[] = {
    STATE_U32(NrfPeriph, events), STATE_U32(NrfPeriph, inten), STATE_U32(NrfPeriph, shorts), STATE_END_OF_TABLE,
};
static const char *const periph_pins[] = { "irq", NULL };
const DeviceType nrf51_base_type = {
    .name = "nrf51-peripheral",
    .desc = "nRF51: common part",
    .category = "Misc",
    .size = sizeof(NrfPeriph),
    .state = periph_state,
    .out_pins = periph_pins,
    .start = periph_start,
    .reset = periph_reset,
};

/* --- CLOCK and POWER (chapters 12 and 13): clocks start at once --- */

enum { CLK_HFSTARTED = 0, CLK_LFSTARTED = 1, CLK_DONE = 3 };

typedef struct NrfClock {
    NrfPeriph p;
    bool hf, lf;
    uint32_t lfsrc, xtalfreq, gpregret, ramon, ramonb, pofcon, dcdcen;
} NrfClock;

static void clock_task(NrfPeriph *p, unsigned n)
{
    NrfClock *s = (NrfClock *)p;
    switch (n) {
    case 0: s->hf = true; nrf_event(p, CLK_HFSTARTED); break;
    case 1: s->hf = false; break;
    case 2: s->lf = true; nrf_event(p, CLK_LFSTARTED); break;
    case 3: s->lf = false; break;
    case 4: nrf_event(p, CLK_DONE); break;
    }
}

static uint32_t *clock_field(NrfClock *s, uint32_t at)
{
    switch (at) {
    case 0x510: return &s->pofcon;
    case 0x518: return &s->lfsrc;
    case 0x51c: return &s->gpregret;
    case 0x524: return &s->ramon;
    case 0x550: return &s->xtalfreq;
    case 0x554: return &s->ramonb;
    case 0x578: return &s->dcdcen;
    default: return NULL;
    }
}

static uint32_t clock_read(NrfPeriph *p, uint32_t at)
{
    NrfClock *s = (NrfClock *)p;
    const uint32_t *f = clock_field(s, at);
    switch (at) {
    case 0x408: return s->hf;
    case 0x40c: return s->hf ? 0x10001 : 0;
    case 0x414: return s->lf;
    case 0x418: return s->lf ? 0x10000 | (s->lfsrc & 3) : 0;
    case 0x428: return 3; /* RAMSTATUS */
    default: return f ? *f : 0;
    }
}

static void clock_write(NrfPeriph *p, uint32_t at, uint32_t value)
{
    uint32_t *f = clock_field((NrfClock *)p, at);
    if (f)
        *f = value;
    else if (at == 0x500 && value & 1)
        machine_request_shutdown(CAUSE_GUEST_SHUTDOWN); /* SYSTEMOFF: only a reset ends it */
}

static void clock_reset(Device *d, ResetPhase phase)
{
    NrfClock *s = (NrfClock *)d;
    periph_reset(d, phase);
    if (phase != RESET_ENTER)
        return;
    s->hf = s->lf = false;
    s->lfsrc = s->gpregret = s->pofcon = s->dcdcen = 0;
    s->xtalfreq = 0xff;
    s->ramon = s->ramonb = 3;
}

static const StateField clock_state[] = {
    STATE_BOOL(NrfClock, hf),      STATE_BOOL(NrfClock, lf),
    STATE_U32(NrfClock, lfsrc),    STATE_U32(NrfClock, xtalfreq),
    STATE_U32(NrfClock, gpregret), STATE_U32(NrfClock, ramon),
    STATE_U32(NrfClock, ramonb),   STATE_U32(NrfClock, pofcon),
    STATE_U32(NrfClock, dcdcen),   STATE_END_OF_TABLE,
};
static const NrfType clock_class = { .task = clock_task, .read = clock_read, .write = clock_write };
static const DeviceType clock_type = {
    .name = "nrf51-clock",
    .desc = "nRF51 clock and power management",
    .category = "Misc",
    .size = sizeof(NrfClock),
    .base = &nrf51_base_type,
    .state = clock_state,
    .reset = clock_reset,
    .class_data = &clock_class,
};
DEVICE_REGISTER(clock_type)

/* --- RNG (chapter 21): a byte takes some time --- */

#define RNG_NS 167000

typedef struct NrfRng {
    NrfPeriph p;
    uint32_t config;
    uint8_t value;
    bool running;
    Timer *timer;
} NrfRng;

static void rng_ready(void *opaque)
{
    NrfRng *s = opaque;
    if (getrandom(&s->value, 1, GRND_NONBLOCK) != 1)
        s->value = (uint8_t)(s->value * 73 + 41);
    nrf_event(&s->p, 0);
    if (s->p.shorts & 1)
        s->running = false;
    if (s->running)
        timer_arm(s->timer, clock_ns(CLOCK_VIRTUAL_NS) + RNG_NS);
}

static void rng_task(NrfPeriph *p, unsigned n)
{
    NrfRng *s = (NrfRng *)p;
    s->running = n == 0;
    if (s->running)
        timer_arm(s->timer, clock_ns(CLOCK_VIRTUAL_NS) + RNG_NS);
    else
        timer_cancel(s->timer);
}

static uint32_t rng_read(NrfPeriph *p, uint32_t at)
{
    const NrfRng *s = (NrfRng *)p;
    return at == 0x504 ? s->config : at == 0x508 ? s->value : 0;
}

static void rng_write(NrfPeriph *p, uint32_t at, uint32_t value)
{
    if (at == 0x504)
        ((NrfRng *)p)->config = value & 1;
}

static void rng_init(Device *d) { ((NrfRng *)d)->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, rng_ready, d); }
static void rng_stop(Device *d) { timer_free(((NrfRng *)d)->timer); }

static void rng_reset(Device *d, ResetPhase phase)
{
    NrfRng *s = (NrfRng *)d;
    periph_reset(d, phase);
    if (phase != RESET_ENTER)
        return;
    timer_cancel(s->timer);
    s->config = s->value = 0;
    s->running = false;
}

static const StateField rng_state[] = {
    STATE_U32(NrfRng, config),  STATE_U8(NrfRng, value), STATE_BOOL(NrfRng, running),
    STATE_TIMER(NrfRng, timer), STATE_END_OF_TABLE,
};
static const NrfType rng_class = { .task = rng_task, .read = rng_read, .write = rng_write };
static const DeviceType rng_type = {
    .name = "nrf51-rng",
    .desc = "nRF51 random number generator",
    .category = "Misc",
    .size = sizeof(NrfRng),
    .base = &nrf51_base_type,
    .state = rng_state,
    .init = rng_init,
    .reset = rng_reset,
    .stop = rng_stop,
    .class_data = &rng_class,
};
DEVICE_REGISTER(rng_type)

/* --- TEMP (chapter 20) --- */

static void temp_task(NrfPeriph *p, unsigned n)
{
    if (!n)
        nrf_event(p, 0);
}
static uint32_t temp_read(NrfPeriph *p, uint32_t at) { return at == 0x508 ? 21 * 4 : 0; } /* 21 degrees in quarters */
static const NrfType temp_class = { .task = temp_task, .read = temp_read };
static const DeviceType temp_type = {
    .name = "nrf51-temp",
    .desc = "nRF51 temperature sensor",
    .category = "Misc",
    .size = sizeof(NrfPeriph),
    .base = &nrf51_base_type,
    .class_data = &temp_class,
};
DEVICE_REGISTER(temp_type)

/* --- WDT (chapter 19) --- */

#define WDT_RELOAD 0x6e524635u

typedef struct NrfWdt {
    NrfPeriph p;
    uint32_t crv, rren, config, requests;
    bool running;
    Timer *timer;
} NrfWdt;

static void wdt_restart(NrfWdt *s)
{
    s->requests = s->rren & 0xff;
    timer_arm(s->timer, clock_ns(CLOCK_VIRTUAL_NS) + (int64_t)((uint64_t)MAX(s->crv, 15u) * 1000000000 / 32768));
}

static void wdt_expired(void *opaque)
{
    NrfWdt *s = opaque;
    nrf_event(&s->p, 0);
    machine_request_reset(CAUSE_GUEST_RESET);
}

static void wdt_task(NrfPeriph *p, unsigned n)
{
    NrfWdt *s = (NrfWdt *)p;
    if (n || s->running)
        return;
    s->running = true;
    wdt_restart(s);
}

static uint32_t wdt_read(NrfPeriph *p, uint32_t at)
{
    const NrfWdt *s = (NrfWdt *)p;
    switch (at) {
    case 0x400: return s->running;
    case 0x404: return s->requests;
    case 0x504: return s->crv;
    case 0x508: return s->rren;
    case 0x50c: return s->config;
    default: return 0;
    }
}

static void wdt_write(NrfPeriph *p, uint32_t at, uint32_t value)
{
    NrfWdt *s = (NrfWdt *)p;
    if (at >= 0x600 && at < 0x620 && value == WDT_RELOAD) {
        s->requests &= ~(1u << (at - 0x600) / 4);
        if (s->running && !s->requests)
            wdt_restart(s);
    } else if (!s->running) { /* configuration is locked while it runs */
        if (at == 0x504)
            s->crv = value;
        else if (at == 0x508)
            s->rren = value & 0xff;
        else if (at == 0x50c)
            s->config = value & 9;
    }
}

static void wdt_init(Device *d) { ((NrfWdt *)d)->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, wdt_expired, d); }
static void wdt_stop(Device *d) { timer_free(((NrfWdt *)d)->timer); }

static void wdt_reset(Device *d, ResetPhase phase)
{
    NrfWdt *s = (NrfWdt *)d;
    periph_reset(d, phase);
    if (phase != RESET_ENTER)
        return;
    timer_cancel(s->timer);
    s->crv = 0xffffffff;
    s->rren = s->config = s->requests = 1;
    s->running = false;
}

static const StateField wdt_state[] = {
    STATE_U32(NrfWdt, crv),      STATE_U32(NrfWdt, rren),    STATE_U32(NrfWdt, config), STATE_U32(NrfWdt, requests),
    STATE_BOOL(NrfWdt, running), STATE_TIMER(NrfWdt, timer), STATE_END_OF_TABLE,
};
static const NrfType wdt_class = { .task = wdt_task, .read = wdt_read, .write = wdt_write };
static const DeviceType wdt_type = {
    .name = "nrf51-wdt",
    .desc = "nRF51 watchdog",
    .category = "Watchdog",
    .size = sizeof(NrfWdt),
    .base = &nrf51_base_type,
    .state = wdt_state,
    .init = wdt_init,
    .reset = wdt_reset,
    .stop = wdt_stop,
    .class_data = &wdt_class,
};
DEVICE_REGISTER(wdt_type)

/* --- NVMC with the flash, FICR and UICR (chapters 6 to 8) --- */

enum {
    NVMC_WEN = 1,
    NVMC_EEN = 2,
    FLASH_PAGE = 1024,
    UICR_SIZE = 4096,
    UICR_AT = 0x10001000,
    REGION_UICR = 2,
    REGION_FLASH = 3
};

typedef struct NrfNvm {
    Device dev; /* always first */
    uint32_t config, size;
} NrfNvm;

static uint64_t nvm_ready(Device *d, const Reg *r, unsigned i, uint64_t stored) { return 1; }

/* Translated code must not outlive what it was made from. */
static void nvm_changed(MemRegion *r, hwaddr at, uint32_t len)
{
    Machine *m = machine_current();
    MemSection section = { 0 };
    rcu_read_lock();
    if (m)
        as_translate(m->as_memory, at, &section);
    rcu_read_unlock();
    if (section.region == r)
        mem_ram_written(section.ram_addr, len);
}

static void nvm_erase(NrfNvm *s, uint32_t at, uint32_t len)
{
    uint8_t *host = mem_host(s->dev.region[REGION_FLASH]);
    if (s->config != NVMC_EEN) {
        log_guest_error(s->dev.id, "erase without CONFIG.EEN");
        return;
    }
    if (!host || at >= s->size || len > s->size - at)
        return;
    memset(host + at, 0xff, len);
    nvm_changed(s->dev.region[REGION_FLASH], at, len);
}

static void nvm_erase_page(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    nvm_erase((NrfNvm *)d, (uint32_t)value & ~(uint32_t)(FLASH_PAGE - 1), FLASH_PAGE);
}

static void nvm_erase_all(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    if (value & 1)
        nvm_erase((NrfNvm *)d, 0, ((NrfNvm *)d)->size);
}

static void nvm_erase_uicr(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    NrfNvm *s = (NrfNvm *)d;
    if (value & 1 && s->config == NVMC_EEN) {
        memset(mem_host(s->dev.region[REGION_UICR]), 0xff, UICR_SIZE);
        nvm_changed(s->dev.region[REGION_UICR], UICR_AT, UICR_SIZE);
    }
}

static const Reg nvm_regs[] = {
    { .name = "READY", .at = 0x400, .size = 4, .field = REG_NO_FIELD, .read = nvm_ready, .access = REG_RO },
    { .name = "CONFIG", .at = 0x504, .size = 4, .field = offsetof(NrfNvm, config), .rsvd = 0xfffffffc },
    { .name = "ERASEPAGE", .at = 0x508, .size = 4, .field = REG_NO_FIELD, .wrote = nvm_erase_page },
    { .name = "ERASEALL", .at = 0x50c, .size = 4, .field = REG_NO_FIELD, .wrote = nvm_erase_all },
    { .name = "ERASEPCR0", .at = 0x510, .size = 4, .field = REG_NO_FIELD, .wrote = nvm_erase_page },
    { .name = "ERASEUICR", .at = 0x514, .size = 4, .field = REG_NO_FIELD, .wrote = nvm_erase_uicr },
    { .name = NULL },
};
static const RegBank nvm_bank = { .name = "regs", .size = 0x1000, .regs = nvm_regs };

/* Factory information: page size and count, RAM blocks, chip identity. */
static uint64_t ficr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint32_t ficr[64] = {
        [0x10 / 4] = FLASH_PAGE, [0x14 / 4] = 0x100,      [0x28 / 4] = 0xffffffff, [0x2c / 4] = 0xffffffff,
        [0x34 / 4] = 2,          [0x38 / 4] = 0x2000,     [0x3c / 4] = 0x2000,     [0x5c / 4] = 0x3c,
        [0x60 / 4] = 0x12345678, [0x64 / 4] = 0x9abcdef1, [0x80 / 4] = 0x12345678, [0x84 / 4] = 0x9abcdef1,
        [0x88 / 4] = 0x12345678, [0x8c / 4] = 0x9abcdef1, [0x90 / 4] = 0x12345678, [0x94 / 4] = 0x9abcdef1,
        [0x98 / 4] = 0x12345678, [0x9c / 4] = 0x9abcdef1, [0xa0 / 4] = 1,          [0xa4 / 4] = 0x12345678,
        [0xa8 / 4] = 0x1234,     [0xac / 4] = 0xfffffffb,
    };
    return ficr[i];
}
static const Reg ficr_regs[] = {
    { .name = "FICR", .at = 0, .size = 4, .count = 64, .field = REG_NO_FIELD, .read = ficr_read, .access = REG_RO },
    { .name = NULL },
};
static const RegBank ficr_bank = { .name = "ficr", .size = 0x1000, .regs = ficr_regs, .unmapped_ones = true };

static const RegBank *const nvm_banks[] = { &nvm_bank, &ficr_bank, NULL };

/* Programming: bits go from 1 to 0 only. */
static void nvm_program(NrfNvm *s, MemRegion *r, hwaddr base, hwaddr offset, unsigned size, uint64_t value)
{
    uint8_t *host = (uint8_t *)mem_host(r) + offset;
    if (s->config != NVMC_WEN) {
        log_guest_error(s->dev.id, "write to flash without CONFIG.WEN");
        return;
    }
    store_le(host, size, load_le(host, size) & value);
    nvm_changed(r, base + offset, size);
}

static MemResult flash_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = load_le((uint8_t *)mem_host(((NrfNvm *)opaque)->dev.region[REGION_FLASH]) + offset, size);
    return MEM_OK;
}

static MemResult flash_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    NrfNvm *s = opaque;
    nvm_program(s, s->dev.region[REGION_FLASH], 0, offset, size, value);
    return MEM_OK;
}

static MemResult uicr_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = load_le((uint8_t *)mem_host(((NrfNvm *)opaque)->dev.region[REGION_UICR]) + offset, size);
    return MEM_OK;
}

static MemResult uicr_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    NrfNvm *s = opaque;
    nvm_program(s, s->dev.region[REGION_UICR], UICR_AT, offset, size, value);
    return MEM_OK;
}

static const MemOps flash_ops = { .read = flash_read, .write = flash_write, .min_size = 4, .max_size = 4 };
static const MemOps uicr_ops = { .read = uicr_read, .write = uicr_write, .min_size = 4, .max_size = 4 };

static bool nvm_start(Device *d, Error **errp)
{
    NrfNvm *s = (NrfNvm *)d;
    d->region[REGION_UICR] = mem_romd_new("uicr", UICR_SIZE, &uicr_ops, s, d->domain, errp);
    if (!d->region[REGION_UICR])
        return false;
    d->region[REGION_FLASH] = mem_romd_new("flash", s->size, &flash_ops, s, d->domain, errp);
    if (!d->region[REGION_FLASH])
        return false;
    memset(mem_host(d->region[REGION_UICR]), 0xff, UICR_SIZE);
    memset(mem_host(d->region[REGION_FLASH]), 0xff, s->size);
    return true;
}

static const Property nvm_props[] = {
    PROP_(PROP_U32, "flash-size", NrfNvm, size, 256 * 1024, "bytes of flash", .min = 4096, .max = 1 << 20),
    DEFINE_PROP_END,
};
static const DeviceType nvm_type = {
    .name = "nrf51-nvm",
    .desc = "nRF51 flash, its controller, factory and user information",
    .category = "Misc",
    .size = sizeof(NrfNvm),
    .banks = nvm_banks,
    .props = nvm_props,
    .start = nvm_start,
};
DEVICE_REGISTER(nvm_type)

/* SPDX-License-Identifier: MIT */
/*
 * TWI of the nRF51 (Reference Manual 3.0, chapter 28), and the two sensors of the micro:bit behind it: the
 * accelerometer MMA8653FC at 0x1d and the magnetometer MAG3110 at 0x0e, at rest (identity, 1 g downwards).
 */
#include "hw/misc/nrf51.h"

enum { TASK_STARTRX = 0, TASK_STARTTX = 2, TASK_STOP = 5, TASK_SUSPEND = 7, TASK_RESUME = 8 };
enum { EVENT_STOPPED = 1, EVENT_RXDREADY = 2, EVENT_TXDSENT = 7, EVENT_ERROR = 9, EVENT_BB = 14, EVENT_SUSPENDED = 18 };
enum { ERRORSRC_ANACK = 2, ENABLED = 5, SLAVES = 2, SLAVE_REGS = 64 };

static const uint8_t slave_address[SLAVES] = { 0x1d, 0x0e };

typedef struct NrfTwi {
    NrfPeriph p;
    uint32_t enable, psel[2], frequency, address, errorsrc;
    uint8_t regs[SLAVES * SLAVE_REGS], pointer[SLAVES], rxd;
    bool reading, writing, pointer_next;
} NrfTwi;

static int slave(const NrfTwi *s)
{
    for (unsigned i = 0; i < SLAVES; i++) {
        if (s->address == slave_address[i])
            return (int)i;
    }
    return -1;
}

static void receive(NrfTwi *s)
{
    int n = slave(s);
    if (n < 0)
        return;
    s->rxd = s->regs[n * SLAVE_REGS + s->pointer[n] % SLAVE_REGS];
    s->pointer[n]++;
    nrf_event(&s->p, EVENT_RXDREADY);
}

static void begin(NrfTwi *s, bool reading)
{
    s->reading = reading;
    s->writing = !reading;
    s->pointer_next = !reading;
    if (s->enable != ENABLED)
        return;
    if (slave(s) < 0) {
        s->errorsrc |= ERRORSRC_ANACK;
        nrf_event(&s->p, EVENT_ERROR);
    } else if (reading) {
        receive(s);
    }
}

static void task(NrfPeriph *p, unsigned n)
{
    NrfTwi *s = (NrfTwi *)p;
    switch (n) {
    case TASK_STARTRX: begin(s, true); break;
    case TASK_STARTTX: begin(s, false); break;
    case TASK_STOP:
        s->reading = s->writing = false;
        nrf_event(p, EVENT_STOPPED);
        break;
    case TASK_SUSPEND: nrf_event(p, EVENT_SUSPENDED); break;
    case TASK_RESUME:
        if (s->reading)
            receive(s);
        break;
    }
}

static uint32_t *field(NrfTwi *s, uint32_t at)
{
    switch (at) {
    case NRF_ENABLE: return &s->enable;
    case 0x508: return &s->psel[0];
    case 0x50c: return &s->psel[1];
    case 0x524: return &s->frequency;
    case 0x588: return &s->address;
    case 0x4c4: return &s->errorsrc;
    default: return NULL;
    }
}

static uint32_t read_reg(NrfPeriph *p, uint32_t at)
{
    NrfTwi *s = (NrfTwi *)p;
    const uint32_t *f = field(s, at);
    if (at != 0x518)
        return f ? *f : 0;
    uint8_t v = s->rxd; /* reading it clocks the next byte in, unless the BB shortcuts suspend or stop */
    if (s->p.shorts & 2)
        task(p, TASK_STOP);
    else if (s->p.shorts & 1)
        nrf_event(p, EVENT_SUSPENDED);
    else if (s->reading)
        receive(s);
    return v;
}

static void send(NrfTwi *s, uint8_t v)
{
    int n = slave(s);
    if (n < 0) {
        s->errorsrc |= ERRORSRC_ANACK;
        nrf_event(&s->p, EVENT_ERROR);
        return;
    }
    if (s->pointer_next)
        s->pointer[n] = v;
    else
        s->regs[n * SLAVE_REGS + s->pointer[n]++ % SLAVE_REGS] = v;
    s->pointer_next = false;
    nrf_event(&s->p, EVENT_TXDSENT);
}

static void write_reg(NrfPeriph *p, uint32_t at, uint32_t value)
{
    NrfTwi *s = (NrfTwi *)p;
    uint32_t *f = field(s, at);
    if (at == 0x4c4)
        s->errorsrc &= ~value;
    else if (f)
        *f = at == 0x588 ? value & 0x7f : value;
    else if (at == 0x51c && s->writing && s->enable == ENABLED)
        send(s, (uint8_t)value);
}

static void reset(Device *d, ResetPhase phase)
{
    NrfTwi *s = (NrfTwi *)d;
    nrf51_base_type.reset(d, phase);
    if (phase != RESET_ENTER)
        return;
    s->enable = s->address = s->errorsrc = 0;
    s->psel[0] = s->psel[1] = 0xffffffff;
    s->frequency = 0x04000000;
    memset(s->regs, 0, sizeof s->regs);
    memset(s->pointer, 0, sizeof s->pointer);
    s->regs[0x0d] = 0x5a;               /* MMA8653: WHO_AM_I */
    s->regs[0x05] = 0x40;               /* OUT_Z: 1 g */
    s->regs[SLAVE_REGS + 0x07] = 0xc4;  /* MAG3110: WHO_AM_I */
    s->rxd = 0;
    s->reading = s->writing = s->pointer_next = false;
}

static const StateField state[] = {
    STATE_U32(NrfTwi, enable),        STATE_U32_ARRAY(NrfTwi, psel),
    STATE_U32(NrfTwi, frequency),     STATE_U32(NrfTwi, address),
    STATE_U32(NrfTwi, errorsrc),      STATE_BYTES(NrfTwi, regs),
    STATE_BYTES(NrfTwi, pointer),     STATE_U8(NrfTwi, rxd),
    STATE_BOOL(NrfTwi, reading),      STATE_BOOL(NrfTwi, writing),
    STATE_BOOL(NrfTwi, pointer_next), STATE_END_OF_TABLE,
};
static const NrfType class = { .task = task, .read = read_reg, .write = write_reg };
static const DeviceType nrf51_twi_type = {
    .name = "nrf51-twi",
    .desc = "nRF51 two-wire interface with the micro:bit's sensors",
    .category = "Misc",
    .size = sizeof(NrfTwi),
    .base = &nrf51_base_type,
    .state = state,
    .reset = reset,
    .class_data = &class,
};
DEVICE_REGISTER(nrf51_twi_type)

/* SPDX-License-Identifier: MIT */
/* GPIOTE of the nRF51 (Reference Manual 3.0, chapter 15): tasks that drive pins, events from pins. */
#include "hw/misc/nrf51.h"

enum { CHANNELS = 4, EVENT_PORT = 31, IN_DETECT = 32 };
enum { MODE_EVENT = 1, MODE_TASK = 3, RISING = 1, FALLING = 2, TOGGLE = 3 };

typedef struct NrfGpiote {
    NrfPeriph p;
    uint32_t config[CHANNELS], level, driven; /* levels of the pins; of the outputs by channel */
    bool detect;
    Device *gpio; /* NULL: none */
} NrfGpiote;

static unsigned mode(const NrfGpiote *s, unsigned n) { return s->config[n] & 3; }
static unsigned pin(const NrfGpiote *s, unsigned n) { return s->config[n] >> 8 & 31; }
static unsigned polarity(const NrfGpiote *s, unsigned n) { return s->config[n] >> 16 & 3; }

static void drive(NrfGpiote *s, unsigned n)
{
    if (s->gpio)
        nrf_gpio_take(s->gpio, pin(s, n), mode(s, n) == MODE_TASK, s->driven >> n & 1);
}

static void task(NrfPeriph *p, unsigned n)
{
    NrfGpiote *s = (NrfGpiote *)p;
    if (n >= CHANNELS || mode(s, n) != MODE_TASK)
        return;
    unsigned what = polarity(s, n);
    bool now = s->driven >> n & 1, next = what == RISING || (what == TOGGLE && !now) || (!what && now);
    s->driven = (s->driven & ~(1u << n)) | (uint32_t)next << n;
    drive(s, n);
}

static uint32_t read_reg(NrfPeriph *p, uint32_t at)
{
    return at >= 0x510 && at < 0x510 + 4 * CHANNELS ? ((NrfGpiote *)p)->config[(at - 0x510) / 4] : 0;
}

static void write_reg(NrfPeriph *p, uint32_t at, uint32_t value)
{
    NrfGpiote *s = (NrfGpiote *)p;
    unsigned n = (at - 0x510) / 4;
    if (at < 0x510 || n >= CHANNELS)
        return;
    if (mode(s, n) == MODE_TASK && s->gpio)
        nrf_gpio_take(s->gpio, pin(s, n), false, false);
    s->config[n] = value & 0x00131f03;
    s->driven = (s->driven & ~(1u << n)) | (value >> 20 & 1) << n;
    if (mode(s, n) == MODE_TASK)
        drive(s, n);
}

static void input(Device *d, unsigned line, int level)
{
    NrfGpiote *s = (NrfGpiote *)d;
    if (line == IN_DETECT) {
        if (level && !s->detect)
            nrf_event(&s->p, EVENT_PORT);
        s->detect = level;
        return;
    }
    bool was = s->level >> line & 1;
    s->level = (s->level & ~(1u << line)) | (uint32_t)!!level << line;
    for (unsigned n = 0; n < CHANNELS && was != !!level; n++) {
        if (mode(s, n) == MODE_EVENT && pin(s, n) == line && polarity(s, n) & (level ? RISING : FALLING))
            nrf_event(&s->p, n);
    }
}

static void reset(Device *d, ResetPhase phase)
{
    NrfGpiote *s = (NrfGpiote *)d;
    nrf51_base_type.reset(d, phase);
    if (phase != RESET_ENTER)
        return;
    memset(s->config, 0, sizeof s->config);
    s->level = s->driven = 0;
    s->detect = false;
}

void nrf_gpiote_attach(Device *gpiote, Device *gpio)
{
    ((NrfGpiote *)gpiote)->gpio = gpio;
    for (unsigned i = 0; i < 32; i++)
        device_connect(gpio, "level", i, device_input(gpiote, "in", i));
    device_connect(gpio, "detect", 0, device_input(gpiote, "detect", 0));
}

static const StateField state[] = {
    STATE_U32_ARRAY(NrfGpiote, config), STATE_U32(NrfGpiote, level), STATE_U32(NrfGpiote, driven),
    STATE_BOOL(NrfGpiote, detect),      STATE_END_OF_TABLE,
};
static const char *const ins[] = { "in*32", "detect", NULL };
static const NrfType gpiote_class = { .task = task, .read = read_reg, .write = write_reg };
static const DeviceType nrf51_gpiote_type = {
    .name = "nrf51-gpiote",
    .desc = "nRF51 GPIO tasks and events",
    .category = "Misc",
    .size = sizeof(NrfGpiote),
    .base = &nrf51_base_type,
    .state = state,
    .in_pins = ins,
    .input = input,
    .reset = reset,
    .class_data = &gpiote_class,
};
DEVICE_REGISTER(nrf51_gpiote_type)

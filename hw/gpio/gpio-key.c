/* SPDX-License-Identifier: MIT */
/* A key on a GPIO line: a rising input presses it for a tenth of a second. */
#include "hw/core/device.h"

#define PRESS_NS INT64_C(100000000)

typedef struct GpioKey {
    Device dev; /* always first */
    bool pressed;
    Timer *timer;
} GpioKey;

static void drive(GpioKey *k, bool pressed)
{
    k->pressed = pressed;
    device_out(&k->dev, 0, pressed);
}

static void released(void *opaque) { drive(opaque, false); }

static void key_input(Device *d, unsigned pin, int level)
{
    GpioKey *k = (GpioKey *)d;
    if (!level)
        return;
    drive(k, true);
    timer_arm(k->timer, clock_ns(CLOCK_VIRTUAL_NS) + PRESS_NS);
}

static void key_init(Device *d) { ((GpioKey *)d)->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, released, d); }

static void key_reset(Device *d, ResetPhase phase)
{
    GpioKey *k = (GpioKey *)d;
    if (phase == RESET_ENTER) {
        timer_cancel(k->timer);
        k->pressed = false;
    } else if (phase == RESET_HOLD) {
        drive(k, false);
    }
}

static void key_stop(Device *d)
{
    GpioKey *k = (GpioKey *)d;
    timer_free(k->timer);
    k->timer = NULL;
}

static const StateField key_state[] = { STATE_BOOL(GpioKey, pressed), STATE_TIMER(GpioKey, timer), STATE_END_OF_TABLE };
static const char *const key_in[] = { "press", NULL }, *const key_out[] = { "line", NULL };

static const DeviceType key_type = {
    .name = "gpio-key", .desc = "key on a GPIO line", .category = "Input", .size = sizeof(GpioKey), .state = key_state,
    .in_pins = key_in, .out_pins = key_out, .init = key_init, .input = key_input, .reset = key_reset, .stop = key_stop,
};
DEVICE_REGISTER(key_type)

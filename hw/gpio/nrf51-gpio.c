/* SPDX-License-Identifier: MIT */
/* GPIO of the nRF51 (Reference Manual 3.0, chapter 14). */
#include "hw/misc/nrf51.h"

enum { PINS = 32, OUT_DETECT = 32, OUT_LEVEL = 33 };
enum { SENSE_HIGH = 2, SENSE_LOW = 3 };

typedef struct NrfGpio {
    Device dev; /* always first */
    uint32_t out, dir, driven, level; /* inputs: driven from outside, and how */
    uint32_t pulled_up;               /* by resistors on the board */
    uint32_t taken, taken_level;      /* outputs that GPIOTE drives */
    uint32_t seen;                    /* levels that were told last */
    uint32_t cnf[PINS];
} NrfGpio;

static uint32_t input(const NrfGpio *s)
{
    uint32_t pull = s->pulled_up;
    for (unsigned i = 0; i < PINS; i++) {
        unsigned p = s->cnf[i] >> 2 & 3;
        pull = p == 3 ? pull | 1u << i : p == 1 ? pull & ~(1u << i) : pull;
    }
    uint32_t v = (s->level & s->driven) | (pull & ~s->driven);
    uint32_t dir = s->dir | s->taken, out = (s->out & ~s->taken) | (s->taken_level & s->taken);
    return (v & ~dir) | (out & dir);
}

/* DETECT: any pin is as its SENSE field says. */
static bool detect(const NrfGpio *s, uint32_t levels)
{
    bool found = false;
    for (unsigned i = 0; i < PINS; i++) {
        unsigned sense = s->cnf[i] >> 16 & 3;
        found |= sense == (levels >> i & 1 ? SENSE_HIGH : SENSE_LOW);
    }
    return found;
}

static void update(NrfGpio *s)
{
    uint32_t levels = input(s), changed = levels ^ s->seen, outputs = s->dir | s->taken;
    s->seen = levels;
    for (unsigned i = 0; i < PINS; i++) {
        device_out(&s->dev, i, outputs >> i & levels >> i & 1);
        if (changed >> i & 1)
            device_out(&s->dev, OUT_LEVEL + i, levels >> i & 1);
    }
    device_out(&s->dev, OUT_DETECT, detect(s, levels));
}

void nrf_gpio_take(Device *gpio, unsigned pin, bool taken, bool level)
{
    NrfGpio *s = (NrfGpio *)gpio;
    s->taken = (s->taken & ~(1u << pin)) | (uint32_t)taken << pin;
    s->taken_level = (s->taken_level & ~(1u << pin)) | (uint32_t)level << pin;
    update(s);
}

static void set_dir(NrfGpio *s, uint32_t dir)
{
    s->dir = dir;
    for (unsigned i = 0; i < PINS; i++)
        s->cnf[i] = (s->cnf[i] & ~1u) | (dir >> i & 1);
}

static uint64_t out_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return ((NrfGpio *)d)->out; }
static uint64_t in_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return input((NrfGpio *)d); }
static uint64_t dir_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return ((NrfGpio *)d)->dir; }

static void wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t v)
{
    NrfGpio *s = (NrfGpio *)d;
    uint32_t value = (uint32_t)v;
    switch (r->at) {
    case 0x508: s->out |= value; break;
    case 0x50c: s->out &= ~value; break;
    case 0x514: set_dir(s, value); break;
    case 0x518: set_dir(s, s->dir | value); break;
    case 0x51c: set_dir(s, s->dir & ~value); break;
    case 0x700: s->dir = (s->dir & ~(1u << i)) | (s->cnf[i] & 1) << i; break;
    }
    update(s);
}

static const Reg regs[] = {
    { .name = "OUT", .at = 0x504, .size = 4, .field = offsetof(NrfGpio, out), .wrote = wrote },
    { .name = "OUTSET", .at = 0x508, .size = 4, .field = REG_NO_FIELD, .read = out_read, .wrote = wrote },
    { .name = "OUTCLR", .at = 0x50c, .size = 4, .field = REG_NO_FIELD, .read = out_read, .wrote = wrote },
    { .name = "IN", .at = 0x510, .size = 4, .field = REG_NO_FIELD, .read = in_read, .access = REG_RO },
    { .name = "DIR", .at = 0x514, .size = 4, .field = offsetof(NrfGpio, dir), .wrote = wrote },
    { .name = "DIRSET", .at = 0x518, .size = 4, .field = REG_NO_FIELD, .read = dir_read, .wrote = wrote },
    { .name = "DIRCLR", .at = 0x51c, .size = 4, .field = REG_NO_FIELD, .read = dir_read, .wrote = wrote },
    { .name = "PIN_CNF",
      .at = 0x700,
      .size = 4,
      .count = PINS,
      .field = offsetof(NrfGpio, cnf),
      .reset = 2,
      .rsvd = 0xfffcf8f0,
      .wrote = wrote },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const StateField state[] = { STATE_U32(NrfGpio, driven), STATE_U32(NrfGpio, level), STATE_U32(NrfGpio, taken),
                                    STATE_U32(NrfGpio, taken_level), STATE_U32(NrfGpio, seen), STATE_END_OF_TABLE };
static const Property props[] = {
    DEFINE_PROP_U32("pulled-up", NrfGpio, pulled_up, 0, "inputs that resistors on the board pull up"), DEFINE_PROP_END
};
static const char *const outs[] = { "out*32", "detect", "level*32", NULL }, *const ins[] = { "in*32", NULL };

static void input_pin(Device *d, unsigned pin, int level)
{
    NrfGpio *s = (NrfGpio *)d;
    s->driven |= 1u << pin;
    s->level = (s->level & ~(1u << pin)) | (uint32_t)!!level << pin;
    update(s);
}

static void reset(Device *d, ResetPhase phase)
{
    NrfGpio *s = (NrfGpio *)d;
    if (phase == RESET_ENTER)
        s->taken = s->taken_level = s->seen = 0;
    else if (phase == RESET_HOLD)
        update(s);
}

static void info(Device *d, GString *out)
{
    const NrfGpio *s = (NrfGpio *)d;
    g_string_append_printf(out, "  driven high: %08x, low: %08x\n", s->out & s->dir, ~s->out & s->dir);
}

static const DeviceType nrf51_gpio_type = {
    .name = "nrf51-gpio",
    .desc = "nRF51 general purpose I/O",
    .category = "Misc",
    .size = sizeof(NrfGpio),
    .banks = banks,
    .props = props,
    .state = state,
    .out_pins = outs,
    .in_pins = ins,
    .reset = reset,
    .input = input_pin,
    .info = info,
};
DEVICE_REGISTER(nrf51_gpio_type)

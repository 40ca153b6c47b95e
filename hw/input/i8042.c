/* SPDX-License-Identifier: MIT */
/*
 * The 8042 keyboard controller of a PC with its mouse port: ports 60h and 64h, A20 gate, reset line, keyboard and
 * mouse. Source: IBM PS/2 Hardware Interface Technical Reference, keyboard and auxiliary device controller.
 */
#include "base/bits.h"
#include "base/log.h"
#include "base/trace.h"
#include "hw/core/machine.h"
#include "hw/input/ps2-internal.h"
#include "hw/isa/isa.h"

enum {
    CMD_READ_RAM = 0x20, CMD_WRITE_RAM = 0x60, CMD_PASSWORD_TEST = 0xa4, CMD_AUX_DISABLE = 0xa7, CMD_AUX_ENABLE = 0xa8,
    CMD_AUX_TEST = 0xa9, CMD_SELF_TEST = 0xaa, CMD_KEYBOARD_TEST = 0xab, CMD_KEYBOARD_DISABLE = 0xad,
    CMD_KEYBOARD_ENABLE = 0xae, CMD_READ_INPUT = 0xc0, CMD_READ_OUTPUT = 0xd0, CMD_WRITE_OUTPUT = 0xd1,
    CMD_WRITE_KEYBOARD_BUFFER = 0xd2, CMD_WRITE_AUX_BUFFER = 0xd3, CMD_WRITE_AUX = 0xd4, CMD_A20_OFF = 0xdd,
    CMD_A20_ON = 0xdf, CMD_PULSE = 0xf0,
};
enum { STATUS_OBF = 1, STATUS_SYSTEM = 4, STATUS_COMMAND = 8, STATUS_UNLOCKED = 0x10, STATUS_AUX = 0x20 };
enum { MODE_KEYBOARD_INT = 1, MODE_AUX_INT = 2, MODE_SYSTEM = 4, MODE_KEYBOARD_OFF = 0x10, MODE_AUX_OFF = 0x20,
       MODE_TRANSLATE = 0x40 };
enum { OUT_RESET = 1, OUT_A20 = 2, OUT_OBF = 0x10, OUT_AUX_OBF = 0x20, OUT_FIXED = 0xcc };
enum { PIN_KEYBOARD, PIN_AUX, PIN_A20 };
enum { REPLY_NONE, REPLY_KEYBOARD, REPLY_AUX };

typedef struct I8042 {
    Device dev;
    uint8_t status, output_port;
    uint8_t ram[32];     /* ram[0]: the command byte ("mode") */
    uint8_t data;        /* output buffer */
    uint8_t command;     /* waits for its parameter, 0: none */
    uint8_t reply, reply_source; /* the controller's own byte, before those of the devices */
    bool break_prefix;   /* translation has seen F0 */
    Ps2Keyboard keyboard;
    Ps2Mouse mouse;
} I8042;

static const StateField state[] = {
    STATE_U8(I8042, status), STATE_U8(I8042, output_port), STATE_BYTES(I8042, ram), STATE_U8(I8042, data),
    STATE_U8(I8042, command), STATE_U8(I8042, reply), STATE_U8(I8042, reply_source), STATE_BOOL(I8042, break_prefix),
    STATE_STRUCT(I8042, keyboard, ps2_keyboard_state), STATE_STRUCT(I8042, mouse, ps2_mouse_state),
    STATE_END_OF_TABLE,
};

static void update_irqs(I8042 *s)
{
    bool full = s->status & STATUS_OBF, aux = s->status & STATUS_AUX;

    device_out(&s->dev, PIN_KEYBOARD, full && !aux && (s->ram[0] & MODE_KEYBOARD_INT));
    device_out(&s->dev, PIN_AUX, full && aux && (s->ram[0] & MODE_AUX_INT));
}

static void put(I8042 *s, uint8_t v, bool aux)
{
    s->data = v;
    s->status = (s->status & ~STATUS_AUX) | STATUS_OBF | (aux ? STATUS_AUX : 0);
}

/* The next byte of the keyboard, through the translation; false: none to hand on. */
static bool take_keyboard(I8042 *s, uint8_t *v)
{
    while (s->keyboard.port.count) {
        *v = ps2_read(&s->keyboard.port);
        if (!(s->ram[0] & MODE_TRANSLATE))
            return true;
        if (*v == 0xf0) {
            s->break_prefix = true;
            continue;
        }
        *v = ps2_translate(*v) | (s->break_prefix ? 0x80 : 0);
        s->break_prefix = false;
        return true;
    }
    return false;
}

/* Move the next waiting byte into the output buffer when that is empty. */
static void fill(void *opaque)
{
    I8042 *s = opaque;
    uint8_t v;

    if (s->status & STATUS_OBF)
        return;
    if (s->reply_source != REPLY_NONE) {
        put(s, s->reply, s->reply_source == REPLY_AUX);
        s->reply_source = REPLY_NONE;
    } else if (!(s->ram[0] & MODE_KEYBOARD_OFF) && take_keyboard(s, &v)) {
        put(s, v, false);
    } else if (!(s->ram[0] & MODE_AUX_OFF) && s->mouse.port.count) {
        put(s, ps2_read(&s->mouse.port), true);
        ps2_mouse_resume(&s->mouse);
    }
    update_irqs(s);
}

static void reply(I8042 *s, uint8_t v, unsigned source)
{
    s->reply = v;
    s->reply_source = source;
    fill(s);
}

static void write_mode(I8042 *s, uint8_t v)
{
    s->ram[0] = v;
    s->status = (s->status & ~STATUS_SYSTEM) | (v & MODE_SYSTEM ? STATUS_SYSTEM : 0);
    update_irqs(s);
    fill(s);
}

static void write_output_port(I8042 *s, uint8_t v)
{
    s->output_port = v & (OUT_RESET | OUT_A20);
    device_out(&s->dev, PIN_A20, !!(v & OUT_A20));
    if (!(v & OUT_RESET))
        machine_request_reset(CAUSE_GUEST_RESET);
}

static uint8_t read_output_port(const I8042 *s)
{
    bool full = s->status & STATUS_OBF, aux = s->status & STATUS_AUX;
    return OUT_FIXED | s->output_port | (full && !aux ? OUT_OBF : 0) | (full && aux ? OUT_AUX_OBF : 0);
}

static void self_test(I8042 *s)
{
    s->status |= STATUS_SYSTEM;
    s->ram[0] |= MODE_SYSTEM;
    reply(s, 0x55, REPLY_KEYBOARD);
}

static void write_command(I8042 *s, uint8_t v)
{
    TRACE(i8042_command, "command 0x%x", v);
    s->status |= STATUS_COMMAND;
    s->command = 0;
    switch (v) {
    case CMD_READ_RAM ... CMD_READ_RAM + 0x1f:
        reply(s, s->ram[v & 0x1f], REPLY_KEYBOARD);
        break;
    case CMD_WRITE_RAM ... CMD_WRITE_RAM + 0x1f:
    case CMD_WRITE_OUTPUT:
    case CMD_WRITE_KEYBOARD_BUFFER:
    case CMD_WRITE_AUX_BUFFER:
    case CMD_WRITE_AUX:
        s->command = v;
        break;
    case CMD_PASSWORD_TEST:
        reply(s, 0xf1, REPLY_KEYBOARD); /* no password */
        break;
    case CMD_AUX_DISABLE:
        write_mode(s, s->ram[0] | MODE_AUX_OFF);
        break;
    case CMD_AUX_ENABLE:
        write_mode(s, s->ram[0] & ~MODE_AUX_OFF);
        break;
    case CMD_AUX_TEST:
    case CMD_KEYBOARD_TEST:
        reply(s, 0x00, REPLY_KEYBOARD);
        break;
    case CMD_SELF_TEST:
        self_test(s);
        break;
    case CMD_KEYBOARD_DISABLE:
        write_mode(s, s->ram[0] | MODE_KEYBOARD_OFF);
        break;
    case CMD_KEYBOARD_ENABLE:
        write_mode(s, s->ram[0] & ~MODE_KEYBOARD_OFF);
        break;
    case CMD_READ_INPUT:
        reply(s, 0x80, REPLY_KEYBOARD); /* keyboard not locked */
        break;
    case CMD_READ_OUTPUT:
        reply(s, read_output_port(s), REPLY_KEYBOARD);
        break;
    case CMD_A20_OFF:
    case CMD_A20_ON:
        write_output_port(s, v == CMD_A20_ON ? s->output_port | OUT_A20 : s->output_port & ~OUT_A20);
        break;
    case CMD_PULSE ... 0xff:
        if (!(v & 1)) /* bit 0 low: the reset line is pulsed */
            machine_request_reset(CAUSE_GUEST_RESET);
        break;
    default:
        log_guest_error("i8042", "unknown command 0x%x", v);
    }
}

static void write_data(I8042 *s, uint8_t v)
{
    uint8_t command = s->command;

    s->status &= ~STATUS_COMMAND;
    s->command = 0;
    switch (command) {
    case 0:
        s->ram[0] &= ~MODE_KEYBOARD_OFF; /* talking to the keyboard enables its interface */
        s->break_prefix = false;
        ps2_keyboard_write(&s->keyboard, v);
        break;
    case CMD_WRITE_RAM:
        write_mode(s, v);
        break;
    case CMD_WRITE_OUTPUT:
        write_output_port(s, v);
        break;
    case CMD_WRITE_KEYBOARD_BUFFER:
        reply(s, v, REPLY_KEYBOARD);
        break;
    case CMD_WRITE_AUX_BUFFER:
        reply(s, v, REPLY_AUX);
        break;
    case CMD_WRITE_AUX:
        ps2_mouse_write(&s->mouse, v);
        break;
    default:
        s->ram[command & 0x1f] = v;
    }
}

static uint8_t read_data(I8042 *s)
{
    uint8_t v = s->data;

    if (s->status & STATUS_OBF) {
        s->status &= ~(STATUS_OBF | STATUS_AUX);
        update_irqs(s); /* low, so that the next byte makes an edge */
        fill(s);
    }
    return v;
}

static MemResult data_read(void *o, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = read_data(o);
    return MEM_OK;
}
static MemResult data_write(void *o, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    write_data(o, value);
    return MEM_OK;
}
static MemResult command_read(void *o, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = ((I8042 *)o)->status;
    return MEM_OK;
}
static MemResult command_write(void *o, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    write_command(o, value);
    return MEM_OK;
}

static const MemOps data_ops = { .read = data_read, .write = data_write, .min_size = 1, .max_size = 1 };
static const MemOps command_ops = { .read = command_read, .write = command_write, .min_size = 1, .max_size = 1 };

static void i8042_init(Device *d)
{
    I8042 *s = (I8042 *)d;

    ps2_keyboard_init(&s->keyboard, fill, s);
    ps2_mouse_init(&s->mouse, fill, s);
}

static bool i8042_start(Device *d, Error **errp)
{
    isa_io_new(d, "i8042-data", 0x60, 1, &data_ops);
    isa_io_new(d, "i8042-command", 0x64, 1, &command_ops);
    return isa_connect_irq(d, PIN_KEYBOARD, 1, errp) && isa_connect_irq(d, PIN_AUX, 12, errp);
}

static void i8042_reset(Device *d, ResetPhase phase)
{
    I8042 *s = (I8042 *)d;

    if (phase == RESET_HOLD) {
        device_out(d, PIN_A20, 1);
        update_irqs(s);
    }
    if (phase != RESET_ENTER)
        return;
    memset(s->ram, 0, sizeof(s->ram));
    s->ram[0] = MODE_KEYBOARD_INT | MODE_AUX_INT;
    s->status = STATUS_COMMAND | STATUS_UNLOCKED;
    s->output_port = OUT_RESET | OUT_A20;
    s->data = s->command = s->reply = s->reply_source = 0;
    s->break_prefix = false;
    ps2_keyboard_reset(&s->keyboard);
    ps2_mouse_reset(&s->mouse);
}

static bool i8042_loaded(Device *d, Error **errp)
{
    I8042 *s = (I8042 *)d;

    s->output_port &= OUT_RESET | OUT_A20;
    if (s->reply_source > REPLY_AUX)
        s->reply_source = REPLY_NONE;
    return ps2_keyboard_loaded(&s->keyboard, errp) && ps2_mouse_loaded(&s->mouse, errp);
}

static void i8042_info(Device *d, GString *out)
{
    I8042 *s = (I8042 *)d;
    g_string_append_printf(out, "mode 0x%x status 0x%x keyboard: set %u leds %u; mouse: id %u %s\n", s->ram[0],
                           s->status, s->keyboard.set, s->keyboard.leds, s->mouse.id,
                           s->mouse.status & 0x20 ? "on" : "off");
}

static const char *const out_pins[] = { "irq*2", "a20", NULL }; /* irq 0: keyboard, 1: mouse */

static const DeviceType i8042_type = {
    .name = "i8042", .desc = "Keyboard and mouse controller", .category = "Input", .size = sizeof(I8042), .bus = "isa",
    .state = state, .out_pins = out_pins, .init = i8042_init, .start = i8042_start, .reset = i8042_reset,
    .loaded = i8042_loaded, .info = i8042_info,
};
DEVICE_REGISTER(i8042_type)

/* ---- user input ---- */

static I8042 *controller(void)
{
    for (Device *d = device_first(); d; d = d->next) {
        if (d->type == &i8042_type && d->started)
            return (I8042 *)d;
    }
    return NULL;
}

bool ps2_send_key(const char *name, bool down)
{
    I8042 *s = controller();
    int key = ps2_key_find(name);

    if (!s || key < 0)
        return false;
    lock_domain_lock(s->dev.domain);
    ps2_keyboard_key(&s->keyboard, key, down);
    lock_domain_unlock(s->dev.domain);
    return true;
}

bool ps2_send_mouse(int dx, int dy, int dz, unsigned buttons)
{
    I8042 *s = controller();

    if (!s)
        return false;
    lock_domain_lock(s->dev.domain);
    ps2_mouse_event(&s->mouse, dx, dy, dz, buttons);
    lock_domain_unlock(s->dev.domain);
    return true;
}

/* SPDX-License-Identifier: MIT */
/* NCR 53C9x SCSI controllers: registers, commands, and the sequences that these run on the bus. */
#include "base/bits.h"
#include "hw/scsi/esp.h"

enum { STATUS_INT = 0x80, STATUS_ERROR = 0x40, STATUS_CTZ = 0x10 }; /* CTZ: the transfer count is at zero */
enum { CONFIG1_NO_RESET_INT = 0x40, CONFIG2_FEATURES = 0x40, CONFIG4_MASK = 0xec };
enum {
    CMD_DMA = 0x80,
    CMD_NOP = 0x00,
    CMD_FLUSH = 0x01,
    CMD_RESET = 0x02,
    CMD_RESET_BUS = 0x03,
    CMD_TRANSFER = 0x10,
    CMD_COMPLETE = 0x11,
    CMD_ACCEPT = 0x12,
    CMD_PAD = 0x18,
    CMD_SET_ATN = 0x1a,
    CMD_RESET_ATN = 0x1b,
    CMD_SELECT = 0x41,
    CMD_SELECT_ATN = 0x42,
    CMD_SELECT_STOP = 0x43,
    CMD_LISTEN = 0x44,
    CMD_DEAF = 0x45,
    CMD_SELECT_ATN3 = 0x46
};
/* Everything but IDLE waits for the target, or for DMA. */
typedef enum EspTask {
    IDLE,
    SELECT,
    TRANSFER,
    PAD,
    COMPLETE,
    REQUEST /* until the target asks for something */,
    TASKS
} EspTask;

/* --- interrupts, counter, FIFO --- */

static bool wants_attention(const Esp *e) { return e->interrupt || e->status & STATUS_ERROR; }

/* What comes while one is not read yet waits behind it. */
static void interrupt(Esp *e, uint8_t why)
{
    *(e->interrupt ? &e->next_interrupt : &e->interrupt) |= why;
    e->host->irq(e, wants_attention(e));
}

/* STATREG 6: the chip was used against its rules. */
static void misused(Esp *e)
{
    e->status |= STATUS_ERROR;
    interrupt(e, 0);
}

/* Zero stands for the most (STCREG). */
static void load_count(Esp *e)
{
    uint32_t span = e->config[1] & CONFIG2_FEATURES ? 1u << 24 : 1u << 16;
    e->count = e->start & (span - 1) ? e->start & (span - 1) : span;
    e->status &= (uint8_t)~STATUS_CTZ;
}

static void count_down(Esp *e, uint32_t n)
{
    e->count -= n;
    if (!e->count)
        e->status |= STATUS_CTZ;
}

static void push(Esp *e, uint8_t byte)
{
    if (e->fifo_len < ESP_FIFO_SIZE)
        e->fifo[e->fifo_len++] = byte;
    else
        misused(e);
}

static uint32_t pop(Esp *e, uint8_t *to, uint32_t most)
{
    uint32_t n = MIN(most, e->fifo_len);
    memcpy(to, e->fifo, n);
    e->fifo_len = (uint8_t)(e->fifo_len - n);
    memmove(e->fifo, e->fifo + n, e->fifo_len);
    return n;
}

/* --- moving bytes: what is in the FIFO goes first, DMA passes through it --- */

/* Up to `most` bytes to the target in its phase; `stop`: it is to ask for messages afterwards, too. */
static uint32_t give(Esp *e, uint32_t most, bool stop)
{
    uint32_t n;
    uint8_t *to = parallel_window(&e->wires, &n);
    n = MIN(n, e->fifo_len ? MIN(most, e->fifo_len) : e->dma ? MIN(most, e->count) : 0);
    if (!n)
        return 0;
    if (e->fifo_len) {
        pop(e, to, n);
    } else {
        n = e->host->dma(e, to, n, false);
        count_down(e, n);
    }
    if (n && e->task == SELECT && e->wires.phase == PHASE_MSG_OUT && to[0] < 8)
        to[0] |= 0x80; /* SeaBIOS sends the bare LUN for IDENTIFY */
    parallel_moved(&e->wires, n, stop);
    return n;
}

/*
 * From the target; one byte to the FIFO, or by DMA. The last byte of a message is taken, but not acknowledged: e->held.
 */
static uint32_t take(Esp *e)
{
    uint32_t n;
    uint8_t *from = parallel_window(&e->wires, &n);
    if (e->dma) {
        n = MIN(n, e->count);
        n = n ? e->host->dma(e, from, n, true) : 0;
        count_down(e, n);
    } else if (n) {
        n = 1;
        push(e, from[0]);
    }
    bool last = !e->dma || !e->count || e->task == COMPLETE;
    e->held = n && last && e->wires.phase == PHASE_MSG_IN;
    parallel_moved(&e->wires, n - e->held, false);
    return n;
}

static void release(Esp *e)
{
    if (e->held)
        parallel_moved(&e->wires, 1, false);
    e->held = false;
}

/* --- sequences: each is tried again from where it stands until it has ended --- */

static void finish(Esp *e, uint8_t why)
{
    e->task = IDLE;
    if (why & ESP_INT_DISCONNECTED) {
        e->queued = 0;
        e->listens = false; /* until it is told to again */
    }
    interrupt(e, why);
}

/* The target has asked for something, or is gone. False: neither yet. */
static bool asked(Esp *e, uint8_t why)
{
    if (e->wires.connected && e->wires.phase == PHASE_NONE)
        return false;
    finish(e, e->wires.connected ? why : ESP_INT_DISCONNECTED);
    return true;
}

/* Messages, then the command. The step register says how far it came. */
static void run_select(Esp *e)
{
    bool stop = e->command == CMD_SELECT_STOP;
    while (e->left && e->wires.phase == PHASE_MSG_OUT) {
        uint32_t n = give(e, e->left, stop);
        if (!n && e->dma && e->count)
            return;
        e->left = n ? (uint8_t)(e->left - n) : 0;
        e->step = stop ? 1 : 2;
    }
    while (!stop && e->wires.phase == PHASE_COMMAND) {
        e->step = 3;
        if (give(e, UINT32_MAX, false))
            continue;
        if (e->dma && e->count)
            return;
        finish(e, ESP_INT_DONE | ESP_INT_SERVICE); /* it wants more than there is */
        return;
    }
    if (e->step == 3)
        e->step = 4;
    asked(e, ESP_INT_DONE | ESP_INT_SERVICE);
}

/* A transfer begins when the target asks for one, and is in that phase. */
static bool begun(Esp *e)
{
    if (e->phase == PHASE_NONE)
        e->phase = e->wires.phase;
    return e->phase != PHASE_NONE || !e->wires.connected;
}

static uint32_t move(Esp *e)
{
    if (e->phase & 1)
        return take(e);
    return give(e, UINT32_MAX, e->dma && e->count > PARALLEL_OUT_MAX);
}

static void run_transfer(Esp *e)
{
    Parallel *p = &e->wires;
    if (!begun(e))
        return;
    /* SeaBIOS asks for the data of a command that has failed, and waits for the counter */
    if (e->phase == PHASE_STATUS && e->dma && e->count > 1)
        count_down(e, e->count);
    while (p->connected && p->phase == e->phase && !e->held) {
        bool room = e->dma ? e->count : e->phase & 1 || e->fifo_len;
        if (!room)
            break;
        if (!move(e))
            return; /* DMA goes on later */
        if (!e->dma && e->phase & 1)
            break;
    }
    if (e->held)
        finish(e, ESP_INT_DONE);
    else if (!asked(e, ESP_INT_SERVICE))
        e->task = REQUEST;
}

/* Zeros out, or what comes in to nowhere. */
static void run_pad(Esp *e)
{
    Parallel *p = &e->wires;
    if (!begun(e))
        return;
    while (p->connected && e->count && p->phase == e->phase) {
        uint32_t n;
        uint8_t *window = parallel_window(p, &n);
        n = MIN(n, e->count);
        if (!n)
            break;
        if (!(e->phase & 1))
            memset(window, 0, n);
        count_down(e, n);
        parallel_moved(p, n, false);
    }
    if (!asked(e, ESP_INT_SERVICE))
        e->task = REQUEST;
}

/* Status, then the message. */
static void run_complete(Esp *e)
{
    if (e->wires.phase == PHASE_STATUS && !take(e))
        return;
    if (e->wires.phase == PHASE_MSG_IN && !e->held && !take(e))
        return;
    if (e->held)
        finish(e, ESP_INT_DONE);
    else
        asked(e, ESP_INT_SERVICE);
}

static void run_task(Esp *e)
{
    switch (e->task) {
    case SELECT: run_select(e); break;
    case TRANSFER: run_transfer(e); break;
    case PAD: run_pad(e); break;
    case COMPLETE: run_complete(e); break;
    case REQUEST: asked(e, ESP_INT_SERVICE); break;
    }
}

/* A target that waits connects: the FIFO has the ids on the bus and IDENTIFY, whose ACK is held. */
static void try_reselect(Esp *e)
{
    uint32_t n;
    if (!e->listens || e->task != IDLE || e->interrupt || e->wires.connected || !parallel_reselect(&e->wires))
        return;
    e->fifo_len = 0;
    push(e, (uint8_t)(1 << e->wires.target | 1 << (e->config[0] & 7)));
    push(e, *parallel_window(&e->wires, &n));
    e->held = true;
    e->step = 0;
    interrupt(e, ESP_INT_RESELECTED);
}

/* --- commands --- */

static void chip_reset(Esp *e)
{
    parallel_free(&e->wires);
    e->fifo_len = e->interrupt = e->next_interrupt = e->step = e->queued = e->left = 0;
    memset(e->config, 0, sizeof e->config);
    e->config[0] = PARALLEL_OWN_ID;
    e->task = IDLE;
    e->phase = PHASE_NONE;
    e->count = 0;
    e->status = STATUS_CTZ;
    e->dma = e->held = e->listens = false;
    e->id_shown = true;
    timer_cancel(e->later);
    e->host->irq(e, false);
}

static void reset_bus(Esp *e)
{
    parallel_reset_bus(&e->wires);
    e->task = IDLE;
    e->queued = 0;
    e->held = e->listens = false;
    if (!(e->config[0] & CONFIG1_NO_RESET_INT))
        interrupt(e, ESP_INT_RESET);
}

static void select_target(Esp *e, bool attention, uint8_t messages)
{
    e->interrupt = e->next_interrupt = e->step = 0; /* whoever selects has seen what came before */
    e->host->irq(e, false);
    e->left = messages;
    e->task = SELECT;
    if (parallel_select(&e->wires, e->destination & 7, attention))
        return;
    e->fifo_len = 0;
    finish(e, ESP_INT_DISCONNECTED); /* the time-out is over at once */
}

static void invalid(Esp *e)
{
    e->queued = 0;
    finish(e, ESP_INT_INVALID);
}

static void initiate(Esp *e)
{
    switch (e->command) {
    case CMD_SELECT: select_target(e, false, 0); break;
    case CMD_SELECT_ATN: case CMD_SELECT_STOP: select_target(e, true, 1); break;
    case CMD_SELECT_ATN3: select_target(e, true, 3); break;
    default: invalid(e);
    }
}

/*
 * What an idle chip is told. ACK of a message is let go of by whatever comes next: SeaBIOS does not accept the last
 * one.
 */
static void begin(Esp *e, uint8_t command)
{
    static const uint8_t transfers[] = {
        [CMD_TRANSFER] = TRANSFER, [CMD_COMPLETE] = COMPLETE, [CMD_ACCEPT] = REQUEST, [CMD_PAD] = PAD
    };
    bool connected = e->wires.connected;
    e->dma = command & CMD_DMA;
    e->command = command & (uint8_t)~CMD_DMA;
    e->phase = PHASE_NONE;
    release(e);
    if (e->command == CMD_LISTEN) {
        e->listens = true;
    } else if (e->command == CMD_DEAF) {
        e->listens = false;
        finish(e, ESP_INT_DONE);
    } else if (e->command < ARRAY_LEN(transfers) && transfers[e->command] && connected) {
        e->task = transfers[e->command];
    } else if (!e->wires.connected) {
        initiate(e);
    } else {
        invalid(e);
    }
}

static bool next_command(Esp *e)
{
    uint8_t next = e->queued;
    if (e->task != IDLE || !next)
        return false;
    e->queued = 0;
    begin(e, next);
    return true;
}

void esp_run(Esp *e)
{
    if (e->running) /* a command has ended at once */
        return;
    e->running = true;
    do
        run_task(e);
    while (next_command(e));
    e->running = false;
    try_reselect(e);
}

static void asks(Parallel *p, bool reselect)
{
    Esp *e = container_of(p, Esp, wires);
    if (e->saving)
        timer_arm(e->later, clock_ns(CLOCK_VIRTUAL_NS));
    else
        esp_run(e);
}

static void run_later(void *opaque) { esp_run(opaque); }

/* Those that act at once, whatever runs. */
static bool immediate(Esp *e, uint8_t what)
{
    switch (what) {
    case CMD_NOP: return true;
    case CMD_FLUSH: e->fifo_len = 0; return true;
    case CMD_RESET: chip_reset(e); return true;
    case CMD_RESET_BUS: reset_bus(e); return true;
    case CMD_SET_ATN: case CMD_RESET_ATN: parallel_attention(&e->wires, what == CMD_SET_ATN); return true;
    default: return false;
    }
}

/*
 * A reselection that nobody has read yet holds FIFO and command register; a selection that it has beaten is done with.
 */
static bool reselected(const Esp *e) { return e->interrupt & ESP_INT_RESELECTED; }

static void write_command(Esp *e, uint8_t value)
{
    uint8_t what = value & (uint8_t)~CMD_DMA;
    if (reselected(e) && what != CMD_RESET && what != CMD_RESET_BUS) {
        e->interrupt |= what >= CMD_SELECT && what <= CMD_SELECT_ATN3 && what != CMD_LISTEN && what != CMD_DEAF
                            ? ESP_INT_DONE
                            : 0;
        return;
    }
    if (value & CMD_DMA)
        load_count(e);
    if (immediate(e, what))
        return;
    if (e->task == IDLE) {
        begin(e, value);
        esp_run(e);
    } else if (!e->queued) {
        e->queued = value;
    } else {
        misused(e);
    }
}

/* --- registers --- */

/* It ends the interrupt, and what came with it. */
static uint8_t read_interrupt(Esp *e)
{
    uint8_t value = e->interrupt;
    e->interrupt = e->next_interrupt;
    e->next_interrupt = e->step = 0;
    e->status &= STATUS_CTZ;
    e->host->irq(e, e->interrupt);
    try_reselect(e);
    return value;
}

/*
 * Who takes a command's end out of the FIFO without asking for the interrupt polls, as SeaBIOS does: the system that it
 * boots must not be interrupted.
 */
static uint8_t read_fifo(Esp *e)
{
    uint8_t value = 0;
    pop(e, &value, 1);
    if (!e->fifo_len && e->held && e->command == CMD_COMPLETE)
        e->host->irq(e, false);
    return value;
}

uint8_t esp_read(Esp *e, unsigned reg)
{
    switch (reg) {
    case ESP_COUNT_LOW: case ESP_COUNT_MID: return (uint8_t)(e->count >> 8 * reg);
    case ESP_FIFO: return read_fifo(e);
    case ESP_COMMAND: return e->command;
    case ESP_STATUS: return (uint8_t)(e->status | (e->wires.phase & 7) | (wants_attention(e) ? STATUS_INT : 0));
    case ESP_INTERRUPT: return read_interrupt(e);
    case ESP_STEP: return e->step;
    case ESP_FIFO_FLAGS: return (uint8_t)(e->fifo_len | e->step << 5);
    case ESP_CONFIG1: return e->config[0];
    case ESP_CONFIG2: case ESP_CONFIG3: case ESP_CONFIG4: return e->config[1 + reg - ESP_CONFIG2];
    case ESP_COUNT_HIGH: return e->id_shown ? e->host->id : (uint8_t)(e->count >> 16);
    default: return 0;
    }
}

void esp_write(Esp *e, unsigned reg, uint8_t value)
{
    switch (reg) {
    case ESP_COUNT_LOW: case ESP_COUNT_MID: e->start = (uint32_t)bits_set(e->start, 8 * reg, 8, value); break;
    case ESP_FIFO:
        if (!reselected(e))
            push(e, value);
        break;
    case ESP_COMMAND: write_command(e, value); break;
    case ESP_DESTINATION: e->destination = value; break;
    case ESP_CONFIG1: e->config[0] = value; break;
    case ESP_CONFIG2: case ESP_CONFIG3: e->config[1 + reg - ESP_CONFIG2] = value; break;
    case ESP_CONFIG4: e->config[3] = value & CONFIG4_MASK; break;
    case ESP_COUNT_HIGH:
        e->start = (uint32_t)bits_set(e->start, 16, 8, value);
        e->id_shown = false;
        break;
    }
}

/* --- life --- */

void esp_init(Esp *e, Device *adapter, const EspHost *host)
{
    parallel_init(&e->wires, asks);
    e->host = host;
    e->later = timer_new(CLOCK_VIRTUAL_NS, adapter->domain, run_later, e);
}

void esp_start(Esp *e, Device *adapter)
{
    parallel_start(&e->wires, adapter, false);
    chip_reset(e);
}

void esp_stop(Esp *e)
{
    parallel_stop(&e->wires);
    timer_free(e->later);
}

void esp_reset(Esp *e)
{
    scsi_bus_drop(&e->wires.bus);
    parallel_forget(&e->wires);
    e->start = 0;
    e->command = e->destination = 0;
    memset(e->fifo, 0, sizeof e->fifo);
    chip_reset(e);
}

void esp_saving(Esp *e)
{
    e->saving = true;
    parallel_saving(&e->wires);
    e->saving = false;
}

bool esp_loaded(Esp *e)
{
    return parallel_loaded(&e->wires) && e->fifo_len <= ESP_FIFO_SIZE && e->task < TASKS && e->phase <= PHASE_NONE &&
           e->count <= 1u << 24 && (!e->held || e->wires.phase == PHASE_MSG_IN);
}

const StateField esp_state[] = { STATE_STRUCT(Esp, wires, parallel_state),
                                 STATE_TIMER(Esp, later),
                                 STATE_BYTES(Esp, fifo),
                                 STATE_U8(Esp, fifo_len),
                                 STATE_U8(Esp, command),
                                 STATE_U8(Esp, queued),
                                 STATE_U8(Esp, status),
                                 STATE_U8(Esp, interrupt),
                                 STATE_U8(Esp, next_interrupt),
                                 STATE_U8(Esp, step),
                                 STATE_U8(Esp, destination),
                                 STATE_BYTES(Esp, config),
                                 STATE_U32(Esp, start),
                                 STATE_U32(Esp, count),
                                 STATE_U8(Esp, task),
                                 STATE_U8(Esp, phase),
                                 STATE_U8(Esp, left),
                                 STATE_BOOL(Esp, dma),
                                 STATE_BOOL(Esp, held),
                                 STATE_BOOL(Esp, listens),
                                 STATE_BOOL(Esp, id_shown),
                                 STATE_END_OF_TABLE };

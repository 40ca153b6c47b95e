/* SPDX-License-Identifier: MIT */
/*
 * The ports of virtio-serial: virtconsole, which guests take for a terminal, and virtserialport, a channel with a name.
 */
#include "base/bits.h"
#include "hw/char/virtio-serial.h"

enum { PIECE = 4096, BUFFERS_MAX = 256 };
#define RETRY_NS INT64_C(1000000)

static const DeviceType console_type, port_type;

bool vserial_is_console(const VserialPort *p) { return p->dev.type == &console_type; }

/* ---- to the host ---- */

/* false: the back end takes no more now. */
static bool send_held(VserialPort *p)
{
    uint8_t piece[PIECE];
    size_t n;
    while (p->chr && (n = virtq_gather(&p->tx.buffer.out, p->tx_at, piece, sizeof(piece)))) {
        size_t taken = chardev_write(p->chr, piece, n);
        p->tx_at += (uint32_t)taken;
        if (taken < n)
            return false;
    }
    p->tx_at = 0;
    virtq_held_push(&p->tx, vserial_tx(p->serial, p->nr), 0);
    return true;
}

void vserial_port_transmit(VserialPort *p)
{
    bool more = true;
    unsigned n = 0;
    while (n++ < BUFFERS_MAX && more && virtq_held_pop(&p->tx, vserial_tx(p->serial, p->nr)))
        more = send_held(p);
    if (!more || n > BUFFERS_MAX) /* others have a turn, too */
        timer_arm(p->retry, clock_ns(CLOCK_VIRTUAL_NS) + RETRY_NS);
}

static void retry(void *opaque) { vserial_port_transmit(opaque); }

void vserial_port_emergency(VserialPort *p, uint8_t c)
{
    if (p->chr)
        chardev_write(p->chr, &c, 1);
}

/* ---- to the guest ---- */

static bool listens(const VserialPort *p)
{
    return virtio_running(&p->serial->v) && (!vserial_multiport(p->serial) || p->guest_open);
}

static size_t can_receive(void *opaque)
{
    VserialPort *p = opaque;
    return listens(p) && virtq_held_pop(&p->rx, vserial_rx(p->serial, p->nr)) ? p->rx.buffer.in.bytes : 0;
}

static void receive(void *opaque, const uint8_t *data, size_t len)
{
    VserialPort *p = opaque;
    if (p->rx.have)
        virtq_held_push(&p->rx, vserial_rx(p->serial, p->nr), (uint32_t)virtq_scatter(&p->rx.buffer.in, 0, data, len));
}

void vserial_port_room(VserialPort *p)
{
    if (p->chr)
        chardev_accept_input(p->chr);
}

static void tell_open(VserialPort *p, bool open)
{
    p->host_open = open;
    if (p->ready && p->told_open != open)
        vserial_tell(p->serial, p->nr, VSERIAL_OPEN);
}

/* A console's other end is always there, as a terminal's line is. */
static void event(void *opaque, ChardevEvent what)
{
    VserialPort *p = opaque;
    if ((what == CHR_OPENED || what == CHR_CLOSED) && !vserial_is_console(p))
        tell_open(p, what == CHR_OPENED);
}

/* ---- life ---- */

void vserial_port_reset(VserialPort *p)
{
    virtq_held_drop(&p->rx);
    virtq_held_drop(&p->tx);
    p->tx_at = 0;
    p->ready = p->guest_open = p->told_open = false;
    if (p->retry)
        timer_cancel(p->retry);
}

static void init(Device *d)
{
    VserialPort *p = (VserialPort *)d;
    virtq_held_init(&p->rx);
    virtq_held_init(&p->tx);
}

static bool start(Device *d, Error **errp)
{
    VserialPort *p = (VserialPort *)d;
    const ChardevFrontend fe = {
        .can_read = can_receive, .receive = receive, .event = event, .domain = d->domain, .opaque = p
    };
    p->retry = timer_new(CLOCK_VIRTUAL_NS, d->domain, retry, p);
    p->host_open = vserial_is_console(p);
    return !p->chr || chardev_attach(p->chr, &fe, errp);
}

static void saving(Device *d)
{
    VserialPort *p = (VserialPort *)d;
    virtq_held_saving(&p->rx, vserial_rx(p->serial, p->nr));
    virtq_held_saving(&p->tx, vserial_tx(p->serial, p->nr));
    if (!p->tx.saved->len)
        p->tx_at = 0;
}

static bool loaded(Device *d, Error **errp)
{
    VserialPort *p = (VserialPort *)d;
    if (!virtq_held_loaded(&p->rx, vserial_rx(p->serial, p->nr), errp) ||
        !virtq_held_loaded(&p->tx, vserial_tx(p->serial, p->nr), errp))
        return false;
    if (p->tx_at && (!p->tx.have || p->tx_at > p->tx.buffer.out.bytes)) {
        error_setf(errp, "device '%s': more is sent than its buffer holds", d->id);
        return false;
    }
    if (p->ready && p->told_open != p->host_open && !vserial_is_console(p)) /* the host's side is as it is now */
        vserial_tell(p->serial, p->nr, VSERIAL_OPEN);
    vserial_port_room(p);
    return true;
}

static void stop(Device *d)
{
    VserialPort *p = (VserialPort *)d;
    if (p->chr)
        chardev_detach(p->chr, p);
    virtq_held_free(&p->rx);
    virtq_held_free(&p->tx);
    timer_free(p->retry);
}

static const Property props[] = {
    DEFINE_PROP_CHARDEV("chardev", VserialPort, chr),
    DEFINE_PROP_STRING("name", VserialPort, name, NULL, "by which the guest finds it"),
    DEFINE_PROP_U32("nr", VserialPort, nr, VSERIAL_AUTO, "number on its virtio-serial; none: the next that is free"),
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_BOOL(VserialPort, ready),     STATE_BOOL(VserialPort, guest_open),
                                    STATE_BOOL(VserialPort, told_open), STATE_U32(VserialPort, tx_at),
                                    VIRTQ_HELD_STATE(VserialPort, rx),  VIRTQ_HELD_STATE(VserialPort, tx),
                                    STATE_TIMER(VserialPort, retry),    STATE_END_OF_TABLE };
#define COMMON \
    .category = "Input", .size = sizeof(VserialPort), .bus = "virtio-serial-bus", .user_creatable = true, \
    .props = props, .state = state, \
    .init = init, .start = start, .saving = saving, .loaded = loaded, .stop = stop
static const DeviceType console_type = { .name = "virtconsole", .desc = "console on a virtio-serial", COMMON };
DEVICE_REGISTER(console_type)
static const DeviceType port_type = { .name = "virtserialport", .desc = "channel on a virtio-serial", COMMON };
DEVICE_REGISTER(port_type)

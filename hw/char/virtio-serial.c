/* SPDX-License-Identifier: MIT */
/* virtio-serial (VIRTIO 1.2 section 5.3): queues of up to 31 ports and the control messages about them. */
#include "hw/char/virtio-serial.h"

#include <string.h>
#include "base/bits.h"
#include "base/log.h"

#define F_MULTIPORT BIT(1)
#define F_EMERG_WRITE BIT(2)
enum {
    CONFIG_SIZE = 12,
    CONTROL_SIZE = 8,
    CONTROL_RX = 2,
    CONTROL_TX = 3,
    QUEUE_SIZE = 128,
    CONTROL_QUEUE_SIZE = 32,
    MESSAGES_MAX = 256,
    NAME_MAX_LEN = 256
};
enum { DEVICE_READY, PORT_ADD, PORT_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME };

static VirtioSerial *serial_of(VirtioDevice *v) { return container_of(v, VirtioSerial, v); }

bool vserial_multiport(const VirtioSerial *s) { return virtio_has(&s->v, F_MULTIPORT); }
VirtQueue *vserial_rx(VirtioSerial *s, unsigned nr) { return &s->v.queue[nr ? 2 * nr + 2 : 0]; }
VirtQueue *vserial_tx(VirtioSerial *s, unsigned nr) { return vserial_rx(s, nr) + 1; }

/* ---- telling the driver ---- */

static unsigned message(const VserialPort *p, unsigned nr, uint8_t bit, uint8_t *out)
{
    static const struct { uint8_t bit, event;
    } events[] = {
        { VSERIAL_REMOVE, PORT_REMOVE }, { VSERIAL_ADD, PORT_ADD },   { VSERIAL_CONSOLE, CONSOLE_PORT },
        { VSERIAL_NAME, PORT_NAME },     { VSERIAL_OPEN, PORT_OPEN },
    };
    unsigned i = 0, len = CONTROL_SIZE;
    while (events[i].bit != bit)
        i++;
    store_le32(out, nr);
    store_le16(out + 4, events[i].event);
    store_le16(out + 6, bit == VSERIAL_OPEN ? p->host_open : 1);
    if (bit == VSERIAL_NAME) {
        size_t n = MIN(strlen(p->name), NAME_MAX_LEN);
        memcpy(out + CONTROL_SIZE, p->name, n);
        len += (unsigned)n;
    }
    return len;
}

/* As far as the driver has left room for messages; the rest when it has. */
static void flush_messages(VirtioSerial *s)
{
    VirtQueue *q = &s->v.queue[CONTROL_RX];
    uint8_t text[CONTROL_SIZE + NAME_MAX_LEN];
    VirtqHeld room = { 0 };
    for (unsigned nr = 0; s->driver_ready && nr < s->max_ports; nr++) {
        while (s->pending[nr]) {
            uint8_t bit = s->pending[nr] & (uint8_t)-s->pending[nr];
            VserialPort *p = s->port[nr];
            s->pending[nr] &= (uint8_t)~bit;
            if (!p && bit != VSERIAL_REMOVE)
                continue;
            if (!virtq_held_pop(&room, q)) {
                s->pending[nr] |= bit;
                return;
            }
            if (bit == VSERIAL_OPEN)
                p->told_open = p->host_open;
            unsigned len = message(p, nr, bit, text);
            virtq_held_push(&room, q, (uint32_t)virtq_scatter(&room.buffer.in, 0, text, len));
        }
    }
}

void vserial_tell(VirtioSerial *s, unsigned nr, uint8_t bits)
{
    if (!vserial_multiport(s) || !s->driver_ready)
        return;
    s->pending[nr] |= bits;
    flush_messages(s);
}

/* ---- what the driver says ---- */

static void port_ready(VirtioSerial *s, VserialPort *p)
{
    p->ready = true;
    vserial_tell(s, p->nr,
                 (vserial_is_console(p) ? VSERIAL_CONSOLE : 0) | (p->name ? VSERIAL_NAME : 0) |
                     (p->host_open ? VSERIAL_OPEN : 0));
}

static void device_ready(VirtioSerial *s, bool ready)
{
    s->driver_ready = ready;
    if (!ready)
        log_guest_error(s->v.dev->id, "the driver can't add its ports");
    for (unsigned i = 0; i < s->max_ports; i++) {
        if (s->port[i])
            vserial_tell(s, i, VSERIAL_ADD);
    }
}

static void take_message(VirtioSerial *s, const DmaVec *v)
{
    uint8_t m[CONTROL_SIZE];
    if (virtq_gather(v, 0, m, sizeof(m)) < sizeof(m)) {
        log_guest_error(s->v.dev->id, "a control message is too short");
        return;
    }
    uint32_t nr = load_le32(m);
    uint16_t event = load_le16(m + 4), value = load_le16(m + 6);
    if (event == DEVICE_READY) {
        device_ready(s, value);
        return;
    }
    VserialPort *p = nr < s->max_ports ? s->port[nr] : NULL;
    if (!p) {
        log_guest_error(s->v.dev->id, "control message %u about port %u, which is not there", event, nr);
    } else if (event == PORT_READY) {
        if (value)
            port_ready(s, p);
        else
            log_guest_error(s->v.dev->id, "the driver can't use port %u", nr);
    } else if (event == PORT_OPEN) {
        p->guest_open = value;
        vserial_port_room(p);
    }
}

static void take_messages(VirtioSerial *s, VirtQueue *q)
{
    VirtqHeld m = { 0 };
    for (unsigned n = 0; n < MESSAGES_MAX && virtq_held_pop(&m, q); n++) {
        take_message(s, &m.buffer.out);
        virtq_held_push(&m, q, 0);
    }
}

/* Nobody is at the port's other end. */
static void discard(VirtQueue *q)
{
    VirtqHeld b = { 0 };
    for (unsigned n = 0; n < q->size && virtq_held_pop(&b, q); n++)
        virtq_held_push(&b, q, 0);
}

static void queue_notified(VirtioDevice *v, VirtQueue *q)
{
    VirtioSerial *s = serial_of(v);
    if (q->index == CONTROL_RX) {
        flush_messages(s);
    } else if (q->index == CONTROL_TX) {
        take_messages(s, q);
    } else {
        VserialPort *p = s->port[q->index < CONTROL_RX ? 0 : q->index / 2 - 1];
        bool transmit = q->index & 1;
        if (p && transmit)
            vserial_port_transmit(p);
        else if (p)
            vserial_port_room(p);
        else if (transmit)
            discard(q);
    }
}

static void serial_reset(VirtioDevice *v)
{
    VirtioSerial *s = serial_of(v);
    s->driver_ready = false;
    memset(s->pending, 0, sizeof(s->pending));
    for (unsigned i = 0; i < VSERIAL_PORTS; i++) {
        if (s->port[i])
            vserial_port_reset(s->port[i]);
    }
}

/* ---- configuration (5.3.4) ---- */

static uint64_t get_features(VirtioDevice *v)
{
    const VirtioSerial *s = serial_of(v);
    return (s->max_ports > 1 ? F_MULTIPORT : 0) | (s->emergency_write ? F_EMERG_WRITE : 0);
}

static void get_config(VirtioDevice *v, uint8_t *c) { store_le32(c + 4, serial_of(v)->max_ports); }

static void set_config(VirtioDevice *v, const uint8_t *c, unsigned at, unsigned size)
{
    VirtioSerial *s = serial_of(v);
    if (at != 8 || !s->emergency_write)
        return;
    for (unsigned i = 0; i < s->max_ports; i++) {
        if (s->port[i] && vserial_is_console(s->port[i])) {
            vserial_port_emergency(s->port[i], c[8]);
            return;
        }
    }
}

static const VirtioClass serial_class = {
    .name = "virtio-serial",
    .id = VIRTIO_ID_CONSOLE,
    .config_size = CONFIG_SIZE,
    .get_features = get_features,
    .get_config = get_config,
    .set_config = set_config,
    .queue_notified = queue_notified,
    .reset = serial_reset,
};

/* ---- the bus ---- */

/* Port 0 is that of drivers that know one port only: a console. */
static bool choose_number(VirtioSerial *s, VserialPort *p, Error **errp)
{
    bool console = vserial_is_console(p);
    for (unsigned i = console ? 0 : 1; p->nr == VSERIAL_AUTO && i < s->max_ports; i++) {
        if (!s->port[i])
            p->nr = i;
    }
    if (p->nr == VSERIAL_AUTO)
        error_setf(errp, "all %u ports of '%s' are taken; add another virtio-serial device", s->max_ports,
                   s->bus.bus.name);
    else if (p->nr >= s->max_ports)
        error_setf(errp, "nr=%u: '%s' has ports 0 to %u; see its max_ports=", p->nr, s->bus.bus.name, s->max_ports - 1);
    else if (!p->nr && !console)
        error_setf(errp, "nr=0: port 0 is for a virtconsole; choose 1 to %u", s->max_ports - 1);
    else if (s->port[p->nr])
        error_setf(errp, "nr=%u: it is device '%s'; choose another number", p->nr, s->port[p->nr]->dev.id);
    else
        return true;
    return false;
}

static bool plug(Bus *b, Device *d, Error **errp)
{
    VirtioSerial *s = ((VserialBus *)b)->serial;
    VserialPort *p = (VserialPort *)d;
    if (!choose_number(s, p, errp))
        return false;
    p->serial = s;
    d->domain = s->v.dev->domain;
    s->port[p->nr] = p;
    return true;
}

static void unplug(Bus *b, Device *d)
{
    VirtioSerial *s = ((VserialBus *)b)->serial;
    VserialPort *p = (VserialPort *)d;
    bool announced = !(s->pending[p->nr] & VSERIAL_ADD);
    s->port[p->nr] = NULL;
    s->pending[p->nr] &= VSERIAL_REMOVE;
    if (announced)
        vserial_tell(s, p->nr, VSERIAL_REMOVE);
}

static bool may_hot_plug(Bus *b, Device *d, Error **errp) { return true; }

static void hot_plugged(Bus *b, Device *d)
{
    VirtioSerial *s = ((VserialBus *)b)->serial;
    lock_domain_lock(d->domain);
    vserial_tell(s, ((VserialPort *)d)->nr, VSERIAL_ADD);
    lock_domain_unlock(d->domain);
}

static const BusType serial_bus_type = { .kind = "virtio-serial-bus",
                                         .plug = plug,
                                         .unplug = unplug,
                                         .may_hot_plug = may_hot_plug,
                                         .hot_plugged = hot_plugged };

/* ---- the device ---- */

static void init(Device *d) { device_own_domain(d, "virtio-serial"); }

static bool start(Device *d, Error **errp)
{
    VirtioSerial *s = (VirtioSerial *)d;
    g_autofree char *name = bus_new_name(d, "virtio-serial-bus");
    bus_init(&s->bus.bus, &serial_bus_type, name, d);
    s->bus.serial = s;
    virtio_proxy_init(&s->proxy, &s->v, &serial_class);
    if (d->type->base == &virtio_pci_type && !s->proxy.pci.vectors)
        s->proxy.pci.vectors = s->max_ports + 1;
    unsigned queues = s->max_ports > 1 ? 2 * s->max_ports + 2 : 2;
    for (unsigned i = 0; i < queues; i++)
        virtio_add_queue(&s->v, i == CONTROL_RX || i == CONTROL_TX ? CONTROL_QUEUE_SIZE : QUEUE_SIZE);
    return virtio_proxy_ready(&s->proxy, &s->v, errp);
}

static bool loaded(Device *d, Error **errp) { return virtio_loaded(&((VirtioSerial *)d)->v, errp); }
static void stop(Device *d) { bus_fini(&((VirtioSerial *)d)->bus.bus); }

static const Property props[] = {
    PROP_(PROP_U32, "max_ports", VirtioSerial, max_ports, VSERIAL_PORTS - 1, "ports that it may have", .min = 1,
          .max = VSERIAL_PORTS - 1),
    DEFINE_PROP_BOOL("emergency-write", VirtioSerial, emergency_write, true,
                     "drivers may write single characters without a queue"),
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_STRUCT(VirtioSerial, v, virtio_state), STATE_U8_ARRAY(VirtioSerial, pending),
                                    STATE_BOOL(VirtioSerial, driver_ready), STATE_END_OF_TABLE };
static const char *const provides[] = { "virtio-serial-bus", NULL };
static const PciDeviceInfo pci_info = { .vendor = 0x1af4,
                                        .device = 0x1003,
                                        .class_code = 0x078000,
                                        .subsystem_vendor = 0x1af4,
                                        .subsystem = VIRTIO_ID_CONSOLE,
                                        .interrupt_pin = 1,
                                        .express = true };
#define COMMON \
    .category = "Input", .size = sizeof(VirtioSerial), .user_creatable = true, .provides = provides, .props = props, \
    .state = state, \
    .init = init, .start = start, .loaded = loaded, .stop = stop
static const DeviceType serial_pci = { .name = "virtio-serial-pci",
                                       .alias = "virtio-serial",
                                       .desc = "virtio serial ports and consoles",
                                       .bus = "pci",
                                       .base = &virtio_pci_type,
                                       .class_data = &pci_info,
                                       COMMON };
DEVICE_REGISTER(serial_pci)
static const DeviceType serial_mmio = { .name = "virtio-serial-device",
                                        .desc = "virtio serial ports, behind a virtio-bus",
                                        .bus = "virtio-bus",
                                        .base = &virtio_device_type,
                                        COMMON };
DEVICE_REGISTER(serial_mmio)

/* SPDX-License-Identifier: MIT */
/* virtio-serial: the bus that virtconsole and virtserialport sit on. */
#ifndef HW_CHAR_VIRTIO_SERIAL_H
#define HW_CHAR_VIRTIO_SERIAL_H

#include "chardev/chardev.h"
#include "hw/virtio/virtio-proxy.h"

enum { VSERIAL_PORTS = 32, VSERIAL_AUTO = 0xffffffff };

typedef struct VserialPort VserialPort;

typedef struct VserialBus {
    Bus bus; /* always first */
    struct VirtioSerial *serial;
} VserialBus;

typedef struct VirtioSerial {
    VirtioProxy proxy; /* always first */
    VirtioDevice v;
    VserialBus bus;
    VserialPort *port[VSERIAL_PORTS];
    /* properties */
    uint32_t max_ports;
    bool emergency_write;
    /* state: what the driver is still to be told of each port, as bits; it has said that it listens */
    uint8_t pending[VSERIAL_PORTS];
    bool driver_ready;
} VirtioSerial;

/* A port. All under the domain of its virtio-serial. */
struct VserialPort {
    Device dev; /* always first */
    VirtioSerial *serial;
    /* properties */
    Chardev *chr;
    char *name;
    uint32_t nr;
    /* state */
    bool ready, guest_open, told_open; /* the driver knows it; has opened it; what it was told of the host's side */
    bool host_open;
    uint32_t tx_at;      /* bytes of tx that are gone */
    VirtqHeld rx, tx;
    Timer *retry;
};

/* What the driver has to be told of a port. The order is that of telling. */
enum { VSERIAL_REMOVE = 1, VSERIAL_ADD = 2, VSERIAL_CONSOLE = 4, VSERIAL_NAME = 8, VSERIAL_OPEN = 16 };
void vserial_tell(VirtioSerial *s, unsigned nr, uint8_t bits);
VirtQueue *vserial_rx(VirtioSerial *s, unsigned nr);
VirtQueue *vserial_tx(VirtioSerial *s, unsigned nr);
bool vserial_multiport(const VirtioSerial *s);

/* A port's part, hw/char/virtio-console.c. */
void vserial_port_transmit(VserialPort *p); /* buffers have come */
void vserial_port_room(VserialPort *p);     /* the guest may take more now */
void vserial_port_reset(VserialPort *p);
void vserial_port_emergency(VserialPort *p, uint8_t c);
bool vserial_is_console(const VserialPort *p);
#endif

/* SPDX-License-Identifier: MIT */
/* SD and MMC: the slot between a controller and a card. */
#ifndef HW_SD_SD_H
#define HW_SD_SD_H

#include "hw/core/device.h"

typedef struct SdCard SdCard;
typedef struct SdBus SdBus;
typedef struct SdPort SdPort;

/* What a controller is told, under its domain, by a worker thread or from inside a call of its own. */
typedef struct SdHostOps {
    void (*data)(SdPort *p); /* move what can be moved: data to read, room to write, the card is no longer busy, or the
                              * transfer has failed. Called by sd_port_run() alone, never from inside itself */
    /* after that: lines and interrupts. Whoever sees them may come back at once. NULL: nothing to do */
    void (*moved)(SdPort *p);
    void (*card)(SdPort *p); /* a card came or went; NULL: the controller can't see it */
} SdHostOps;

/*
 * A controller's side. Several controllers may hold the same slot's lines: bus->port says which of them is connected.
 */
struct SdPort {
    Device *host;
    const SdHostOps *ops;
    SdBus *bus;
    bool running, again;
};

/* Kind "sd": one card. Its domain is that of the bus's parent. */
struct SdBus {
    Bus bus;
    SdPort *port;
    SdCard *card;
    bool spi; /* the slot is wired for SPI: cards that come are, too */
};

/* "sd-bus.N", as many as the machine has. In start() and stop(); fini may be called on one that never was. */
void sd_bus_init(SdBus *b, Device *parent);
void sd_bus_fini(SdBus *b);
void sd_port_init(SdPort *p, Device *host, const SdHostOps *ops, SdBus *b);
/* Which controller the slot belongs to. */
void sd_bus_connect(SdBus *b, SdPort *p);
/* ops->data, and again when the card had something to tell meanwhile. Under the port's domain. */
void sd_port_run(SdPort *p);

/*
 * A command; rsp gets the content of the response without its first byte: 4 bytes, or 16 of CID and CSD (bits 127 to
 * 0). Returns its length; 0: the card does not answer. All of these under the port's domain; without a card nothing
 * answers.
 */
unsigned sd_command(SdPort *p, uint8_t index, uint32_t arg, uint8_t rsp[16]);
/* The data lines. How much can be moved now, and moving it: returns how much was. */
size_t sd_readable(const SdPort *p);
size_t sd_read(SdPort *p, void *buf, size_t len);
size_t sd_writable(const SdPort *p);
size_t sd_write(SdPort *p, const void *buf, size_t len);
bool sd_busy(const SdPort *p);        /* the card programs or erases: DAT0 is low */
bool sd_failed(const SdPort *p);      /* the transfer that was started last has failed: no more data comes or goes */
bool sd_idle(const SdPort *p);        /* the card is not initialised yet */
bool sd_present(const SdPort *p);
bool sd_readonly(const SdPort *p);    /* the switch on the card's edge */
#endif

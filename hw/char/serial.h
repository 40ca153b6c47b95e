/* SPDX-License-Identifier: MIT */
/* A 16550A UART without a bus: what isa-serial, pci-serial and memory-mapped ports share. */
#ifndef HW_CHAR_SERIAL_H
#define HW_CHAR_SERIAL_H

#include "chardev/chardev.h"
#include "hw/core/device.h"

#define SERIAL_FIFO_SIZE 16
#define SERIAL_BATCH 256

typedef struct SerialFifo {
    uint8_t data[SERIAL_FIFO_SIZE];
    uint8_t head, count;
} SerialFifo;

/* Embedded in a device; all functions are called with the device's domain held. */
typedef struct Serial {
    Device *owner;
    Irq irq;
    bool irq_level;    /* what irq was set to last */
    Chardev *chr;      /* NULL: nobody listens, output vanishes */
    uint32_t baudbase; /* input clock / 16 */
    /* saved */
    uint8_t ier, fcr, lcr, mcr, lsr, msr, scr;
    uint16_t divider;
    bool thre_pending;    /* THRE interrupt condition, cleared by reading IIR or writing THR */
    bool timeout_pending; /* character time-out */
    SerialFifo rx, tx;
    uint8_t rx_error[SERIAL_FIFO_SIZE]; /* LSR error bits that came with each character, as in rx.data */
    uint8_t out[SERIAL_BATCH]; /* sent characters on their way to the back end */
    uint16_t out_count;
    Timer *timeout_timer; /* character time-out */
    Timer *flush_timer;   /* for what lies in out; also when the back end is full. Not saved */
    uint16_t retries;     /* without progress. Not saved */
} Serial;

extern const StateField serial_state[];
extern const MemOps serial_ops; /* eight byte-wide registers; the opaque is the Serial */

bool serial_start(Serial *s, Device *owner, Irq irq, Chardev *chr, uint32_t baudbase, Error **errp);
void serial_reset(Serial *s);
bool serial_loaded(Serial *s, Error **errp);
void serial_stop(Serial *s);
#endif

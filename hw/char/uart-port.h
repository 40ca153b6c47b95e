/* SPDX-License-Identifier: MIT */
/*
 * What the UARTs of microcontrollers share: a batch towards the back end and a receive FIFO. Under the device's domain.
 */
#ifndef HW_CHAR_UART_PORT_H
#define HW_CHAR_UART_PORT_H

#include "chardev/chardev.h"
#include "hw/core/device.h"

enum { UART_PORT_RX = 16, UART_PORT_BATCH = 256 };

/*
 * Output is not paced: a byte is gone as soon as it lies in the batch. While the back end takes nothing, there is no
 * room.
 */
typedef struct UartPort {
    Chardev *chr;                  /* property "chardev" of the device */
    Device *dev;
    void (*changed)(Device *d);    /* a byte came in, or there is room again */
    bool deaf;                     /* the receiver is off: bytes wait in the back end */
    uint8_t depth;                 /* of the receive FIFO, 1..UART_PORT_RX */
    uint8_t rx[UART_PORT_RX], rx_head, rx_count;
    uint8_t out[UART_PORT_BATCH];
    uint16_t out_count, retries;
    Timer *flush_timer;
} UartPort;

extern const StateField uart_port_state[];
void uart_port_init(UartPort *p, Device *d, unsigned depth, void (*changed)(Device *d));
bool uart_port_start(UartPort *p, Error **errp);
void uart_port_reset(UartPort *p, ResetPhase phase);
bool uart_port_loaded(UartPort *p, Error **errp);
void uart_port_stop(UartPort *p);
static inline bool uart_port_room(const UartPort *p) { return p->out_count < UART_PORT_BATCH; }
static inline bool uart_port_has(const UartPort *p) { return p->rx_count; }
void uart_port_put(UartPort *p, uint8_t byte);
uint8_t uart_port_get(UartPort *p);      /* 0 when there is none */
void uart_port_listen(UartPort *p, bool on);
/* Loop back: as if the byte had come in. */
void uart_port_push(UartPort *p, uint8_t byte);
#endif

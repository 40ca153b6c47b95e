/* SPDX-License-Identifier: MIT */
/*
 * What the peripherals of the nRF51 have in common (nRF51 Series Reference Manual 3.0, chapter 10): tasks, events,
 * interrupts.
 */
#ifndef HW_MISC_NRF51_H
#define HW_MISC_NRF51_H

#include "base/bits.h"
#include "hw/core/device.h"

enum {
    NRF_TASKS = 0x000,
    NRF_EVENTS = 0x100,
    NRF_SHORTS = 0x200,
    NRF_INTEN = 0x300,
    NRF_INTENSET = 0x304,
    NRF_INTENCLR = 0x308,
    NRF_ENABLE = 0x500
};

/* First member of each peripheral. Event n stands at 0x100 + 4n, bit n of the masks. */
typedef struct NrfPeriph {
    Device dev;
    uint32_t events, inten, shorts;
    uint32_t at;  /* its address, as PPI knows it; set by the board */
    Device *ppi;  /* NULL: none */
} NrfPeriph;

/* DeviceType.class_data; absent functions are NULL. */
typedef struct NrfType {
    void (*task)(NrfPeriph *p, unsigned n);                /* task n at 4n was triggered */
    uint32_t (*read)(NrfPeriph *p, uint32_t at);           /* registers from 0x308 on that are the peripheral's own */
    void (*write)(NrfPeriph *p, uint32_t at, uint32_t value);
    void (*cleared)(NrfPeriph *p, unsigned event);         /* the guest wrote 0 to an event */
} NrfType;

extern const DeviceType nrf51_base_type;
void nrf_event(NrfPeriph *p, unsigned n);
void nrf_update(NrfPeriph *p);
/* For boards, after the devices have started: which GPIO's pins GPIOTE sees and drives. */
void nrf_gpiote_attach(Device *gpiote, Device *gpio);
/* GPIOTE has an output to itself, or gives it back. */
void nrf_gpio_take(Device *gpio, unsigned pin, bool taken, bool level);
/* The event at this address happens: trigger the tasks of its channels. */
void nrf_ppi_event(Device *ppi, uint32_t event);
#endif

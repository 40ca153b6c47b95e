/* SPDX-License-Identifier: MIT */
/* What the peripherals of the nRF51 have in common (nRF51 Series Reference Manual 3.0, chapter 10): tasks, events, interrupts. */
#ifndef HW_MISC_NRF51_H
#define HW_MISC_NRF51_H

#include "base/bits.h"
#include "hw/core/device.h"

enum { NRF_TASKS = 0x000, NRF_EVENTS = 0x100, NRF_SHORTS = 0x200, NRF_INTEN = 0x300, NRF_INTENSET = 0x304, NRF_INTENCLR = 0x308, NRF_ENABLE = 0x500 };

/* First member of each peripheral. Event n stands at 0x100 + 4n, bit n of the masks. */
typedef struct NrfPeriph {
    Device dev;
    uint32_t events, inten, shorts;
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
#endif

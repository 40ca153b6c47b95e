/* SPDX-License-Identifier: MIT */
/* Synchronous serial ports and what sits on them. */
#ifndef HW_SSI_SSI_H
#define HW_SSI_SSI_H

#include "hw/core/device.h"

/* A frame out and one in, under the domain of both. */
typedef uint16_t SsiExchange(Device *slave, uint16_t frame);
/* Of "pl022": who answers its frames. In the board's wiring. */
void pl022_connect(Device *port, Device *slave, SsiExchange *exchange);
SsiExchange ssi_sd_exchange; /* of "ssi-sd" */
#endif

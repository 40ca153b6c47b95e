/* SPDX-License-Identifier: MIT */
/* How the parts of BCM2835 that share an SD slot are wired. */
#ifndef HW_MISC_BCM2835_H
#define HW_MISC_BCM2835_H

#include "hw/sd/sd.h"

/* Of "bcm2835-sdhost". */
SdPort *bcm2835_sdhost_port(Device *d);
/* "bcm2835_gpio" has the slot; its lines go to the controller that the functions of pins 48 to 53 choose. */
void bcm2835_gpio_controllers(Device *gpio, SdPort *sdhost, SdPort *sdhci);
#endif

/* SPDX-License-Identifier: MIT */
/* What ICH9 and PIIX3/4 do alike: SMI from software and the reset control register. */
#include "hw/core/cpu-port.h"
#include "hw/core/machine.h"
#include "hw/i386/southbridge.h"

void southbridge_raise_smi(void)
{
    CpuPort *p = cpu_port_current();

    if (!p && cpu_port_count())
        p = cpu_port(0);
    if (p && p->ops)
        p->ops->set_line(p, CPU_LINE_SMI, true);
}

/* ICH9 datasheet section 13.7.5 (RST_CNT). */
uint8_t southbridge_reset_control(uint8_t old, uint8_t value)
{
    enum { SYS_RST = 2, RST_CPU = 4, FULL_RST = 8 };

    if ((value & RST_CPU) && !(old & RST_CPU))
        machine_request_reset(CAUSE_GUEST_RESET);
    return value & (SYS_RST | FULL_RST);
}

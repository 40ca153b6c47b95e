/* SPDX-License-Identifier: MIT */
/* `info tlb` (every mapping) and `info mem` (ranges of equal rights) of the current x86 CPU. */
#ifndef SYSTEM_MONITOR_X86_H
#define SYSTEM_MONITOR_X86_H

#include "system/monitor.h"

bool monitor_info_tlb(Monitor *mon, int argc, char **argv, Error **errp);
bool monitor_info_mem(Monitor *mon, int argc, char **argv, Error **errp);

#endif

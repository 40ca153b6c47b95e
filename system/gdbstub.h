/* SPDX-License-Identifier: MIT */
/* The GDB stub: GDB's remote serial protocol on a character device. */
#ifndef SYSTEM_GDBSTUB_H
#define SYSTEM_GDBSTUB_H

#include <stdbool.h>
#include "base/error.h"

/*
 * Main thread, machine built. dev: a short form of a character device ("tcp::1234", "unix:PATH", "stdio", "chardev:ID";
 * sockets listen and do not wait) or "none", which ends the stub. A new device replaces the one before.
 */
bool gdbstub_start(const char *dev, Error **errp);
/* The program ends with this status: tell the debugger. */
void gdbstub_exit(int status);

#endif

/* SPDX-License-Identifier: MIT */
/* -daemonize and -pidfile. */
#ifndef SYSTEM_BACKGROUND_H
#define SYSTEM_BACKGROUND_H

#include <stdbool.h>
#include "base/error.h"

/*
 * Before any thread is started. With daemonize, the calling process becomes the parent: it waits until the child calls
 * background_ready() and then exits with status 0, or with the child's status when that ends before.
 */
bool background_start(bool daemonize, const char *pidfile, Error **errp);
/* The machine stands: let go of the terminal and of the parent. */
bool background_ready(Error **errp);
/* Remove the pid file. */
void background_end(void);

#endif

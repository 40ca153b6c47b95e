/* SPDX-License-Identifier: MIT */
/* The running machine: what its requests (reset, power off, panic ...) and the host's signals lead to. */
#ifndef SYSTEM_RUN_H
#define SYSTEM_RUN_H

#include <stdbool.h>
#include "base/error.h"
#include "hw/core/machine.h"

typedef enum PanicAction { PANIC_SHUTDOWN, PANIC_PAUSE, PANIC_EXIT_FAILURE, PANIC_NONE } PanicAction;

/* -no-reboot, -no-shutdown, -action. */
typedef struct RunPolicy {
    bool reboot_exits;    /* a guest's reset is a shutdown */
    bool shutdown_pauses; /* a shutdown leaves the machine paused */
    PanicAction panic;
} RunPolicy;

/* All functions: main thread. run_init before machine_build (requests may come from then on). */
void run_init(const RunPolicy *policy);
/* From now on SIGINT, SIGTERM and SIGHUP end the program in good order. */
void run_catch_signals(void);
/* Reset all of the machine; it runs on when it ran. */
void run_reset(void);
/* Load a saved machine: the name of a snapshot in the disk images or, with a '/', of a file. */
bool run_load(const char *name, Error **errp);
/* True while the guest sleeps (S3). */
bool run_suspended(void);
/* Main loop, until something asks to exit; returns the process's exit status. */
int run_until_exit(void);

#endif

/* SPDX-License-Identifier: MIT */
/* Entry point: options, machine, main loop. */
#include <stdlib.h>
#include "accel/accel.h"
#include "base/evloop.h"
#include "base/object.h"
#include "block/backend.h"
#include "chardev/chardev.h"
#include "system/nbd-export.h"
#include "system/background.h"
#include "system/gdbstub.h"
#include "system/monitor.h"
#include "system/run.h"
#include "system/settings.h"

/* CPUs stand still for good, and images are written back and closed before the process ends, whatever it ends by. */
static void release(void)
{
    if (accel_current() && accel_current()->shutdown)
        accel_current()->shutdown();
    nbd_export_stop(NULL);
    blk_free_all();
    block_blockdev_free_all();
    objects_free_all();
}

/* One line on stderr, terminal restored, status 1. */
static int fail(Error *err)
{
    error_report(err);
    error_free(err);
    release();
    chardevs_close_all();
    return EXIT_FAILURE;
}

static void quit_from_mux(void)
{
    machine_request_shutdown(CAUSE_HOST_UI);
}

static bool start(Settings *s, Error **errp)
{
    run_reset();
    if (s->loadvm && !run_load(s->loadvm, errp))
        return false;
    if (s->gdb && !gdbstub_start(s->gdb, errp))
        return false;
    info_reportf("%s", s->accel_note);
    if (s->blind)
        info_reportf(
            "this version has no display: the machine runs unseen; -nographic puts its console on this terminal");
    if (!background_ready(errp))
        return false;
    run_catch_signals();
    if (!machine_current()->config.start_paused)
        machine_resume();
    return true;
}

static int run(Settings *s)
{
    Error *err = NULL;
    if (!background_start(s->daemonize, s->pidfile, &err))
        return fail(err);
    evloop_init();
    chardev_set_quit_handler(quit_from_mux);
    if (!setup_machine(s, &err))
        return s->done ? EXIT_SUCCESS : fail(err);
    if (!start(s, &err))
        return fail(err);
    int status = run_until_exit();
    gdbstub_exit(status);
    release();
    chardevs_close_all();
    background_end();
    return status;
}

int main(int argc, char **argv)
{
    Error *err = NULL;
    g_autofree char *program = g_path_get_basename(argv[0]);
    Settings *s = settings_new(program);
    int status = !options_parse(s, argc, argv, &err) ? fail(err) : s->done ? EXIT_SUCCESS : run(s);
    monitors_free();
    settings_free(s);
    return status;
}

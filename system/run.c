/* SPDX-License-Identifier: MIT */
/* The running machine: requests, signals, exit. */
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "accel/vcpu.h"
#include "base/evloop.h"
#include "base/log.h"
#include "block/job.h"
#include "chardev/chardev.h"
#include "hw/core/device.h"
#include "system/run.h"
#include "system/snapshot.h"

static RunPolicy policy;
static bool suspended, was_reset;

bool run_suspended(void)
{
    return suspended;
}

static void reset_machine(Machine *m)
{
    if (was_reset)
        g_clear_pointer(&m->config.boot_once, g_free);
    was_reset = true;
    device_finish_unplugs(); /* first: the board tells the firmware what is there */
    if (m->type->reset)
        m->type->reset(m);
    device_reset_all();
    suspended = false;
}

void run_reset(void)
{
    bool ran = machine_run_state() == RUN_RUNNING || suspended;
    machine_pause(machine_run_state() == RUN_PRELAUNCH ? RUN_PRELAUNCH : RUN_PAUSED);
    reset_machine(machine_current());
    if (ran)
        machine_resume();
}

bool run_load(const char *name, Error **errp)
{
    suspended = false;
    return strchr(name, '/') ? machine_load(name, errp) : snapshot_load(name, errp);
}

static bool from_host(ShutdownCause cause)
{
    return cause == CAUSE_HOST_SIGNAL || cause == CAUSE_HOST_UI || cause == CAUSE_HOST_QMP_QUIT;
}

static void shut_down(ShutdownCause cause)
{
    machine_pause(RUN_SHUTDOWN);
    if (from_host(cause) || !policy.shutdown_pauses)
        evloop_quit(0);
}

static bool panic_pauses(void) { return policy.panic != PANIC_NONE; }

static void panicked(void)
{
    machine_pause(RUN_GUEST_PANICKED);
    if (policy.panic == PANIC_EXIT_FAILURE)
        evloop_quit(1);
    else if (policy.panic == PANIC_SHUTDOWN && !policy.shutdown_pauses)
        evloop_quit(0);
}

/* S3: the machine stands still until something wakes it; waking is a reset that keeps RAM. */
static void suspend(void)
{
    suspended = true;
    machine_pause(RUN_PAUSED);
}

static void carry_out_requests(void *opaque)
{
    Machine *m = machine_current();
    MachineRequests r = machine_take_requests();
    if (r.panicked && panic_pauses()) { /* what the guest has asked for since counts no more */
        panicked();
        r.exit = r.reset = r.suspend = false;
        r.shutdown = r.shutdown && from_host(r.cause);
    }
    if (r.exit) {
        machine_pause(RUN_SHUTDOWN);
        evloop_quit(r.exit_status);
        return;
    }
    if (!m)
        return;
    if (r.shutdown || (r.reset && policy.reboot_exits && r.cause == CAUSE_GUEST_RESET)) {
        shut_down(r.cause);
        return;
    }
    if (r.pause && machine_run_state() == RUN_RUNNING)
        machine_pause(r.pause_state);
    if (r.reset)
        run_reset();
    if (r.suspend)
        suspend();
    if ((r.wakeup || r.power_button) && suspended)
        run_reset();
    else if (r.power_button && m->type->power_button)
        m->type->power_button(m);
}

static void wake_main_loop(void)
{
    evloop_defer(NULL, carry_out_requests, NULL);
}

static const MachineRunOps run_ops = { vcpus_pause, vcpus_resume, vcpus_pause_soon, wake_main_loop, panic_pauses };

void run_init(const RunPolicy *p)
{
    policy = *p;
    machine_set_run_ops(&run_ops);
}

static gboolean on_signal(gpointer number)
{
    info_reportf("ending on signal %d (%s)", GPOINTER_TO_INT(number), g_strsignal(GPOINTER_TO_INT(number)));
    machine_request_shutdown(CAUSE_HOST_SIGNAL);
    return G_SOURCE_CONTINUE;
}

/*
 * Memory that the host has promised is not there: guest RAM in a file that was cut short, huge pages that others have
 * taken, a broken module.
 */
static void on_bus_error(int number)
{
    static const char line[] = "rhea: the host has no memory for an address of the guest's (a backing file was cut "
                               "short, huge pages are used up, or memory is "
                               "broken); give it enough, or leave out mem-path\n";
    ssize_t n = write(STDERR_FILENO, line, sizeof(line) - 1);
    chardev_restore_terminal();
    _exit(n > 0 ? 1 : 2);
}

void run_catch_signals(void)
{
    signal(SIGBUS, on_bus_error);
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    for (unsigned i = 0; i < G_N_ELEMENTS(signals); i++)
        g_unix_signal_add(signals[i], on_signal, GINT_TO_POINTER(signals[i]));
    signal(SIGPIPE, SIG_IGN);
}

int run_until_exit(void)
{
    int status = evloop_run();
    snapshot_end();
    block_jobs_end();
    machine_pause(RUN_SHUTDOWN);
    return status;
}

/* SPDX-License-Identifier: MIT */
/* The human monitor: commands on a character device. */
#ifndef SYSTEM_MONITOR_H
#define SYSTEM_MONITOR_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

typedef struct Chardev Chardev;
typedef struct Monitor Monitor;

/* A monitor on c; it lives until monitors_free(). Fails when c has a front end already. */
bool monitor_new(Chardev *c, Error **errp);
void monitors_free(void); /* at exit, after chardevs_close_all() */

/*
 * Commands: main thread, no lock held. Output goes to mon's text, which is sent when the command returns. argv[0] is
 * the command's name; arguments are split at blanks ("..." keeps them), except for the last of a command with `rest`.
 */
typedef struct MonitorCommand {
    const char *names; /* "quit|q" */
    const char *args;  /* for help; NULL: none */
    const char *help;
    unsigned min_args, max_args;
    bool rest;         /* the last argument is the rest of the line */
    bool (*run)(Monitor *mon, int argc, char **argv, Error **errp);
    /* Names that may complete argument n (1 ..): adds them to out; optional. */
    void (*complete)(unsigned n, GPtrArray *out);
} MonitorCommand;

extern const MonitorCommand monitor_commands_base[], monitor_commands_memory[], monitor_commands_run[],
    monitor_commands_drives[], monitor_commands_live[], monitor_commands_jobs[], monitor_commands_nbd[],
    monitor_commands_guestmem[], monitor_commands_plug[], monitor_commands_display[], monitor_commands_media[];
extern const MonitorCommand monitor_info_items[]; /* `info NAME`; each ended by names NULL */
/* Items that stand in other files. */
typedef bool MonitorRun(Monitor *mon, int argc, char **argv, Error **errp);
MonitorRun monitor_info_block, monitor_info_blockstats, monitor_info_snapshots, monitor_info_savevm,
    monitor_info_block_jobs;
MonitorRun monitor_info_balloon, monitor_info_numa, monitor_info_memdev, monitor_info_memory_devices,
    monitor_info_memory_size;

/* A drive by its name; an error that tells the names. */
struct BlockBackend;
struct BlockBackend *monitor_find_drive(const char *name, Error **errp);
void monitor_complete_drive(unsigned n, GPtrArray *out); /* names of all drives for argument 1 */

/* Find by one of its names; all tables of commands, or monitor_info_items. */
const MonitorCommand *monitor_find_command(const char *name);
const MonitorCommand *monitor_find_in(const MonitorCommand *table, const char *name);
const MonitorCommand *const *monitor_command_tables(unsigned *count);

void monitor_printf(Monitor *mon, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
GString *monitor_out(Monitor *mon);
/* Index of the vCPU that commands are about; and its history. */
unsigned monitor_cpu(const Monitor *mon);
void monitor_set_cpu(Monitor *mon, unsigned index);
const GPtrArray *monitor_history(const Monitor *mon);
/* Run one line as if typed, about that vCPU; output is appended to out. For tests and for `info` of other doors. */
void monitor_execute(const char *line, unsigned cpu, GString *out);

/*
 * Expressions of print, x, xp: numbers (0x hex, 0 octal, decimal), $register, + - * / % & ^ | << >> ~ ( ). *text moves
 * behind the expression.
 */
bool monitor_eval(Monitor *mon, const char **text, uint64_t *value, Error **errp);

#endif

/* SPDX-License-Identifier: MIT */
/* What the command line asked for, between parsing (options.c, opt-*.c) and building the machine (setup.c). */
#ifndef SYSTEM_SETTINGS_H
#define SYSTEM_SETTINGS_H

#include <glib.h>
#include <stdbool.h>
#include "base/error.h"
#include "base/opts.h"
#include "hw/core/machine.h"
#include "system/run.h"

typedef struct Settings {
    const char *program;         /* base name of argv[0] */
    char *machine;               /* name of -M, NULL: the program's default */
    Opts *machine_opts;          /* the other keys of -M, later ones win */
    bool machine_help, cpu_help; /* answered once the machine is known */
    Opts *smp;
    uint64_t ram_size;           /* 0: the machine's default */
    uint64_t ram_max;            /* -m maxmem=, 0: none */
    unsigned ram_slots;
    char *mem_path;              /* -mem-path */
    bool mem_prealloc, mem_lock;
    GPtrArray *numa;             /* of char *: -numa */
    GPtrArray *accels;           /* of Opts, in the order to try; implied key "accel" */
    Opts *icount;                /* -icount, NULL: not given */
    GPtrArray *chardevs;         /* of Opts */
    GPtrArray *serials, *parallels, *monitors; /* of char *: short forms of a character device */
    GPtrArray *mons;             /* of Opts: -mon */
    GPtrArray *devices;          /* of Opts */
    GPtrArray *objects;          /* of Opts, implied key "qom-type" */
    GPtrArray *fw_cfg;           /* of Opts */
    GPtrArray *drives, *blockdevs; /* of Opts */
    bool snapshot;               /* -snapshot: drives are written to temporary overlays */
    char *debugcon;
    bool nographic;
    bool display_none;           /* asked for in words */
    Chardev *serial_chardevs[4];
    MachineConfig config;        /* the fields that options set directly; setup moves them into the machine */
    RunPolicy policy;
    char *loadvm, *pidfile, *gdb; /* gdb: -gdb */
    bool daemonize;
    bool blind;                  /* neither display nor any character device that the user named */
    char *accel_note;            /* which accelerator was chosen, and why */
    bool done;                   /* a help text was the answer: end with status 0 */
} Settings;

/* -action EVENT=VALUE; of watchdog also while the machine runs (p is not used then). */
bool policy_set_action(RunPolicy *p, const char *event, const char *value, Error **errp);

Settings *settings_new(const char *program);
void settings_free(Settings *s);

/* One row of the command line's table. */
typedef struct Option {
    const char *name;     /* without dashes */
    const char *arg;      /* name of the argument in the help, NULL: takes none */
    const char *help;     /* NULL: another name for the row above */
    bool (*handle)(Settings *s, const char *arg, Error **errp);
    uint32_t offset;      /* handle NULL: a bool to set (arg NULL) or a char * to replace */
} Option;
/* Groups of rows, each ended by name NULL; the last group's title is NULL. */
typedef struct OptionGroup {
    const char *title;
    const Option *rows;
} OptionGroup;

extern const Option options_machine[], options_devices[], options_boot[], options_block[], options_semihost[],
    options_debug[];
/* The console of -semihosting-config chardev= (opt-semihost.c). */
bool setup_semihosting(Error **errp);

/* Parse argv; false: *errp is set. */
bool options_parse(Settings *s, int argc, char **argv, Error **errp);
void options_print_help(GString *out);

/* For the rows' functions. */
bool option_is_help(const char *text);      /* "help" or "?" */
bool option_asks_help(const Opts *o);       /* one of the keys is that */
bool option_answer(Settings *s, GString *text); /* print a help text; the program ends with it. True */
/* dotted keys or JSON, parsed */
bool option_keep(GPtrArray *list, const char *option, const char *arg, const char *implied, Error **errp);

/* -smp into counts (opt-machine.c). All zero fields are worked out; errors name the field. */
typedef struct Topology {
    unsigned cpus, sockets, dies, cores, threads, max_cpus;
} Topology;
bool topology_parse(Opts *smp, Topology *t, Error **errp);

/* From settings to a machine that stands at its reset vector (setup.c). NULL: failed, or s->done. */
Machine *setup_machine(Settings *s, Error **errp);
/* Character devices of the options and their defaults, into s->config; and the monitors' (setup-chardev.c). */
bool setup_chardevs(Settings *s, Error **errp);
bool setup_monitors(Settings *s, Error **errp);
/* Limits among the options of a -drive (opt-throttle.c). */
typedef struct BlockBackend BlockBackend;
bool drive_throttle_key(const char *key);
bool drive_throttle(const Opts *o, const char *name, BlockBackend *b, Error **errp);
/* RAM back ends and NUMA nodes, into m->config (setup-memory.c). */
bool setup_memory(Settings *s, Machine *m, Error **errp);
/* Nodes and drives (opt-block.c); devices of drives with if= other than none are added to s->devices. */
bool setup_blocks(Settings *s, const Machine *m, Error **errp);
/* The machine is built: if=virtio is behind MMIO where there is no PCI. */
void settle_drive_devices(Settings *s);

/* drive_add: -drive if=none in a machine that runs; it must have an id. */
bool drive_add_running(const char *options, Error **errp);
#endif

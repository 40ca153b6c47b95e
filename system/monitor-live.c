/* SPDX-License-Identifier: MIT */
/* Monitor: snapshots of the machine. */
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include "base/bits.h"
#include "block/block.h"
#include "hw/core/machine.h"
#include "system/monitor.h"
#include "system/run.h"
#include "system/snapshot.h"

/* savevm [-z] [-b] [NAME]: a name with a '/' is a file's. */
static bool do_savevm(Monitor *mon, int argc, char **argv, Error **errp)
{
    SnapshotOptions o = { 0 };
    const char *name = NULL;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "-z")) {
            o.compress = true;
        } else if (!strcmp(argv[i], "-b")) {
            o.background = true;
        } else if (!name) {
            name = argv[i];
        } else {
            error_setf(errp, "savevm: '%s': one name is enough; usage: savevm [-z] [-b] [NAME]", argv[i]);
            return false;
        }
    }
    if (!name || !strchr(name, '/'))
        return snapshot_save(name, &o, errp);
    if (!o.compress && !o.background)
        return machine_save(name, errp);
    error_setf(errp, "savevm: -z and -b are for snapshots in disk images, '%s' is a file", name);
    return false;
}

static bool do_loadvm(Monitor *mon, int argc, char **argv, Error **errp) { return run_load(argv[1], errp); }
static bool do_delvm(Monitor *mon, int argc, char **argv, Error **errp) { return snapshot_delete(argv[1], errp); }
static bool do_savevm_cancel(Monitor *mon, int argc, char **argv, Error **errp) { return snapshot_cancel(errp); }

static void print_snapshots(Monitor *mon, const GArray *list, const char *id)
{
    monitor_printf(mon, "%-10s%-17s%8s%20s%13s%11s\n", "ID", "TAG", "VM SIZE", "DATE", "VM CLOCK", "ICOUNT");
    for (unsigned i = 0; i < list->len; i++) {
        const BlockSnapshot *b = &g_array_index(list, BlockSnapshot, i);
        g_autofree char *size = block_size_text(b->vm_state_size);
        g_autofree char *icount = b->icount == UINT64_MAX ? g_strdup("") : g_strdup_printf("%" PRIu64, b->icount);
        time_t t = b->date_sec;
        struct tm tm;
        char date[32];
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", localtime_r(&t, &tm));
        uint64_t s = b->vm_clock_ns / 1000000000;
        monitor_printf(mon, "%-10s%-16s %8s%20s %02u:%02u:%02u.%03u%11s\n", id ? id : b->id, b->name, size, date,
                       (unsigned)(s / 3600), (unsigned)(s / 60 % 60), (unsigned)(s % 60),
                       (unsigned)(b->vm_clock_ns / 1000000 % 1000), icount);
    }
}

bool monitor_info_snapshots(Monitor *mon, int argc, char **argv, Error **errp)
{
    SnapshotList l;
    if (!snapshot_list(&l, errp))
        return false;
    bool any = l.all->len;
    for (unsigned d = 0; d < l.partial->len; d++)
        any |= ((SnapshotDisk *)l.partial->pdata[d])->snapshots->len > 0;
    if (!any)
        monitor_printf(mon, "There is no snapshot available.\n");
    else
        monitor_printf(mon, "List of snapshots present on all disks:\n");
    if (l.all->len)
        print_snapshots(mon, l.all, "--");
    else if (any)
        monitor_printf(mon, "None\n");
    for (unsigned d = 0; d < l.partial->len; d++) {
        const SnapshotDisk *p = l.partial->pdata[d];
        if (!p->snapshots->len)
            continue;
        monitor_printf(mon, "\nList of partial (non-loadable) snapshots on '%s':\n", p->drive);
        print_snapshots(mon, p->snapshots, NULL);
    }
    snapshot_list_clear(&l);
    return true;
}

bool monitor_info_savevm(Monitor *mon, int argc, char **argv, Error **errp)
{
    SnapshotProgress p;
    if (snapshot_progress(&p))
        monitor_printf(mon, "snapshot '%s': %" PRIu64 " MiB written, %u passes done\n", p.name, p.written / MiB,
                       p.passes);
    else
        monitor_printf(mon, "no snapshot is being saved in the background\n");
    return true;
}

static void complete_snapshot(unsigned n, GPtrArray *out)
{
    SnapshotList l;
    if (n != 1 || !snapshot_list(&l, NULL))
        return;
    for (unsigned i = 0; i < l.all->len; i++)
        g_ptr_array_add(out, g_strdup(g_array_index(l.all, BlockSnapshot, i).name));
    snapshot_list_clear(&l);
}

const MonitorCommand monitor_commands_live[] = {
    { "savevm", "[-z] [-b] [NAME|FILE]",
      "save the machine as a snapshot in its disk images (-z: compressed, -b: while the guest runs); FILE has a '/'", 0,
      3, false, do_savevm, complete_snapshot },
    { "loadvm", "NAME|FILE", "go back to a snapshot, disks and all; or load the machine from a file", 1, 1, false,
      do_loadvm, complete_snapshot },
    { "delvm", "NAME", "delete a snapshot from all disk images", 1, 1, false, do_delvm, complete_snapshot },
    { "savevm_cancel", NULL, "end the save in the background", 0, 0, false, do_savevm_cancel },
    { 0 },
};

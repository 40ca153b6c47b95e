/* SPDX-License-Identifier: MIT */
/* Monitor: media of CD and floppy drives. */
#include <string.h>
#include "block/backend.h"
#include "hw/core/device.h"
#include "system/monitor.h"
#include "system/snapshot.h"

static void complete_removable(unsigned n, GPtrArray *out)
{
    for (unsigned i = 0; n == 1 && i < blk_count(); i++) {
        if (blk_removable(blk_nth(i)))
            g_ptr_array_add(out, g_strdup(blk_name(blk_nth(i))));
    }
}

/* Behind a leading -f. */
static bool take_force(int *argc, char ***argv)
{
    bool force = *argc > 1 && !strcmp((*argv)[1], "-f");
    *argc -= force;
    *argv += force;
    return force;
}

static bool do_eject(Monitor *mon, int argc, char **argv, Error **errp)
{
    bool force = take_force(&argc, &argv);
    if (argc != 2) {
        error_setf(errp, "eject: which drive? eject [-f] DRIVE");
        return false;
    }
    BlockBackend *b = monitor_find_drive(argv[1], errp);
    return b && snapshot_idle(errp) && blk_eject(b, force, errp);
}

/* retain: as the medium before was; without one writable where the file is and the drive can write. */
static bool access_flags(const BlockBackend *b, const char *mode, unsigned *flags, Error **errp)
{
    static const char *const modes[] = { "retain", "read-only", "read-write", NULL };
    const BlockNode *old = blk_node(b);
    const char *user = blk_user(b);
    unsigned how = 0;
    if (mode && !parse_enum("change: mode", mode, modes, &how, errp))
        return false;
    const Device *d = user ? device_find(user) : NULL;
    bool cd = d && g_str_has_suffix(d->type->name, "-cd");
    *flags = old ? block_flags(old) & (BLOCK_DIRECT | BLOCK_NO_FLUSH | BLOCK_WRITETHROUGH | BLOCK_UNMAP) : 0;
    if (how == 2)
        *flags |= BLOCK_RDWR;
    else if (!how && !cd && (!old || block_writable(old)))
        *flags |= BLOCK_RDWR | BLOCK_AUTO_RDONLY;
    return true;
}

static bool do_change(Monitor *mon, int argc, char **argv, Error **errp)
{
    unsigned flags;
    bool force = take_force(&argc, &argv);
    if (argc < 3) {
        error_setf(errp, "change: which file? change [-f] DRIVE FILE [FORMAT [read-only|read-write|retain]]");
        return false;
    }
    BlockBackend *b = monitor_find_drive(argv[1], errp);
    if (!b || !snapshot_idle(errp) || !access_flags(b, argc > 4 ? argv[4] : NULL, &flags, errp))
        return false;
    g_autoptr(Opts) o = opts_new();
    if (argc > 3)
        opts_set(o, "driver", argv[3]);
    g_autoptr(BlockNode) n = block_open(argv[2], o, flags, errp);
    if (!n || !blk_eject(b, force, errp) || !blk_insert(b, n, errp))
        return false;
    n = NULL; /* the drive's */
    return true;
}

const MonitorCommand monitor_commands_media[] = {
    { "eject", "[-f] DRIVE", "take the medium out of a CD or floppy drive; -f: though the guest has locked it", 1, 2,
      false, do_eject, complete_removable },
    { "change", "[-f] DRIVE FILE [FORMAT [MODE]]",
      "another medium in a CD or floppy drive; MODE: retain, read-only, read-write", 2, 5, false, do_change,
      complete_removable },
    { 0 },
};

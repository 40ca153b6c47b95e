/* SPDX-License-Identifier: MIT */
/* The NBD server of a running machine, and its commands in the monitor. */
#include <string.h>
#include <unistd.h>
#include "base/bits.h"
#include "block/backend.h"
#include "block/nbd/server.h"
#include "crypto/tls.h"
#include "system/monitor.h"
#include "system/nbd-export.h"

static struct {
    NbdServer *server;
    NbdAddress address;
    Object *creds;
} run;

static bool need_server(Error **errp)
{
    if (!run.server)
        error_setf(errp, "no NBD server runs; start it: nbd_server_start HOST:PORT or unix:PATH");
    return run.server;
}

static bool parse_address(const char *text, NbdAddress *out, Error **errp)
{
    const char *colon = strrchr(text, ':');
    if (g_str_has_prefix(text, "unix:") && text[5]) {
        *out = (NbdAddress){ .path = g_strdup(text + 5) };
        return true;
    }
    if (!colon || !colon[1]) {
        error_setf(errp, "nbd_server_start '%s': where to listen? HOST:PORT, or unix:PATH", text);
        return false;
    }
    *out = (NbdAddress){ .host = g_strndup(text, colon - text), .port = g_strdup(colon + 1) };
    return true;
}

static void forget(void)
{
    if (run.creds)
        object_release(run.creds);
    nbd_address_clear(&run.address);
    run.creds = NULL;
}

bool nbd_export_start(const char *address, const char *creds, unsigned max_clients, Error **errp)
{
    int fds[8];
    if (run.server) {
        g_autofree char *where = nbd_address_text(&run.address);
        error_setf(errp, "the NBD server runs already, at %s; nbd_server_stop ends it", where);
        return false;
    }
    run.creds = creds ? tls_creds_take(creds, true, errp) : NULL;
    unsigned n = (creds && !run.creds) || !parse_address(address, &run.address, errp)
                     ? 0
                     : nbd_listen(&run.address, fds, ARRAY_LEN(fds), errp);
    if (!n) {
        forget();
        return false;
    }
    run.server = nbd_server_new(fds, n, run.creds, max_clients);
    nbd_server_start(run.server);
    return true;
}

bool nbd_export_add(const char *drive, const char *name, bool writable, Error **errp)
{
    BlockBackend *b = blk_find(drive);
    BlockNode *n = b ? blk_node(b) : NULL;
    if (!need_server(errp))
        return false;
    if (!n) {
        error_setf(errp, b ? "drive '%s' has no medium" : "there is no drive '%s'; info block lists them", drive);
        return false;
    }
    NbdExportConfig c = { .name = name ? name : drive, .node = n, .writable = writable };
    return nbd_server_add(run.server, &c, errp);
}

bool nbd_export_remove(const char *name, bool force, Error **errp)
{
    return need_server(errp) && nbd_server_remove(run.server, name, force, errp);
}

bool nbd_export_stop(Error **errp)
{
    if (!need_server(errp))
        return false;
    nbd_server_free(run.server);
    run.server = NULL;
    if (run.address.path)
        unlink(run.address.path);
    forget();
    return true;
}

bool nbd_export_print(GString *out)
{
    g_autofree char *where = run.server ? nbd_address_text(&run.address) : NULL;
    if (!run.server)
        return false;
    g_string_append_printf(out, "NBD server at %s%s, %u clients\n", where, run.creds ? " with TLS" : "",
                           nbd_server_clients(run.server));
    nbd_server_print(run.server, out);
    return true;
}

/* --- the monitor --- */

/* Takes "-x" words from the front; others stay. */
static bool take_flags(int *argc, char ***argv, const char *known, bool *set, Error **errp)
{
    const char *command = (*argv)[0];
    while (*argc > 1 && (*argv)[1][0] == '-') {
        const char *at = (*argv)[1][1] && !(*argv)[1][2] ? strchr(known, (*argv)[1][1]) : NULL;
        if (!at) {
            error_setf(errp, "%s: option '%s' is not known; 'help %s' tells its options", command, (*argv)[1], command);
            return false;
        }
        set[at - known] = true;
        ++*argv;
        --*argc;
    }
    return true;
}

static bool do_start(Monitor *mon, int argc, char **argv, Error **errp)
{
    bool set[2] = { false, false };
    if (!take_flags(&argc, &argv, "aw", set, errp))
        return false;
    if (argc != 2 || (set[1] && !set[0])) {
        error_setf(errp, argc != 2 ? "nbd_server_start [-a [-w]] HOST:PORT or unix:PATH"
                                   : "nbd_server_start: -w goes with -a");
        return false;
    }
    if (!nbd_export_start(argv[1], NULL, 100, errp))
        return false;
    for (unsigned i = 0; set[0] && i < blk_count(); i++) {
        BlockBackend *b = blk_nth(i);
        if (blk_node(b) && !nbd_export_add(blk_name(b), NULL, set[1] && blk_writable(b), errp)) {
            nbd_export_stop(NULL);
            return false;
        }
    }
    return true;
}

static bool do_add(Monitor *mon, int argc, char **argv, Error **errp)
{
    bool writable = false;
    if (!take_flags(&argc, &argv, "w", &writable, errp))
        return false;
    if (argc < 2 || argc > 3) {
        error_setf(errp, "nbd_server_add [-w] DRIVE [NAME]");
        return false;
    }
    return nbd_export_add(argv[1], argc > 2 ? argv[2] : NULL, writable, errp);
}

static bool do_remove(Monitor *mon, int argc, char **argv, Error **errp)
{
    bool force = false;
    if (!take_flags(&argc, &argv, "f", &force, errp))
        return false;
    if (argc != 2) {
        error_setf(errp, "nbd_server_remove [-f] NAME");
        return false;
    }
    return nbd_export_remove(argv[1], force, errp);
}

static bool do_stop(Monitor *mon, int argc, char **argv, Error **errp) { return nbd_export_stop(errp); }

static bool do_show(Monitor *mon, int argc, char **argv, Error **errp)
{
    if (!nbd_export_print(monitor_out(mon)))
        monitor_printf(mon, "no NBD server runs\n");
    return true;
}

static void complete_drive(unsigned n, GPtrArray *out)
{
    for (unsigned i = 0; n <= 2 && i < blk_count(); i++)
        g_ptr_array_add(out, g_strdup(blk_name(blk_nth(i))));
}

const MonitorCommand monitor_commands_nbd[] = {
    { "nbd_server_start", "[-a [-w]] HOST:PORT|unix:PATH", "export drives by NBD; -a: all there are; -w: writable", 1,
      3, false, do_start },
    { "nbd_server_add", "[-w] DRIVE [NAME]", "export a drive, read-only or (-w) writable", 1, 3, false, do_add,
      complete_drive },
    { "nbd_server_remove", "[-f] NAME", "end an export; -f: even when it has clients", 1, 2, false, do_remove },
    { "nbd_server_stop", NULL, "end the NBD server and all exports", 0, 0, false, do_stop },
    { "nbd_server_show", NULL, "what the NBD server exports, and its clients", 0, 0, false, do_show },
    { 0 },
};

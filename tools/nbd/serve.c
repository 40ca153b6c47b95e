/* SPDX-License-Identifier: MIT */
/* rhea-nbd: opening the images, exporting them, staying until it is enough. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/thread.h"
#include "block/nbd/server.h"
#include "tools/nbd/nbd.h"

static void say(const char *line) { fprintf(stderr, "rhea-nbd: %s\n", line); }

/* --- the image --- */

static bool open_options(Opts *o, unsigned *flags, Error **errp)
{
    const char *cache = opt.nocache ? "none" : opt.cache;
    if (opt.nocache && opt.cache) {
        error_setf(errp, "-n is --cache=none; give one of them");
        return false;
    }
    if (opt.format && opt.image_opts) {
        error_setf(errp, "--image-opts: the format is named by driver= there, not by -f");
        return false;
    }
    if (opt.aio && !opt.image_opts)
        opts_set(o, "file.aio", opt.aio);
    if (opt.discard)
        opts_set(o, "discard", opt.discard);
    if (opt.detect_zeroes)
        opts_set(o, "detect-zeroes", opt.detect_zeroes);
    if (opt.format)
        opts_set(o, "driver", opt.format);
    *flags = opt.read_only || opt.snapshot || opt.snapshot_id ? 0 : BLOCK_RDWR;
    *flags |= opt.discard ? 0 : BLOCK_UNMAP;
    return block_cache_mode(cache, flags, errp);
}

/* An overlay in a temporary file that goes with the node. */
static BlockNode *temporary_overlay(BlockNode *below, Error **errp)
{
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "rhea-nbd-XXXXXX", NULL),
                    *name = g_canonicalize_filename(block_filename(below), NULL);
    g_autoptr(Opts) create = opts_new(), open = opts_new();
    int fd = g_mkstemp(path);
    if (fd < 0) {
        error_setf(errp, "--snapshot: no temporary file in '%s'; set TMPDIR to a folder with room", g_get_tmp_dir());
        return NULL;
    }
    close(fd);
    opts_set(create, "backing_file", name);
    opts_set(create, "backing_fmt", block_driver_name(below));
    opts_set(open, "driver", "qcow2");
    BlockNode *n = NULL;
    if (block_create(path, "qcow2", block_size(below), create, errp))
        n = block_open(path, open, BLOCK_RDWR | BLOCK_UNMAP | BLOCK_NO_FLUSH | BLOCK_TEMPORARY, errp);
    unlink(path);
    return n;
}

static bool load_snapshot(BlockNode *n, Error **errp)
{
    static const char *const keys[] = { "snapshot.id", "snapshot.name", NULL };
    const char *which = opt.snapshot_id;
    if (!strchr(which, '='))
        return block_snapshot_load(n, which, errp);
    g_autoptr(Opts) o = opts_parse(which, NULL, errp);
    const char *id = o ? opts_get(o, "snapshot.id") : NULL, *name = o ? opts_get(o, "snapshot.name") : NULL;
    return o && opts_all_used(o, "--load-snapshot", keys, errp) && block_snapshot_load(n, id ? id : name, errp);
}

static BlockNode *open_image(const char *file, Error **errp)
{
    unsigned flags;
    g_autoptr(Opts) o = opt.image_opts ? opts_parse(file, NULL, errp) : opts_new();
    if (!o || !open_options(o, &flags, errp))
        return NULL;
    BlockNode *n = block_open(opt.image_opts ? NULL : file, o, flags, errp);
    if (n && opt.snapshot_id && !load_snapshot(n, errp)) {
        block_unref(n);
        return NULL;
    }
    if (!n || !opt.snapshot)
        return n;
    BlockNode *top = temporary_overlay(n, errp);
    block_unref(n);
    return top;
}

static bool export_file(NbdServer *s, const char *file, const char *name, uint64_t offset, Error **errp)
{
    BlockNode *n = open_image(file, errp);
    if (!n)
        return false;
    NbdExportConfig c = {
        name, opt.description, n, block_writable(n), offset, 0, opt.depth, (const char *const *)opt.bitmaps
    };
    bool ok = nbd_server_add(s, &c, errp);
    block_unref(n);
    return ok;
}

static bool export_files(NbdServer *s, Error **errp)
{
    unsigned files = g_strv_length(opt.files), names = opt.names ? g_strv_length(opt.names) : 0;
    uint64_t offset = 0;
    if (opt.offset && !parse_size(opt.offset, 1, &offset)) {
        error_setf(errp, "--offset '%s' is not a number of bytes, as in 512 or 1M", opt.offset);
        return false;
    }
    if (names > files || (names && names < files)) {
        error_setf(errp, "%u images and %u names: give one --export-name for each image", files, names);
        return false;
    }
    for (unsigned i = 0; i < files; i++) {
        g_autofree char *base = g_path_get_basename(opt.files[i]);
        if (!export_file(s, opt.files[i], names ? opt.names[i] : files > 1 ? base : "", offset, errp))
            return false;
    }
    return true;
}

/* --- running --- */

bool nbd_tool_address(NbdAddress *a, bool client, Error **errp)
{
    if (opt.socket && (opt.port || opt.bind)) {
        error_setf(errp, "--socket is a unix socket, --port and --bind are for TCP; give one or the other");
        return false;
    }
    if (opt.socket || (opt.connect && !opt.port && !opt.bind)) {
        g_autofree char *device = opt.socket ? NULL : g_path_get_basename(opt.connect);
        a->path = opt.socket ? g_strdup(opt.socket) : g_strdup_printf("/var/lock/rhea-nbd-%s", device);
        return true;
    }
    a->host = g_strdup(opt.bind ? opt.bind : client ? "localhost" : "0.0.0.0");
    a->port = g_strdup(opt.port ? opt.port : "10809");
    return true;
}

/*
 * Sockets that a service manager or a client (nbdcopy [ rhea-nbd … ]) opened for us: descriptors from 3 on
 * (sd_listen_fds(3)).
 */
static unsigned inherited_sockets(int *fds, unsigned max)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    unsigned n = pid && count && g_ascii_strtoull(pid, NULL, 10) == (guint64)getpid()
                     ? (unsigned)g_ascii_strtoull(count, NULL, 10)
                     : 0;
    n = MIN(n, max);
    for (unsigned i = 0; i < n; i++) {
        fds[i] = 3 + (int)i;
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    return n;
}

static sigset_t end_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

static void *await_signal(void *opaque)
{
    sigset_t set = end_signals();
    int which;
    sigwait(&set, &which);
    nbd_server_interrupt(opaque);
    return NULL;
}

static bool write_pid(Error **errp)
{
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());
    g_autoptr(GError) err = NULL;
    if (!opt.pid_file || g_file_set_contents(opt.pid_file, text, -1, &err))
        return true;
    error_setf(errp, "--pid-file: %s", err->message);
    return false;
}

/*
 * --fork: the parent waits for one byte: the server runs. Returns the descriptor to write it to; the parent does not
 * return.
 */
static int go_to_background(void)
{
    int fds[2];
    char ok;
    if (pipe(fds)) {
        perror("rhea-nbd: --fork");
        exit(EXIT_FAILURE);
    }
    pid_t child = fork();
    if (child) {
        close(fds[1]);
        exit(child > 0 && read(fds[0], &ok, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE); /* the child has told why */
    }
    close(fds[0]);
    setsid();
    return fds[1];
}

static void in_background(int fd)
{
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    if (!opt.verbose)
        dup2(null, 2);
    close(null);
    ssize_t ignored = write(fd, "", 1);
    (void)ignored;
    close(fd);
}

static void interrupted(void *server) { nbd_server_interrupt(server); }

static bool run(NbdServer *s, const NbdAddress *a, int background, Error **errp)
{
    KernelClient *kernel = NULL;
    nbd_server_start(s);
    pthread_detach(thread_start("signals", await_signal, s));
    if (opt.connect) {
        NbdWant w = { .address = a, .export = opt.names ? opt.names[0] : "", .timeout_ms = 10000 };
        kernel = nbd_kernel_connect(opt.connect, &w, interrupted, s, errp);
        if (!kernel)
            return false;
    }
    bool ok = write_pid(errp);
    if (ok && background >= 0)
        in_background(background);
    if (ok)
        nbd_server_wait(s, !opt.persistent);
    nbd_kernel_free(kernel);
    return ok;
}

static bool serve_at(const NbdAddress *a, const int *fds, unsigned count, int background, Error **errp)
{
    Object *creds = opt.tls_creds ? tls_creds_take(opt.tls_creds, true, errp) : NULL;
    if (opt.tls_creds && !creds)
        return false;
    NbdServer *s = nbd_server_new(fds, count, creds, (unsigned)opt.shared);
    nbd_server_set_log(s, opt.verbose ? say : NULL);
    bool ok = export_files(s, errp) && run(s, a, background, errp);
    nbd_server_free(s);
    if (creds)
        object_release(creds);
    return ok;
}

int nbd_serve(Error **errp)
{
    NbdAddress a = { NULL };
    int fds[8];
    unsigned count = inherited_sockets(fds, ARRAY_LEN(fds));
    bool ours = !count;
    int background = opt.do_fork || opt.connect ? go_to_background() : -1;
    sigset_t set = end_signals();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (!nbd_tool_address(&a, false, errp))
        return EXIT_FAILURE;
    if (ours)
        count = nbd_listen(&a, fds, ARRAY_LEN(fds), errp);
    bool ok = count && serve_at(&a, fds, count, background, errp);
    if (a.path && ours && count)
        unlink(a.path);
    if (opt.pid_file && ok)
        unlink(opt.pid_file);
    nbd_address_clear(&a);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

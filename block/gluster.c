/* SPDX-License-Identifier: MIT */
/* Protocol "gluster": a file on a GlusterFS volume (libgfapi). */
#include "rhea-config.h"
#include "block/library.h"

#ifdef HAVE_GLUSTER
#include <glusterfs/api/glfs.h>
#include <string.h>

/* The functions that are used. */
#define FUNCTIONS(X) \
    X(glfs_new) X(glfs_set_volfile_server) X(glfs_set_logging) X(glfs_init) X(glfs_fini) X(glfs_open) X(glfs_close) \
    X(glfs_lseek) X(glfs_preadv) \
    X(glfs_pwritev) X(glfs_fsync) X(glfs_ftruncate) X(glfs_discard) X(glfs_zerofill)
LIBRARY(lib, "libgfapi.so.0", "libgfapi0", FUNCTIONS)

enum { DEFAULT_PORT = 24007, SERVERS_MAX = 32 };

typedef struct GlusterNode {
    glfs_t *volume;
    glfs_fd_t *file;
    bool no_discard, no_zeroes; /* the volume refused once */
} GlusterNode;

static GlusterNode *gluster_of(BlockNode *n) { return n->opaque; }

/* --- opening --- */

/* gluster[+tcp]://HOST[:PORT]/VOLUME/PATH, gluster+unix:///VOLUME/PATH?socket=SOCKET */
static bool gluster_parse(const char *filename, Opts *o, Error **errp)
{
    g_autoptr(GUri) uri = g_uri_parse(filename, G_URI_FLAGS_ENCODED_QUERY, NULL);
    const char *path = uri ? g_uri_get_path(uri) : "", *host = uri ? g_uri_get_host(uri) : NULL,
               *query = uri ? g_uri_get_query(uri) : NULL;
    const char *file = strlen(path) > 1 ? strchr(path + 1, '/') : NULL;
    bool local = g_str_has_prefix(filename, "gluster+unix:");
    g_autoptr(GHashTable) params = query ? g_uri_parse_params(query, -1, "&", G_URI_PARAMS_NONE, NULL) : NULL;
    const char *socket = params ? g_hash_table_lookup(params, "socket") : NULL;
    if (!file || file == path + 1 || !file[1] || (local ? !socket : !host || !*host)) {
        error_setf(errp, "image '%s': write %s", filename,
                   local ? "gluster+unix:///VOLUME/PATH?socket=SOCKET" : "gluster://HOST[:PORT]/VOLUME/PATH");
        return false;
    }
    g_autofree char *volume = g_strndup(path + 1, (size_t)(file - path - 1)),
                    *port = g_strdup_printf("%d", g_uri_get_port(uri));
    opts_set(o, "volume", volume);
    opts_set(o, "path", file + 1);
    opts_set(o, "server.0.type", local ? "unix" : "inet");
    opts_set(o, local ? "server.0.path" : "server.0.host", local ? socket : host);
    if (!local && g_uri_get_port(uri) > 0)
        opts_set(o, "server.0.port", port);
    return true;
}

/* server.N.type=inet|unix,server.N.host=,.port=,.path= ; false without *errp: there is no N-th. */
static bool add_server(GlusterNode *g, Opts *o, unsigned i, Error **errp)
{
    g_autofree char *prefix = g_strdup_printf("server.%u.", i);
    g_autoptr(Opts) server = block_sub_options(o, prefix);
    static const char *const types[] = { "inet", "tcp", "unix", NULL };
    static const char *const keys[] = { "type", "host", "port", "path", "socket", NULL };
    unsigned type = 0;
    uint64_t port;
    if (!opts_count(server))
        return false;
    if (!opts_get_enum(server, "type", types, &type, errp) || !opts_get_u64(server, "port", DEFAULT_PORT, &port, errp))
        return false;
    const char *host = opts_get(server, "host"), *path = opts_get(server, "path"), *socket = opts_get(server, "socket");
    const char *where = type == 2 ? path ? path : socket : host;
    if (!opts_all_used(server, prefix, keys, errp))
        return false;
    if (!where || port > 65535) {
        error_setf(errp, "%s: %s", prefix,
                   where       ? "a port is below 65536"
                   : type == 2 ? "which socket? give path="
                               : "which host? give host=");
        return false;
    }
    if (!lib.glfs_set_volfile_server(g->volume, type == 2 ? "unix" : "tcp", where, type == 2 ? 0 : (int)port))
        return true;
    error_set_errno(errp, errno, "server '%s'", where);
    return false;
}

static bool connect_volume(GlusterNode *g, Opts *o, const char *name, Error **errp)
{
    Error *err = NULL;
    uint64_t level;
    unsigned servers = 0;
    const char *log = opts_get(o, "logfile");
    if (!opts_get_u64(o, "debug", 4, &level, errp))
        return false;
    g->volume = lib.glfs_new(name);
    while (g->volume && servers < SERVERS_MAX && add_server(g, o, servers, &err))
        servers++;
    if (err || !servers) {
        if (!err)
            error_setf(&err, "block driver 'gluster': which server? give server.0.type=inet,server.0.host=HOST");
        error_propagate(errp, err);
        return false;
    }
    if (!lib.glfs_set_logging(g->volume, log ? log : "/dev/null", (int)MIN(level, 9u)) && !lib.glfs_init(g->volume))
        return true;
    error_set_errno(errp, errno, "volume '%s' can't be reached; is glusterd there, and the volume started", name);
    return false;
}

static bool open_file(BlockNode *n, const char *path, Error **errp)
{
    GlusterNode *g = gluster_of(n);
    int direct = n->flags & BLOCK_DIRECT ? O_DIRECT : 0;
    g->file = lib.glfs_open(g->volume, path, (n->flags & BLOCK_RDWR ? O_RDWR : O_RDONLY) | direct);
    if (!g->file && n->flags & BLOCK_AUTO_RDONLY && n->flags & BLOCK_RDWR && (errno == EACCES || errno == EROFS)) {
        n->flags &= ~(unsigned)BLOCK_RDWR;
        g->file = lib.glfs_open(g->volume, path, O_RDONLY | direct);
    }
    off_t size = g->file ? lib.glfs_lseek(g->file, 0, SEEK_END) : -1;
    if (size < 0)
        error_set_errno(errp, errno, "image '%s'", block_filename(n));
    else
        n->size = (uint64_t)size;
    n->request_align = direct ? 4096 : 1;
    return size >= 0;
}

static void gluster_close(BlockNode *n)
{
    GlusterNode *g = gluster_of(n);
    if (g->file)
        lib.glfs_close(g->file);
    if (g->volume)
        lib.glfs_fini(g->volume);
}

static bool gluster_open(BlockNode *n, Opts *o, Error **errp)
{
    const char *volume = opts_get(o, "volume"), *path = opts_get(o, "path");
    opts_get(o, "filename");
    if (!volume || !path) {
        error_setf(
            errp,
            "block driver 'gluster': which file? give volume=VOLUME,path=PATH,server.0.type=inet,server.0.host=HOST");
        return false;
    }
    if (lib_load(errp) && connect_volume(gluster_of(n), o, volume, errp) && open_file(n, path, errp))
        return true;
    gluster_close(n);
    return false;
}

/* --- I/O --- */

static int transfer(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, bool write)
{
    GlusterNode *g = gluster_of(n);
    g_autofree struct iovec *part = g_new(struct iovec, iovcnt);
    for (uint64_t done = 0; done < len;) {
        int count = MIN(iov_part(part, iov, iovcnt, done, len - done), (int)BLOCK_IOV_MAX);
        off_t at = (off_t)(offset + done);
        ssize_t got = write ? lib.glfs_pwritev(g->file, part, count, at, 0)
                            : lib.glfs_preadv(g->file, part, count, at, 0);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (!got && write)
            return -ENOSPC;
        if (!got) { /* beyond the end */
            iov_zero(iov, iovcnt, done, len - done);
            return 0;
        }
        done += (uint64_t)MAX(got, 0);
    }
    return 0;
}

static int gluster_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return transfer(n, offset, len, iov, iovcnt, false);
}

static int gluster_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt,
                           unsigned flags)
{
    int r = transfer(n, offset, len, iov, iovcnt, true);
    if (!r)
        block_grown(n, offset + len);
    return r;
}

static int refused(int r, bool *no_more)
{
    r = !r ? 0 : errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL ? -ENOTSUP : -errno;
    *no_more = r == -ENOTSUP;
    return r;
}

static int gluster_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags)
{
    GlusterNode *g = gluster_of(n);
    int r = g->no_zeroes ? -ENOTSUP : refused(lib.glfs_zerofill(g->file, (off_t)offset, (off_t)len), &g->no_zeroes);
    if (!r)
        block_grown(n, offset + len);
    return r;
}

static int gluster_discard(BlockNode *n, uint64_t offset, uint64_t len)
{
    GlusterNode *g = gluster_of(n);
    return g->no_discard ? -ENOTSUP : refused(lib.glfs_discard(g->file, (off_t)offset, len), &g->no_discard);
}

static int gluster_flush(BlockNode *n) { return lib.glfs_fsync(gluster_of(n)->file, NULL, NULL) ? -errno : 0; }

static bool gluster_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp)
{
    int r = prealloc != PREALLOC_OFF                                           ? -ENOTSUP
            : lib.glfs_ftruncate(gluster_of(n)->file, (off_t)size, NULL, NULL) ? -errno
                                                                               : 0;
    if (r)
        error_set_errno(errp, -r, "image '%s': can't be resized", block_filename(n));
    else
        n->size = size;
    return !r;
}

static const char *const gluster_schemes[] = { "gluster", "gluster+tcp", "gluster+unix", NULL };
static const char *const gluster_options[] = { "volume",        "path",          "server.0.type",
                                               "server.0.host", "server.0.port", "server.0.path",
                                               "debug",         "logfile",       NULL };
static const BlockDriver gluster_driver = {
    .name = "gluster",
    .desc = "a file on a GlusterFS volume",
    .protocol = true,
    .grows = true,
    .instance_size = sizeof(GlusterNode),
    .schemes = gluster_schemes,
    .options = gluster_options,
    .parse_filename = gluster_parse,
    .open = gluster_open,
    .close = gluster_close,
    .preadv = gluster_preadv,
    .pwritev = gluster_pwritev,
    .pwrite_zeroes = gluster_zeroes,
    .pdiscard = gluster_discard,
    .flush = gluster_flush,
    .truncate = gluster_truncate,
};
BLOCK_DRIVER_REGISTER(gluster_driver)
#endif

/* SPDX-License-Identifier: MIT */
/* Protocol "nfs": a file on an NFS server (libnfs). */
#include "rhea-config.h"
#include "block/library.h"

#ifdef HAVE_LIBNFS
#include <fcntl.h>
#include <nfsc/libnfs.h>
#include <string.h>

/* The functions that are used. */
#define FUNCTIONS(X) \
    X(nfs_close) X(nfs_destroy_context) X(nfs_parse_url_full) X(nfs_destroy_url) X(nfs_set_uid) X(nfs_set_gid) \
    X(nfs_mount) \
    X(nfs_open) X(nfs_fstat64) X(nfs_get_error) X(nfs_get_readmax) X(nfs_get_writemax) X(nfs_init_context) \
    X(nfs_pwrite) X(nfs_pread) \
    X(nfs_fsync) X(nfs_ftruncate)
LIBRARY(lib, "libnfs.so.13", "libnfs13", FUNCTIONS)

enum { PIECE_MAX = 1 << 20, PIECE_V4 = 2048 /* libnfs 4.0 encodes version 4's writes into 4 KiB */ };

typedef struct NfsNode {
    struct nfs_context *nfs;
    struct nfsfh *file;
    uint64_t piece, write_piece;
    pthread_mutex_t lock; /* libnfs has one user at a time for a context */
} NfsNode;

static NfsNode *nfs_of(BlockNode *n) { return n->opaque; }

static void nfs_node_close(BlockNode *n)
{
    NfsNode *d = nfs_of(n);
    if (d->file)
        lib.nfs_close(d->nfs, d->file);
    if (d->nfs)
        lib.nfs_destroy_context(d->nfs);
    pthread_mutex_destroy(&d->lock);
}

static bool nfs_parse(const char *filename, Opts *o, Error **errp)
{
    g_autoptr(GError) err = NULL;
    g_autoptr(GUri) uri = g_uri_parse(filename, G_URI_FLAGS_ENCODED_QUERY, &err);
    const char *host = uri ? g_uri_get_host(uri) : NULL, *query = uri ? g_uri_get_query(uri) : NULL;
    static const char *const names[][2] = { { "uid", "user" },
                                            { "gid", "group" },
                                            { "version", "version" },
                                            { "nfsport", "port" },
                                            { "mountport", "mountport" } };
    if (!host || !*host || strlen(g_uri_get_path(uri)) < 2) {
        error_setf(errp, "image '%s': write nfs://HOST/EXPORT/FILE", filename);
        return false;
    }
    opts_set(o, "server.host", host);
    opts_set(o, "path", g_uri_get_path(uri));
    g_autoptr(GHashTable) params = query ? g_uri_parse_params(query, -1, "&", G_URI_PARAMS_NONE, NULL) : NULL;
    for (unsigned i = 0; params && i < G_N_ELEMENTS(names); i++) {
        const char *value = g_hash_table_lookup(params, names[i][0]);
        if (value)
            opts_set(o, names[i][1], value);
    }
    return true;
}

/* What libnfs takes by URL only. */
static bool set_parameters(NfsNode *d, Opts *o, const char *host, const char *path, Error **errp)
{
    uint64_t user, group, version, port, mountport;
    if (!opts_get_u64(o, "user", UINT64_MAX, &user, errp) || !opts_get_u64(o, "group", UINT64_MAX, &group, errp) ||
        !opts_get_u64(o, "version", 3, &version, errp) || !opts_get_u64(o, "port", 0, &port, errp) ||
        !opts_get_u64(o, "mountport", 0, &mountport, errp))
        return false;
    g_autoptr(GString) url = g_string_new(NULL);
    g_string_printf(url, "nfs://%s%s?version=%u", host, path, (unsigned)version);
    if (port)
        g_string_append_printf(url, "&nfsport=%u", (unsigned)port);
    if (mountport)
        g_string_append_printf(url, "&mountport=%u", (unsigned)mountport);
    d->write_piece = version == 4 ? PIECE_V4 : PIECE_MAX;
    struct nfs_url *parsed = lib.nfs_parse_url_full(d->nfs, url->str);
    if (parsed)
        lib.nfs_destroy_url(parsed);
    if (user != UINT64_MAX)
        lib.nfs_set_uid(d->nfs, (int)user);
    if (group != UINT64_MAX)
        lib.nfs_set_gid(d->nfs, (int)group);
    return true;
}

static bool mount_and_open(BlockNode *n, const char *host, const char *path, Error **errp)
{
    NfsNode *d = nfs_of(n);
    struct nfs_stat_64 st;
    g_autofree char *dir = g_path_get_dirname(path), *base = g_path_get_basename(path),
                    *file = g_strconcat("/", base, NULL);
    int r = lib.nfs_mount(d->nfs, host, dir);
    if (!r)
        r = lib.nfs_open(d->nfs, file, n->flags & BLOCK_RDWR ? O_RDWR : O_RDONLY, &d->file);
    if (r == -EACCES && n->flags & BLOCK_RDWR && n->flags & BLOCK_AUTO_RDONLY) {
        n->flags &= ~(unsigned)BLOCK_RDWR;
        r = lib.nfs_open(d->nfs, file, O_RDONLY, &d->file);
    }
    if (!r)
        r = lib.nfs_fstat64(d->nfs, d->file, &st);
    if (r) {
        error_setf(errp, "image 'nfs://%s%s': %s", host, path, lib.nfs_get_error(d->nfs));
        return false;
    }
    n->size = st.nfs_size;
    d->piece = MIN(MIN(lib.nfs_get_readmax(d->nfs), lib.nfs_get_writemax(d->nfs)), (uint64_t)PIECE_MAX);
    d->piece = MAX(d->piece, (uint64_t)4096);
    return true;
}

static bool nfs_node_open(BlockNode *n, Opts *o, Error **errp)
{
    NfsNode *d = nfs_of(n);
    const char *host = opts_get(o, "server.host"), *path = opts_get(o, "path");
    if (!lib_load(errp))
        return false;
    opts_get(o, "server.type");
    opts_get(o, "filename");
    if (!host || !path) {
        error_setf(errp, "block driver 'nfs': which file? give server.host=HOST,path=/EXPORT/FILE");
        return false;
    }
    pthread_mutex_init(&d->lock, NULL);
    d->nfs = lib.nfs_init_context();
    if (d->nfs && set_parameters(d, o, host, path, errp) && mount_and_open(n, host, path, errp))
        return true;
    nfs_node_close(n);
    return false;
}

static int transfer(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, bool write)
{
    NfsNode *d = nfs_of(n);
    g_autofree uint8_t *buf = g_malloc(MIN(len, d->piece));
    int r = 0;
    for (uint64_t done = 0; done < len && !r;) {
        uint64_t part = MIN(len - done, write ? MIN(d->piece, d->write_piece) : d->piece);
        if (write)
            iov_to_buf(iov, iovcnt, done, buf, part);
        pthread_mutex_lock(&d->lock);
        int got = write ? lib.nfs_pwrite(d->nfs, d->file, offset + done, part, buf)
                        : lib.nfs_pread(d->nfs, d->file, offset + done, part, buf);
        pthread_mutex_unlock(&d->lock);
        if (got < 0 || (write && !got)) {
            r = got < 0 ? got : -EIO;
        } else if (!got) { /* beyond the end */
            iov_zero(iov, iovcnt, done, len - done);
            done = len;
        } else if (!write) {
            iov_from_buf(iov, iovcnt, done, buf, (size_t)got);
        }
        done += (uint64_t)MAX(got, 0);
    }
    return r;
}

static int nfs_node_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return transfer(n, offset, len, iov, iovcnt, false);
}

static int nfs_node_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt,
                            unsigned flags)
{
    int r = transfer(n, offset, len, iov, iovcnt, true);
    if (!r)
        block_grown(n, offset + len);
    return r;
}

static int nfs_node_flush(BlockNode *n)
{
    NfsNode *d = nfs_of(n);
    pthread_mutex_lock(&d->lock);
    int r = lib.nfs_fsync(d->nfs, d->file);
    pthread_mutex_unlock(&d->lock);
    return r;
}

static bool nfs_node_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp)
{
    NfsNode *d = nfs_of(n);
    pthread_mutex_lock(&d->lock);
    int r = prealloc == PREALLOC_OFF ? lib.nfs_ftruncate(d->nfs, d->file, size) : -ENOTSUP;
    pthread_mutex_unlock(&d->lock);
    if (r)
        error_set_errno(errp, -r, "image '%s': can't be resized", block_filename(n));
    else
        n->size = size;
    return !r;
}

static const char *const nfs_schemes[] = { "nfs", NULL };
static const char *const nfs_options[] = { "server.type", "server.host", "path",      "user", "group",
                                           "version",     "port",        "mountport", NULL };
static const BlockDriver nfs_driver = {
    .name = "nfs",
    .desc = "a file on an NFS server",
    .protocol = true,
    .grows = true,
    .instance_size = sizeof(NfsNode),
    .schemes = nfs_schemes,
    .options = nfs_options,
    .parse_filename = nfs_parse,
    .open = nfs_node_open,
    .close = nfs_node_close,
    .preadv = nfs_node_preadv,
    .pwritev = nfs_node_pwritev,
    .flush = nfs_node_flush,
    .truncate = nfs_node_truncate,
};
BLOCK_DRIVER_REGISTER(nfs_driver)
#endif

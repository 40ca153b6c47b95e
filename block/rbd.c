/* SPDX-License-Identifier: MIT */
/* Protocol "rbd": an image in a Ceph cluster (librbd, loaded when the first one is opened: it is large). */
#include "rhea-config.h"
#include "block/driver.h"

#ifdef HAVE_RBD
#include <dlfcn.h>
#include <rbd/librbd.h>
#include <string.h>

/* The functions that are used, by their names in librados and librbd. */
#define RADOS(X) \
    X(rados_create) X(rados_conf_read_file) X(rados_conf_set) X(rados_connect) X(rados_shutdown) X(rados_ioctx_create) \
    X(rados_ioctx_destroy) X(rados_ioctx_set_namespace)
#define RBD(X) \
    X(rbd_open) X(rbd_open_read_only) X(rbd_close) X(rbd_get_size) X(rbd_read) X(rbd_write) X(rbd_discard) \
    X(rbd_flush) X(rbd_resize)
static struct {
#define X(name) __typeof__(name) *name;
    RADOS(X) RBD(X)
#undef X
} lib;

typedef struct RbdNode { rados_t cluster; rados_ioctx_t pool; rbd_image_t image; } RbdNode;
static RbdNode *rbd_of(BlockNode *n) { return n->opaque; }

static bool load(Error **errp)
{
    static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
    static bool loaded;
    pthread_mutex_lock(&once);
    void *rados = loaded ? NULL : dlopen("librados.so.2", RTLD_NOW | RTLD_GLOBAL),
         *rbd = rados ? dlopen("librbd.so.1", RTLD_NOW) : NULL;
    if (rbd) {
        loaded = true;
#define X(name) loaded &= (lib.name = (__typeof__(name) *)dlsym(rados, #name)) != NULL;
        RADOS(X)
#undef X
#define X(name) loaded &= (lib.name = (__typeof__(name) *)dlsym(rbd, #name)) != NULL;
        RBD(X)
#undef X
    }
    pthread_mutex_unlock(&once);
    if (!loaded)
        error_setf(errp, "rbd: the library of Ceph can't be loaded; install librbd1");
    return loaded;
}

/* rbd:POOL[/NAMESPACE]/IMAGE[@SNAPSHOT][:KEY=VALUE…] */
static bool rbd_parse(const char *filename, Opts *o, Error **errp)
{
    g_auto(GStrv) parts = g_strsplit(filename + 4, ":", -1);
    g_auto(GStrv) path = g_strsplit(parts[0] ? parts[0] : "", "/", 3);
    unsigned n = g_strv_length(path);
    if (n < 2 || !*path[0] || !*path[n - 1]) {
        error_setf(errp, "image '%s': write rbd:POOL/IMAGE[@SNAPSHOT][:id=USER][:conf=FILE]", filename);
        return false;
    }
    char *at = strchr(path[n - 1], '@');
    if (at) {
        *at = 0;
        opts_set(o, "snapshot", at + 1);
    }
    opts_set(o, "pool", path[0]);
    opts_set(o, "image", path[n - 1]);
    if (n == 3)
        opts_set(o, "namespace", path[1]);
    for (char **p = parts + 1; parts[0] && *p; p++) {
        char *eq = strchr(*p, '=');
        if (eq)
            *eq = 0;
        opts_set(o, !strcmp(*p, "id") ? "user" : *p, eq ? eq + 1 : "on");
    }
    return true;
}

static void rbd_node_close(BlockNode *n)
{
    RbdNode *d = rbd_of(n);
    if (d->image)
        lib.rbd_close(d->image);
    if (d->pool)
        lib.rados_ioctx_destroy(d->pool);
    if (d->cluster)
        lib.rados_shutdown(d->cluster);
}

static int connect_cluster(RbdNode *d, const char *user, const char *conf, const char *pool, const char *namespace)
{
    int r = lib.rados_create(&d->cluster, user);
    if (!r)
        r = lib.rados_conf_read_file(d->cluster, conf);
    if (r == -ENOENT && !conf)
        r = 0;
    if (!r) { /* a cluster that does not answer is an error, in time */
        lib.rados_conf_set(d->cluster, "client_mount_timeout", "15");
        lib.rados_conf_set(d->cluster, "rados_mon_op_timeout", "15");
        r = lib.rados_connect(d->cluster);
    }
    if (!r)
        r = lib.rados_ioctx_create(d->cluster, pool, &d->pool);
    if (!r && namespace)
        lib.rados_ioctx_set_namespace(d->pool, namespace);
    return r;
}

static bool rbd_node_open(BlockNode *n, Opts *o, Error **errp)
{
    RbdNode *d = rbd_of(n);
    const char *pool = opts_get(o, "pool"), *image = opts_get(o, "image"), *snapshot = opts_get(o, "snapshot"),
               *user = opts_get(o, "user"), *conf = opts_get(o, "conf"), *namespace = opts_get(o, "namespace");
    uint64_t size = 0;
    opts_get(o, "filename");
    if (!pool || !image) {
        error_setf(errp, "block driver 'rbd': which image? give pool=POOL,image=NAME");
        return false;
    }
    if (!load(errp))
        return false;
    bool write = n->flags & BLOCK_RDWR && !snapshot;
    n->flags &= write ? ~0u : ~(unsigned)BLOCK_RDWR;
    int r = connect_cluster(d, user, conf, pool, namespace);
    const char *where = r ? "the cluster can't be reached; is conf= right, and the keyring readable"
                          : "the image can't be opened";
    if (!r)
        r = write ? lib.rbd_open(d->pool, image, &d->image, snapshot)
                  : lib.rbd_open_read_only(d->pool, image, &d->image, snapshot);
    if (!r)
        r = lib.rbd_get_size(d->image, &size);
    n->size = size;
    if (r < 0) {
        error_set_errno(errp, -r, "image 'rbd:%s/%s': %s", pool, image, where);
        rbd_node_close(n);
    }
    return r >= 0;
}

static int transfer(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, bool write)
{
    g_autofree char *joined = iovcnt > 1 ? g_malloc(len) : NULL;
    char *buf = joined ? joined : iov->iov_base;
    if (write && joined)
        iov_to_buf(iov, iovcnt, 0, buf, len);
    ssize_t r = write ? lib.rbd_write(rbd_of(n)->image, offset, len, buf)
                      : lib.rbd_read(rbd_of(n)->image, offset, len, buf);
    if (r >= 0 && !write && joined)
        iov_from_buf(iov, iovcnt, 0, buf, len);
    return r < 0 ? (int)r : (uint64_t)r == len ? 0 : -EIO;
}

static int rbd_node_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return transfer(n, offset, len, iov, iovcnt, false);
}

static int rbd_node_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt,
                            unsigned flags)
{
    return transfer(n, offset, len, iov, iovcnt, true);
}

static int rbd_node_discard(BlockNode *n, uint64_t offset, uint64_t len)
{
    int r = lib.rbd_discard(rbd_of(n)->image, offset, len);
    return MIN(r, 0);
}
static int rbd_node_flush(BlockNode *n) { return lib.rbd_flush(rbd_of(n)->image); }

static bool rbd_node_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp)
{
    int r = prealloc == PREALLOC_OFF ? lib.rbd_resize(rbd_of(n)->image, size) : -ENOTSUP;
    if (r)
        error_set_errno(errp, -r, "image '%s': can't be resized", block_filename(n));
    else
        n->size = size;
    return !r;
}

static const char *const rbd_schemes[] = { "rbd", NULL };
static const char *const rbd_options[] = { "pool", "image", "namespace", "snapshot", "user", "conf", NULL };
static const BlockDriver rbd_driver = {
    .name = "rbd",
    .desc = "an image in a Ceph cluster",
    .protocol = true,
    .instance_size = sizeof(RbdNode),
    .schemes = rbd_schemes,
    .options = rbd_options,
    .parse_filename = rbd_parse,
    .open = rbd_node_open,
    .close = rbd_node_close,
    .preadv = rbd_node_preadv,
    .pwritev = rbd_node_pwritev,
    .pdiscard = rbd_node_discard,
    .flush = rbd_node_flush,
    .truncate = rbd_node_truncate,
};
BLOCK_DRIVER_REGISTER(rbd_driver)
#endif

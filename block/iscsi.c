/* SPDX-License-Identifier: MIT */
/* Protocol "iscsi": a logical unit of an iSCSI target (libiscsi). */
#include "rhea-config.h"
#include "block/library.h"

#ifdef HAVE_LIBISCSI
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <string.h>
#include "base/bits.h"
#include "crypto/secret.h"

/* The functions that are used. */
#define FUNCTIONS(X) \
    X(iscsi_get_error) X(iscsi_is_logged_in) X(iscsi_logout_sync) X(iscsi_destroy_context) \
    X(iscsi_readcapacity16_sync) \
    X(scsi_free_scsi_task) X(scsi_datain_unmarshall) X(iscsi_set_initiator_username_pwd) X(iscsi_set_targetname) \
    X(iscsi_set_session_type) X(iscsi_set_header_digest) X(iscsi_set_timeout) X(iscsi_set_reconnect_max_retries) \
    X(iscsi_set_noautoreconnect) X(iscsi_full_connect_sync) X(iscsi_create_context) X(iscsi_parse_full_url) \
    X(iscsi_destroy_url) \
    X(iscsi_write16_sync) X(iscsi_read16_sync) X(iscsi_synchronizecache16_sync) X(scsi_create_task) \
    X(iscsi_scsi_command_sync)
LIBRARY(lib, "libiscsi.so.7", "libiscsi7", FUNCTIONS)

enum { PIECE = 256 << 10, TIMEOUT = 30 };

typedef struct IscsiNode {
    struct iscsi_context *iscsi;
    int lun;
    unsigned block;
    pthread_mutex_t lock; /* libiscsi has one user at a time for a context */
} IscsiNode;

static IscsiNode *iscsi_of(BlockNode *n) { return n->opaque; }

/* The library's words, of which some end a line. */
static void set_error(IscsiNode *d, const char *what, Error **errp)
{
    g_auto(GStrv) lines = g_strsplit(lib.iscsi_get_error(d->iscsi), "\n", 2);
    error_setf(errp, "%s%s", what, lines[0] ? lines[0] : "");
}

static void iscsi_node_close(BlockNode *n)
{
    IscsiNode *d = iscsi_of(n);
    if (d->iscsi) {
        if (lib.iscsi_is_logged_in(d->iscsi))
            lib.iscsi_logout_sync(d->iscsi);
        lib.iscsi_destroy_context(d->iscsi);
    }
    pthread_mutex_destroy(&d->lock);
}

static bool iscsi_parse(const char *filename, Opts *o, Error **errp)
{
    opts_set(o, "url", filename);
    return true;
}

static bool find_size(BlockNode *n, Error **errp)
{
    IscsiNode *d = iscsi_of(n);
    struct scsi_task *t = NULL;
    for (unsigned i = 0; i < 3; i++) { /* the first commands of a session may be answered by a unit attention */
        t = lib.iscsi_readcapacity16_sync(d->iscsi, d->lun);
        if (!t || t->status == SCSI_STATUS_GOOD)
            break;
        lib.scsi_free_scsi_task(t);
        t = NULL;
    }
    struct scsi_readcapacity16 *c = t ? lib.scsi_datain_unmarshall(t) : NULL;
    bool ok = c && is_pow2(c->block_length) && c->block_length >= 512 && c->block_length <= 64 << 10 &&
              c->returned_lba < INT64_MAX / c->block_length;
    if (ok) {
        d->block = c->block_length;
        n->size = (c->returned_lba + 1) * c->block_length;
        n->request_align = d->block;
    } else {
        set_error(d, "the unit does not tell its size: ", errp);
    }
    if (t)
        lib.scsi_free_scsi_task(t);
    return ok;
}

static bool log_in(BlockNode *n, Opts *o, const struct iscsi_url *u, Error **errp)
{
    IscsiNode *d = iscsi_of(n);
    const char *user = opts_get(o, "user"), *secret = opts_get(o, "password-secret");
    g_autofree char *password = secret ? secret_get_text(secret, errp) : g_strdup(u->passwd);
    if (secret && !password)
        return false;
    user = user ? user : u->user;
    if (*user)
        lib.iscsi_set_initiator_username_pwd(d->iscsi, user, password);
    lib.iscsi_set_targetname(d->iscsi, u->target);
    lib.iscsi_set_session_type(d->iscsi, ISCSI_SESSION_NORMAL);
    lib.iscsi_set_header_digest(d->iscsi, ISCSI_HEADER_DIGEST_NONE_CRC32C);
    lib.iscsi_set_timeout(d->iscsi, TIMEOUT);
    lib.iscsi_set_reconnect_max_retries(d->iscsi, 3);
    lib.iscsi_set_noautoreconnect(d->iscsi, 1); /* for the login */
    d->lun = u->lun;
    if (!lib.iscsi_full_connect_sync(d->iscsi, u->portal, u->lun)) {
        lib.iscsi_set_noautoreconnect(d->iscsi, 0);
        return find_size(n, errp);
    }
    set_error(d, "", errp);
    return false;
}

static bool iscsi_node_open(BlockNode *n, Opts *o, Error **errp)
{
    IscsiNode *d = iscsi_of(n);
    const char *url = opts_get(o, "url"), *initiator = opts_get(o, "initiator-name"), *portal = opts_get(o, "portal"),
               *target = opts_get(o, "target"), *lun = opts_get(o, "lun");
    if (!lib_load(errp))
        return false;
    opts_get(o, "filename");
    opts_get(o, "transport");
    g_autofree char *made = portal && target ? g_strdup_printf("iscsi://%s/%s/%s", portal, target, lun ? lun : "0")
                                             : NULL;
    url = made ? made : url;
    if (!url) {
        error_setf(errp, "block driver 'iscsi': which unit? give portal=HOST[:PORT],target=NAME,lun=N");
        return false;
    }
    pthread_mutex_init(&d->lock, NULL);
    d->iscsi = lib.iscsi_create_context(initiator ? initiator : "iqn.2008-11.org.linux-kvm");
    struct iscsi_url *u = d->iscsi ? lib.iscsi_parse_full_url(d->iscsi, url) : NULL;
    if (!u)
        error_setf(errp, "image 'iscsi:': write iscsi://[USER%%PASSWORD@]HOST[:PORT]/TARGET/LUN");
    bool ok = u && log_in(n, o, u, errp);
    if (u) {
        g_free(n->filename);
        n->filename = g_strdup_printf("iscsi://%s/%s/%d", u->portal, u->target, u->lun);
        if (!ok)
            error_prependf(errp, "image '%s'", n->filename);
        lib.iscsi_destroy_url(u);
    }
    if (!ok)
        iscsi_node_close(n);
    return ok;
}

/* --- I/O --- */

static int finish(struct scsi_task *t)
{
    int r = t && t->status == SCSI_STATUS_GOOD ? 0 : -EIO;
    if (t)
        lib.scsi_free_scsi_task(t);
    return r;
}

static int piece(IscsiNode *d, uint64_t offset, uint32_t len, uint8_t *buf, bool write)
{
    int r = -EIO;
    pthread_mutex_lock(&d->lock);
    for (unsigned i = 0; i < 3 && r; i++) {
        struct scsi_task *t =
            write ? lib.iscsi_write16_sync(d->iscsi, d->lun, offset / d->block, buf, len, (int)d->block, 0, 0, 0, 0, 0)
                  : lib.iscsi_read16_sync(d->iscsi, d->lun, offset / d->block, len, (int)d->block, 0, 0, 0, 0, 0);
        bool good = t && t->status == SCSI_STATUS_GOOD && (write || t->datain.size >= (int)len);
        if (good && !write)
            memcpy(buf, t->datain.data, len);
        if (t)
            lib.scsi_free_scsi_task(t);
        r = good ? 0 : -EIO;
        if (!t)
            break;
    }
    pthread_mutex_unlock(&d->lock);
    return r;
}

static int transfer(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, bool write)
{
    g_autofree uint8_t *buf = g_malloc(MIN(len, (uint64_t)PIECE));
    int r = 0;
    for (uint64_t done = 0; done < len && !r; done += PIECE) {
        uint32_t part = (uint32_t)MIN(len - done, (uint64_t)PIECE);
        if (write)
            iov_to_buf(iov, iovcnt, done, buf, part);
        r = piece(iscsi_of(n), offset + done, part, buf, write);
        if (!r && !write)
            iov_from_buf(iov, iovcnt, done, buf, part);
    }
    return r;
}

static int iscsi_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return transfer(n, offset, len, iov, iovcnt, false);
}

static int iscsi_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt,
                         unsigned flags)
{
    return transfer(n, offset, len, iov, iovcnt, true);
}

static int iscsi_flush(BlockNode *n)
{
    IscsiNode *d = iscsi_of(n);
    pthread_mutex_lock(&d->lock);
    int r = finish(lib.iscsi_synchronizecache16_sync(d->iscsi, d->lun, 0, 0, 0, 0));
    pthread_mutex_unlock(&d->lock);
    return r;
}

/* What the unit said of a failure, as the library tells it: in fixed format. */
static void put_sense(BlockScsi *s, const struct scsi_task *t)
{
    const uint8_t fixed[18] = {
        0x70, [2] = (uint8_t)t->sense.key, [7] = 10, [12] = (uint8_t)(t->sense.ascq >> 8), [13] = (uint8_t)t->sense.ascq
    };
    memcpy(s->sense, fixed, sizeof fixed);
    s->sense_len = sizeof fixed;
}

static int iscsi_scsi(BlockNode *n, BlockScsi *s, const struct iovec *iov, int iovcnt)
{
    IscsiNode *d = iscsi_of(n);
    size_t bytes = iov_bytes(iov, iovcnt);
    if (s->cdb_len > 16 || bytes > INT32_MAX)
        return -ENOTSUP;
    struct scsi_task *t = lib.scsi_create_task(s->cdb_len, s->cdb,
                                               !bytes   ? SCSI_XFER_NONE
                                               : s->out ? SCSI_XFER_WRITE
                                                        : SCSI_XFER_READ,
                                               (int)bytes);
    g_autofree uint8_t *buf = s->out && bytes ? g_malloc(bytes) : NULL;
    struct iscsi_data data = { .size = bytes, .data = buf };
    if (!t)
        return -ENOMEM;
    if (buf)
        iov_to_buf(iov, iovcnt, 0, buf, bytes);
    pthread_mutex_lock(&d->lock);
    bool there = lib.iscsi_scsi_command_sync(d->iscsi, d->lun, t, buf ? &data : NULL);
    pthread_mutex_unlock(&d->lock);
    int r = there && t->status >= 0 && t->status <= UINT8_MAX ? 0 : -EIO;
    s->status = (uint8_t)t->status;
    s->done = s->out ? bytes : MIN(bytes, (size_t)MAX(t->datain.size, 0));
    if (t->residual_status == SCSI_RESIDUAL_UNDERFLOW && s->out)
        s->done -= MIN(t->residual, bytes);
    if (!r && s->status == SCSI_STATUS_CHECK_CONDITION) {
        put_sense(s, t);
        s->done = 0;
    } else if (!r && !s->out) {
        iov_from_buf(iov, iovcnt, 0, t->datain.data, s->done);
    }
    lib.scsi_free_scsi_task(t);
    return r;
}

static const char *const iscsi_schemes[] = { "iscsi", NULL };
static const char *const iscsi_options[] = { "url",  "portal",          "target",         "lun", "transport",
                                             "user", "password-secret", "initiator-name", NULL };
static const BlockDriver iscsi_driver = {
    .name = "iscsi",
    .desc = "a unit of an iSCSI target",
    .protocol = true,
    .instance_size = sizeof(IscsiNode),
    .schemes = iscsi_schemes,
    .options = iscsi_options,
    .parse_filename = iscsi_parse,
    .open = iscsi_node_open,
    .close = iscsi_node_close,
    .preadv = iscsi_preadv,
    .pwritev = iscsi_pwritev,
    .flush = iscsi_flush,
    .scsi = iscsi_scsi,
};
BLOCK_DRIVER_REGISTER(iscsi_driver)
#endif

/* SPDX-License-Identifier: MIT */
/* Format "luks": a disk encrypted as a LUKS1 volume, as cryptsetup makes them. */
#include <string.h>
#include "base/bits.h"
#include "block/crypto/crypto.h"
#include "crypto/secret.h"

typedef struct LuksNode {
    Luks *luks;
    CryptoSectors *sectors; /* NULL: opened without a key, for information */
    uint64_t payload;
} LuksNode;

static LuksNode *luks_of(BlockNode *n) { return n->opaque; }

/* --- opening --- */

static bool unlock(BlockNode *n, const LuksIo *io, const char *id, Error **errp)
{
    LuksNode *l = luks_of(n);
    if (!id) {
        error_setf(errp, "image '%s' is encrypted; add -object secret,id=NAME,file=PATH and key-secret=NAME",
                   block_filename(n));
        return false;
    }
    char *passphrase = secret_get_text(id, errp);
    if (!passphrase)
        return false;
    l->sectors = luks_unlock(l->luks, io, passphrase, errp);
    crypto_wipe_free(passphrase, strlen(passphrase));
    return l->sectors;
}

static void luks_close(BlockNode *n)
{
    crypto_sectors_free(luks_of(n)->sectors);
    luks_free(luks_of(n)->luks);
}

static bool luks_node_open(BlockNode *n, Opts *o, Error **errp)
{
    LuksNode *l = luks_of(n);
    CryptIo c;
    const char *id = opts_get(o, "key-secret");
    crypt_io(&c, n->file, 0, block_size(n->file), block_filename(n));
    l->luks = luks_open(&c.io, errp);
    if (!l->luks)
        return false;
    l->payload = luks_payload_offset(l->luks);
    bool ok = l->payload <= block_size(n->file);
    if (!ok)
        error_setf(errp, "image '%s' is shorter than its LUKS header says", block_filename(n));
    ok = ok && ((n->flags & (BLOCK_NO_IO | BLOCK_CHECK) && !id) || unlock(n, &c.io, id, errp));
    if (!ok) {
        luks_close(n);
        return false;
    }
    n->size = align_down(block_size(n->file) - l->payload, CRYPTO_SECTOR);
    n->request_align = CRYPTO_SECTOR;
    n->any_memory = true;
    return true;
}

static unsigned luks_probe(const uint8_t *head, size_t len, const char *filename)
{
    return len >= 8 && !memcmp(head, "LUKS\xba\xbe\0\1", 8) ? 100 : 0;
}

/* --- requests --- */

static int luks_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    LuksNode *l = luks_of(n);
    return l->sectors ? crypt_preadv(n->file, l->sectors, l->payload + offset, offset, iov, iovcnt) : -ENOKEY;
}

static int luks_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt,
                        unsigned flags)
{
    LuksNode *l = luks_of(n);
    return flags & BLOCK_REQ_COMPRESSED ? -ENOTSUP
           : l->sectors                 ? crypt_pwritev(n->file, l->sectors, l->payload + offset, offset, iov, iovcnt)
                                        : -ENOKEY;
}

static int luks_flush(BlockNode *n) { return block_flush(n->file); }

static bool luks_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp)
{
    size = align_up(size, CRYPTO_SECTOR);
    if (!block_truncate(n->file, luks_of(n)->payload + size, prealloc, true, errp))
        return false;
    n->size = size;
    return true;
}

/* Holes of the file are no zeroes of the disk. */
static int luks_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out)
{
    *out = (BlockStatus){ BLOCK_DATA | BLOCK_ALLOCATED | BLOCK_OFFSET_VALID, len, luks_of(n)->payload + offset, n->file,
                          0 };
    return 0;
}

/* --- information, options --- */

static bool luks_info(BlockNode *n, BlockInfo *out, Error **errp)
{
    out->encrypted = true;
    g_ptr_array_add(out->details, g_strdup("")); /* the whole object */
    g_ptr_array_add(out->details, luks_describe(luks_of(n)->luks, false));
    return true;
}

static bool luks_node_amend(BlockNode *n, Opts *o, bool force, Error **errp)
{
    CryptIo c;
    crypt_io(&c, n->file, 0, luks_of(n)->payload, block_filename(n));
    return luks_amend(luks_of(n)->luks, &c.io, o, "", force, errp);
}

/* --- creation --- */

static bool write_header(BlockNode *file, const LuksParams *p, const char *passphrase, Error **errp)
{
    CryptIo c;
    crypt_io(&c, file, 0, luks_header_size(p), block_filename(file));
    return luks_create(&c.io, p, passphrase, errp);
}

static bool luks_node_create(const char *filename, uint64_t size, Opts *o, Error **errp)
{
    LuksParams p;
    BlockPrealloc prealloc = PREALLOC_OFF;
    const char *id = opts_get(o, "key-secret"), *text = opts_get(o, "preallocation");
    if (!luks_params(o, "", &p, errp) || (text && !block_parse_prealloc(text, &prealloc, errp)))
        return false;
    if (!id || prealloc == PREALLOC_METADATA) {
        error_setf(errp,
                   id ? "image '%s': luks has no preallocation=metadata; use falloc or full"
                      : "image '%s': a luks image needs a passphrase; add --object secret,id=NAME,file=PATH -o "
                        "key-secret=NAME",
                   filename);
        return false;
    }
    char *passphrase = secret_get_text(id, errp);
    if (!passphrase)
        return false;
    BlockNode *f = block_new_file(filename, errp);
    bool ok = f && block_truncate(f, luks_header_size(&p) + align_up(size, CRYPTO_SECTOR), prealloc, true, errp) &&
              write_header(f, &p, passphrase, errp);
    block_unref(f);
    crypto_wipe_free(passphrase, strlen(passphrase));
    return ok;
}

static bool luks_measure(Opts *o, BlockNode *n, uint64_t size, uint64_t *required, uint64_t *fully, Error **errp)
{
    LuksParams p;
    opts_get(o, "key-secret");
    if (!luks_params(o, "", &p, errp))
        return false;
    *required = *fully = luks_header_size(&p) + size;
    return true;
}

static const char *const luks_options[] = { "key-secret", NULL };
static const BlockCreateOption luks_create_options[] = {
    { "size", "size", "virtual disk size", NULL },
    LUKS_CREATE_OPTIONS(""),
    { "preallocation", "string", "off, falloc or full: what of the file is allocated at once", "off" },
    { NULL }
};
static const BlockCreateOption luks_amend_options[] = { LUKS_AMEND_OPTIONS(""), { NULL } };
static const BlockDriver luks_driver = {
    .name = "luks",
    .desc = "LUKS version 1: encrypted, as cryptsetup makes it",
    .new_is_noise = true,
    .instance_size = sizeof(LuksNode),
    .options = luks_options,
    .create_options = luks_create_options,
    .amend_options = luks_amend_options,
    .probe = luks_probe,
    .open = luks_node_open,
    .close = luks_close,
    .preadv = luks_preadv,
    .pwritev = luks_pwritev,
    .flush = luks_flush,
    .status = luks_status,
    .truncate = luks_truncate,
    .info = luks_info,
    .create = luks_node_create,
    .amend = luks_node_amend,
    .measure = luks_measure,
};
BLOCK_DRIVER_REGISTER(luks_driver)

/* SPDX-License-Identifier: MIT */
/*
 * qcow2: encryption of guest data (specification, "Data encryption"): LUKS by host offsets, the legacy AES by guest
 * offsets.
 */
#include <string.h>
#include "block/crypto/crypto.h"
#include "block/qcow2/qcow2.h"

enum { METHOD_AES = 1, METHOD_LUKS = 2 };

/* --- guest data --- */

static uint64_t iv_offset(const Qcow2 *q, uint64_t guest, uint64_t host)
{
    return q->crypt_method == METHOD_AES ? guest : host;
}

int q2_data_preadv(BlockNode *n, uint64_t guest, uint64_t host, const struct iovec *iov, int iovcnt)
{
    Qcow2 *q = q2_of(n);
    if (!q->crypt_method)
        return block_preadv(q->data, host, iov, iovcnt);
    return q->sectors ? crypt_preadv(q->data, q->sectors, host, iv_offset(q, guest, host), iov, iovcnt) : -ENOKEY;
}

int q2_data_pwritev(BlockNode *n, uint64_t guest, uint64_t host, const struct iovec *iov, int iovcnt)
{
    Qcow2 *q = q2_of(n);
    if (!q->crypt_method)
        return block_pwritev(q->data, host, iov, iovcnt, 0);
    return q->sectors ? crypt_pwritev(q->data, q->sectors, host, iv_offset(q, guest, host), iov, iovcnt) : -ENOKEY;
}

int q2_data_preadv_nowait(BlockNode *n, uint64_t guest, uint64_t host, const struct iovec *iov, int iovcnt)
{
    Qcow2 *q = q2_of(n);
    if (q->crypt_method && (!q->sectors || !crypt_fits(iov, iovcnt)))
        return -EAGAIN;
    int r = block_preadv_nowait(q->data, host, iov, iovcnt);
    return r || !q->crypt_method ? r : crypt_decrypt(q->sectors, iv_offset(q, guest, host), iov, iovcnt);
}

/* --- opening --- */

static const Q2Extension *luks_extension(const Qcow2 *q)
{
    for (unsigned i = 0; i < q->extensions->len; i++) {
        const Q2Extension *e = &g_array_index(q->extensions, Q2Extension, i);
        if (e->magic == EXT_LUKS && e->len >= 16)
            return e;
    }
    return NULL;
}

static bool luks_place(BlockNode *n, CryptIo *c, Error **errp)
{
    Qcow2 *q = q2_of(n);
    const Q2Extension *e = luks_extension(q);
    uint64_t offset = e ? load_be(e->data, 8) : 0, len = e ? load_be(e->data + 8, 8) : 0;
    if (e && offset && !(offset & (q->cluster_size - 1)) && len >= LUKS_HEADER_BYTES && offset <= INT64_MAX / 2 &&
        len <= INT64_MAX / 2) {
        crypt_io(c, n->file, offset, len, block_filename(n));
        return true;
    }
    error_setf(errp, "image '%s' is no valid qcow2 image: it is encrypted, and does not say by which LUKS header",
               block_filename(n));
    return false;
}

bool q2_crypt_open(BlockNode *n, Opts *o, Error **errp)
{
    static const char *const formats[] = { "", "aes", "luks", NULL };
    Qcow2 *q = q2_of(n);
    const char *id = opts_get(o, "encrypt.key-secret");
    unsigned format = q->crypt_method;
    CryptIo c;
    if (!opts_get_enum(o, "encrypt.format", formats, &format, errp))
        return false;
    if (format != q->crypt_method || (id && !q->crypt_method)) {
        error_setf(errp, "image '%s' is %s%s; leave encrypt.%s out", block_filename(n),
                   q->crypt_method ? "encrypted by " : "not encrypted", formats[q->crypt_method],
                   format != q->crypt_method ? "format" : "key-secret");
        return false;
    }
    if (!q->crypt_method || n->flags & BLOCK_CHECK)
        return true;
    if (block_size(n) % CRYPTO_SECTOR) {
        error_setf(errp, "image '%s' is no valid qcow2 image: it is encrypted, and its size is no multiple of 512",
                   block_filename(n));
        return false;
    }
    n->request_align = CRYPTO_SECTOR;
    n->any_memory = true;
    if (q->crypt_method == METHOD_LUKS) {
        q->luks = luks_place(n, &c, errp) ? luks_open(&c.io, errp) : NULL;
        if (!q->luks)
            return false;
    }
    if (n->flags & BLOCK_NO_IO && !id)
        return true;
    char *passphrase = crypt_passphrase(n, id, errp);
    if (!passphrase)
        return false;
    q->sectors = q->luks ? luks_unlock(q->luks, &c.io, passphrase, errp) : crypt_legacy_aes(passphrase, errp);
    crypto_wipe_free(passphrase, strlen(passphrase));
    return q->sectors;
}

void q2_crypt_close(Qcow2 *q)
{
    crypto_sectors_free(q->sectors);
    luks_free(q->luks);
}

char *q2_crypt_info(const Qcow2 *q)
{
    return q->luks ? luks_describe(q->luks, true) : g_strdup("{\"format\": \"aes\"}");
}

/* --- creation --- */

bool q2_crypt_params(Opts *o, Q2CryptParams *p, Error **errp)
{
    static const char *const formats[] = { "", "aes", "luks", NULL };
    bool legacy;
    unsigned method = 0;
    *p = (Q2CryptParams){ .key_secret = opts_get(o, "encrypt.key-secret") };
    if (!opts_get_bool(o, "encryption", false, &legacy, errp) ||
        !opts_get_enum(o, "encrypt.format", formats, &method, errp) || !luks_params(o, "encrypt.", &p->luks, errp))
        return false;
    p->method = legacy ? METHOD_AES : method;
    bool any = p->key_secret;
    for (unsigned i = 0; i < opts_count(o); i++)
        any |= g_str_has_prefix(opts_key(o, i), "encrypt.");
    if (p->method && !p->key_secret)
        error_setf(
            errp,
            "an encrypted image needs a passphrase; add --object secret,id=NAME,file=PATH -o encrypt.key-secret=NAME");
    else if (!p->method && any)
        error_setf(errp, "options encrypt.* need encrypt.format=luks");
    else
        return true;
    return false;
}

uint64_t q2_crypt_header_size(const Q2CryptParams *p)
{
    return p->method == METHOD_LUKS ? luks_header_size(&p->luks) : 0;
}

static bool create_luks(BlockNode *n, const Q2CryptParams *p, const char *passphrase, Error **errp)
{
    Qcow2 *q = q2_of(n);
    CryptIo c;
    uint64_t len = luks_header_size(&p->luks);
    pthread_mutex_lock(&q->lock);
    int64_t at = q2_alloc(n, q2_clusters(q, len));
    int r = at < 0 ? (int)at : q2_sync(n);
    pthread_mutex_unlock(&q->lock);
    if (r) {
        error_set_errno(errp, -r, "image '%s': there is no room for the LUKS header", block_filename(n));
        return false;
    }
    crypt_io(&c, n->file, (uint64_t)at, len, block_filename(n));
    if (!luks_create(&c.io, &p->luks, passphrase, errp))
        return false;
    Q2Extension e = { EXT_LUKS, 16, g_malloc(16) };
    store_be(e.data, 8, (uint64_t)at);
    store_be(e.data + 8, 8, len);
    g_array_append_val(q->extensions, e);
    return true;
}

bool q2_crypt_create(BlockNode *n, const Q2CryptParams *p, Error **errp)
{
    if (!p->method)
        return true;
    char *passphrase = crypt_passphrase(n, p->key_secret, errp);
    bool ok = passphrase && (p->method == METHOD_AES || create_luks(n, p, passphrase, errp));
    if (passphrase)
        crypto_wipe_free(passphrase, strlen(passphrase));
    if (ok)
        q2_of(n)->crypt_method = p->method;
    return ok;
}

bool q2_crypt_amend(BlockNode *n, Opts *o, bool force, Error **errp)
{
    Qcow2 *q = q2_of(n);
    CryptIo c;
    bool any = false;
    for (unsigned i = 0; i < opts_count(o); i++)
        any |= g_str_has_prefix(opts_key(o, i), "encrypt.");
    if (!any)
        return true;
    if (!q->luks) {
        error_setf(errp, "image '%s' is not encrypted by LUKS: it has no key slots to change", block_filename(n));
        return false;
    }
    return luks_place(n, &c, errp) && luks_amend(q->luks, &c.io, o, "encrypt.", force, errp);
}

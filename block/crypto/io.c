/* SPDX-License-Identifier: MIT */
/* Encrypted data: decrypted where it was read to, encrypted in a buffer of our own; LUKS headers in nodes. */
#include <stdlib.h>
#include <string.h>
#include "base/bits.h"
#include "block/crypto/crypto.h"
#include "crypto/secret.h"

enum { PIECE = 1 << 20 };

static void *piece_buffer(uint64_t len)
{
    void *p = NULL;
    return posix_memalign(&p, 4096, align_up(MIN(len, (uint64_t)PIECE), 4096)) ? NULL : p;
}

bool crypt_fits(const struct iovec *iov, int iovcnt)
{
    for (int i = 0; i < iovcnt; i++) {
        if (iov[i].iov_len % CRYPTO_SECTOR)
            return false;
    }
    return true;
}

int crypt_decrypt(CryptoSectors *s, uint64_t iv_offset, const struct iovec *iov, int iovcnt)
{
    uint64_t sector = iv_offset / CRYPTO_SECTOR;
    int r = 0;
    for (int i = 0; !r && i < iovcnt; i++) {
        r = crypto_sectors_run(s, sector, iov[i].iov_base, iov[i].iov_len, false);
        sector += iov[i].iov_len / CRYPTO_SECTOR;
    }
    return r;
}

/* A range that starts or ends inside a sector: all of its sectors are read. */
static int read_around(BlockNode *below, CryptoSectors *s, uint64_t host, uint64_t iv_offset, const struct iovec *iov,
                       int iovcnt)
{
    uint64_t skip = host % CRYPTO_SECTOR, len = iov_bytes(iov, iovcnt);
    struct iovec whole = { NULL, align_up(skip + len, CRYPTO_SECTOR) };
    whole.iov_base = g_try_malloc(whole.iov_len);
    int r = whole.iov_base ? crypt_preadv(below, s, host - skip, iv_offset - skip, &whole, 1) : -ENOMEM;
    if (!r)
        iov_from_buf(iov, iovcnt, 0, (uint8_t *)whole.iov_base + skip, len);
    g_free(whole.iov_base);
    return r;
}

int crypt_preadv(BlockNode *below, CryptoSectors *s, uint64_t host, uint64_t iv_offset, const struct iovec *iov,
                 int iovcnt)
{
    uint64_t len = iov_bytes(iov, iovcnt);
    if ((host | len) % CRYPTO_SECTOR)
        return read_around(below, s, host, iv_offset, iov, iovcnt);
    if (crypt_fits(iov, iovcnt)) {
        int r = block_preadv(below, host, iov, iovcnt);
        return r ? r : crypt_decrypt(s, iv_offset, iov, iovcnt);
    }
    uint8_t *buf = piece_buffer(len);
    int r = buf ? 0 : -ENOMEM;
    for (uint64_t done = 0; !r && done < len; done += PIECE) {
        size_t n = (size_t)MIN(len - done, (uint64_t)PIECE);
        r = block_pread(below, host + done, buf, n);
        r = r ? r : crypto_sectors_run(s, (iv_offset + done) / CRYPTO_SECTOR, buf, n, false);
        if (!r)
            iov_from_buf(iov, iovcnt, done, buf, n);
    }
    free(buf);
    return r;
}

int crypt_pwritev(BlockNode *below, CryptoSectors *s, uint64_t host, uint64_t iv_offset, const struct iovec *iov,
                  int iovcnt)
{
    uint64_t len = iov_bytes(iov, iovcnt);
    uint8_t *buf = piece_buffer(len);
    int r = buf ? 0 : -ENOMEM;
    for (uint64_t done = 0; !r && done < len; done += PIECE) {
        size_t n = (size_t)MIN(len - done, (uint64_t)PIECE);
        iov_to_buf(iov, iovcnt, done, buf, n);
        r = crypto_sectors_run(s, (iv_offset + done) / CRYPTO_SECTOR, buf, n, true);
        r = r ? r : block_pwrite(below, host + done, buf, n);
    }
    free(buf);
    return r;
}

/* --- keys --- */

char *crypt_passphrase(BlockNode *n, const char *id, Error **errp)
{
    if (id)
        return secret_get_text(id, errp);
    error_setf(errp, "image '%s' is encrypted; add -object secret,id=NAME,file=PATH and encrypt.key-secret=NAME",
               block_filename(n));
    return NULL;
}

CryptoSectors *crypt_legacy_aes(const char *passphrase, Error **errp)
{
    static const CryptoSpec spec = { CIPHER_AES_128, MODE_CBC, IVGEN_PLAIN64, HASH_SHA256 };
    uint8_t key[16] = { 0 };
    memcpy(key, passphrase, MIN(strlen(passphrase), sizeof key));
    CryptoSectors *s = crypto_sectors_new(&spec, key, sizeof key, errp);
    crypto_wipe(key, sizeof key);
    return s;
}

/* --- LUKS headers --- */

static int header_read(void *opaque, uint64_t offset, void *buf, size_t len)
{
    CryptIo *c = opaque;
    return offset > c->io.size || len > c->io.size - offset ? -EIO : block_pread(c->node, c->offset + offset, buf, len);
}

static int header_write(void *opaque, uint64_t offset, const void *buf, size_t len)
{
    CryptIo *c = opaque;
    return offset > c->io.size || len > c->io.size - offset ? -EIO
                                                            : block_pwrite(c->node, c->offset + offset, buf, len);
}

static int header_flush(void *opaque) { return block_flush(((CryptIo *)opaque)->node); }

void crypt_io(CryptIo *c, BlockNode *node, uint64_t offset, uint64_t size, const char *name)
{
    *c = (CryptIo){ .io = { header_read, header_write, header_flush, c, name, size }, .node = node, .offset = offset };
}

/* SPDX-License-Identifier: MIT */
/* Encrypted data of images: reading, writing, LUKS headers in files. Users: the luks format, qcow2. */
#ifndef BLOCK_CRYPTO_CRYPTO_H
#define BLOCK_CRYPTO_CRYPTO_H

#include "block/driver.h"
#include "crypto/luks.h"

/*
 * Whole sectors (read: any range) at `host` in the layer below; the IV is that of sector iv_offset / 512. iov: of any
 * shape. 0 or a negative errno.
 */
int crypt_preadv(BlockNode *below, CryptoSectors *s, uint64_t host, uint64_t iv_offset, const struct iovec *iov,
                 int iovcnt);
int crypt_pwritev(BlockNode *below, CryptoSectors *s, uint64_t host, uint64_t iv_offset, const struct iovec *iov,
                  int iovcnt);

/* What was read to iov becomes plain there; possible when every piece of iov is made of whole sectors. */
bool crypt_fits(const struct iovec *iov, int iovcnt);
int crypt_decrypt(CryptoSectors *s, uint64_t iv_offset, const struct iovec *iov, int iovcnt);

/* The passphrase by a secret's id, to be wiped and freed; NULL: error, also when there is no id. */
char *crypt_passphrase(BlockNode *n, const char *id, Error **errp);
/* The encryption of qcow and of old qcow2 images: the key is the start of the passphrase itself. */
CryptoSectors *crypt_legacy_aes(const char *passphrase, Error **errp);

/* Header and key material of LUKS at `offset` of a node. The structures live as long as the caller uses the LuksIo. */
typedef struct CryptIo { LuksIo io; BlockNode *node; uint64_t offset; } CryptIo;
void crypt_io(CryptIo *c, BlockNode *node, uint64_t offset, uint64_t size, const char *name);
/* What format-specific creation options of LUKS there are, with `prefix` ("" or "encrypt.") in front. */
#define LUKS_CREATE_OPTIONS(prefix) \
    { prefix "key-secret", "string", "id of the -object secret with the passphrase", NULL }, \
    { prefix "cipher-alg", "string", "cipher: aes-256, serpent-256, twofish-256 ...", "aes-256" }, \
    { prefix "cipher-mode", "string", "xts, cbc, ctr or ecb", "xts" }, \
    { prefix "ivgen-alg", "string", "plain64, plain or essiv", "plain64" }, \
    { prefix "ivgen-hash-alg", "string", "hash of essiv", "sha256" }, \
    { prefix "hash-alg", "string", "hash of the key derivation", "sha256" }, \
    { prefix "iter-time", "number", "milliseconds that one try of a passphrase shall take", "2000" }
#define LUKS_AMEND_OPTIONS(prefix) \
    { prefix "state", "string", "active: add a key slot; inactive: erase", NULL }, \
    { prefix "keyslot", "number", "which one, 0 to 7", NULL }, \
    { prefix "new-secret", "string", "id of the secret with the new passphrase", NULL }, \
    { prefix "old-secret", "string", "erase the slots with this passphrase", NULL }, \
    { prefix "iter-time", "number", "milliseconds that one try of a passphrase shall take", "2000" }
#endif

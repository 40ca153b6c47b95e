/* SPDX-License-Identifier: MIT */
/*
 * Ciphers for sectors, hashes, key derivation: thin over libgcrypt, which has the AES instructions and does several
 * blocks at once.
 */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

/* Indices into the lists of names below (NULL-terminated, as QEMU has them). */
typedef enum CryptoHash {
    HASH_MD5,
    HASH_SHA1,
    HASH_SHA224,
    HASH_SHA256,
    HASH_SHA384,
    HASH_SHA512,
    HASH_RIPEMD160,
    CRYPTO_HASHES
} CryptoHash;
typedef enum CryptoMode { MODE_ECB, MODE_CBC, MODE_XTS, MODE_CTR, CRYPTO_MODES } CryptoMode;
typedef enum CryptoIvgen { IVGEN_PLAIN, IVGEN_PLAIN64, IVGEN_ESSIV, CRYPTO_IVGENS } CryptoIvgen;
typedef enum CryptoCipher {
    CIPHER_AES_128,
    CIPHER_AES_192,
    CIPHER_AES_256,
    CIPHER_CAST5_128,
    CIPHER_SERPENT_128,
    CIPHER_SERPENT_192,
    CIPHER_SERPENT_256,
    CIPHER_TWOFISH_128,
    CIPHER_TWOFISH_192,
    CIPHER_TWOFISH_256,
    CRYPTO_CIPHERS
} CryptoCipher;
extern const char *const crypto_hash_names[], *const crypto_mode_names[], *const crypto_ivgen_names[],
                                                                              *const crypto_cipher_names[];

enum { CRYPTO_DIGEST_MAX = 64, CRYPTO_KEY_MAX = 64 };
size_t crypto_digest_size(CryptoHash h);
size_t crypto_key_size(CryptoCipher c, CryptoMode m);  /* bytes; XTS takes two keys */
const char *crypto_cipher_family(CryptoCipher c);      /* "aes": LUKS names it so, and the size by the key */
/* By family and key size: false when there is none. */
bool crypto_cipher_find(const char *family, size_t key_size, CryptoMode m, CryptoCipher *out);

void crypto_hash(CryptoHash h, const void *data, size_t len, uint8_t *digest);
bool crypto_pbkdf2(CryptoHash h, const void *pass, size_t pass_len, const void *salt, size_t salt_len,
                   uint64_t iterations, void *out, size_t out_len, Error **errp);
/* How many iterations this host does in a millisecond (of CPU time) for a key of key_len bytes. */
bool crypto_pbkdf2_speed(CryptoHash h, size_t key_len, uint64_t *per_ms, Error **errp);
void crypto_random(void *out, size_t len);
void crypto_wipe(void *p, size_t len);                 /* zeroes that no compiler takes out */
void crypto_wipe_free(void *p, size_t len);            /* and g_free() */
bool crypto_equal(const void *a, const void *b, size_t len); /* in a time that does not depend on where they differ */

/*
 * One message, in place, CBC: for secrets. key has the cipher's size, iv one block; len whole blocks.
 */
bool crypto_cbc(CryptoCipher c, const void *key, const void *iv, void *buf, size_t len, bool encrypt, Error **errp);

/*
 * Sectors of 512 bytes, each by itself under an IV from its number. Any thread may call run(); it takes a handle of its
 * own.
 */
typedef struct CryptoSectors CryptoSectors;
enum { CRYPTO_SECTOR = 512 };
typedef struct CryptoSpec {
    CryptoCipher cipher;
    CryptoMode mode;
    CryptoIvgen ivgen;
    CryptoHash ivhash;     /* ESSIV */
} CryptoSpec;
CryptoSectors *crypto_sectors_new(const CryptoSpec *spec, const void *key, size_t key_len, Error **errp);
void crypto_sectors_free(CryptoSectors *s);
/* In place; len: whole sectors. 0 or -EIO. */
int crypto_sectors_run(CryptoSectors *s, uint64_t first_sector, void *buf, size_t len, bool encrypt);

/* Anti-forensic splitter (LUKS1 1.2.3, section 2.4): a key of len bytes spread over len * stripes bytes. */
void crypto_af_split(CryptoHash h, const uint8_t *key, size_t len, unsigned stripes, uint8_t *out);
void crypto_af_merge(CryptoHash h, const uint8_t *in, size_t len, unsigned stripes, uint8_t *key);
#endif

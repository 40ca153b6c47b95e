/* SPDX-License-Identifier: MIT */
/* Names and sizes of ciphers and hashes; hashes, PBKDF2, random numbers, the anti-forensic splitter. */
#include <string.h>
#include <time.h>
#include "crypto/private.h"

const char *const crypto_hash_names[] = { "md5", "sha1", "sha224", "sha256", "sha384", "sha512", "ripemd160", NULL };
const char *const crypto_mode_names[] = { "ecb", "cbc", "xts", "ctr", NULL };
const char *const crypto_ivgen_names[] = { "plain", "plain64", "essiv", NULL };
const char *const crypto_cipher_names[] = { "aes-128",     "aes-192",     "aes-256",     "cast5-128",
                                            "serpent-128", "serpent-192", "serpent-256", "twofish-128",
                                            "twofish-192", "twofish-256", NULL };

static const int hash_algo[CRYPTO_HASHES] = { GCRY_MD_MD5,    GCRY_MD_SHA1,   GCRY_MD_SHA224, GCRY_MD_SHA256,
                                              GCRY_MD_SHA384, GCRY_MD_SHA512, GCRY_MD_RMD160 };
static const struct { const char *family; int algo; unsigned key;
} ciphers[CRYPTO_CIPHERS] = {
    { "aes", GCRY_CIPHER_AES128, 16 },           { "aes", GCRY_CIPHER_AES192, 24 },
    { "aes", GCRY_CIPHER_AES256, 32 },           { "cast5", GCRY_CIPHER_CAST5, 16 },
    { "serpent", GCRY_CIPHER_SERPENT128, 16 },   { "serpent", GCRY_CIPHER_SERPENT192, 24 },
    { "serpent", GCRY_CIPHER_SERPENT256, 32 },   { "twofish", GCRY_CIPHER_TWOFISH128, 16 },
    { "twofish", 0 /* not in libgcrypt */, 24 }, { "twofish", GCRY_CIPHER_TWOFISH, 32 },
};

/* --- the library --- */

void crypto_init(void)
{
    static gsize once;
    if (!g_once_init_enter(&once))
        return;
    if (!gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P)) {
        gcry_check_version(NULL);
        gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
        gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    }
    g_once_init_leave(&once, 1);
}

int crypto_cipher_algo(CryptoCipher c) { return ciphers[c].algo; }

size_t crypto_digest_size(CryptoHash h) { return gcry_md_get_algo_dlen(hash_algo[h]); }
size_t crypto_key_size(CryptoCipher c, CryptoMode m) { return ciphers[c].key * (m == MODE_XTS ? 2 : 1); }
const char *crypto_cipher_family(CryptoCipher c) { return ciphers[c].family; }

bool crypto_cipher_find(const char *family, size_t key_size, CryptoMode m, CryptoCipher *out)
{
    for (unsigned c = 0; c < CRYPTO_CIPHERS; c++) {
        if (!strcmp(ciphers[c].family, family) && crypto_key_size((CryptoCipher)c, m) == key_size) {
            *out = (CryptoCipher)c;
            return true;
        }
    }
    return false;
}

void crypto_wipe(void *p, size_t len)
{
    if (p)
        explicit_bzero(p, len);
}

void crypto_wipe_free(void *p, size_t len)
{
    crypto_wipe(p, len);
    g_free(p);
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a, *y = b;
    unsigned differs = 0;
    for (size_t i = 0; i < len; i++)
        differs |= x[i] ^ y[i];
    return !differs;
}

void crypto_random(void *out, size_t len)
{
    crypto_init();
    gcry_randomize(out, len, GCRY_STRONG_RANDOM);
}

void crypto_hash(CryptoHash h, const void *data, size_t len, uint8_t *digest)
{
    crypto_init();
    gcry_md_hash_buffer(hash_algo[h], digest, data, len);
}

/* --- key derivation --- */

bool crypto_pbkdf2(CryptoHash h, const void *pass, size_t pass_len, const void *salt, size_t salt_len,
                   uint64_t iterations, void *out, size_t out_len, Error **errp)
{
    crypto_init();
    gcry_error_t e = gcry_kdf_derive(pass_len ? pass : "", pass_len, GCRY_KDF_PBKDF2, hash_algo[h], salt, salt_len,
                                     (unsigned long)iterations, out_len, out);
    if (e)
        error_setf(errp, "PBKDF2 with %s: %s", crypto_hash_names[h], gcry_strerror(e));
    return !e;
}

static uint64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

bool crypto_pbkdf2_speed(CryptoHash h, size_t key_len, uint64_t *per_ms, Error **errp)
{
    uint8_t salt[32] = { 1 }, key[CRYPTO_KEY_MAX];
    for (uint64_t iterations = 1 << 13; ; iterations *= 2) {
        uint64_t start = cpu_us();
        if (!crypto_pbkdf2(h, "password", 8, salt, sizeof salt, iterations, key, MIN(key_len, sizeof key), errp))
            return false;
        uint64_t took = cpu_us() - start;
        if (took > 50000 || iterations >> 30) {
            *per_ms = MAX(iterations * 1000 / MAX(took, 1u), 1u);
            return true;
        }
    }
}

/* --- anti-forensic splitter --- */

/* H1 of the specification: each digest-sized piece becomes the hash of its number and itself. */
static void diffuse(CryptoHash h, uint8_t *block, size_t len)
{
    size_t digest_len = crypto_digest_size(h);
    uint8_t in[4 + CRYPTO_DIGEST_MAX], digest[CRYPTO_DIGEST_MAX];
    for (uint32_t i = 0; i * digest_len < len; i++) {
        size_t n = MIN(digest_len, len - i * digest_len);
        store_be(in, 4, i);
        memcpy(in + 4, block + i * digest_len, n);
        crypto_hash(h, in, 4 + n, digest);
        memcpy(block + i * digest_len, digest, n);
    }
    crypto_wipe(in, sizeof in);
    crypto_wipe(digest, sizeof digest);
}

static void add_stripe(uint8_t *block, const uint8_t *stripe, size_t len)
{
    for (size_t i = 0; i < len; i++)
        block[i] ^= stripe[i];
}

void crypto_af_split(CryptoHash h, const uint8_t *key, size_t len, unsigned stripes, uint8_t *out)
{
    uint8_t *block = g_malloc0(len);
    crypto_random(out, len * (stripes - 1));
    for (unsigned i = 0; i + 1 < stripes; i++) {
        add_stripe(block, out + i * len, len);
        diffuse(h, block, len);
    }
    memcpy(out + (stripes - 1) * len, block, len);
    add_stripe(out + (stripes - 1) * len, key, len);
    crypto_wipe_free(block, len);
}

void crypto_af_merge(CryptoHash h, const uint8_t *in, size_t len, unsigned stripes, uint8_t *key)
{
    memset(key, 0, len);
    for (unsigned i = 0; i + 1 < stripes; i++) {
        add_stripe(key, in + i * len, len);
        diffuse(h, key, len);
    }
    add_stripe(key, in + (stripes - 1) * len, len);
}

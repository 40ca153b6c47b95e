/* SPDX-License-Identifier: MIT */
/* Sectors: cipher handles for any number of threads, initialization vectors from sector numbers. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include "crypto/private.h"

enum { HANDLES_KEPT = 32 };

typedef struct Handle { gcry_cipher_hd_t data, iv; /* iv: ESSIV's cipher */ } Handle;

struct CryptoSectors {
    CryptoSpec spec;
    CryptoCipher iv_cipher;
    size_t key_len, iv_key_len, block;
    uint8_t key[CRYPTO_KEY_MAX], iv_key[CRYPTO_DIGEST_MAX];
    pthread_mutex_t lock;
    unsigned idle_count;
    Handle idle[HANDLES_KEPT];
};

static const int gcry_mode[CRYPTO_MODES] = { GCRY_CIPHER_MODE_ECB, GCRY_CIPHER_MODE_CBC, GCRY_CIPHER_MODE_XTS,
                                             GCRY_CIPHER_MODE_CTR };

static bool open_handle(gcry_cipher_hd_t *h, CryptoCipher c, CryptoMode m, const void *key, size_t key_len,
                        Error **errp)
{
    crypto_init();
    gcry_error_t e = crypto_cipher_algo(c) ? gcry_cipher_open(h, crypto_cipher_algo(c), gcry_mode[m], 0)
                                           : gcry_error(GPG_ERR_CIPHER_ALGO);
    if (!e) {
        e = gcry_cipher_setkey(*h, key, key_len);
        if (gcry_err_code(e) == GPG_ERR_WEAK_KEY) /* set all the same */
            e = 0;
        if (e)
            gcry_cipher_close(*h);
    }
    if (e)
        error_setf(errp, "cipher %s-%s: %s; choose another one", crypto_cipher_names[c], crypto_mode_names[m],
                   gcry_strerror(e));
    return !e;
}

bool crypto_cbc(CryptoCipher c, const void *key, const void *iv, void *buf, size_t len, bool encrypt, Error **errp)
{
    gcry_cipher_hd_t h;
    if (!open_handle(&h, c, MODE_CBC, key, crypto_key_size(c, MODE_CBC), errp))
        return false;
    gcry_error_t e = gcry_cipher_setiv(h, iv, gcry_cipher_get_algo_blklen(crypto_cipher_algo(c)));
    e = e ? e : encrypt ? gcry_cipher_encrypt(h, buf, len, NULL, 0) : gcry_cipher_decrypt(h, buf, len, NULL, 0);
    gcry_cipher_close(h);
    if (e)
        error_setf(errp, "cipher %s-cbc: %s", crypto_cipher_names[c], gcry_strerror(e));
    return !e;
}

/* --- handles --- */

static void close_handle(Handle *h)
{
    gcry_cipher_close(h->data);
    if (h->iv)
        gcry_cipher_close(h->iv);
}

static bool make(CryptoSectors *s, Handle *h, Error **errp)
{
    *h = (Handle){ 0 };
    if (!open_handle(&h->data, s->spec.cipher, s->spec.mode, s->key, s->key_len, errp))
        return false;
    if (!s->iv_key_len || open_handle(&h->iv, s->iv_cipher, MODE_ECB, s->iv_key, s->iv_key_len, errp))
        return true;
    h->iv = NULL;
    close_handle(h);
    return false;
}

static bool take(CryptoSectors *s, Handle *h)
{
    pthread_mutex_lock(&s->lock);
    bool have = s->idle_count;
    if (have)
        *h = s->idle[--s->idle_count];
    pthread_mutex_unlock(&s->lock);
    return have || make(s, h, NULL);
}

static void give_back(CryptoSectors *s, Handle *h)
{
    pthread_mutex_lock(&s->lock);
    bool keep = s->idle_count < HANDLES_KEPT;
    if (keep)
        s->idle[s->idle_count++] = *h;
    pthread_mutex_unlock(&s->lock);
    if (!keep)
        close_handle(h);
}

/* --- life --- */

CryptoSectors *crypto_sectors_new(const CryptoSpec *spec, const void *key, size_t key_len, Error **errp)
{
    crypto_init();
    if (key_len > CRYPTO_KEY_MAX || key_len != crypto_key_size(spec->cipher, spec->mode)) {
        error_setf(errp, "cipher %s-%s takes no key of %zu bytes", crypto_cipher_names[spec->cipher],
                   crypto_mode_names[spec->mode], key_len);
        return NULL;
    }
    CryptoSectors *s = g_new0(CryptoSectors, 1);
    s->spec = *spec;
    s->key_len = key_len;
    s->block = crypto_cipher_algo(spec->cipher) ? gcry_cipher_get_algo_blklen(crypto_cipher_algo(spec->cipher)) : 0;
    memcpy(s->key, key, key_len);
    pthread_mutex_init(&s->lock, NULL);
    bool ok = spec->mode != MODE_XTS || s->block == 16;
    if (!ok)
        error_setf(errp, "cipher %s has blocks of %zu bytes, XTS needs 16; use cipher-mode=cbc",
                   crypto_cipher_names[spec->cipher], s->block);
    if (ok && spec->ivgen == IVGEN_ESSIV && spec->mode != MODE_ECB) {
        s->iv_key_len = crypto_digest_size(spec->ivhash);
        ok = crypto_cipher_find(crypto_cipher_family(spec->cipher), s->iv_key_len, MODE_ECB, &s->iv_cipher);
        if (ok)
            crypto_hash(spec->ivhash, key, key_len, s->iv_key);
        else
            error_setf(errp, "essiv: %s gives %zu bytes, which is no key of %s; use another ivgen-hash-alg",
                       crypto_hash_names[spec->ivhash], s->iv_key_len, crypto_cipher_family(spec->cipher));
    }
    if (ok && make(s, &s->idle[0], errp)) {
        s->idle_count = 1;
        return s;
    }
    crypto_sectors_free(s);
    return NULL;
}

void crypto_sectors_free(CryptoSectors *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->idle_count; i++)
        close_handle(&s->idle[i]);
    pthread_mutex_destroy(&s->lock);
    crypto_wipe_free(s, sizeof *s);
}

/* --- work --- */

static gcry_error_t set_iv(const CryptoSectors *s, Handle *h, uint64_t sector)
{
    uint8_t iv[16] = { 0 };
    if (s->spec.mode == MODE_ECB)
        return 0;
    store_le(iv, 8, s->spec.ivgen == IVGEN_PLAIN ? (uint32_t)sector : sector);
    gcry_error_t e = h->iv ? gcry_cipher_encrypt(h->iv, iv, s->block, NULL, 0) : 0;
    if (e)
        return e;
    return s->spec.mode == MODE_CTR ? gcry_cipher_setctr(h->data, iv, s->block)
                                    : gcry_cipher_setiv(h->data, iv, s->block);
}

int crypto_sectors_run(CryptoSectors *s, uint64_t first, void *buf, size_t len, bool encrypt)
{
    Handle h;
    gcry_error_t e = 0;
    if (len % CRYPTO_SECTOR || !take(s, &h))
        return -EIO;
    for (size_t at = 0; !e && at < len; at += CRYPTO_SECTOR) {
        uint8_t *p = (uint8_t *)buf + at;
        e = set_iv(s, &h, first + at / CRYPTO_SECTOR);
        e = e         ? e
            : encrypt ? gcry_cipher_encrypt(h.data, p, CRYPTO_SECTOR, NULL, 0)
                      : gcry_cipher_decrypt(h.data, p, CRYPTO_SECTOR, NULL, 0);
    }
    give_back(s, &h);
    return e ? -EIO : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * LUKS version 1: the header, its checks, new headers, unlocking. Section numbers: "LUKS1 On-Disk Format
 * Specification", 1.2.3.
 */
#include <errno.h>
#include <string.h>
#include "base/bits.h"
#include "crypto/luks-private.h"
#include "crypto/secret.h"

/* --- the header's bytes (section 3.1, figures 1 and 2) --- */

static void pack(const Luks *l, uint8_t *h)
{
    memset(h, 0, LUKS_HEADER_BYTES);
    memcpy(h, LUKS_MAGIC, LUKS_MAGIC_LEN);
    store_be(h + 6, 2, 1);
    memcpy(h + 8, l->cipher_name, 32);
    memcpy(h + 40, l->cipher_mode, 32);
    memcpy(h + 72, l->hash_name, 32);
    store_be(h + 104, 4, l->payload_sector);
    store_be(h + 108, 4, l->key_bytes);
    memcpy(h + 112, l->digest, LUKS_DIGEST);
    memcpy(h + 132, l->digest_salt, LUKS_SALT);
    store_be(h + 164, 4, l->digest_iterations);
    memcpy(h + 168, l->uuid, 40);
    for (unsigned i = 0; i < LUKS_SLOTS; i++) {
        const LuksSlot *s = &l->slot[i];
        uint8_t *p = h + 208 + i * 48;
        store_be(p, 4, s->active ? LUKS_KEY_ENABLED : LUKS_KEY_DISABLED);
        store_be(p + 4, 4, s->iterations);
        memcpy(p + 8, s->salt, LUKS_SALT);
        store_be(p + 40, 4, s->sector);
        store_be(p + 44, 4, s->stripes);
    }
}

static bool bad(const LuksIo *io, Error **errp, const char *what)
{
    error_setf(errp, "image '%s' is no valid LUKS volume: %s", io->name, what);
    return false;
}

static bool unpack(Luks *l, const LuksIo *io, const uint8_t *h, Error **errp)
{
    if (memcmp(h, LUKS_MAGIC, LUKS_MAGIC_LEN))
        return bad(io, errp, "it does not start with the format's magic number");
    l->version = (unsigned)load_be(h + 6, 2);
    if (l->version != 1) {
        error_setf(
            errp,
            "image '%s': LUKS version %u is not known here; cryptsetup convert --type luks1 makes version 1 of it",
            io->name, l->version);
        return false;
    }
    memcpy(l->cipher_name, h + 8, 32);
    memcpy(l->cipher_mode, h + 40, 32);
    memcpy(l->hash_name, h + 72, 32);
    l->payload_sector = (uint32_t)load_be(h + 104, 4);
    l->key_bytes = (uint32_t)load_be(h + 108, 4);
    memcpy(l->digest, h + 112, LUKS_DIGEST);
    memcpy(l->digest_salt, h + 132, LUKS_SALT);
    l->digest_iterations = (uint32_t)load_be(h + 164, 4);
    memcpy(l->uuid, h + 168, 40);
    if (!memchr(l->cipher_name, 0, 32) || !memchr(l->cipher_mode, 0, 32) || !memchr(l->hash_name, 0, 32) ||
        !memchr(l->uuid, 0, 40))
        return bad(io, errp, "a name in it does not end");
    for (unsigned i = 0; i < LUKS_SLOTS; i++) {
        LuksSlot *s = &l->slot[i];
        const uint8_t *p = h + 208 + i * 48;
        uint32_t state = (uint32_t)load_be(p, 4);
        if (state != LUKS_KEY_ENABLED && state != LUKS_KEY_DISABLED)
            return bad(io, errp, "a key slot is neither in use nor free");
        s->active = state == LUKS_KEY_ENABLED;
        s->iterations = (uint32_t)load_be(p + 4, 4);
        memcpy(s->salt, p + 8, LUKS_SALT);
        s->sector = (uint32_t)load_be(p + 40, 4);
        s->stripes = (uint32_t)load_be(p + 44, 4);
    }
    return true;
}

/* --- names of ciphers --- */

static bool find_word(const char *const *words, const char *text, size_t len, unsigned *out)
{
    for (*out = 0; words[*out]; ++*out) {
        if (strlen(words[*out]) == len && !strncmp(words[*out], text, len))
            return true;
    }
    return false;
}

/* "MODE-IVGEN[:HASH]" */
static bool parse_mode(Luks *l, const LuksIo *io, Error **errp)
{
    const char *text = l->cipher_mode, *dash = strchr(text, '-'), *ivgen = dash ? dash + 1 : "",
               *colon = strchr(ivgen, ':');
    size_t mode_len = dash ? (size_t)(dash - text) : strlen(text),
           ivgen_len = colon ? (size_t)(colon - ivgen) : strlen(ivgen);
    unsigned mode, iv = IVGEN_PLAIN64, hash = HASH_SHA256, header_hash;
    bool ok = find_word(crypto_mode_names, text, mode_len, &mode) &&
              (dash ? find_word(crypto_ivgen_names, ivgen, ivgen_len, &iv) : mode == MODE_ECB) &&
              (colon ? find_word(crypto_hash_names, colon + 1, strlen(colon + 1), &hash) : iv != IVGEN_ESSIV);
    if (!ok) {
        error_setf(errp, "image '%s' is encrypted by '%s-%s', which is not known here", io->name, l->cipher_name, text);
        return false;
    }
    if (!find_word(crypto_hash_names, l->hash_name, strlen(l->hash_name), &header_hash)) {
        error_setf(errp, "image '%s' uses the hash '%s', which is not known here", io->name, l->hash_name);
        return false;
    }
    l->hash = (CryptoHash)header_hash;
    l->spec = (CryptoSpec){ .mode = (CryptoMode)mode, .ivgen = (CryptoIvgen)iv, .ivhash = (CryptoHash)hash };
    if (crypto_cipher_find(l->cipher_name, l->key_bytes, l->spec.mode, &l->spec.cipher))
        return true;
    error_setf(errp, "image '%s' is encrypted by '%s' with a key of %u bytes, which is not known here", io->name,
               l->cipher_name, l->key_bytes);
    return false;
}

/* --- checks --- */

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len) { return a < b + b_len && b < a + a_len; }

uint64_t luks_material_bytes(const Luks *l, const LuksSlot *s)
{
    return align_up((uint64_t)l->key_bytes * s->stripes, CRYPTO_SECTOR);
}

static bool check_slots(const Luks *l, const LuksIo *io, Error **errp)
{
    for (unsigned i = 0; i < LUKS_SLOTS; i++) {
        const LuksSlot *s = &l->slot[i];
        uint64_t start = s->sector * 512ull, len = luks_material_bytes(l, s);
        if (s->stripes < 2 || s->stripes > LUKS_STRIPES_MAX)
            return bad(io, errp, "a key slot has an impossible number of stripes");
        if (s->active && !s->iterations)
            return bad(io, errp, "a key slot has no iterations");
        if (start < LUKS_HEADER_BYTES || start + len > l->payload_sector * 512ull)
            return bad(io, errp, "the key material of a slot does not lie between header and payload");
        for (unsigned k = 0; k < i; k++) {
            if (overlap(start, len, l->slot[k].sector * 512ull, luks_material_bytes(l, &l->slot[k])))
                return bad(io, errp, "the key material of two slots overlaps");
        }
    }
    return true;
}

Luks *luks_open(const LuksIo *io, Error **errp)
{
    uint8_t h[LUKS_HEADER_BYTES];
    Luks *l = g_new0(Luks, 1);
    int r = io->size < sizeof h ? -EINVAL : io->read(io->opaque, 0, h, sizeof h);
    if (io->size < sizeof h)
        bad(io, errp, "it is shorter than a header");
    else if (r)
        error_set_errno(errp, -r, "image '%s': its LUKS header can't be read", io->name);
    if (r || !unpack(l, io, h, errp) || !parse_mode(l, io, errp) || !check_slots(l, io, errp) ||
        (!l->digest_iterations && !bad(io, errp, "its key digest has no iterations"))) {
        luks_free(l);
        return NULL;
    }
    return l;
}

void luks_free(Luks *l) { crypto_wipe_free(l, sizeof *l); }
uint64_t luks_payload_offset(const Luks *l) { return l->payload_sector * 512ull; }

int luks_write_header(const Luks *l, const LuksIo *io)
{
    uint8_t h[LUKS_HEADER_BYTES];
    pack(l, h);
    int r = io->write(io->opaque, 0, h, sizeof h);
    return r ? r : io->flush(io->opaque);
}

/* --- keys (sections 4.1, 4.2) --- */

static bool digest_of(const Luks *l, const uint8_t *key, uint8_t *digest, Error **errp)
{
    return crypto_pbkdf2(l->hash, key, l->key_bytes, l->digest_salt, LUKS_SALT, l->digest_iterations, digest,
                         LUKS_DIGEST, errp);
}

static CryptoSectors *slot_cipher(const Luks *l, const LuksSlot *s, const char *passphrase, Error **errp)
{
    uint8_t key[CRYPTO_KEY_MAX];
    bool ok = crypto_pbkdf2(l->hash, passphrase, strlen(passphrase), s->salt, LUKS_SALT, s->iterations, key,
                            l->key_bytes, errp);
    CryptoSectors *c = ok ? crypto_sectors_new(&l->spec, key, l->key_bytes, errp) : NULL;
    crypto_wipe(key, sizeof key);
    return c;
}

bool luks_try_slot(const Luks *l, const LuksIo *io, unsigned slot, const char *passphrase, uint8_t *key, bool *matches,
                   Error **errp)
{
    const LuksSlot *s = &l->slot[slot];
    uint64_t len = luks_material_bytes(l, s);
    uint8_t digest[LUKS_DIGEST];
    *matches = false;
    CryptoSectors *c = slot_cipher(l, s, passphrase, errp);
    if (!c)
        return false;
    uint8_t *material = g_malloc(len);
    int r = io->read(io->opaque, s->sector * 512ull, material, len);
    r = r ? r : crypto_sectors_run(c, 0, material, len, false);
    crypto_sectors_free(c);
    if (r)
        error_set_errno(errp, -r, "image '%s': the key material of slot %u can't be read", io->name, slot);
    else
        crypto_af_merge(l->hash, material, l->key_bytes, s->stripes, key);
    crypto_wipe_free(material, len);
    bool ok = !r && digest_of(l, key, digest, errp);
    *matches = ok && crypto_equal(digest, l->digest, LUKS_DIGEST);
    return ok;
}

CryptoSectors *luks_unlock(Luks *l, const LuksIo *io, const char *passphrase, Error **errp)
{
    for (unsigned i = 0; i < LUKS_SLOTS; i++) {
        bool matches = false;
        if (l->slot[i].active && !luks_try_slot(l, io, i, passphrase, l->key, &matches, errp))
            return NULL;
        if (matches) {
            l->unlocked = true;
            return crypto_sectors_new(&l->spec, l->key, l->key_bytes, errp);
        }
    }
    error_setf(errp, "image '%s': the passphrase is wrong: no key slot opens with it", io->name);
    return NULL;
}

bool luks_fill_slot(Luks *l, const LuksIo *io, unsigned slot, const char *passphrase, uint64_t iter_ms, Error **errp)
{
    LuksSlot *s = &l->slot[slot];
    uint64_t per_ms, len = luks_material_bytes(l, s);
    if (!crypto_pbkdf2_speed(l->hash, l->key_bytes, &per_ms, errp))
        return false;
    s->iterations = (uint32_t)CLAMP(per_ms * iter_ms, (uint64_t)LUKS_ITERATIONS_MIN, (uint64_t)UINT32_MAX);
    crypto_random(s->salt, LUKS_SALT);
    CryptoSectors *c = slot_cipher(l, s, passphrase, errp);
    if (!c)
        return false;
    uint8_t *material = g_malloc0(len);
    crypto_af_split(l->hash, l->key, l->key_bytes, s->stripes, material);
    int r = crypto_sectors_run(c, 0, material, len, true);
    r = r ? r : io->write(io->opaque, s->sector * 512ull, material, len);
    r = r ? r : io->flush(io->opaque);
    crypto_sectors_free(c);
    crypto_wipe_free(material, len);
    s->active = true;
    r = r ? r : luks_write_header(l, io);
    if (r)
        error_set_errno(errp, -r, "image '%s': key slot %u can't be written", io->name, slot);
    return !r;
}

/* --- new headers --- */

static bool option_enum(Opts *o, const char *prefix, const char *key, const char *const *words, unsigned *index,
                        Error **errp)
{
    g_autofree char *name = g_strconcat(prefix, key, NULL);
    return opts_get_enum(o, name, words, index, errp);
}

bool luks_params(Opts *o, const char *prefix, LuksParams *out, Error **errp)
{
    unsigned cipher = CIPHER_AES_256, mode = MODE_XTS, ivgen = IVGEN_PLAIN64, ivhash = HASH_SHA256, hash = HASH_SHA256;
    g_autofree char *time_key = g_strconcat(prefix, "iter-time", NULL);
    if (!option_enum(o, prefix, "cipher-alg", crypto_cipher_names, &cipher, errp) ||
        !option_enum(o, prefix, "cipher-mode", crypto_mode_names, &mode, errp) ||
        !option_enum(o, prefix, "ivgen-alg", crypto_ivgen_names, &ivgen, errp) ||
        !option_enum(o, prefix, "ivgen-hash-alg", crypto_hash_names, &ivhash, errp) ||
        !option_enum(o, prefix, "hash-alg", crypto_hash_names, &hash, errp) ||
        !opts_get_u64(o, time_key, 2000, &out->iter_ms, errp))
        return false;
    if (out->iter_ms < 1 || out->iter_ms > 3600000) {
        error_setf(errp, "%s: 1 to 3600000 milliseconds, please", time_key);
        return false;
    }
    out->spec = (CryptoSpec){ (CryptoCipher)cipher, (CryptoMode)mode, (CryptoIvgen)ivgen, (CryptoHash)ivhash };
    out->hash = (CryptoHash)hash;
    return true;
}

static uint64_t slot_bytes(const LuksParams *p)
{
    return align_up(crypto_key_size(p->spec.cipher, p->spec.mode) * LUKS_STRIPES, 4096);
}
uint64_t luks_header_size(const LuksParams *p) { return 4096 + LUKS_SLOTS * slot_bytes(p); }

static void random_uuid(char *out)
{
    g_autofree char *text = g_uuid_string_random();
    g_strlcpy(out, text, 40);
}

static void init_header(Luks *l, const LuksParams *p)
{
    bool essiv = p->spec.ivgen == IVGEN_ESSIV;
    *l = (Luks){ .version = 1,
                 .spec = p->spec,
                 .hash = p->hash,
                 .key_bytes = (uint32_t)crypto_key_size(p->spec.cipher, p->spec.mode),
                 .payload_sector = (uint32_t)(luks_header_size(p) / 512),
                 .unlocked = true };
    g_strlcpy(l->cipher_name, crypto_cipher_family(p->spec.cipher), sizeof l->cipher_name);
    g_strlcpy(l->hash_name, crypto_hash_names[p->hash], sizeof l->hash_name);
    g_snprintf(l->cipher_mode, sizeof l->cipher_mode, "%s-%s%s%s", crypto_mode_names[p->spec.mode],
               crypto_ivgen_names[p->spec.ivgen], essiv ? ":" : "", essiv ? crypto_hash_names[p->spec.ivhash] : "");
    random_uuid(l->uuid);
    crypto_random(l->key, l->key_bytes);
    crypto_random(l->digest_salt, LUKS_SALT);
    for (unsigned i = 0; i < LUKS_SLOTS; i++)
        l->slot[i] = (LuksSlot){ .sector = (uint32_t)((4096 + i * slot_bytes(p)) / 512), .stripes = LUKS_STRIPES };
}

bool luks_create(const LuksIo *io, const LuksParams *p, const char *passphrase, Error **errp)
{
    Luks *l = g_new0(Luks, 1);
    uint64_t per_ms;
    init_header(l, p);
    CryptoSectors *usable = crypto_sectors_new(&l->spec, l->key, l->key_bytes, errp);
    bool ok = usable && crypto_pbkdf2_speed(l->hash, LUKS_DIGEST, &per_ms, errp);
    crypto_sectors_free(usable);
    if (ok) /* an eighth of the time, as cryptsetup does it */
        l->digest_iterations = (uint32_t)CLAMP(per_ms * p->iter_ms / 8, (uint64_t)LUKS_ITERATIONS_MIN,
                                               (uint64_t)UINT32_MAX);
    ok = ok && digest_of(l, l->key, l->digest, errp);
    if (ok) { /* what stood there is gone, and no free slot tells by its zeroes that it never was used */
        uint64_t len = luks_header_size(p);
        uint8_t *noise = g_malloc(len);
        crypto_random(noise, len);
        int r = io->write(io->opaque, 0, noise, len);
        g_free(noise);
        if (r)
            error_set_errno(errp, -r, "image '%s': its LUKS header can't be written", io->name);
        ok = !r;
    }
    ok = ok && luks_fill_slot(l, io, 0, passphrase, p->iter_ms, errp);
    luks_free(l);
    return ok;
}

/* --- description --- */

char *luks_describe(const Luks *l, bool format)
{
    GString *s = g_string_new(format ? "{\"format\": \"luks\", " : "{");
    g_string_append_printf(s, "\"ivgen-alg\": \"%s\", ", crypto_ivgen_names[l->spec.ivgen]);
    if (l->spec.ivgen == IVGEN_ESSIV)
        g_string_append_printf(s, "\"ivgen-hash-alg\": \"%s\", ", crypto_hash_names[l->spec.ivhash]);
    g_string_append_printf(s, "\"hash-alg\": \"%s\", \"cipher-alg\": \"%s\", \"uuid\": \"", crypto_hash_names[l->hash],
                           crypto_cipher_names[l->spec.cipher]);
    for (const char *p = l->uuid; *p; p++)
        g_string_append_c(s, g_ascii_isalnum(*p) || *p == '-' ? *p : '?');
    g_string_append_printf(s, "\", \"cipher-mode\": \"%s\", \"slots\": [", crypto_mode_names[l->spec.mode]);
    for (unsigned i = 0; i < LUKS_SLOTS; i++) {
        const LuksSlot *slot = &l->slot[i];
        g_string_append_printf(s, "%s{\"active\": %s, ", i ? ", " : "", slot->active ? "true" : "false");
        if (slot->active)
            g_string_append_printf(s, "\"iters\": %u, ", slot->iterations);
        g_string_append_printf(s, "\"key-offset\": %" G_GUINT64_FORMAT, (guint64)slot->sector * 512);
        g_string_append_printf(s, slot->active ? ", \"stripes\": %u}" : "}", slot->stripes);
    }
    g_string_append_printf(s, "], \"payload-offset\": %" G_GUINT64_FORMAT ", \"master-key-iters\": %u}",
                           (guint64)luks_payload_offset(l), l->digest_iterations);
    return g_string_free(s, FALSE);
}

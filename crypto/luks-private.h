/* SPDX-License-Identifier: MIT */
/* Private to LUKS: the header in memory, single key slots. */
#ifndef CRYPTO_LUKS_PRIVATE_H
#define CRYPTO_LUKS_PRIVATE_H

#include "crypto/luks.h"

#define LUKS_MAGIC "LUKS\xba\xbe"
enum {
    LUKS_MAGIC_LEN = 6,
    LUKS_SALT = 32,
    LUKS_DIGEST = 20,
    LUKS_STRIPES = 4000,
    LUKS_STRIPES_MAX = 1 << 16,
    LUKS_ITERATIONS_MIN = 1000,
    LUKS_KEY_ENABLED = 0x00ac71f3,
    LUKS_KEY_DISABLED = 0x0000dead
};

typedef struct LuksSlot {
    bool active;
    uint32_t iterations, sector, stripes;
    uint8_t salt[LUKS_SALT];
} LuksSlot;

struct Luks {
    unsigned version;
    char cipher_name[33], cipher_mode[33], hash_name[33], uuid[41];
    CryptoSpec spec;
    CryptoHash hash;
    uint32_t payload_sector, key_bytes, digest_iterations;
    uint8_t digest[LUKS_DIGEST], digest_salt[LUKS_SALT];
    LuksSlot slot[LUKS_SLOTS];
    bool unlocked;
    uint8_t key[CRYPTO_KEY_MAX]; /* the master key, once unlocked */
};

uint64_t luks_material_bytes(const Luks *l, const LuksSlot *s);
int luks_write_header(const Luks *l, const LuksIo *io);
/* Does the passphrase open the slot? Then key has the master key. false: it could not be tried. */
bool luks_try_slot(const Luks *l, const LuksIo *io, unsigned slot, const char *passphrase, uint8_t *key, bool *matches,
                   Error **errp);
/* Put the master key into the slot; durable. */
bool luks_fill_slot(Luks *l, const LuksIo *io, unsigned slot, const char *passphrase, uint64_t iter_ms, Error **errp);
#endif

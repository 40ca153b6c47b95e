/* SPDX-License-Identifier: MIT */
/*
 * LUKS version 1: header, key slots, unlocking ("LUKS1 On-Disk Format Specification", version 1.2.3). Where the header
 * stands is the caller's matter.
 */
#ifndef CRYPTO_LUKS_H
#define CRYPTO_LUKS_H

#include <glib.h>
#include "base/opts.h"
#include "crypto/crypto.h"

enum { LUKS_SLOTS = 8, LUKS_HEADER_BYTES = 592 };

/* The bytes that hold header and key material. Functions return 0 or a negative errno. name is for errors. */
typedef struct LuksIo {
    int (*read)(void *opaque, uint64_t offset, void *buf, size_t len);
    int (*write)(void *opaque, uint64_t offset, const void *buf, size_t len);
    int (*flush)(void *opaque);
    void *opaque;
    const char *name;
    uint64_t size;       /* bytes that there are */
} LuksIo;

typedef struct LuksParams {
    CryptoSpec spec;
    CryptoHash hash;
    uint64_t iter_ms;
} LuksParams;

/* From options cipher-alg, cipher-mode, ivgen-alg, ivgen-hash-alg, hash-alg, iter-time, each with `prefix` in front. */
bool luks_params(Opts *o, const char *prefix, LuksParams *out, Error **errp);
uint64_t luks_header_size(const LuksParams *p); /* with key material: where the payload may start */
/* A new header with one key slot. */
bool luks_create(const LuksIo *io, const LuksParams *p, const char *passphrase, Error **errp);

typedef struct Luks Luks;
Luks *luks_open(const LuksIo *io, Error **errp);             /* reads and checks the header */
void luks_free(Luks *l);
/* Try the passphrase on all key slots: the cipher of the payload, which the caller frees. */
CryptoSectors *luks_unlock(Luks *l, const LuksIo *io, const char *passphrase, Error **errp);
uint64_t luks_payload_offset(const Luks *l);                 /* bytes */
/*
 * QCryptoBlockInfoLUKS's members as a JSON object; format: put {"format": "luks"} in front, as in qcow2's encrypt
 * object.
 */
char *luks_describe(const Luks *l, bool format);
/*
 * Options state=active|inactive, new-secret, old-secret, keyslot, iter-time, with `prefix` in front. Adding needs an
 * unlocked header. force: a slot in use may be overwritten, and the last one be erased.
 */
bool luks_amend(Luks *l, const LuksIo *io, Opts *o, const char *prefix, bool force, Error **errp);
#endif

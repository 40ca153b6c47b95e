/* SPDX-License-Identifier: MIT */
/* LUKS version 1: key slots are added and erased. */
#include <string.h>
#include "base/bits.h"
#include "crypto/luks-private.h"
#include "crypto/secret.h"


typedef struct Amend {
    unsigned inactive;
    const char *new_secret, *old_secret;
    uint64_t slot, iter_ms;
    bool has_slot, force;
} Amend;

static bool refuse(Error **errp, const LuksIo *io, const char *what)
{
    error_setf(errp, "image '%s': %s", io->name, what);
    return false;
}

static bool parse(Opts *o, const char *prefix, const LuksIo *io, Amend *a, Error **errp)
{
    static const char *const states[] = { "active", "inactive", NULL };
    g_autofree char *state = g_strconcat(prefix, "state", NULL), *slot = g_strconcat(prefix, "keyslot", NULL),
                    *ms = g_strconcat(prefix, "iter-time", NULL);
    g_autofree char *new_secret = g_strconcat(prefix, "new-secret", NULL),
                    *old_secret = g_strconcat(prefix, "old-secret", NULL);
    if (!opts_has(o, state))
        return refuse(errp, io, "what is to become of the key slot? add state=active or state=inactive");
    if (!opts_get_enum(o, state, states, &a->inactive, errp) || !opts_get_u64(o, slot, 0, &a->slot, errp) ||
        !opts_get_u64(o, ms, 2000, &a->iter_ms, errp))
        return false;
    a->has_slot = opts_has(o, slot);
    a->new_secret = opts_get(o, new_secret);
    a->old_secret = opts_get(o, old_secret);
    if (a->slot >= LUKS_SLOTS)
        return refuse(errp, io, "key slots have the numbers 0 to 7");
    if (a->iter_ms < 1 || a->iter_ms > 3600000)
        return refuse(errp, io, "iter-time: 1 to 3600000 milliseconds, please");
    if (a->inactive && a->new_secret)
        return refuse(errp, io, "erasing a key slot takes no new-secret; leave it out");
    if (a->inactive && opts_has(o, ms))
        return refuse(errp, io, "erasing a key slot takes no iter-time; leave it out");
    if (a->inactive && !a->old_secret && !a->has_slot)
        return refuse(errp, io, "which key slot is to be erased? add keyslot=N or old-secret=ID");
    if (a->inactive && a->old_secret && a->has_slot)
        return refuse(errp, io, "old-secret and keyslot both say what to erase; leave one out");
    if (!a->inactive && a->old_secret)
        return refuse(errp, io, "adding a key slot takes no old-secret; leave it out");
    return a->inactive || a->new_secret || refuse(errp, io, "a new key slot needs a passphrase; add new-secret=ID");
}

/* --- adding --- */

static bool add(Luks *l, const LuksIo *io, Amend *a, Error **errp)
{
    while (!a->has_slot && a->slot < LUKS_SLOTS && l->slot[a->slot].active)
        a->slot++;
    if (a->slot >= LUKS_SLOTS)
        return refuse(errp, io, "all key slots are in use; erase one first");
    if (l->slot[a->slot].active && !a->force)
        return refuse(errp, io, "the key slot is in use; erase it first, or add --force");
    if (!l->unlocked)
        return refuse(errp, io,
                      "a key slot can be added only with a passphrase that opens the image; add key-secret=ID");
    char *passphrase = secret_get_text(a->new_secret, errp);
    bool ok = passphrase && luks_fill_slot(l, io, (unsigned)a->slot, passphrase, a->iter_ms, errp);
    if (passphrase)
        crypto_wipe_free(passphrase, strlen(passphrase));
    return ok;
}

/* --- erasing --- */

static unsigned count_active(const Luks *l)
{
    unsigned n = 0;
    for (unsigned i = 0; i < LUKS_SLOTS; i++)
        n += l->slot[i].active;
    return n;
}

/* First the header no longer names it, then the key material is overwritten (section 4.4). */
static bool erase_slot(Luks *l, const LuksIo *io, unsigned slot, Error **errp)
{
    enum { PASSES = 8 };
    LuksSlot *s = &l->slot[slot];
    uint64_t len = luks_material_bytes(l, s);
    uint8_t *noise = g_malloc(len);
    s->active = false;
    s->iterations = 0;
    memset(s->salt, 0, sizeof s->salt);
    int r = luks_write_header(l, io);
    for (unsigned i = 0; !r && i < PASSES; i++) {
        crypto_random(noise, len);
        r = io->write(io->opaque, s->sector * 512ull, noise, len);
        r = r ? r : io->flush(io->opaque);
    }
    g_free(noise);
    if (r)
        error_set_errno(errp, -r, "image '%s': key slot %u can't be erased", io->name, slot);
    return !r;
}

static bool erase_by_number(Luks *l, const LuksIo *io, const Amend *a, Error **errp)
{
    bool active = l->slot[a->slot].active;
    if (!active && !a->force)
        return refuse(errp, io, "the key slot is free already");
    if (active && count_active(l) == 1 && !a->force)
        return refuse(
            errp, io,
            "this is the last key slot in use: without it the data is lost for ever; add --force if that is meant");
    return erase_slot(l, io, (unsigned)a->slot, errp);
}

static bool erase_by_secret(Luks *l, const LuksIo *io, const Amend *a, Error **errp)
{
    uint8_t key[CRYPTO_KEY_MAX];
    bool match[LUKS_SLOTS] = { false }, ok = true;
    unsigned found = 0;
    char *passphrase = secret_get_text(a->old_secret, errp);
    if (!passphrase)
        return false;
    for (unsigned i = 0; ok && i < LUKS_SLOTS; i++) {
        ok = !l->slot[i].active || luks_try_slot(l, io, i, passphrase, key, &match[i], errp);
        found += match[i];
    }
    crypto_wipe(key, sizeof key);
    crypto_wipe_free(passphrase, strlen(passphrase));
    if (ok && !found)
        ok = refuse(errp, io, "no key slot opens with the passphrase of old-secret");
    else if (ok && found == count_active(l) && !a->force)
        ok = refuse(errp, io,
                    "all key slots in use have this passphrase: without them the data is lost for ever; add --force if "
                    "that is meant");
    for (unsigned i = 0; ok && i < LUKS_SLOTS; i++)
        ok = !match[i] || erase_slot(l, io, i, errp);
    return ok;
}

bool luks_amend(Luks *l, const LuksIo *io, Opts *o, const char *prefix, bool force, Error **errp)
{
    Amend a = { .force = force };
    if (!parse(o, prefix, io, &a, errp))
        return false;
    return !a.inactive    ? add(l, io, &a, errp)
           : a.old_secret ? erase_by_secret(l, io, &a, errp)
                          : erase_by_number(l, io, &a, errp);
}

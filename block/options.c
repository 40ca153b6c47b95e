/* SPDX-License-Identifier: MIT */
/* Options of nodes: dotted keys, the keys that every node has. */
#include <string.h>
#include "block/node.h"

Opts *block_sub_options(Opts *o, const char *prefix)
{
    Opts *sub = opts_new();
    size_t len = strlen(prefix);
    for (unsigned i = 0; i < opts_count(o); i++) {
        const char *key = opts_key(o, i);
        if (!strncmp(key, prefix, len)) {
            opts_set(sub, key + len, opts_value(o, i));
            opts_get(o, key); /* used: the layer below answers for it */
        }
    }
    return sub;
}

char *block_scheme(const char *filename)
{
    const char *colon = strpbrk(filename, ":/");
    return colon && *colon == ':' && colon > filename + 1 ? g_strndup(filename, colon - filename) : NULL;
}

static bool set_flag(Opts *o, const char *key, unsigned flag, bool inverted, unsigned *flags, Error **errp)
{
    bool now = !(*flags & flag) == inverted, on;
    if (!opts_get_bool(o, key, now, &on, errp))
        return false;
    *flags = on != inverted ? *flags | flag : *flags & ~flag;
    return true;
}

bool block_cache_mode(const char *mode, unsigned *flags, Error **errp)
{
    static const char *const modes[] = { "writeback", "writethrough", "none", "directsync", "unsafe", NULL };
    static const unsigned bits[] = { 0, BLOCK_WRITETHROUGH, BLOCK_DIRECT, BLOCK_DIRECT | BLOCK_WRITETHROUGH,
                                     BLOCK_NO_FLUSH };
    unsigned i = 0;
    if (mode && !parse_enum("cache", mode, modes, &i, errp))
        return false;
    *flags |= bits[i];
    return true;
}

bool block_common_options(Opts *o, unsigned *flags, Error **errp)
{
    static const char *const discards[] = { "ignore", "off", "unmap", "on", NULL };
    static const char *const zeroes[] = { "off", "on", "unmap", NULL };
    unsigned discard = *flags & BLOCK_UNMAP ? 2 : 0;
    unsigned detect = *flags & BLOCK_ZERO_UNMAP ? 2 : *flags & BLOCK_ZERO_DETECT ? 1 : 0;
    if (!set_flag(o, "read-only", BLOCK_RDWR, true, flags, errp) ||
        !set_flag(o, "auto-read-only", BLOCK_AUTO_RDONLY, false, flags, errp) ||
        !set_flag(o, "force-share", BLOCK_FORCE_SHARE, false, flags, errp) ||
        !set_flag(o, "cache.direct", BLOCK_DIRECT, false, flags, errp) ||
        !set_flag(o, "cache.no-flush", BLOCK_NO_FLUSH, false, flags, errp) ||
        !set_flag(o, "cache.writeback", BLOCK_WRITETHROUGH, true, flags, errp) ||
        !opts_get_enum(o, "discard", discards, &discard, errp) ||
        !opts_get_enum(o, "detect-zeroes", zeroes, &detect, errp))
        return false;
    *flags &= ~(unsigned)(BLOCK_UNMAP | BLOCK_ZERO_DETECT | BLOCK_ZERO_UNMAP);
    *flags |= discard >= 2 ? BLOCK_UNMAP : 0;
    *flags |= detect ? BLOCK_ZERO_DETECT : 0;
    *flags |= detect == 2 ? BLOCK_ZERO_UNMAP : 0;
    if (*flags & BLOCK_FORCE_SHARE && *flags & BLOCK_RDWR) {
        error_setf(errp, "force-share=on is for read-only images; add read-only=on");
        return false;
    }
    return true;
}

/* SPDX-License-Identifier: MIT */
/* Changes of an image's options amid `rhea-img torture`: version, refcounts, key slots. */
#include "tools/img/torture.h"

static bool amend(Torture *r, const char *text, Error **errp)
{
    g_autoptr(Opts) o = opts_parse(text, NULL, errp);
    return o && block_amend(r->n, o, false, errp);
}

static bool add_key(Torture *r, const char *prefix, unsigned key, Error **errp)
{
    TortureState *now = &r->now;
    unsigned slot = torture_pick(r, 8);
    g_autofree char *where = slot ? g_strdup_printf("%skeyslot=%u,", prefix, slot) : g_strdup("");
    g_autofree char *text = g_strdup_printf("%s%sstate=active,%snew-secret=%s,%siter-time=1", where, prefix, prefix,
                                            r->keys[key], prefix);
    Error *err = NULL;
    now->refused[key] = false;
    torture_state(r);
    bool ok = amend(r, text, &err), taken = !ok && slot && strstr(err->message, "in use");
    now->opens[key] = ok;
    now->refused[key] = taken;
    if (taken)
        error_free(err);
    else if (!ok)
        error_propagate(errp, err);
    return ok || taken;
}

static bool erase_key(Torture *r, const char *prefix, unsigned key, Error **errp)
{
    g_autofree char *text = g_strdup_printf("%sstate=inactive,%sold-secret=%s", prefix, prefix, r->keys[key]);
    r->now.opens[key] = false;
    torture_state(r);
    r->now.refused[key] = amend(r, text, errp);
    return r->now.refused[key];
}

/* A passphrase comes in beside the present one, or one of two goes. */
static bool change_key(Torture *r, Error **errp)
{
    g_autofree char *prefix = g_strndup(r->key_name, strlen(r->key_name) - strlen("key-secret"));
    const bool *opens = r->now.opens;
    bool ok = opens[0] && opens[1] ? erase_key(r, prefix, torture_pick(r, KEYS), errp)
                                   : add_key(r, prefix, opens[0], errp);
    torture_state(r);
    return ok;
}

/* What the image can't have (a narrow count for a cluster of two snapshots) is refused, and nothing has changed. */
static void change_options(Torture *r)
{
    static const char *const texts[] = { "compat=0.10,refcount_bits=16,lazy_refcounts=off",
                                         "compat=1.1",
                                         "compat=1.1,lazy_refcounts=on",
                                         "lazy_refcounts=off",
                                         "compat=1.1,refcount_bits=64",
                                         "compat=1.1,refcount_bits=8",
                                         "refcount_bits=16" };
    Error *err = NULL;
    if (!amend(r, texts[torture_pick(r, G_N_ELEMENTS(texts))], &err))
        error_free(err);
    BlockInfo info;
    block_info(r->n, &info, NULL);
    for (unsigned i = 0; i + 1 < info.details->len; i += 2) {
        if (!strcmp(info.details->pdata[i], "compat"))
            r->old = !strcmp(info.details->pdata[i + 1], "0.10");
    }
    block_info_clear(&info);
}

bool torture_amend(Torture *r, Error **errp)
{
    if (r->keys[1] && (strcmp(r->format, "qcow2") || torture_pick(r, 2)))
        return change_key(r, errp);
    change_options(r);
    return true;
}

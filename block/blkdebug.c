/* SPDX-License-Identifier: MIT */
/* Filter "blkdebug": errors on purpose, by rules with states, as tests want them. */
#include <stdlib.h>
#include <string.h>
#include "base/bits.h"
#include "block/filter.h"

typedef enum IoType { IO_READ, IO_WRITE, IO_WRITE_ZEROES, IO_DISCARD, IO_FLUSH, IO_BLOCK_STATUS } IoType;
static const char *const io_types[] = { "read", "write", "write-zeroes", "discard", "flush", "block-status", NULL };
enum { EVENT_NONE, EVENT_READ, EVENT_WRITE, EVENT_ZEROES, EVENT_FLUSH_OS, EVENT_FLUSH_DISK };
static const char *const events[] = { "none",        "read_aio",      "write_aio", "pwritev_zero",
                                      "flush_to_os", "flush_to_disk", NULL };
enum { STATE_FIRST = 1, RULES_MAX = 256 };

typedef struct Rule {
    bool inject;             /* else set-state */
    unsigned event, iotype;  /* iotype: EVERY or an IoType */
    uint64_t state;          /* in which state it counts, 0: in every */
    uint64_t new_state;      /* set-state */
    int error;
    bool once, any_sector, spent;
    uint64_t sector;
} Rule;
#define EVERY UINT_MAX

typedef struct DebugNode {
    pthread_mutex_t lock;    /* of all below */
    GArray *rules;
    uint64_t state;
} DebugNode;

static DebugNode *debug_of(BlockNode *n) { return n->opaque; }

/* --- rules --- */

static bool add_rule(DebugNode *d, Opts *o, bool inject, Error **errp)
{
    static const char *const keys[] = { "event",  "state", "new_state",   "iotype", "errno",
                                        "sector", "once",  "immediately", NULL };
    Rule r = { .inject = inject, .event = EVENT_NONE, .iotype = EVERY, .any_sector = !opts_has(o, "sector") };
    uint64_t number;
    bool immediately;
    if (!opts_get_enum(o, "event", events, &r.event, errp) || !opts_get_u64(o, "state", 0, &r.state, errp) ||
        !opts_get_u64(o, "new_state", 0, &r.new_state, errp) ||
        !opts_get_enum(o, "iotype", io_types, &r.iotype, errp) || !opts_get_u64(o, "errno", EIO, &number, errp) ||
        !opts_get_u64(o, "sector", 0, &r.sector, errp) || !opts_get_bool(o, "once", false, &r.once, errp) ||
        !opts_get_bool(o, "immediately", false, &immediately, errp) ||
        !opts_all_used(o, inject ? "blkdebug: inject-error" : "blkdebug: set-state", keys, errp))
        return false;
    if (number > 4095 || d->rules->len >= RULES_MAX) {
        error_setf(errp, "blkdebug: %s", number > 4095 ? "errno= is no error number" : "there are too many rules");
        return false;
    }
    r.error = -(int)number;
    g_array_append_val(d->rules, r);
    return true;
}

/* "inject-error.0.event" … */
static bool rules_from_options(DebugNode *d, Opts *o, Error **errp)
{
    static const char *const kinds[] = { "set-state", "inject-error" };
    for (unsigned k = 0; k < G_N_ELEMENTS(kinds); k++) {
        for (unsigned i = 0;; i++) {
            g_autofree char *prefix = g_strdup_printf("%s.%u.", kinds[k], i);
            g_autoptr(Opts) sub = block_sub_options(o, prefix);
            if (!opts_count(sub))
                break;
            if (!add_rule(d, sub, k == 1, errp))
                return false;
        }
    }
    return true;
}

/* A file of sections [inject-error] and [set-state] with lines key = "value". */
static bool rules_from_file(DebugNode *d, const char *path, Error **errp)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, errp)) {
        error_prependf(errp, "blkdebug: config");
        return false;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(Opts) section = NULL;
    bool inject = false, ok = true;
    for (char **l = lines;; l++) {
        char *line = *l ? g_strstrip(*l) : NULL, *value = line ? strchr(line, '=') : NULL;
        if (!line || *line == '[') {
            ok = !section || add_rule(d, section, inject, errp);
            g_clear_pointer(&section, opts_free);
            if (!ok || !line)
                return ok;
            inject = g_str_has_prefix(line, "[inject-error");
            if (!inject && !g_str_has_prefix(line, "[set-state")) {
                error_setf(errp, "blkdebug: config '%s': section '%s' is neither [inject-error] nor [set-state]", path,
                           line);
                return false;
            }
            section = opts_new();
        } else if (value && section && *line != '#') {
            *value++ = '\0';
            g_strdelimit(value, "\"", ' ');
            opts_set(section, g_strstrip(line), g_strstrip(value));
        }
    }
}

static bool debug_open(BlockNode *n, Opts *o, Error **errp)
{
    DebugNode *d = debug_of(n);
    const char *config = opts_get(o, "config");
    uint64_t align;
    d->rules = g_array_new(false, true, sizeof(Rule));
    d->state = STATE_FIRST;
    pthread_mutex_init(&d->lock, NULL);
    block_filter_init(n);
    bool ok = (!config || !*config || rules_from_file(d, config, errp)) && rules_from_options(d, o, errp) &&
              opts_get_size(o, "align", n->request_align, &align, errp);
    if (ok && (!is_pow2(align) || align > 1 << 20)) {
        error_setf(errp, "blkdebug: align= must be a power of two up to 1 MiB");
        ok = false;
    }
    if (ok) {
        n->request_align = (unsigned)MAX(align, n->request_align);
        return true;
    }
    g_array_unref(d->rules);
    pthread_mutex_destroy(&d->lock);
    return false;
}

static void debug_close(BlockNode *n)
{
    g_array_unref(debug_of(n)->rules);
    pthread_mutex_destroy(&debug_of(n)->lock);
}

/* --- requests --- */

static bool applies(const Rule *r, const DebugNode *d, IoType io, unsigned event, uint64_t offset, uint64_t len)
{
    if (r->spent || (r->state && r->state != d->state) || (r->event != EVENT_NONE && r->event != event))
        return false;
    if (!r->inject)
        return r->event != EVENT_NONE;
    if (r->iotype == EVERY ? io == IO_BLOCK_STATUS : r->iotype != io)
        return false;
    return r->any_sector || (r->sector >= offset / 512 && r->sector * 512 < offset + MAX(len, 1u));
}

/* 0, or the error of the first rule that applies; then the states change. */
static int judge(BlockNode *n, IoType io, unsigned event, uint64_t offset, uint64_t len)
{
    DebugNode *d = debug_of(n);
    int error = 0;
    pthread_mutex_lock(&d->lock);
    uint64_t next = d->state;
    for (unsigned i = 0; i < d->rules->len; i++) {
        Rule *r = &g_array_index(d->rules, Rule, i);
        if (!applies(r, d, io, event, offset, len))
            continue;
        if (!r->inject)
            next = r->new_state;
        else if (!error) {
            error = r->error;
            r->spent = r->once;
        }
    }
    d->state = next;
    pthread_mutex_unlock(&d->lock);
    return error;
}

static int debug_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    int r = judge(n, IO_READ, EVENT_READ, offset, len);
    return r ? r : filter_preadv(n, offset, len, iov, iovcnt);
}
static int debug_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt,
                         unsigned flags)
{
    int r = judge(n, IO_WRITE, EVENT_WRITE, offset, len);
    return r ? r : filter_pwritev(n, offset, len, iov, iovcnt, flags);
}
static int debug_pwrite_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags)
{
    int r = judge(n, IO_WRITE_ZEROES, EVENT_ZEROES, offset, len);
    return r ? r : filter_pwrite_zeroes(n, offset, len, flags);
}
static int debug_pdiscard(BlockNode *n, uint64_t offset, uint64_t len)
{
    int r = judge(n, IO_DISCARD, EVENT_NONE, offset, len);
    return r ? r : filter_pdiscard(n, offset, len);
}
static int debug_flush(BlockNode *n)
{
    int r = judge(n, IO_FLUSH, EVENT_FLUSH_OS, 0, 0);
    r = r ? r : judge(n, IO_FLUSH, EVENT_FLUSH_DISK, 0, 0);
    return r ? r : filter_flush(n);
}
static int debug_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out)
{
    int r = judge(n, IO_BLOCK_STATUS, EVENT_NONE, offset, len);
    return r ? r : filter_status(n, offset, len, out);
}

/* "blkdebug:CONFIG:IMAGE" */
static bool debug_parse(const char *filename, Opts *o, Error **errp)
{
    const char *rest = strchr(filename, ':'), *image = rest ? strchr(rest + 1, ':') : NULL;
    if (!image) {
        error_setf(errp, "image '%s': blkdebug:CONFIG:IMAGE is expected", filename);
        return false;
    }
    g_autofree char *config = g_strndup(rest + 1, (gsize)(image - rest - 1));
    opts_set(o, "config", config);
    opts_set(o, "file.filename", image + 1);
    return true;
}

static const char *const debug_options[] = { "config", "align", "inject-error.N.event", "set-state.N.event", NULL };
static const char *const debug_schemes[] = { "blkdebug", NULL };
static const BlockDriver debug_driver = {
    .name = "blkdebug",
    .desc = "filter: errors on purpose",
    .instance_size = sizeof(DebugNode),
    .options = debug_options,
    .schemes = debug_schemes,
    .child = "image",
    .filter = true,
    .parse_filename = debug_parse,
    .open = debug_open,
    .close = debug_close,
    .preadv = debug_preadv,
    .pwritev = debug_pwritev,
    .pwrite_zeroes = debug_pwrite_zeroes,
    .pdiscard = debug_pdiscard,
    .flush = debug_flush,
    .status = debug_status,
    .truncate = filter_truncate,
};
BLOCK_DRIVER_REGISTER(debug_driver)

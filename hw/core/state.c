/* SPDX-License-Identifier: MIT */
/* The state stream: writing it, and reading it without trusting it. Format: docs/state.md. */
#include "hw/core/state.h"

#include <inttypes.h>
#include <string.h>
#include <zlib.h>
#include "base/bits.h"
#include "base/clock.h"

#define MAGIC "RHEASTAT"
#define VERSION 1
#define HEADER_SIZE (sizeof(MAGIC) - 1 + 4)
#define NAME_MAX_LEN 255

/* width: of one element in the stream; 0: varies */
static const struct { const char *name; uint8_t width; } kinds[] = {
    [STATE_U8] = { "u8", 1 }, [STATE_U16] = { "u16", 2 }, [STATE_U32] = { "u32", 4 }, [STATE_U64] = { "u64", 8 },
    [STATE_BOOL] = { "bool", 1 }, [STATE_BYTES] = { "bytes", 1 }, [STATE_STRUCT] = { "struct", 0 },
    [STATE_TIMER] = { "timer", 8 }, [STATE_BUF] = { "buffer", 0 },
};

/* ---- writer ---- */

struct StateWriter {
    GByteArray *out;
    GHashTable *sections; /* names written: a second one of a name is our bug */
};

static void put_int(GByteArray *out, unsigned size, uint64_t v)
{
    uint8_t b[8];
    store_le(b, size, v);
    g_byte_array_append(out, b, size);
}

static void put_name(GByteArray *out, const char *name)
{
    size_t len = strlen(name);
    g_assert(len && len <= NAME_MAX_LEN);
    put_int(out, 1, len);
    g_byte_array_append(out, (const uint8_t *)name, (guint)len);
}

/* Reserve a length field; close_len() fills it in with what came after it. */
static guint open_len(GByteArray *out)
{
    put_int(out, 4, 0);
    return out->len;
}

static void close_len(GByteArray *out, guint start)
{
    store_le(out->data + start - 4, 4, out->len - start);
}

StateWriter *state_writer_new(void)
{
    StateWriter *w = g_new0(StateWriter, 1);
    w->out = g_byte_array_new();
    w->sections = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_byte_array_append(w->out, (const uint8_t *)MAGIC, sizeof(MAGIC) - 1);
    put_int(w->out, 4, VERSION);
    return w;
}

GBytes *state_writer_finish(StateWriter *w)
{
    put_int(w->out, 4, crc32(0, w->out->data, w->out->len));
    GBytes *bytes = g_byte_array_free_to_bytes(w->out);
    g_hash_table_destroy(w->sections);
    g_free(w);
    return bytes;
}

static uint64_t get_host_int(const void *p, unsigned size)
{
    switch (size) {
    case 1: return *(const uint8_t *)p;
    case 2: return *(const uint16_t *)p;
    case 4: return *(const uint32_t *)p;
    default: return *(const uint64_t *)p;
    }
}

static void put_host_int(void *p, unsigned size, uint64_t v)
{
    switch (size) {
    case 1: *(uint8_t *)p = (uint8_t)v; break;
    case 2: *(uint16_t *)p = (uint16_t)v; break;
    case 4: *(uint32_t *)p = (uint32_t)v; break;
    default: *(uint64_t *)p = v; break;
    }
}

static void put_fields(GByteArray *out, const StateField *table, const void *object);

static void put_element(GByteArray *out, const StateField *f, const void *p)
{
    switch (f->kind) {
    case STATE_BOOL:
        put_int(out, 1, *(const bool *)p);
        break;
    case STATE_TIMER:
        put_int(out, 8, (uint64_t)timer_deadline(*(Timer *const *)p));
        break;
    case STATE_BUF: {
        const GByteArray *buf = *(GByteArray *const *)p;
        g_assert(!buf || buf->len <= f->max);
        put_int(out, 4, buf ? buf->len : 0);
        if (buf)
            g_byte_array_append(out, buf->data, buf->len);
        break;
    }
    case STATE_STRUCT: {
        guint start = open_len(out);
        put_fields(out, f->sub, p);
        close_len(out, start);
        break;
    }
    default:
        put_int(out, kinds[f->kind].width, get_host_int(p, kinds[f->kind].width));
    }
}

static void put_fields(GByteArray *out, const StateField *table, const void *object)
{
    for (const StateField *f = table; f && f->kind != STATE_END; f++) {
        const char *p = (const char *)object + f->offset;
        put_name(out, f->name);
        put_int(out, 1, f->kind);
        put_int(out, 4, f->count);
        guint start = open_len(out);
        if (f->kind == STATE_BYTES)
            g_byte_array_append(out, (const uint8_t *)p, f->count);
        for (uint32_t i = 0; f->kind != STATE_BYTES && i < f->count; i++)
            put_element(out, f, p + (size_t)i * f->stride);
        close_len(out, start);
    }
}

void state_save_section(StateWriter *w, const char *section, const StateField *table, const void *object)
{
    bool fresh = g_hash_table_add(w->sections, g_strdup(section));
    g_assert(fresh);
    put_name(w->out, section);
    guint start = open_len(w->out);
    put_fields(w->out, table, object);
    close_len(w->out, start);
}

/* ---- reader ---- */

typedef struct Cursor {
    const uint8_t *p;
    size_t left;
} Cursor;

typedef struct Section {
    Cursor body;
    bool used;
} Section;

struct StateReader {
    GBytes *stream;
    GHashTable *sections; /* name -> Section */
};

static bool take(Cursor *c, size_t n, const uint8_t **out)
{
    if (c->left < n)
        return false;
    *out = c->p;
    c->p += n;
    c->left -= n;
    return true;
}

static bool take_int(Cursor *c, unsigned size, uint64_t *v)
{
    const uint8_t *p;
    if (!take(c, size, &p))
        return false;
    *v = load_le(p, size);
    return true;
}

static bool take_name(Cursor *c, char name[NAME_MAX_LEN + 1])
{
    uint64_t len;
    const uint8_t *p;
    if (!take_int(c, 1, &len) || !len || !take(c, len, &p) || memchr(p, '\0', len) ||
        !g_utf8_validate((const char *)p, (gssize)len, NULL))
        return false;
    memcpy(name, p, len);
    name[len] = '\0';
    return true;
}

static bool take_sub(Cursor *c, Cursor *sub)
{
    uint64_t len;
    if (!take_int(c, 4, &len) || !take(c, len, &sub->p))
        return false;
    sub->left = len;
    return true;
}

static bool index_sections(StateReader *r, Cursor c, Error **errp)
{
    while (c.left) {
        char name[NAME_MAX_LEN + 1];
        Section s = { .used = false };
        if (!take_name(&c, name) || !take_sub(&c, &s.body)) {
            error_setf(errp, "state stream: a section is cut short or malformed");
            return false;
        }
        if (!g_hash_table_insert(r->sections, g_strdup(name), g_memdup2(&s, sizeof(s)))) {
            error_setf(errp, "state stream: section '%s' stands twice", name);
            return false;
        }
    }
    return true;
}

StateReader *state_reader_new(GBytes *stream, Error **errp)
{
    gsize size;
    const uint8_t *data = g_bytes_get_data(stream, &size);
    if (size < HEADER_SIZE + 4 || memcmp(data, MAGIC, sizeof(MAGIC) - 1)) {
        error_setf(errp, "state stream: this is no saved state of rhea");
        return NULL;
    }
    uint32_t version = load_le32(data + sizeof(MAGIC) - 1);
    if (version != VERSION) {
        error_setf(errp, "state stream: version %u, this program reads version %d", version, VERSION);
        return NULL;
    }
    if (load_le32(data + size - 4) != crc32(0, data, (uInt)(size - 4))) {
        error_setf(errp, "state stream: the checksum is wrong; the file is damaged or cut short");
        return NULL;
    }
    StateReader *r = g_new0(StateReader, 1);
    r->stream = g_bytes_ref(stream);
    r->sections = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    if (!index_sections(r, (Cursor){ data + HEADER_SIZE, size - 4 - HEADER_SIZE }, errp)) {
        state_reader_free(r);
        return NULL;
    }
    return r;
}

void state_reader_free(StateReader *r)
{
    if (!r)
        return;
    g_hash_table_destroy(r->sections);
    g_bytes_unref(r->stream);
    g_free(r);
}

static bool load_fields(Cursor c, const StateField *table, void *object, const char *path, Error **errp);

static bool load_timer(Cursor *c, Timer *t)
{
    uint64_t v;
    if (!take_int(c, 8, &v) || (int64_t)v < -1)
        return false;
    if ((int64_t)v < 0)
        timer_cancel(t);
    else
        timer_arm(t, (int64_t)v);
    return true;
}

static bool load_buf(Cursor *c, const StateField *f, GByteArray **buf)
{
    uint64_t len;
    const uint8_t *data;
    if (!take_int(c, 4, &len) || len > f->max || !take(c, len, &data))
        return false;
    if (!*buf)
        *buf = g_byte_array_new();
    g_byte_array_set_size(*buf, 0);
    g_byte_array_append(*buf, data, (guint)len);
    return true;
}

/* False: malformed; *errp may be set to something more exact. */
static bool load_element(Cursor *c, const StateField *f, void *p, const char *path, Error **errp)
{
    uint64_t v;
    Cursor sub;
    switch (f->kind) {
    case STATE_BOOL:
        if (!take_int(c, 1, &v) || v > 1)
            return false;
        *(bool *)p = v;
        return true;
    case STATE_TIMER:
        return load_timer(c, *(Timer **)p);
    case STATE_BUF:
        return load_buf(c, f, p);
    case STATE_STRUCT:
        return take_sub(c, &sub) && load_fields(sub, f->sub, p, path, errp);
    default:
        if (!take_int(c, kinds[f->kind].width, &v))
            return false;
        put_host_int(p, kinds[f->kind].width, v);
        return true;
    }
}

static bool load_field(Cursor c, const StateField *f, void *object, const char *path, Error **errp)
{
    char *p = (char *)object + f->offset;
    g_autofree char *here = g_strdup_printf("%s.%s", path, f->name);
    Error *err = NULL;
    bool ok = true;
    if (f->kind == STATE_BYTES) {
        const uint8_t *data;
        ok = take(&c, f->count, &data);
        if (ok)
            memcpy(p, data, f->count);
    }
    for (uint32_t i = 0; ok && f->kind != STATE_BYTES && i < f->count; i++)
        ok = load_element(&c, f, p + (size_t)i * f->stride, here, &err);
    if (ok && !c.left)
        return true;
    if (!err)
        error_setf(&err, "state stream: %s: malformed value", here);
    error_propagate(errp, err);
    return false;
}

static const StateField *find_field(const StateField *table, const char *name, unsigned *index)
{
    *index = 0;
    for (const StateField *f = table; f && f->kind != STATE_END; f++, ++*index) {
        if (!strcmp(f->name, name))
            return f;
    }
    return NULL;
}

static bool load_fields(Cursor c, const StateField *table, void *object, const char *path, Error **errp)
{
    unsigned count = 0, index;
    while (table && table[count].kind != STATE_END)
        count++;
    g_autofree bool *seen = g_new0(bool, count + 1);
    while (c.left) {
        char name[NAME_MAX_LEN + 1];
        uint64_t kind, elements;
        Cursor value;
        if (!take_name(&c, name) || !take_int(&c, 1, &kind) || !take_int(&c, 4, &elements) || !take_sub(&c, &value)) {
            error_setf(errp, "state stream: %s: a field is cut short or malformed", path);
            return false;
        }
        const StateField *f = find_field(table, name, &index);
        if (!f || seen[index]) {
            error_setf(errp, "state stream: %s.%s: %s", path, name,
                       f ? "stands twice" : "no such field in this version");
            return false;
        }
        if (kind != f->kind || elements != f->count) {
            error_setf(errp, "state stream: %s.%s: type or length differs from %s[%u]", path, name, kinds[f->kind].name,
                       f->count);
            return false;
        }
        seen[index] = true;
        if (!load_field(value, f, object, path, errp))
            return false;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!seen[i]) {
            error_setf(errp, "state stream: %s.%s: missing", path, table[i].name);
            return false;
        }
    }
    return true;
}

bool state_reader_has(const StateReader *r, const char *section) { return g_hash_table_contains(r->sections, section); }

bool state_load_section(StateReader *r, const char *section, const StateField *table, void *object, Error **errp)
{
    Section *s = g_hash_table_lookup(r->sections, section);
    if (!s) {
        error_setf(errp, "state stream: section '%s' is missing; was it saved by a machine with other devices?",
                   section);
        return false;
    }
    s->used = true;
    return load_fields(s->body, table, object, section, errp);
}

bool state_reader_all_used(StateReader *r, Error **errp)
{
    GHashTableIter it;
    void *name, *section;
    g_hash_table_iter_init(&it, r->sections);
    while (g_hash_table_iter_next(&it, &name, &section)) {
        if (!((Section *)section)->used) {
            error_setf(errp,
                       "state stream: section '%s' belongs to nothing in this machine; it was saved by another one",
                       (char *)name);
            return false;
        }
    }
    return true;
}

/* ---- print ---- */

static void print_fields(const StateField *table, const void *object, const char *prefix, GString *out);

static void print_element(const StateField *f, const void *p, const char *name, GString *out)
{
    switch (f->kind) {
    case STATE_STRUCT: {
        g_autofree char *prefix = g_strconcat(name, ".", NULL);
        print_fields(f->sub, p, prefix, out);
        return;
    }
    case STATE_TIMER:
        g_string_append_printf(out, "%s=%" PRId64 "\n", name, timer_deadline(*(Timer *const *)p));
        return;
    case STATE_BUF: {
        const GByteArray *buf = *(GByteArray *const *)p;
        g_string_append_printf(out, "%s=%u bytes\n", name, buf ? buf->len : 0);
        return;
    }
    default:
        g_string_append_printf(out, "%s=0x%" PRIx64 "\n", name, get_host_int(p, kinds[f->kind].width));
    }
}

static void print_fields(const StateField *table, const void *object, const char *prefix, GString *out)
{
    for (const StateField *f = table; f && f->kind != STATE_END; f++) {
        const char *p = (const char *)object + f->offset;
        if (f->kind == STATE_BYTES) {
            g_string_append_printf(out, "%s%s=%u bytes\n", prefix, f->name, f->count);
            continue;
        }
        for (uint32_t i = 0; i < f->count; i++) {
            g_autofree char *name = f->count > 1 ? g_strdup_printf("%s%s[%u]", prefix, f->name, i)
                                                 : g_strconcat(prefix, f->name, NULL);
            print_element(f, p + (size_t)i * f->stride, name, out);
        }
    }
}

void state_print(const StateField *table, const void *object, GString *out)
{
    print_fields(table, object, "", out);
}

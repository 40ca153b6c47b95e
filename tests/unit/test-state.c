/* SPDX-License-Identifier: MIT */
/* The state stream: round trips of every kind of field, and hostile input that must be refused in one line. */
#include <glib.h>
#include <string.h>
#include <zlib.h>
#include "base/bits.h"
#include "base/clock.h"
#include "hw/core/state.h"

typedef struct Inner {
    uint16_t x;
    uint8_t pad[3];
} Inner;

typedef struct Thing {
    uint8_t a;
    uint16_t b;
    uint32_t c[3];
    uint64_t d;
    bool on;
    bool flags[2];
    uint8_t bytes[5];
    Inner inner, list[2];
    Timer *timer;
    GByteArray *buf;
} Thing;

static const StateField inner_fields[] = { STATE_U16(Inner, x), STATE_U8_ARRAY(Inner, pad), STATE_END_OF_TABLE };
static const StateField fields[] = {
    STATE_U8(Thing, a),
    STATE_U16(Thing, b),
    STATE_U32_ARRAY(Thing, c),
    STATE_U64(Thing, d),
    STATE_BOOL(Thing, on),
    STATE_BOOL_ARRAY(Thing, flags),
    STATE_BYTES(Thing, bytes),
    STATE_STRUCT(Thing, inner, inner_fields),
    STATE_STRUCT_ARRAY(Thing, list, inner_fields),
    STATE_TIMER(Thing, timer),
    STATE_BUF(Thing, buf, 100),
    STATE_END_OF_TABLE,
};

static void no_op(void *opaque) {}

static void thing_init(Thing *t)
{
    *t = (Thing){ .timer = timer_new(CLOCK_VIRTUAL_NS, NULL, no_op, NULL), .buf = g_byte_array_new() };
}

static void thing_fini(Thing *t)
{
    timer_free(t->timer);
    g_byte_array_free(t->buf, true);
}

static void thing_fill(Thing *t)
{
    t->a = 1;
    t->b = 0x203;
    t->c[0] = 4, t->c[1] = 5, t->c[2] = 0xffffffff;
    t->d = 0x1122334455667788;
    t->on = t->flags[1] = true;
    memcpy(t->bytes, "abcd", 5);
    t->inner.x = 7;
    t->list[1].x = 8;
    t->list[1].pad[2] = 9;
    timer_arm(t->timer, 123456789012345);
    g_byte_array_append(t->buf, (const uint8_t *)"hello", 5);
}

static GBytes *save(const Thing *t, const char *section)
{
    StateWriter *w = state_writer_new();
    state_save_section(w, section, fields, t);
    return state_writer_finish(w);
}

static bool load(GBytes *stream, Thing *t, Error **errp)
{
    StateReader *r = state_reader_new(stream, errp);
    if (!r)
        return false;
    bool ok = state_load_section(r, "thing", fields, t, errp) && state_reader_all_used(r, errp);
    state_reader_free(r);
    return ok;
}

static void assert_refused(GBytes *stream, const char *part)
{
    Thing t;
    Error *err = NULL;
    thing_init(&t);
    g_assert_false(load(stream, &t, &err));
    g_assert_nonnull(err);
    g_assert_null(strchr(err->message, '\n'));
    if (!strstr(err->message, part))
        g_error("'%s' does not tell '%s'", err->message, part);
    g_error_free(err);
    thing_fini(&t);
}

static void test_round_trip(void)
{
    Thing a, b;
    Error *err = NULL;
    thing_init(&a);
    thing_init(&b);
    thing_fill(&a);
    g_autoptr(GBytes) one = save(&a, "thing");
    load(one, &b, &err);
    g_assert_no_error(err);
    g_autoptr(GBytes) two = save(&b, "thing");
    g_assert_true(g_bytes_equal(one, two));
    g_assert_cmpint(timer_deadline(b.timer), ==, 123456789012345);
    g_assert_cmphex(b.list[1].pad[2], ==, 9);
    g_assert_cmpmem(b.buf->data, b.buf->len, "hello", 5);
    g_autoptr(GString) text = g_string_new(NULL);
    state_print(fields, &b, text);
    g_assert_nonnull(strstr(text->str, "list[1].x=0x8\n"));
    g_assert_nonnull(strstr(text->str, "c[2]=0xffffffff\n"));
    thing_fini(&a);
    thing_fini(&b);
}

static void test_sections(void)
{
    Thing t;
    thing_init(&t);
    g_autoptr(GBytes) other = save(&t, "other");
    assert_refused(other, "section 'thing' is missing");
    StateWriter *w = state_writer_new();
    state_save_section(w, "thing", fields, &t);
    state_save_section(w, "more", inner_fields, &t.inner);
    g_autoptr(GBytes) more = state_writer_finish(w);
    assert_refused(more, "section 'more' belongs to nothing");
    thing_fini(&t);
}

/* The stream with its checksum made right again after `edit`. */
static GBytes *seal(const uint8_t *data, size_t len)
{
    GByteArray *a = g_byte_array_new();
    g_byte_array_append(a, data, (guint)len);
    uint8_t crc[4];
    store_le32(crc, (uint32_t)crc32(0, a->data, a->len));
    g_byte_array_append(a, crc, 4);
    return g_byte_array_free_to_bytes(a);
}

static GBytes *replaced(GBytes *stream, const char *from, const char *to)
{
    gsize size;
    const uint8_t *data = g_bytes_get_data(stream, &size);
    g_autofree uint8_t *copy = g_memdup2(data, size);
    uint8_t *at = memmem(copy, size, from, strlen(from));
    g_assert_nonnull(at);
    memcpy(at, to, strlen(to));
    return seal(copy, size - 4);
}

static void test_fields(void)
{
    Thing t;
    thing_init(&t);
    thing_fill(&t);
    g_autoptr(GBytes) good = save(&t, "thing");
    g_autoptr(GBytes) unknown = replaced(good, "\5flags", "\5flagz");
    assert_refused(unknown, "thing.flagz: no such field");
    g_autoptr(GBytes) twice = replaced(good, "\1b", "\1a");
    assert_refused(twice, "thing.a: stands twice");
    g_autoptr(GBytes) type = replaced(good, "\2on\5", "\2on\1");
    assert_refused(type, "thing.on: type or length differs");
    g_autoptr(GBytes) version = replaced(good, "RHEASTAT\1", "RHEASTAT\7");
    assert_refused(version, "version 7");
    /* A field that is missing: a table with fewer fields wrote it. */
    StateWriter *w = state_writer_new();
    state_save_section(w, "thing", inner_fields, &t.inner);
    g_autoptr(GBytes) few = state_writer_finish(w);
    assert_refused(few, "thing.x: no such field");
    static const StateField start[] = { STATE_U8(Thing, a), STATE_END_OF_TABLE };
    w = state_writer_new();
    state_save_section(w, "thing", start, &t);
    g_autoptr(GBytes) cut = state_writer_finish(w);
    assert_refused(cut, "thing.b: missing");
    thing_fini(&t);
}

static void test_truncated(void)
{
    Thing t;
    thing_init(&t);
    thing_fill(&t);
    g_autoptr(GBytes) good = save(&t, "thing");
    gsize size;
    const uint8_t *data = g_bytes_get_data(good, &size);
    for (gsize len = 0; len < size; len++) {
        g_autoptr(GBytes) plain = g_bytes_new(data, len);
        assert_refused(plain, "state stream");
        if (len < size - 4) {
            g_autoptr(GBytes) sealed = seal(data, len); /* as one who knows the format would cut it */
            assert_refused(sealed, "state stream");
        }
    }
    for (gsize i = 0; i < size; i++) {
        g_autofree uint8_t *copy = g_memdup2(data, size);
        copy[i] ^= 0x10;
        g_autoptr(GBytes) flipped = g_bytes_new(copy, size);
        assert_refused(flipped, "state stream");
    }
    thing_fini(&t);
}

/* Random damage under a right checksum: refused or loaded, but never a crash, and what loads can be saved again. */
static void test_fuzz(void)
{
    Thing t;
    thing_init(&t);
    thing_fill(&t);
    g_autoptr(GBytes) good = save(&t, "thing");
    gsize size;
    const uint8_t *data = g_bytes_get_data(good, &size);
    unsigned refused = 0;
    for (unsigned i = 0; i < 20000; i++) {
        g_autofree uint8_t *copy = g_memdup2(data, size);
        for (int k = g_test_rand_int_range(1, 5); k > 0; k--)
            copy[g_test_rand_int_range(12, (int)size - 4)] = (uint8_t)g_test_rand_int();
        g_autoptr(GBytes) bad = seal(copy, size - 4);
        Thing u;
        Error *err = NULL;
        thing_init(&u);
        if (load(bad, &u, &err)) {
            g_autoptr(GBytes) again = save(&u, "thing");
            g_assert_nonnull(again);
            g_assert_cmpuint(u.buf->len, <=, 100);
            g_assert_cmpuint(*(uint8_t *)&u.on, <=, 1);
        } else {
            g_assert_true(g_utf8_validate(err->message, -1, NULL));
            g_error_free(err);
            refused++;
        }
        thing_fini(&u);
    }
    g_assert_cmpuint(refused, >, 5000);
    thing_fini(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/state/round-trip", test_round_trip);
    g_test_add_func("/state/sections", test_sections);
    g_test_add_func("/state/fields", test_fields);
    g_test_add_func("/state/truncated", test_truncated);
    g_test_add_func("/state/fuzz", test_fuzz);
    return g_test_run();
}

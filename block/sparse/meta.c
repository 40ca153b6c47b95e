/* SPDX-License-Identifier: MIT */
/* Tables of images in memory: pages of the file with marks for the sectors that were changed. */
#include <string.h>
#include "base/bits.h"
#include "block/sparse/sparse.h"

struct MetaPage {
    uint64_t no;
    uint8_t dirty[2];  /* sectors that were changed, by level */
    uint8_t data[META_PAGE];
};

void meta_init(Meta *m, BlockNode *file)
{
    *m = (Meta){ .file = file, .pages = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free) };
}

void meta_free(Meta *m)
{
    if (m->pages)
        g_hash_table_unref(m->pages);
    *m = (Meta){ 0 };
}

bool meta_is_dirty(const Meta *m) { return m->dirty[META_LEAF] || m->dirty[META_ROOT]; }
bool meta_is_full(const Meta *m) { return m->dirty[META_LEAF] + m->dirty[META_ROOT] > META_DIRTY_MAX; }

static gboolean is_clean(gpointer key, gpointer value, gpointer opaque)
{
    const MetaPage *p = value;
    return !p->dirty[META_LEAF] && !p->dirty[META_ROOT];
}

void meta_drop(Meta *m)
{
    m->last = NULL;
    g_hash_table_foreach_remove(m->pages, is_clean, NULL);
}

static int read_page(Meta *m, MetaPage *p)
{
    uint64_t at = p->no * META_PAGE, size = block_size(m->file);
    size_t have = at < size ? (size_t)MIN(size - at, (uint64_t)META_PAGE) : 0;
    return have ? block_pread(m->file, at, p->data, have) : 0;
}

static int find_page(Meta *m, uint64_t no, bool known, MetaPage **out)
{
    if (m->last && m->last->no == no) {
        *out = m->last;
        return 0;
    }
    MetaPage *p = g_hash_table_lookup(m->pages, &no);
    if (!p) {
        if (g_hash_table_size(m->pages) >= META_PAGES_MAX)
            meta_drop(m);
        p = g_new0(MetaPage, 1);
        p->no = no;
        int r = known ? 0 : read_page(m, p);
        if (r) {
            g_free(p);
            return r;
        }
        g_hash_table_insert(m->pages, &p->no, p);
    }
    *out = m->last = p;
    return 0;
}

int meta_load(Meta *m, uint64_t offset, unsigned size, bool big_endian, uint64_t *out)
{
    MetaPage *p;
    if (offset & (size - 1) || offset > INT64_MAX - META_PAGE)
        return -EIO;
    int r = find_page(m, offset / META_PAGE, false, &p);
    const uint8_t *at = r ? NULL : p->data + offset % META_PAGE;
    *out = r ? 0 : big_endian ? load_be(at, size) : load_le(at, size);
    return r;
}

static void mark(Meta *m, MetaPage *p, unsigned mask, unsigned level)
{
    if (!p->dirty[level])
        m->dirty[level]++;
    p->dirty[level] |= (uint8_t)mask;
}

int meta_store(Meta *m, uint64_t offset, unsigned size, bool big_endian, uint64_t v, unsigned level)
{
    MetaPage *p;
    if (offset & (size - 1) || offset > INT64_MAX - META_PAGE)
        return -EIO;
    int r = find_page(m, offset / META_PAGE, false, &p);
    if (r)
        return r;
    if (big_endian)
        store_be(p->data + offset % META_PAGE, size, v);
    else
        store_le(p->data + offset % META_PAGE, size, v);
    mark(m, p, 1u << (offset % META_PAGE >> 9), level);
    return 0;
}

int meta_zero(Meta *m, uint64_t offset, uint64_t len, unsigned level)
{
    while (len) {
        MetaPage *p;
        uint64_t in = offset % META_PAGE, n = MIN(len, META_PAGE - in);
        int r = find_page(m, offset / META_PAGE, n == META_PAGE, &p);
        if (r)
            return r;
        memset(p->data + in, 0, n);
        for (uint64_t s = in; s < in + n; s += 512)
            mark(m, p, 1u << (s >> 9), level);
        offset += n;
        len -= n;
    }
    return 0;
}

static gint by_number(gconstpointer a, gconstpointer b)
{
    const MetaPage *x = *(MetaPage *const *)a, *y = *(MetaPage *const *)b;
    return x->no < y->no ? -1 : x->no > y->no;
}

static GPtrArray *dirty_pages(Meta *m, unsigned levels)
{
    GPtrArray *list = g_ptr_array_new();
    GHashTableIter it;
    gpointer value;
    g_hash_table_iter_init(&it, m->pages);
    while (g_hash_table_iter_next(&it, NULL, &value)) {
        const MetaPage *p = value;
        if ((levels & 1 && p->dirty[META_LEAF]) || (levels & 2 && p->dirty[META_ROOT]))
            g_ptr_array_add(list, value);
    }
    g_ptr_array_sort(list, by_number);
    return list;
}

int meta_write_back(Meta *m, unsigned level)
{
    if (!m->dirty[level])
        return 0;
    g_autoptr(GPtrArray) list = dirty_pages(m, 1u << level);
    int r = 0;
    for (unsigned i = 0; !r && i < list->len; i++) {
        MetaPage *p = list->pdata[i];
        for (unsigned s = 0; !r && s < 8;) {
            unsigned e = s;
            while (e < 8 && p->dirty[level] >> e & 1)
                e++;
            if (e > s)
                r = block_pwrite(m->file, p->no * META_PAGE + s * 512, p->data + s * 512, (e - s) * 512);
            s = e + 1;
        }
        if (!r) {
            p->dirty[level] = 0;
            m->dirty[level]--;
        }
    }
    return r;
}

int meta_each_dirty(Meta *m, MetaVisitor *fn, void *opaque)
{
    g_autoptr(GPtrArray) list = dirty_pages(m, 3);
    int r = 0;
    for (unsigned i = 0; !r && i < list->len; i++) {
        const MetaPage *p = list->pdata[i];
        r = fn(opaque, p->no * META_PAGE, p->data);
    }
    return r;
}

void meta_clean(Meta *m)
{
    g_autoptr(GPtrArray) list = dirty_pages(m, 3);
    for (unsigned i = 0; i < list->len; i++) {
        MetaPage *p = list->pdata[i];
        p->dirty[META_LEAF] = p->dirty[META_ROOT] = 0;
    }
    m->dirty[META_LEAF] = m->dirty[META_ROOT] = 0;
}

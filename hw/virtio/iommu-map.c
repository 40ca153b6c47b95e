/* SPDX-License-Identifier: MIT */
/* Domains, mappings and endpoints of a virtio-iommu (VIRTIO 1.2 section 5.13). */
#include "hw/virtio/iommu-map.h"
#include <inttypes.h>
#include "base/bits.h"

typedef struct Mapping { hwaddr first, last, to; unsigned access; } Mapping;

typedef struct Domain {
    uint32_t id;
    bool bypass;        /* no mappings: all addresses are those of memory */
    unsigned endpoints; /* the last one takes it away */
    GTree *mappings;    /* of Mapping, which is its own key */
} Domain;

enum { SAVED_ENDPOINT = 12, SAVED_MAPPING = 32 };

/* Ranges that overlap are the same, so that looking for a range finds any mapping in it. */
static int compare(const void *a, const void *b, void *opaque)
{
    const Mapping *x = a, *y = b;
    return x->last < y->first ? -1 : x->first > y->last ? 1 : 0;
}

static Mapping *overlap(const Domain *d, hwaddr first, hwaddr last)
{
    return g_tree_lookup(d->mappings, &(Mapping){ .first = first, .last = last });
}

static Domain *domain_of(const IommuMap *m, uint32_t id)
{
    return g_hash_table_lookup(m->domains, GUINT_TO_POINTER(id));
}
static Domain *of_endpoint(const IommuMap *m, uint32_t id)
{
    return g_hash_table_lookup(m->endpoints, GUINT_TO_POINTER(id));
}

static void domain_free(void *opaque)
{
    Domain *d = opaque;
    g_tree_unref(d->mappings);
    g_free(d);
}

void iommu_map_init(IommuMap *m)
{
    g_mutex_init(&m->lock);
    m->domains = g_hash_table_new_full(NULL, NULL, NULL, domain_free);
    m->endpoints = g_hash_table_new(NULL, NULL);
}

void iommu_map_free(IommuMap *m)
{
    g_hash_table_unref(m->endpoints);
    g_hash_table_unref(m->domains);
    g_mutex_clear(&m->lock);
}

static void clear(IommuMap *m)
{
    g_hash_table_remove_all(m->endpoints);
    g_hash_table_remove_all(m->domains);
    m->mappings = 0;
}

void iommu_map_clear(IommuMap *m)
{
    g_mutex_lock(&m->lock);
    clear(m);
    g_mutex_unlock(&m->lock);
}

void iommu_map_set_bypass(IommuMap *m, bool bypass)
{
    g_mutex_lock(&m->lock);
    m->bypass = bypass;
    g_mutex_unlock(&m->lock);
}

/* ---- requests ---- */

static void leave(IommuMap *m, uint32_t endpoint)
{
    Domain *d = of_endpoint(m, endpoint);
    if (!d)
        return;
    g_hash_table_remove(m->endpoints, GUINT_TO_POINTER(endpoint));
    if (--d->endpoints)
        return;
    m->mappings -= (unsigned)g_tree_nnodes(d->mappings);
    g_hash_table_remove(m->domains, GUINT_TO_POINTER(d->id));
}

static IommuStatus attach(IommuMap *m, uint32_t id, uint32_t endpoint, bool bypass)
{
    Domain *d = domain_of(m, id);
    if (d && d->bypass != bypass)
        return IOMMU_INVAL;
    if (d && of_endpoint(m, endpoint) == d)
        return IOMMU_OK;
    leave(m, endpoint);
    if (g_hash_table_size(m->endpoints) == IOMMU_ENDPOINTS_MAX)
        return IOMMU_NOMEM;
    if (!d) {
        d = g_new0(Domain, 1);
        *d = (Domain){ .id = id, .bypass = bypass, .mappings = g_tree_new_full(compare, NULL, NULL, g_free) };
        g_hash_table_insert(m->domains, GUINT_TO_POINTER(id), d);
    }
    g_hash_table_insert(m->endpoints, GUINT_TO_POINTER(endpoint), d);
    d->endpoints++;
    return IOMMU_OK;
}

static bool reserved(const IommuMap *m, hwaddr first, hwaddr last)
{
    for (unsigned i = 0; i < m->reserved_count; i++) {
        if (first <= m->reserved[i].last && last >= m->reserved[i].first)
            return true;
    }
    return false;
}

static IommuStatus add(IommuMap *m, uint32_t id, const Mapping *wanted)
{
    const hwaddr in_page = IOMMU_PAGE - 1;
    Domain *d = domain_of(m, id);
    if (!d)
        return IOMMU_NOENT;
    if ((wanted->first | (wanted->last + 1) | wanted->to) & in_page || wanted->first > wanted->last)
        return IOMMU_RANGE;
    if (wanted->last - wanted->first > UINT64_MAX - wanted->to)
        return IOMMU_RANGE;
    if (d->bypass || reserved(m, wanted->first, wanted->last) || overlap(d, wanted->first, wanted->last))
        return IOMMU_INVAL;
    if (m->mappings == IOMMU_MAPPINGS_MAX)
        return IOMMU_NOMEM;
    Mapping *made = g_memdup2(wanted, sizeof(*wanted));
    g_tree_insert(d->mappings, made, made);
    m->mappings++;
    return IOMMU_OK;
}

/* All mappings that lie in the range; none when it would cut one in two. */
static IommuStatus drop(IommuMap *m, uint32_t id, hwaddr first, hwaddr last)
{
    Domain *d = domain_of(m, id);
    if (!d)
        return IOMMU_NOENT;
    if (d->bypass || first > last)
        return IOMMU_INVAL;
    const Mapping *low = overlap(d, first, first), *high = overlap(d, last, last);
    if ((low && low->first < first) || (high && high->last > last))
        return IOMMU_RANGE;
    for (Mapping *one; (one = overlap(d, first, last));) {
        g_tree_remove(d->mappings, one);
        m->mappings--;
    }
    return IOMMU_OK;
}

IommuStatus iommu_map_attach(IommuMap *m, uint32_t domain, uint32_t endpoint, bool bypass)
{
    g_mutex_lock(&m->lock);
    IommuStatus s = attach(m, domain, endpoint, bypass);
    g_mutex_unlock(&m->lock);
    return s;
}

IommuStatus iommu_map_detach(IommuMap *m, uint32_t domain, uint32_t endpoint)
{
    g_mutex_lock(&m->lock);
    Domain *d = domain_of(m, domain);
    bool in = d && of_endpoint(m, endpoint) == d;
    if (in)
        leave(m, endpoint);
    g_mutex_unlock(&m->lock);
    return in ? IOMMU_OK : IOMMU_INVAL;
}

IommuStatus iommu_map_add(IommuMap *m, uint32_t domain, hwaddr first, hwaddr last, hwaddr to, unsigned access)
{
    g_mutex_lock(&m->lock);
    IommuStatus s = add(m, domain, &(Mapping){ first, last, to, access });
    g_mutex_unlock(&m->lock);
    return s;
}

IommuStatus iommu_map_remove(IommuMap *m, uint32_t domain, hwaddr first, hwaddr last)
{
    g_mutex_lock(&m->lock);
    IommuStatus s = drop(m, domain, first, last);
    g_mutex_unlock(&m->lock);
    return s;
}

bool iommu_map_is_in(IommuMap *m, uint32_t endpoint, uint32_t domain)
{
    g_mutex_lock(&m->lock);
    const Domain *d = of_endpoint(m, endpoint);
    bool in = d && d->id == domain;
    g_mutex_unlock(&m->lock);
    return in;
}

bool iommu_map_attached(IommuMap *m, uint32_t endpoint)
{
    g_mutex_lock(&m->lock);
    bool in = of_endpoint(m, endpoint);
    g_mutex_unlock(&m->lock);
    return in;
}

/* ---- translation ---- */

static bool in_reserved(const IommuMap *m, hwaddr addr, IommuEntry *out, bool *passes)
{
    for (unsigned i = 0; i < m->reserved_count; i++) {
        const IommuReserved *r = &m->reserved[i];
        if (addr < r->first || addr > r->last)
            continue;
        *out = (IommuEntry){ r->first, r->last, r->first, MEM_WRITE };
        *passes = r->msi;
        return true;
    }
    return false;
}

static bool look(const IommuMap *m, uint32_t endpoint, hwaddr addr, IommuEntry *out)
{
    const Domain *d = of_endpoint(m, endpoint);
    bool passes;
    if (d ? d->bypass : m->bypass) {
        *out = (IommuEntry){ 0, UINT64_MAX, 0, MEM_READ | MEM_WRITE };
        return true;
    }
    if (in_reserved(m, addr, out, &passes))
        return passes;
    const Mapping *one = d ? overlap(d, addr, addr) : NULL;
    if (one)
        *out = (IommuEntry){ one->first, one->last, one->to, one->access };
    return one;
}

bool iommu_map_find(IommuMap *m, uint32_t endpoint, hwaddr addr, IommuEntry *out)
{
    g_mutex_lock(&m->lock);
    bool found = look(m, endpoint, addr, out);
    g_mutex_unlock(&m->lock);
    return found;
}

typedef struct Visit { IommuEntryFn *fn; void *opaque; } Visit;

static gboolean visit_mapping(void *key, void *value, void *opaque)
{
    const Visit *v = opaque;
    const Mapping *one = value;
    v->fn(&(IommuEntry){ one->first, one->last, one->to, one->access }, v->opaque);
    return false;
}

void iommu_map_foreach(IommuMap *m, uint32_t endpoint, IommuEntryFn *fn, void *opaque)
{
    Visit v = { fn, opaque };
    g_mutex_lock(&m->lock);
    const Domain *d = of_endpoint(m, endpoint);
    if (d ? d->bypass : m->bypass)
        fn(&(IommuEntry){ 0, UINT64_MAX, 0, MEM_READ | MEM_WRITE }, opaque);
    else if (d)
        g_tree_foreach(d->mappings, visit_mapping, &v);
    g_mutex_unlock(&m->lock);
}

/* ---- saving ---- */

static void put(GByteArray *out, unsigned size, uint64_t v)
{
    uint8_t b[8];
    store_le(b, size, v);
    g_byte_array_append(out, b, size);
}

typedef struct Saving { GByteArray *out; uint32_t domain; } Saving;

static gboolean save_mapping(void *key, void *value, void *opaque)
{
    const Saving *s = opaque;
    const Mapping *one = value;
    put(s->out, 4, s->domain);
    put(s->out, 4, one->access);
    put(s->out, 8, one->first);
    put(s->out, 8, one->last);
    put(s->out, 8, one->to);
    return false;
}

static int by_number(const void *a, const void *b)
{
    unsigned x = GPOINTER_TO_UINT(*(void *const *)a), y = GPOINTER_TO_UINT(*(void *const *)b);
    return (x > y) - (x < y);
}

/* The same contents give the same bytes. */
static void **sorted_ids(GHashTable *t, unsigned *count)
{
    void **id = g_hash_table_get_keys_as_array(t, count);
    qsort(id, *count, sizeof(*id), by_number);
    return id;
}

/* Number of endpoints; for each its id, its domain, whether that one is bypassed; then the mappings to the end. */
void iommu_map_save(IommuMap *m, GByteArray *out)
{
    unsigned endpoints, domains;
    g_mutex_lock(&m->lock);
    g_autofree void **endpoint = sorted_ids(m->endpoints, &endpoints), **domain = sorted_ids(m->domains, &domains);
    g_byte_array_set_size(out, 0);
    put(out, 4, endpoints);
    for (unsigned i = 0; i < endpoints; i++) {
        const Domain *d = of_endpoint(m, GPOINTER_TO_UINT(endpoint[i]));
        put(out, 4, GPOINTER_TO_UINT(endpoint[i]));
        put(out, 4, d->id);
        put(out, 4, d->bypass);
    }
    for (unsigned i = 0; i < domains; i++) {
        Saving s = { out, GPOINTER_TO_UINT(domain[i]) };
        g_tree_foreach(domain_of(m, s.domain)->mappings, save_mapping, &s);
    }
    g_mutex_unlock(&m->lock);
}

static bool load(IommuMap *m, const uint8_t *p, size_t len)
{
    clear(m);
    uint32_t endpoints = len >= 4 ? load_le32(p) : 0;
    if (!len)
        return true;
    if (len < 4 || endpoints > (len - 4) / SAVED_ENDPOINT || (len - 4 - endpoints * SAVED_ENDPOINT) % SAVED_MAPPING)
        return false;
    for (p += 4, len -= 4; endpoints; endpoints--, p += SAVED_ENDPOINT, len -= SAVED_ENDPOINT) {
        if (of_endpoint(m, load_le32(p)) || load_le32(p + 8) > 1 ||
            attach(m, load_le32(p + 4), load_le32(p), load_le32(p + 8)) != IOMMU_OK)
            return false;
    }
    for (; len; p += SAVED_MAPPING, len -= SAVED_MAPPING) {
        Mapping one = { load_le64(p + 8), load_le64(p + 16), load_le64(p + 24), load_le32(p + 4) };
        if (one.access > (MEM_READ | MEM_WRITE) || add(m, load_le32(p), &one) != IOMMU_OK)
            return false;
    }
    return true;
}

bool iommu_map_load(IommuMap *m, const GByteArray *in, const char *who, Error **errp)
{
    g_mutex_lock(&m->lock);
    bool ok = load(m, in->data, in->len);
    if (!ok) {
        clear(m);
        error_setf(errp, "device '%s': the saved domains and mappings make no sense", who);
    }
    g_mutex_unlock(&m->lock);
    return ok;
}

void iommu_map_print(IommuMap *m, GString *out)
{
    unsigned endpoints, domains;
    g_mutex_lock(&m->lock);
    g_autofree void **endpoint = sorted_ids(m->endpoints, &endpoints), **domain = sorted_ids(m->domains, &domains);
    g_string_append_printf(out, "iommu: %u mappings; endpoints in no domain %s\n", m->mappings,
                           m->bypass ? "reach memory" : "reach nothing");
    for (unsigned i = 0; i < domains; i++) {
        const Domain *d = domain_of(m, GPOINTER_TO_UINT(domain[i]));
        g_string_append_printf(out, "domain %u: %u mappings%s, endpoints", d->id, (unsigned)g_tree_nnodes(d->mappings),
                               d->bypass ? ", bypassed" : "");
        for (unsigned k = 0; k < endpoints; k++) {
            unsigned id = GPOINTER_TO_UINT(endpoint[k]);
            if (of_endpoint(m, id) == d)
                g_string_append_printf(out, " %02x:%02x.%x", id >> 8, id >> 3 & 0x1f, id & 7);
        }
        g_string_append_c(out, '\n');
    }
    g_mutex_unlock(&m->lock);
}

/* SPDX-License-Identifier: MIT */
/* Translated blocks: look-up by key, the pages they come from, links between them, invalidation. */
#include <sys/mman.h>
#include "accel/tcg/tcg.h"

/*
 * Invariants:
 *  1. A block is reachable (hash, page list, jump caches, links) only while !invalid; block_invalidate_locked() makes
 * it unreachable everywhere. Its memory stays until its segment is reused, which waits for an RCU grace period, and
 * vCPUs are in an RCU read section while they run generated code.
 *  2. A page's bitmap covers all pieces of its reachable blocks (code_watch()); PAGE_CODE is set before a translation
 * reads the page.
 *  3. A store to a PAGE_CODE page reaches tcg_ram_written() after the store; a translation publishes only when the
 * pages' write counters have not moved since before it read them. So no reachable block is older than a completed
 * store. A store counts itself and then looks at the bitmap; a translation sets its bits there and then looks at the
 * counter.
 *  4. Whoever finds a page without PAGE_CODE may store there unnoticed until its next safe point: a page that loses
 * PAGE_CODE becomes PAGE_WRITE_MAPPED at once, so that page_protect() waits for the safe points again.
 */

static size_t pages_bytes(void) { return (size_t)RAM_PAGES_MAX * sizeof(CodePage *); }
static size_t flags_bytes(void) { return RAM_PAGES_MAX; }

static void *reserve(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    g_assert(p != MAP_FAILED);
    return p;
}

typedef struct MapKey { uint64_t vpage, ram; } MapKey;
static guint map_key_hash(gconstpointer p)
{
    const MapKey *k = p;
    uint64_t h = (k->vpage ^ k->ram * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);
    return (guint)(h >> 32);
}
static gboolean map_key_equal(gconstpointer a, gconstpointer b) { return !memcmp(a, b, sizeof(MapKey)); }

void blocks_init(void)
{
    pthread_mutex_init(&tcg.lock, NULL);
    pthread_mutex_init(&tcg.flush_lock, NULL);
    tcg.pages = reserve(pages_bytes());
    tcg.page_flags = reserve(flags_bytes());
    tcg.map_ids = g_hash_table_new_full(map_key_hash, map_key_equal, g_free, NULL);
    tcg.next_map_id = 1;
}

/* A number for (virtual page, RAM page, bank); the same pair keeps its number. Thread-safe. */
uint32_t mapping_id(uint64_t vpage, uint64_t ram, unsigned bank)
{
    MapKey key = { vpage | bank, ram };
    pthread_mutex_lock(&tcg.lock);
    uint32_t id = GPOINTER_TO_UINT(g_hash_table_lookup(tcg.map_ids, &key));
    if (!id) {
        if (tcg.next_map_id == UINT32_MAX) { /* numbers are never reused while a link may hold one */
            blocks_invalidate_all();
            g_hash_table_remove_all(tcg.map_ids);
            tcg.next_map_id = 1;
        }
        id = tcg.next_map_id++;
        g_hash_table_insert(tcg.map_ids, g_memdup2(&key, sizeof key), GUINT_TO_POINTER(id));
    }
    pthread_mutex_unlock(&tcg.lock);
    return id;
}

static unsigned hash_of(uint64_t ram, uint64_t pc, uint64_t mode)
{
    uint64_t h = (ram ^ pc << 20 ^ mode * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);
    return (unsigned)(h >> (64 - BLOCK_HASH_BITS));
}

Block *block_find(uint64_t ram, uint64_t pc, uint64_t mode, unsigned variant)
{
    Block *b = rcu_get(tcg.hash[hash_of(ram, pc, mode)]);
    for (; b; b = rcu_get(b->hash_next))
        if (b->ram == ram && b->pc == pc && b->mode == mode && b->variant == variant)
            return b;
    return NULL;
}

static CodePage *code_page(uint64_t ram) { return ram == NO_PAGE ? NULL : tcg.pages[ram >> TCG_PAGE_BITS]; }

/* Pieces of the page at `page` that [ram, ram + len) touches. */
static uint64_t pieces(uint64_t page, uint64_t ram, uint64_t len)
{
    uint64_t first = ram > page ? ram : page;
    uint64_t last = MIN(ram + len, page + TCG_PAGE_SIZE) - 1;
    if (last < first || first - page >= TCG_PAGE_SIZE)
        return 0;
    unsigned a = (unsigned)(first - page) >> CODE_PIECE_BITS, z = (unsigned)(last - page) >> CODE_PIECE_BITS;
    return bits_mask(z - a + 1) << a;
}

/* The part of the block's code on its page k: [*start, *start + length). */
static uint64_t block_part(const Block *b, unsigned k, uint64_t *start)
{
    uint64_t on_first = MIN(b->guest_bytes, TCG_PAGE_SIZE - (b->ram & ~TCG_PAGE_MASK));
    *start = k ? b->ram2 : b->ram;
    return k ? (b->ram2 == NO_PAGE ? 0 : b->guest_bytes - on_first) : on_first;
}

bool block_covers(const Block *b, uint64_t ram, uint64_t len)
{
    for (unsigned k = 0; k < 2; k++) {
        uint64_t start, n = block_part(b, k, &start);
        if (n && ram < start + n && start < ram + len)
            return true;
    }
    return false;
}

static uint64_t block_pieces(const Block *b, unsigned k)
{
    uint64_t start, n = block_part(b, k, &start);
    return n ? pieces(start & TCG_PAGE_MASK, start, n) : 0;
}

void code_watch(uint64_t ram, uint64_t ram2, unsigned guest_bytes)
{
    const Block b = { .ram = ram, .ram2 = ram2, .guest_bytes = guest_bytes };
    for (unsigned k = 0; k < 2; k++) {
        CodePage *p = code_page(k ? ram2 : ram);
        if (p)
            atomic_fetch_or(&p->bitmap, block_pieces(&b, k));
    }
}

/* The page k of the block; NULL: there is none, or it is the first one again. */
static CodePage *page_of(const Block *b, unsigned k)
{
    CodePage *p = code_page(k ? b->ram2 : b->ram);
    return k && p == code_page(b->ram) ? NULL : p;
}

static unsigned page_slot(const Block *b, const CodePage *p) { return code_page(b->ram) == p ? 0 : 1; }

/*
 * A page of a library has blocks for each address that processes see it at: lists are long, and all but stores do
 * without going through them.
 */
static void page_insert(CodePage *p, Block *b, unsigned k)
{
    b->page_next[k] = p->blocks;
    b->page_at[k] = &p->blocks;
    if (p->blocks)
        p->blocks->page_at[page_slot(p->blocks, p)] = &b->page_next[k];
    p->blocks = b;
}

static void page_remove(CodePage *p, Block *b, unsigned k)
{
    Block *next = b->page_next[k];
    *b->page_at[k] = next;
    if (next)
        next->page_at[page_slot(next, p)] = b->page_at[k];
    if (!p->blocks)
        atomic_store(&p->bitmap, 0);
}

void block_insert(Block *b)
{
    for (unsigned k = 0; k < 2; k++) {
        CodePage *p = page_of(b, k);
        if (p)
            page_insert(p, b, k);
    }
    Block **head = &tcg.hash[hash_of(b->ram, b->pc, b->mode)];
    b->hash_next = *head;
    rcu_publish(*head, b);
}

static void hash_remove(Block *b)
{
    for (Block **at = &tcg.hash[hash_of(b->ram, b->pc, b->mode)]; *at; at = &(*at)->hash_next) {
        if (*at == b) {
            rcu_publish(*at, b->hash_next);
            return;
        }
    }
}

static void unlink_in(Block *b)
{
    for (BlockLink *l = b->in, *next; l; l = next) {
        next = l->next_in;
        jit_unlink(l);
        l->to = NULL;
    }
    b->in = NULL;
}

static void unlink_out(Block *b)
{
    for (unsigned k = 0; k < b->links; k++) {
        BlockLink *l = &b->link[k];
        if (!l->to)
            continue;
        for (BlockLink **at = &l->to->in; *at; at = &(*at)->next_in) {
            if (*at == l) {
                *at = l->next_in;
                break;
            }
        }
        jit_unlink(l);
        l->to = NULL;
    }
}

void block_invalidate_locked(Block *b)
{
    if (atomic_exchange(&b->invalid, true))
        return;
    hash_remove(b);
    for (unsigned k = 0; k < 2; k++) {
        CodePage *p = page_of(b, k);
        if (p)
            page_remove(p, b, k);
    }
    unlink_in(b);
    unlink_out(b);
    jump_cache_drop(b);
}

void blocks_invalidate_all(void)
{
    for (unsigned i = 0; i < ARRAY_LEN(tcg.hash); i++)
        while (tcg.hash[i])
            block_invalidate_locked(tcg.hash[i]);
}

/* tcg.lock held: nothing of the page is translated any more. */
static void page_unprotect(uint64_t ram)
{
    _Atomic uint8_t *flags = &tcg.page_flags[ram >> TCG_PAGE_BITS];
    atomic_fetch_or(flags, PAGE_WRITE_MAPPED);
    atomic_fetch_and(flags, (uint8_t)~PAGE_CODE);
}

static void page_written(CodePage *p, uint64_t page, uint64_t ram, uint64_t len)
{
    atomic_fetch_add(&p->writes, 1);
    if (!(atomic_load(&p->bitmap) & pieces(page, ram, len)))
        return;
    Vcpu *v = vcpu_current();
    uint64_t covered = 0;
    pthread_mutex_lock(&tcg.lock);
    for (Block *b = p->blocks, *next; b; b = next) {
        unsigned k = page_slot(b, p);
        next = b->page_next[k];
        if (!block_covers(b, ram, len)) {
            covered |= block_pieces(b, k) | (p == code_page(b->ram2) ? block_pieces(b, 1) : 0);
            continue;
        }
        block_invalidate_locked(b);
        if (v && v->accel_data)
            tcg_vcpu(v)->stats.invalidations++;
    }
    atomic_store(&p->bitmap, covered);
    if (!p->blocks && !p->pins)
        page_unprotect(page);
    pthread_mutex_unlock(&tcg.lock);
    if (v) /* the block in progress may be among them: it ends after the present guest instruction */
        atomic_store(&v->exit_request, 1);
}

void tcg_ram_written(uint64_t ram, uint64_t len)
{
    for (uint64_t page = ram & TCG_PAGE_MASK; len && page < ram + len; page += TCG_PAGE_SIZE) {
        if (!page_is_code(page))
            continue;
        CodePage *p = code_page(page);
        if (p)
            page_written(p, page, ram, len);
    }
}

/* Fast write entries of this vCPU for the page go away: it holds code now. */
static void drop_write_entries(Vcpu *v, const uint8_t *host)
{
    for (unsigned bank = 0; bank < v->arch->banks; bank++) {
        TlbBank *t = &v->tlb[bank];
        for (unsigned i = 0; i < TLB_SIZE; i++)
            if (t->host[i] == (uintptr_t)host)
                t->write[i] = tlb_empty(i);
    }
}

CodePage *page_protect(Vcpu *v, uint64_t ram)
{
    uint64_t n = ram >> TCG_PAGE_BITS;
    pthread_mutex_lock(&tcg.lock);
    if (!tcg.pages[n]) {
        CodePage *new = g_new0(CodePage, 1);
        new->next = tcg.all_pages; /* a leak checker sees them by this list: it does not look into mapped memory */
        tcg.all_pages = new;
        __atomic_store_n(&tcg.pages[n], new, __ATOMIC_RELEASE);
    }
    CodePage *p = tcg.pages[n];
    p->pins++;
    uint8_t old = atomic_fetch_or(&tcg.page_flags[n], PAGE_CODE);
    pthread_mutex_unlock(&tcg.lock);
    if (old & PAGE_WRITE_MAPPED) {
        drop_write_entries(v, mem_ram_host(ram & TCG_PAGE_MASK));
        tcg_sync_others(v);
        atomic_fetch_and(&tcg.page_flags[n], (uint8_t)~PAGE_WRITE_MAPPED); /* pinned: PAGE_CODE is still set */
    }
    return p;
}

void page_release(CodePage *p, uint64_t ram)
{
    pthread_mutex_lock(&tcg.lock);
    if (!--p->pins && !p->blocks)
        page_unprotect(ram);
    pthread_mutex_unlock(&tcg.lock);
}

void blocks_reset(void)
{
    pthread_mutex_lock(&tcg.lock);
    blocks_invalidate_all();
    pthread_mutex_unlock(&tcg.lock);
}

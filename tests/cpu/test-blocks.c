/* SPDX-License-Identifier: MIT */
/*
 * The lists of the blocks of a page: their shape after random insertions and removals, and that a removal looks at its
 * neighbours only.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tests/cpu/toy.h"

enum { BLOCKS = 300, ROUNDS = 1500, PAGE_A = 0x20000, PAGE_B = PAGE_A + TCG_PAGE_SIZE };

/* each on a page of the host's own, so that whoever looks at it can be seen; one behind the other */
static Block *block[BLOCKS];
static bool listed[BLOCKS];

static void make_blocks(void)
{
    size_t size = (size_t)getpagesize();
    uint8_t *p = mmap(NULL, BLOCKS * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert_true(p != MAP_FAILED);
    for (unsigned i = 0; i < BLOCKS; i++) {
        block[i] = (Block *)(p + i * size);
        block[i]->pc = 2 * i;
    }
}

static void protect(unsigned first, unsigned count, int how)
{
    if (mprotect(block[first], count * (size_t)getpagesize(), how))
        g_error("mprotect: %s", g_strerror(errno));
}

/* On one page, on both, or from one into the same page again. */
static void place(Block *b, unsigned kind)
{
    b->ram = kind & 1 ? PAGE_A : PAGE_B;
    b->ram2 = kind < 2 ? NO_PAGE : kind < 4 ? (uint64_t)PAGE_A + PAGE_B - b->ram : b->ram;
    b->ram += kind < 2 ? 64 : TCG_PAGE_SIZE - 2;
    b->guest_bytes = 4;
}

static CodePage *page(uint64_t ram) { return tcg.pages[ram >> TCG_PAGE_BITS]; }
static unsigned slot_on(const Block *b, uint64_t ram) { return (b->ram & TCG_PAGE_MASK) == ram ? 0 : 1; }
static bool is_on(const Block *b, uint64_t ram)
{
    return (b->ram & TCG_PAGE_MASK) == ram || (b->ram2 & TCG_PAGE_MASK) == ram;
}

static void check_page(uint64_t ram)
{
    unsigned want = 0, have = 0;
    for (unsigned i = 0; i < BLOCKS; i++)
        want += listed[i] && is_on(block[i], ram);
    Block **at = &page(ram)->blocks;
    while (*at && have <= want) {
        Block *b = *at;
        unsigned k = slot_on(b, ram);
        g_assert_true(is_on(b, ram) && !b->invalid);
        g_assert_true(b->page_at[k] == at);
        at = &b->page_next[k];
        have++;
    }
    g_assert_cmpuint(have, ==, want);
}

static void add(unsigned i)
{
    Block *b = block[i];
    place(b, (unsigned)g_test_rand_int_range(0, 6));
    b->invalid = false;
    block_insert(b);
    while (b->hash_next) { /* a bucket of its own: what shares one is looked at for another reason */
        block_invalidate_locked(b);
        b->invalid = false;
        b->pc += 2 * BLOCKS;
        block_insert(b);
    }
    listed[i] = true;
}

static void mark(const Block *b, bool *near)
{
    for (unsigned i = 0; b && i < BLOCKS; i++)
        near[i] |= block[i] == b;
}

/* The block in whose `page_next` *at is; NULL: it is the page's head. */
static const Block *holder(Block **at)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (at == &block[i]->page_next[0] || at == &block[i]->page_next[1])
            return block[i];
    }
    return NULL;
}

static void drop(unsigned i)
{
    bool near[BLOCKS] = { false };
    mark(block[i], near);
    for (unsigned k = 0;
         k < 2 && (!k || (block[i]->ram2 != NO_PAGE && (block[i]->ram2 ^ block[i]->ram) & TCG_PAGE_MASK)); k++) {
        mark(block[i]->page_next[k], near);
        mark(holder(block[i]->page_at[k]), near);
    }
    protect(0, BLOCKS, PROT_NONE);
    for (unsigned n = 0; n < BLOCKS; n++) {
        if (near[n])
            protect(n, 1, PROT_READ | PROT_WRITE);
    }
    block_invalidate_locked(block[i]); /* a fault here: it went through the list */
    protect(0, BLOCKS, PROT_READ | PROT_WRITE);
    listed[i] = false;
}

static void test_lists(void)
{
    ToyCpu *c = toy_cpu_new();
    page_protect(&c->v, PAGE_A);
    page_protect(&c->v, PAGE_B);
    make_blocks();
    pthread_mutex_lock(&tcg.lock);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned i = (unsigned)g_test_rand_int_range(0, BLOCKS);
        listed[i] ? drop(i) : add(i);
        check_page(PAGE_A);
        check_page(PAGE_B);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (listed[i])
            drop(i);
    }
    pthread_mutex_unlock(&tcg.lock);
    g_assert_null(page(PAGE_A)->blocks);
    g_assert_null(page(PAGE_B)->blocks);
    g_assert_cmphex(page(PAGE_A)->bitmap | page(PAGE_B)->bitmap, ==, 0);
    page_release(page(PAGE_A), PAGE_A);
    page_release(page(PAGE_B), PAGE_B);
    toy_cpu_free(c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    toy_setup("backend=interp");
    g_test_add_func("/blocks/lists", test_lists);
    return g_test_run();
}

/* SPDX-License-Identifier: MIT */
/* Memory tagging (DDI 0487, D10): tags of pointers, allocation tags of memory, checks.
 *
 * Tags stand beside the memory, by physical page, from the first one that is not 0 on; four bits for 16 bytes.
 */
#include <pthread.h>
#include <string.h>
#include "hw/core/device.h"
#include "target/arm/mmu.h"
#include "target/arm/tcg/a64.h"

enum {
    TAG_SHIFT = 56,
    GRANULE = 16,
    PAGE_TAGS = 4096 / GRANULE,
    BLOCK = 256 /* GMID_EL1.BS = 6 */,
    DFSC_TAG_CHECK = 0x11,
    MAIR_TAGGED = 0xf0
};

static unsigned tag_of(uint64_t ptr) { return ptr >> TAG_SHIFT & 15; }
static uint64_t with_tag(uint64_t ptr, unsigned tag) { return bits_set(ptr, TAG_SHIFT, 4, tag); }

/* --- the tags of memory --- */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of what follows; nothing is called with it held */
static GHashTable *pages;                               /* physical page number -> PAGE_TAGS / 2 bytes */

static unsigned stored_tag(hwaddr pa)
{
    pthread_mutex_lock(&lock);
    const uint8_t *tags = pages ? g_hash_table_lookup(pages, GSIZE_TO_POINTER(pa >> 12)) : NULL;
    unsigned n = pa / GRANULE % PAGE_TAGS, tag = tags ? tags[n / 2] >> 4 * (n & 1) & 15 : 0;
    pthread_mutex_unlock(&lock);
    return tag;
}

static void store_tag(hwaddr pa, unsigned tag)
{
    pthread_mutex_lock(&lock);
    if (!pages)
        pages = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    uint8_t *tags = g_hash_table_lookup(pages, GSIZE_TO_POINTER(pa >> 12));
    if (!tags && tag) {
        tags = g_malloc0(PAGE_TAGS / 2);
        g_hash_table_insert(pages, GSIZE_TO_POINTER(pa >> 12), tags);
    }
    unsigned n = pa / GRANULE % PAGE_TAGS;
    if (tags)
        tags[n / 2] = (uint8_t)(tags[n / 2] & ~(15 << 4 * (n & 1))) | (uint8_t)(tag << 4 * (n & 1));
    pthread_mutex_unlock(&lock);
}

/* --- saved with the machine: pages in rising order, each its number (64 bits) and its tags --- */
enum {
    SAVED_PAGE = 8 + PAGE_TAGS / 2,
    SAVED_MAX = 1 << 30 /* a state stream takes less: saving more tags fails with a line */
};
typedef struct SavedTags { GByteArray *pages; } SavedTags;
static const StateField saved_state[] = { STATE_BUF(SavedTags, pages, SAVED_MAX), STATE_END_OF_TABLE };

static gint by_number(gconstpointer a, gconstpointer b)
{
    gsize x = GPOINTER_TO_SIZE(*(gpointer const *)a), y = GPOINTER_TO_SIZE(*(gpointer const *)b);
    return x < y ? -1 : x > y;
}

static void part_save(void *opaque, StateWriter *w)
{
    SavedTags s = { g_byte_array_new() };
    pthread_mutex_lock(&lock);
    g_autoptr(GPtrArray) numbers = g_ptr_array_new();
    GHashTableIter it;
    gpointer number;
    if (pages)
        g_hash_table_iter_init(&it, pages);
    while (pages && g_hash_table_iter_next(&it, &number, NULL))
        g_ptr_array_add(numbers, number);
    g_ptr_array_sort(numbers, by_number);
    for (unsigned i = 0; i < numbers->len && s.pages->len + SAVED_PAGE <= SAVED_MAX; i++) {
        const uint8_t *tags = g_hash_table_lookup(pages, numbers->pdata[i]);
        uint8_t page[SAVED_PAGE];
        store_le64(page, GPOINTER_TO_SIZE(numbers->pdata[i]));
        memcpy(page + 8, tags, PAGE_TAGS / 2);
        bool any = tags[0] || memcmp(tags, tags + 1, PAGE_TAGS / 2 - 1);
        g_byte_array_append(s.pages, page, any ? SAVED_PAGE : 0);
    }
    pthread_mutex_unlock(&lock);
    state_save_section(w, "mte", saved_state, &s);
    g_byte_array_unref(s.pages);
}

static bool part_load(void *opaque, StateReader *r, Error **errp)
{
    SavedTags s = { NULL };
    bool ok = state_load_section(r, "mte", saved_state, &s, errp);
    if (ok && s.pages->len % SAVED_PAGE) {
        error_setf(errp, "the memory's tags are damaged");
        ok = false;
    }
    pthread_mutex_lock(&lock);
    if (ok && pages)
        g_hash_table_remove_all(pages);
    if (ok && !pages)
        pages = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    for (unsigned at = 0; ok && at < s.pages->len; at += SAVED_PAGE)
        g_hash_table_insert(pages, GSIZE_TO_POINTER(load_le64(s.pages->data + at)),
                            g_memdup2(s.pages->data + at + 8, PAGE_TAGS / 2));
    pthread_mutex_unlock(&lock);
    if (s.pages)
        g_byte_array_unref(s.pages);
    return ok;
}

const MachinePart arm_mte_part = { .name = "mte", .save = part_save, .load = part_load };

/* Is there RAM with tags at va (Normal, Tagged)? The access itself has been probed. */
static bool tagged(Vcpu *v, uint64_t va, unsigned bank, hwaddr *pa)
{
    ArmCpu *c = arm_cpu(v);
    Regime r = arm_regime(c, bank);
    MmuOut o;
    MmuFault f;
    if (!(r.sctlr & SCTLR_M) || !arm_translate_va(c, &r, va, (MmuAccess){ ACCESS_READ, true }, &o, &f) ||
        o.attr != MAIR_TAGGED)
        return false;
    *pa = o.pa;
    return guest_host(v, va, ACCESS_READ, bank) != NULL;
}

/* --- access to tags, checks: SCTLR_ELx.ATA, TCF, and those of EL0 --- */
static bool tags_allowed(const ArmCpu *c, bool user)
{
    if (!c->has.mte2 || !(arm_sctlr(c) >> (user ? 42 : 43) & 1))
        return false;
    if (c->el < 2 && arm_el2_enabled(c) && !(arm_hcr(c) & HCR_ATA) && !arm_e2h_host(arm_hcr(c)))
        return false;
    return !c->has.el3 || c->el == 3 || c->scr_el3 & SCR_ATA;
}
static bool tags_enabled(const ArmCpu *c) { return tags_allowed(c, c->el == 0); }
static unsigned check_kind(const ArmCpu *c, bool user) { return arm_sctlr(c) >> (user ? 38 : 40) & 3; }

uint64_t arm_mte_mode(const ArmCpu *c)
{
    if (c->tco)
        return 0;
    bool checks = tags_allowed(c, c->el == 0) && check_kind(c, c->el == 0),
         user = tags_allowed(c, true) && check_kind(c, true);
    return (checks ? ARM_MODE_MTE : 0) | (user ? ARM_MODE_MTE_U : 0);
}

/* TBI off, or a tag that TCR.TCMA lets pass: no check. */
static bool unchecked(const ArmCpu *c, uint64_t va)
{
    unsigned el = c->el == 0 ? (arm_e2h_host(arm_hcr(c)) ? 2 : 1) : c->el;
    uint64_t tcr = c->tcr_el[el];
    bool high = va >> 55 & 1;
    if (el == 1 || (el == 2 && arm_hcr(c) & HCR_E2H))
        return !(tcr >> (high ? 38 : 37) & 1) || (tag_of(va) == (high ? 15 : 0) && tcr >> (high ? 58 : 57) & 1);
    return !(tcr >> 20 & 1) || (tag_of(va) == 0 && tcr >> 30 & 1);
}

static void check_failed(ArmCpu *c, uint64_t va, bool write, bool user)
{
    unsigned kind = check_kind(c, user);
    if (kind == 1 || (kind == 3 && !write)) {
        arm_raise_event(c, &(ArmEvent){ .kind = ARM_EVENT_SYNC,
                                        .ec = c->el == 0 ? EC_DATA_ABORT_LOWER : EC_DATA_ABORT,
                                        .il32 = true,
                                        .iss = DFSC_TAG_CHECK | (write ? 1u << 6 : 0),
                                        .far_valid = true,
                                        .far = va });
    }
    uint64_t bit = BIT(va >> 55 & 1); /* asynchronous: TF0, TF1 */
    if (c->el == 0)
        c->tfsre0_el1 |= bit;
    else
        c->tfsr_el[c->el] |= bit;
}

ARM_HELPER_VOID(tag_check)
{
    ArmCpu *c = arm_cpu(v);
    bool write = a3 & ARM_MEM_WRITE, user = c->el == 0 || a3 & ARM_MEM_UNPRIV;
    unsigned bank = user && c->el ? arm_mode_ubank(v->mode) : arm_mode_bank(v->mode);
    if (unchecked(c, a))
        return;
    for (uint64_t at = a & ~UINT64_C(15); at < a + b; at += GRANULE) {
        hwaddr pa;
        if (tagged(v, at, bank, &pa) && stored_tag(pa) != tag_of(a)) {
            check_failed(c, MAX(at, a), write, user);
            return;
        }
    }
}

/* --- pointers --- */
/* The next of 16 tags by `offset` steps over those that are excluded. */
static unsigned choose_tag(unsigned tag, unsigned offset, unsigned exclude)
{
    if ((exclude & 0xffff) == 0xffff)
        return 0;
    while (exclude >> tag & 1)
        tag = (tag + 1) & 15;
    while (offset--) {
        do {
            tag = (tag + 1) & 15;
        } while (exclude >> tag & 1);
    }
    return tag;
}

uint64_t arm_help_addg(Vcpu *v, uint64_t ptr, uint64_t offset, uint64_t tag_offset)
{
    const ArmCpu *c = arm_cpu(v);
    unsigned tag = tags_enabled(c) ? choose_tag(tag_of(ptr), (unsigned)tag_offset, c->gcr_el1 & 0xffff) : 0;
    return with_tag(ptr + offset, tag);
}

/* A bit of RGSR_EL1.SEED's shift register (DDI 0487, D19.2.117). */
static unsigned random_bit(ArmCpu *c)
{
    uint32_t seed = (uint32_t)bits_get(c->rgsr_el1, 8, 16);
    unsigned top = (seed >> 5 ^ seed >> 3 ^ seed >> 2 ^ seed) & 1;
    c->rgsr_el1 = bits_set(c->rgsr_el1, 8, 16, top << 15 | seed >> 1);
    return top;
}

uint64_t arm_help_irg(Vcpu *v, uint64_t ptr, uint64_t exclude, uint64_t unused)
{
    ArmCpu *c = arm_cpu(v);
    if (!tags_enabled(c))
        return with_tag(ptr, 0);
    if (!bits_get(c->rgsr_el1, 8, 16)) /* a shift register of zeros stays there */
        c->rgsr_el1 = bits_set(c->rgsr_el1, 8, 16, 0xace1);
    unsigned offset = 0;
    for (unsigned n = 0; n < 4; n++)
        offset |= random_bit(c) << n;
    unsigned tag = choose_tag(c->rgsr_el1 & 15, offset, (unsigned)(exclude | c->gcr_el1) & 0xffff);
    c->rgsr_el1 = bits_set(c->rgsr_el1, 0, 4, tag);
    return with_tag(ptr, tag);
}

/* --- loads and stores of tags --- */
uint64_t arm_help_ldg(Vcpu *v, uint64_t va, uint64_t old, uint64_t unused)
{
    hwaddr pa;
    unsigned bank = arm_mode_bank(v->mode);
    va &= ~UINT64_C(15);
    guest_probe(v, va, GRANULE, ACCESS_READ, bank);
    return with_tag(old, tags_enabled(arm_cpu(v)) && tagged(v, va, bank, &pa) ? stored_tag(pa) : 0);
}

static void set_tag(Vcpu *v, uint64_t va, unsigned tag)
{
    hwaddr pa;
    if (tags_enabled(arm_cpu(v)) && tagged(v, va, arm_mode_bank(v->mode), &pa))
        store_tag(pa, tag);
}

void arm_help_stg(Vcpu *v, uint64_t va, uint64_t ptr, uint64_t what)
{
    unsigned size = what & 1 ? 2 * GRANULE : GRANULE, bank = arm_mode_bank(v->mode);
    if (va & 15) {
        vcpu_sync(v);
        v->arch->misaligned(v, va, ACCESS_WRITE, GRANULE);
        vcpu_unwind(v);
    }
    guest_probe(v, va, size, ACCESS_WRITE, bank);
    for (unsigned n = 0; what & 2 && n < size; n += 8)
        guest_store(v, va + n, 8, 0, bank);
    for (unsigned n = 0; n < size; n += GRANULE)
        set_tag(v, va + n, tag_of(ptr));
}

/* LDGM, STGM: the tags of a block, each in its place of the value. */
uint64_t arm_help_ldgm(Vcpu *v, uint64_t va, uint64_t a, uint64_t b)
{
    uint64_t r = 0;
    va &= ~(uint64_t)(BLOCK - 1);
    for (unsigned n = 0; n < BLOCK / GRANULE; n++)
        r |= (uint64_t)tag_of(arm_help_ldg(v, va + n * GRANULE, 0, 0)) << 4 * n;
    return r;
}

void arm_help_stgm(Vcpu *v, uint64_t va, uint64_t tags, uint64_t zero)
{
    unsigned bank = arm_mode_bank(v->mode);
    va &= ~(uint64_t)(BLOCK - 1);
    guest_probe(v, va, BLOCK, ACCESS_WRITE, bank);
    for (unsigned n = 0; zero && n < BLOCK; n += 8)
        guest_store(v, va + n, 8, 0, bank);
    for (unsigned n = 0; n < BLOCK / GRANULE; n++)
        set_tag(v, va + n * GRANULE, zero ? tags & 15 : tags >> 4 * n & 15);
}

/* SPDX-License-Identifier: MIT */
/* Monitor: `info tlb` and `info mem`, the mappings of an x86 CPU's page tables (Intel SDM volume 3, chapter 4). */
#include <inttypes.h>
#include <string.h>
#include "base/bits.h"
#include "system/monitor-x86.h"
#include "target/x86/cpu.h"

enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_PWT = 8, PTE_PCD = 16, PTE_A = 32, PTE_D = 64, PTE_PS = 128, PTE_G = 256 };
#define PTE_NX BIT(63)
#define ADDRESS_MASK UINT64_C(0x000ffffffffff000)
/* A guest's tables may contain themselves: the walk ends after so many tables and lines. */
#define MAX_TABLES 200000
#define MAX_LINES 20000

/* One paging mode: how many levels, and the width of an entry. */
typedef struct Shape {
    unsigned levels, entry, index_bits;
    bool pse; /* 32-bit paging: 4 MiB pages are on */
} Shape;

typedef struct Mapping {
    uint64_t va, pa, size, entry, rights; /* rights: P W U and NX of all levels together */
} Mapping;

typedef struct Walk {
    Shape shape;
    AddressSpace *as;
    GString *out;
    void (*found)(struct Walk *w, const Mapping *m);
    unsigned tables, lines;
    uint64_t start, end, rights; /* info mem: the range that grows */
} Walk;

static uint64_t canonical(const Walk *w, uint64_t va)
{
    unsigned bits = w->shape.levels >= 4 ? 12 + 9 * w->shape.levels : 32;
    return w->shape.levels >= 4 ? (uint64_t)bits_sget(va, 0, bits) : va;
}

static bool is_leaf(const Walk *w, unsigned level, uint64_t entry)
{
    if (level == 0)
        return true;
    if (!(entry & PTE_PS) || level > 2)
        return false;
    if (w->shape.entry == 4)
        return w->shape.pse;
    return level == 1 || w->shape.levels >= 4; /* no 1 GiB pages in PAE paging */
}

static void walk_table(Walk *w, unsigned level, uint64_t table, uint64_t va, uint64_t rights)
{
    uint8_t page[4096];
    unsigned bits = w->shape.index_bits, shift = 12 + level * bits;
    unsigned count = w->shape.levels == 3 && level == 2 ? 4 : 1u << bits;
    if (w->tables++ >= MAX_TABLES || as_read(w->as, table, page, count * w->shape.entry, MEM_ATTRS_DEVICE) != MEM_OK)
        return;
    for (unsigned i = 0; i < count && w->lines < MAX_LINES; i++) {
        uint64_t e = load_le(page + i * w->shape.entry, w->shape.entry), at = va | (uint64_t)i << shift;
        bool pdpte = w->shape.levels == 3 && level == 2; /* no rights in it */
        uint64_t now = pdpte ? rights : (rights & e & (PTE_W | PTE_U)) | ((rights | e) & PTE_NX);
        if (!(e & PTE_P))
            continue;
        if (!pdpte && is_leaf(w, level, e)) {
            uint64_t size = UINT64_C(1) << shift;
            uint64_t pa = w->shape.entry == 4 && level ? (e & 0xffc00000) | (e & 0x1fe000) << 19
                                                       : e & ADDRESS_MASK & ~(size - 1);
            w->found(w, &(Mapping){ canonical(w, at), pa, size, e, now });
        } else {
            walk_table(w, level - 1, e & ADDRESS_MASK & (w->shape.entry == 4 ? 0xfffff000 : ~UINT64_C(0)), at, now);
        }
    }
}

static void print_mapping(Walk *w, const Mapping *m)
{
    static const struct { uint64_t bit; char letter;
    } flags[] = {
        { PTE_NX, 'X' },  { PTE_G, 'G' },   { PTE_PS, 'P' }, { PTE_D, 'D' }, { PTE_A, 'A' },
        { PTE_PCD, 'C' }, { PTE_PWT, 'T' }, { PTE_U, 'U' },  { PTE_W, 'W' },
    };
    w->lines++;
    g_string_append_printf(w->out, "%016" PRIx64 ": %016" PRIx64 " ", m->va, m->pa);
    for (unsigned i = 0; i < ARRAY_LEN(flags); i++) {
        bool large_only = flags[i].bit == PTE_PS && m->size == 4096; /* bit 7 is PAT there */
        g_string_append_c(w->out, (m->entry & flags[i].bit) && !large_only ? flags[i].letter : '-');
    }
    g_string_append_c(w->out, '\n');
}

static void print_range(Walk *w)
{
    if (w->start == w->end)
        return;
    w->lines++;
    g_string_append_printf(w->out, "%016" PRIx64 "-%016" PRIx64 " %016" PRIx64 " %cr%c%c\n", w->start, w->end,
                           w->end - w->start, w->rights & PTE_U ? 'u' : '-', w->rights & PTE_W ? 'w' : '-',
                           w->rights & PTE_NX ? '-' : 'x');
}

static void merge_mapping(Walk *w, const Mapping *m)
{
    if (w->start != w->end && w->end == m->va && w->rights == m->rights) {
        w->end += m->size;
        return;
    }
    print_range(w);
    w->start = m->va;
    w->end = m->va + m->size;
    w->rights = m->rights;
}

static void walk_all(Vcpu *v, void *opaque)
{
    Walk *w = opaque;
    const X86Cpu *c = x86_cpu(v);
    uint64_t root = c->cr3 & ADDRESS_MASK;
    w->as = v->as;
    if (!(c->cr0 & CR0_PG)) {
        g_string_append(w->out, "paging is off\n");
        return;
    }
    if (x86_lma(c)) {
        w->shape = (Shape){ c->cr4 & CR4_LA57 ? 5 : 4, 8, 9, true };
    } else if (c->cr4 & CR4_PAE) {
        w->shape = (Shape){ 3, 8, 9, true };
        root = c->cr3 & 0xffffffe0;
    } else {
        w->shape = (Shape){ 2, 4, 10, c->cr4 & CR4_PSE };
        root = c->cr3 & 0xfffff000;
    }
    walk_table(w, w->shape.levels - 1, root, 0, PTE_W | PTE_U);
    if (w->found == merge_mapping)
        print_range(w);
    if (w->tables >= MAX_TABLES || w->lines >= MAX_LINES)
        g_string_append(w->out, "(the rest is left out)\n");
}

static bool info_mappings(Monitor *mon, const char *item, void (*found)(Walk *w, const Mapping *m), Error **errp)
{
    Vcpu *v = monitor_cpu(mon) < vcpu_count() ? vcpu_get(monitor_cpu(mon)) : NULL;
    if (!v || strcmp(v->arch->name, "x86_64")) {
        error_setf(errp, "info %s: there is no x86 CPU", item);
        return false;
    }
    Walk w = { .out = monitor_out(mon), .found = found };
    vcpu_run_on_sync(v, walk_all, &w);
    return true;
}

bool monitor_info_tlb(Monitor *mon, int argc, char **argv, Error **errp)
{
    return info_mappings(mon, "tlb", print_mapping, errp);
}

bool monitor_info_mem(Monitor *mon, int argc, char **argv, Error **errp)
{
    return info_mappings(mon, "mem", merge_mapping, errp);
}

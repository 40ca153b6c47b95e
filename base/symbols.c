/* SPDX-License-Identifier: MIT */
/* Names of guest addresses. */
#include "base/symbols.h"

#include <glib.h>
#include <inttypes.h>

typedef struct Symbol {
    uint64_t addr, size;
    char *name;
} Symbol;

static GArray *symbols; /* sorted by address on the first look-up */
static bool sorted;
static GMutex lock;

static void symbol_free(gpointer p) { g_free(((Symbol *)p)->name); }

void symbols_add(const char *name, uint64_t addr, uint64_t size)
{
    Symbol s = { addr, size, g_strdup(name) };
    g_mutex_lock(&lock);
    if (!symbols) {
        symbols = g_array_new(false, false, sizeof(Symbol));
        g_array_set_clear_func(symbols, symbol_free);
    }
    g_array_append_val(symbols, s);
    sorted = false;
    g_mutex_unlock(&lock);
}

void symbols_clear(void)
{
    g_mutex_lock(&lock);
    g_clear_pointer(&symbols, g_array_unref);
    g_mutex_unlock(&lock);
}

bool symbols_known(void)
{
    g_mutex_lock(&lock);
    bool known = symbols && symbols->len;
    g_mutex_unlock(&lock);
    return known;
}

/* By address; the larger one last, so that it is found first. */
static int by_address(gconstpointer a, gconstpointer b)
{
    const Symbol *x = a, *y = b;
    if (x->addr != y->addr)
        return x->addr < y->addr ? -1 : 1;
    return x->size < y->size ? -1 : x->size > y->size;
}

static const Symbol *find(uint64_t addr)
{
    if (!symbols || !symbols->len)
        return NULL;
    if (!sorted) {
        g_array_sort(symbols, by_address);
        sorted = true;
    }
    guint low = 0, high = symbols->len; /* the first one above addr */
    while (low < high) {
        guint mid = (low + high) / 2;
        if (g_array_index(symbols, Symbol, mid).addr <= addr)
            low = mid + 1;
        else
            high = mid;
    }
    if (!low)
        return NULL;
    const Symbol *s = &g_array_index(symbols, Symbol, low - 1);
    return s->size && addr - s->addr >= s->size ? NULL : s;
}

const char *symbols_find(uint64_t addr, uint64_t *offset)
{
    g_mutex_lock(&lock);
    const Symbol *s = find(addr);
    g_mutex_unlock(&lock);
    if (!s)
        return NULL;
    *offset = addr - s->addr;
    return s->name;
}

char *symbols_describe(uint64_t addr)
{
    uint64_t offset;
    const char *name = symbols_find(addr, &offset);
    int digits = addr >> 32 ? 16 : 8;
    if (!name)
        return g_strdup_printf("0x%0*" PRIx64, digits, addr);
    return offset ? g_strdup_printf("0x%0*" PRIx64 " in %s+0x%" PRIx64, digits, addr, name, offset)
                  : g_strdup_printf("0x%0*" PRIx64 " in %s", digits, addr, name);
}

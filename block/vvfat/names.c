/* SPDX-License-Identifier: MIT */
/*
 * vvfat: names of the host as long and short names, and the tables of folders [FAT Directory Structure, FAT Long
 * Directory Entries].
 */
#include <string.h>
#include <time.h>
#include "block/vvfat/vvfat.h"

enum { SHORT = 11, UNITS = 13 /* of an entry of a long name */, UNITS_MAX = 255 };

/*
 * A folder's names while it is made: `taken` by long names without case, `shorts` by what stands in the entry; `next`
 * number of a short name's start.
 */
typedef struct Names { GHashTable *taken, *shorts, *next; } Names;

/* --- long names --- */

/* What FAT does not allow, and what is no UTF-8, becomes "_". */
static char *allowed(const char *host)
{
    GString *s = g_string_new(NULL);
    for (const char *p = host; *p;) {
        gunichar c = g_utf8_get_char_validated(p, -1);
        bool good = c != (gunichar)-1 && c != (gunichar)-2;
        if (!good || c < 0x20 || c == 0x7f || (c < 0x80 && strchr("\"*/:<>?\\|", (int)c)))
            g_string_append_c(s, '_');
        else
            g_string_append_unichar(s, c);
        p = good ? g_utf8_next_char(p) : p + 1;
    }
    for (size_t i = s->len; i-- && (s->str[i] == '.' || s->str[i] == ' ');) /* at the end they are not part of a name */
        s->str[i] = '_';
    return g_string_free(s, FALSE);
}

/* "name.txt", 2: "name~2.txt" */
static char *numbered(const char *name, unsigned number)
{
    const char *dot = strrchr(name, '.');
    size_t stem = dot && dot != name && strlen(dot) < 100 ? (size_t)(dot - name) : strlen(name),
           rest = strlen(name + stem);
    for (stem = MIN(stem, UNITS_MAX - 12 - rest); (name[stem] & 0xc0) == 0x80;) /* not amid a character */
        stem--;
    const char *end = name + strlen(name) - rest;
    return g_strdup_printf("%.*s~%u%s", (int)stem, name, number, end);
}

/* The name that the guest sees: no other of the folder differs from it by case alone. */
static char *unique_long(Names *n, const char *host)
{
    g_autofree char *base = allowed(host);
    char *name = g_strdup(base), *key = g_utf8_casefold(name, -1);
    unsigned *number = g_hash_table_lookup(n->next, key);
    if (g_hash_table_contains(n->taken, key) && !number) {
        number = g_new0(unsigned, 1);
        g_hash_table_insert(n->next, g_strdup(key), number);
    }
    while (g_hash_table_contains(n->taken, key)) {
        g_free(name);
        g_free(key);
        name = numbered(base, ++*number);
        key = g_utf8_casefold(name, -1);
    }
    g_hash_table_add(n->taken, key);
    return name;
}

/* --- short names --- */

static bool short_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("$%'-_@~`!(){}^#&", c));
}

/* Up to max characters from [from, to) in upper case; lossy: it is not all of them, or not as they were. */
static unsigned squeeze(const char *from, const char *to, char *out, unsigned max, bool *lossy)
{
    unsigned n = 0;
    for (const char *p = from; p < to; p = g_utf8_next_char(p)) {
        char c = g_ascii_toupper(*p);
        if (c == ' ' || c == '.') {
            *lossy = true;
            continue;
        }
        if (n == max) {
            *lossy = true;
            break;
        }
        *lossy |= !short_char(c);
        out[n++] = short_char(c) ? c : '_';
    }
    return n;
}

/* What can be said of the name in 8.3; true: all of it but its case. */
static bool short_form(const char *name, char out[SHORT])
{
    bool lossy = false;
    const char *dot = strrchr(name, '.'), *end = name + strlen(name);
    if (!dot || dot == name)
        dot = end;
    memset(out, ' ', SHORT);
    if (!squeeze(name, dot, out, 8, &lossy)) {
        out[0] = '_';
        lossy = true;
    }
    squeeze(dot < end ? dot + 1 : end, end, out + 8, 3, &lossy);
    return !lossy;
}

static bool take_short(Names *n, const char *form)
{
    char *key = g_strndup(form, SHORT);
    return g_hash_table_add(n->shorts, key); /* the table frees the key */
}

/* The numeric tail: NAME~1, then NAME~2 ... */
static void unique_short(Names *n, char form[SHORT])
{
    char first[SHORT];
    memcpy(first, form, SHORT);
    g_autofree char *key = g_strdup_printf("/%.6s.%.3s", form, form + 8); /* "/" is in no long name */
    unsigned *number = g_hash_table_lookup(n->next, key);
    if (!number) {
        number = g_new0(unsigned, 1);
        g_hash_table_insert(n->next, g_steal_pointer(&key), number);
    }
    do {
        char tail[12];
        int len = g_snprintf(tail, sizeof tail, "~%u", ++*number), stem = 8 - len;
        memcpy(form, first, SHORT);
        for (int i = 0; i < stem; i++)
            stem = form[i] == ' ' ? i : stem;
        memset(form, ' ', 8);
        memcpy(form, first, (size_t)stem);
        memcpy(form + stem, tail, (size_t)len);
    } while (!take_short(n, form));
}

/* --- entries --- */

static void stamp(int64_t seconds, uint16_t *date, uint16_t *of_day, unsigned *odd)
{
    struct tm t;
    time_t s = (time_t)seconds;
    bool known = localtime_r(&s, &t);
    if (!known || t.tm_year < 80)
        t = (struct tm){ .tm_year = 80, .tm_mday = 1 };
    else if (t.tm_year > 207)
        t = (struct tm){ .tm_year = 207, .tm_mon = 11, .tm_mday = 31, .tm_hour = 23, .tm_min = 59, .tm_sec = 58 };
    unsigned sec = (unsigned)MIN(t.tm_sec, 59);
    *date = (uint16_t)((unsigned)(t.tm_year - 80) << 9 | (unsigned)(t.tm_mon + 1) << 5 | (unsigned)t.tm_mday);
    *of_day = (uint16_t)((unsigned)t.tm_hour << 11 | (unsigned)t.tm_min << 5 | sec / 2);
    *odd = sec % 2;
}

static void put_entry(GByteArray *table, const char name[SHORT], unsigned attributes, const FatEntry *e)
{
    uint8_t d[FAT_DIRENT] = { 0 };
    uint16_t date, of_day;
    unsigned odd;
    memcpy(d, name, SHORT);
    d[11] = (uint8_t)attributes;
    stamp(e->made, &date, &of_day, &odd);
    d[13] = (uint8_t)(odd * 100 + e->made_ns / 10000000);
    store_le16(d + 14, of_day);
    store_le16(d + 16, date);
    stamp(e->read, &date, &of_day, &odd);
    store_le16(d + 18, date);
    stamp(e->written, &date, &of_day, &odd);
    store_le16(d + 22, of_day);
    store_le16(d + 24, date);
    store_le32(d + 28, e->folder ? 0 : (uint32_t)e->size);
    g_byte_array_append(table, d, sizeof d);
}

/* From the last part to the first; a name that fills its last part has no end mark. */
static void put_long_name(GByteArray *table, const gunichar2 *name, unsigned len, const char form[SHORT])
{
    static const uint8_t place[UNITS] = { 1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30 };
    unsigned parts = (len + UNITS - 1) / UNITS;
    uint8_t sum = 0;
    for (unsigned i = 0; i < SHORT; i++)
        sum = (uint8_t)((sum >> 1 | sum << 7) + (uint8_t)form[i]);
    for (unsigned part = parts; part; part--) {
        uint8_t d[FAT_DIRENT] = { (uint8_t)(part | (part == parts ? 0x40 : 0)), [11] = FAT_LONG_NAME, [13] = sum };
        for (unsigned i = 0; i < UNITS; i++) {
            unsigned at = (part - 1) * UNITS + i;
            store_le16(d + place[i], at < len ? name[at] : at == len ? 0 : 0xffff);
        }
        g_byte_array_append(table, d, sizeof d);
    }
}

static bool put_child(FatEntry *e, GByteArray *table, Names *n, const char *name, Error **errp)
{
    char form[SHORT];
    glong len;
    g_autofree gunichar2 *units = g_utf8_to_utf16(name, -1, NULL, &len, NULL);
    bool whole = short_form(name, form);
    if (!units || len > UNITS_MAX) {
        error_setf(errp, "the name '%s' is longer than %d characters; give it a shorter one", name, (int)UNITS_MAX);
        return false;
    }
    if (!whole)
        unique_short(n, form); /* whole ones have taken theirs */
    g_autofree char *plain = g_strdup_printf("%.8s.%.3s", form, form + 8);
    char *end = strchr(plain, ' ');
    if (end && end < plain + 8)
        memmove(end, plain + 8, 5);
    g_strchomp(plain);
    if (g_str_has_suffix(plain, "."))
        plain[strlen(plain) - 1] = 0;
    if (!whole || strcmp(plain, name))
        put_long_name(table, units, (unsigned)len, form);
    e->dirent = table->len;
    put_entry(table, form, (e->folder ? FAT_DIRECTORY : FAT_ARCHIVE) | (e->read_only && !e->folder ? FAT_READ_ONLY : 0),
              e);
    return true;
}

static bool put_children(FatDisk *d, FatEntry *folder, Names *n, Error **errp)
{
    g_autoptr(GPtrArray) shown = g_ptr_array_new_with_free_func(g_free);
    for (uint32_t i = 0; i < folder->children; i++) { /* names that are short anyway keep theirs, whoever comes first */
        char form[SHORT], *name = unique_long(n, fat_entry(d, folder->child + i)->name);
        g_ptr_array_add(shown, name);
        if (short_form(name, form))
            take_short(n, form);
    }
    for (uint32_t i = 0; i < folder->children; i++) {
        if (!put_child(fat_entry(d, folder->child + i), folder->table, n, shown->pdata[i], errp))
            return false;
    }
    return true;
}

bool fat_make_table(FatDisk *d, uint32_t number, Error **errp)
{
    FatEntry *folder = fat_entry(d, number);
    Names n = { g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
                g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
                g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free) };
    folder->table = g_byte_array_new();
    if (number) {
        put_entry(folder->table, ".          ", FAT_DIRECTORY, folder);
        put_entry(folder->table, "..         ", FAT_DIRECTORY, fat_entry(d, folder->parent));
    } else {
        FatEntry label = { .folder = true, .made = folder->made, .read = folder->read, .written = folder->written };
        put_entry(folder->table, d->label, FAT_VOLUME, &label);
    }
    bool ok = put_children(d, folder, &n, errp);
    if (ok && folder->table->len > FAT_TABLE_MAX) {
        error_setf(errp,
                   "'%s' has more files than a folder of a FAT disk can hold (65536 entries, long names take several); "
                   "split it",
                   folder->name);
        ok = false;
    }
    folder->size = folder->table->len;
    g_hash_table_unref(n.taken);
    g_hash_table_unref(n.shorts);
    g_hash_table_unref(n.next);
    return ok;
}

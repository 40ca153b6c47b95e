/* SPDX-License-Identifier: MIT */
/* Option strings: ordered key=value pairs, and the scalar parsers behind them. */
#include "base/opts.h"

#include <stdlib.h>
#include <string.h>
#include "base/bits.h"

typedef struct Pair {
    char *key, *value;
    bool used;
} Pair;

struct Opts {
    GArray *pairs; /* of Pair */
};

static void pair_clear(void *p)
{
    Pair *pair = p;
    g_free(pair->key);
    g_free(pair->value);
}

Opts *opts_new(void)
{
    Opts *o = g_new0(Opts, 1);
    o->pairs = g_array_new(false, false, sizeof(Pair));
    g_array_set_clear_func(o->pairs, pair_clear);
    return o;
}

void opts_free(Opts *o)
{
    if (!o)
        return;
    g_array_free(o->pairs, true);
    g_free(o);
}

static Pair *pair_at(const Opts *o, unsigned i)
{
    return &g_array_index(o->pairs, Pair, i);
}

static Pair *pair_find(const Opts *o, const char *key)
{
    for (unsigned i = 0; i < o->pairs->len; i++) {
        if (!strcmp(pair_at(o, i)->key, key))
            return pair_at(o, i);
    }
    return NULL;
}

void opts_set(Opts *o, const char *key, const char *value)
{
    Pair *old = pair_find(o, key);
    if (old) {
        char *copy = g_strdup(value);
        g_free(old->value);
        old->value = copy;
        return;
    }
    Pair p = { .key = g_strdup(key), .value = g_strdup(value) };
    g_array_append_val(o->pairs, p);
}

/* The text up to the next single comma, ",," read as ","; *text moves behind that comma, or to NULL at the end. */
static char *next_piece(const char **text)
{
    GString *piece = g_string_new(NULL);
    const char *p = *text;
    *text = NULL;
    for (; *p; p++) {
        if (*p == ',' && *++p != ',') {
            *text = p;
            break;
        }
        g_string_append_c(piece, *p);
    }
    return g_string_free(piece, false);
}

Opts *opts_parse(const char *text, const char *implied_key, Error **errp)
{
    return opts_parse_list(text, implied_key, NULL, NULL, errp);
}

Opts *opts_parse_list(const char *text, const char *implied_key, const char *list_key, GPtrArray *list, Error **errp)
{
    g_autoptr(Opts) o = opts_new();
    bool first = true;
    for (const char *p = text; p && *p; first = false) {
        g_autofree char *piece = next_piece(&p);
        char *eq = strchr(piece, '=');
        if (eq == piece || !*piece) {
            error_setf(errp, "options '%s': an empty name before '%s'", text, *piece ? piece : ",");
            return NULL;
        }
        if (eq) {
            *eq = '\0';
            opts_set(o, piece, eq + 1);
            if (list_key && !strcmp(piece, list_key))
                g_ptr_array_add(list, g_strdup(eq + 1));
        } else if (first && implied_key) {
            opts_set(o, implied_key, piece);
        } else {
            opts_set(o, piece, "on");
        }
    }
    return g_steal_pointer(&o);
}

bool opts_has(const Opts *o, const char *key) { return pair_find(o, key) != NULL; }
unsigned opts_count(const Opts *o) { return o->pairs->len; }
const char *opts_key(const Opts *o, unsigned i) { return pair_at(o, i)->key; }
const char *opts_value(const Opts *o, unsigned i) { return pair_at(o, i)->value; }
bool opts_is_used(const Opts *o, unsigned i) { return pair_at(o, i)->used; }

const char *opts_get(Opts *o, const char *key)
{
    Pair *p = pair_find(o, key);
    if (!p)
        return NULL;
    p->used = true;
    return p->value;
}

bool opts_get_bool(Opts *o, const char *key, bool dflt, bool *out, Error **errp)
{
    const char *v = opts_get(o, key);
    *out = dflt;
    if (!v || parse_bool(v, out))
        return true;
    error_setf(errp, "option '%s': '%s' is neither 'on' nor 'off'", key, v);
    return false;
}

bool opts_get_u64(Opts *o, const char *key, uint64_t dflt, uint64_t *out, Error **errp)
{
    const char *v = opts_get(o, key);
    *out = dflt;
    if (!v || parse_u64(v, out))
        return true;
    error_setf(errp, "option '%s': '%s' is not a number", key, v);
    return false;
}

bool opts_get_size(Opts *o, const char *key, uint64_t dflt, uint64_t *out, Error **errp)
{
    const char *v = opts_get(o, key);
    *out = dflt;
    if (!v || parse_size(v, 1, out))
        return true;
    error_setf(errp, "option '%s': '%s' is not a size; write a number with one of k M G T behind it", key, v);
    return false;
}

bool opts_all_used(const Opts *o, const char *object, const char *const *valid, Error **errp)
{
    for (unsigned i = 0; i < o->pairs->len; i++) {
        const Pair *p = pair_at(o, i);
        if (p->used)
            continue;
        Error *err = NULL;
        error_set_unknown(&err, "option", p->key, valid);
        error_prependf(&err, "%s", object);
        error_propagate(errp, err);
        return false;
    }
    return true;
}

bool parse_u64(const char *text, uint64_t *out)
{
    unsigned base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
    const char *p = base == 16 ? text + 2 : text;
    uint64_t v = 0;
    if (!*p)
        return false;
    for (; *p; p++) {
        int digit = base == 16 ? g_ascii_xdigit_value(*p) : g_ascii_digit_value(*p);
        if (digit < 0 || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit, &v))
            return false;
    }
    *out = v;
    return true;
}

bool parse_size(const char *text, uint64_t unit, uint64_t *out)
{
    static const struct { char letter; uint64_t unit; } suffixes[] = {
        { 'b', 1 }, { 'k', KiB }, { 'm', MiB }, { 'g', GiB }, { 't', 1024 * GiB }, { 'p', 1024 * 1024 * GiB },
    };
    size_t len = strlen(text);
    bool hex = g_ascii_strncasecmp(text, "0x", 2) == 0;
    char last = len > 1 ? g_ascii_tolower(text[len - 1]) : 0;
    for (unsigned i = 0; i < ARRAY_LEN(suffixes); i++) {
        if (last == suffixes[i].letter && !(hex && last == 'b')) {
            unit = suffixes[i].unit;
            len--;
            break;
        }
    }
    g_autofree char *number = g_strndup(text, len);
    uint64_t v;
    if (strchr(number, '.')) { /* "1.5G" */
        char *end;
        double d = g_ascii_strtod(number, &end);
        if (*end || !g_ascii_isdigit(*number) || d * unit >= 0x1p63)
            return false;
        *out = (uint64_t)(d * unit);
        return true;
    }
    return parse_u64(number, &v) && !__builtin_mul_overflow(v, unit, out);
}

bool parse_bool(const char *text, bool *out)
{
    static const struct { const char *word; bool value; } words[] = {
        { "on", true }, { "off", false }, { "yes", true }, { "no", false },
        { "true", true }, { "false", false }, { "y", true }, { "n", false },
    };
    for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
        if (!strcmp(text, words[i].word)) {
            *out = words[i].value;
            return true;
        }
    }
    return false;
}

bool parse_enum(const char *what, const char *text, const char *const *words, unsigned *index, Error **errp)
{
    for (unsigned i = 0; words[i]; i++) {
        if (!strcmp(text, words[i])) {
            *index = i;
            return true;
        }
    }
    error_set_unknown(errp, what, text, words);
    return false;
}

bool opts_get_enum(Opts *o, const char *key, const char *const *words, unsigned *index, Error **errp)
{
    const char *v = opts_get(o, key);
    return !v || parse_enum(key, v, words, index, errp);
}

bool opts_port_ok(const char *service, Error **errp)
{
    if (!*service || strspn(service, "0123456789") < strlen(service) || (strlen(service) < 6 && atoi(service) < 65536))
        return true;
    error_setf(errp, "port '%s': the last one is 65535", service);
    return false;
}

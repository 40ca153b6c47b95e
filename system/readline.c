/* SPDX-License-Identifier: MIT */
/* Line editing for the monitor. */
#include <string.h>
#include "base/bits.h"
#include "system/readline.h"

#define CTRL(c) ((c) & 0x1f)

static void put(Readline *r, const char *text)
{
    r->ops->write(r->opaque, text, strlen(text));
}

void readline_init(Readline *r, const char *prompt, const ReadlineOps *ops, void *opaque)
{
    *r = (Readline){ .ops = ops, .opaque = opaque, .prompt = prompt };
    r->text = g_string_new(NULL);
    r->history = g_ptr_array_new_with_free_func(g_free);
}

void readline_free(Readline *r)
{
    g_string_free(r->text, TRUE);
    g_ptr_array_unref(r->history);
    g_free(r->draft);
}

void readline_show_prompt(Readline *r)
{
    put(r, r->prompt);
    r->ops->write(r->opaque, r->text->str, r->text->len);
    for (size_t n = r->text->len; n > r->cursor; n--)
        put(r, "\b");
}

/* Draw the line anew: back to its start, prompt, text, erase the rest. */
static void redraw(Readline *r)
{
    put(r, "\r");
    put(r, r->prompt);
    r->ops->write(r->opaque, r->text->str, r->text->len);
    put(r, "\033[K");
    for (size_t n = r->text->len; n > r->cursor; n--)
        put(r, "\b");
}

static void set_text(Readline *r, const char *text)
{
    g_string_assign(r->text, text);
    r->cursor = r->text->len;
    redraw(r);
}

static void insert(Readline *r, const char *text, size_t len)
{
    if (r->text->len + len > READLINE_MAX)
        return;
    bool at_end = r->cursor == r->text->len;
    g_string_insert_len(r->text, (gssize)r->cursor, text, (gssize)len);
    r->cursor += len;
    if (at_end)
        r->ops->write(r->opaque, text, len);
    else
        redraw(r);
}

static void erase(Readline *r, size_t from, size_t to)
{
    if (from >= to)
        return;
    g_string_erase(r->text, (gssize)from, (gssize)(to - from));
    r->cursor = from;
    redraw(r);
}

static size_t word_start(const Readline *r)
{
    size_t n = r->cursor;
    while (n && r->text->str[n - 1] == ' ')
        n--;
    while (n && r->text->str[n - 1] != ' ')
        n--;
    return n;
}

static void recall(Readline *r, int step)
{
    unsigned to = r->recall + (unsigned)step;
    if ((step < 0 && !r->recall) || to > r->history->len)
        return;
    if (r->recall == r->history->len) {
        g_free(r->draft);
        r->draft = g_strdup(r->text->str);
    }
    r->recall = to;
    set_text(r, to == r->history->len ? (r->draft ? r->draft : "") : r->history->pdata[to]);
}

static void remember(Readline *r, const char *line)
{
    GPtrArray *h = r->history;
    if (*line && (!h->len || strcmp(h->pdata[h->len - 1], line)))
        g_ptr_array_add(h, g_strdup(line));
    if (h->len > READLINE_HISTORY)
        g_ptr_array_remove_index(h, 0);
    r->recall = h->len;
}

static void enter(Readline *r)
{
    g_autofree char *line = g_strdup(r->text->str);
    put(r, "\n");
    g_string_truncate(r->text, 0);
    r->cursor = 0;
    remember(r, line);
    r->ops->line(r->opaque, line);
}

static size_t common_prefix(const GPtrArray *words)
{
    size_t n = strlen(words->pdata[0]);
    for (unsigned i = 1; i < words->len; i++) {
        size_t k = 0;
        while (k < n && ((char *)words->pdata[i])[k] == ((char *)words->pdata[0])[k])
            k++;
        n = k;
    }
    return n;
}

/* One match: insert it and a blank; several: what they have in common, or show them. */
static void complete(Readline *r)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *head = g_strndup(r->text->str, r->cursor);
    size_t start = r->cursor;
    while (start && r->text->str[start - 1] != ' ')
        start--;
    size_t typed = r->cursor - start;
    r->ops->complete(r->opaque, head, words);
    if (!words->len)
        return;
    size_t shared = common_prefix(words);
    if (shared > typed)
        insert(r, (const char *)words->pdata[0] + typed, shared - typed);
    if (words->len == 1) {
        insert(r, " ", 1);
    } else if (shared <= typed) {
        put(r, "\n");
        for (unsigned i = 0; i < words->len; i++) {
            put(r, words->pdata[i]);
            put(r, i + 1 < words->len ? "  " : "\n");
        }
        readline_show_prompt(r);
    }
}

static void control(Readline *r, uint8_t c)
{
    size_t len = r->text->len;
    switch (c) {
    case CTRL('a'): r->cursor = 0; redraw(r); break;
    case CTRL('b'): r->cursor -= r->cursor > 0; redraw(r); break;
    case CTRL('c'): r->recall = r->history->len; set_text(r, ""); break;
    case CTRL('d'): erase(r, r->cursor, MIN(r->cursor + 1, len)); break;
    case CTRL('e'): r->cursor = len; redraw(r); break;
    case CTRL('f'): r->cursor += r->cursor < len; redraw(r); break;
    case '\t': complete(r); break;
    case '\n':
    case '\r': enter(r); break;
    case CTRL('k'): erase(r, r->cursor, len); break;
    case CTRL('l'): put(r, "\033[2J\033[H"); redraw(r); break;
    case CTRL('n'): recall(r, 1); break;
    case CTRL('p'): recall(r, -1); break;
    case CTRL('u'): erase(r, 0, r->cursor); break;
    case CTRL('w'): erase(r, word_start(r), r->cursor); break;
    case '\b':
    case 0x7f: erase(r, r->cursor - (r->cursor > 0), r->cursor); break;
    case 0x1b: r->state = RL_ESC; break;
    default: break;
    }
}

/* The end of ESC [ n x: arrows, Home, End, Delete. */
static void csi(Readline *r, uint8_t c)
{
    static const char letters[] = "ABCDHF";
    static const uint8_t keys[] = { CTRL('p'), CTRL('n'), CTRL('f'), CTRL('b'), CTRL('a'), CTRL('e') };
    if (g_ascii_isdigit(c)) {
        r->csi_number = (r->csi_number * 10 + (c - '0')) % 1000;
        return;
    }
    if (c == 0x1b) {
        r->state = RL_ESC;
        return;
    }
    if (c >= ' ' && c < '@')
        return; /* further parameters */
    r->state = RL_PLAIN;
    const char *at = c ? strchr(letters, c) : NULL;
    if (at)
        control(r, keys[at - letters]);
    else if (c == '~')
        control(r, r->csi_number == 3   ? CTRL('d')
                   : r->csi_number == 1 ? CTRL('a')
                   : r->csi_number == 4 ? CTRL('e')
                                        : 0);
}

void readline_input(Readline *r, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t c = data[i];
        if (r->state == RL_CSI) {
            csi(r, c);
        } else if (r->state == RL_ESC) {
            r->state = c == '[' || c == 'O' ? RL_CSI : RL_PLAIN;
            r->csi_number = 0;
        } else if (c < ' ' || c == 0x7f) {
            control(r, c);
        } else {
            insert(r, (const char *)&c, 1);
        }
    }
}

/* SPDX-License-Identifier: MIT */
/* Monitor: expressions of numbers and registers. */
#include <string.h>
#include "accel/guest-arch.h"
#include "system/monitor.h"

#define MAX_DEPTH 64

typedef struct Eval {
    Monitor *mon;
    const char *p;
    unsigned depth;
    Error **errp;
} Eval;

static bool eval_level(Eval *e, unsigned level, uint64_t *v);

static void skip_blanks(Eval *e)
{
    while (*e->p == ' ')
        e->p++;
}

typedef struct RegsWork {
    GString *text;
    uint64_t code; /* address of the next instruction, segment base included */
} RegsWork;

static void read_regs(Vcpu *v, void *opaque)
{
    RegsWork *w = opaque;
    unsigned bank;
    v->arch->print_regs(v, w->text);
    w->code = v->arch->code_address(v, &bank);
}

/* "NAME=hex" in the text of `info registers`. */
static bool find_in_text(const char *text, const char *name, uint64_t *value)
{
    size_t len = strlen(name);
    for (const char *p = text; *p; p++) {
        bool start = p == text || !g_ascii_isalnum(p[-1]);
        if (!start || g_ascii_strncasecmp(p, name, len))
            continue;
        const char *q = p + len;
        while (*q == ' ')
            q++;
        if (*q != '=')
            continue;
        char *end;
        *value = g_ascii_strtoull(q + 1, &end, 16);
        return end != q + 1;
    }
    return false;
}

/* $pc, the names of `info registers`, and on x86 $rax for EAX and $eax for RAX. */
static bool find_register(Monitor *mon, const char *name, uint64_t *value)
{
    Vcpu *v = monitor_cpu(mon) < vcpu_count() ? vcpu_get(monitor_cpu(mon)) : NULL;
    if (!v || !*name)
        return false;
    g_autoptr(GString) text = g_string_new(NULL);
    RegsWork w = { .text = text };
    vcpu_run_on_sync(v, read_regs, &w);
    if (!g_ascii_strcasecmp(name, "pc")) {
        *value = w.code;
        return true;
    }
    if (find_in_text(text->str, name, value))
        return true;
    g_autofree char *other = g_ascii_strdown(name, -1);
    *other = *other == 'r' ? 'e' : *other == 'e' ? 'r' : *other;
    return find_in_text(text->str, other, value);
}

static bool eval_register(Eval *e, uint64_t *v)
{
    const char *start = ++e->p;
    while (g_ascii_isalnum(*e->p) || *e->p == '_')
        e->p++;
    g_autofree char *name = g_strndup(start, (gsize)(e->p - start));
    if (find_register(e->mon, name, v))
        return true;
    error_setf(e->errp, "register '$%s': no such register; 'info registers' shows the names", name);
    return false;
}

static bool eval_number(Eval *e, uint64_t *v)
{
    char *end;
    *v = g_ascii_strtoull(e->p, &end, 0);
    if (end == e->p || !g_ascii_isdigit(*e->p)) {
        error_setf(e->errp, "expression: a number is expected at '%s'", e->p);
        return false;
    }
    e->p = end;
    return true;
}

static bool eval_unary(Eval *e, uint64_t *v)
{
    skip_blanks(e);
    if (++e->depth > MAX_DEPTH) {
        error_setf(e->errp, "expression: too deeply nested");
        return false;
    }
    bool ok;
    char c = *e->p;
    if (c == '-' || c == '+' || c == '~') {
        e->p++;
        ok = eval_unary(e, v);
        *v = c == '-' ? -*v : c == '~' ? ~*v : *v;
    } else if (c == '(') {
        e->p++;
        ok = eval_level(e, 0, v);
        skip_blanks(e);
        if (ok && *e->p != ')') {
            error_setf(e->errp, "expression: ')' is missing");
            return false;
        }
        e->p += ok;
    } else {
        ok = c == '$' ? eval_register(e, v) : eval_number(e, v);
    }
    e->depth--;
    return ok;
}

/* Binary operators from the weakest level to the strongest. */
static const char *const levels[][4] = { { "|" }, { "^" }, { "&" }, { "<<", ">>" }, { "+", "-" }, { "*", "/", "%" } };

static const char *match_operator(Eval *e, unsigned level)
{
    skip_blanks(e);
    for (unsigned i = 0; levels[level][i]; i++) {
        if (g_str_has_prefix(e->p, levels[level][i]))
            return levels[level][i];
    }
    return NULL;
}

static bool combine(Eval *e, const char *op, uint64_t a, uint64_t b, uint64_t *v)
{
    switch (*op) {
    case '|': *v = a | b; break;
    case '^': *v = a ^ b; break;
    case '&': *v = a & b; break;
    case '<': *v = b < 64 ? a << b : 0; break;
    case '>': *v = b < 64 ? a >> b : 0; break;
    case '+': *v = a + b; break;
    case '-': *v = a - b; break;
    case '*': *v = a * b; break;
    default:
        if (!b) {
            error_setf(e->errp, "expression: division by zero");
            return false;
        }
        *v = *op == '/' ? a / b : a % b;
        break;
    }
    return true;
}

static bool eval_level(Eval *e, unsigned level, uint64_t *v)
{
    if (level == G_N_ELEMENTS(levels))
        return eval_unary(e, v);
    if (!eval_level(e, level + 1, v))
        return false;
    const char *op;
    while ((op = match_operator(e, level))) {
        uint64_t right = 0;
        e->p += strlen(op);
        if (!eval_level(e, level + 1, &right) || !combine(e, op, *v, right, v))
            return false;
    }
    return true;
}

bool monitor_eval(Monitor *mon, const char **text, uint64_t *value, Error **errp)
{
    Eval e = { .mon = mon, .p = *text, .errp = errp };
    *value = 0;
    bool ok = eval_level(&e, 0, value);
    skip_blanks(&e);
    *text = e.p;
    return ok;
}

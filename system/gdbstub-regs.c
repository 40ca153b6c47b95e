/* SPDX-License-Identifier: MIT */
/* The GDB stub: target descriptions and registers, from the target's tables. */
#include <string.h>
#include "system/gdbstub-internal.h"

const GdbTarget *gdb_target(void)
{
    const Vcpu *v = vcpu_get(0);
    return v && v->arch->gdb ? v->arch->gdb(v) : NULL;
}

static const GdbReg *rows_of(const GdbFeature *f, const Vcpu *v, unsigned *count)
{
    *count = 0;
    if (f->present && !f->present(v))
        return NULL;
    *count = f->count;
    return f->rows ? f->rows(v, count) : f->regs;
}

static void reg_xml(const GdbReg *r, GString *out)
{
    g_string_append_printf(out, "<reg name=\"%s\" bitsize=\"%u\"", r->name, r->bits);
    if (r->type)
        g_string_append_printf(out, " type=\"%s\"", r->type);
    if (r->group)
        g_string_append_printf(out, " group=\"%s\"", r->group);
    g_string_append(out, "/>\n");
}

char *gdb_target_xml(void)
{
    const GdbTarget *t = gdb_target();
    const Vcpu *v = vcpu_get(0);
    GString *out = g_string_new(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n");
    g_string_append_printf(out, "<architecture>%s</architecture>\n", t->architecture);
    if (t->osabi)
        g_string_append_printf(out, "<osabi>%s</osabi>\n", t->osabi);
    for (const GdbFeature *f = t->features; f->name; f++) {
        unsigned count;
        const GdbReg *r = rows_of(f, v, &count);
        if (f->present && !f->present(v))
            continue;
        g_string_append_printf(out, "<feature name=\"%s\">\n%s", f->name, f->types ? f->types : "");
        for (unsigned i = 0; i < count; i++)
            reg_xml(&r[i], out);
        g_string_append(out, "</feature>\n");
    }
    g_string_append(out, "</target>\n");
    return g_string_free(out, FALSE);
}

/* The row of register n, in the order of the description. */
static const GdbReg *find(const Vcpu *v, unsigned n)
{
    for (const GdbFeature *f = gdb_target()->features; f->name; f++) {
        unsigned count;
        const GdbReg *r = rows_of(f, v, &count);
        if (n < count)
            return &r[n];
        n -= count;
    }
    return NULL;
}

/* Work in the vCPU's thread: get or set rows one after the other. */
typedef struct RegWork {
    const GdbReg *r;
    unsigned count;
    uint8_t *data;
    bool write, ok;
} RegWork;

static void reg_work(Vcpu *v, void *opaque)
{
    RegWork *w = opaque;
    uint8_t *at = w->data;
    w->ok = true;
    for (unsigned i = 0; i < w->count; i++) {
        const GdbReg *r = &w->r[i];
        if (!w->write)
            r->get(v, r, at);
        else if (r->set)
            w->ok &= r->set(v, r, at);
        else
            w->ok &= w->count > 1; /* a g packet may well hold read-only ones */
        at += r->bits / 8;
    }
}

static size_t bytes(const GdbReg *r, unsigned count)
{
    size_t n = 0;
    for (unsigned i = 0; i < count; i++)
        n += r[i].bits / 8u;
    return n;
}

/* One feature, or one register: read appends hex to the reply, write takes it from *hex. */
static bool transfer(Vcpu *v, const GdbReg *r, unsigned count, const char **hex)
{
    size_t n = bytes(r, count);
    g_autofree uint8_t *data = g_malloc0(n + GDB_REG_BYTES);
    RegWork w = { .r = r, .count = count, .data = data, .write = hex != NULL };
    if (hex && !gdb_get_bytes(hex, data, n))
        return false;
    vcpu_run_on_sync(v, reg_work, &w);
    if (!hex)
        gdb_put_hex(data, n);
    return w.ok;
}

static bool transfer_g(Vcpu *v, const char **hex)
{
    bool ok = true;
    for (const GdbFeature *f = gdb_target()->features; ok && f->name; f++) {
        unsigned count;
        const GdbReg *r = rows_of(f, v, &count);
        if (f->in_g && count && !(hex && !**hex))
            ok = transfer(v, r, count, hex);
    }
    return ok;
}

void gdb_read_g(Vcpu *v) { transfer_g(v, NULL); }
bool gdb_write_g(Vcpu *v, const char *hex) { return transfer_g(v, &hex); }

bool gdb_read_reg(Vcpu *v, unsigned n)
{
    const GdbReg *r = find(v, n);
    return r && transfer(v, r, 1, NULL);
}

bool gdb_write_reg(Vcpu *v, unsigned n, const char *hex)
{
    const GdbReg *r = find(v, n);
    return r && transfer(v, r, 1, &hex) && !*hex;
}

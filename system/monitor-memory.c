/* SPDX-License-Identifier: MIT */
/* Monitor: looking at memory and I/O ports. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "accel/guest-arch.h"
#include "base/bits.h"
#include "base/opts.h"
#include "hw/core/machine.h"
#include "system/monitor.h"

#define MAX_COUNT 65536
#define MAX_INSN 16
#define PAGE 4096

/* "/COUNT FORMAT SIZE" as in gdb: x d u o c i, and b h w g. */
typedef struct Format {
    unsigned count;
    char format;
    unsigned size;
} Format;

static bool parse_format(const char *text, Format *f, Error **errp)
{
    static const char sizes[] = "bhwg";
    const char *p = text + 1;
    char *end;
    *f = (Format){ 1, 'x', 4 };
    if (g_ascii_isdigit(*p)) {
        guint64 n = g_ascii_strtoull(p, &end, 10);
        f->count = (unsigned)MIN(n, MAX_COUNT + 1);
        p = end;
    }
    for (; *p; p++) {
        const char *size = strchr(sizes, *p);
        if (size)
            f->size = 1u << (size - sizes);
        else if (strchr("xduoci", *p))
            f->format = *p;
        else
            break;
    }
    if (*p || !f->count || f->count > MAX_COUNT) {
        error_setf(errp,
                   "format '%s': write /COUNT FORMAT SIZE, with format one of x d u o c i and size one of b h w g",
                   text);
        return false;
    }
    if (f->format == 'c')
        f->size = 1;
    return true;
}

/* "/FORMAT" at *p, if there is one. */
static bool leading_format(const char **p, Format *f, Error **errp)
{
    if (**p != '/')
        return true;
    size_t n = strcspn(*p, " ");
    g_autofree char *format = g_strndup(*p, n);
    *p += n;
    return parse_format(format, f, errp);
}

/* ---- reading guest memory ---- */

/* Physical addresses, or virtual ones of a CPU. */
typedef struct Reader {
    Vcpu *cpu; /* NULL: physical */
    AddressSpace *as;
} Reader;

typedef struct WalkWork {
    uint64_t va, pa;
    bool ok;
} WalkWork;

static void walk_work(Vcpu *v, void *opaque)
{
    WalkWork *w = opaque;
    WalkResult r;
    unsigned bank;
    v->arch->code_address(v, &bank);
    w->ok = v->arch->walk(v, w->va, ACCESS_READ, bank, true, &r);
    w->pa = r.phys + w->va % PAGE;
}

/* Up to len bytes; returns how many could be read. */
static size_t read_guest(const Reader *r, uint64_t at, uint8_t *buf, size_t len)
{
    size_t done = 0;
    while (done < len) {
        size_t n = MIN(len - done, PAGE - (at + done) % PAGE);
        WalkWork w = { .va = at + done, .pa = at + done, .ok = true };
        if (r->cpu)
            vcpu_run_on_sync(r->cpu, walk_work, &w);
        if (!w.ok || as_read(r->as, w.pa, buf + done, n, MEM_ATTRS_DEVICE) != MEM_OK)
            break;
        done += n;
    }
    return done;
}

/* ---- printing ---- */

static void print_value(GString *out, const Format *f, uint64_t v)
{
    unsigned digits = f->size * 2;
    int64_t s = bits_sget(v, 0, f->size * 8);
    switch (f->format) {
    case 'd': g_string_append_printf(out, " %*" PRId64, (int)(f->size * 5 / 2 + 1), s); break;
    case 'u': g_string_append_printf(out, " %*" PRIu64, (int)(f->size * 5 / 2 + 1), v); break;
    case 'o': g_string_append_printf(out, " 0%0*" PRIo64, (int)(f->size * 8 + 2) / 3, v); break;
    case 'c': g_string_append_printf(out, g_ascii_isprint((char)v) ? " '%c'" : " '\\x%02x'", (unsigned)v); break;
    default: g_string_append_printf(out, " 0x%0*" PRIx64, (int)digits, v); break;
    }
}

static void cannot_read(GString *out, uint64_t at)
{
    g_string_append_printf(out, "0x%" PRIx64 ": cannot be read\n", at);
}

static void dump_values(GString *out, const Reader *r, const Format *f, uint64_t at)
{
    unsigned per_line = f->format == 'c' ? 8 : 16 / f->size;
    for (unsigned n = 0; n < f->count; n++, at += f->size) {
        uint8_t b[8];
        if (n % per_line == 0)
            g_string_append_printf(out, "%s%016" PRIx64 ":", n ? "\n" : "", at);
        if (read_guest(r, at, b, f->size) != f->size) {
            g_string_append_c(out, '\n');
            cannot_read(out, at);
            return;
        }
        print_value(out, f, load_le(b, f->size));
    }
    g_string_append_c(out, '\n');
}

static void dump_code(GString *out, const Reader *r, const Vcpu *v, const Format *f, uint64_t at)
{
    for (unsigned n = 0; n < f->count; n++) {
        uint8_t code[MAX_INSN];
        size_t have = read_guest(r, at, code, sizeof(code));
        g_autoptr(GString) text = g_string_new(NULL);
        int len = have ? v->arch->disassemble(v->mode, at, code, (unsigned)have, text) : 0;
        if (!have) {
            cannot_read(out, at);
            return;
        }
        if (len <= 0) {
            len = 1;
            g_string_printf(text, ".byte 0x%02x", code[0]);
        }
        g_strchomp(text->str);
        g_string_append_printf(out, "0x%08" PRIx64 ":  %s\n", at, text->str);
        at += (unsigned)len;
    }
}

static Vcpu *current_cpu(Monitor *mon, Error **errp)
{
    Vcpu *v = vcpu_get(monitor_cpu(mon));
    if (!v && vcpu_count())
        error_setf(errp, "CPU %u is not there; 'cpu' chooses another", monitor_cpu(mon));
    else if (!v)
        error_setf(errp, "this machine has no CPU");
    return v;
}

/* Command line: "[/FMT] EXPRESSION" in one argument. */
static bool examine(Monitor *mon, const char *arg, bool virtual, Error **errp)
{
    Format f = { 1, 'x', 4 };
    Reader r = { .as = machine_current()->as_memory };
    uint64_t at;
    const char *p = arg;
    if (!leading_format(&p, &f, errp))
        return false;
    Vcpu *v = virtual || f.format == 'i' ? current_cpu(mon, errp) : NULL;
    if ((virtual || f.format == 'i') && !v)
        return false;
    if (!monitor_eval(mon, &p, &at, errp))
        return false;
    if (*p) {
        error_setf(errp, "expression: '%s' is left over", p);
        return false;
    }
    r.cpu = virtual ? v : NULL;
    if (virtual && v->as)
        r.as = v->as;
    if (f.format == 'i')
        dump_code(monitor_out(mon), &r, v, &f, at);
    else
        dump_values(monitor_out(mon), &r, &f, at);
    return true;
}

static bool do_x(Monitor *mon, int argc, char **argv, Error **errp)
{
    return examine(mon, argv[1], true, errp);
}

static bool do_xp(Monitor *mon, int argc, char **argv, Error **errp)
{
    return examine(mon, argv[1], false, errp);
}

static bool do_print(Monitor *mon, int argc, char **argv, Error **errp)
{
    Format f = { 1, 'd', 8 };
    const char *p = argv[1];
    uint64_t v;
    if (*p == '/') {
        size_t n = strcspn(p, " ");
        g_autofree char *format = g_strndup(p, n);
        if (!parse_format(format, &f, errp))
            return false;
        f.size = 8;
        p += n;
    }
    if (!monitor_eval(mon, &p, &v, errp))
        return false;
    if (*p) {
        error_setf(errp, "expression: '%s' is left over", p);
        return false;
    }
    g_autoptr(GString) text = g_string_new(NULL);
    if (f.format == 'x')
        g_string_printf(text, "0x%" PRIx64, v);
    else if (f.format == 'o')
        g_string_printf(text, "0%" PRIo64, v);
    else
        print_value(text, &f, f.format == 'c' ? v & 0xff : v);
    monitor_printf(mon, "%s\n", g_strstrip(text->str));
    return true;
}

/* ---- I/O ports ---- */

static bool do_i(Monitor *mon, int argc, char **argv, Error **errp)
{
    Format f = { 1, 'x', 1 };
    const char *p = argv[1];
    uint64_t at, v;
    if (!leading_format(&p, &f, errp))
        return false;
    if (!monitor_eval(mon, &p, &at, errp))
        return false;
    if (*p || at > 0xffff || f.size > 4) {
        error_setf(errp, "i: a port is a number up to 0xffff and has at most 4 bytes");
        return false;
    }
    as_load(machine_current()->as_io, at, f.size, &v, MEM_ATTRS_DEVICE);
    monitor_printf(mon, "port 0x%04" PRIx64 " = 0x%0*" PRIx64 "\n", at, (int)f.size * 2, v);
    return true;
}

static bool do_o(Monitor *mon, int argc, char **argv, Error **errp)
{
    Format f = { 1, 'x', 1 };
    const char *p = argv[1];
    uint64_t at, v;
    if (!leading_format(&p, &f, errp))
        return false;
    if (!monitor_eval(mon, &p, &at, errp) || !monitor_eval(mon, &p, &v, errp))
        return false;
    if (*p || at > 0xffff || f.size > 4) {
        error_setf(errp, "o: a port is a number up to 0xffff and has at most 4 bytes");
        return false;
    }
    as_store(machine_current()->as_io, at, f.size, v, MEM_ATTRS_DEVICE);
    return true;
}

/* ---- to a file ---- */

static bool save_range(const Reader *r, const char *path, uint64_t at, uint64_t len, Error **errp)
{
    FILE *file = fopen(path, "wb");
    if (!file) {
        error_set_errno(errp, errno, "file '%s'", path);
        return false;
    }
    uint8_t buf[PAGE];
    bool ok = true;
    while (ok && len) {
        size_t n = MIN(len, (uint64_t)PAGE), got = read_guest(r, at, buf, n);
        ok = got == n && fwrite(buf, 1, n, file) == n;
        if (got != n)
            error_setf(errp, "memory at 0x%" PRIx64 " cannot be read", at + got);
        else if (!ok)
            error_set_errno(errp, errno, "file '%s'", path);
        at += n;
        len -= n;
    }
    fclose(file);
    return ok;
}

/* memsave ADDRESS SIZE FILE, pmemsave likewise */
static bool do_memsave(Monitor *mon, int argc, char **argv, Error **errp)
{
    bool virtual = argv[0][0] == 'm';
    uint64_t at, len;
    Reader r = { .cpu = virtual ? current_cpu(mon, errp) : NULL, .as = machine_current()->as_memory };
    if (virtual && !r.cpu)
        return false;
    if (!parse_u64(argv[1], &at) || !parse_size(argv[2], 1, &len)) {
        error_setf(errp, "%s: address and size must be numbers", argv[0]);
        return false;
    }
    return save_range(&r, argv[3], at, len, errp);
}

const MonitorCommand monitor_commands_memory[] = {
    { "x", "[/FMT] ADDRESS", "show memory at a virtual address; FMT is COUNT, one of x d u o c i, one of b h w g", 1, 1,
      true, do_x },
    { "xp", "[/FMT] ADDRESS", "show memory at a physical address", 1, 1, true, do_xp },
    { "print|p", "[/FMT] EXPRESSION", "evaluate; registers are $rip, $rax ...", 1, 1, true, do_print },
    { "i", "[/FMT] PORT", "read an I/O port", 1, 1, true, do_i },
    { "o", "[/FMT] PORT VALUE", "write an I/O port", 1, 1, true, do_o },
    { "memsave", "ADDRESS SIZE FILE", "save virtual memory to a file", 3, 3, false, do_memsave },
    { "pmemsave", "ADDRESS SIZE FILE", "save physical memory to a file", 3, 3, false, do_memsave },
    { 0 },
};

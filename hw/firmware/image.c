/* SPDX-License-Identifier: MIT */
/* Firmware images: recognise, take apart, place. */
#include "hw/firmware/image.h"

#include <elf.h>
#include <inttypes.h>
#include <string.h>
#include "base/bits.h"
#include "base/rcu.h"
#include "base/symbols.h"
#include "hw/firmware/loader.h"

#define MAX_FILE (256 * MiB)
#define MAX_SYMBOLS (1 << 20)

typedef struct Parse {
    FirmwareImage *image;
    const uint8_t *p;
    size_t len;
    Error **errp;
} Parse;

static bool bad(const Parse *s, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
static bool bad(const Parse *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    g_autofree char *text = g_strdup_vprintf(fmt, args);
    va_end(args);
    error_setf(s->errp, "%s: damaged %s file: %s", s->image->what, s->image->format, text);
    return false;
}

static void add_piece(FirmwareImage *i, uint64_t addr, const void *data, size_t len)
{
    ImagePiece piece = { addr, g_bytes_new(data, len), 0 };
    g_array_append_val(i->pieces, piece);
}

/* Bytes that follow one another become one piece. */
typedef struct Run {
    GByteArray *bytes;
    uint64_t addr;
} Run;

static void run_end(Parse *s, Run *r)
{
    if (r->bytes->len)
        add_piece(s->image, r->addr, r->bytes->data, r->bytes->len);
    g_byte_array_set_size(r->bytes, 0);
}

static void run_add(Parse *s, Run *r, uint64_t addr, const uint8_t *data, size_t len)
{
    if (r->bytes->len && addr != r->addr + r->bytes->len)
        run_end(s, r);
    if (!r->bytes->len)
        r->addr = addr;
    g_byte_array_append(r->bytes, data, (guint)len);
}

/* --- lines of hexadecimal digits --- */

/* The next line without its end; false: no more. */
static bool next_line(const Parse *s, size_t *at, const char **line, size_t *len)
{
    if (*at >= s->len)
        return false;
    const uint8_t *from = s->p + *at, *nl = memchr(from, '\n', s->len - *at);
    size_t n = nl ? (size_t)(nl - from) : s->len - *at;
    *at += n + 1;
    while (n && (from[n - 1] == '\r' || from[n - 1] == ' '))
        n--;
    *line = (const char *)from;
    *len = n;
    return true;
}

static bool decode_hex(const char *text, size_t digits, uint8_t *out)
{
    if (digits % 2)
        return false;
    for (size_t i = 0; i < digits / 2; i++) {
        int hi = g_ascii_xdigit_value(text[2 * i]), lo = g_ascii_xdigit_value(text[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

static uint8_t byte_sum(const uint8_t *p, size_t n)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += p[i];
    return sum;
}

/* --- Intel hex (Intel, "Hexadecimal Object File Format Specification", 1988) --- */

static bool probe_hex(const Parse *s)
{
    return s->len >= 11 && s->p[0] == ':' && g_ascii_isxdigit(s->p[1]) && g_ascii_isxdigit(s->p[2]);
}

static bool hex_record(Parse *s, Run *run, const uint8_t *r, uint64_t *base, bool *end)
{
    unsigned n = r[0], type = r[3];
    uint32_t value = (uint32_t)load_be(r + 4, MIN(n, 4));
    switch (type) {
    case 0: run_add(s, run, *base + load_be(r + 1, 2), r + 4, n); return true;
    case 1: *end = true; return true;
    case 2: *base = (uint64_t)value << 4; return n == 2;
    case 4: *base = (uint64_t)value << 16; return n == 2;
    case 3: case 5: /* CS:IP: what binutils writes for entries below 1 MiB; linear */
        s->image->has_entry = true;
        s->image->entry = type == 5 ? value : (value >> 16 << 4) + (value & 0xffff);
        return n == 4;
    default: return type >= 0x0a && type <= 0x0e; /* micro:bit universal hex: blocks for several boards */
    }
}

static bool parse_hex(Parse *s)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    Run run = { bytes, 0 };
    const char *line;
    size_t at = 0, len;
    uint64_t base = 0;
    bool end = false;
    for (unsigned n = 1; !end && next_line(s, &at, &line, &len); n++) {
        uint8_t r[260] = { 0 };
        if (!len)
            continue;
        if (line[0] != ':' || len < 11 || len > 521 || !decode_hex(line + 1, len - 1, r) || (len - 1) / 2 != r[0] + 5u)
            return bad(s, "line %u is no record", n);
        if (byte_sum(r, r[0] + 5u))
            return bad(s, "wrong checksum in line %u", n);
        if (!hex_record(s, &run, r, &base, &end))
            return bad(s, "unknown record in line %u", n);
    }
    run_end(s, &run);
    return end || bad(s, "no end record (truncated?)");
}

/* --- Motorola S-records --- */

static bool probe_srec(const Parse *s)
{
    return s->len >= 10 && s->p[0] == 'S' && s->p[1] >= '0' && s->p[1] <= '9' && g_ascii_isxdigit(s->p[2]) &&
           g_ascii_isxdigit(s->p[3]);
}

static bool parse_srec(Parse *s)
{
    static const uint8_t addr_len[10] = { 2, 2, 3, 4, 0, 2, 3, 4, 3, 2 };
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    Run run = { bytes, 0 };
    const char *line;
    size_t at = 0, len;
    for (unsigned n = 1; next_line(s, &at, &line, &len); n++) {
        uint8_t r[258] = { 0 };
        if (!len)
            continue;
        unsigned type = len > 3 ? (unsigned)(line[1] - '0') : 10;
        if (line[0] != 'S' || type > 9 || len > 514 || !decode_hex(line + 2, len - 2, r) || (len - 2) / 2 != r[0] + 1u)
            return bad(s, "line %u is no record", n);
        unsigned width = addr_len[type];
        if (byte_sum(r, r[0] + 1u) != 0xff || r[0] < width + 1)
            return bad(s, "wrong checksum in line %u", n);
        if (type >= 1 && type <= 3)
            run_add(s, &run, load_be(r + 1, width), r + 1 + width, r[0] - width - 1u);
        if (type >= 7) {
            s->image->has_entry = true;
            s->image->entry = load_be(r + 1, width);
            break;
        }
    }
    run_end(s, &run);
    return true;
}

/* --- UF2 (Microsoft, "USB Flashing Format"): blocks of 512 bytes --- */

#define UF2_MAGIC 0x0a324655u
#define UF2_MAGIC2 0x9e5d5157u
#define UF2_END 0x0ab16f30u

static bool probe_uf2(const Parse *s)
{
    return s->len >= 512 && load_le32(s->p) == UF2_MAGIC && load_le32(s->p + 4) == UF2_MAGIC2;
}

static bool parse_uf2(Parse *s)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    Run run = { bytes, 0 };
    if (s->len % 512)
        return bad(s, "its size is no multiple of 512 (truncated?)");
    for (size_t at = 0; at < s->len; at += 512) {
        const uint8_t *b = s->p + at;
        uint32_t flags = load_le32(b + 8), size = load_le32(b + 16);
        if (load_le32(b) != UF2_MAGIC || load_le32(b + 4) != UF2_MAGIC2 || load_le32(b + 508) != UF2_END || size > 476)
            return bad(s, "block %zu is none", at / 512);
        if (!(flags & 1)) /* not for main flash */
            run_add(s, &run, load_le32(b + 12), b + 32, size);
    }
    run_end(s, &run);
    return true;
}

/* --- ELF --- */

typedef struct Elf {
    const uint8_t *p;
    size_t len;
    bool is64, big;
} Elf;

static uint64_t get(const Elf *e, uint64_t at, unsigned size)
{
    if (at > e->len || size > e->len - at)
        return 0;
    return e->big ? load_be(e->p + at, size) : load_le(e->p + at, size);
}

#define EHDR(e, f) get(e, (e)->is64 ? offsetof(Elf64_Ehdr, f) : offsetof(Elf32_Ehdr, f), \
                       (e)->is64 ? sizeof(((Elf64_Ehdr *)0)->f) : sizeof(((Elf32_Ehdr *)0)->f))
#define AT(e, base, T, f) get(e, (base) + ((e)->is64 ? offsetof(Elf64_##T, f) : offsetof(Elf32_##T, f)), \
                              (e)->is64 ? sizeof(((Elf64_##T *)0)->f) : sizeof(((Elf32_##T *)0)->f))

static bool probe_elf(const Parse *s) { return s->len >= SELFMAG && !memcmp(s->p, ELFMAG, SELFMAG); }

static void elf_symbols(const Elf *e, uint64_t table)
{
    uint64_t at = AT(e, table, Shdr, sh_offset), size = AT(e, table, Shdr, sh_size), link = AT(e, table, Shdr, sh_link);
    uint64_t entry = e->is64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym), shnum = EHDR(e, e_shnum);
    if (link >= shnum || at > e->len || size > e->len - at)
        return;
    uint64_t strings = EHDR(e, e_shoff) + link * EHDR(e, e_shentsize);
    uint64_t str_at = AT(e, strings, Shdr, sh_offset), str_size = AT(e, strings, Shdr, sh_size);
    if (str_at > e->len || str_size > e->len - str_at)
        return;
    for (uint64_t i = 0; i < MIN(size / entry, MAX_SYMBOLS); i++) {
        uint64_t sym = at + i * entry, name = AT(e, sym, Sym, st_name), value = AT(e, sym, Sym, st_value);
        if ((AT(e, sym, Sym, st_info) & 15) != STT_FUNC || name >= str_size ||
            !memchr(e->p + str_at + name, 0, str_size - name))
            continue;
        if (!e->is64) /* T32 functions have bit 0 set */
            value &= ~UINT64_C(1);
        symbols_add((const char *)e->p + str_at + name, value, AT(e, sym, Sym, st_size));
    }
}

static bool parse_elf(Parse *s)
{
    bool is64 = s->len > EI_CLASS && s->p[EI_CLASS] == ELFCLASS64;
    if (s->len < (is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)))
        return bad(s, "the header is cut off (truncated?)");
    Elf e = { s->p, s->len, is64, s->p[EI_DATA] == ELFDATA2MSB };
    FirmwareImage *i = s->image;
    i->machine = (unsigned)EHDR(&e, e_machine);
    i->has_entry = true;
    i->is64 = e.is64;
    i->big = e.big;
    uint64_t entry = i->entry = EHDR(&e, e_entry); /* physical, as what is loaded */
    uint64_t phoff = EHDR(&e, e_phoff), phnum = EHDR(&e, e_phnum), phsize = EHDR(&e, e_phentsize);
    if (phoff > s->len || phnum * phsize > s->len - phoff)
        return bad(s, "the program headers lie outside the file");
    for (uint64_t n = 0; n < phnum; n++) {
        uint64_t h = phoff + n * phsize, at = AT(&e, h, Phdr, p_offset), size = AT(&e, h, Phdr, p_filesz);
        uint64_t used = AT(&e, h, Phdr, p_memsz), addr = AT(&e, h, Phdr, p_paddr), runs_at = AT(&e, h, Phdr, p_vaddr);
        if (AT(&e, h, Phdr, p_type) != PT_LOAD || !used)
            continue;
        if (at > s->len || size > s->len - at)
            return bad(s, "a segment lies outside the file (truncated?)");
        if (size > used || addr + used < addr)
            return bad(s, "a segment's sizes contradict each other");
        add_piece(i, addr, s->p + at, size);
        if (addr == runs_at) /* else the program moves it, and clears what follows itself */
            g_array_index(i->pieces, ImagePiece, i->pieces->len - 1).zeros = used - size;
        if (i->entry >= runs_at && i->entry - runs_at < used)
            entry = i->entry - runs_at + addr;
    }
    if (!i->pieces->len)
        return bad(s, EHDR(&e, e_type) == ET_REL ? "an object file that is not linked: nothing to load"
                                                 : "nothing to load");
    i->entry = entry;
    uint64_t shoff = EHDR(&e, e_shoff), shnum = EHDR(&e, e_shnum), shsize = EHDR(&e, e_shentsize);
    for (uint64_t n = 0; n < shnum && shoff <= s->len && shnum * shsize <= s->len - shoff; n++) {
        if (AT(&e, shoff + n * shsize, Shdr, sh_type) == SHT_SYMTAB)
            elf_symbols(&e, shoff + n * shsize);
    }
    return true;
}

/* --- all of them --- */

static const struct { const char *name; bool (*probe)(const Parse *); bool (*parse)(Parse *); } formats[] = {
    { "ELF", probe_elf, parse_elf },
    { "UF2", probe_uf2, parse_uf2 },
    { "Intel hex", probe_hex, parse_hex },
    { "S-record", probe_srec, parse_srec },
};

static void piece_clear(gpointer p) { g_bytes_unref(((ImagePiece *)p)->data); }

void image_free(FirmwareImage *i)
{
    if (!i)
        return;
    g_array_unref(i->pieces);
    g_free(i->what);
    g_free(i);
}

FirmwareImage *image_read(const char *object, const char *path, uint64_t raw_base, bool force_raw, Error **errp)
{
    g_autoptr(GBytes) file = loader_read_file(object, path, MAX_FILE, errp);
    return file ? image_parse(object, path, file, raw_base, force_raw, errp) : NULL;
}

FirmwareImage *image_parse(const char *object, const char *path, GBytes *file, uint64_t raw_base, bool force_raw,
                           Error **errp)
{
    FirmwareImage *i = g_new0(FirmwareImage, 1);
    i->what = g_strdup_printf("%s '%s'", object, path);
    i->pieces = g_array_new(false, false, sizeof(ImagePiece));
    g_array_set_clear_func(i->pieces, piece_clear);
    Parse s = { .image = i, .errp = errp };
    s.p = g_bytes_get_data(file, &s.len);
    for (unsigned n = 0; n < ARRAY_LEN(formats) && !force_raw; n++) {
        if (!formats[n].probe(&s))
            continue;
        i->format = formats[n].name;
        if (formats[n].parse(&s))
            return i;
        image_free(i);
        return NULL;
    }
    if (raw_base == IMAGE_NO_RAW) {
        image_free(i);
        return NULL;
    }
    i->format = "raw";
    i->raw = true;
    add_piece(i, raw_base, s.p, s.len);
    return i;
}

uint64_t image_start(const FirmwareImage *i)
{
    uint64_t low = UINT64_MAX;
    for (guint n = 0; n < i->pieces->len; n++)
        low = MIN(low, g_array_index(i->pieces, ImagePiece, n).addr);
    return i->has_entry ? i->entry : low;
}

bool image_check(const FirmwareImage *i, AddressSpace *as, Error **errp)
{
    for (guint n = 0; n < i->pieces->len; n++) {
        const ImagePiece *piece = &g_array_index(i->pieces, ImagePiece, n);
        uint64_t at = piece->addr, left = g_bytes_get_size(piece->data) + piece->zeros;
        while (left) {
            MemSection s;
            rcu_read_lock();
            as_translate(as, at, &s);
            rcu_read_unlock();
            if (!s.host || !s.len) {
                error_setf(errp,
                           "%s: %" PRIu64 " bytes for 0x%08" PRIx64 ": there is no memory at 0x%08" PRIx64
                           "; link it for this machine's memory",
                           i->what, g_bytes_get_size(piece->data) + piece->zeros, piece->addr, at);
                return false;
            }
            uint64_t step = MIN(left, s.len);
            at += step;
            left -= step;
        }
    }
    return true;
}

void image_place(const FirmwareImage *i, AddressSpace *as)
{
    static const uint8_t zeros[4096];
    for (guint n = 0; n < i->pieces->len; n++) {
        const ImagePiece *piece = &g_array_index(i->pieces, ImagePiece, n);
        size_t len;
        const void *data = g_bytes_get_data(piece->data, &len);
        as_write_rom(as, piece->addr, data, len);
        for (uint64_t at = 0; at < piece->zeros; at += sizeof zeros)
            as_write_rom(as, piece->addr + len + at, zeros, MIN(piece->zeros - at, sizeof zeros));
    }
}

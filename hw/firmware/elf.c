/* SPDX-License-Identifier: MIT */
/* ELF images (System V ABI, chapters 4 and 5): load segments and notes of untrusted files. */
#include <elf.h>
#include <string.h>
#include "base/bits.h"
#include "hw/firmware/kernel.h"

#define MAX_SEGMENTS 256
#define MAX_IMAGE (2 * GiB)

/* One program header in either width. */
typedef struct Segment {
    uint32_t type;
    uint64_t offset, vaddr, paddr, filesz, memsz;
} Segment;

/* Header fields of either width; offsets from the ELF specification. */
typedef struct Elf {
    const uint8_t *p;
    size_t len;
    bool is64;
    uint64_t entry, phoff;
    unsigned phentsize, phnum;
} Elf;

bool elf_probe(const uint8_t *p, size_t len)
{
    return len >= sizeof(Elf32_Ehdr) && !memcmp(p, ELFMAG, SELFMAG);
}

static bool elf_open(Elf *e, const uint8_t *p, size_t len)
{
    *e = (Elf){ .p = p, .len = len, .is64 = p[EI_CLASS] == ELFCLASS64 };
    if (p[EI_DATA] != ELFDATA2LSB || (p[EI_CLASS] != ELFCLASS32 && !e->is64) || (e->is64 && len < sizeof(Elf64_Ehdr)))
        return false;
#define FIELD(f) (e->is64 ? load_le(p + offsetof(Elf64_Ehdr, f), sizeof(((Elf64_Ehdr *)0)->f)) \
                          : load_le(p + offsetof(Elf32_Ehdr, f), sizeof(((Elf32_Ehdr *)0)->f)))
    e->entry = FIELD(e_entry);
    e->phoff = FIELD(e_phoff);
    e->phentsize = (unsigned)FIELD(e_phentsize);
    e->phnum = (unsigned)FIELD(e_phnum);
#undef FIELD
    size_t need = e->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    return e->phentsize >= need && e->phnum <= MAX_SEGMENTS && e->phoff <= len &&
           (uint64_t)e->phnum * e->phentsize <= len - e->phoff;
}

/* Program header n; false when its file range lies outside the file. */
static bool elf_segment(const Elf *e, unsigned n, Segment *s)
{
    const uint8_t *h = e->p + e->phoff + (size_t)n * e->phentsize;
#define FIELD(f) (e->is64 ? load_le(h + offsetof(Elf64_Phdr, f), sizeof(((Elf64_Phdr *)0)->f)) \
                          : load_le(h + offsetof(Elf32_Phdr, f), sizeof(((Elf32_Phdr *)0)->f)))
    *s = (Segment){ (uint32_t)FIELD(p_type), FIELD(p_offset), FIELD(p_vaddr),
                    FIELD(p_paddr),          FIELD(p_filesz), FIELD(p_memsz) };
#undef FIELD
    return s->offset <= e->len && s->filesz <= e->len - s->offset;
}

static bool bad(const KernelSource *s, Error **errp, const char *why)
{
    error_setf(errp, "kernel '%s': damaged ELF file: %s", s->config->kernel, why);
    return false;
}

/* The range that all load segments span, and the physical address of the entry. */
static bool measure(const KernelSource *s, const Elf *e, ElfImage *out, uint64_t *low, uint64_t *high, Error **errp)
{
    Segment g;
    *low = UINT64_MAX;
    *high = 0;
    out->entry = e->entry;
    for (unsigned n = 0; n < e->phnum; n++) {
        if (!elf_segment(e, n, &g))
            return bad(s, errp, "a segment lies outside the file (truncated?)");
        if (g.type != PT_LOAD || !g.memsz)
            continue;
        if (g.filesz > g.memsz || g.paddr + g.memsz < g.paddr)
            return bad(s, errp, "a segment's sizes contradict each other");
        if (!check_in_ram(s, g.paddr, g.memsz, errp))
            return false;
        *low = MIN(*low, g.paddr);
        *high = MAX(*high, g.paddr + g.memsz);
        if (e->entry >= g.vaddr && e->entry - g.vaddr < g.memsz)
            out->entry = e->entry - g.vaddr + g.paddr;
    }
    if (*low >= *high)
        return bad(s, errp, "nothing to load");
    if (*high - *low > MAX_IMAGE)
        return bad(s, errp, "its segments span more than 2 GiB");
    return true;
}

bool elf_load(const KernelSource *s, ElfImage *out, Error **errp)
{
    Elf e;
    Segment g;
    uint64_t low, high;
    if (!elf_open(&e, s->p, s->len))
        return bad(s, errp, "impossible header");
    out->is64 = e.is64;
    out->machine = (uint16_t)load_le(s->p + offsetof(Elf64_Ehdr, e_machine), 2);
    if (!measure(s, &e, out, &low, &high, errp))
        return false;
    uint8_t *image = g_try_malloc0(high - low);
    if (!image) {
        error_setf(errp, "kernel '%s': no memory for its %" G_GUINT64_FORMAT " bytes", s->config->kernel,
                   (guint64)(high - low));
        return false;
    }
    for (unsigned n = 0; n < e.phnum; n++) {
        if (elf_segment(&e, n, &g) && g.type == PT_LOAD && g.memsz)
            memcpy(image + (g.paddr - low), s->p + g.offset, g.filesz);
    }
    out->image = (KernelPiece){ low, g_bytes_new_take(image, high - low) };
    return true;
}

/* Notes of one segment: { u32 namesz, descsz, type; name, desc each padded to 4 }. */
static bool scan_notes(const uint8_t *p, uint64_t len, const char *owner, uint32_t type, uint64_t *value)
{
    size_t owner_len = strlen(owner) + 1;
    while (len >= 12) {
        uint64_t name = align_up(load_le32(p), 4), size = load_le32(p + 4), desc = align_up(size, 4);
        if (name > len - 12 || size > len - 12 - name)
            return false;
        if (load_le32(p + 8) == type && load_le32(p) == owner_len && !memcmp(p + 12, owner, owner_len) &&
            (size == 4 || size == 8)) {
            *value = load_le(p + 12 + name, (unsigned)size);
            return true;
        }
        uint64_t step = MIN(12 + name + desc, len);
        p += step;
        len -= step;
    }
    return false;
}

bool elf_find_note(const uint8_t *p, size_t len, const char *owner, uint32_t type, uint64_t *value)
{
    Elf e;
    Segment g;
    if (!elf_probe(p, len) || !elf_open(&e, p, len))
        return false;
    for (unsigned n = 0; n < e.phnum; n++) {
        if (elf_segment(&e, n, &g) && g.type == PT_NOTE && scan_notes(p + g.offset, g.filesz, owner, type, value))
            return true;
    }
    return false;
}

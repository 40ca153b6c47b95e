/* SPDX-License-Identifier: MIT */
/* vmdk: new images: descriptors, flat and sparse extents. */
#include <inttypes.h>
#include <string.h>
#include "block/vmdk/vmdk.h"

enum { GRAIN = 128, GTES = 512, GT_SECTORS = GTES * 4 / VMDK_SECTOR, DESC_SECTORS = 20 };
static const uint64_t SPLIT = 2 * GiB;

const BlockCreateOption vmdk_create_options[] = {
    { "size", "size", "virtual disk size", NULL },
    { "adapter_type", "string", "ide, lsilogic, buslogic or legacyESX", "ide" },
    { "backing_file", "string", "parent: image that unallocated grains come from", NULL },
    { "backing_fmt", "string", "its format: vmdk", NULL },
    { "compat6", "bool", "hardware version 6", "off" },
    { "hwversion", "string", "virtual hardware version", "4" },
    { "subformat", "string",
      "monolithicSparse, monolithicFlat, twoGbMaxExtentSparse, twoGbMaxExtentFlat or streamOptimized",
      "monolithicSparse" },
    { "toolsversion", "string", "version of the guest's tools", "2147483647" },
    { "zeroed_grain", "bool", "grains can be marked as zero without being stored", "off" },
    { NULL }
};

static const char *const subformats[] = { "monolithicSparse",   "monolithicFlat",  "twoGbMaxExtentSparse",
                                          "twoGbMaxExtentFlat", "streamOptimized", NULL };

typedef struct Params {
    const char *backing, *hwversion, *tools, *subformat;
    unsigned adapter;
    bool flat, split, stream, zeroed;
    uint32_t parent_cid;
} Params;

static const char *const adapters[] = { "ide", "lsilogic", "buslogic", "legacyESX", NULL };

/* What stands between quotes in the descriptor. */
static bool plain(const char *option, const char *value, Error **errp)
{
    if (!value || !strpbrk(value, "\"\r\n"))
        return true;
    error_setf(errp, "%s '%s': no quotes and line ends, please", option, value);
    return false;
}

static bool parent_cid(const char *filename, Params *p, Error **errp)
{
    p->parent_cid = UINT32_MAX;
    if (!p->backing)
        return true;
    g_autofree char *full = block_full_backing_name(filename, p->backing, errp);
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", "vmdk");
    BlockNode *b = full ? block_open(full, o, BLOCK_NO_BACKING | BLOCK_NO_IO, errp) : NULL;
    if (!b)
        return false;
    p->parent_cid = vmdk_of(b)->cid;
    block_unref(b);
    return true;
}

static bool parse(Opts *o, Params *p, Error **errp)
{
    const char *format = opts_get(o, "backing_fmt");
    unsigned sub = 0;
    bool compat6;
    *p = (Params){ .backing = opts_get(o, "backing_file"),
                   .hwversion = opts_get(o, "hwversion"),
                   .tools = opts_get(o, "toolsversion") };
    opts_get(o, "size");
    p->backing = p->backing && *p->backing ? p->backing : NULL;
    if (!opts_get_enum(o, "subformat", subformats, &sub, errp) ||
        !opts_get_enum(o, "adapter_type", adapters, &p->adapter, errp) ||
        !opts_get_bool(o, "compat6", false, &compat6, errp) ||
        !opts_get_bool(o, "zeroed_grain", false, &p->zeroed, errp) || !plain("hwversion", p->hwversion, errp) ||
        !plain("toolsversion", p->tools, errp) || !plain("backing_file", p->backing, errp))
        return false;
    p->subformat = subformats[sub];
    p->flat = sub == 1 || sub == 3;
    p->split = sub == 2 || sub == 3;
    p->stream = sub == 4;
    if (compat6 && p->hwversion && strcmp(p->hwversion, "6")) {
        error_setf(errp, "compat6: means hwversion=6; leave one of them out");
        return false;
    }
    if (format && strcmp(format, "vmdk")) {
        error_setf(errp, "backing_fmt '%s': the parent of a vmdk image must be a vmdk image", format);
        return false;
    }
    if (p->backing && p->flat) {
        error_setf(errp, "backing_file: flat images can't have one; use subformat=monolithicSparse");
        return false;
    }
    p->hwversion = compat6 ? "6" : p->hwversion ? p->hwversion : "4";
    p->tools = p->tools ? p->tools : "2147483647";
    return true;
}

/* --- extents --- */

typedef struct Layout { uint64_t grains, tables, gd_sectors, rgd, gd, data; } Layout;

static Layout layout(uint64_t sectors)
{
    Layout l = { .grains = (sectors + GRAIN - 1) / GRAIN, .rgd = 1 + DESC_SECTORS };
    l.tables = (l.grains + GTES - 1) / GTES;
    l.gd_sectors = (l.tables * 4 + VMDK_SECTOR - 1) / VMDK_SECTOR;
    l.gd = l.rgd + l.gd_sectors + l.tables * GT_SECTORS;
    l.data = align_up(l.gd + l.gd_sectors + l.tables * GT_SECTORS, GRAIN);
    return l;
}

static int write_directory(BlockNode *f, uint64_t at, const Layout *l)
{
    g_autofree uint8_t *gd = g_malloc0(MAX(l->gd_sectors, 1u) * VMDK_SECTOR);
    for (uint64_t i = 0; i < l->tables; i++)
        store_le32(gd + i * 4, (uint32_t)(at + l->gd_sectors + i * GT_SECTORS));
    return block_pwrite(f, at * VMDK_SECTOR, gd, l->gd_sectors * VMDK_SECTOR);
}

static int write_sparse(BlockNode *f, uint64_t sectors, const Params *p, const char *descriptor)
{
    uint8_t h[VMDK_SECTOR] = { 0 };
    Layout l = layout(sectors);
    store_le32(h, VMDK_MAGIC);
    store_le32(h + VH_VERSION, p->stream ? 3 : p->zeroed ? 2 : 1);
    store_le32(h + VH_FLAGS,
               3 | (p->zeroed ? VMDK_FLAG_ZEROED : 0) | (p->stream ? VMDK_FLAG_COMPRESSED | VMDK_FLAG_MARKERS : 0));
    store_le64(h + VH_CAPACITY, sectors);
    store_le64(h + VH_GRAIN, GRAIN);
    store_le64(h + VH_DESC, 1);
    store_le64(h + VH_DESC_SIZE, DESC_SECTORS);
    store_le32(h + VH_GTES, GTES);
    store_le64(h + VH_RGD, l.rgd);
    store_le64(h + VH_GD, l.gd);
    store_le64(h + VH_OVERHEAD, l.data);
    memcpy(h + VH_LINE_ENDS, "\n \r\n", 4);
    store_le16(h + VH_COMPRESSION, p->stream);
    int r = block_pwrite(f, 0, h, sizeof h);
    r = r ? r : write_directory(f, l.rgd, &l);
    r = r ? r : write_directory(f, l.gd, &l);
    r = r || !descriptor ? r : block_pwrite(f, VMDK_SECTOR, descriptor, strlen(descriptor));
    return r ? r : block_truncate(f, l.data * VMDK_SECTOR, PREALLOC_OFF, false, NULL) ? 0 : -ENOSPC;
}

static bool create_extent(const char *filename, uint64_t sectors, const Params *p, const char *descriptor, Error **errp)
{
    BlockNode *f = block_new_file(filename, errp);
    if (!f)
        return false;
    int r = 0;
    bool ok = true;
    if (p->flat)
        ok = block_truncate(f, sectors * VMDK_SECTOR, PREALLOC_OFF, false, errp);
    else
        r = write_sparse(f, sectors, p, descriptor);
    return block_new_file_end(f, filename, r, ok, errp);
}

/* --- the descriptor --- */

static char *make_descriptor(const Params *p, uint64_t sectors, const char *extents)
{
    uint32_t cid;
    unsigned heads = p->adapter == 0 ? 16 : 255;
    uint64_t cylinders = sectors / heads / 63;
    sparse_random(&cid, sizeof cid);
    cid = cid >= 0xfffffffe ? 1 : cid;
    GString *s = g_string_new("# Disk DescriptorFile\nversion=1\n");
    g_string_append_printf(s, "CID=%08x\nparentCID=%08x\ncreateType=\"%s\"\n", cid, p->parent_cid, p->subformat);
    if (p->backing)
        g_string_append_printf(s, "parentFileNameHint=\"%s\"\n", p->backing);
    g_string_append_printf(s, "\n# Extent description\n%s\n# The Disk Data Base\n#DDB\n\n", extents);
    g_string_append_printf(s,
                           "ddb.virtualHWVersion = \"%s\"\nddb.geometry.cylinders = \"%" PRIu64
                           "\"\nddb.geometry.heads = \"%u\"\n",
                           p->hwversion, cylinders, heads);
    g_string_append_printf(s, "ddb.geometry.sectors = \"63\"\nddb.adapterType = \"%s\"\nddb.toolsVersion = \"%s\"\n",
                           adapters[p->adapter], p->tools);
    return g_string_free(s, FALSE);
}

static bool create_text(const char *filename, const char *text, Error **errp)
{
    BlockNode *f = block_new_file(filename, errp);
    if (!f)
        return false;
    int r = block_pwrite(f, 0, text, strlen(text));
    return block_new_file_end(f, filename, r, true, errp);
}

/* NAME.vmdk has its extents in NAME-flat.vmdk, NAME-s001.vmdk, NAME-f001.vmdk … beside it. */
static bool create_parts(const char *filename, uint64_t sectors, const Params *p, Error **errp)
{
    const char *dot = strrchr(filename, '.'), *slash = strrchr(filename, '/');
    bool suffix = dot && (!slash || dot > slash + 1) && dot > filename;
    g_autofree char *stem = suffix ? g_strndup(filename, dot - filename) : g_strdup(filename);
    const char *end = suffix ? dot : "";
    g_autoptr(GString) lines = g_string_new(NULL);
    uint64_t part = p->split ? SPLIT / VMDK_SECTOR : MAX(sectors, 1u);
    unsigned i = 0;
    for (uint64_t at = 0; at < sectors || !i; at += part) {
        uint64_t len = MIN(sectors - at, part);
        g_autofree char *name = p->split ? g_strdup_printf("%s-%c%03u%s", stem, p->flat ? 'f' : 's', ++i, end)
                                         : g_strdup_printf("%s-flat%s", stem, end);
        g_autofree char *base = g_path_get_basename(name);
        if (!create_extent(name, len, p, NULL, errp))
            return false;
        g_string_append_printf(lines, "RW %" PRIu64 " %s \"%s\"%s\n", len, p->flat ? "FLAT" : "SPARSE", base,
                               p->flat ? " 0" : "");
        i = MAX(i, 1u);
    }
    g_autofree char *text = make_descriptor(p, sectors, lines->str);
    return create_text(filename, text, errp);
}

bool vmdk_create(const char *filename, uint64_t size, Opts *o, Error **errp)
{
    Params p;
    if (!parse(o, &p, errp) || !plain("file name", filename, errp) || !parent_cid(filename, &p, errp))
        return false;
    uint64_t sectors = (size + VMDK_SECTOR - 1) / VMDK_SECTOR;
    bool sparse_single = !p.split && !p.flat;
    if (sparse_single && sectors > UINT32_MAX - layout(sectors).data) {
        error_setf(errp,
                   "vmdk: a disk of %" PRIu64
                   " bytes is too large for one sparse file (2T); use subformat=twoGbMaxExtentSparse",
                   size);
        return false;
    }
    if (p.split && sectors / (SPLIT / VMDK_SECTOR) >= VMDK_EXTENTS_MAX) {
        error_setf(errp, "vmdk: a disk of %" PRIu64 " bytes has too many extents; use subformat=monolithicFlat", size);
        return false;
    }
    if (!sparse_single)
        return create_parts(filename, sectors, &p, errp);
    g_autofree char *base = g_path_get_basename(filename),
                    *line = g_strdup_printf("RW %" PRIu64 " SPARSE \"%s\"\n", sectors, base);
    g_autofree char *text = make_descriptor(&p, sectors, line);
    if (strlen(text) > DESC_SECTORS * VMDK_SECTOR) {
        error_setf(errp, "vmdk: the descriptor does not fit; shorter names, please");
        return false;
    }
    return create_extent(filename, sectors, &p, text, errp);
}

bool vmdk_measure(Opts *o, BlockNode *n, uint64_t size, uint64_t *required, uint64_t *fully, Error **errp)
{
    Params p;
    if (!parse(o, &p, errp))
        return false;
    uint64_t sectors = (size + VMDK_SECTOR - 1) / VMDK_SECTOR, part = p.split ? SPLIT / VMDK_SECTOR : MAX(sectors, 1u),
             head = 0;
    for (uint64_t at = 0; at < sectors && !p.flat; at += part)
        head += layout(MIN(sectors - at, part)).data * VMDK_SECTOR;
    uint64_t grain = GRAIN * VMDK_SECTOR + (p.stream ? VMDK_SECTOR : 0); /* incompressible data grows a little */
    *fully = p.flat ? sectors * VMDK_SECTOR : head + (sectors + GRAIN - 1) / GRAIN * grain;
    *required = p.flat ? *fully : head + block_used_units(n, GRAIN * VMDK_SECTOR) * grain;
    return true;
}

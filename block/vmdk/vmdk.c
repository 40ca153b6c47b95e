/* SPDX-License-Identifier: MIT */
/* vmdk: VMware's disks: opening, closing, information, parents. */
#include <json-glib/json-glib.h>
#include <string.h>
#include "block/vmdk/vmdk.h"

/* --- opening --- */

static const char *const create_types[] = {
    "monolithicFlat",  "vmfs",   "vmfsSparse", "monolithicSparse", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat",
    "streamOptimized", "custom", NULL
};

static char *read_text(BlockNode *n, uint64_t at, uint64_t len, Error **errp)
{
    char *text = len <= VMDK_DESCRIPTOR_MAX ? g_malloc0(len + 1) : NULL;
    int r = text ? block_pread(n->file, at, text, len) : -EFBIG;
    if (!r)
        return text;
    g_free(text);
    error_set_errno(errp, -r, "image '%s': its descriptor can't be read", block_filename(n));
    return NULL;
}

static bool parse_descriptor(BlockNode *n, Error **errp)
{
    Vmdk *v = vmdk_of(n);
    v->cid = vmdk_desc_hex(v->descriptor, "CID", 0xfffffffe);
    v->parent_cid = vmdk_desc_hex(v->descriptor, "parentCID", UINT32_MAX);
    v->create_type = vmdk_desc_get(v->descriptor, "createType");
    g_autofree char *parent = vmdk_desc_get(v->descriptor, "parentFileNameHint");
    if (!v->create_type)
        return sparse_bad(n, errp, "its descriptor has no createType");
    if (!g_strv_contains(create_types, v->create_type)) {
        error_setf(errp, "image '%s': vmdk disks of type '%.40s' can't be opened here", block_filename(n),
                   v->create_type);
        return false;
    }
    if (v->parent_cid != UINT32_MAX) {
        if (!parent || !*parent)
            return sparse_bad(n, errp, "it has a parent but does not say where (parentFileNameHint)");
        n->backing_file = g_steal_pointer(&parent);
        n->backing_format = g_strdup("vmdk");
    }
    return true;
}

/* The image is a sparse extent, most often with a descriptor in it. */
static bool open_single(BlockNode *n, const uint8_t *head, Error **errp)
{
    Vmdk *v = vmdk_of(n);
    uint64_t at = load_le64(head + VH_DESC), room = load_le64(head + VH_DESC_SIZE), file = block_size(n->file);
    bool cowd = load_le32(head) == COWD_MAGIC;
    v->extents = g_new0(VmdkExtent, 1);
    v->count = 1;
    v->extents[0] = (VmdkExtent){
        .kind = VMDK_SPARSE, .file = n->file, .name = g_strdup(block_filename(n)), .type = g_strdup("SPARSE")
    };
    if (!vmdk_open_sparse(n, &v->extents[0], errp))
        return false;
    n->size = v->extents[0].size;
    if (cowd || !at || !room)
        return true;
    if (room > VMDK_DESCRIPTOR_MAX / VMDK_SECTOR || at > file / VMDK_SECTOR ||
        room * VMDK_SECTOR > file - at * VMDK_SECTOR)
        return sparse_bad(n, errp, "its descriptor does not lie within the file");
    v->desc_offset = at * VMDK_SECTOR;
    v->desc_room = room * VMDK_SECTOR;
    v->descriptor = read_text(n, v->desc_offset, v->desc_room, errp);
    if (v->descriptor && !*v->descriptor) { /* room for one, but it is a part of a split disk */
        g_clear_pointer(&v->descriptor, g_free);
        return true;
    }
    return v->descriptor && parse_descriptor(n, errp);
}

static bool open_text(BlockNode *n, Error **errp)
{
    Vmdk *v = vmdk_of(n);
    v->descriptor = read_text(n, 0, block_size(n->file), errp);
    if (!v->descriptor || !parse_descriptor(n, errp))
        return false;
    return vmdk_parse_extents(n, n->flags, errp);
}

/* Which of the two ways of writing: grains that are compressed are written as a whole. */
static bool choose_ops(BlockNode *n, Error **errp)
{
    Vmdk *v = vmdk_of(n);
    unsigned packed = 0, sparse = 0, grain = 0;
    for (unsigned i = 0; i < v->count; i++) {
        const VmdkExtent *e = &v->extents[i];
        packed += e->compressed;
        sparse += e->kind == VMDK_SPARSE;
        grain = MAX(grain, (unsigned)e->grain);
        if (e->at_end && block_writable(n) && !(n->flags & BLOCK_CHECK)) {
            error_setf(
                errp,
                "image '%s': stream-optimised images with their directory at the end can only be read; convert it",
                block_filename(n));
            return false;
        }
    }
    if (packed && packed != v->count) {
        error_setf(errp, "image '%s': some of its extents are compressed and some are not, which is not supported",
                   block_filename(n));
        return false;
    }
    n->zero_align = sparse ? grain : 0;
    sparse_init(n, packed ? &vmdk_packed_ops : &vmdk_flat_ops);
    return true;
}

static void free_all(BlockNode *n)
{
    Vmdk *v = vmdk_of(n);
    for (unsigned i = 0; i < v->count; i++) {
        VmdkExtent *e = &v->extents[i];
        meta_free(&e->meta);
        g_free(e->name);
        g_free(e->type);
        if (e->own)
            block_unref(e->file);
    }
    g_free(v->extents);
    g_free(v->descriptor);
    g_free(v->create_type);
    g_free(v->inflated);
    pthread_mutex_destroy(&v->inflate_lock);
}

static bool vmdk_open(BlockNode *n, Opts *o, Error **errp)
{
    Vmdk *v = vmdk_of(n);
    uint8_t head[VMDK_SECTOR] = { 0 };
    size_t len = (size_t)MIN(block_size(n->file), (uint64_t)sizeof head);
    pthread_mutex_init(&v->inflate_lock, NULL);
    int r = block_pread(n->file, 0, head, len);
    if (r)
        error_set_errno(errp, -r, "image '%s': its header can't be read", block_filename(n));
    uint32_t magic = load_le32(head);
    bool ok = !r && opts_get_bool(o, "any-extent-path", false, &v->any_path, errp) &&
              (magic == VMDK_MAGIC || magic == COWD_MAGIC ? open_single(n, head, errp) : open_text(n, errp)) &&
              choose_ops(n, errp);
    if (!ok)
        free_all(n);
    return ok;
}

static void vmdk_close(BlockNode *n)
{
    free_all(n);
    sparse_destroy(n);
}

/* --- information --- */

static void json_text(JsonBuilder *b, const char *key, const char *text)
{
    json_builder_set_member_name(b, key);
    json_builder_add_string_value(b, g_utf8_validate(text, -1, NULL) ? text : "?");
}

static char *extents_json(const Vmdk *v)
{
    g_autoptr(JsonBuilder) b = json_builder_new();
    json_builder_begin_array(b);
    for (unsigned i = 0; i < v->count; i++) {
        const VmdkExtent *e = &v->extents[i];
        json_builder_begin_object(b);
        if (e->compressed) {
            json_builder_set_member_name(b, "compressed");
            json_builder_add_boolean_value(b, true);
        }
        json_builder_set_member_name(b, "virtual-size");
        json_builder_add_int_value(b, (gint64)e->size);
        json_text(b, "filename", e->name ? e->name : "");
        if (e->kind == VMDK_SPARSE) {
            json_builder_set_member_name(b, "cluster-size");
            json_builder_add_int_value(b, (gint64)e->grain);
        }
        json_text(b, "format", e->own || e->kind == VMDK_ZERO ? e->type : "");
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
    g_autoptr(JsonNode) root = json_builder_get_root(b);
    return json_to_string(root, FALSE);
}

static bool vmdk_info(BlockNode *n, BlockInfo *out, Error **errp)
{
    Vmdk *v = vmdk_of(n);
    g_autofree char *extents = extents_json(v);
    out->cluster_size = v->extents[0].kind == VMDK_SPARSE ? v->extents[0].grain : 0;
    out->compressed = v->extents[0].compressed;
    for (unsigned i = 0; i < v->count; i++) {
        BlockInfo part = { 0 };
        if (v->extents[i].own && block_info(v->extents[i].file, &part, NULL))
            out->actual_size += part.actual_size;
        block_info_clear(&part);
    }
    sparse_detail(out, "cid", "%u", v->cid);
    sparse_detail(out, "parent-cid", "%u", v->parent_cid);
    sparse_detail(out, "create-type", "%s", v->create_type ? v->create_type : "");
    sparse_detail(out, "extents", "%s", extents);
    return true;
}

/* --- parents --- */

static bool vmdk_change_backing(BlockNode *n, const char *file, const char *format, Error **errp)
{
    Vmdk *v = vmdk_of(n);
    uint32_t cid = UINT32_MAX;
    file = file && *file ? file : NULL;
    if (!v->descriptor) {
        error_setf(errp, "image '%s' has no descriptor to name a parent in", block_filename(n));
        return false;
    }
    if (file && format && strcmp(format, "vmdk")) {
        error_setf(errp, "image '%s': the parent of a vmdk image must be a vmdk image", block_filename(n));
        return false;
    }
    if (file) {
        g_autofree char *full = block_full_backing_name(block_filename(n), file, errp);
        g_autoptr(Opts) o = opts_new();
        opts_set(o, "driver", "vmdk");
        BlockNode *b = full ? block_open(full, o, BLOCK_NO_BACKING | BLOCK_NO_IO, errp) : NULL;
        if (!b)
            return false;
        cid = vmdk_of(b)->cid;
        block_unref(b);
    }
    int r = sparse_flush(n); /* what was copied from the present parent */
    if (r) {
        error_set_errno(errp, -r, "image '%s': its metadata can't be written", block_filename(n));
        return false;
    }
    g_autofree char *hex = g_strdup_printf("%08x", cid), *quoted = file ? g_strdup_printf("\"%s\"", file) : NULL;
    g_autofree char *text = vmdk_desc_set(v->descriptor, "parentCID", hex, "CID");
    char *old = v->descriptor;
    v->descriptor = vmdk_desc_set(text, "parentFileNameHint", quoted, "createType");
    if (!vmdk_write_descriptor(n, errp)) {
        g_free(v->descriptor);
        v->descriptor = old;
        return false;
    }
    g_free(old);
    v->parent_cid = cid;
    v->parent_checked = false;
    g_free(n->backing_file);
    g_free(n->backing_format);
    n->backing_file = g_strdup(file);
    n->backing_format = file ? g_strdup("vmdk") : NULL;
    return true;
}

/* The text form: comments and blank lines, then version=. */
static bool is_descriptor(const uint8_t *head, size_t len)
{
    size_t i = 0;
    while (i < len && (head[i] == '#' || g_ascii_isspace(head[i]))) {
        while (i < len && head[i] != '\n')
            i++;
        i++;
    }
    return len >= i + 9 && !g_ascii_strncasecmp((const char *)head + i, "version=", 8) && head[i + 8] >= '1' &&
           head[i + 8] <= '3';
}

static unsigned vmdk_probe(const uint8_t *head, size_t len, const char *filename)
{
    uint32_t magic = len >= 4 ? load_le32(head) : 0;
    return magic == VMDK_MAGIC || magic == COWD_MAGIC ? 100 : is_descriptor(head, len) ? 100 : 0;
}

static const char *const vmdk_options[] = { "any-extent-path", NULL };
static const BlockDriver vmdk_driver = {
    .name = "vmdk",
    .desc = "VMware virtual disk",
    .instance_size = sizeof(Vmdk),
    .options = vmdk_options,
    .create_options = vmdk_create_options,
    .probe = vmdk_probe,
    .open = vmdk_open,
    .close = vmdk_close,
    .inactivate = sparse_inactivate,
    .preadv = sparse_preadv,
    .pwritev = sparse_pwritev,
    .pwrite_zeroes = sparse_pwrite_zeroes,
    .pdiscard = sparse_pdiscard,
    .flush = sparse_flush,
    .status = sparse_status,
    .info = vmdk_info,
    .create = vmdk_create,
    .measure = vmdk_measure,
    .check = vmdk_check,
    .change_backing = vmdk_change_backing,
};
BLOCK_DRIVER_REGISTER(vmdk_driver)

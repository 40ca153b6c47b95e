/* SPDX-License-Identifier: MIT */
/* vmdk: the descriptor, a text of KEY=value lines and extent lines (VDF "Layout basics", "The Disk DescriptorFile"). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "block/vmdk/vmdk.h"

/* --- keys --- */

/* The start of the line KEY = ...; *value: behind the '=' and blanks. */
static const char *find_key(const char *text, const char *key, const char **value)
{
    size_t len = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        const char *p = line + strspn(line, " \t");
        if (g_ascii_strncasecmp(p, key, len))
            continue;
        p += len;
        p += strspn(p, " \t");
        if (*p != '=')
            continue;
        p++;
        *value = p + strspn(p, " \t");
        return line;
    }
    return NULL;
}

char *vmdk_desc_get(const char *text, const char *key)
{
    const char *value;
    if (!find_key(text, key, &value))
        return NULL;
    if (*value == '"')
        return g_strndup(value + 1, strcspn(value + 1, "\"\r\n"));
    return g_strchomp(g_strndup(value, strcspn(value, "\r\n")));
}

uint32_t vmdk_desc_hex(const char *text, const char *key, uint32_t dflt)
{
    g_autofree char *v = vmdk_desc_get(text, key);
    char *end;
    if (!v || !*v)
        return dflt;
    uint64_t n = g_ascii_strtoull(v, &end, 16);
    return *end || n > UINT32_MAX ? dflt : (uint32_t)n;
}

char *vmdk_desc_set(const char *text, const char *key, const char *value, const char *after)
{
    const char *old, *line = find_key(text, key, &old);
    size_t skip = line ? strcspn(line, "\n") : 0;
    if (line && line[skip])
        skip++;
    if (!line) {
        line = find_key(text, after, &old);
        line = line && strchr(line, '\n') ? strchr(line, '\n') + 1 : text + strlen(text);
    }
    GString *out = g_string_new_len(text, line - text);
    if (value)
        g_string_append_printf(out, "%s=%s\n", key, value);
    g_string_append(out, line + skip);
    return g_string_free(out, FALSE);
}

bool vmdk_write_descriptor(BlockNode *n, Error **errp)
{
    Vmdk *v = vmdk_of(n);
    size_t len = strlen(v->descriptor), room = v->desc_room ? v->desc_room : MAX(len, (size_t)block_size(n->file));
    if (len > room) {
        error_setf(errp, "image '%s': its descriptor has no room for more; convert it", block_filename(n));
        return false;
    }
    g_autofree char *buf = g_malloc0(room);
    memcpy(buf, v->descriptor, len);
    if (!v->desc_room)
        memset(buf + len, '\n', room - len);
    int r = block_pwrite(n->file, v->desc_offset, buf, room);
    r = r ? r : block_flush(n->file);
    if (r)
        error_set_errno(errp, -r, "image '%s': its descriptor can't be written", block_filename(n));
    return !r;
}

/* --- extents --- */

/*
 * Where an extent may be: an image that came from elsewhere must not make us open what is not its own. A name is
 * relative to the descriptor, has no "..", and is a plain file, unless the user says any-extent-path=on.
 */
static char *extent_path(BlockNode *n, const char *name, Error **errp)
{
    Vmdk *v = vmdk_of(n);
    g_auto(GStrv) parts = g_strsplit(name, "/", -1);
    if (!v->any_path && (g_path_is_absolute(name) || g_strv_contains((const char *const *)parts, ".."))) {
        error_setf(errp,
                   "image '%s': its extent '%s' lies outside the image's folder, which may be a trap; if you trust the "
                   "image, open it with "
                   "driver=vmdk,any-extent-path=on",
                   block_filename(n), name);
        return NULL;
    }
    char *colon = strpbrk(block_filename(n), ":/");
    if (!g_path_is_absolute(name) &&
        (g_str_has_prefix(block_filename(n), "json:") || (colon && *colon == ':' && colon[1] == '/'))) {
        error_setf(errp, "image '%s': its extent '%s' is a relative name, and the image itself is no plain file",
                   block_filename(n), name);
        return NULL;
    }
    g_autofree char *dir = g_path_get_dirname(block_filename(n));
    char *path = g_path_is_absolute(name)                                          ? g_strdup(name)
                 : !strcmp(dir, ".") && !g_str_has_prefix(block_filename(n), "./") ? g_strdup(name)
                                                                                   : g_build_filename(dir, name, NULL);
    struct stat st;
    if (!v->any_path && !stat(path, &st) && !S_ISREG(st.st_mode)) {
        error_setf(errp,
                   "image '%s': its extent '%s' is no plain file; if you trust the image, open it with "
                   "driver=vmdk,any-extent-path=on",
                   block_filename(n), path);
        g_free(path);
        return NULL;
    }
    return path;
}

static BlockNode *open_extent(BlockNode *n, const char *name, Error **errp)
{
    g_autofree char *path = extent_path(n, name, errp);
    if (!path)
        return NULL;
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", "file");
    opts_set(o, "filename", path);
    unsigned flags = n->flags & ~(unsigned)(BLOCK_ZERO_DETECT | BLOCK_ZERO_UNMAP | BLOCK_WRITETHROUGH | BLOCK_CHECK |
                                            BLOCK_TEMPORARY);
    BlockNode *f = block_open(NULL, o, flags, errp);
    if (!f)
        error_prependf(errp, "image '%s': extent", block_filename(n));
    return f;
}

/* ACCESS SECTORS TYPE ["NAME" [OFFSET]] */
static bool parse_line(BlockNode *n, const char *line, VmdkExtent *e, uint64_t *sectors, Error **errp)
{
    char access[12], type[20];
    int at = 0;
    if (sscanf(line, "%11s %" SCNu64 " %19s%n", access, sectors, type, &at) != 3 || *sectors > INT64_MAX / 1024) {
        error_setf(errp, "image '%s': its descriptor has an extent line that can't be read: %.80s", block_filename(n),
                   line);
        return false;
    }
    if (!strcmp(access, "NOACCESS")) {
        error_setf(errp, "image '%s': its descriptor forbids access to an extent: %.80s", block_filename(n), line);
        return false;
    }
    const char *p = line + at + strspn(line + at, " \t");
    e->type = g_strdup(type);
    if (*p == '"') {
        e->name = g_strndup(p + 1, strcspn(p + 1, "\"\r\n"));
        p = strchr(p + 1, '"');
        uint64_t offset = p ? g_ascii_strtoull(p + 1, NULL, 10) : 0;
        if (offset > INT64_MAX / 1024)
            return sparse_bad(n, errp, "the offset of an extent is not possible");
        e->flat_offset = offset * VMDK_SECTOR;
    }
    static const char *const flat[] = { "FLAT", "VMFS", NULL }, *const sparse[] = { "SPARSE", "VMFSSPARSE", NULL };
    if (g_strv_contains(flat, type)) {
        e->kind = VMDK_FLAT;
    } else if (g_strv_contains(sparse, type)) {
        e->kind = VMDK_SPARSE;
    } else if (!strcmp(type, "ZERO")) {
        e->kind = VMDK_ZERO;
    } else {
        error_setf(errp,
                   "image '%s': extents of type %s can't be opened here; FLAT, SPARSE, VMFS, VMFSSPARSE and ZERO can",
                   block_filename(n), type);
        return false;
    }
    if (e->kind != VMDK_ZERO && !(e->name && *e->name))
        return sparse_bad(n, errp, "an extent line names no file");
    return true;
}

static bool is_extent_line(const char *line)
{
    return g_str_has_prefix(line, "RW ") || g_str_has_prefix(line, "RDONLY ") || g_str_has_prefix(line, "NOACCESS ");
}

bool vmdk_parse_extents(BlockNode *n, unsigned flags, Error **errp)
{
    Vmdk *v = vmdk_of(n);
    g_auto(GStrv) lines = g_strsplit(v->descriptor, "\n", -1);
    uint64_t at = 0;
    for (char **l = lines; *l; l++) {
        uint64_t sectors;
        const char *line = *l + strspn(*l, " \t");
        if (!is_extent_line(line))
            continue;
        if (v->count == VMDK_EXTENTS_MAX)
            return sparse_bad(n, errp, "it has more than 4096 extents");
        v->extents = g_renew(VmdkExtent, v->extents, v->count + 1);
        VmdkExtent *e = &v->extents[v->count++];
        *e = (VmdkExtent){ .start = at };
        if (!parse_line(n, line, e, &sectors, errp))
            return false;
        e->size = sectors * VMDK_SECTOR;
        at += e->size;
        if (e->kind == VMDK_ZERO)
            continue;
        e->file = open_extent(n, e->name, errp);
        e->own = e->file;
        if (!e->file || (e->kind == VMDK_SPARSE && !vmdk_open_sparse(n, e, errp)))
            return false;
        if (at > INT64_MAX / 2)
            return sparse_bad(n, errp, "its extents are larger than any disk");
    }
    if (!v->count)
        return sparse_bad(n, errp, "its descriptor names no extents");
    n->size = at;
    return true;
}

/* SPDX-License-Identifier: MIT */
/* Device trees over libfdt: growth, paths, checks of untrusted blobs (Devicetree Specification 0.4 chapter 5). */
#include "hw/arm/devtree.h"
#include <libfdt.h>
#include <string.h>
#include "base/bits.h"

#define MAX_TREE (8 * MiB)

struct DevTree {
    void *blob;
    size_t size;
};

DevTree *dt_new(void)
{
    DevTree *f = g_new0(DevTree, 1);
    f->size = 64 * KiB;
    f->blob = g_malloc0(f->size);
    g_assert(!fdt_create_empty_tree(f->blob, (int)f->size));
    return f;
}

DevTree *dt_parse(GBytes *blob, const char *what, Error **errp)
{
    size_t len;
    const void *p = g_bytes_get_data(blob, &len);
    if (len > MAX_TREE || len < sizeof(struct fdt_header) || fdt_magic(p) != FDT_MAGIC) {
        error_setf(errp, "device tree '%s': not a flattened device tree (.dtb)", what);
        return NULL;
    }
    int bad = fdt_check_full(p, len);
    if (bad) {
        error_setf(errp, "device tree '%s': damaged: %s", what, fdt_strerror(bad));
        return NULL;
    }
    DevTree *f = g_new0(DevTree, 1);
    f->size = align_up(fdt_totalsize(p) + 64 * KiB, 4096);
    f->blob = g_malloc0(f->size);
    bad = fdt_open_into(p, f->blob, (int)f->size);
    if (!bad)
        return f;
    error_setf(errp, "device tree '%s': damaged: %s", what, fdt_strerror(bad));
    dt_free(f);
    return NULL;
}

void dt_free(DevTree *f)
{
    if (f)
        g_free(f->blob);
    g_free(f);
}

GBytes *dt_finish(const DevTree *f)
{
    void *copy = g_memdup2(f->blob, f->size);
    fdt_pack(copy);
    return g_bytes_new_take(copy, fdt_totalsize(copy));
}

static bool grow(DevTree *f, int result)
{
    if (result != -FDT_ERR_NOSPACE)
        return false;
    g_assert(f->size <= 2 * MAX_TREE); /* our own trees and one file of at most MAX_TREE */
    size_t size = f->size * 2;
    void *blob = g_malloc0(size);
    g_assert(!fdt_open_into(f->blob, blob, (int)size));
    g_free(f->blob);
    f->blob = blob;
    f->size = size;
    return true;
}

bool dt_has(const DevTree *f, const char *path) { return fdt_path_offset(f->blob, path) >= 0; }

void dt_delete(DevTree *f, const char *path)
{
    int at = fdt_path_offset(f->blob, path);
    if (at >= 0)
        fdt_del_node(f->blob, at);
}

static int make_node(DevTree *f, const char *path)
{
    int at = fdt_path_offset(f->blob, path), result;
    if (at >= 0)
        return at;
    const char *slash = strrchr(path, '/');
    g_autofree char *parent = slash == path ? g_strdup("/") : g_strndup(path, (size_t)(slash - path));
    do {
        at = make_node(f, parent);
        result = fdt_add_subnode(f->blob, at, slash + 1);
    } while (grow(f, result));
    g_assert(result >= 0);
    return result;
}

void dt_node(DevTree *f, const char *path) { make_node(f, path); }

void dt_bytes(DevTree *f, const char *path, const char *name, const void *data, size_t len)
{
    int result;
    do {
        result = fdt_setprop(f->blob, make_node(f, path), name, data, (int)len);
    } while (grow(f, result));
    g_assert(!result);
}

void dt_empty(DevTree *f, const char *path, const char *name) { dt_bytes(f, path, name, "", 0); }
void dt_string(DevTree *f, const char *path, const char *name, const char *v)
{
    dt_bytes(f, path, name, v, strlen(v) + 1);
}

void dt_cells(DevTree *f, const char *path, const char *name, unsigned count, const uint32_t *cells)
{
    g_autofree uint8_t *wire = g_malloc(4 * (size_t)count);
    for (unsigned i = 0; i < count; i++)
        store_be(wire + 4 * (size_t)i, 4, cells[i]);
    dt_bytes(f, path, name, wire, 4 * (size_t)count);
}

void dt_root_cells(const DevTree *f, unsigned *address, unsigned *size)
{
    int a = fdt_address_cells(f->blob, 0), s = fdt_size_cells(f->blob, 0);
    *address = a == 1 ? 1 : 2;
    *size = s == 1 ? 1 : 2;
}

bool dt_root_reg(DevTree *f, const char *path, uint64_t address, uint64_t size)
{
    uint32_t cells[4];
    unsigned address_cells, size_cells, n = 0;
    dt_root_cells(f, &address_cells, &size_cells);
    if ((address_cells == 1 && address >> 32) || (size_cells == 1 && size >> 32))
        return false;
    if (address_cells == 2)
        cells[n++] = HI32(address);
    cells[n++] = LO32(address);
    if (size_cells == 2)
        cells[n++] = HI32(size);
    cells[n++] = LO32(size);
    dt_cells(f, path, "reg", n, cells);
    return true;
}

/* SPDX-License-Identifier: MIT */
/* The store behind fw_cfg: numbered items and sorted files. */
#include <string.h>
#include "base/bits.h"
#include "hw/firmware/fw_cfg-internal.h"

#define DIR_ENTRY_SIZE 64 /* be32 size, be16 key, be16 0, name[56] */

FwCfgItem *fw_cfg_item(FwCfg *f, uint16_t key)
{
    if (key < FW_CFG_FILE_FIRST)
        return f->fixed[key].data ? &f->fixed[key] : NULL;
    if (key - FW_CFG_FILE_FIRST < f->files->len)
        return g_ptr_array_index(f->files, key - FW_CFG_FILE_FIRST);
    if (key >= FW_CFG_ARCH_LOCAL && key < FW_CFG_ARCH_LOCAL + FW_CFG_ARCH_KEYS) {
        FwCfgItem *i = &f->arch[key - FW_CFG_ARCH_LOCAL];
        return i->data ? i : NULL;
    }
    return NULL;
}

size_t fw_cfg_item_size(const FwCfgItem *i)
{
    return g_bytes_get_size(i->data);
}

const uint8_t *fw_cfg_item_bytes(const FwCfgItem *i)
{
    return i->writable ? i->writable : g_bytes_get_data(i->data, NULL);
}

void fw_cfg_item_clear(FwCfgItem *i)
{
    g_free(i->name);
    g_clear_pointer(&i->data, g_bytes_unref);
    g_free(i->writable);
    memset(i, 0, sizeof(*i));
}

static void item_set(FwCfgItem *i, GBytes *data)
{
    g_bytes_ref(data);
    g_clear_pointer(&i->data, g_bytes_unref);
    i->data = data;
    if (i->writable) {
        g_free(i->writable);
        i->writable = g_memdup2(g_bytes_get_data(data, NULL), g_bytes_get_size(data));
    }
}

void fw_cfg_set_gbytes(FwCfg *f, uint16_t key, GBytes *data)
{
    bool arch = key >= FW_CFG_ARCH_LOCAL;
    unsigned n = arch ? key - FW_CFG_ARCH_LOCAL : key;
    g_assert(n < (arch ? FW_CFG_ARCH_KEYS : FW_CFG_FILE_FIRST));
    item_set(arch ? &f->arch[n] : &f->fixed[n], data);
}

void fw_cfg_set_bytes(FwCfg *f, uint16_t key, const void *data, size_t len)
{
    g_autoptr(GBytes) b = g_bytes_new(data, len);
    fw_cfg_set_gbytes(f, key, b);
}

static void set_number(FwCfg *f, uint16_t key, unsigned size, uint64_t v)
{
    uint8_t b[8];
    store_le(b, size, v);
    fw_cfg_set_bytes(f, key, b, size);
}

void fw_cfg_set_u16(FwCfg *f, uint16_t key, uint16_t v)
{
    set_number(f, key, 2, v);
}

void fw_cfg_set_u32(FwCfg *f, uint16_t key, uint32_t v)
{
    set_number(f, key, 4, v);
}

void fw_cfg_set_u64(FwCfg *f, uint16_t key, uint64_t v)
{
    set_number(f, key, 8, v);
}

GBytes *fw_cfg_get(FwCfg *f, uint16_t key)
{
    FwCfgItem *i = fw_cfg_item(f, key);
    return i ? i->data : NULL;
}

static FwCfgItem *find_file(FwCfg *f, const char *name)
{
    for (unsigned n = 0; n < f->files->len; n++) {
        FwCfgItem *i = g_ptr_array_index(f->files, n);
        if (!strcmp(i->name, name))
            return i;
    }
    return NULL;
}

/* The directory item follows the list of files. */
static void write_directory(FwCfg *f)
{
    size_t len = 4 + (size_t)f->files->len * DIR_ENTRY_SIZE;
    g_autofree uint8_t *dir = g_malloc0(len);
    store_be(dir, 4, f->files->len);
    for (unsigned n = 0; n < f->files->len; n++) {
        const FwCfgItem *i = g_ptr_array_index(f->files, n);
        uint8_t *e = dir + 4 + (size_t)n * DIR_ENTRY_SIZE;
        store_be(e, 4, fw_cfg_item_size(i));
        store_be(e + 4, 2, FW_CFG_FILE_FIRST + n);
        memcpy(e + 8, i->name, strlen(i->name));
    }
    fw_cfg_set_bytes(f, FW_CFG_FILE_DIR, dir, len);
}

static FwCfgItem *file_slot(FwCfg *f, const char *name, Error **errp)
{
    FwCfgItem *i = find_file(f, name);
    if (i)
        return i;
    if (!*name || strlen(name) >= FW_CFG_MAX_FILE_NAME) {
        error_setf(errp, "fw_cfg file '%s': the name must have 1 to %d characters", name, FW_CFG_MAX_FILE_NAME - 1);
        return NULL;
    }
    if (f->files->len == FW_CFG_FILE_SLOTS) {
        error_setf(errp, "fw_cfg file '%s': all %d places of the directory are taken", name, FW_CFG_FILE_SLOTS);
        return NULL;
    }
    i = g_new0(FwCfgItem, 1);
    i->name = g_strdup(name);
    unsigned at = 0;
    while (at < f->files->len && strcmp(((FwCfgItem *)g_ptr_array_index(f->files, at))->name, name) < 0)
        at++;
    g_ptr_array_insert(f->files, (int)at, i);
    return i;
}

bool fw_cfg_add_file_gbytes(FwCfg *f, const char *name, GBytes *data, Error **errp)
{
    FwCfgItem *i = file_slot(f, name, errp);
    if (!i)
        return false;
    item_set(i, data);
    write_directory(f);
    return true;
}

bool fw_cfg_add_file(FwCfg *f, const char *name, const void *data, size_t len, Error **errp)
{
    g_autoptr(GBytes) b = g_bytes_new(data, len);
    return fw_cfg_add_file_gbytes(f, name, b, errp);
}

bool fw_cfg_add_file_ops(FwCfg *f, const char *name, const void *data, size_t len, bool writable,
                         const FwCfgFileOps *ops, void *opaque, Error **errp)
{
    if (!fw_cfg_add_file(f, name, data, len, errp))
        return false;
    FwCfgItem *i = find_file(f, name);
    g_free(i->writable);
    i->writable = writable ? g_memdup2(data, len) : NULL;
    i->ops = ops;
    i->opaque = opaque;
    return true;
}

void fw_cfg_replace_file(FwCfg *f, const char *name, const void *data, size_t len)
{
    FwCfgItem *i = find_file(f, name);
    g_assert(i);
    if (fw_cfg_item_size(i) == len && (!len || !memcmp(fw_cfg_item_bytes(i), data, len)))
        return;
    g_autoptr(GBytes) b = g_bytes_new(data, len);
    item_set(i, b);
    i->changed = true;
    write_directory(f);
}

GBytes *fw_cfg_get_file(FwCfg *f, const char *name)
{
    FwCfgItem *i = find_file(f, name);
    return i ? i->data : NULL;
}

void fw_cfg_select(FwCfg *f, uint16_t key)
{
    f->selected = key & ~0x4000; /* bit 14 was the write channel of old revisions */
    f->offset = 0;
    FwCfgItem *i = fw_cfg_item(f, f->selected);
    if (i && i->ops && i->ops->select)
        i->ops->select(i->opaque);
}

void fw_cfg_read_next(FwCfg *f, void *buf, size_t n)
{
    FwCfgItem *i = fw_cfg_item(f, f->selected);
    size_t size = i ? fw_cfg_item_size(i) : 0;
    size_t have = f->offset < size ? MIN(size - f->offset, n) : 0;
    if (have)
        memcpy(buf, fw_cfg_item_bytes(i) + f->offset, have);
    memset((uint8_t *)buf + have, 0, n - have);
    f->offset = (uint32_t)MIN((uint64_t)f->offset + n, UINT32_MAX);
}

/* SPDX-License-Identifier: MIT */
/* The devices "fw_cfg_io" (x86 ports) and "fw_cfg_mem" (MMIO): selector, data and DMA registers of fw_cfg. */
#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "base/trace.h"
#include "hw/firmware/fw_cfg-internal.h"

enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };
#define DMA_SIGNATURE UINT64_C(0x51454d5520434647) /* "QEMU CFG" */
#define DMA_CHUNK (64 * 1024)

/* Item to guest memory; past the item's end the guest gets zeros. Stops at the first chunk that memory refuses. */
static bool dma_read(FwCfg *f, uint64_t addr, uint32_t len)
{
    g_autofree uint8_t *buf = g_malloc(MIN(len, DMA_CHUNK));
    while (len) {
        uint32_t n = MIN(len, DMA_CHUNK);
        fw_cfg_read_next(f, buf, n);
        if (as_write(f->dma_as, addr, buf, n, MEM_ATTRS_DEVICE) != MEM_OK)
            return false;
        addr += n;
        len -= n;
    }
    return true;
}

/* Guest memory to a writable item, only inside its size. */
static bool dma_write(FwCfg *f, uint64_t addr, uint32_t len)
{
    FwCfgItem *i = fw_cfg_item(f, f->selected);
    size_t size = i ? fw_cfg_item_size(i) : 0;
    if (!i || !i->writable || f->offset > size || len > size - f->offset)
        return false;
    g_autofree uint8_t *buf = g_malloc(len);
    if (as_read(f->dma_as, addr, buf, len, MEM_ATTRS_DEVICE) != MEM_OK)
        return false;
    size_t at = f->offset;
    if (len)
        memcpy(i->writable + at, buf, len);
    f->offset += len;
    i->changed = true;
    if (i->ops && i->ops->wrote)
        i->ops->wrote(i->opaque, i->writable, at, len);
    return true;
}

/* Descriptor: be32 control, be32 length, be64 address. The result goes back into control: 0 or the error bit. */
static void dma_run(FwCfg *f)
{
    uint64_t at = f->dma_addr;
    uint8_t d[16];
    f->dma_addr = 0;
    if (!f->dma_as || f->dma_busy || as_read(f->dma_as, at, d, sizeof(d), MEM_ATTRS_DEVICE) != MEM_OK) {
        log_guest_error(f->dev.id, "DMA descriptor at 0x%" G_GINT64_MODIFIER "x cannot be read", at);
        return;
    }
    uint32_t control = (uint32_t)load_be(d, 4), len = (uint32_t)load_be(d + 4, 4);
    uint64_t addr = load_be(d + 8, 8);
    bool ok = true;
    f->dma_busy = true;
    if (control & DMA_SELECT)
        fw_cfg_select(f, control >> 16);
    TRACE(fw_cfg_dma, "key 0x%x offset %u control 0x%x length %u address 0x%" G_GINT64_MODIFIER "x", f->selected,
          f->offset, control & 0xffff, len, addr);
    if (control & DMA_READ)
        ok = dma_read(f, addr, len);
    else if (control & DMA_WRITE)
        ok = dma_write(f, addr, len);
    else if (control & DMA_SKIP)
        f->offset = (uint32_t)MIN((uint64_t)f->offset + len, UINT32_MAX);
    if (!ok) {
        log_guest_error(f->dev.id, "DMA of key 0x%x, %u bytes at 0x%" G_GINT64_MODIFIER "x refused", f->selected, len,
                        addr);
    }
    store_be(d, 4, ok ? 0 : DMA_ERROR);
    as_write(f->dma_as, at, d, 4, MEM_ATTRS_DEVICE);
    f->dma_busy = false;
}

/* DMA register, big-endian: the low half starts the request. Narrow writes are ignored. */
static MemResult dma_reg_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    FwCfg *f = opaque;
    if (size == 8 && offset == 0) {
        f->dma_addr = value;
        dma_run(f);
    } else if (size == 4 && offset == 0) {
        f->dma_addr = value << 32;
    } else if (size == 4 && offset == 4) {
        f->dma_addr |= value;
        dma_run(f);
    } else {
        log_guest_error(f->dev.id, "%u-byte write to the DMA register at +%u", size, (unsigned)offset);
    }
    return MEM_OK;
}

static MemResult dma_reg_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = bits_get(DMA_SIGNATURE, (unsigned)(8 - offset - size) * 8, size * 8);
    return MEM_OK;
}

static MemResult data_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    uint8_t b[8];
    fw_cfg_read_next(opaque, b, size);
    *value = load_be(b, size);
    return MEM_OK;
}

static MemResult data_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    FwCfg *f = opaque;
    log_guest_error(f->dev.id, "write to the data register");
    return MEM_OK;
}

/*
 * Ports 0x510 (select, 16 bits) and 0x511 (data, 8 bits) share one region; a 16-bit write selects, a byte read reads.
 */
static MemResult ports_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    if (size == 2)
        fw_cfg_select(opaque, (uint16_t)value);
    else
        data_write(opaque, offset, size, value, attrs);
    return MEM_OK;
}

static MemResult ports_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    if (size == 1)
        return data_read(opaque, offset, size, value, attrs);
    *value = 0;
    return MEM_OK;
}

static MemResult select_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = 0;
    return MEM_OK;
}

static MemResult select_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    fw_cfg_select(opaque, (uint16_t)value);
    return MEM_OK;
}

static const MemOps ports_ops = { ports_read, ports_write, 1, 2 };
static const MemOps dma_ops = { dma_reg_read, dma_reg_write, 1, 8, .big_endian = true };
static const MemOps data_ops = { data_read, data_write, 1, 8, .big_endian = true };
static const MemOps select_ops = { select_read, select_write, 2, 2, .big_endian = true };

static FwCfg *fw_cfg_of(Device *d)
{
    return (FwCfg *)d;
}

static void file_free(gpointer p)
{
    fw_cfg_item_clear(p);
    g_free(p);
}

static void path_clear(gpointer p)
{
    g_free(((BootPath *)p)->path);
}

static void fw_cfg_init(Device *d)
{
    FwCfg *f = fw_cfg_of(d);
    f->files = g_ptr_array_new_with_free_func(file_free);
    f->boot_paths = g_array_new(FALSE, FALSE, sizeof(BootPath));
    g_array_set_clear_func(f->boot_paths, path_clear);
    f->changed = g_byte_array_new();
    fw_cfg_set_bytes(f, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_set_u32(f, FW_CFG_ID, 1);
    fw_cfg_set_bytes(f, FW_CFG_FILE_DIR, "\0\0\0\0", 4);
}

static bool fw_cfg_io_start(Device *d, Error **errp)
{
    d->region[0] = mem_io_new("fwcfg", 2, &ports_ops, d, d->domain);
    mem_add_notifier(d->region[0], &(MemNotifier){ .offset = 0, .size = 2, .fd = MEM_COALESCED }); /* the selector */
    d->region[1] = mem_io_new("fwcfg.dma", 8, &dma_ops, d, d->domain);
    return true;
}

static bool fw_cfg_mem_start(Device *d, Error **errp)
{
    d->region[0] = mem_io_new("fwcfg.data", 8, &data_ops, d, d->domain);
    d->region[1] = mem_io_new("fwcfg.ctl", 8, &select_ops, d, d->domain);
    d->region[2] = mem_io_new("fwcfg.dma", 8, &dma_ops, d, d->domain);
    return true;
}

static void fw_cfg_reset(Device *d, ResetPhase phase)
{
    FwCfg *f = fw_cfg_of(d);
    if (phase != RESET_ENTER)
        return;
    f->selected = 0;
    f->offset = 0;
    f->dma_addr = 0;
}

static void fw_cfg_stop(Device *d)
{
    FwCfg *f = fw_cfg_of(d);
    for (unsigned n = 0; n < DEVICE_MAX_REGIONS; n++) {
        if (d->region[n])
            mem_region_free(d->region[n]);
        d->region[n] = NULL;
    }
    for (unsigned n = 0; n < ARRAY_LEN(f->fixed); n++)
        fw_cfg_item_clear(&f->fixed[n]);
    for (unsigned n = 0; n < ARRAY_LEN(f->arch); n++)
        fw_cfg_item_clear(&f->arch[n]);
    g_clear_pointer(&f->files, g_ptr_array_unref);
    g_clear_pointer(&f->boot_paths, g_array_unref);
    g_clear_pointer(&f->changed, g_byte_array_unref);
}

/* Saved form of changed files: name[56], le32 length, contents; one after the other. */
static void fw_cfg_saving(Device *d)
{
    FwCfg *f = fw_cfg_of(d);
    g_byte_array_set_size(f->changed, 0);
    for (unsigned n = 0; n < f->files->len; n++) {
        const FwCfgItem *i = g_ptr_array_index(f->files, n);
        uint8_t head[FW_CFG_MAX_FILE_NAME + 4] = { 0 };
        size_t size = fw_cfg_item_size(i);
        if (!i->changed)
            continue;
        memcpy(head, i->name, strlen(i->name));
        store_le32(head + FW_CFG_MAX_FILE_NAME, (uint32_t)size);
        g_byte_array_append(f->changed, head, sizeof(head));
        g_byte_array_append(f->changed, fw_cfg_item_bytes(i), (guint)size);
    }
}

static bool load_changed_file(FwCfg *f, const char *name, const uint8_t *data, size_t size, Error **errp)
{
    for (unsigned n = 0; n < f->files->len; n++) {
        FwCfgItem *i = g_ptr_array_index(f->files, n);
        if (strcmp(i->name, name))
            continue;
        if (i->writable && size != fw_cfg_item_size(i))
            break;
        fw_cfg_replace_file(f, name, data, size);
        i->changed = true;
        return true;
    }
    error_setf(errp, "fw_cfg: the saved file '%s' of %zu bytes does not fit this machine", name, size);
    return false;
}

static bool fw_cfg_loaded(Device *d, Error **errp)
{
    FwCfg *f = fw_cfg_of(d);
    const uint8_t *p = f->changed->data;
    size_t left = f->changed->len;
    bool ok = true;
    while (ok && left) {
        char name[FW_CFG_MAX_FILE_NAME];
        size_t head = sizeof(name) + 4, size = left >= head ? load_le32(p + sizeof(name)) : 0;
        if (left < head || size > left - head || p[sizeof(name) - 1]) {
            error_setf(errp, "fw_cfg: the saved files are damaged");
            ok = false;
            break;
        }
        memcpy(name, p, sizeof(name));
        ok = load_changed_file(f, name, p + head, size, errp);
        p += head + size;
        left -= head + size;
    }
    g_byte_array_set_size(f->changed, 0);
    return ok;
}

static void fw_cfg_info(Device *d, GString *out)
{
    FwCfg *f = fw_cfg_of(d);
    for (unsigned n = 0; n < f->files->len; n++) {
        const FwCfgItem *i = g_ptr_array_index(f->files, n);
        g_string_append_printf(out, "    file 0x%02x %8zu %s%s\n", FW_CFG_FILE_FIRST + n, fw_cfg_item_size(i), i->name,
                               i->writable ? " (writable)" : "");
    }
}

FwCfg *fw_cfg_from_device(Device *d)
{
    g_assert(d->type->init == fw_cfg_init);
    return fw_cfg_of(d);
}

FwCfg *fw_cfg_find(void)
{
    for (Device *d = device_first(); d; d = d->next) {
        if (d->type->init == fw_cfg_init)
            return fw_cfg_of(d);
    }
    return NULL;
}

void fw_cfg_set_dma(FwCfg *f, AddressSpace *as)
{
    f->dma_as = f->dma_enabled ? as : NULL;
    fw_cfg_set_u32(f, FW_CFG_ID, f->dma_as ? 3 : 1);
}

static const Property fw_cfg_props[] = {
    DEFINE_PROP_BOOL("dma_enabled", FwCfg, dma_enabled, true, "offer the DMA interface"),
    DEFINE_PROP_END,
};

static const StateField fw_cfg_state[] = {
    STATE_U16(FwCfg, selected),
    STATE_U32(FwCfg, offset),
    STATE_U64(FwCfg, dma_addr),
    STATE_BUF(FwCfg, changed, FW_CFG_CHANGED_MAX),
    STATE_END_OF_TABLE,
};

#define FW_CFG_TYPE(name_, desc_, start_) { \
    .name = name_, .desc = desc_, .category = "Misc", .size = sizeof(FwCfg), .props = fw_cfg_props, \
    .state = fw_cfg_state, \
    .init = fw_cfg_init, .start = start_, .reset = fw_cfg_reset, .saving = fw_cfg_saving, .loaded = fw_cfg_loaded, \
    .stop = fw_cfg_stop, .info = fw_cfg_info }

static const DeviceType fw_cfg_io_type = FW_CFG_TYPE("fw_cfg_io", "firmware configuration, I/O ports", fw_cfg_io_start);
static const DeviceType fw_cfg_mem_type = FW_CFG_TYPE("fw_cfg_mem", "firmware configuration, memory-mapped",
                                                      fw_cfg_mem_start);
DEVICE_REGISTER(fw_cfg_io_type)
DEVICE_REGISTER(fw_cfg_mem_type)

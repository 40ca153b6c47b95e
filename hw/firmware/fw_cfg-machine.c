/* SPDX-License-Identifier: MIT */
/* fw_cfg as machines use it: creation, the keys every machine has, memory map, boot order. */
#include <string.h>
#include "base/bits.h"
#include "hw/firmware/fw_cfg-internal.h"

static FwCfg *create(Machine *m, const char *type, Error **errp)
{
    Device *d = device_new_named(type, "fw_cfg", errp);
    if (!d)
        return NULL;
    if (!device_start(d, errp)) {
        device_free(d);
        return NULL;
    }
    FwCfg *f = fw_cfg_from_device(d);
    fw_cfg_set_dma(f, m->as_memory);
    fw_cfg_add_machine_keys(f, m);
    return f;
}

FwCfg *fw_cfg_io_create(Machine *m, Error **errp)
{
    FwCfg *f = create(m, "fw_cfg_io", errp);
    if (f) {
        mem_map(m->io, FW_CFG_IO_BASE, f->dev.region[0], 0);
        mem_map(m->io, FW_CFG_IO_BASE + 4, f->dev.region[1], 0);
    }
    return f;
}

FwCfg *fw_cfg_mem_create(Machine *m, hwaddr base, Error **errp)
{
    FwCfg *f = create(m, "fw_cfg_mem", errp);
    if (f) {
        for (unsigned n = 0; n < 3; n++)
            mem_map(m->memory, base + 8 * n, f->dev.region[n], 0);
    }
    return f;
}

/* "8-4-4-4-12" hex digits; the option's handler has checked the form. Without one: all zeros. */
static void parse_uuid(const char *text, uint8_t out[16])
{
    unsigned digits = 0;
    memset(out, 0, 16);
    for (; text && *text && digits < 32; text++) {
        if (g_ascii_isxdigit(*text)) {
            out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | g_ascii_xdigit_value(*text));
            digits++;
        }
    }
}

void fw_cfg_add_machine_keys(FwCfg *f, const Machine *m)
{
    const MachineConfig *c = &m->config;
    uint8_t uuid[16];
    parse_uuid(c->uuid, uuid);
    fw_cfg_set_bytes(f, FW_CFG_UUID, uuid, sizeof(uuid));
    fw_cfg_set_u64(f, FW_CFG_RAM_SIZE, c->ram_size);
    fw_cfg_set_u16(f, FW_CFG_NOGRAPHIC, !c->graphics);
    fw_cfg_set_u16(f, FW_CFG_NB_CPUS, (uint16_t)c->cpus);
    fw_cfg_set_u16(f, FW_CFG_MAX_CPUS, (uint16_t)MAX(c->max_cpus, c->cpus));
    fw_cfg_set_u16(f, FW_CFG_BOOT_MENU, c->boot_menu);
    f->boot_strict = c->boot_strict;
}

bool fw_cfg_add_e820(FwCfg *f, const E820Entry *e, unsigned n, Error **errp)
{
    g_autoptr(GByteArray) b = g_byte_array_new();
    for (unsigned i = 0; i < n; i++) {
        uint8_t row[20];
        store_le64(row, e[i].addr);
        store_le64(row + 8, e[i].len);
        store_le32(row + 16, e[i].type);
        g_byte_array_append(b, row, sizeof(row));
    }
    return fw_cfg_add_file(f, "etc/e820", b->data, b->len, errp);
}

bool fw_cfg_add_boot_path(FwCfg *f, const char *path, int index, Error **errp)
{
    BootPath new_path = { g_strdup(path), index };
    unsigned at = 0;
    while (at < f->boot_paths->len && g_array_index(f->boot_paths, BootPath, at).index <= index)
        at++;
    g_array_insert_val(f->boot_paths, at, new_path);
    g_autoptr(GString) text = g_string_new(NULL);
    for (unsigned i = 0; i < f->boot_paths->len; i++)
        g_string_append_printf(text, "%s%s", i ? "\n" : "", g_array_index(f->boot_paths, BootPath, i).path);
    g_string_append(text, f->boot_strict ? "\nHALT" : "");
    return fw_cfg_add_file(f, "bootorder", text->str, text->len + 1, errp);
}

static int boot_index(const Device *d)
{
    for (const DeviceType *t = d->type; t; t = t->base) {
        const Property *p = props_find(t->props, "bootindex");
        if (p)
            return *(const int32_t *)((const char *)d + p->offset);
    }
    return -1;
}

bool fw_cfg_add_boot_devices(FwCfg *f, Error **errp)
{
    for (const Device *d = device_first(); d; d = d->next) {
        int index = boot_index(d);
        if (index < 0)
            continue;
        for (const Device *o = device_first(); o != d; o = o->next) {
            if (boot_index(o) == index) {
                error_setf(errp, "device '%s': bootindex=%d is that of device '%s', too; give each its own", d->id,
                           index, o->id);
                return false;
            }
        }
        g_autofree char *path = device_firmware_path(d);
        if (!fw_cfg_add_boot_path(f, path, index, errp))
            return false;
    }
    return true;
}

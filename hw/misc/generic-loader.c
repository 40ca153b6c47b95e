/* SPDX-License-Identifier: MIT */
/* -device loader: files, numbers and start addresses from the command line, put into place at each reset. */
#include "base/bits.h"
#include "hw/core/cpu-port.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"
#include "hw/firmware/image.h"

enum { NO_CPU = UINT32_MAX };

typedef struct Loader {
    Device dev; /* always first */
    char *file;
    uint64_t addr, data;
    uint32_t cpu;
    uint8_t data_len;
    bool data_be, force_raw;
    FirmwareImage *image;
    bool sets_pc;
    uint64_t pc;
} Loader;

static bool refuse(Error **errp, const char *why)
{
    error_setf(errp, "device 'loader': %s", why);
    return false;
}

static bool start_file(Loader *l, AddressSpace *as, Error **errp)
{
    if (l->data || l->data_len || l->data_be)
        return refuse(errp, "file= and data= exclude each other; make two loaders");
    l->image = image_read("loader file", l->file, l->addr, l->force_raw, errp);
    if (!l->image || !image_check(l->image, as, errp))
        return false;
    l->sets_pc = l->cpu != NO_CPU;
    l->pc = image_start(l->image);
    return true;
}

static bool start_data(const Loader *l, AddressSpace *as, Error **errp)
{
    uint64_t word;
    if (l->force_raw)
        return refuse(errp, "force-raw= is about file=, which is missing");
    if (l->data_len > 8)
        return refuse(errp, "data-len= is 1 to 8 (bytes)");
    if (l->data_len < 8 && l->data >> 8 * l->data_len)
        return refuse(errp, "data= does not fit into data-len= bytes");
    if (as_read(as, l->addr, &word, l->data_len, MEM_ATTRS_DEVICE) == MEM_OK)
        return true;
    error_setf(errp, "device 'loader': there is no memory at addr=0x%" G_GINT64_MODIFIER "x", l->addr);
    return false;
}

static bool loader_start(Device *d, Error **errp)
{
    Loader *l = (Loader *)d;
    Machine *m = machine_current();
    if (!m)
        return refuse(errp, "there is no machine to load into");
    if (l->cpu != NO_CPU && l->cpu >= cpu_port_count()) {
        error_setf(errp, "device 'loader': cpu-num=%u: the machine has %u CPUs, from 0", l->cpu, cpu_port_count());
        return false;
    }
    if (l->file)
        return start_file(l, m->as_memory, errp);
    if (l->data_len)
        return start_data(l, m->as_memory, errp);
    if (l->data || l->data_be)
        return refuse(errp, "data= needs data-len=, the number of bytes");
    if (l->cpu == NO_CPU)
        return refuse(errp, "give file=, data= with data-len=, or cpu-num= with addr= as its start address");
    l->sets_pc = true;
    l->pc = l->addr;
    return true;
}

static void loader_reset(Device *d, ResetPhase phase)
{
    const Loader *l = (const Loader *)d;
    AddressSpace *as = machine_current()->as_memory;
    if (phase == RESET_HOLD && l->image) {
        image_place(l->image, as);
    } else if (phase == RESET_HOLD && l->data_len) {
        uint8_t bytes[8];
        store_le64(bytes, l->data_be ? __builtin_bswap64(l->data) >> (64 - 8 * l->data_len) : l->data);
        as_write_rom(as, l->addr, bytes, l->data_len);
    } else if (phase == RESET_EXIT && l->sets_pc) {
        CpuPort *p = cpu_port(l->cpu);
        if (p && p->ops->set_pc)
            p->ops->set_pc(p, l->pc);
    }
}

static void loader_stop(Device *d) { g_clear_pointer(&((Loader *)d)->image, image_free); }

static const Property loader_props[] = {
    DEFINE_PROP_STRING("file", Loader, file, NULL, "ELF, Intel hex, S-record, UF2 or raw"),
    DEFINE_PROP_U64("addr", Loader, addr, 0, "where data and raw files go; start address"),
    DEFINE_PROP_U32("cpu-num", Loader, cpu, NO_CPU, "this CPU starts at the file's entry, or at addr"),
    DEFINE_PROP_BOOL("force-raw", Loader, force_raw, false, "take the file as it is"),
    DEFINE_PROP_U64("data", Loader, data, 0, "a number to store"),
    DEFINE_PROP_U8("data-len", Loader, data_len, 0, "its bytes, 1 to 8"),
    DEFINE_PROP_BOOL("data-be", Loader, data_be, false, "big-endian"),
    DEFINE_PROP_END,
};
static const DeviceType loader_type = {
    .name = "loader",
    .desc = "Puts a file or a number into memory, or starts a CPU there",
    .category = "Misc",
    .size = sizeof(Loader),
    .user_creatable = true,
    .props = loader_props,
    .start = loader_start,
    .reset = loader_reset,
    .stop = loader_stop,
};
DEVICE_REGISTER(loader_type)

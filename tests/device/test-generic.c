/* SPDX-License-Identifier: MIT */
/*
 * What every registered device must pass: reset twice gives the same state; what is saved loads into a fresh machine
 * and is saved again byte for byte; random accesses to all its registers end without harm (run this under the
 * sanitizers).
 */
#include <glib.h>
#include <string.h>
#include <zlib.h>
#include "base/bits.h"
#include "base/clock.h"
#include "base/rcu.h"
#include "block/backend.h"
#include "chardev/chardev.h"
#include "base/object.h"
#include "hw/mem/memory-device.h"
#include "hw/core/cpu-port.h"
#include "hw/core/machine.h"
#include "hw/i386/host-bridge.h"
#include "hw/isa/isa.h"
#include "hw/pci/pci-host.h"
#include "ivshmem-server.h"
#include "vfio-mock.h"
#include "tests/device/bare-machine.h"
#include "tests/device/whole-state.h"

/*
 * ---- fixture: a bare machine with RAM; a bus that a type needs is made by the test's own host for that kind of bus
 * ----
 */

#define RAM_SIZE (16 * MiB)

/* Properties without which a type does not start. */
static const struct { const char *type, *prop, *value;
} needed[] = {
    { "loader", "data-len", "4" },
    { "virtio-blk-pci", "drive", "generic" },
    { "virtio-blk-device", "drive", "generic" },
    { "nvme", "drive", "generic" },
    { "nvme-ns", "drive", "generic" },
    { "scsi-hd", "drive", "generic" },
    { "ide-hd", "drive", "generic" },
    { "emmc", "drive", "generic" },
    { "sse-timer", "counter", "sse-counter-0" },
    { "sse-watchdog", "counter", "sse-counter-0" },
    { "pc-dimm", "memdev", "memory" },
    { "virtio-mem-pci", "memdev", "memory" },
    { "virtio-pmem-pci", "memdev", "memory" },
    { "nvdimm", "memdev", "memory" },
    { "ivshmem-plain", "memdev", "memory" },
    { "ivshmem-doorbell", "chardev", "shm" },
    { "vfio-pci", "host", "05:00.0" },
    { "vhost-vsock-pci", "guest-cid", "3" },
    { "vhost-vsock-device", "guest-cid", "3" },
    { "isa-serial", "chardev", "generic" },
    { "isa-debugcon", "chardev", "generic" },
};

/* Chipset parts sit on one host bridge only. */
static const struct { const char *type, *host; } hosts[] = {
    { "mch", "q35-pcihost" }, { "ICH9-LPC", "q35-pcihost" }, { "ICH9-SMB", "q35-pcihost" },
    { "i440FX", "i440FX-pcihost" }, { "PIIX3", "i440FX-pcihost" }, { "PIIX4_PM", "i440FX-pcihost" },
    { "sse-timer", "sse-counter" }, { "sse-watchdog", "sse-counter" },
};

/* A vCPU that takes notice of nothing, for interrupt controllers. */
static void port_line(CpuPort *p, CpuLine line, bool level) {}
static void port_sipi(CpuPort *p, uint8_t vector) {}
static const CpuPortOps port_ops = { .set_line = port_line, .sipi = port_sipi };
static uint64_t port_tsc(CpuPort *p) { return (uint64_t)clock_ns(CLOCK_VIRTUAL_NS); }
static CpuPort port;

static bool build(Machine *m, Error **errp)
{
    if (!bare_build(m, errp))
        return false;
    m->config.ram_max = RAM_SIZE + GiB;
    m->config.ram_slots = 2;
    memory_devices_init(m, GiB);
    port = (CpuPort){ .ops = &port_ops, .bsp = true, .read_tsc = port_tsc, .tsc_hz = 1000000000 };
    cpu_port_add(&port);
    return true;
}

static MemRegion *pci_space; /* of a chipset's host bridge */

static void destroy(Machine *m)
{
    mem_region_free(pci_space);
    pci_space = NULL;
    memory_devices_free();
}

static const MachineType generic_machine = { .name = "generic-test",
                                             .arch = "none",
                                             .max_cpus = 1,
                                             .default_ram = RAM_SIZE,
                                             .size = sizeof(Machine),
                                             .build = build,
                                             .destroy = destroy };

static Device *make_device(const DeviceType *t, bool as_host);

static const char *bus_kind(const DeviceType *t)
{
    while (t && !t->bus)
        t = t->base;
    return t && strcmp(t->bus, "system") ? t->bus : NULL;
}

static bool provides(const DeviceType *t, const char *kind)
{
    for (; t; t = t->base) {
        if (t->provides && g_strv_contains(t->provides, kind))
            return true;
    }
    return false;
}

typedef struct IsaHost {
    Device dev;
    IsaBus bus;
} IsaHost;

static bool isa_host_start(Device *d, Error **errp)
{
    isa_bus_init(&((IsaHost *)d)->bus, "isa.0", d, machine_current()->io, machine_current()->memory, NULL);
    return true;
}

static void isa_host_stop(Device *d) { isa_bus_fini(&((IsaHost *)d)->bus); }

static const char *const isa_kinds[] = { "isa", NULL };
static const DeviceType isa_host_type = { .name = "test-isa-host", .desc = "ISA bus", .size = sizeof(IsaHost),
                                          .provides = isa_kinds, .start = isa_host_start, .stop = isa_host_stop };

/*
 * Our own host for that kind; for kinds that it has none for, the first registered type that does not sit on one
 * itself.
 */
static void ensure_bus(const char *kind)
{
    static const DeviceType *const own[] = { &bare_pci_type, &isa_host_type };
    unsigned count;
    const DeviceType *const *all = device_types(&count);
    for (unsigned i = 0; i < ARRAY_LEN(own) && !bus_find_kind(kind); i++) {
        if (provides(own[i], kind))
            make_device(own[i], true);
    }
    for (unsigned i = 0; i < count && !bus_find_kind(kind); i++) {
        if (provides(all[i], kind) && g_strcmp0(bus_kind(all[i]), kind))
            make_device(all[i], true);
    }
    if (!bus_find_kind(kind))
        g_error("no device type provides a bus of kind '%s'", kind);
}

/* What a board does for a host bridge. */
static void wire_host_bridge(HostBridge *h)
{
    Machine *m = machine_current();
    pci_space = mem_container_new("pci", UINT64_MAX);
    mem_map(m->memory, 0, pci_space, -1);
    m->smm = mem_container_new("smm", UINT64_MAX);
    m->as_smm = as_new("smm", m->smm);
    h->io = m->io;
    h->as_memory = m->as_memory;
    h->spaces =
        (SmramSpaces){ .system = m->memory, .smm = m->smm, .pci = pci_space, .ram = m->ram, .ram_below_4g = RAM_SIZE };
}

/* as_host: for another one to sit on: without a drive of its own. */
static Device *make_device(const DeviceType *t, bool as_host)
{
    const char *kind = bus_kind(t);
    for (unsigned i = 0; i < ARRAY_LEN(hosts); i++) {
        if (!strcmp(hosts[i].type, t->name))
            make_device(device_type_find(hosts[i].host), true);
    }
    if (kind && !bus_find_kind(kind))
        ensure_bus(kind);
    Device *d = device_new(t, NULL);
    Error *err = NULL;
    for (unsigned i = 0; i < ARRAY_LEN(needed); i++) {
        if (!strcmp(needed[i].type, t->name) && !(as_host && !strcmp(needed[i].prop, "drive")))
            device_set_default(d, needed[i].prop, needed[i].value);
    }
    if (g_str_has_prefix(t->name, "vhost-vsock")) {
        g_autofree char *path = g_strdup_printf("%s/rhea-generic-%d", g_get_tmp_dir(), (int)getpid());
        device_set_default(d, "uds", path);
    }
    if (!strcmp(t->name, "q35-pcihost") || !strcmp(t->name, "i440FX-pcihost"))
        wire_host_bridge((HostBridge *)d);
    if (!device_start(d, &err))
        g_error("%s", err->message);
    return d;
}

static ShmServer shm_server;

static Machine *make_machine(void)
{
    Error *err = NULL;
    g_autoptr(Opts) o = opts_parse("null,id=generic", "backend", &err);
    chardev_new_opts(o, &err);
    g_autoptr(Opts) disk = opts_new();
    opts_set(disk, "driver", "null-co");
    opts_set(disk, "node-name", "generic");
    BlockNode *n = block_open(NULL, disk, BLOCK_RDWR, &err);
    g_assert_nonnull(n);
    blk_new("generic", n);
    object_new("memory-backend-ram", "memory", &err, "size", "8M", NULL);
    shm_server = server_new("shm", 3);
    mock_begin();
    Machine *m = machine_new(&generic_machine);
    machine_build(m, &err);
    g_assert_no_error(err);
    clock_virtual_set(1000000);
    return m;
}

static void free_machine(Machine *m)
{
    machine_free(m);
    objects_free_all();
    blk_free_all();
    chardevs_close_all();
    server_free(&shm_server);
    mock_end();
    machine_take_requests();
    for (Bus *b = bus_first(); b; b = b->next)
        g_error("bus '%s' has outlived its device", b->name);
}

/* Where two streams differ, for the message: section and field of the first difference are near it. */
static void assert_same(GBytes *a, GBytes *b, const char *what)
{
    gsize la, lb, at = 0;
    const uint8_t *pa = g_bytes_get_data(a, &la), *pb = g_bytes_get_data(b, &lb);
    while (at < la && at < lb && pa[at] == pb[at])
        at++;
    if (at == la && la == lb)
        return;
    g_autoptr(GString) near = g_string_new(NULL);
    for (gsize i = at > 120 ? at - 120 : 0; i < MIN(at, la); i++)
        g_string_append_c(near, g_ascii_isprint(pa[i]) ? (char)pa[i] : '.');
    g_error("%s: the streams differ at byte %zu, after \"%s\"", what, at, near->str);
}

/* ---- storm ---- */

static unsigned storm_accesses = 4000;

static uint64_t random_value(void)
{
    static const uint64_t favourites[] = { 0,          1,    0xff,       0xffff,       0xffffffff,
                                           UINT64_MAX, 0x80, 0x80000000, RAM_SIZE - 1, 0x1000 };
    if (g_test_rand_int_range(0, 3) == 0)
        return favourites[g_test_rand_int_range(0, ARRAY_LEN(favourites))];
    if (g_test_rand_bit())
        return (uint64_t)1 << g_test_rand_int_range(0, 64);
    return (uint64_t)(uint32_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int();
}

static void random_access(AddressSpace *as, hwaddr at)
{
    uint64_t v;
    unsigned size = 1u << g_test_rand_int_range(0, 4);
    if (g_test_rand_int_range(0, 3) == 0)
        as_load(as, at, size, &v, MEM_ATTRS_DEVICE);
    else
        as_store(as, at, size, random_value(), MEM_ATTRS_DEVICE);
}

/* An address that something answers at: of a random mapped range that is not RAM, often near its start. */
static bool random_mapped(AddressSpace *as, uint64_t space_size, hwaddr *at)
{
    struct { hwaddr first; uint64_t len; } found[64];
    unsigned n = 0;
    rcu_read_lock();
    for (hwaddr a = 0; a < space_size && n < ARRAY_LEN(found);) {
        MemSection s;
        as_translate(as, a, &s);
        if (s.region && !(s.host && !s.readonly)) {
            found[n].first = a;
            found[n++].len = s.len;
        }
        if (s.len > space_size - a)
            break;
        a += s.len;
    }
    rcu_read_unlock();
    if (!n)
        return false;
    unsigned i = (unsigned)g_test_rand_int_range(0, (int)n);
    uint64_t window = g_test_rand_bit() ? MIN(found[i].len, 64) : MIN(found[i].len, INT32_MAX);
    *at = found[i].first + (uint64_t)g_test_rand_int_range(0, (int)window);
    return true;
}

/* One configuration access to the device under test, as a guest makes it. */
static void random_config(Machine *m, Device *d)
{
    const PciDevice *p = pci_device(d);
    uint32_t reg = (uint32_t)g_test_rand_int_range(0, 64) * 4;
    as_store(m->as_io, 0xcf8, 4, 0x80000000 | (uint32_t)p->devfn << 8 | reg, MEM_ATTRS_DEVICE);
    random_access(m->as_io, 0xcfc + (hwaddr)g_test_rand_int_range(0, 4));
}

static void storm(Machine *m, Device *d, unsigned accesses)
{
    MemRegion *root[DEVICE_MAX_REGIONS] = { NULL }, *alias[DEVICE_MAX_REGIONS];
    AddressSpace *as[DEVICE_MAX_REGIONS];
    bool pci = !g_strcmp0(bus_kind(d->type), "pci");
    if (!g_strcmp0(bus_kind(d->type), "virtio-bus")) /* its registers are those of the transport */
        d = d->bus->parent;
    for (unsigned i = 0; i < DEVICE_MAX_REGIONS; i++) {
        if (!d->region[i])
            continue;
        root[i] = mem_container_new("storm", UINT64_MAX);
        alias[i] = mem_alias_new("storm", d->region[i], 0, mem_size(d->region[i]));
        mem_map(root[i], 0, alias[i], 0);
        as[i] = as_new("storm", root[i]);
    }
    for (unsigned n = 0; n < accesses; n++) {
        unsigned i = n % (DEVICE_MAX_REGIONS + 3);
        hwaddr at;
        if (i < DEVICE_MAX_REGIONS && root[i] && !mem_host(d->region[i]))
            random_access(as[i], (uint64_t)g_test_rand_int_range(0, (int)MIN(mem_size(d->region[i]), 1 << 20)));
        else if (i == DEVICE_MAX_REGIONS && pci)
            random_config(m, d);
        else if (i == DEVICE_MAX_REGIONS + 1 && random_mapped(m->as_io, 0x10000, &at))
            random_access(m->as_io, at);
        else if (i == DEVICE_MAX_REGIONS + 2 && random_mapped(m->as_memory, UINT64_MAX, &at))
            random_access(m->as_memory, at);
        if (n % 64 == 0)
            clock_virtual_step(g_test_rand_int_range(0, 50000));
    }
    for (unsigned i = 0; i < DEVICE_MAX_REGIONS; i++) {
        if (!root[i])
            continue;
        as_free(as[i]);
        mem_region_free(alias[i]);
        mem_region_free(root[i]);
    }
}

/* ---- hostile state ---- */

/* Change some values of a list of fields, whose names, types and lengths stay (docs/state.md). */
static void damage_fields(uint8_t *p, const uint8_t *end)
{
    while (p < end) {
        p += 1 + *p; /* name */
        unsigned type = p[0];
        uint32_t len = load_le32(p + 5);
        p += 9;
        if (type == 7) {
            for (uint8_t *s = p; s < p + len; s += 4 + load_le32(s))
                damage_fields(s + 4, s + 4 + load_le32(s));
        } else if (len && g_test_rand_int_range(0, 4) == 0) {
            uint8_t *at = p + g_test_rand_int_range(0, (int)len);
            *at = type == 5 ? !*at : (uint8_t)random_value();
        }
        p += len;
    }
}

static GBytes *damaged(GBytes *stream)
{
    gsize size;
    const uint8_t *data = g_bytes_get_data(stream, &size);
    uint8_t *copy = g_memdup2(data, size);
    for (uint8_t *p = copy + 12; p < copy + size - 4;) { /* sections */
        p += 1 + *p;
        uint32_t len = load_le32(p);
        damage_fields(p + 4, p + 4 + len);
        p += 4 + len;
    }
    store_le32(copy + size - 4, (uint32_t)crc32(0, copy, (uInt)(size - 4)));
    return g_bytes_new_take(copy, size);
}

/* Whatever a stream says: it is refused, or the device goes on without harm, and reset makes it good again. */
static void survive(Machine *m, Device *d, GBytes *good, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        g_autoptr(GBytes) bad = damaged(good);
        Error *err = NULL;
        StateReader *r = state_reader_new(bad, &err);
        g_assert_no_error(err);
        bool ok = device_load_all(r, &err);
        state_reader_free(r);
        g_clear_error(&err);
        clock_virtual_set(1000000);
        if (ok) {
            g_autoptr(GBytes) again = save_all();
            g_assert_nonnull(again);
            storm(m, d, 100);
        }
        device_reset_all();
    }
}

/* ---- the tests ---- */

static void test_table(const DeviceType *t)
{
    g_assert_nonnull(t->desc);
    for (const RegBank *const *b = t->banks; b && *b; b++) {
        g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
        uint32_t last = 0;
        for (const Reg *r = (*b)->regs; r->name; r++) {
            if (r->field != REG_NO_FIELD && !g_hash_table_add(names, (void *)r->name))
                g_error("%s: register %s stands twice in bank %s", t->name, r->name, (*b)->name);
            g_assert_cmpuint(r->at, >=, last);
            last = r->at;
            g_assert_cmpuint(r->at + r->size, <=, (*b)->size);
            g_assert_true(is_pow2(r->size) && r->size <= 8);
            g_assert_true(r->field == REG_NO_FIELD || r->field + r->size * MAX(r->count, 1) <= t->size);
            g_assert_cmphex(r->rsvd & r->reset, ==, 0);
        }
    }
}

static void test_type(const void *data)
{
    const DeviceType *t = data;
    test_table(t);
    Machine *m = make_machine();
    Device *d = make_device(t, false);
    device_reset_all();
    g_autoptr(GBytes) first = save_all();
    device_reset_all();
    g_autoptr(GBytes) second = save_all();
    assert_same(first, second, "two resets");
    g_autoptr(GString) text = g_string_new(NULL);
    device_print_info(d, text);
    storm(m, d, storm_accesses);
    g_autoptr(GBytes) busy = save_all();
    load_all(busy);
    g_autoptr(GBytes) again = save_all();
    assert_same(busy, again, "save, load, save on the same device");
    device_reset_all();
    free_machine(m);

    m = make_machine();
    d = make_device(t, false);
    device_reset_all();
    load_all(busy);
    g_autoptr(GBytes) moved = save_all();
    assert_same(busy, moved, "save, load, save on a fresh device");
    storm(m, d, storm_accesses);
    survive(m, d, busy, storm_accesses / 100);
    free_machine(m);
}

static void be_quiet(void *opaque, const char *line) {}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    error_set_sink(be_quiet, NULL); /* a storm makes a guest "panic" */
    const char *length = g_getenv("RHEA_STORM");
    if (length)
        storm_accesses = (unsigned)atoi(length);
    unsigned count;
    const DeviceType *const *all = device_types(&count);
    for (unsigned i = 0; i < count; i++) {
        if (!strcmp(all[i]->category ? all[i]->category : "", "CPU"))
            continue; /* a board makes them: tests/device/test-cpu-hotplug.c */
        if (!strcmp(all[i]->name, "scsi-block") || !strcmp(all[i]->name, "scsi-generic"))
            continue; /* they need a unit of the host: tests/device/test-scsi-generic.c */
        g_autofree char *path = g_strdup_printf("/generic/%s", all[i]->name);
        g_test_add_data_func(path, all[i], test_type);
    }
    return g_test_run();
}

/* SPDX-License-Identifier: MIT */
/*
 * Memory modules that come and go, by their registers, without a guest: places, events, ejection, refusals; persistent
 * ones by the NFIT.
 */
#include <string.h>
#include "base/bits.h"
#include "base/evloop.h"
#include "base/object.h"
#include "hw/acpi/memory-hotplug.h"
#include "hw/acpi/nfit.h"
#include "hw/mem/memory-device.h"

enum {
    SLOTS_AT = 0x100,
    GED_AT = 0x200,
    FIT_AT = 0x300,
    MODULE = 128 << 20,
    LABELS = 128 << 10,
    STRUCTURES = 56 + 48 + 32
};

/* ---- the machine: two slots, device memory from 4 GiB on ---- */

static Machine *m;
static unsigned events[2]; /* of the pins */

static bool build(Machine *machine, Error **errp)
{
    machine->ram = mem_ram_new("ram", 16 * MiB, errp);
    mem_map(machine->memory, 0, machine->ram, 0);
    machine->config.ram_size = 16 * MiB;
    machine->config.ram_max = GiB;
    machine->config.ram_slots = 2;
    memory_devices_init(machine, 4 * GiB);
    return machine->ram;
}
static void destroy(Machine *machine) { memory_devices_free(); }
static const MachineType type = { .name = "slots",
                                  .arch = "none",
                                  .max_cpus = 1,
                                  .default_ram = 16 << 20,
                                  .size = sizeof(Machine),
                                  .build = build,
                                  .destroy = destroy };

static void pulse(void *opaque, int n, int level) { events[n] += level; }

static void start(void)
{
    m = machine_new(&type);
    g_assert_true(machine_build(m, NULL));
    Device *d = device_new_named("acpi-memory-hotplug", "slots", NULL);
    device_connect(d, "event", 0, (Irq){ .set = pulse, .n = 0 });
    device_connect(d, "nvdimm", 0, (Irq){ .set = pulse, .n = 1 });
    g_assert_true(device_start(d, NULL));
    mem_map(m->io, SLOTS_AT, d->region[0], 0);
    mem_map(m->io, GED_AT, d->region[1], 0);
    mem_map(m->io, FIT_AT, d->region[2], 0);
    memset(events, 0, sizeof(events));
    for (char id[] = "m0"; id[1] < '4'; id[1]++)
        g_assert_nonnull(object_new("memory-backend-ram", id, NULL, "size", "128M", NULL));
    g_assert_nonnull(object_new("memory-backend-ram", "odd", NULL, "size", "1M", NULL));
}

static void stop(void)
{
    machine_free(m);
    for (char id[] = "m0"; id[1] < '4'; id[1]++)
        g_assert_true(object_del(id, NULL));
    g_assert_true(object_del("odd", NULL));
}

static uint64_t in(unsigned at, unsigned size)
{
    uint64_t v = 0;
    as_load(m->as_io, at, size, &v, (MemAttrs){ 0 });
    return v;
}
static void out(unsigned at, unsigned size, uint64_t v) { as_store(m->as_io, at, size, v, (MemAttrs){ 0 }); }

static uint64_t flags(unsigned slot)
{
    out(SLOTS_AT, 4, slot);
    return in(SLOTS_AT + 0x14, 1);
}

static void add(const char *text, const char *refusal)
{
    Error *err = NULL;
    g_autoptr(Opts) o = opts_parse(text, "driver", &err);
    bool ok = device_add(o, &err);
    if (refusal ? ok || !strstr(err->message, refusal) : !ok)
        g_error("%s: %s instead of %s", text, ok ? "success" : err->message, refusal ? refusal : "success");
    error_free(err);
}

static void settle(void)
{
    while (evloop_iterate(false))
        ;
}

/* ---- tests ---- */

static void test_come_and_go(void)
{
    start();
    add("pc-dimm,id=d0,memdev=m0,slot=1", NULL);
    device_reset_all();
    g_assert_cmphex(flags(1), ==, 1); /* from the start: no event */
    g_assert_cmpuint(events[0], ==, 0);
    add("pc-dimm,id=d1,memdev=m1", NULL);
    g_assert_cmpuint(events[0], ==, 1);
    g_assert_cmphex(in(GED_AT, 4), ==, ACPI_GED_MEMORY);
    g_assert_cmphex(in(GED_AT, 4), ==, 0); /* told once */
    g_assert_cmphex(flags(0), ==, 3);
    g_assert_cmphex(in(SLOTS_AT, 4) | in(SLOTS_AT + 4, 4) << 32, ==, 4 * GiB + MODULE);
    g_assert_cmphex(in(SLOTS_AT + 8, 4), ==, MODULE);
    as_store(m->as_memory, 4 * GiB + MODULE, 8, 0x1234, (MemAttrs){ 0 });
    out(SLOTS_AT + 0x14, 1, 2); /* seen */
    g_assert_cmphex(flags(0), ==, 1);
    out(SLOTS_AT + 0x14, 1, 8); /* nobody asked for it */
    settle();
    g_assert_nonnull(device_find("d1"));

    g_assert_true(device_del("d1", NULL));
    g_assert_cmpuint(events[0], ==, 2);
    g_assert_cmphex(flags(0), ==, 5);
    out(SLOTS_AT + 0x14, 1, 8); /* ejected before the event was acknowledged */
    settle();
    g_assert_null(device_find("d1"));
    g_assert_cmphex(flags(0), ==, 0);
    g_assert_true(object_del("m1", NULL));
    g_assert_nonnull(object_new("memory-backend-ram", "m1", NULL, "size", "128M", NULL));
    add("pc-dimm,id=d1,memdev=m1", NULL);
    g_assert_cmphex(flags(0), ==, 3);
    g_assert_cmphex(flags(5), ==, 0);
    g_assert_cmphex(flags(1000000), ==, 0); /* there is no such slot */
    out(SLOTS_AT + 0x14, 1, 0xff);
    device_reset_all();
    g_assert_cmphex(flags(0), ==, 1); /* it is in the tables now */
    stop();
}

static void test_refusals(void)
{
    start();
    device_reset_all();
    add("pc-dimm", "no memory; add memdev=");
    add("nvdimm", "no memory; add memdev=");
    add("pc-dimm,memdev=nobody", "nobody");
    add("pc-dimm,memdev=odd", "not a multiple of 2 MiB");
    add("pc-dimm,memdev=m0,slot=2", "2 memory slots");
    add("pc-dimm,memdev=m0,addr=0x100100000", "no multiple of");
    add("nvdimm,memdev=m0,label-size=64K", "no multiple of 4K from 128K");
    add("pc-dimm,memdev=m0,slot=1", NULL);
    add("pc-dimm,memdev=m1,slot=1", "slot 1 is taken");
    add("pc-dimm,memdev=m0", "is in use already");
    add("nvdimm,memdev=m1", NULL);
    add("nvdimm,memdev=m2", "none is left"); /* persistent modules take slots, too */
    g_assert_cmpuint(events[0], ==, 1);
    g_assert_cmpuint(events[1], ==, 1);
    stop();
}

/* The structures as _FIT reads them. */
static GByteArray *fit(void)
{
    GByteArray *t = g_byte_array_new();
    out(FIT_AT, 4, 0);
    for (unsigned i = 0, n = (unsigned)in(FIT_AT, 4); i < n; i++) {
        out(FIT_AT + 4, 4, i);
        uint8_t byte = (uint8_t)in(FIT_AT + 4, 4);
        g_byte_array_append(t, &byte, 1);
    }
    return t;
}

static void test_nvdimm(void)
{
    Error *err = NULL;
    start();
    device_reset_all();
    g_assert_cmpuint(in(FIT_AT, 4), ==, 0);
    add("nvdimm,id=n0,memdev=m0,slot=1,label-size=128K", NULL);
    g_assert_cmpuint(events[1], ==, 1);
    g_assert_cmpuint(events[0], ==, 0); /* for the system it is no RAM */
    g_assert_cmphex(in(GED_AT, 4), ==, ACPI_GED_NVDIMM);
    g_assert_cmphex(flags(1), ==, 0);

    g_autoptr(GByteArray) one = fit(), two = NULL;
    g_assert_cmpuint(one->len, ==, STRUCTURES);
    g_assert_cmpuint(load_le16(one->data), ==, 0);           /* a range */
    g_assert_cmpuint(load_le16(one->data + 4), ==, 2);       /* of slot 1 */
    g_assert_cmphex(load_le64(one->data + 32), ==, 4 * GiB);
    g_assert_cmphex(load_le64(one->data + 40), ==, MODULE - 2 * MiB);
    g_assert_cmphex(load_le32(one->data + 56 + 4), ==, 2);   /* the handle is _ADR of the slot's device */
    g_assert_cmpuint(load_le16(one->data + 56 + 48), ==, 4); /* a control region */
    out(FIT_AT + 8, 4, 1);
    g_assert_cmphex(in(FIT_AT + 8, 4) | in(FIT_AT + 12, 4) << 32, ==, 4 * GiB + MODULE - LABELS);
    g_assert_cmphex(in(FIT_AT + 16, 4), ==, LABELS);

    /* what is being read stays as it was taken */
    add("nvdimm,memdev=m1", NULL);
    g_assert_cmpuint(in(FIT_AT, 4), ==, STRUCTURES);
    two = fit();
    g_assert_cmpuint(two->len, ==, 2 * STRUCTURES);
    g_assert_cmpuint(load_le16(two->data + STRUCTURES + 4), ==, 1);
    out(FIT_AT + 4, 4, UINT32_MAX);
    g_assert_cmphex(in(FIT_AT + 4, 4), ==, 0);
    out(FIT_AT + 8, 4, 0);
    g_assert_cmphex(in(FIT_AT + 16, 4), ==, 0); /* no labels */
    out(FIT_AT + 8, 4, UINT32_MAX);
    g_assert_cmphex(in(FIT_AT + 16, 4), ==, 0);

    g_assert_false(device_del("n0", &err));
    g_assert_nonnull(strstr(err->message, "can't let a persistent module go"));
    error_free(err);
    device_reset_all();
    g_assert_cmpuint(in(FIT_AT, 4), ==, 0);
    stop();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    g_test_add_func("/memory-hotplug/come-and-go", test_come_and_go);
    g_test_add_func("/memory-hotplug/refusals", test_refusals);
    g_test_add_func("/memory-hotplug/nvdimm", test_nvdimm);
    return g_test_run();
}

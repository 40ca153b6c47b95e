/* SPDX-License-Identifier: MIT */
/*
 * CPUs that come and go on q35 and pc, by their registers, without a guest: places, events, ejection, refusals, what
 * the BIOS is told.
 */
#include <string.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/evloop.h"
#include "hw/acpi/cpu-hotplug.h"
#include "hw/core/cpu-slots.h"
#include "hw/i386/pc-board.h"

/* ---- CPUs that do nothing ---- */

static CpuPort *made[8];

static void set_line(CpuPort *p, CpuLine line, bool level) {}
static void sipi(CpuPort *p, uint8_t vector) {}
static uint64_t tsc(CpuPort *p) { return 0; }
static const CpuPortOps ops = { .set_line = set_line, .sipi = sipi };

static bool create(Machine *m, unsigned index, uint32_t arch_id, const char *model, Error **errp)
{
    made[index] = g_new(CpuPort, 1);
    *made[index] = (CpuPort){
        .ops = &ops, .index = index, .arch_id = arch_id, .bsp = !index, .read_tsc = tsc, .tsc_hz = 1000000000
    };
    cpu_port_add(made[index]);
    return true;
}

static void destroy(Machine *m, unsigned index)
{
    if (!made[index])
        return;
    if (cpu_port(index) == made[index])
        cpu_port_remove(made[index]);
    g_clear_pointer(&made[index], g_free);
}

static const CpuFamily family = { .arch = "stub", .create = create, .destroy = destroy };
CPU_FAMILY_REGISTER(family)

/* ---- the machine ---- */

static MachineType type;
static char *bios_path;
static Machine *m;
static uint16_t port;

/* One of six CPUs: two sockets of three cores. */
static void start(const char *name)
{
    Error *err = NULL;
    type = *machine_type_find(name);
    type.arch = "stub";
    m = machine_new(&type);
    m->config.ram_size = 128 * MiB;
    m->config.max_cpus = 6, m->config.sockets = 2, m->config.cores = 3;
    m->config.bios = g_strdup(bios_path);
    port = strcmp(name, "pc") ? ACPI_CPUHP_PORT_Q35 : ACPI_CPUHP_PORT_PC;
    if (!machine_build(m, &err))
        g_error("%s", err->message);
    device_reset_all();
}

static void stop(void)
{
    machine_free(m);
    for (unsigned i = 0; i < ARRAY_LEN(made); i++)
        g_clear_pointer(&made[i], g_free);
}

static uint32_t in(unsigned at, unsigned size)
{
    uint64_t v = 0;
    as_load(m->as_io, port + at, size, &v, (MemAttrs){ 0 });
    return (uint32_t)v;
}
static void out(unsigned at, unsigned size, uint32_t v) { as_store(m->as_io, port + at, size, v, (MemAttrs){ 0 }); }
static uint32_t flags_of(uint32_t cpu)
{
    out(0, 4, cpu);
    return in(4, 1);
}

static bool add(const char *text, const char *refusal)
{
    Error *err = NULL;
    Opts *o = opts_parse(text, "driver", &err);
    g_assert_nonnull(o);
    bool ok = device_add(o, &err);
    opts_free(o);
    if (refusal) {
        g_assert_false(ok);
        g_assert_nonnull(strstr(err->message, refusal));
        error_free(err);
    } else if (!ok) {
        g_error("%s", err->message);
    }
    return ok;
}

static void settle(void)
{
    while (evloop_iterate(false))
        ;
}

static bool gpe(void) { return pc_board(m)->pm->gpe_sts & BIT(ACPI_CPUHP_GPE); }

/* ---- tests ---- */

static void test_come_and_go(const void *name)
{
    start(name);
    g_assert_cmphex(flags_of(0), ==, 1);
    g_assert_cmphex(flags_of(4), ==, 0);
    g_assert_cmphex(flags_of(6), ==, 0); /* no such place */
    g_assert_false(gpe());
    add("qemu64-x86_64-cpu,id=c,socket-id=1,core-id=1,thread-id=0", NULL);
    g_assert_true(gpe());
    g_assert_cmphex(flags_of(4), ==, 3);
    g_assert_nonnull(device_find("apic4"));
    g_assert_cmpuint(made[4]->arch_id, ==, 5); /* two bits for three cores */
    out(5, 1, 3);
    g_assert_cmphex(in(8, 4), ==, 5);
    g_assert_cmphex(in(0, 4), ==, 0);
    out(0, 4, 1);
    out(5, 1, 0); /* the next one with an event */
    g_assert_cmphex(in(8, 4), ==, 4);
    out(4, 1, 2);
    g_assert_cmphex(in(4, 1), ==, 1);
    out(4, 1, 8); /* nobody asked for its ejection */
    settle();
    g_assert_nonnull(device_find("c"));
    g_assert_true(device_del("c", NULL));
    g_assert_cmphex(flags_of(4), ==, 5);
    out(4, 1, 4);
    g_assert_cmphex(in(4, 1), ==, 1);
    out(4, 1, 8);
    settle();
    g_assert_null(device_find("c"));
    g_assert_null(device_find("apic4"));
    g_assert_null(cpu_port(4));
    g_assert_cmphex(flags_of(4), ==, 0);
    add("qemu64-x86_64-cpu,id=c,socket-id=1,core-id=1,thread-id=0", NULL); /* and once more */
    g_assert_cmphex(flags_of(4), ==, 3);
    stop();
}

static void test_refusals(void)
{
    start("q35");
    add("qemu64-x86_64-cpu,socket-id=0,core-id=0", "CPU 0 is there already");
    add("qemu64-x86_64-cpu,socket-id=2,core-id=0", "0 to 1");
    add("qemu64-x86_64-cpu,core-id=0", "socket-id is not given");
    add("qemu64-x86_64-cpu,socket-id=1,core-id=0,thread-id=1", "0 to 0");
    add("qemu64-x86_64-cpu,socket-id=1,core-id=0,node-id=3", "node 0");
    add("Nehalem-x86_64-cpu,socket-id=1,core-id=0", "use qemu64-x86_64-cpu");
    g_assert_cmpuint(cpu_slots_filled(m->cpu_slots), ==, 1);
    stop();
}

/* The BIOS waits for so many CPUs as are there. */
static void test_reset(void)
{
    start("pc");
    add("qemu64-x86_64-cpu,id=c,socket-id=0,core-id=2", NULL);
    g_assert_cmpuint(pc_board_cpus(pc_board(m)), ==, 2);
    m->type->reset(m);
    device_reset_all();
    uint64_t v;
    as_store(m->as_io, 0x70, 1, 0x5f, (MemAttrs){ 0 });
    as_load(m->as_io, 0x71, 1, &v, (MemAttrs){ 0 });
    g_assert_cmpuint(v, ==, 1);
    g_assert_cmphex(flags_of(2), ==, 1); /* it is in the tables: no event */
    stop();
}

static void test_list(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    start("q35");
    add("qemu64-x86_64-cpu,id=c,socket-id=1,core-id=2", NULL);
    cpu_slots_print(m->cpu_slots, text);
    const char *first = "Hotpluggable CPUs:\n  type: \"qemu64-x86_64-cpu\"\n  vcpus_count: \"1\"\n  qom_path: "
                        "\"/machine/peripheral/c\"\n"
                        "  CPUInstance Properties:\n    socket-id: \"1\"\n    core-id: \"2\"\n    thread-id: \"0\"\n";
    g_assert_true(g_str_has_prefix(text->str, first));
    stop();
}

int main(int argc, char **argv)
{
    g_autofree char *image = g_malloc0(256 * KiB);
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    bios_path = g_strdup_printf("%s/rhea-test-bios-%d", g_get_tmp_dir(), (int)getpid());
    g_assert_true(g_file_set_contents(bios_path, image, 256 * KiB, NULL));
    g_test_add_data_func("/cpu-hotplug/q35", "q35", test_come_and_go);
    g_test_add_data_func("/cpu-hotplug/pc", "pc", test_come_and_go);
    g_test_add_func("/cpu-hotplug/refusals", test_refusals);
    g_test_add_func("/cpu-hotplug/reset", test_reset);
    g_test_add_func("/cpu-hotplug/list", test_list);
    int status = g_test_run();
    unlink(bios_path);
    g_free(bios_path);
    return status;
}

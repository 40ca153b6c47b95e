/* SPDX-License-Identifier: MIT */
/* Registers, properties, pins, buses, globals, and the life of a device, on a small device made for it. */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>
#include "base/bits.h"
#include "hw/core/cpu-port.h"
#include "hw/core/machine.h"

typedef struct Gadget {
    Device dev;
    uint32_t ctrl, status;
    uint8_t arr[4];
    uint16_t half;
    uint64_t wide;
    uint32_t count;
    bool flag;
    uint8_t small;
    int32_t sig;
    uint64_t bytes;
    char *text;
    int mode;
    Device *peer;
    unsigned starts, stops, resets[3], inputs, last_pin, wrotes;
    uint64_t last_old, last_value;
    int last_level;
    bool fail;
} Gadget;

static uint64_t count_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return stored + 100; }

static void ctrl_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Gadget *g = (Gadget *)d;
    g_assert_true(lock_domain_held(d->domain));
    g->wrotes++;
    g->last_old = old;
    g->last_value = value;
}

static const Reg gadget_regs[] = {
    { .name = "CTRL",
      .at = 0x00,
      .size = 4,
      .field = offsetof(Gadget, ctrl),
      .reset = 0x12345678,
      .ro = 0xff000000,
      .rsvd = 0x80,
      .wrote = ctrl_wrote },
    { .name = "STATUS", .at = 0x04, .size = 4, .field = offsetof(Gadget, status), .reset = 0xf, .w1c = 0xff },
    { .name = "ARR", .at = 0x08, .size = 1, .count = 4, .stride = 2, .field = offsetof(Gadget, arr), .reset = 0x5a },
    { .name = "HALF", .at = 0x10, .size = 2, .field = offsetof(Gadget, half) },
    { .name = "COUNT",
      .at = 0x14,
      .size = 4,
      .field = offsetof(Gadget, count),
      .reset = 1,
      .read = count_read,
      .access = REG_RO },
    { .name = "WIDE", .at = 0x18, .size = 8, .field = offsetof(Gadget, wide) },
    { .name = "DOOR", .at = 0x20, .size = 4, .field = REG_NO_FIELD, .access = REG_WO, .wrote = ctrl_wrote },
    { .name = NULL },
};
static const RegBank gadget_bank = { .name = "regs", .size = 0x40, .regs = gadget_regs };
static const RegBank *const gadget_banks[] = { &gadget_bank, NULL };
static const char *const modes[] = { "slow", "fast", NULL };
static const Property gadget_props[] = {
    DEFINE_PROP_BOOL("flag", Gadget, flag, true, "a flag"),
    { .name = "small",
      .kind = PROP_U8,
      .offset = offsetof(Gadget, small),
      .dflt = 3,
      .min = 1,
      .max = 9,
      .help = "1 to 9" },
    { .name = "sig", .kind = PROP_I32, .offset = offsetof(Gadget, sig), .dflt = -1 },
    DEFINE_PROP_SIZE("bytes", Gadget, bytes, 4096, "a size"),
    DEFINE_PROP_STRING("text", Gadget, text, "dflt", "a text"),
    DEFINE_PROP_ENUM("mode", Gadget, mode, 0, modes, "a choice"),
    { .name = "peer", .kind = PROP_LINK, .offset = offsetof(Gadget, peer) },
    DEFINE_PROP_BOOL("fail", Gadget, fail, false, "let start fail"),
    DEFINE_PROP_END,
};
static const char *const out_pins[] = { "irq", "intx*4", NULL };
static const char *const in_pins[] = { "line*3", "stop", NULL };

static bool gadget_start(Device *d, Error **errp)
{
    Gadget *g = (Gadget *)d;
    g->starts++;
    if (g->fail)
        error_setf(errp, "told to fail");
    return !g->fail;
}
static void gadget_reset(Device *d, ResetPhase phase) { ((Gadget *)d)->resets[phase]++; }
static unsigned stops;
static void gadget_stop(Device *d) { stops++; }
static void gadget_input(Device *d, unsigned pin, int level)
{
    Gadget *g = (Gadget *)d;
    g_assert_true(lock_domain_held(d->domain));
    g->inputs++;
    g->last_pin = pin;
    g->last_level = level;
}
static const StateField gadget_state[] = { STATE_U32(Gadget, count), STATE_END_OF_TABLE };
static const DeviceType gadget_type = {
    .name = "test-gadget", .desc = "for this test", .size = sizeof(Gadget), .bus = "testbus", .user_creatable = true,
    .banks = gadget_banks, .props = gadget_props, .out_pins = out_pins, .in_pins = in_pins, .state = gadget_state,
    .start = gadget_start, .reset = gadget_reset, .stop = gadget_stop, .input = gadget_input,
};
DEVICE_REGISTER(gadget_type)

static unsigned plugs, unplugs;
static bool bus_plug(Bus *b, Device *d, Error **errp)
{
    plugs++;
    if (!strcmp(d->id, "unwanted")) {
        error_setf(errp, "the bus is full");
        return false;
    }
    return true;
}
static void bus_unplug(Bus *b, Device *d) { unplugs++; }
static const BusType test_bus_type = { .kind = "testbus", .plug = bus_plug, .unplug = bus_unplug };
static Bus test_bus;

static Gadget *gadget_new(const char *id)
{
    Gadget *g = (Gadget *)device_new(&gadget_type, id);
    Error *err = NULL;
    device_start(&g->dev, &err);
    g_assert_no_error(err);
    device_reset_one(&g->dev);
    return g;
}

static uint64_t rd(Gadget *g, hwaddr at, unsigned size)
{
    uint64_t v;
    regs_read(&g->dev, &gadget_bank, at, size, &v);
    return v;
}

static void wr(Gadget *g, hwaddr at, unsigned size, uint64_t v)
{
    lock_domain_lock(g->dev.domain);
    regs_write(&g->dev, &gadget_bank, at, size, v);
    lock_domain_unlock(g->dev.domain);
}

static void test_regs(void)
{
    Gadget *g = gadget_new("g");
    g_assert_cmphex(rd(g, 0, 4), ==, 0x12345678);
    wr(g, 0, 4, 0xaaaaaaff);
    g_assert_cmphex(g->ctrl, ==, 0x12aaaa7f); /* read-only byte kept, reserved bit dropped */
    g_assert_cmphex(g->last_old, ==, 0x12345678);
    g_assert_cmphex(g->last_value, ==, 0xaaaaaaff);
    wr(g, 1, 1, 0x55); /* narrow: merged */
    g_assert_cmphex(g->ctrl, ==, 0x12aa557f);
    wr(g, 4, 1, 0x3);
    g_assert_cmphex(g->status, ==, 0xc); /* write 1 clears */
    wr(g, 5, 1, 0xff);
    g_assert_cmphex(g->status, ==, 0xff0c); /* a narrow write elsewhere clears nothing */
    g_assert_cmphex(rd(g, 8, 8), ==, 0x005a005a005a005a);
    wr(g, 0x0a, 1, 0x77);
    g_assert_cmphex(g->arr[1], ==, 0x77);
    g_assert_cmphex(rd(g, 0x14, 4), ==, 101);
    wr(g, 0x14, 4, 55);
    g_assert_cmphex(g->count, ==, 1); /* read-only row */
    wr(g, 0x18, 8, 0x1122334455667788);
    g_assert_cmphex(rd(g, 0x1c, 4), ==, 0x11223344);
    wr(g, 0x1c, 4, 0);
    g_assert_cmphex(g->wide, ==, 0x55667788);
    g->wrotes = 0;
    wr(g, 0x20, 4, 9);
    g_assert_cmpuint(g->wrotes, ==, 1);
    g_assert_cmphex(rd(g, 0x20, 4), ==, 0);
    g_assert_cmphex(rd(g, 0x30, 4), ==, 0);
    wr(g, 0x10, 4, 0xdeadbeef); /* wider than HALF: the rest falls beside */
    g_assert_cmphex(rd(g, 0x10, 4), ==, 0xbeef);
    device_reset_one(&g->dev);
    g_assert_cmphex(g->arr[1], ==, 0x5a);
    g_autoptr(GString) text = g_string_new(NULL);
    device_print_info(&g->dev, text);
    g_assert_nonnull(strstr(text->str, "ARR[3]"));
    device_free(&g->dev);
}

/* The bank as a region on an address space: the hooks run under the device's domain. */
static void test_region(void)
{
    Gadget *g = gadget_new("g");
    MemRegion *root = mem_container_new("root", UINT64_MAX);
    AddressSpace *as = as_new("t", root);
    mem_map(root, 0x1000, g->dev.region[0], 0);
    g->wrotes = 0;
    as_store(as, 0x1000, 4, 0, MEM_ATTRS_DEVICE);
    g_assert_cmpuint(g->wrotes, ==, 1);
    uint64_t v;
    as_load(as, 0x1004, 4, &v, MEM_ATTRS_DEVICE);
    g_assert_cmphex(v, ==, 0xf);
    device_free(&g->dev); /* takes its regions with it */
    g_assert_cmpint(as_load(as, 0x1004, 4, &v, MEM_ATTRS_DEVICE), ==, MEM_UNMAPPED);
    as_free(as);
    mem_region_free(root);
}

static void test_fill_from_low(void)
{
    static const RegBank low = {
        .name = "low", .size = 0x40, .regs = gadget_regs, .fill_from_low = true, .unmapped_ones = true
    };
    Gadget *g = gadget_new("g");
    uint64_t v;
    regs_read(&g->dev, &low, 0x08, 4, &v);
    g_assert_cmphex(v, ==, 0x5a);
    regs_read(&g->dev, &low, 0x30, 2, &v);
    g_assert_cmphex(v, ==, 0xffff);
    device_free(&g->dev);
}

static void assert_set_fails(Gadget *g, const char *prop, const char *value, const char *part)
{
    Error *err = NULL;
    g_assert_false(device_set(&g->dev, prop, value, &err));
    if (!strstr(err->message, part))
        g_error("'%s' does not tell '%s'", err->message, part);
    g_error_free(err);
}

static void test_props(void)
{
    Gadget *g = (Gadget *)device_new(&gadget_type, "g");
    g_assert_true(g->flag);
    g_assert_cmpint(g->small, ==, 3);
    g_assert_cmpint(g->sig, ==, -1);
    g_assert_cmpuint(g->bytes, ==, 4096);
    g_assert_cmpstr(g->text, ==, "dflt");
    device_set_default(&g->dev, "flag", "off");
    device_set_default(&g->dev, "small", "9");
    device_set_default(&g->dev, "sig", "-77");
    device_set_default(&g->dev, "bytes", "2M");
    device_set_default(&g->dev, "text", "other");
    device_set_default(&g->dev, "mode", "fast");
    device_set_default(&g->dev, "peer", "g");
    g_assert_true(g->peer == &g->dev);
    static const struct { const char *name, *value;
    } want[] = {
        { "flag", "off" },   { "small", "9" },   { "sig", "-77" }, { "bytes", "2097152" },
        { "text", "other" }, { "mode", "fast" }, { "peer", "g" },
    };
    for (unsigned i = 0; i < ARRAY_LEN(want); i++) {
        g_autofree char *v = props_get(gadget_props, g, want[i].name);
        g_assert_cmpstr(v, ==, want[i].value);
    }
    assert_set_fails(g, "flag", "maybe",
                     "device 'g' (test-gadget): property 'flag': 'maybe' is neither 'on' nor 'off'");
    assert_set_fails(g, "small", "10", "10 is out of range; valid: 1 to 9");
    assert_set_fails(g, "small", "-1", "'-1' is not a number");
    assert_set_fails(g, "sig", "2147483648", "is not a number from");
    assert_set_fails(g, "bytes", "2X", "is not a size");
    assert_set_fails(g, "mode", "fasst", "did you mean 'fast'?");
    assert_set_fails(g, "smal", "1", "did you mean 'small'?");
    assert_set_fails(g, "peer", "nobody", "there is no device with the id 'nobody'");
    g_autoptr(GString) help = g_string_new(NULL);
    g_assert_true(device_print_help("test-gadget", help, NULL));
    g_assert_nonnull(strstr(help->str, "mode=<slow|fast>"));
    device_free(&g->dev);
}

static int level[8];
static void pin_set(void *opaque, int n, int l) { level[n] = l; }

static void test_pins(void)
{
    Gadget *g = (Gadget *)device_new(&gadget_type, NULL);
    g_assert_cmpstr(g->dev.id, ==, "test-gadget-0");
    g_assert_cmpuint(g->dev.out_count, ==, 5);
    device_connect(&g->dev, "irq", 0, (Irq){ pin_set, NULL, 0 });
    device_connect(&g->dev, "intx", 3, (Irq){ pin_set, NULL, 7 });
    device_out(&g->dev, 0, 1);
    device_out(&g->dev, 4, 1);
    device_out(&g->dev, 2, 1); /* not connected */
    g_assert_true(level[0] == 1 && level[7] == 1);
    Irq in = device_input(&g->dev, "stop", 0);
    irq_raise(&in);
    g_assert_cmpuint(g->last_pin, ==, 3);
    in = device_input(&g->dev, "line", 2);
    irq_pulse(&in);
    g_assert_cmpuint(g->last_pin, ==, 2);
    g_assert_cmpint(g->last_level, ==, 0);
    g_assert_cmpuint(g->inputs, ==, 3);
    device_free(&g->dev);
}

static Device *add(const char *text, Error **errp)
{
    g_autoptr(Opts) o = opts_parse(text, "driver", errp);
    return device_add(o, errp);
}

static void assert_add_fails(const char *text, const char *part)
{
    Error *err = NULL;
    unsigned before = 0, after = 0;
    for (Device *d = device_first(); d; d = d->next)
        before++;
    g_assert_null(add(text, &err));
    if (!strstr(err->message, part))
        g_error("'%s' does not tell '%s'", err->message, part);
    g_error_free(err);
    for (Device *d = device_first(); d; d = d->next)
        after++;
    g_assert_cmpuint(before, ==, after);
}

static void test_add(void)
{
    Error *err = NULL;
    plugs = unplugs = 0;
    Device *d = add("test-gadget,id=a,small=5,bus=testbus.0", &err);
    g_assert_no_error(err);
    g_assert_true(d->bus == &test_bus && d->started && device_find("a") == d);
    assert_add_fails("test-gadget,id=a", "the id 'a' is taken");
    assert_add_fails("test-gadgets", "did you mean 'test-gadget'?");
    assert_add_fails("test-gadget,smol=5", "did you mean 'small'?");
    assert_add_fails("test-gadget,bus=pci.0", "bus 'pci.0': not known");
    assert_add_fails("test-gadget,id=unwanted", "device 'unwanted': the bus is full");
    stops = 0;
    assert_add_fails("test-gadget,id=f,fail=on", "device 'f': told to fail");
    g_assert_cmpuint(stops, ==, 1); /* also after a failed start, once */
    device_free(d);
    g_assert_cmpuint(unplugs, ==, plugs - 1); /* all but the one the bus refused */
    bus_fini(&test_bus);
    assert_add_fails("test-gadget", "no testbus bus");
    bus_init(&test_bus, &test_bus_type, "testbus.0", NULL);
    g_autoptr(GString) list = g_string_new(NULL);
    device_print_list(list);
    g_assert_nonnull(strstr(list->str, "test-gadget"));
}

static void test_reset_save(void)
{
    Gadget *a = gadget_new("a"), *b = gadget_new("b");
    device_reset_all();
    g_assert_true(a->resets[0] == 2 && b->resets[2] == 2);
    a->count = 77;
    wr(a, 0, 4, 0x1234);
    StateWriter *w = state_writer_new();
    device_save_all(w);
    g_autoptr(GBytes) stream = state_writer_finish(w);
    device_reset_all();
    Error *err = NULL;
    StateReader *r = state_reader_new(stream, &err);
    device_load_all(r, &err);
    g_assert_no_error(err);
    state_reader_free(r);
    g_assert_cmpuint(a->count, ==, 77);
    g_assert_cmphex(a->ctrl, ==, 0x12001234);
    device_free(&b->dev);
    r = state_reader_new(stream, &err); /* one device fewer */
    g_assert_false(device_load_all(r, &err));
    g_assert_nonnull(strstr(err->message, "section 'b"));
    g_clear_error(&err);
    state_reader_free(r);
    device_free(&a->dev);
}

/* A machine that fills the check list: counts, RAM limits, save to a file and load. */
typedef struct TestMachine {
    Machine m;
    uint64_t extra;
} TestMachine;

static bool build(Machine *m, Error **errp)
{
    m->ram = mem_ram_new("ram", m->config.ram_size, errp);
    if (!m->ram)
        return false;
    mem_map(m->memory, 0, m->ram, 0);
    Device *d = device_new(&gadget_type, "gadget");
    return device_start(d, errp);
}

static const MachineType machine_type = { .name = "test-machine", .arch = "test", .max_cpus = 4, .default_ram = 4 * MiB,
                                          .size = sizeof(TestMachine), .build = build };
MACHINE_REGISTER(machine_type)

static void test_machine_save(void)
{
    Error *err = NULL;
    Machine *m = machine_new(machine_type_find("test-machine"));
    m->config.cpus = 5;
    g_assert_false(machine_build(m, &err));
    g_clear_error(&err);
    m->config.cpus = 1;
    m->config.ram_size = 4097;
    g_assert_false(machine_build(m, &err));
    g_clear_error(&err);
    m->config.ram_size = 4 * MiB;
    machine_build(m, &err);
    g_assert_no_error(err);
    g_assert_true(machine_current() == m);
    g_autofree char *path = NULL;
    close(g_file_open_tmp("rhea-save-XXXXXX", &path, NULL));
    memset((char *)mem_host(m->ram) + MiB - 10, 0xa5, 2 * MiB);
    ((Gadget *)device_find("gadget"))->count = 99;
    machine_save(path, &err);
    g_assert_no_error(err);
    memset(mem_host(m->ram), 0x33, 4 * MiB);
    device_reset_all();
    machine_load(path, &err);
    g_assert_no_error(err);
    const uint8_t *ram = mem_host(m->ram);
    g_assert_true(ram[0] == 0 && ram[MiB - 11] == 0 && ram[MiB - 10] == 0xa5 && ram[3 * MiB - 11] == 0xa5 &&
                  ram[3 * MiB] == 0);
    g_assert_cmpuint(((Gadget *)device_find("gadget"))->count, ==, 99);
    g_autofree char *data = NULL;
    gsize len;
    g_file_get_contents(path, &data, &len, NULL);
    static const gsize cuts[] = { 0, 7, 8, 20, 40, 100, 5000, 2 * MiB };
    for (unsigned i = 0; i <= ARRAY_LEN(cuts); i++) {
        if (i < ARRAY_LEN(cuts)) {
            g_file_set_contents(path, data, (gssize)cuts[i], NULL);
        } else {
            data[len - 20] ^= 1;
            g_file_set_contents(path, data, (gssize)len, NULL);
        }
        g_assert_false(machine_load(path, &err));
        g_assert_true(g_str_has_prefix(err->message, "loading the machine from '"));
        g_clear_error(&err);
    }
    g_assert_false(machine_load("/nonexistent", &err));
    g_clear_error(&err);
    g_unlink(path);
    machine_free(m);
    g_assert_null(device_first());
}

static unsigned woken;
static void wake(void) { woken++; }

static void test_requests(void)
{
    static const MachineRunOps ops = { .request = wake };
    machine_set_run_ops(&ops);
    machine_request_exit(3);
    machine_request_reset(CAUSE_GUEST_RESET);
    g_assert_cmpuint(woken, ==, 2);
    MachineRequests r = machine_take_requests();
    g_assert_true(r.exit && r.exit_status == 3 && r.reset && r.cause == CAUSE_GUEST_RESET && !r.shutdown);
    r = machine_take_requests();
    g_assert_false(r.exit);
    machine_set_run_ops(NULL);
    g_assert_cmpstr(run_state_name(RUN_GUEST_PANICKED), ==, "guest-panicked");
}

/* Last: globals stay for the rest of the program. */
static void test_globals(void)
{
    Error *err = NULL;
    g_assert_false(device_add_global("test-gadgett", "small", "1", &err));
    g_clear_error(&err);
    g_assert_false(device_add_global("test-gadget", "smal", "1", &err));
    g_assert_nonnull(strstr(err->message, "did you mean 'small'?"));
    g_clear_error(&err);
    g_assert_true(device_add_global("test-gadget", "small", "7", &err));
    g_assert_false(device_check_globals(&err));
    g_clear_error(&err);
    Gadget *g = gadget_new("g");
    g_assert_cmpuint(g->small, ==, 7);
    g_assert_true(device_check_globals(&err));
    device_free(&g->dev);
    g_assert_true(device_add_global("test-gadget", "small", "77", &err));
    assert_add_fails("test-gadget", "-global test-gadget.small=77");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bus_init(&test_bus, &test_bus_type, "testbus.0", NULL);
    g_test_add_func("/device/regs", test_regs);
    g_test_add_func("/device/region", test_region);
    g_test_add_func("/device/fill-from-low", test_fill_from_low);
    g_test_add_func("/device/props", test_props);
    g_test_add_func("/device/pins", test_pins);
    g_test_add_func("/device/add", test_add);
    g_test_add_func("/device/reset-save", test_reset_save);
    g_test_add_func("/device/machine-save", test_machine_save);
    g_test_add_func("/device/requests", test_requests);
    g_test_add_func("/device/globals", test_globals);
    return g_test_run();
}

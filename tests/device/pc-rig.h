/* SPDX-License-Identifier: MIT */
/* A machine of an ISA bus and fake CPU ports, for tests of the PC's devices. */
#ifndef TESTS_DEVICE_PC_RIG_H
#define TESTS_DEVICE_PC_RIG_H

#include "base/bits.h"
#include "base/evloop.h"
#include "hw/core/cpu-port.h"
#include "hw/core/machine.h"
#include "hw/isa/isa.h"

#define RIG_CPUS 4

typedef struct RigCpu {
    CpuPort port;
    int line[CPU_LINE_COUNT];       /* INTR: level; the others: how often */
    unsigned sipis;
    uint8_t sipi_vector;
    bool a20;
} RigCpu;

typedef struct Rig {
    Machine machine;
    IsaBus isa;
    int irq[ISA_IRQ_COUNT];         /* levels of the ISA lines */
    unsigned rises[ISA_IRQ_COUNT];
    RigCpu cpu[RIG_CPUS];
    int pin[32];                    /* levels of whatever is connected to rig_irq() */
    unsigned pin_rises[32];
} Rig;

static inline bool rig_build(Machine *m, Error **errp) { return true; }
static const MachineType rig_machine_type = { .name = "pc-rig", .arch = "none", .max_cpus = 1, .default_ram = 1 << 20,
                                              .size = sizeof(Rig), .build = rig_build };

static inline void rig_isa_set(void *opaque, int n, int level)
{
    Rig *r = opaque;
    r->rises[n] += level && !r->irq[n];
    r->irq[n] = level;
}

static inline void rig_pin_set(void *opaque, int n, int level)
{
    Rig *r = opaque;
    r->pin_rises[n] += level && !r->pin[n];
    r->pin[n] = level;
}

static inline Irq rig_irq(Rig *r, int n)
{
    return (Irq){ .set = rig_pin_set, .opaque = r, .n = n };
}

static inline void rig_set_line(CpuPort *p, CpuLine line, bool level)
{
    RigCpu *c = container_of(p, RigCpu, port);
    if (line == CPU_LINE_INTR)
        __atomic_store_n(&c->line[line], level, __ATOMIC_SEQ_CST);
    else
        __atomic_fetch_add(&c->line[line], 1, __ATOMIC_SEQ_CST);
}

static inline void rig_sipi(CpuPort *p, uint8_t vector)
{
    RigCpu *c = container_of(p, RigCpu, port);
    c->sipis++;
    c->sipi_vector = vector;
}

static inline void rig_set_a20(CpuPort *p, bool enabled)
{
    container_of(p, RigCpu, port)->a20 = enabled;
}

/* A guest TSC of 1 GHz: one tick a virtual nanosecond. */
static inline uint64_t rig_read_tsc(CpuPort *p)
{
    return (uint64_t)clock_ns(CLOCK_VIRTUAL_NS);
}

static const CpuPortOps rig_cpu_ops = { .set_line = rig_set_line, .sipi = rig_sipi, .set_a20 = rig_set_a20 };

static inline Rig *rig_new(void)
{
    Rig *r = (Rig *)machine_new(&rig_machine_type);
    Irq irq[ISA_IRQ_COUNT];

    g_assert_true(machine_build(&r->machine, NULL));
    for (unsigned i = 0; i < RIG_CPUS; i++) {
        CpuPort *p = &r->cpu[i].port;
        *p = (CpuPort){
            .ops = &rig_cpu_ops, .index = i, .bsp = i == 0, .arch_id = i, .read_tsc = rig_read_tsc, .tsc_hz = 1000000000
        };
        cpu_port_add(p);
    }
    for (int i = 0; i < ISA_IRQ_COUNT; i++)
        irq[i] = (Irq){ .set = rig_isa_set, .opaque = r, .n = i };
    isa_bus_init(&r->isa, "isa.0", NULL, r->machine.io, r->machine.memory, irq);
    return r;
}

/* Devices go first, last made first. */
static inline void rig_free(Rig *r)
{
    for (Device *d = device_first(), *last; d; d = device_first()) {
        for (last = d; last->next;)
            last = last->next;
        device_free(last);
    }
    cpu_port_set_current(NULL);
    isa_bus_fini(&r->isa);
    machine_free(&r->machine);
}

static inline Device *rig_start(Device *d)
{
    Error *err = NULL;
    if (!device_start(d, &err))
        g_error("%s", err->message);
    return d;
}

/* A started and reset device on the ISA bus. */
static inline Device *rig_isa(Rig *r, const char *type)
{
    Device *d = rig_start(isa_new(&r->isa, type, NULL, NULL));
    device_reset_one(d);
    return d;
}

static inline uint8_t rig_in(Rig *r, uint16_t port)
{
    uint64_t v = 0;
    as_load(r->machine.as_io, port, 1, &v, MEM_ATTRS_DEVICE);
    return v;
}

static inline void rig_out(Rig *r, uint16_t port, uint8_t v)
{
    as_store(r->machine.as_io, port, 1, v, MEM_ATTRS_DEVICE);
}

static inline uint64_t rig_load(Rig *r, uint64_t at, unsigned size)
{
    uint64_t v = 0;
    as_load(r->machine.as_memory, at, size, &v, (MemAttrs){ .cpu = 0 });
    return v;
}

static inline void rig_store(Rig *r, uint64_t at, unsigned size, uint64_t v)
{
    as_store(r->machine.as_memory, at, size, v, (MemAttrs){ .cpu = 0 });
}

/* ---- What every device must stand ---- */

static inline GBytes *rig_save(Device *d)
{
    StateWriter *w = state_writer_new();
    device_save(d, w);
    return state_writer_finish(w);
}

/* Random accesses at all regions; save, load into the same device, save: byte-equal; reset twice: the same state. */
static inline void rig_generic(Device *d, unsigned seed)
{
    static const unsigned sizes[] = { 1, 2, 4, 8 };
    GRand *rand = g_rand_new_with_seed(seed);

    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 3000; i++) {
            unsigned n = g_rand_int_range(rand, 0, DEVICE_MAX_REGIONS);
            uint64_t size = 0, v = g_rand_int(rand);
            unsigned bytes = sizes[g_rand_int_range(rand, 0, 4)];
            if (!d->region[n] || (size = mem_size(d->region[n])) < bytes)
                continue;
            uint64_t at = g_rand_int_range(rand, 0, (int)MIN(size, 0x1000)) & ~(uint64_t)(bytes - 1);
            if (at + bytes > size)
                continue;
            if (g_rand_boolean(rand))
                v &= 0xff; /* small values reach more */
            MemSection s = { .region = d->region[n], .offset = at, .len = size - at };
            if (g_rand_boolean(rand))
                mem_io_write(&s, bytes, v | v << 32, (MemAttrs){ .cpu = 0 });
            else
                mem_io_read(&s, bytes, &v, (MemAttrs){ .cpu = 0 });
            if (i % 64 == 0)
                clock_virtual_step(g_rand_int_range(rand, 0, 100000));
        }
        g_autoptr(GBytes) first = rig_save(d);
        StateReader *reader = state_reader_new(first, NULL);
        Error *err = NULL;
        if (!device_load(d, reader, &err))
            g_error("%s", err->message);
        state_reader_free(reader);
        g_autoptr(GBytes) second = rig_save(d);
        g_assert_true(g_bytes_equal(first, second));
    }
    machine_take_requests();
    device_reset_one(d);
    g_autoptr(GBytes) once = rig_save(d);
    device_reset_one(d);
    g_autoptr(GBytes) twice = rig_save(d);
    g_assert_true(g_bytes_equal(once, twice));
    g_rand_free(rand);
}
#endif

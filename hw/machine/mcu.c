/* SPDX-License-Identifier: MIT */
/*
 * What the microcontroller boards share: memory, bit-band, unmodelled ranges, parts and interrupt lines from tables,
 * firmware.
 */
#include "hw/machine/mcu.h"

#include <inttypes.h>
#include "base/log.h"
#include "base/opts.h"
#include "base/symbols.h"
#include "chardev/chardev.h"
#include "hw/core/cpu-port.h"
#include "hw/firmware/image.h"

enum { MAX_LINES = 480, MAX_INPUTS = 32, EM_ARM_32 = 40 };

/* --- lines: an OR in front of each NVIC input --- */

typedef struct McuLines {
    uint32_t level[MAX_LINES];
    uint8_t used[MAX_LINES];
    unsigned cpus;
} McuLines;

static void line_set(void *opaque, int n, int level)
{
    McuLines *l = opaque;
    unsigned line = (unsigned)n / MAX_INPUTS, input = (unsigned)n % MAX_INPUTS;
    uint32_t bit = 1u << input;
    uint32_t now = level ? __atomic_or_fetch(&l->level[line], bit, __ATOMIC_SEQ_CST)
                         : __atomic_and_fetch(&l->level[line], ~bit, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < l->cpus; i++) {
        Irq to = arm_board_nvic_input(i, line);
        irq_set(&to, now != 0);
    }
}

Irq mcu_irq(McuMachine *m, unsigned n)
{
    g_assert(n < MAX_LINES && m->lines->used[n] < MAX_INPUTS);
    return (Irq){ .set = line_set, .opaque = m->lines, .n = (int)(n * MAX_INPUTS + m->lines->used[n]++) };
}

static const StateField line_state[] = { STATE_U32_ARRAY(McuLines, level), STATE_END_OF_TABLE };
static void lines_save(void *opaque, StateWriter *w) { state_save_section(w, "mcu-lines", line_state, opaque); }
static bool lines_load(void *opaque, StateReader *r, Error **errp)
{
    return state_load_section(r, "mcu-lines", line_state, opaque, errp);
}
static const MachinePart lines_part = { .name = "mcu-lines", .save = lines_save, .load = lines_load };

/* --- memory --- */

MemRegion *mcu_own(McuMachine *m, MemRegion *r)
{
    g_ptr_array_add(m->regions, r);
    return r;
}

/* Bit-band: each word is one bit: the part's manual says where. */
typedef struct BitBand {
    AddressSpace *as;
    uint32_t of;
} BitBand;

static MemResult bitband_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    const BitBand *b = opaque;
    uint64_t byte = 0;
    MemResult r = as_load(b->as, b->of + (offset >> 5), 1, &byte, attrs);
    *value = byte >> (offset >> 2 & 7) & 1;
    return r;
}

static MemResult bitband_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    const BitBand *b = opaque;
    uint64_t at = b->of + (offset >> 5 & ~(uint64_t)3), word = 0;
    unsigned bit = offset >> 2 & 31;
    MemResult r = as_load(b->as, at, 4, &word, attrs);
    return r | as_store(b->as, at, 4, (word & ~BIT(bit)) | (value & 1) << bit, attrs);
}

static const MemOps bitband_ops = { .read = bitband_read, .write = bitband_write, .min_size = 1, .max_size = 4 };

static MemRegion *bitband_new(McuMachine *m, const McuMem *row)
{
    BitBand *b = g_new(BitBand, 1);
    *b = (BitBand){ m->machine.as_memory, row->of };
    MemRegion *r = mem_io_new(row->name, row->size, &bitband_ops, b, machine_domain());
    mem_set_opaque_free(r, g_free);
    return r;
}

/* The region of the table that holds address `at`. */
static MemRegion *find_mem(McuMachine *m, const McuMem *table, uint32_t at, uint64_t *offset)
{
    for (unsigned i = 0; table[i].kind; i++) {
        if ((table[i].kind == MCU_RAM || table[i].kind == MCU_ROM) && at >= table[i].at &&
            at - table[i].at < table[i].size) {
            *offset = at - table[i].at;
            return m->regions->pdata[i];
        }
    }
    g_assert_not_reached();
}

static bool add_memory(McuMachine *m, const McuMem *table, Error **errp)
{
    for (const McuMem *row = table; row->kind; row++) {
        MemRegion *r = NULL;
        uint64_t offset;
        switch (row->kind) {
        case MCU_RAM: r = mem_ram_new(row->name, row->size, errp); break;
        case MCU_ROM: r = mem_rom_new(row->name, row->size, NULL, 0, errp); break;
        case MCU_ALIAS: {
            MemRegion *target = find_mem(m, table, row->of, &offset);
            r = mem_alias_new(row->name, target, offset, row->size);
            break;
        }
        default: r = bitband_new(m, row); break;
        }
        if (!r)
            return false;
        mem_map(m->machine.memory, row->at, mcu_own(m, r), 0);
    }
    return true;
}

/* --- unmodelled ranges --- */

void mcu_unmodelled(McuMachine *m, const UnmodelledRange *r)
{
    mem_map(m->machine.memory, r->base, mcu_own(m, unmodelled_new(r, 0)), -1000);
}

/* --- CPUs and parts --- */

static bool add_cpus(McuMachine *m, const McuBoard *board, Error **errp)
{
    const MachineType *t = m->machine.type;
    const char *model = m->machine.config.cpu_model ? m->machine.config.cpu_model : t->default_cpu;
    size_t len = strcspn(model, ",");
    unsigned cpus = MAX(board->cpus, 1u);
    const CpuFamily *family = cpu_family_find(t->arch);
    if (strlen(t->default_cpu) != len || strncmp(model, t->default_cpu, len)) {
        error_setf(errp, "machine '%s': -cpu '%.*s': this part has a %s; leave out -cpu", t->name, (int)len, model,
                   t->default_cpu);
        return false;
    }
    if (m->machine.config.cpus > cpus) {
        error_setf(errp, "machine '%s': -smp %u: this part has %u CPU%s", t->name, m->machine.config.cpus, cpus,
                   cpus > 1 ? "s" : "");
        return false;
    }
    arm_board_configure(&board->cpu);
    for (unsigned i = 0; i < cpus; i++) {
        if (!family->create(&m->machine, i, i, model, errp))
            return false;
    }
    m->lines->cpus = cpus;
    return true;
}

bool mcu_add_part(McuMachine *m, const McuPart *p, Error **errp)
{
    Device *d = device_new_named(p->type, p->id, errp);
    if (!d || !device_set_list(d, p->props, errp))
        return false;
    Chardev *chr = p->serial && p->serial <= ARRAY_LEN(m->machine.config.serial)
                       ? m->machine.config.serial[p->serial - 1]
                       : NULL;
    if (chr)
        device_set_default(d, "chardev", chardev_id(chr));
    for (unsigned i = 0; i < ARRAY_LEN(p->irq); i++) {
        if (p->irq[i])
            device_connect(d, "irq", i, p->irq[i] == MCU_NMI ? arm_board_nvic_nmi(0) : mcu_irq(m, p->irq[i] - 1u));
    }
    if (!device_start(d, errp))
        return false;
    if (p->at)
        mem_map(m->machine.memory, p->at, d->region[0], 0);
    if (p->alias)
        mem_map(m->machine.memory, p->alias, mcu_own(m, mem_alias_new(p->id, d->region[0], 0, mem_size(d->region[0]))),
                0);
    return true;
}

/* --- firmware --- */

static bool load_firmware(McuMachine *m, const McuBoard *board, Error **errp)
{
    const MachineConfig *c = &m->machine.config;
    uint32_t base = board->cpu.m_init_svtor;
    if (c->initrd || c->dtb || c->bios || c->pflash[0] || c->pflash[1]) {
        error_setf(errp,
                   "machine '%s': firmware is given with -kernel (ELF, hex, S-record, UF2 or raw); -%s has no use here",
                   m->machine.type->name,
                   c->initrd ? "initrd"
                   : c->dtb  ? "dtb"
                   : c->bios ? "bios"
                             : "drive if=pflash");
        return false;
    }
    if (!c->kernel)
        return true;
    m->image = image_read("kernel", c->kernel, base, false, errp);
    if (!m->image)
        return false;
    if (m->image->machine && m->image->machine != EM_ARM_32) {
        error_setf(errp, "%s: this is an ELF file for another CPU (machine number %u); '%s' runs 32-bit Arm",
                   m->image->what, m->image->machine, m->machine.type->name);
        return false;
    }
    return image_check(m->image, m->machine.as_memory, errp);
}

bool mcu_build(Machine *machine, const McuBoard *board, Error **errp)
{
    McuMachine *m = (McuMachine *)machine;
    if (machine->config.ram_size != machine->type->default_ram) {
        error_setf(errp, "machine '%s': its memory is fixed; leave out -m", machine->type->name);
        return false;
    }
    m->regions = g_ptr_array_new();
    m->lines = g_new0(McuLines, 1);
    machine_part_add(&lines_part, m->lines);
    if (!add_memory(m, board->mem, errp) || (board->early && !board->early(m, errp)) || !add_cpus(m, board, errp))
        return false;
    for (const McuPart *p = board->parts; p && p->type; p++) {
        if (!mcu_add_part(m, p, errp))
            return false;
    }
    for (const UnmodelledRange *r = board->unmodelled; r && r->name; r++)
        mcu_unmodelled(m, r);
    return (!board->wire || board->wire(m, errp)) && load_firmware(m, board, errp);
}

void mcu_reset(Machine *machine)
{
    McuMachine *m = (McuMachine *)machine;
    if (m->image)
        image_place(m->image, machine->as_memory);
}

void mcu_destroy(Machine *machine)
{
    McuMachine *m = (McuMachine *)machine;
    for (guint i = m->regions ? m->regions->len : 0; i-- > 0;) /* aliases before what they show */
        mem_region_free(m->regions->pdata[i]);
    g_clear_pointer(&m->regions, g_ptr_array_unref);
    g_clear_pointer(&m->lines, g_free);
    g_clear_pointer(&m->image, image_free);
    g_clear_pointer(&m->board_data, g_free);
    symbols_clear();
}

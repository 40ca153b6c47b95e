/* SPDX-License-Identifier: MIT */
/* The toy guest. */
#include "tests/cpu/toy.h"

ToyInsn toy_insn[TOY_INSNS];
uint8_t *toy_ram;
uint64_t toy_mmio_value;
unsigned toy_mmio_reads, toy_mmio_writes;
static Machine machine;
static unsigned next_index;

static ToyCpu *toy(Vcpu *v) { return (ToyCpu *)v; }

static void record(Vcpu *v, unsigned fault, uint64_t va)
{
    ToyCpu *c = toy(v);
    vcpu_sync(v);
    c->fault = fault;
    c->fault_va = va;
    c->fault_pc = v->pc;
    c->fault_flags = flags_eval(&v->fl);
    memcpy(c->fault_g, v->g, sizeof c->fault_g);
}

static bool toy_walk(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank, bool probe, WalkResult *out)
{
    ToyCpu *c = toy(v);
    uint64_t n = va << 8 >> (8 + TCG_PAGE_BITS); /* the top byte is a tag */
    unsigned need = kind == ACCESS_READ ? TOY_R : kind == ACCESS_WRITE ? TOY_W : TOY_X;
    c->walks++;
    if (n >= TOY_PAGES || !(c->page[n].perm & need) || (c->page[n].perm & TOY_SMALL && va >> 6 & 1)) {
        if (!probe)
            record(v, TOY_PAGE_FAULT, va);
        return false;
    }
    uint8_t p = c->page[n].perm;
    *out = (WalkResult){ .phys = c->page[n].phys,
                         .page_bits = p & TOY_SMALL   ? 6
                                      : p & TOY_LARGE ? 14
                                                      : 12,
                         .readable = p & TOY_R,
                         .writable = p & TOY_W,
                         .executable = p & TOY_X,
                         .global = p & TOY_GLOBAL,
                         .aligned = p & TOY_ALIGNED,
                         .top_byte_ignored = true };
    return true;
}

static uint64_t toy_code_address(const Vcpu *v, unsigned *bank)
{
    *bank = 0;
    return v->pc;
}

static void toy_translate(Vcpu *v, TransCtx *t)
{
    uint64_t pc = v->pc;
    bool ended = false;
    while (!ended && t->b->guest_insns < t->max_insns && pc < t->page_end && t->b->count < IR_MAX_INSNS - TOY_OPS - 2) {
        unsigned n = trans_fetch16(t, pc);
        if (t->fetch_failed && t->b->guest_insns)
            break;
        ir_temps_reset(t);
        ir_emit(t, IR_INSN, 8)->imm = pc;
        t->b->guest_insns++;
        t->b->guest_bytes = (uint32_t)(pc + 2 - t->b->linear);
        if (t->fetch_failed) {
            ir_call(t, trans_fetch_fault, IR_CALL_RAISES, IR_NONE, IR_IMM, IR_NONE, IR_NONE, t->page_end);
            ir_emit(t, IR_LOOKUP, 8);
            return;
        }
        const ToyInsn *insn = &toy_insn[n % TOY_INSNS];
        for (unsigned k = 0; k < insn->count; k++) {
            *ir_emit(t, insn->op[k].op, insn->op[k].size) = insn->op[k];
            t->b->temps = 8;
            if (insn->op[k].op == IR_LABEL)
                t->b->labels = (unsigned)MAX(t->b->labels, insn->op[k].imm + 1);
        }
        ended = insn->ends;
        pc += 2;
    }
    if (!ended)
        ir_goto(t, IR_GOTO, pc);
    ir_validate(t->b);
}

static void toy_misaligned(Vcpu *v, uint64_t va, AccessKind kind, unsigned align) { record(v, TOY_MISALIGNED, va); }
static void toy_bus_error(Vcpu *v, uint64_t va, hwaddr pa, AccessKind kind)
{
    if (!toy(v)->bus_errors)
        return;
    record(v, TOY_BUS, va);
    vcpu_unwind(v);
}
static void toy_divide_error(Vcpu *v) { record(v, TOY_DIVIDE, 0); }
static void toy_deliver(Vcpu *v)
{
    if (toy(v)->fault)
        toy(v)->stop = true;
    atomic_store(&v->exit_request, 1);
}
static bool toy_poll(Vcpu *v) { return !toy(v)->stop; }
static bool toy_has_work(Vcpu *v) { return false; }
static void toy_reset(Vcpu *v) {}
static MemAttrs toy_attrs(const Vcpu *v) { return (MemAttrs){ .cpu = v->index }; }

/* The homes of an x86-64 guest, so that byte registers and fixed registers are met as there. */
static const uint8_t toy_homes[] = { 0, 1, 2, 3, 6, 7, 4, 5, 8, 9, 12, 0xff };
static int8_t toy_preferred_home(const char *host, unsigned g)
{
    static const int8_t home[TOY_GREGS] = { 0, 1, 2, 3, 13, 12, 6, 7, 8, 9, -1, -1, 10, -1, -1, -1 };
    return g < TOY_GREGS ? home[g] : -1;
}

const GuestArch toy_arch = {
    .name = "toy",
    .gregs = TOY_GREGS,
    .home_order = toy_homes,
    .banks = 2,
    .preferred_home = toy_preferred_home,
    .translate = toy_translate,
    .code_address = toy_code_address,
    .walk = toy_walk,
    .bus_error = toy_bus_error,
    .misaligned = toy_misaligned,
    .divide_error = toy_divide_error,
    .deliver = toy_deliver,
    .poll = toy_poll,
    .has_work = toy_has_work,
    .reset = toy_reset,
    .attrs = toy_attrs,
};

uint64_t toy_stop(Vcpu *v, uint64_t a, uint64_t b, uint64_t c)
{
    toy(v)->stop = true;
    vcpu_sync(v);
    toy(v)->fault_flags = flags_eval(&v->fl);
    toy(v)->fault_pc = v->pc;
    vcpu_unwind(v);
}

static MemResult mmio_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    toy_mmio_reads++;
    *value = toy_mmio_value + offset * 0x0101;
    return MEM_OK;
}
static MemResult mmio_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    toy_mmio_writes++;
    toy_mmio_value = value ^ offset;
    return MEM_OK;
}
static const MemOps mmio_ops = { .read = mmio_read, .write = mmio_write };

void toy_setup(const char *accel_options)
{
    if (!machine.memory) {
        machine.memory = mem_container_new("memory", UINT64_MAX);
        machine.as_memory = as_new("memory", machine.memory);
        MemRegion *ram = mem_ram_new("ram", TOY_RAM, NULL);
        toy_ram = mem_host(ram);
        mem_map(machine.memory, 0, ram, 0);
        mem_map(machine.memory, TOY_MMIO, mem_io_new("mmio", 0x1000, &mmio_ops, NULL, NULL), 0);
    }
    Error *err = NULL;
    g_autoptr(Opts) o = opts_parse(accel_options, NULL, &err);
    g_assert_no_error(err);
    accel_setup(&machine, "tcg", o, &err);
    g_assert_no_error(err);
}

ToyCpu *toy_cpu_new(void)
{
    Error *err = NULL;
    ToyCpu *c = NULL;
    g_assert_cmpint(posix_memalign((void **)&c, 64, sizeof *c), ==, 0);
    memset(c, 0, sizeof *c);
    vcpu_init(&c->v, &toy_arch, &machine, next_index++, &err);
    g_assert_no_error(err);
    return c;
}

void toy_cpu_free(ToyCpu *c)
{
    vcpu_destroy(&c->v);
    next_index--;
    free(c);
}

void toy_map(ToyCpu *c, unsigned vpage, uint64_t phys, unsigned perm)
{
    c->page[vpage].phys = phys;
    c->page[vpage].perm = (uint8_t)perm;
    tlb_flush_page(&c->v, (uint64_t)vpage << TCG_PAGE_BITS, 0);
}

void toy_run(ToyCpu *c, uint64_t pc)
{
    c->v.pc = pc;
    c->stop = false;
    c->fault = TOY_NONE;
    vcpu_set_current(&c->v);
    while (!c->stop) {
        atomic_store(&c->v.exit_request, 0);
        tcg_run_slice(&c->v);
    }
    vcpu_set_current(NULL);
}

void toy_begin(unsigned n) { toy_insn[n] = (ToyInsn){ .count = 0 }; }

IrInsn *toy_op(unsigned n, IrOp op, unsigned size, IrRef d, IrRef a, IrRef b, uint64_t imm)
{
    ToyInsn *t = &toy_insn[n];
    g_assert(t->count < TOY_OPS);
    IrInsn *i = &t->op[t->count++];
    *i = (IrInsn){ .op = (uint8_t)op, .size = (uint8_t)size, .d = d, .a = a, .b = b, .c = IR_NONE, .imm = imm,
                   .m = { .base = IR_NONE, .index = IR_NONE, .asize = 8 } };
    t->ends = op == IR_GOTO || op == IR_JMP || op == IR_EXIT || op == IR_LOOKUP;
    return i;
}

void toy_code(uint64_t phys, const uint16_t *insns, unsigned count)
{
    memcpy(toy_ram + phys, insns, count * 2);
    mem_ram_written(phys, count * 2);
}

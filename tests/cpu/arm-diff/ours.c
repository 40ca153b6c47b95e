/* SPDX-License-Identifier: MIT */
/* Arm-diff: sequences on our CPU. A guest architecture of the test's own: Arm's front end and helpers, but page walks
 * are a table of areas, and an exception ends a sequence. */
#include "tests/cpu/arm-diff/arm-diff.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "accel/accel.h"
#include "accel/tcg/tcg.h"
#include "target/arm/models.h"

enum { RAM_SIZE = 1 << 20 };
static const struct { uint64_t base; uint32_t size; hwaddr phys; bool writable; } areas[] = {
    { CODE_BASE, CODE_SIZE, 0x10000, true },
    { DATA_BASE, DATA_SIZE, 0x20000, true },
    { RO_BASE, RO_SIZE, 0x30000, false },
    { STACK_BASE, STACK_SIZE, 0x40000, true },
};
enum { AREA_CODE, AREA_DATA, AREA_RO, AREA_STACK };

static struct {
    ArmCpu *c;
    GuestArch arch;
    MemRegion *ram;
    AddressSpace *as;
    Machine machine;
    uint64_t fault;
    uint32_t signal;
    bool running;
} f;

static uint8_t *host(unsigned area) { return (uint8_t *)mem_host(f.ram) + areas[area].phys; }

static void record(ArmCpu *c, uint32_t sig, uint64_t va, unsigned ec)
{
    vcpu_sync(&c->v);
    f.signal = sig;
    f.fault = va;
    c->event = (ArmEvent){ .kind = ARM_EVENT_SYNC, .ec = (uint8_t)ec };
}

static bool walk(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank, bool probe, WalkResult *out)
{
    for (unsigned n = 0; n < ARRAY_LEN(areas); n++) {
        if (va - areas[n].base >= areas[n].size || (kind == ACCESS_WRITE && !areas[n].writable) ||
            (kind == ACCESS_FETCH && n != AREA_CODE))
            continue;
        *out = (WalkResult){ .phys = areas[n].phys + ((va - areas[n].base) & TCG_PAGE_MASK),
                             .page_bits = 12,
                             .readable = true,
                             .writable = areas[n].writable,
                             .executable = n == AREA_CODE };
        return true;
    }
    if (!probe)
        record(arm_cpu(v), SIGSEGV, va, kind == ACCESS_FETCH ? EC_INSN_ABORT_LOWER : EC_DATA_ABORT_LOWER);
    return false;
}

static void misaligned(Vcpu *v, uint64_t va, AccessKind kind, unsigned align)
{
    record(arm_cpu(v), SIGBUS, va, EC_DATA_ABORT_LOWER);
}

static void deliver(Vcpu *v)
{
    ArmCpu *c = arm_cpu(v);
    if (!f.signal) { /* recorded by the target itself */
        unsigned ec = c->event.ec;
        f.signal = ec == EC_BRK64 || ec == EC_BKPT32 ? SIGTRAP : ec == EC_PC_ALIGN || ec == EC_SP_ALIGN ? SIGBUS
                   : ec == EC_DATA_ABORT_LOWER || ec == EC_INSN_ABORT_LOWER ? SIGSEGV : SIGILL;
        f.fault = f.signal == SIGILL || f.signal == SIGTRAP ? 0 : c->event.far_valid ? c->event.far : v->pc;
    }
    c->event = (ArmEvent){ 0 };
    f.running = false;
    atomic_store(&v->exit_request, 1);
}

static bool poll_always(Vcpu *v) { return true; }
static void no_reset(Vcpu *v) {}

static ArmFeatures shown_features;
const ArmFeatures *ours_features(const DiffIsa *isa)
{
    return &shown_features;
}

static bool make_cpu(const DiffIsa *isa, Error **errp)
{
    ArmBoardCpus board = { 0 };
    ArmCpu *c = f.c = g_aligned_alloc0(1, (sizeof(*c) + 63) & ~63ul, 64);
    if (!arm_model_apply(c, isa->model, &board, 0, errp))
        return false;
    isa->features(&c->has);
    shown_features = c->has;
    f.arch = c->has.aarch64 ? arm64_guest_arch : arm32_guest_arch;
    f.arch.walk = walk, f.arch.misaligned = misaligned, f.arch.deliver = deliver, f.arch.poll = poll_always,
    f.arch.has_work = poll_always, f.arch.reset = no_reset;
    if (!vcpu_init(&c->v, &f.arch, &f.machine, 0, errp))
        return false;
    vcpu_set_current(&c->v);
    /* DZE UCT UCI EnIA EnIB EnDA EnDB */
    c->sctlr_el[1] = 0x30d00800 | BIT(14) | BIT(15) | BIT(26) | BIT(31) | BIT(30) | BIT(27) | BIT(13);
    c->cpacr_el1 = 0xf << 20 | 3 << 16;
    c->fpexc32_el2 = 1u << 30;
    c->excl_addr = UINT64_MAX;
    c->daif = 0;
    return true;
}

bool ours_setup(const DiffIsa *isa, const char *accel_options, Error **errp)
{
    g_autoptr(Opts) opts = opts_parse(accel_options, "accel", errp);
    if (!opts)
        return false;
    MemRegion *root = mem_container_new("arm-diff", UINT64_MAX);
    f.ram = mem_ram_new("arm-diff ram", RAM_SIZE, errp);
    if (!f.ram)
        return false;
    mem_map(root, 0, f.ram, 0);
    f.as = as_new("arm-diff", root);
    f.machine.as_memory = f.as;
    diff_fill(host(AREA_RO), RO_SIZE, 7);
    return accel_setup(&f.machine, opts_get(opts, "accel"), opts, errp) && make_cpu(isa, errp);
}

static void put_state(unsigned isa, const DiffState *s)
{
    ArmCpu *c = f.c;
    Vcpu *v = &c->v;
    memcpy(v->g, s->r, isa_is_a64(isa) ? sizeof(s->r) : 15 * 8);
    for (unsigned n = 0; n < 32; n++) {
        if (isa_is_a64(isa))
            memcpy(&v->v[n], s->v[n], 16);
        else if (n < 16)
            memcpy(&v->v[n], s->v[n], 16);
    }
    v->pc = s->pc;
    v->call_site = 0;
    c->aarch64 = isa_is_a64(isa);
    c->el = 0;
    c->mode32 = ARM_USR;
    c->t32 = isa == ISA_T32;
    c->it = (uint8_t)((s->flags >> 25 & 3) | (s->flags >> 10 & 0x3f) << 2);
    c->q = s->flags >> 27 & 1;
    c->ge = s->flags >> 16 & 15;
    c->excl_addr = UINT64_MAX;
    arm_set_nzcv(c, s->flags & 0xf0000000);
    if (isa_is_a64(isa)) {
        arm_set_fpcr(c, s->fpcr);
        arm_set_fpsr(c, s->fpsr);
    } else {
        arm_set_fpscr(c, s->fpcr);
    }
    if (isa_is_sve(isa)) {
        c->zcr_el[1] = (1u << (isa - ISA_SVE128)) - 1;
        memset(c->pred, 0, sizeof(c->pred));
        for (unsigned n = 0; n < 16; n++)
            c->pred[n][0] = s->p[n];
        c->ffr[0] = s->ffr;
        for (unsigned n = 0; n < 32; n++)
            memcpy(&v->v[n].u64[2], s->high[n], sizeof(s->high[n]));
    }
    arm_update_mode(c);
}

static void get_state(unsigned isa, DiffState *s)
{
    ArmCpu *c = f.c;
    Vcpu *v = &c->v;
    memset(s, 0, sizeof(*s));
    memcpy(s->r, v->g, isa_is_a64(isa) ? sizeof(s->r) : 15 * 8);
    for (unsigned n = 0; n < (isa_is_a64(isa) ? 32 : 16); n++)
        memcpy(s->v[n], &v->v[n], 16);
    for (unsigned n = 0; n < 32 && isa_is_sve(isa); n++)
        memcpy(s->high[n], &v->v[n].u64[2], sizeof(s->high[n]));
    for (unsigned n = 0; n < 16 && isa_is_sve(isa); n++)
        s->p[n] = c->pred[n][0];
    s->ffr = isa_is_sve(isa) ? c->ffr[0] : 0;
    s->pc = v->pc;
    s->flags = arm_get_nzcv(c);
    if (isa_is_a64(isa)) {
        s->fpcr = arm_get_fpcr(c);
        s->fpsr = arm_get_fpsr(c);
    } else {
        s->fpcr = arm_get_fpscr(c);
        s->flags |= (c->q ? 1u << 27 : 0) | (c->ge & 15) << 16 | (c->t32 ? 1u << 5 : 0) | (uint32_t)(c->it & 3) << 25 |
                    (uint32_t)(c->it >> 2) << 10;
    }
}

/* Through the address space, so that translated code is dropped as after DMA. */
static void write_code(const DiffRequest *r)
{
    uint8_t code[MAX_CODE + 64];
    memcpy(code, r->code, r->code_len);
    for (unsigned n = r->code_len; n < sizeof(code); n += 2)
        memcpy(code + n, (const uint8_t *)&r->filler + (n - r->code_len) % 4, MIN(2u, sizeof(code) - n));
    as_write(f.as, areas[AREA_CODE].phys, code, sizeof(code), MEM_ATTRS_DEVICE);
}

void ours_run(unsigned isa, const DiffRequest *r, DiffResult *out)
{
    Vcpu *v = &f.c->v;
    write_code(r);
    diff_fill(host(AREA_DATA), DATA_SIZE, r->data_seed);
    diff_fill(host(AREA_STACK), STACK_SIZE, r->data_seed + 1);
    put_state(isa, &r->start);
    f.signal = 0, f.fault = 0;
    f.running = true;
    while (f.running) {
        atomic_store(&v->exit_request, 0);
        tcg_run_slice(v);
    }
    get_state(isa, &out->end);
    out->signal = f.signal;
    out->fault = f.fault;
    memcpy(out->data, host(AREA_DATA), DATA_SIZE);
    memcpy(out->stack, host(AREA_STACK), STACK_SIZE);
}

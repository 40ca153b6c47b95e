/* SPDX-License-Identifier: MIT */
/* Native-diff: sequences on a vCPU. A guest architecture of the test's own: x86's front end and helpers, but page walks
 * are a table of areas, and an exception ends a sequence: it is recorded, compared, and the next sequence is loaded in
 * its place. */
#include "tests/cpu/native-diff/native-diff.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "accel/accel.h"
#include "base/thread.h"
#include "target/x86/fpu.h"
#include "target/x86/tcg/translate.h"

enum { RAM_SIZE = 1 << 20 };

static struct {
    const Driver *driver;
    Sequence sequence;
    Outcome outcome;
    MemRegion *root, *ram;
    AddressSpace *as;
    Machine machine;
    hwaddr phys[AREA_COUNT];
    bool finished, running;
    pthread_mutex_t lock;
    pthread_cond_t cond;
} f;

static uint8_t *area_host(unsigned n) { return (uint8_t *)mem_host(f.ram) + f.phys[n]; }

static const Area *find_area(uint64_t va, unsigned *n)
{
    for (*n = 0; *n < AREA_COUNT; ++*n) {
        if (va - areas[*n].base < areas[*n].size)
            return &areas[*n];
    }
    return NULL;
}

/* --- the guest architecture --- */
static bool walk(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank, bool probe, WalkResult *out)
{
    unsigned n;
    const Area *a = find_area(va, &n);
    bool ok = a && (kind != ACCESS_WRITE || a->writable) && (kind != ACCESS_FETCH || a->executable);
    if (ok) {
        *out = (WalkResult){ .phys = f.phys[n] + ((va - a->base) & TCG_PAGE_MASK), .page_bits = 12, .readable = true,
                             .writable = a->writable, .executable = a->executable };
        return true;
    }
    if (!probe) {
        X86Cpu *c = x86_cpu(v);
        bool canonical = (uint64_t)((int64_t)(va << 16) >> 16) == va;
        vcpu_sync(v);
        bool stack = !canonical && kind != ACCESS_FETCH && x86_is_64(c) && x86_access_is_stack(c, va);
        x86_record_fault(c, canonical ? X86_PF : stack ? X86_SS : X86_GP, true, 0);
        c->event.cr2 = va;
    }
    return false;
}

static void load_segments(X86Cpu *c, unsigned bits)
{
    const Segments *s = segments_of(bits);
    const Segment *of[SEG_COUNT] = { &s->ds, &s->cs, &s->ss, &s->ds, NULL, NULL };
    for (unsigned n = 0; n < SEG_COUNT; n++) {
        uint32_t attr = SEG_P | SEG_DPL | SEG_S | SEG_W | SEG_A;
        if (n == SEG_CS)
            attr |= SEG_CODE | (bits == 64 ? SEG_L : 0);
        if (bits != 16)
            attr |= SEG_G | (bits == 32 || n != SEG_CS ? SEG_D : 0);
        if (of[n])
            c->seg[n] = (X86Seg){ .base = of[n]->base, .limit = of[n]->limit, .attr = attr, .sel = of[n]->sel };
    }
}

static void load_state(Vcpu *v, const Sequence *sequence)
{
    X86Cpu *c = x86_cpu(v);
    const State *s = &sequence->start;
    load_segments(c, sequence->bits);
    memcpy(v->g, s->gpr, sizeof(s->gpr));
    v->pc = s->rip;
    flags_set_explicit(v, s->rflags);
    c->df = s->rflags & EFL_DF ? -1 : 1;
    c->iflag = 1;
    c->eflags = 2;
    for (unsigned n = 0; n < 16; n++)
        memcpy(&v->v[n], s->fx + FX_XMM + 16 * n, 16);
    v->fp_control = load_le32(s->fx + FX_MXCSR);
    c->fp_cw = load_le16(s->fx);
    x87_set_status(c, load_le16(s->fx + 2));
    c->fp_tags = s->fx[4];
    for (unsigned n = 0; n < 8; n++) {
        X86FpReg *r = x87_st(c, n);
        r->mant = load_le64(s->fx + 32 + 16 * n);
        r->sign_exp = load_le16(s->fx + 40 + 16 * n);
    }
    x86_update_mode(c);
}

static void store_state(Vcpu *v, State *s)
{
    X86Cpu *c = x86_cpu(v);
    memset(s, 0, sizeof(*s));
    memcpy(s->gpr, v->g, sizeof(s->gpr));
    s->rip = v->pc;
    s->rflags = x86_get_eflags(c);
    for (unsigned n = 0; n < 16; n++)
        memcpy(s->fx + FX_XMM + 16 * n, &v->v[n], 16);
    store_le32(s->fx + FX_MXCSR, v->fp_control);
    store_le16(s->fx, c->fp_cw);
    store_le16(s->fx + 2, x87_status(c));
    s->fx[4] = c->fp_tags;
    for (unsigned n = 0; n < 8; n++) {
        X86FpReg *r = x87_st(c, n);
        store_le64(s->fx + 32 + 16 * n, r->mant);
        store_le16(s->fx + 40 + 16 * n, r->sign_exp);
    }
}

static void end_of_run(void)
{
    pthread_mutex_lock(&f.lock);
    f.finished = true;
    pthread_cond_signal(&f.cond);
    pthread_mutex_unlock(&f.lock);
}

/* Through the address space, so that translated code is dropped as after DMA. */
static void write_ram(unsigned area, uint64_t offset, const void *data, unsigned len)
{
    as_write(f.as, f.phys[area] + offset, data, len, MEM_ATTRS_DEVICE);
}

static void start_next(Vcpu *v)
{
    if (!f.driver->next(&f.sequence, f.driver->opaque)) {
        end_of_run();
        v->pc = 0; /* spins in fetch faults until it is stopped */
        f.running = false;
        return;
    }
    uint8_t code[CODE_SIZE];
    memset(code, 0xcc, sizeof(code));
    memcpy(code + (f.sequence.code_start - CODE_BASE), f.sequence.code, f.sequence.code_len);
    write_ram(AREA_CODE, 0, code, CODE_SIZE);
    write_ram(AREA_DATA, 0, f.sequence.data, DATA_SIZE);
    write_ram(AREA_STACK, 0, f.sequence.stack, STACK_SIZE);
    memset(area_host(AREA_COUNTER), 0, sizeof(f.outcome.counter));
    load_state(v, &f.sequence);
    f.running = true;
}

static void deliver(Vcpu *v)
{
    X86Cpu *c = x86_cpu(v);
    X86Event e = c->event;
    c->event = (X86Event){ 0 };
    if (!f.running) {
        if (!f.finished)
            start_next(v);
        else
            g_usleep(100);
        return;
    }
    Outcome *o = &f.outcome;
    store_state(v, &o->s);
    if (e.kind == X86_EVENT_SOFT_INT || e.kind == X86_EVENT_ICEBP)
        o->s.rip = e.next_pc;
    o->vector = e.vector;
    o->cr2 = e.cr2;
    memcpy(o->data, area_host(AREA_DATA), DATA_SIZE);
    memcpy(o->stack, area_host(AREA_STACK), STACK_SIZE);
    memcpy(o->counter, area_host(AREA_COUNTER), sizeof(o->counter));
    f.running = false;
    f.driver->done(&f.sequence, o, f.driver->opaque);
    start_next(v);
}

static bool poll(Vcpu *v) { return true; }
static void no_reset(Vcpu *v) {}

static void make_cpu(X86Cpu *c)
{
    c->cr0 = CR0_PE | CR0_PG | CR0_NE | CR0_ET | CR0_MP;
    c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_FSGSBASE;
    c->efer = EFER_LME | EFER_LMA | EFER_SCE;
    c->cpl = 3;
    c->df = 1, c->iflag = 1, c->eflags = 2;
    memset(c->feature, 0xff, sizeof(c->feature));
    load_segments(c, 64);
}

bool translated_kicks;
static void *kicker(void *v)
{
    while (!__atomic_load_n(&f.finished, __ATOMIC_ACQUIRE)) {
        vcpu_kick(v);
        for (unsigned n = 0; n < 200; n++)
            __asm__ volatile("");
    }
    return NULL;
}

bool translated_run(const char *accel_options, const Driver *d, Error **errp)
{
    static GuestArch arch;
    static X86Cpu *c;
    g_autoptr(Opts) opts = opts_parse(accel_options, "accel", errp);
    if (!opts)
        return false;
    const char *accel = opts_get(opts, "accel");
    arch = x86_guest_arch;
    arch.walk = walk, arch.deliver = deliver, arch.poll = poll, arch.has_work = poll, arch.reset = no_reset;
    f.driver = d;
    f.root = mem_container_new("native-diff", UINT64_MAX);
    f.ram = mem_ram_new("native-diff ram", RAM_SIZE, errp);
    if (!f.ram)
        return false;
    mem_map(f.root, 0, f.ram, 0);
    f.as = as_new("native-diff", f.root);
    f.machine.as_memory = f.as;
    hwaddr at = 0x10000;
    for (unsigned n = 0; n < AREA_COUNT; n++) {
        f.phys[n] = at;
        at += areas[n].size + 0x1000;
    }
    for (unsigned n = 0; n < RO_SIZE; n++)
        area_host(AREA_RO)[n] = n * 37;
    if (!accel_setup(&f.machine, accel, opts, errp))
        return false;
    c = aligned_alloc(64, (sizeof(*c) + 63) & ~63ul);
    memset(c, 0, sizeof(*c));
    if (!vcpu_init(&c->v, &arch, &f.machine, 0, errp))
        return false;
    make_cpu(c);
    x86_update_mode(c);
    pthread_mutex_init(&f.lock, NULL);
    pthread_cond_init(&f.cond, NULL);
    vcpu_start_thread(&c->v); /* pc 0: the fetch fault asks for the first sequence */
    vcpus_resume();
    pthread_t kicks = 0;
    if (translated_kicks)
        kicks = thread_start("kicker", kicker, &c->v);
    pthread_mutex_lock(&f.lock);
    while (!f.finished)
        pthread_cond_wait(&f.cond, &f.lock);
    pthread_mutex_unlock(&f.lock);
    if (kicks)
        pthread_join(kicks, NULL);
    vcpus_stop_threads();
    return true;
}

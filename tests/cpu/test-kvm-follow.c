/* SPDX-License-Identifier: MIT */
/*
 * Going on behind an access (accel/kvm/follow.c) with a kernel of our own: which instructions, which states, whose
 * devices.
 */
#include <errno.h>
#include <string.h>
#include "accel/tcg/tcg.h"
#include "base/error.h"
#include "target/x86/tcg/decode.h"
#include "tests/cpu/kvm-fake.h"

static KvmVcpu *k;
static X86Cpu *c;
static int (*rest)(int fd, unsigned long request, void *arg);
static unsigned runs;

/* KVM_RUN as far as it is entered without running the guest: registers in, registers out. */
static int with_run(int fd, unsigned long request, void *arg)
{
    struct kvm_run *r = k->run;
    if (request != KVM_RUN)
        return rest(fd, request, arg);
    g_assert_cmpint(r->immediate_exit, ==, 1);
    runs++;
    if (r->kvm_dirty_regs & KVM_SYNC_X86_REGS)
        fake.regs = r->s.regs.regs;
    g_assert_cmphex(r->kvm_dirty_regs & ~(uint64_t)KVM_SYNC_X86_REGS, ==, 0);
    r->kvm_dirty_regs = 0;
    if (r->kvm_valid_regs & KVM_SYNC_X86_REGS)
        r->s.regs.regs = fake.regs;
    if (r->kvm_valid_regs & KVM_SYNC_X86_SREGS)
        r->s.regs.sregs = fake.sregs;
    if (r->kvm_valid_regs & KVM_SYNC_X86_EVENTS)
        r->s.regs.events = fake.events;
    errno = EINTR;
    return -1;
}

/* A vCPU in 64-bit ring 0, whose state the kernel has, with an access just answered. */
static void start(const void *code, size_t size)
{
    Error *err = NULL;
    fake_start();
    fake.caps[KVM_CAP_SYNC_REGS] = 7;
    k = fake_vcpu("qemu64");
    c = x86_cpu(k->v);
    rest = kvm_ioctl_hook;
    kvm_ioctl_hook = with_run;
    fix_long64(c);
    memcpy(fix_ram + FIX_CODE, code, size);
    c->v.pc = FIX_CODE;
    g_assert_true(kvm_x86_put(k, &err));
    k->loaded = k->unfinished = true;
    k->run->immediate_exit = 0;
    k->run->flags = 0;
    atomic_store(&c->v.exit_request, 0);
}

static void stop(void)
{
    kvm_follow_free(k);
    fake_vcpu_free(k);
}

/* One turn, and the kernel takes the registers. */
static unsigned turn(void)
{
    k->unfinished = true;
    unsigned n = kvm_x86_follow(k);
    g_assert_true(kvm_finish_access(k));
    g_assert_cmpint(k->run->kvm_valid_regs, ==, 0);
    return n;
}

/* in $0x80, %al; add %rax, %rbx; mov %rbx, 0x38000(%rip 0); dec %ecx; jnz; hlt */
static const uint8_t loop[] = { 0xe4, 0x80, 0x48, 0x01, 0xc3, 0x48, 0x89, 0x1c, 0x25,
                                0x00, 0x80, 0x03, 0x00, 0xff, 0xc9, 0x75, 0xef, 0xf4 };

static void test_loop(void)
{
    unsigned done = 0;
    start(loop, sizeof(loop));
    fake.regs.rax = fake.regs.rbx = 0;
    fake.regs.rcx = 5000;
    fix_port_value = 7;
    for (unsigned i = 0; i < 5000 && fake.regs.rip != FIX_CODE + sizeof(loop) - 1; i++) {
        unsigned n = turn();
        g_assert_cmpuint(n, >=, 1);
        done += n;
    }
    g_assert_cmphex(fake.regs.rip, ==, FIX_CODE + sizeof(loop) - 1); /* HLT is the kernel's */
    g_assert_cmpuint(done, ==, 5000);
    g_assert_cmpuint(fake.regs.rbx, ==, 35000);
    g_assert_cmpuint(fake.regs.rcx, ==, 0);
    g_assert_cmphex(fake.regs.rflags & 0xff, ==, 0x46); /* zero, parity */
    g_assert_cmphex(load_le64(fix_ram + 0x38000), ==, 35000);
    g_assert_true(fake.regs.rsp == FIX_STACK && k->loaded);
    stop();
}

/*
 * A request for the vCPU's loop ends a turn behind the access; so does an interrupt that a device sends to the kernel.
 */
static void test_requests(void)
{
    start(loop, sizeof(loop));
    fake.regs.rcx = 5000;
    atomic_store(&c->v.exit_request, 1);
    g_assert_cmpuint(turn(), ==, 1);
    atomic_store(&c->v.exit_request, 0);
    g_assert_cmpuint(turn(), >, 1);
    stop();
}

/* --- states that are left to the kernel --- */

static void smm(void) { k->run->flags = KVM_RUN_X86_SMM; }
static void nested(void) { k->run->flags = 1 << 2; }
static void step(void) { fake.regs.rflags |= EFL_TF; }
static void pke(void) { fake.sregs.cr4 |= BIT(22); }
static void lam(void) { fake.sregs.cr3 |= BIT(61); }
static void pae(void) { fake.sregs.efer = 0, fake.sregs.cs.l = 0, fake.sregs.cs.db = 1; }
static void exception(void) { fake.events.exception.injected = 1; }
static void pending(void) { fake.events.exception.pending = 1; }
static void interrupt(void) { fake.events.interrupt.injected = 1; }
static void shadow(void) { fake.events.interrupt.shadow = 1; }
static void nmi(void) { fake.events.nmi.injected = 1; }
static void smi(void) { fake.events.smi.pending = 1; }
static void breakpoint(void) { fake.debugregs.dr7 = 0x401; }
/* SVM, VMX: not used */
static void offered(void) { c->feature[X86_FW_EXT1_ECX] |= BIT(2), c->feature[X86_FW_1_ECX] |= BIT(5); }
static void svm(void) { fake.sregs.efer |= EFER_SVME; }
static void vmx(void) { fake.sregs.cr4 |= CR4_VMXE; }
static void a20(void) { atomic_store(&c->a20_masked, true); }
static void nothing(void) {}

static void test_states(void)
{
    static const struct { const char *name; void (*set)(void); bool goes_on;
    } all[] = {
        { "nothing", nothing, true },  { "smm", smm, false },
        { "nested", nested, false },   { "step", step, false },
        { "pke", pke, false },         { "lam", lam, false },
        { "pae", pae, false },         { "exception", exception, false },
        { "pending", pending, false }, { "interrupt", interrupt, false },
        { "shadow", shadow, false },   { "nmi", nmi, false },
        { "smi", smi, false },         { "breakpoint", breakpoint, false },
        { "offered", offered, true },  { "svm", svm, false },
        { "vmx", vmx, false },         { "a20", a20, false },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(all); i++) {
        g_test_message("%s", all[i].name);
        start(loop, sizeof(loop));
        fake.regs.rcx = 5000;
        all[i].set();
        struct kvm_regs before = fake.regs;
        g_assert_cmpint(turn() > 0, ==, all[i].goes_on);
        g_assert_cmpint(memcmp(&before, &fake.regs, sizeof(before)) != 0, ==, all[i].goes_on);
        stop();
    }
}

/* Another CPU flushes this one's TLB without an interrupt only while the kernel has marked it as preempted. */
static void test_flushes(void)
{
    enum { AREA = 0x39000 };
    Error *err = NULL;
    start(loop, sizeof(loop));
    cpu_family_find("x86_64")->create(&fix_machine, 1, 1, "qemu64", &err);
    g_assert_no_error(err);
    fake.regs.rcx = 5000;
    g_assert_cmpuint(turn(), >, 0);
    c->feature[X86_FW_KVM] |= BIT(9);
    g_assert_cmpuint(turn(), ==, 0); /* who knows */
    fake_msr(0x4b564d03, 0, false);
    g_assert_cmpuint(turn(), >, 0);
    *fake_msr_value(0x4b564d03) = AREA | 1;
    g_assert_cmpuint(turn(), >, 0);
    fix_ram[AREA + 16] = 1;
    g_assert_cmpuint(turn(), ==, 0);
    fix_ram[AREA + 16] = 0;
    c->hv.features = 1;
    g_assert_cmpuint(turn(), ==, 0);
    stop();
}

/* --- instructions --- */

static void test_instructions(void)
{
    static const struct { const char *code; uint8_t len, ok;
    } all[] = {
        { "\xec", 1, 1 },         { "\xef", 1, 1 },
        { "\x8b\x07", 2, 1 },     { "\x48\x89\x07", 3, 1 },
        { "\xf3\x90", 2, 1 },     { "\x0f\xae\xf0", 3, 1 },
        { "\xff\xd0", 2, 1 },     { "\xc3", 1, 1 },
        { "\x0f\xb6\x07", 3, 1 }, { "\x87\xd8", 2, 1 },
        { "\xf7\xd8", 2, 1 },     { "\x9f", 1, 1 },
        { "\xf4", 1, 0 },         { "\xfa", 1, 0 },
        { "\xfb", 1, 0 },         { "\x9d", 1, 0 },
        { "\x9c", 1, 0 },         { "\xcf", 1, 0 },
        { "\xcc", 1, 0 },         { "\xcd\x80", 2, 0 },
        { "\x87\x07", 2, 0 },     { "\xf0\x01\x07", 3, 0 },
        { "\xf7\xf3", 2, 0 },     { "\xf3\xa4", 2, 0 },
        { "\x6c", 1, 0 },         { "\xa4", 1, 0 },
        { "\x8e\xd8", 2, 0 },     { "\xff\x2f", 2, 0 },
        { "\x0f\x05", 2, 0 },     { "\x0f\x31", 2, 0 },
        { "\x0f\xa2", 2, 0 },     { "\x0f\x0b", 2, 0 },
        { "\x0f\x6f\x07", 3, 0 }, { "\x0f\xae\x07", 3, 0 },
        { "\x0f\xae\x3f", 3, 0 }, { "\xd8\x07", 2, 0 },
        { "\x0f\xc7\xf0", 3, 0 }, { "\x66\x0f\xef\xc0", 4, 0 },
    };
    start(loop, sizeof(loop));
    for (unsigned i = 0; i < G_N_ELEMENTS(all); i++) {
        uint8_t code[16] = { 0 };
        memcpy(code, all[i].code, all[i].len);
        g_test_message("%02x %02x %02x", code[0], code[1], code[2]);
        g_assert_cmpuint(kvm_x86_may_follow(k->v, code, sizeof(code)), ==, all[i].ok ? all[i].len : 0);
    }
    /* all that there are: none that ring 0 or protected mode is needed for */
    unsigned count, refused = 0;
    const X86Op *rows = x86_op_rows(&count);
    for (unsigned i = 0; i < count * 2; i++) {
        const X86Op *op = &rows[i / 2];
        uint8_t code[16] = { 0 };
        unsigned n = 0;
        for (int s = 16; s >= 0; s -= 8) {
            if (op->opcode >> s || !s)
                code[n++] = (uint8_t)(op->opcode >> s);
        }
        code[n] = (uint8_t)((i & 1 ? 0xc0 : 0) | (op->match >> 16 & 7) << 3 | (op->match >> 20 & 7));
        X86Insn insn = { 0 };
        if (x86_decode(&insn, code, 15, 64, true, X86_NEEDS_ALL) != X86D_OK ||
            !(insn.op->attr & (X86A_CPL0 | X86A_PROT)))
            continue;
        refused++;
        g_test_message("%s", insn.op->mnemonic);
        g_assert_cmpuint(kvm_x86_may_follow(k->v, code, sizeof(code)), ==, 0);
    }
    g_assert_cmpuint(refused, >, 20);
    stop();
}

/* in $0x80, %al; then a load that faults: the registers are those of before it. */
static void test_fault(void)
{
    static const uint8_t code[] = { 0xe4, 0x80, 0xb3, 0x05, 0x48, 0x03, 0x1c, 0x25, 0x00, 0x00, 0x00, 0x70, 0xf4 };
    start(code, sizeof(code));
    fake.regs.rbx = 0;
    fake.sregs.cr2 = 0x1234;
    g_assert_cmpuint(turn(), ==, 1);
    g_assert_cmphex(fake.regs.rip, ==, FIX_CODE + 4);
    g_assert_cmphex(fake.regs.rbx, ==, 5);
    g_assert_cmphex(fake.sregs.cr2, ==, 0x1234);
    g_assert_cmpint(c->event.kind, ==, X86_EVENT_NONE);
    stop();
}

/* --- devices --- */

static void test_controllers(void)
{
    start(loop, sizeof(loop));
    k->run->s.regs.sregs.apic_base = 0xfee00900;
    static const struct { uint64_t at; bool port, on, split;
    } all[] = {
        { 0xfee00030, false, true, true },   { 0xfee01000, false, false, false }, { 0xfec00010, false, true, false },
        { 0xfed000f0, false, false, false }, { 0x20, true, true, false },         { 0xa1, true, true, false },
        { 0x43, true, true, false },         { 0x61, true, true, false },         { 0x4d1, true, true, false },
        { 0x1e, true, true, false },         { 0x60, true, true, false },         { 0x71, true, false, false },
        { 0x3f8, true, false, false },       { 0xfee00, true, false, false },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(all); i++) {
        kvm.irqchip = KVM_IRQCHIP_ON;
        g_assert_cmpint(kvm_x86_kernel_has(k, all[i].port, all[i].at), ==, all[i].on);
        kvm.irqchip = KVM_IRQCHIP_SPLIT;
        g_assert_cmpint(kvm_x86_kernel_has(k, all[i].port, all[i].at), ==, all[i].split);
        kvm.irqchip = KVM_IRQCHIP_OFF;
        g_assert_false(kvm_x86_kernel_has(k, all[i].port, all[i].at));
    }
    /* in the loop: nothing of that access is done here */
    uint8_t code[sizeof(loop)];
    memcpy(code, loop, sizeof(loop));
    code[1] = 0x21;
    stop();
    start(code, sizeof(code));
    kvm.irqchip = KVM_IRQCHIP_ON;
    fake.regs.rcx = 100;
    g_assert_cmpuint(turn(), ==, 0);
    g_assert_cmphex(fake.regs.rip, ==, FIX_CODE);
    kvm.irqchip = KVM_IRQCHIP_OFF;
    stop();
}

/* --- and the state of PAE paging, which the translator holds whole --- */

static void test_pae(void)
{
    Error *err = NULL;
    uint8_t value[4];
    start(loop, sizeof(loop));
    pae();
    fake.sregs.cr3 = 0x5000;
    store_le64(fix_ram + 0x5000, 0x6001);
    store_le64(fix_ram + 0x6008, 0x83); /* 2 MiB at 2 MiB are those at 0 */
    store_le32(fix_ram + 0x7000, 0x600dbeef);
    g_assert_true(kvm_x86_get(k, &err));
    g_assert_cmphex(c->pdpte[0], ==, 0x6001);
    g_assert_true(guest_debug_read(&c->v, 0x207000, value, 4));
    g_assert_cmphex(load_le32(value), ==, 0x600dbeef);
    stop();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kvm-follow/loop", test_loop);
    g_test_add_func("/kvm-follow/requests", test_requests);
    g_test_add_func("/kvm-follow/states", test_states);
    g_test_add_func("/kvm-follow/flushes", test_flushes);
    g_test_add_func("/kvm-follow/instructions", test_instructions);
    g_test_add_func("/kvm-follow/fault", test_fault);
    g_test_add_func("/kvm-follow/controllers", test_controllers);
    g_test_add_func("/kvm-follow/pae", test_pae);
    return g_test_run();
}

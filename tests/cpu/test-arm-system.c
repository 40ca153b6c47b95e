/* SPDX-License-Identifier: MIT */
/*
 * The Arm CPU beside its instructions: models, system register rows, page walks, exceptions and returns; helpers called
 * in the test's thread.
 */
#include <urcu.h>
#include "accel/accel.h"
#include "hw/core/device.h"
#include "hw/intc/arm-gic.h"
#include "target/arm/mmu.h"
#include "target/arm/sysregs.h"
#include "tests/device/whole-state.h"

enum { RAM = 4 << 20 };
static Machine machine;
static uint8_t *ram;

static ArmCpu *make(const char *model, bool el2, bool el3)
{
    Error *err = NULL;
    if (!ram) {
        machine.memory = mem_container_new("memory", UINT64_MAX);
        machine.as_memory = as_new("memory", machine.memory);
        MemRegion *r = mem_ram_new("ram", RAM, NULL);
        ram = mem_host(r);
        mem_map(machine.memory, 0, r, 0);
        g_autoptr(Opts) o = opts_parse("backend=interp", NULL, &err);
        accel_setup(&machine, "tcg", o, &err);
        g_assert_no_error(err);
    }
    memset(ram, 0, RAM);
    arm_board_configure(&(ArmBoardCpus){ .el2 = el2, .el3 = el3 });
    cpu_family_find("aarch64")->create(&machine, 0, 0, model, &err);
    g_assert_no_error(err);
    vcpu_set_current(vcpu_get(0));
    return arm_cpu(vcpu_get(0));
}

static void done(void)
{
    vcpu_set_current(NULL);
    cpu_family_find("aarch64")->destroy_all(&machine);
    cpu_ports_clear();
    machine_parts_clear();
}

static void test_models(void)
{
    for (const char *const *n = arm_model_names(); *n; n++) {
        if (arm_model_find(*n)->has.m_profile)
            continue;
        ArmCpu *c = make(*n, true, true);
        g_assert_cmpuint(!!(c->id_aa64isar0 >> 20 & 15), ==, c->has.lse);
        g_assert_cmpuint(c->id_aa64pfr0 >> 32 & 15, ==, c->has.sve);
        g_assert_cmpuint(!!(c->id_aa64mmfr1 >> 8 & 15), ==, c->has.vhe);
        g_assert_true(c->has.aarch64 || !c->id_aa64pfr0);
        done();
    }
    Error *err = NULL;
    ArmBoardCpus none = { 0 };
    g_autofree ArmCpu *c = g_new0(ArmCpu, 1);
    g_assert_false(arm_model_apply(c, "cortex-a54", &none, 0, &err));
    g_assert_nonnull(strstr(err->message, "cortex-a53"));
    g_clear_error(&err);
    g_assert_false(arm_model_apply(c, "max,+svee", &none, 0, &err));
    g_clear_error(&err);
}

/* Calls a helper; false: it raised. */
static bool call_mrs(ArmCpu *c, uint32_t key, uint64_t *value)
{
    volatile bool ok = false;
    rcu_read_lock();
    c->event.kind = ARM_EVENT_NONE;
    if (!sigsetjmp(c->v.unwind, 0)) {
        *value = arm_help_mrs(&c->v, key, 0, 0);
        ok = true;
    }
    rcu_read_unlock();
    return ok;
}

static void test_rows(void)
{
    ArmCpu *c = make("max", true, true);
    c->cptr_el[3] |= BIT(8); /* EZ: ZCR_ELx */
    arm_update_mode(c);
    unsigned count;
    const ArmSysreg *rows = arm_sysreg_rows(&count);
    for (unsigned i = 0; i < count; i++) {
        const ArmSysreg *r = &rows[i];
        g_assert_true(arm_sysreg_find(r->key) == r); /* no key twice */
        if (r->key >> 31 || r->rd > 3 || (r->need >= 0 && !*((bool *)&c->has + r->need)) || r->need < -1)
            continue;
        uint64_t v;
        c->el = 0, c->sp_sel = false;
        g_assert_true(r->rd == 0 || !call_mrs(c, r->key, &v)); /* not from EL0 */
        c->el = 3, c->sp_sel = true;
        /* only of the highest level; not in Secure state */
        bool elsewhere = !strncmp(r->name, "RVBAR_EL", 8) || r->trap == T_LOR;
        elsewhere |= r->write == arm_wr_bvr; /* as many as the model has: test_debug_count */
        if (!elsewhere && !call_mrs(c, r->key, &v))
            g_error("%s is not read at EL3", r->name);
    }
    done();
}

static void test_debug_count(void)
{
    ArmCpu *c = make("cortex-a53", false, false);
    uint64_t v;
    c->el = 1, c->sp_sel = true;
    for (unsigned n = 0; n < 16; n++) {
        g_assert_true(call_mrs(c, ARM_SYS_KEY(2, 0, 0, n, 5), &v) == (n < c->model->breakpoints));
        g_assert_true(call_mrs(c, ARM_SYS_KEY(2, 0, 0, n, 6), &v) == (n < c->model->watchpoints));
    }
    done();
}

/* A page with an MPU region that ends within it. */
static void test_pmsa(void)
{
    ArmCpu *c = make("cortex-r5", false, false);
    WalkResult w;
    c->sctlr_el[1] |= SCTLR_M | SCTLR_BR;
    c->pmsa_drbar[0] = 0x10400;
    c->pmsa_drsr[0] = 9 << 1 | 1;   /* 1 KiB */
    c->pmsa_dracr[0] = 6 << 8;      /* read-only */
    g_assert_true(arm_walk(&c->v, 0x10400, ACCESS_READ, ARM_BANK_EL1, false, &w));
    g_assert_true(w.page_bits == 10 && !w.writable);
    g_assert_cmphex(w.phys, ==, 0x10000);
    g_assert_true(arm_walk(&c->v, 0x10800, ACCESS_WRITE, ARM_BANK_EL1, false, &w));
    g_assert_cmpuint(w.page_bits, ==, 10);
    g_assert_false(arm_walk(&c->v, 0x107ff, ACCESS_WRITE, ARM_BANK_EL1, false, &w));
    g_assert_cmphex(c->event.fsr & 0x40f, ==, 0xd);
    g_assert_true(arm_walk(&c->v, 0x11000, ACCESS_WRITE, ARM_BANK_EL1, false, &w));
    g_assert_cmpuint(w.page_bits, ==, 12);
    /* the background is not for users */
    g_assert_false(arm_walk(&c->v, 0x11000, ACCESS_READ, ARM_BANK_EL0, false, &w));
    done();
    c = make("cortex-r52", false, false);
    c->sctlr_el[1] |= SCTLR_M | SCTLR_BR;
    c->prbar_el[1][0] = 0x20040 | 2;      /* read and write for both */
    c->prlar_el[1][0] = 0x200c0 | 1;      /* to 0x200ff */
    g_assert_true(arm_walk(&c->v, 0x20080, ACCESS_WRITE, ARM_BANK_EL0, false, &w));
    g_assert_cmpuint(w.page_bits, ==, 6);
    g_assert_false(arm_walk(&c->v, 0x20100, ACCESS_READ, ARM_BANK_EL0, false, &w));
    done();
}

/* Short descriptors of AArch32: section, supersection, pages, domains, an abort of the walk itself. */
static void test_short(void)
{
    ArmCpu *c = make("cortex-a9", false, false);
    WalkResult w;
    uint32_t *table = (uint32_t *)(ram + 0x4000), *second = (uint32_t *)(ram + 0x8000);
    c->sctlr_el[1] |= SCTLR_M;
    c->ttbr0_el[1] = 0x4000;
    c->dacr32_el2 = 1; /* domain 0 client, 1 none */
    table[1] = 0x00300000 | 3 << 10 | 2;
    table[2] = 0x00300000 | 3 << 10 | 1 << 5 | 2;        /* domain 1 */
    table[3] = 0x8000 | 1;
    table[4] = 0x7ffff000 | 1;                            /* a table where nothing lies */
    for (unsigned i = 16; i < 32; i++)
        table[i] = 0x01000000 | 1 << 18 | 3 << 10 | 2;    /* supersection */
    second[1] = 0x00200000 | 2 << 4 | 2;                  /* small page, read-only for users */
    for (unsigned i = 16; i < 32; i++)
        second[i] = 0x00210000 | 3 << 4 | 1 << 15 | 1;    /* large page, XN */
    g_assert_true(arm_walk(&c->v, 0x00123456, ACCESS_WRITE, ARM_BANK_EL0, false, &w));
    g_assert_cmphex(w.phys, ==, 0x00323000);
    g_assert_cmpuint(w.page_bits, ==, 20);
    g_assert_false(arm_walk(&c->v, 0x00200000, ACCESS_READ, ARM_BANK_EL1, false, &w));
    g_assert_cmphex(c->event.fsr & 0x4ff, ==, 0x19);      /* domain fault, section, domain 1 */
    g_assert_true(arm_walk(&c->v, 0x01000000, ACCESS_READ, ARM_BANK_EL1, false, &w));
    g_assert_cmpuint(w.page_bits, ==, 24);
    g_assert_true(arm_walk(&c->v, 0x00301000, ACCESS_READ, ARM_BANK_EL0, false, &w));
    g_assert_true(w.phys == 0x00200000 && !w.writable);
    g_assert_false(arm_walk(&c->v, 0x00301000, ACCESS_WRITE, ARM_BANK_EL0, false, &w));
    g_assert_cmphex(c->event.fsr & 0x40f, ==, 0xf);
    g_assert_true(arm_walk(&c->v, 0x00311000, ACCESS_WRITE, ARM_BANK_EL0, false, &w));
    g_assert_true(w.phys == 0x00211000 && w.page_bits == 16 && !w.executable);
    g_assert_false(arm_walk(&c->v, 0x00302000, ACCESS_READ, ARM_BANK_EL1, false, &w));
    g_assert_cmphex(c->event.fsr & 0x40f, ==, 7);
    g_assert_false(arm_walk(&c->v, 0x00500000, ACCESS_READ, ARM_BANK_EL1, false, &w));
    g_assert_cmphex(c->event.fsr & 0x40f, ==, 5);
    g_assert_false(arm_walk(&c->v, 0x00400000, ACCESS_READ, ARM_BANK_EL1, false, &w));
    g_assert_cmphex(c->event.fsr & 0x40f, ==, 0xe);       /* external abort, second level */
    done();
}

/* Stage 2: output, rights, its own faults, those of stage 1's walk. */
static void test_stage2(void)
{
    ArmCpu *c = make("max", true, false);
    uint64_t *table = (uint64_t *)(ram + 0x10000), *second = (uint64_t *)(ram + 0x11000),
             *third = (uint64_t *)(ram + 0x12000);
    WalkResult w;
    c->hcr_el2 = HCR_VM | HCR_RW;
    c->vtcr_el2 = 25 | 1 << 6 | 2 << 16;
    c->vttbr_el2 = 0x10000;
    c->el = 1, c->aarch64 = true, c->sp_sel = true;
    table[0] = 0x11000 | 3, second[1] = 0x12000 | 3, second[2] = 0x7ffff000 | 3;
    third[3] = 0x300000 | 0x400 | 0xf << 2 | 3 << 6 | 3;
    third[4] = 0x300000 | 0x400 | 0xf << 2 | 1 << 6 | 3; /* read-only */
    g_assert_true(arm_walk(&c->v, 0x203008, ACCESS_WRITE, ARM_BANK_EL1, false, &w));
    g_assert_cmphex(w.phys, ==, 0x300000);
    g_assert_false(arm_walk(&c->v, 0x204008, ACCESS_WRITE, ARM_BANK_EL1, false, &w));
    g_assert_true(c->event.target_el == 2 && (c->event.iss & 0xff) == 0x4f);
    g_assert_cmphex(c->event.hpfar & ~BIT(63), ==, 0x2040);
    g_assert_false(arm_walk(&c->v, 0x400000, ACCESS_READ, ARM_BANK_EL1, false, &w));
    g_assert_cmphex(c->event.iss & 0xff, ==, 0x17);      /* external abort of the walk, level 3 */
    c->sctlr_el[1] |= SCTLR_M;
    c->tcr_el[1] = 25 | UINT64_C(2) << 32;
    c->ttbr0_el[1] = 0x205000;
    g_assert_false(arm_walk(&c->v, 0x1000, ACCESS_READ, ARM_BANK_EL1, false, &w));
    g_assert_cmphex(c->event.iss & 0xff, ==, 0x87);      /* S1PTW */
    g_assert_cmphex(c->event.hpfar & ~BIT(63), ==, 0x2050);
    done();
}

static void test_walk(void)
{
    static const struct { unsigned tg, granule, t0sz; } kinds[] = { { 0, 12, 25 }, { 2, 14, 28 }, { 1, 16, 22 } };
    ArmCpu *c = make("max", false, false);
    for (unsigned k = 0; k < 3; k++) {
        unsigned g = kinds[k].granule, stride = g - 3;
        uint64_t va = 0x12340000 + (UINT64_C(3) << g);
        unsigned top = 64 - kinds[k].t0sz, level = 4 - (top - g + stride - 1) / stride;
        memset(ram, 0, RAM);
        uint64_t table = 0x100000;
        c->ttbr0_el[1] = table;
        for (; level < 4; level++) {
            unsigned shift = g + (3 - level) * stride;
            uint64_t *e = (uint64_t *)(ram + table) + (va >> shift & bits_mask(MIN(stride, top - shift)));
            *e = level == 3 ? 0x200000 | 0x403 | 1 << 6 : (table + 0x10000) | 3; /* AF, read and write for EL0 */
            table += 0x10000;
        }
        c->tcr_el[1] = kinds[k].t0sz | (uint64_t)kinds[k].tg << 14 | UINT64_C(2) << 32;
        c->mair_el[1] = 0xff;
        c->sctlr_el[1] |= SCTLR_M;
        c->el = 1, c->aarch64 = true;
        WalkResult w;
        g_assert_true(arm_walk(&c->v, va + 8, ACCESS_READ, ARM_BANK_EL0, false, &w));
        g_assert_cmphex(w.phys, ==, 0x200000);
        g_assert_cmpuint(w.page_bits, ==, g);
        g_assert_true(w.writable && !w.aligned);
        g_assert_false(arm_walk(&c->v, va, ACCESS_READ, ARM_BANK_EL1_PAN, false, &w)); /* PAN */
        g_assert_cmphex(c->event.iss & 0x3f, ==, 0x0f);
        g_assert_false(arm_walk(&c->v, va + (UINT64_C(1) << g), ACCESS_WRITE, ARM_BANK_EL0, false, &w));
        g_assert_cmphex(c->event.iss & 0x7f, ==, 0x47); /* translation fault, level 3, write */
    }
    done();
}

static void test_exception(void)
{
    ArmCpu *c = make("cortex-a53", true, true);
    for (unsigned to = 1; to <= 3; to++) {
        c->scr_el3 = SCR_NS | SCR_RW | SCR_HCE;
        c->hcr_el2 = HCR_RW;
        c->vbar_el[to] = 0x8000;
        arm_select_sp(c, 0, false);
        c->daif = 0, c->aarch64 = true;
        c->v.pc = 0x1000;
        c->event = (ArmEvent){
            .kind = ARM_EVENT_SYNC, .ec = EC_SVC64, .iss = 7, .target_el = (uint8_t)to, .il32 = true, .skip = 4
        };
        arm_deliver(&c->v);
        g_assert_cmpuint(c->el, ==, to);
        g_assert_cmphex(c->v.pc, ==, 0x8400);
        g_assert_cmphex(c->elr_el[to], ==, 0x1004);
        g_assert_cmphex(c->esr_el[to], ==, (uint64_t)EC_SVC64 << 26 | BIT(25) | 7);
        arm_eret64(c);
        g_assert_cmpuint(c->el, ==, 0);
        g_assert_cmphex(c->v.pc, ==, 0x1004);
    }
    arm_select_sp(c, 1, true);
    c->spsr_el[1] = 0x9; /* EL2 from EL1: illegal */
    arm_eret64(c);
    g_assert_true(c->il && c->el == 1);
    done();
}

/* The machine stands after a timer has come due and before anyone has served it: loaded, the interrupt is pending. */
static void test_due_timer_saved(void)
{
    enum { GICD = 0x10000000, ISPENDR = GICD + 0x200, PPI = 27 };
    Error *err = NULL;
    ArmCpu *c = make("cortex-a53", false, false);
    Device *gic = device_new_named("arm_gic", "gic", &err);
    g_assert_true(device_start(gic, &err));
    mem_map(machine.memory, GICD, gic->region[0], 0);
    c->timer_out[ARM_TIMER_VIRT] = arm_gic_ppi(gic, 0, PPI);
    device_reset_all();
    int64_t now = clock_ns(CLOCK_VIRTUAL_NS);
    arm_wr_cntvoff(c, NULL, 0);
    c->timer_ctl[ARM_TIMER_VIRT] = 1;
    c->timer_cval[ARM_TIMER_VIRT] = arm_count(c) + c->cntfrq / 1000;
    arm_timers_update(c);
    clock_virtual_set(now + 2000000);
    g_autoptr(GBytes) stream = save_all();
    uint64_t pending = 0;
    as_load(machine.as_memory, ISPENDR, 4, &pending, (MemAttrs){ 0 });
    g_assert_false(pending & BIT(PPI)); /* else this test shows nothing */
    load_all(stream);
    as_load(machine.as_memory, ISPENDR, 4, &pending, (MemAttrs){ 0 });
    g_assert_true(pending & BIT(PPI));
    mem_unmap(gic->region[0]);
    device_free(gic);
    clock_virtual_set(now);
    done();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/arm-system/models", test_models);
    g_test_add_func("/arm-system/sysregs", test_rows);
    g_test_add_func("/arm-system/debug-count", test_debug_count);
    g_test_add_func("/arm-system/walk", test_walk);
    g_test_add_func("/arm-system/short", test_short);
    g_test_add_func("/arm-system/stage2", test_stage2);
    g_test_add_func("/arm-system/pmsa", test_pmsa);
    g_test_add_func("/arm-system/exceptions", test_exception);
    g_test_add_func("/arm-system/due-timer-saved", test_due_timer_saved);
    return g_test_run();
}

/* SPDX-License-Identifier: MIT */
/* The Arm CPU beside its instructions: models, system register rows, page walks, exceptions and returns; helpers called in the test's thread. */
#include <urcu.h>
#include "accel/accel.h"
#include "target/arm/mmu.h"
#include "target/arm/sysregs.h"

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
        bool elsewhere = !strncmp(r->name, "RVBAR_EL", 8) || r->trap == T_LOR; /* only of the highest level; not in Secure state */
        if (!elsewhere && !call_mrs(c, r->key, &v))
            g_error("%s is not read at EL3", r->name);
    }
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
        c->event = (ArmEvent){ .kind = ARM_EVENT_SYNC, .ec = EC_SVC64, .iss = 7, .target_el = (uint8_t)to, .il32 = true, .skip = 4 };
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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/arm-system/models", test_models);
    g_test_add_func("/arm-system/sysregs", test_rows);
    g_test_add_func("/arm-system/walk", test_walk);
    g_test_add_func("/arm-system/exceptions", test_exception);
    return g_test_run();
}

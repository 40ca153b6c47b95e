/* SPDX-License-Identifier: MIT */
/*
 * NVMe controllers of one subsystem: what they share, attachment, who is told of a change, controllers that come and
 * go.
 */
#include "nvme-rig.h"

enum { NVMIC_SHARED = 30, CMIC = 76, CNTLID = 78, SUBNQN = 768 };

/* Two controllers; a is shared, b is the second one's own. */
static Rig *two(const char *more_of_b)
{
    Rig *r = rig_bare();
    g_autofree char *b = g_strdup_printf("nvme-ns,id=nb,bus=n1,drive=b,nsid=5,shared=off%s", more_of_b);
    rig_add(r, "nvme-subsys,id=s,nqn=store");
    rig_add(r, "nvme,id=n0,subsys=s,serial=S0");
    rig_add(r, "nvme,id=n1,subsys=s,serial=S1");
    rig_add(r, "nvme-ns,id=na,bus=n0,drive=a");
    rig_add(r, b);
    reset_all(r);
    for (unsigned i = 2; i--;) {
        use_controller(r, i);
        enable(r);
    }
    return r;
}

static void assert_controllers(Rig *r, uint32_t cns, uint32_t nsid, uint16_t from, uint16_t count, uint16_t first)
{
    g_assert_cmphex(IDENTIFY(r, (uint32_t)from << 16 | cns, nsid), ==, 0);
    g_assert_cmpuint(load_le16(ram(r, DATA)), ==, count);
    for (unsigned i = 0; i < count; i++)
        g_assert_cmpuint(load_le16(ram(r, DATA + 2 + 2 * i)), ==, first + i);
    g_assert_cmpuint(load_le16(ram(r, DATA + 2 + 2u * count)), ==, 0);
}

static void test_identify(void)
{
    Rig *r = two("");
    for (unsigned i = 0; i < 2; i++) {
        use_controller(r, i);
        g_assert_cmphex(IDENTIFY(r, 1, 0), ==, 0);
        g_assert_cmpmem(ram(r, DATA + 4), 3, i ? "S1 " : "S0 ", 3);
        g_assert_cmphex(*ram(r, DATA + CMIC), ==, 2);
        g_assert_cmpuint(load_le16(ram(r, DATA + CNTLID)), ==, i);
        g_assert_cmpstr((char *)ram(r, DATA + SUBNQN), ==, "nqn.2019-08.org.qemu:store");
        g_assert_cmphex(IDENTIFY(r, 2, 0), ==, 0);
        assert_list(r, 1, i ? 5 : 0);
        g_assert_cmphex(IDENTIFY(r, 0x10, 0), ==, 0);
        assert_list(r, 1, 5);
        g_assert_cmphex(IDENTIFY(r, 0x11, 1), ==, 0);
        g_assert_cmphex(*ram(r, DATA + NVMIC_SHARED), ==, 1);
        g_assert_cmphex(IDENTIFY(r, 0x11, 5), ==, 0);
        g_assert_cmphex(*ram(r, DATA + NVMIC_SHARED), ==, 0);
        assert_controllers(r, 0x13, 0, 0, 2, 0);
        assert_controllers(r, 0x13, 0, 1, 1, 1);
        assert_controllers(r, 0x13, 0, 2, 0, 0);
        assert_controllers(r, 0x12, 1, 0, 2, 0);
        assert_controllers(r, 0x12, 5, 0, 1, 1);
        g_assert_cmphex(IDENTIFY(r, 0x12, 2), ==, SC_INVALID_NS);
    }
    rig_free(r);
}

/* The same identifiers by each way to a namespace. */
static void test_identifiers(void)
{
    Rig *r = two("");
    uint8_t by_one[64];
    use_controller(r, 0);
    g_assert_cmphex(IDENTIFY(r, 3, 1), ==, 0);
    memcpy(by_one, ram(r, DATA), sizeof by_one);
    use_controller(r, 1);
    g_assert_cmphex(IDENTIFY(r, 3, 1), ==, 0);
    g_assert_cmpmem(ram(r, DATA), sizeof by_one, by_one, sizeof by_one);
    rig_free(r);
}

static void test_data(void)
{
    Rig *r = two("");
    use_controller(r, 0);
    memset(ram(r, DATA), 0x5a, 4096);
    g_assert_cmphex(IO(r, NVM_WRITE, 1, 8, 8), ==, 0);
    g_assert_cmphex(IO(r, NVM_WRITE, 5, 8, 8), ==, SC_INVALID_FIELD);
    use_controller(r, 1);
    g_assert_cmphex(IO(r, NVM_READ, 5, 8, 8), ==, 0);
    g_assert_cmpuint(*ram(r, DATA), ==, 0);
    g_assert_cmphex(IO(r, NVM_READ, 1, 8, 8), ==, 0);
    g_assert_cmpuint(*ram(r, DATA + 4095), ==, 0x5a);
    g_assert_cmphex(IO(r, NVM_FLUSH, UINT32_MAX, 0, 1), ==, 0);
    store_le64(ram(r, DATA), 8ull << 32); /* deallocate what the other one wrote */
    store_le64(ram(r, DATA + 8), 8);
    g_assert_cmphex(run(r, &r->io, NVM_DSM, 1, DATA, 0, 4, 0), ==, 0);
    use_controller(r, 0);
    g_assert_cmphex(IO(r, NVM_READ, 1, 8, 8), ==, 0);
    g_assert_cmpuint(*ram(r, DATA), ==, 0);
    /* One is reset: the other one goes on. */
    reg_write(NVME_CC, 4, 0);
    use_controller(r, 1);
    g_assert_cmphex(IO(r, NVM_READ, 1, 8, 8), ==, 0);
    rig_free(r);
}

static void want_notices(Rig *r)
{
    g_assert_cmphex(ADMIN(r, ADM_SET_FEATURES, 0, FEAT_ASYNC, ASYNC_NS_ATTRIBUTES), ==, 0);
    ask_event(r);
    g_assert_false(told(r));
}

static void test_attachment(void)
{
    Rig *r = two(",detached=on");
    use_controller(r, 1);
    want_notices(r);
    use_controller(r, 0);
    want_notices(r);
    assert_controllers(r, 0x12, 5, 0, 0, 0);
    g_assert_cmphex(attach(r, 5, true, 2, 0), ==, SC_PRIVATE);
    g_assert_cmphex(attach(r, 5, true, 1, 2), ==, SC_CONTROLLER_LIST);
    g_assert_cmphex(attach(r, 5, true, 2047, 0), ==, SC_CONTROLLER_LIST);
    g_assert_cmphex(attach(r, 5, true, 0, 0), ==, SC_CONTROLLER_LIST);
    g_assert_cmphex(attach(r, 1, true, 1, 1), ==, SC_ATTACHED);
    g_assert_cmphex(attach(r, 5, true, 1, 1), ==, 0); /* to the other one */
    g_assert_false(told(r));
    g_assert_cmphex(attach(r, 5, true, 1, 0), ==, SC_PRIVATE);
    g_assert_cmphex(attach(r, 1, false, 2, 0), ==, 0);
    g_assert_true(told(r));
    changed_log(r, 1, 0);
    g_assert_cmphex(IO(r, NVM_READ, 1, 0, 1), ==, SC_INVALID_FIELD);
    use_controller(r, 1);
    g_assert_true(told(r));
    changed_log(r, 1, 5);
    g_assert_cmphex(IO(r, NVM_READ, 1, 0, 1), ==, SC_INVALID_FIELD);
    g_assert_cmphex(IO(r, NVM_READ, 5, 0, 1), ==, 0);
    g_assert_cmphex(attach(r, 1, false, 2, 0), ==, SC_NOT_ATTACHED);
    store_le16(ram(r, DATA), 2); /* numbers must increase: none is attached then */
    store_le16(ram(r, DATA + 2), 1);
    store_le16(ram(r, DATA + 4), 0);
    g_assert_cmphex(ADMIN(r, ADM_NS_ATTACH, 1, 0, 0), ==, SC_CONTROLLER_LIST);
    assert_controllers(r, 0x12, 1, 0, 0, 0);
    g_assert_cmphex(attach(r, 1, true, 2, 0), ==, 0);
    assert_controllers(r, 0x12, 1, 0, 2, 0);
    rig_free(r);
}

/* A change of a shared namespace is told to all, a format not to the controller that did it. */
static void test_notices(void)
{
    Rig *r = two("");
    Error *err = NULL;
    use_controller(r, 1);
    want_notices(r);
    use_controller(r, 0);
    want_notices(r);
    g_assert_cmphex(ADMIN(r, ADM_FORMAT, 1, 1, 0), ==, 0);
    g_assert_false(told(r));
    use_controller(r, 1);
    g_assert_true(told(r));
    changed_log(r, 1, 0);
    ask_event(r);
    g_assert_cmphex(IDENTIFY(r, 0, 1), ==, 0);
    g_assert_cmpuint(load_le64(ram(r, DATA)), ==, DISK_A / 4096);
    g_assert_true(blk_resize(blk_find("a"), DISK_A / 2, &err));
    g_assert_true(told(r));
    ask_event(r);
    changed_log(r, 1, 0);
    g_assert_true(blk_resize(blk_find("b"), DISK_B / 2, &err));
    g_assert_true(told(r));
    changed_log(r, 5, 0);
    use_controller(r, 0);
    g_assert_true(told(r));
    changed_log(r, 1, 0);
    rig_free(r);
}

/* A controller that comes later has what is shared, and takes nothing along when it goes. */
static void test_hot_plug(void)
{
    Rig *r = two("");
    Device *third = rig_hot_add(r, "nvme", "n2", "pcie.0", "subsys=s,serial=S2");
    Device *private = rig_hot_add(r, "nvme-ns", "nc", "n2", "drive=c,nsid=9,shared=off");
    use_controller(r, 2);
    map_bars(r);
    enable(r);
    g_assert_cmphex(IDENTIFY(r, 2, 0), ==, 0);
    assert_list(r, 1, 9);
    assert_controllers(r, 0x13, 0, 0, 3, 0);
    memset(ram(r, DATA), 0x77, 512);
    g_assert_cmphex(IO(r, NVM_WRITE, 9, 0, 1), ==, 0);
    rig_remove(r, third);
    use_controller(r, 0);
    assert_controllers(r, 0x13, 0, 0, 2, 0);
    g_assert_cmphex(attach(r, 9, true, 1, 0), ==, 0);
    memset(ram(r, DATA), 0, 512);
    g_assert_cmphex(IO(r, NVM_READ, 9, 0, 1), ==, 0);
    g_assert_cmpuint(*ram(r, DATA), ==, 0x77);
    rig_remove(r, private);
    g_assert_cmphex(IDENTIFY(r, 0x10, 0), ==, 0);
    assert_list(r, 1, 5);
    r->controllers = 2;
    rig_hot_add(r, "nvme", "n2", "pcie.0", "subsys=s,serial=S2"); /* its number is free again */
    use_controller(r, 0);
    assert_controllers(r, 0x13, 0, 0, 3, 0);
    rig_free(r);
}

static void test_state(void)
{
    Rig *r = two("");
    use_controller(r, 0);
    g_assert_cmphex(attach(r, 5, false, 1, 1), ==, 0);
    g_assert_cmphex(attach(r, 5, true, 1, 0), ==, 0);
    g_assert_cmphex(attach(r, 1, false, 1, 0), ==, 0);
    g_autoptr(GBytes) saved = save_all();
    g_assert_cmphex(attach(r, 5, false, 1, 0), ==, 0);
    g_assert_cmphex(attach(r, 1, true, 1, 0), ==, 0);
    load_all(saved);
    for (unsigned i = 2; i--;) {
        use_controller(r, i);
        reg_write(NVME_CC, 4, 4 << 20 | 6 << 16); /* the queues have gone on: begin anew */
        enable(r);
        g_assert_cmphex(IDENTIFY(r, 2, 0), ==, 0);
        assert_list(r, i ? 1 : 5, 0);
    }
    rig_free(r);
}

static void assert_refused(const char *options, const char *why)
{
    Error *err = NULL;
    g_autoptr(Opts) o = opts_parse(options, "driver", &err);
    g_assert_no_error(err);
    g_assert_null(device_add(o, &err));
    g_assert_nonnull(err);
    g_assert_nonnull(strstr(err->message, why));
    error_free(err);
}

static void test_refused(void)
{
    Rig *r = rig_bare();
    rig_add(r, "nvme-subsys,id=s");
    rig_add(r, "nvme,id=n0,subsys=s");
    rig_add(r, "nvme,id=alone");
    assert_refused("nvme,id=x,subsys=s,drive=a", "nvme-ns,bus=x,drive=a");
    assert_refused("nvme,id=x,subsys=n0", "no nvme-subsys");
    assert_refused("nvme,id=x,subsys=t", "subsys");
    rig_add(r, "nvme-ns,bus=s,drive=a,nsid=3"); /* of the subsystem: all controllers reach it */
    assert_refused("nvme-ns,bus=n0,drive=b,nsid=3", "nsid=3 is taken");
    rig_add(r, "nvme-ns,bus=alone,drive=b,nsid=3");
    reset_all(r);
    enable(r);
    g_assert_cmphex(IDENTIFY(r, 2, 0), ==, 0);
    assert_list(r, 3, 0);
    g_assert_cmphex(IDENTIFY(r, 1, 0), ==, 0);
    g_assert_cmpstr((char *)ram(r, DATA + SUBNQN), ==, "nqn.2019-08.org.qemu:s");
    rig_free(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nvme-subsys/identify", test_identify);
    g_test_add_func("/nvme-subsys/identifiers", test_identifiers);
    g_test_add_func("/nvme-subsys/data", test_data);
    g_test_add_func("/nvme-subsys/attachment", test_attachment);
    g_test_add_func("/nvme-subsys/notices", test_notices);
    g_test_add_func("/nvme-subsys/hot-plug", test_hot_plug);
    g_test_add_func("/nvme-subsys/state", test_state);
    g_test_add_func("/nvme-subsys/refused", test_refused);
    return g_test_run();
}

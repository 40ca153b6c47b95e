/* SPDX-License-Identifier: MIT */
/*
 * virtio-iommu: a function whose accesses it translates; domains, permissions, faults, bypass, messages, limits,
 * saving, hostile requests.
 */
#include "base/bits.h"
#include "hw/virtio/iommu-map.h"
#include "virtio-rig.h"

enum { ATTACH = 1, DETACH, MAP, UNMAP, PROBE };
enum { MSI_AT = 0xfee00000, IOVA = 0x80000000, PAGE = 0x1000, F_ALL = 0x77, MEMORY = 0x200000 };

/* ---- a function that does as it is told ---- */

static const PciDeviceInfo master_info = { .vendor = 0x1234, .device = 2, .class_code = 0xff0000, .express = true };
static bool master_start(Device *d, Error **errp)
{
    pcie_cap_init(pci_device(d), 0, PCIE_ENDPOINT, 0);
    return msix_init_exclusive_bar(pci_device(d), 1, 1, errp);
}
static const DeviceType master_type = { .name = "test-master",
                                        .desc = "test",
                                        .size = sizeof(PciDevice),
                                        .bus = "pci",
                                        .base = &pci_device_type,
                                        .user_creatable = true,
                                        .start = master_start,
                                        .class_data = &master_info };
DEVICE_REGISTER(master_type)

/* ---- the machine ---- */

typedef struct Rig {
    VRig v;           /* the IOMMU */
    PciDevice *master;
    uint32_t id;      /* as endpoint */
    MemRegion *msi;
    uint32_t message;
} Rig;

static MemResult msi_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    ((Rig *)opaque)->message = (uint32_t)value;
    return MEM_OK;
}
static const MemOps msi_ops = { .write = msi_write, .min_size = 4, .max_size = 4 };

static void set_command(PciDevice *d, uint16_t value) { pci_device_config_write(d, PCI_COMMAND, 2, value); }

/* more: other devices, ended by NULL; before the IOMMU */
static Rig *rig_with(const char *options, bool driver, const char *const *more)
{
    Rig *r = g_new0(Rig, 1);
    Machine *m = vrig_machine();
    r->msi = mem_io_new("msi", 0x100000, &msi_ops, r, NULL);
    mem_map(m->memory, MSI_AT, r->msi, 1);
    r->master = pci_device(bare_add("test-master,id=master")); /* before the IOMMU: it has it all the same */
    pci_dma_space(r->master);
    for (; *more; more++)
        bare_add(*more);
    g_autofree char *text = g_strdup_printf("virtio-iommu-pci,id=iommu%s", options);
    Device *d = bare_add(text);
    device_reset_all();
    r->v = vrig_of(m, d);
    r->id = pci_attrs(r->master).requester;
    set_command(r->master, 7);
    if (driver)
        vrig_start(&r->v, F_ALL, 2);
    return r;
}

static Rig *rig(const char *options, bool driver) { return rig_with(options, driver, (const char *const[]){ NULL }); }

static void end(Rig *r)
{
    MemRegion *msi = r->msi;
    vrig_free(&r->v);
    mem_region_free(msi);
    g_free(r);
}

/* Status of a request that is answered with `room` bytes; the answer goes to `out`. */
static unsigned ask(Rig *r, const uint8_t *request, uint32_t len, uint32_t room, uint8_t *out)
{
    g_autofree uint8_t *answer = g_malloc(room);
    unsigned slot = 0, made = vrig_add_buffer(&r->v, 0, request, len, room);
    uint32_t written = 0;
    vrig_kick(&r->v, 0);
    g_assert_true(vrig_used(&r->v, 0, 5000, &slot, &written));
    g_assert_cmpuint(slot, ==, made);
    g_assert_cmpuint(written, ==, room);
    vrig_read(&r->v, 0, slot, len, answer, room);
    if (out)
        memcpy(out, answer, room);
    return answer[room - 4];
}

static unsigned attach(Rig *r, uint32_t domain, uint32_t endpoint, uint32_t flags)
{
    uint8_t q[20] = { ATTACH };
    store_le32(q + 4, domain), store_le32(q + 8, endpoint), store_le32(q + 12, flags);
    return ask(r, q, sizeof(q), 4, NULL);
}

static unsigned detach(Rig *r, uint32_t domain, uint32_t endpoint)
{
    uint8_t q[20] = { DETACH };
    store_le32(q + 4, domain), store_le32(q + 8, endpoint);
    return ask(r, q, sizeof(q), 4, NULL);
}

static unsigned map(Rig *r, uint32_t domain, uint64_t first, uint64_t last, uint64_t to, uint32_t flags)
{
    uint8_t q[36] = { MAP };
    store_le32(q + 4, domain), store_le64(q + 8, first), store_le64(q + 16, last), store_le64(q + 24, to),
        store_le32(q + 32, flags);
    return ask(r, q, sizeof(q), 4, NULL);
}

static unsigned unmap(Rig *r, uint32_t domain, uint64_t first, uint64_t last)
{
    uint8_t q[28] = { UNMAP };
    store_le32(q + 4, domain), store_le64(q + 8, first), store_le64(q + 16, last);
    return ask(r, q, sizeof(q), 4, NULL);
}

static void fill(Rig *r, hwaddr at, uint8_t with, uint32_t len)
{
    g_autofree uint8_t *b = g_malloc(len);
    memset(b, with, len);
    as_write(r->v.m->as_memory, at, b, len, MEM_ATTRS_DEVICE);
}

/* What the master reads there: a byte, or -1: nothing. */
static int dma_byte(Rig *r, hwaddr at)
{
    uint8_t b;
    return pci_dma_read(r->master, at, &b, 1) == MEM_OK ? b : -1;
}

/* The next event: reason << 32 | flags, with its address; 0: none. */
static uint64_t event(Rig *r, uint64_t *addr)
{
    uint8_t e[24];
    unsigned slot = 0;
    uint32_t written = 0;
    if (!vrig_used(&r->v, 1, 0, &slot, &written))
        return 0;
    g_assert_cmpuint(written, ==, sizeof(e));
    vrig_read(&r->v, 1, slot, 0, e, sizeof(e));
    g_assert_cmpuint(load_le32(e + 8), ==, r->id);
    *addr = load_le64(e + 16);
    return (uint64_t)e[0] << 32 | load_le32(e + 4);
}

static void settle(void)
{
    while (evloop_iterate(false))
        ;
}

/* ---- tests ---- */

static void test_config(void)
{
    Rig *r = rig("", true);
    uint8_t q[72] = { PROBE }, a[516];
    g_assert_cmphex(vrig_config(&r->v, 0, 8), ==, ~UINT64_C(0xfff));
    g_assert_cmphex(vrig_config(&r->v, 8, 8), ==, 0);
    g_assert_cmphex(vrig_config(&r->v, 16, 8), ==, UINT64_MAX);
    g_assert_cmphex(vrig_config(&r->v, 28, 4), ==, UINT32_MAX);
    g_assert_cmpuint(vrig_config(&r->v, 32, 4), ==, 512);
    g_assert_cmpuint(vrig_config(&r->v, 36, 1), ==, 1);
    store_le32(q + 4, r->id);
    g_assert_cmpuint(ask(r, q, sizeof(q), sizeof(a), a), ==, IOMMU_OK);
    g_assert_cmphex(load_le32(a), ==, 0x00140001); /* reserved memory, 20 bytes */
    g_assert_cmphex(load_le32(a + 4), ==, 1);      /* of messages */
    g_assert_cmphex(load_le64(a + 8), ==, MSI_AT);
    g_assert_cmphex(load_le64(a + 16), ==, MSI_AT + 0xfffff);
    g_assert_cmphex(load_le64(a + 24), ==, 0);
    g_assert_cmpuint(ask(r, q, sizeof(q), 256, NULL), ==, IOMMU_INVAL);
    store_le32(q + 4, 0xf8);
    g_assert_cmpuint(ask(r, q, sizeof(q), sizeof(a), a), ==, IOMMU_NOENT);
    end(r);
}

static void test_translation(void)
{
    Rig *r = rig("", true);
    uint8_t b[2 * PAGE];
    fill(r, MEMORY, 0x11, PAGE);
    fill(r, MEMORY + 2 * PAGE, 0x22, PAGE);
    g_assert_cmphex(dma_byte(r, MEMORY), ==, 0x11); /* in no domain: bypass */
    g_assert_cmpuint(attach(r, 7, r->id, 0), ==, IOMMU_OK);
    g_assert_cmpint(dma_byte(r, MEMORY), ==, -1);
    g_assert_cmpuint(map(r, 7, IOVA, IOVA + PAGE - 1, MEMORY, 3), ==, IOMMU_OK);
    g_assert_cmpuint(map(r, 7, IOVA + PAGE, IOVA + 2 * PAGE - 1, MEMORY + 2 * PAGE, 3), ==, IOMMU_OK);

    /* one transfer over two mappings, both ways */
    g_assert_cmpint(pci_dma_read(r->master, IOVA, b, sizeof(b)), ==, MEM_OK);
    g_assert_cmphex(b[PAGE - 1], ==, 0x11);
    g_assert_cmphex(b[PAGE], ==, 0x22);
    memset(b, 0x33, sizeof(b));
    g_assert_cmpint(pci_dma_write(r->master, IOVA + 0x800, b, PAGE), ==, MEM_OK);
    g_assert_cmphex(dma_byte(r, IOVA + PAGE + 0x7ff), ==, 0x33);
    g_assert_cmphex(dma_byte(r, IOVA + PAGE + 0x800), ==, 0x22);
    as_read(r->v.m->as_memory, MEMORY + PAGE, b, 1, MEM_ATTRS_DEVICE);
    g_assert_cmphex(b[0], ==, 0);

    /* lists and windows go the same way, and windows learn of changes */
    DmaVec v;
    DmaWindow w;
    dma_vec_init(&v, pci_dma_space(r->master), pci_attrs(r->master), false);
    g_assert_true(dma_vec_add(&v, IOVA, 2 * PAGE));
    g_assert_cmpuint(v.count, ==, 2);
    g_assert_false(dma_vec_add(&v, IOVA + 2 * PAGE, 1));
    dma_vec_finish(&v, 0);
    dma_window_set(&w, pci_dma_space(r->master), IOVA, PAGE);
    dma_window_read(&w, 0, b, 1);
    g_assert_cmphex(b[0], ==, 0x11);
    g_assert_nonnull(w.host);
    g_assert_cmpuint(unmap(r, 7, IOVA, IOVA + PAGE - 1), ==, IOMMU_OK);
    dma_window_read(&w, 0, b, 1);
    g_assert_cmphex(b[0], ==, 0xff);
    g_assert_cmpuint(map(r, 7, IOVA, IOVA + PAGE - 1, MEMORY + 2 * PAGE, 3), ==, IOMMU_OK);
    dma_window_read(&w, 0x900, b, 1);
    g_assert_cmphex(b[0], ==, 0x22);

    /* bus mastering off: nothing, whatever is mapped */
    set_command(r->master, 3);
    g_assert_cmpint(dma_byte(r, IOVA), ==, -1);
    set_command(r->master, 7);
    g_assert_cmpuint(detach(r, 7, r->id), ==, IOMMU_OK);
    g_assert_cmphex(dma_byte(r, MEMORY), ==, 0x11);
    end(r);
}

static void test_requests(void)
{
    Rig *r = rig("", true);
    const uint32_t self = pci_attrs(pci_device(r->v.d)).requester;
    g_assert_cmpuint(attach(r, 1, 0xf8, 0), ==, IOMMU_NOENT);
    g_assert_cmpuint(attach(r, 1, 0x12345678, 0), ==, IOMMU_NOENT);
    g_assert_cmpuint(attach(r, 1, self, 0), ==, IOMMU_NOENT);
    g_assert_cmpuint(attach(r, 1, r->id, 2), ==, IOMMU_INVAL);
    g_assert_cmpuint(map(r, 1, 0, PAGE - 1, 0, 3), ==, IOMMU_NOENT);
    g_assert_cmpuint(unmap(r, 1, 0, UINT64_MAX), ==, IOMMU_NOENT);
    g_assert_cmpuint(detach(r, 1, r->id), ==, IOMMU_INVAL);
    g_assert_cmpuint(attach(r, 1, r->id, 0), ==, IOMMU_OK);
    g_assert_cmpuint(attach(r, 1, r->id, 0), ==, IOMMU_OK);
    g_assert_cmpuint(attach(r, 1, r->id, 1), ==, IOMMU_INVAL);
    g_assert_cmpuint(map(r, 1, 0, PAGE - 2, 0, 3), ==, IOMMU_RANGE);
    g_assert_cmpuint(map(r, 1, 1, PAGE - 1, 0, 3), ==, IOMMU_RANGE);
    g_assert_cmpuint(map(r, 1, 0, PAGE - 1, 8, 3), ==, IOMMU_RANGE);
    g_assert_cmpuint(map(r, 1, 2 * PAGE, PAGE - 1, 0, 3), ==, IOMMU_RANGE);
    g_assert_cmpuint(map(r, 1, 0, UINT64_MAX, PAGE, 3), ==, IOMMU_RANGE);
    g_assert_cmpuint(map(r, 1, 0, PAGE - 1, 0, 8), ==, IOMMU_INVAL);
    g_assert_cmpuint(map(r, 1, MSI_AT, MSI_AT + PAGE - 1, 0, 3), ==, IOMMU_INVAL);
    g_assert_cmpuint(map(r, 1, 4 * PAGE, 8 * PAGE - 1, 0, 3), ==, IOMMU_OK);
    g_assert_cmpuint(map(r, 1, 7 * PAGE, 9 * PAGE - 1, 0, 3), ==, IOMMU_INVAL);
    g_assert_cmpuint(map(r, 1, 8 * PAGE, 9 * PAGE - 1, 0, 3), ==, IOMMU_OK);
    g_assert_cmpuint(unmap(r, 1, 5 * PAGE, UINT64_MAX), ==, IOMMU_RANGE); /* would cut the first one */
    g_assert_cmpuint(unmap(r, 1, 0, 8 * PAGE), ==, IOMMU_RANGE);
    g_assert_cmphex(dma_byte(r, 8 * PAGE), ==, 0);
    g_assert_cmpuint(unmap(r, 1, 100 * PAGE, 200 * PAGE - 1), ==, IOMMU_OK); /* nothing there */
    g_assert_cmpuint(unmap(r, 1, 0, UINT64_MAX), ==, IOMMU_OK);
    g_assert_cmpint(dma_byte(r, 8 * PAGE), ==, -1);

    /* another domain: the first one is gone with its last endpoint */
    g_assert_cmpuint(attach(r, 2, r->id, 0), ==, IOMMU_OK);
    g_assert_cmpuint(map(r, 1, 0, PAGE - 1, 0, 3), ==, IOMMU_NOENT);

    /* what is no request, or none of this device */
    g_assert_cmpuint(ask(r, (uint8_t[20]){ 9 }, 20, 4, NULL), ==, IOMMU_UNSUPP);
    g_assert_cmpuint(ask(r, (uint8_t[4]){ MAP }, 4, 4, NULL), ==, IOMMU_INVAL);
    g_assert_cmpuint(ask(r, (uint8_t[20]){ 0 }, 20, 4, NULL), ==, IOMMU_UNSUPP);
    end(r);
}

static void test_permissions(void)
{
    Rig *r = rig("", true);
    uint8_t b[8] = { 1 };
    uint64_t addr;
    for (unsigned i = 0; i < 4; i++)
        vrig_add_buffer(&r->v, 1, NULL, 0, 24);
    vrig_kick(&r->v, 1);
    g_assert_cmpuint(attach(r, 0, r->id, 0), ==, IOMMU_OK);
    g_assert_cmpuint(map(r, 0, IOVA, IOVA + PAGE - 1, MEMORY, 1), ==, IOMMU_OK);
    g_assert_cmpuint(map(r, 0, IOVA + PAGE, IOVA + 2 * PAGE - 1, MEMORY + PAGE, 2), ==, IOMMU_OK);
    g_assert_cmphex(dma_byte(r, IOVA), ==, 0);
    g_assert_cmpint(pci_dma_write(r->master, IOVA + PAGE, b, 8), ==, MEM_OK);
    settle();
    g_assert_cmphex(event(r, &addr), ==, 0);
    g_assert_cmpint(pci_dma_write(r->master, IOVA + 0x10, b, 8), !=, MEM_OK);
    g_assert_cmpint(dma_byte(r, IOVA + PAGE), ==, -1);
    g_assert_cmpint(dma_byte(r, 0x5000), ==, -1);
    g_assert_cmpuint(detach(r, 0, r->id), ==, IOMMU_OK);
    vrig_set(&r->v, 0, RIG_CONFIG + 36, 1, 0); /* no bypass */
    g_assert_cmpint(dma_byte(r, MEMORY), ==, -1);
    settle();
    static const struct { uint64_t what, addr;
    } want[] = {
        { UINT64_C(2) << 32 | 0x102, IOVA + 0x10 },
        { UINT64_C(2) << 32 | 0x101, IOVA + PAGE },
        { UINT64_C(2) << 32 | 0x101, 0x5000 },
        { UINT64_C(1) << 32 | 0x101, MEMORY },
    };
    for (unsigned i = 0; i < ARRAY_LEN(want); i++) {
        g_assert_cmphex(event(r, &addr), ==, want[i].what);
        g_assert_cmphex(addr, ==, want[i].addr);
    }
    for (unsigned i = 0; i < 1000; i++) /* no buffers, and more than are remembered */
        g_assert_cmpint(dma_byte(r, (hwaddr)i * PAGE), ==, -1);
    settle();
    g_assert_cmphex(event(r, &addr), ==, 0);
    end(r);
}

static void test_bypass(void)
{
    Rig *r = rig(",boot-bypass=off", false);
    fill(r, MEMORY, 0x44, PAGE);
    g_assert_cmpint(dma_byte(r, MEMORY), ==, -1);
    vrig_start(&r->v, F_ALL, 2);
    vrig_set(&r->v, 0, RIG_CONFIG + 36, 1, 2);
    g_assert_cmpuint(vrig_config(&r->v, 36, 1), ==, 0);
    vrig_set(&r->v, 0, RIG_CONFIG + 36, 1, 1);
    g_assert_cmphex(dma_byte(r, MEMORY), ==, 0x44);
    g_assert_cmpuint(attach(r, 3, r->id, 1), ==, IOMMU_OK); /* a domain that is bypassed, whatever the rest is */
    vrig_set(&r->v, 0, RIG_CONFIG + 36, 1, 0);
    g_assert_cmphex(dma_byte(r, MEMORY), ==, 0x44);
    g_assert_cmpuint(map(r, 3, 0, PAGE - 1, 0, 3), ==, IOMMU_INVAL);
    g_assert_cmpuint(unmap(r, 3, 0, PAGE - 1), ==, IOMMU_INVAL);
    vrig_set(&r->v, 0x70, 20, 1, 0); /* the driver's reset: no domain is left, bypass stays */
    g_assert_cmpint(dma_byte(r, MEMORY), ==, -1);
    vrig_set(&r->v, 0, RIG_CONFIG + 36, 1, 1);
    g_assert_cmpuint(vrig_config(&r->v, 36, 1), ==, 0); /* not negotiated */
    device_reset_all();
    g_assert_cmpuint(((VirtioPci *)r->v.d)->v->status, ==, 0);
    end(r);
}

static void test_messages(void)
{
    Rig *r = rig("", true);
    const MsiMessage m = { MSI_AT + 0x1000, 0x4321 };
    g_assert_cmpuint(attach(r, 0, r->id, 0), ==, IOMMU_OK);
    pci_send_msi(r->master, m);
    g_assert_cmphex(r->message, ==, 0x4321);
    r->message = 0;
    g_assert_cmpint(dma_byte(r, MSI_AT), ==, -1); /* nobody reads there */
    pci_send_msi(r->master, (MsiMessage){ MSI_AT - 0x1000, 1 });
    g_assert_cmphex(r->message, ==, 0);
    end(r);
}

/* A virtio device is behind it when it says so, and then its driver must know. */
static void test_platform(void)
{
    static const char *const more[] = { "virtio-rng-pci,id=plain",
                                        "virtio-rng-pci,id=behind,iommu_platform=on,disable-legacy=on,ats=on", NULL };
    Rig *r = rig_with("", true, more);
    VirtioPci *plain = (VirtioPci *)device_find("plain"), *behind = (VirtioPci *)device_find("behind");
    uint8_t b = 0;
    set_command(&plain->pci, 7);
    set_command(&behind->pci, 7);
    fill(r, MEMORY, 0x55, 1);
    g_assert_cmpuint(attach(r, 0, pci_attrs(&plain->pci).requester, 0), ==, IOMMU_OK);
    g_assert_cmpuint(attach(r, 0, pci_attrs(&behind->pci).requester, 0), ==, IOMMU_OK);
    g_assert_cmpuint(map(r, 0, IOVA, IOVA + PAGE - 1, MEMORY, 3), ==, IOMMU_OK);
    as_read(plain->v->as, MEMORY, &b, 1, plain->v->attrs);
    g_assert_cmphex(b, ==, 0x55);
    as_read(behind->v->as, MEMORY, &b, 1, behind->v->attrs);
    g_assert_cmphex(b, ==, 0xff);
    as_read(behind->v->as, IOVA, &b, 1, behind->v->attrs);
    g_assert_cmphex(b, ==, 0x55);
    g_assert_cmphex(plain->v->host_features & VIRTIO_F_ACCESS_PLATFORM, ==, 0);
    g_assert_cmphex(behind->v->host_features & VIRTIO_F_ACCESS_PLATFORM, !=, 0);
    g_assert_false(virtio_features_fit(VIRTIO_F_VERSION_1, behind->v->host_features));
    g_assert_true(virtio_features_fit(VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM, behind->v->host_features));
    g_assert_cmphex(pci_config_get(&behind->pci, 0x100, 4), ==, 0x0001000f);
    g_assert_cmphex(pci_config_get(&behind->pci, 0x104, 4), ==, 0x20);
    pci_device_config_write(&behind->pci, 0x106, 2, 0xffff);
    g_assert_cmphex(pci_config_get(&behind->pci, 0x106, 2), ==, 0x801f);
    end(r);
}

/* What the command line can't have. */
static void test_refused(void)
{
    static const char *const bad[][2] = {
        { "virtio-rng-pci,iommu_platform=on,disable-legacy=off", "add disable-legacy=on" },
        { "virtio-iommu-pci", "has an IOMMU already, 'iommu'" },
        { "virtio-iommu-pci,bus=bridge", "belongs on the root bus" },
    };
    Machine *m = vrig_machine();
    bare_add("virtio-iommu-pci,id=iommu");
    bare_add("pci-bridge,id=bridge,chassis_nr=1");
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        Error *err = NULL;
        g_autoptr(Opts) o = opts_parse(bad[i][0], "driver", NULL);
        g_assert_null(device_add(o, &err));
        g_assert_nonnull(strstr(err->message, bad[i][1]));
        error_free(err);
    }
    machine_free(m);
    objects_free_all();
}

/* Saved with mappings, loaded into another machine; bytes that make no sense are refused. */
static void test_save(void)
{
    Error *err = NULL;
    g_autofree char *path = g_strdup_printf("%s/rhea-iommu-%d", g_get_tmp_dir(), (int)getpid());
    Rig *r = rig("", true);
    fill(r, MEMORY, 0x66, PAGE);
    g_assert_cmpuint(attach(r, 9, r->id, 0), ==, IOMMU_OK);
    for (unsigned i = 0; i < 100; i++)
        g_assert_cmpuint(map(r, 9, IOVA + 2 * i * PAGE, IOVA + (2 * i + 1) * PAGE - 1, MEMORY, 1 + i % 3), ==,
                         IOMMU_OK);
    vrig_set(&r->v, 0, RIG_CONFIG + 36, 1, 0);
    machine_save(path, &err);
    g_assert_no_error(err);
    end(r);
    r = rig("", true);
    g_assert_cmpuint(attach(r, 1, r->id, 1), ==, IOMMU_OK);
    machine_load(path, &err);
    g_assert_no_error(err);
    g_assert_cmpuint(vrig_config(&r->v, 36, 1), ==, 0);
    g_assert_cmphex(dma_byte(r, IOVA), ==, 0x66);
    g_assert_cmphex(dma_byte(r, IOVA + 4 * PAGE), ==, 0x66);
    g_assert_cmpint(dma_byte(r, IOVA + 2 * PAGE), ==, -1); /* to be written only */
    g_assert_cmpint(dma_byte(r, IOVA + PAGE), ==, -1);
    unlink(path);
    end(r);

    IommuMap m = { 0 };
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    iommu_map_init(&m);
    iommu_map_attach(&m, 1, 8, false);
    iommu_map_add(&m, 1, 0, PAGE - 1, 0, MEM_READ);
    iommu_map_add(&m, 1, PAGE, 2 * PAGE - 1, 0, MEM_READ);
    iommu_map_save(&m, bytes);
    g_assert_true(iommu_map_load(&m, bytes, "m", &err));
    g_assert_cmpuint(m.mappings, ==, 2);
    static const struct {
        unsigned at;
        uint8_t value;
    } bad[] = { { 0, 2 }, { 3, 0xff }, { 12, 2 }, { 16, 5 }, { 20, 4 }, { 24, 1 }, { 24 + 32 + 1, 0 } };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        iommu_map_clear(&m);
        uint8_t old = bytes->data[bad[i].at];
        bytes->data[bad[i].at] = bad[i].value;
        g_assert_false(iommu_map_load(&m, bytes, "m", &err));
        g_clear_pointer(&err, error_free);
        g_assert_cmpuint(m.mappings, ==, 0);
        bytes->data[bad[i].at] = old;
    }
    g_byte_array_set_size(bytes, bytes->len - 1);
    g_assert_false(iommu_map_load(&m, bytes, "m", NULL));
    iommu_map_free(&m);
}

/* As many mappings as there may be, and one more. */
static void test_limit(void)
{
    IommuMap m = { 0 };
    iommu_map_init(&m);
    g_assert_cmpint(iommu_map_attach(&m, 1, 8, false), ==, IOMMU_OK);
    for (hwaddr i = 0; i < IOMMU_MAPPINGS_MAX; i++)
        g_assert_cmpint(iommu_map_add(&m, 1, i * PAGE, (i + 1) * PAGE - 1, 0, MEM_READ), ==, IOMMU_OK);
    g_assert_cmpint(iommu_map_add(&m, 1, UINT64_MAX - PAGE + 1, UINT64_MAX, 0, MEM_READ), ==, IOMMU_NOMEM);
    g_assert_cmpint(iommu_map_remove(&m, 1, 0, UINT64_MAX), ==, IOMMU_OK);
    g_assert_cmpuint(m.mappings, ==, 0);
    g_assert_cmpint(iommu_map_add(&m, 1, UINT64_MAX - PAGE + 1, UINT64_MAX, 0, MEM_READ), ==, IOMMU_OK);
    iommu_map_free(&m);
}

/* Requests at random, compared with a model of a page table. */
static void test_random(void)
{
    enum { PAGES = 64, ROUNDS = 20000 };
    IommuMap m = { 0 };
    int model[PAGES], number[PAGES]; /* target page, or -1; which mapping it is of */
    memset(model, -1, sizeof(model));
    iommu_map_init(&m);
    iommu_map_attach(&m, 1, 8, false);
    for (int round = 0; round < ROUNDS; round++) {
        int first = g_test_rand_int_range(0, PAGES), last = g_test_rand_int_range(first, MIN(PAGES, first + 6)),
            to = g_test_rand_int_range(0, 1000);
        bool free = true, cut = false;
        for (int i = first; i <= last; i++)
            free &= model[i] < 0;
        if (g_test_rand_int_range(0, 3)) {
            g_assert_cmpint(iommu_map_add(&m, 1, (hwaddr)first * PAGE, (hwaddr)(last + 1) * PAGE - 1, (hwaddr)to * PAGE,
                                          MEM_READ),
                            ==, free ? IOMMU_OK : IOMMU_INVAL);
            for (int i = first; free && i <= last; i++)
                model[i] = to + i - first, number[i] = round;
        } else {
            cut = (first && model[first] >= 0 && model[first - 1] >= 0 && number[first] == number[first - 1]) ||
                  (last < PAGES - 1 && model[last] >= 0 && model[last + 1] >= 0 && number[last] == number[last + 1]);
            g_assert_cmpint(iommu_map_remove(&m, 1, (hwaddr)first * PAGE, (hwaddr)(last + 1) * PAGE - 1), ==,
                            cut ? IOMMU_RANGE : IOMMU_OK);
            for (int i = first; !cut && i <= last; i++)
                model[i] = -1;
        }
        int look = g_test_rand_int_range(0, PAGES);
        IommuEntry e;
        bool found = iommu_map_find(&m, 8, (hwaddr)look * PAGE + 5, &e);
        g_assert_cmpint(found, ==, model[look] >= 0);
        if (found)
            g_assert_cmphex(e.to + ((hwaddr)look * PAGE - e.first), ==, (hwaddr)model[look] * PAGE);
    }
    iommu_map_free(&m);
}

static void be_quiet(void *opaque, const char *line) {}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    error_set_sink(be_quiet, NULL);
    g_test_add_func("/iommu/config", test_config);
    g_test_add_func("/iommu/translation", test_translation);
    g_test_add_func("/iommu/requests", test_requests);
    g_test_add_func("/iommu/permissions", test_permissions);
    g_test_add_func("/iommu/bypass", test_bypass);
    g_test_add_func("/iommu/messages", test_messages);
    g_test_add_func("/iommu/platform", test_platform);
    g_test_add_func("/iommu/refused", test_refused);
    g_test_add_func("/iommu/save", test_save);
    g_test_add_func("/iommu/limit", test_limit);
    g_test_add_func("/iommu/random", test_random);
    return g_test_run();
}

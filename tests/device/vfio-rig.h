/* SPDX-License-Identifier: MIT */
/* A machine with a vfio-pci device before the host of vfio-mock.h, as its guest's driver sees it. */
#ifndef TESTS_DEVICE_VFIO_RIG_H
#define TESTS_DEVICE_VFIO_RIG_H

#include "hw/vfio/vfio-pci.h"
#include "vfio-mock.h"
#include "virtio-rig.h"

enum { BAR0 = 0x30000000, BAR2 = 0x30100000, IO = 0xc000 };

static inline void config_set(VRig *r, unsigned at, unsigned size, uint32_t value)
{
    as_store(r->m->as_io, 0xcf8, 4, 0x80000000 | (uint32_t)pci_device(r->d)->devfn << 8 | (at & ~3u), MEM_ATTRS_DEVICE);
    as_store(r->m->as_io, 0xcfc + (at & 3), size, value, MEM_ATTRS_DEVICE);
}

static inline uint32_t config(VRig *r, unsigned at, unsigned size)
{
    uint64_t v;
    as_store(r->m->as_io, 0xcf8, 4, 0x80000000 | (uint32_t)pci_device(r->d)->devfn << 8 | (at & ~3u), MEM_ATTRS_DEVICE);
    as_load(r->m->as_io, 0xcfc + (at & 3), size, &v, MEM_ATTRS_DEVICE);
    return (uint32_t)v;
}

static inline uint32_t load(VRig *r, hwaddr at)
{
    uint64_t v;
    as_load(r->m->as_memory, at, 4, &v, MEM_ATTRS_DEVICE);
    return (uint32_t)v;
}

static inline void store(VRig *r, hwaddr at, uint32_t value)
{
    as_store(r->m->as_memory, at, 4, value, MEM_ATTRS_DEVICE);
}

static inline VRig rig(const char *options)
{
    mock_begin();
    VRig r = { .m = vrig_machine() };
    r.d = bare_add(options);
    device_reset_all();
    config_set(&r, 0x10, 4, BAR0);
    config_set(&r, 0x18, 4, BAR2);
    config_set(&r, 0x20, 4, IO);
    config_set(&r, 4, 2, 7);
    return r;
}

static inline void end(VRig *r)
{
    vrig_free(r);
    for (unsigned i = 0; i < 10; i++)
        evloop_iterate(false);
    mock_end();
}

static inline void ring(unsigned index, unsigned vector)
{
    const uint64_t one = 1;
    g_assert_cmpuint(vector, <, mock.count[index]);
    g_assert_cmpint(write(mock.fd[index][vector], &one, sizeof(one)), ==, sizeof(one));
    for (unsigned i = 0; i < 10; i++)
        evloop_iterate(false);
}

/* One line of an object may come before the device's; the device's error has `line` in it. */
static inline void vfio_expect_error(MockFault fault, const char *object, const char *options, const char *line)
{
    Error *err = NULL;
    mock_begin();
    mock.fault = fault;
    Machine *m = vrig_machine();
    g_autoptr(Opts) o = opts_parse(options, "driver", &err), b = object ? opts_parse(object, "qom-type", &err) : NULL;
    g_assert_true(!b || object_add(b, &err));
    g_assert_null(device_add(o, &err));
    if (!strstr(err->message, line))
        g_error("'%s' is not in '%s'", line, err->message);
    error_free(err);
    machine_free(m);
    objects_free_all();
    mock_end();
}

static inline void vfio_be_quiet(void *opaque, const char *line) {}
#endif

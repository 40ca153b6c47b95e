/* SPDX-License-Identifier: MIT */
/*
 * Devices of the host that the guest has: the kernel's KVM must know their files (kernel documentation:
 * virt/kvm/devices/vfio.rst).
 */
#include "accel/kvm/kvm.h"

#include <errno.h>
#include <string.h>
#include "base/log.h"
#include "hw/core/dma-host.h"

static int device = -1; /* made for the first one */

static bool make_device(void)
{
    struct kvm_create_device d = { .type = KVM_DEV_TYPE_VFIO };
    if (device < 0 && kvm_check(KVM_CAP_DEVICE_CTRL) > 0 && !kvm_ioctl(kvm.vm, KVM_CREATE_DEVICE, &d))
        device = (int)d.fd;
    return device >= 0;
}

static void tell(int fd, bool there)
{
    int32_t file = fd;
    struct kvm_device_attr a = { .group = KVM_DEV_VFIO_GROUP,
                                 .attr = there ? KVM_DEV_VFIO_GROUP_ADD : KVM_DEV_VFIO_GROUP_DEL,
                                 .addr = (uintptr_t)&file };
    if (kvm.vm >= 0 && (!make_device() || kvm_ioctl(device, KVM_SET_DEVICE_ATTR, &a) < 0))
        log_unimp("kvm", "the kernel does not take note of a device of the host: %s", g_strerror(errno));
}

void kvm_dma_init(void) { dma_host_set(tell); }

void kvm_dma_forget(void)
{
    dma_host_set(NULL);
    if (device >= 0)
        close(device);
    device = -1;
}

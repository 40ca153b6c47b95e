/* SPDX-License-Identifier: MIT */
/*
 * The least that KVM needs to run the ROM of tests/bench/exits: memory, a vCPU, and KVM_RUN again after each exit. What
 * it takes for a round trip is the kernel's. Ends with status 33 when the guest writes to port 0xf4.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { ROM = 0x10000, LOW = 0xf0000, MIB = 1 << 20, RAM = 64 * MIB, TSS = 0xfeffd000, END_PORT = 0xf4, END = 33 };

static void *memory(size_t size)
{
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int make_slots(int vm, unsigned char *ram, unsigned char *rom)
{
    struct kvm_userspace_memory_region r[] = {
        { .slot = 0, .guest_phys_addr = 0, .memory_size = LOW, .userspace_addr = (__u64)ram },
        { .slot = 1,
          .guest_phys_addr = LOW,
          .memory_size = ROM,
          .userspace_addr = (__u64)rom,
          .flags = KVM_MEM_READONLY },
        { .slot = 2, .guest_phys_addr = MIB, .memory_size = RAM - MIB, .userspace_addr = (__u64)ram + MIB },
        { .slot = 3,
          .guest_phys_addr = 0x100000000 - ROM,
          .memory_size = ROM,
          .userspace_addr = (__u64)rom,
          .flags = KVM_MEM_READONLY },
    };
    for (unsigned i = 0; i < sizeof(r) / sizeof(r[0]); i++) {
        if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &r[i]) < 0)
            return -1;
    }
    return 0;
}

static int run(int vcpu, struct kvm_run *r)
{
    while (!ioctl(vcpu, KVM_RUN, 0)) {
        if (r->exit_reason == KVM_EXIT_IO && r->io.port == END_PORT)
            return END;
        if (r->exit_reason == KVM_EXIT_IO)
            memset((char *)r + r->io.data_offset, 0, r->io.size);
        else if (r->exit_reason == KVM_EXIT_MMIO)
            memset(r->mmio.data, 0, sizeof(r->mmio.data));
        else
            return 1;
    }
    perror("KVM_RUN");
    return 1;
}

int main(int argc, char **argv)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = ioctl(kvm, KVM_CREATE_VM, 0);
    unsigned char *ram = memory(RAM), *rom = memory(ROM);
    FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!f || fread(rom, 1, ROM, f) != ROM || ioctl(vm, KVM_SET_TSS_ADDR, TSS) < 0 || make_slots(vm, ram, rom) < 0) {
        perror("exit-floor");
        return 1;
    }
    int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    void *r = mmap(NULL, (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    return r == MAP_FAILED ? 1 : run(vcpu, r);
}

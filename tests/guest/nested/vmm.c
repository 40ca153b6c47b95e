/* SPDX-License-Identifier: MIT */
/*
 * A small user of KVM for the nested guests: a board like virt (GIC, PL011 of which only the output works, 256 MiB of
 * RAM), which runs a payload of tests/guest/payload/arm. Built for arm64, statically; the initramfs of the test has it.
 *   vmm [-g 2|3] [-c CPUS] [-f pmu,sve,ptrauth,el1_32] ELF
 * It prints what the guest prints and, at the end, how often the guest came out and why. Status 77: KVM does not have
 * the feature.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_CPUS = 8,
    DIST = 0x08000000,
    CPUIF = 0x08010000,
    REDIST = 0x080a0000,
    UART = 0x09000000,
    TESTDEV = 0x09100000,
    RAM = 0x40000000,
    RAM_SIZE = 256 << 20,
    ROM = 0x60000000,
    ROM_SIZE = 64 << 10,
    TEST_SPI = 40
};

typedef struct Cpu { int fd; struct kvm_run *run; unsigned index; pthread_t thread; } Cpu;

static int kvm_fd, vm_fd, gic_version = 2, cpu_count = 1;
static unsigned features;
static uint8_t *ram, *rom;
static Cpu cpus[MAX_CPUS];
static atomic_uint mmio_exits, irq_calls, ended;
static atomic_ullong device[8]; /* registers of the test device */

static _Noreturn void die(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    printf("\nvmm: ");
    vprintf(format, ap);
    printf(": %s\n", strerror(errno));
    fflush(stdout);
    _exit(2);
}

static int ask(int fd, unsigned long request, void *arg, const char *what)
{
    int r;
    do
        r = ioctl(fd, request, arg);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        die("%s", what);
    return r;
}

static void *map_file(const char *name, size_t *size)
{
    struct stat s;
    int fd = open(name, O_RDONLY);
    if (fd < 0 || fstat(fd, &s))
        die("%s", name);
    void *p = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        die("%s", name);
    close(fd);
    *size = (size_t)s.st_size;
    return p;
}

static uint8_t *guest_memory(uint64_t at, uint64_t size)
{
    if (at < RAM || size > RAM_SIZE || at - RAM > RAM_SIZE - size)
        die("the image lies outside of RAM (0x%llx)", (unsigned long long)at);
    return ram + (at - RAM);
}

/* The entry point of an ELF file. */
static uint64_t load_elf(const char *name)
{
    size_t size;
    const uint8_t *file = map_file(name, &size);
    const Elf64_Ehdr *h = (const void *)file;
    if (file[EI_CLASS] == ELFCLASS32) {
        const Elf32_Ehdr *h32 = (const void *)file;
        const Elf32_Phdr *p32 = (const void *)(file + h32->e_phoff);
        for (unsigned i = 0; i < h32->e_phnum; i++)
            if (p32[i].p_type == PT_LOAD)
                memcpy(guest_memory(p32[i].p_paddr, p32[i].p_memsz), file + p32[i].p_offset, p32[i].p_filesz);
        return h32->e_entry;
    }
    const Elf64_Phdr *p = (const void *)(file + h->e_phoff);
    for (unsigned i = 0; i < h->e_phnum; i++)
        if (p[i].p_type == PT_LOAD)
            memcpy(guest_memory(p[i].p_paddr, p[i].p_memsz), file + p[i].p_offset, p[i].p_filesz);
    return h->e_entry;
}

static void slot(unsigned number, uint64_t at, uint64_t size, void *memory, unsigned flags)
{
    struct kvm_userspace_memory_region r = { .slot = number, .flags = flags, .guest_phys_addr = at, .memory_size = size,
                                             .userspace_addr = (uintptr_t)memory };
    ask(vm_fd, KVM_SET_USER_MEMORY_REGION, &r, "KVM_SET_USER_MEMORY_REGION");
}

/* --- the interrupt controller --- */

static int gic_fd;

static void gic_attr(unsigned group, uint64_t attr, void *value)
{
    struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uintptr_t)value };
    ask(gic_fd, KVM_SET_DEVICE_ATTR, &a, "KVM_SET_DEVICE_ATTR of the GIC");
}

static void make_gic(void)
{
    struct kvm_create_device d = { .type = gic_version == 3 ? KVM_DEV_TYPE_ARM_VGIC_V3 : KVM_DEV_TYPE_ARM_VGIC_V2 };
    ask(vm_fd, KVM_CREATE_DEVICE, &d, gic_version == 3 ? "vGICv3" : "vGICv2");
    gic_fd = (int)d.fd;
    uint64_t dist = DIST, cpu = CPUIF, redist = REDIST;
    uint32_t lines = 128;
    gic_attr(KVM_DEV_ARM_VGIC_GRP_ADDR, gic_version == 3 ? KVM_VGIC_V3_ADDR_TYPE_DIST : KVM_VGIC_V2_ADDR_TYPE_DIST,
             &dist);
    if (gic_version == 3)
        gic_attr(KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, &redist);
    else
        gic_attr(KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V2_ADDR_TYPE_CPU, &cpu);
    gic_attr(KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &lines);
    gic_attr(KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
}

static void set_spi(unsigned id, bool level)
{
    struct kvm_irq_level l = { .irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | id, .level = level };
    ask(vm_fd, KVM_IRQ_LINE, &l, "KVM_IRQ_LINE");
    irq_calls++;
}

/* --- vCPUs --- */

static void set_reg(Cpu *c, uint64_t offset, uint64_t value)
{
    struct kvm_one_reg r = { .id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | offset / 4,
                             .addr = (uintptr_t)&value };
    ask(c->fd, KVM_SET_ONE_REG, &r, "KVM_SET_ONE_REG");
}

static void vcpu_attr(Cpu *c, unsigned group, uint64_t attr, void *value, const char *what)
{
    struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uintptr_t)value };
    ask(c->fd, KVM_SET_DEVICE_ATTR, &a, what);
}

static void make_cpu(Cpu *c, unsigned index)
{
    struct kvm_vcpu_init init;
    *c = (Cpu){ .fd = ask(vm_fd, KVM_CREATE_VCPU, (void *)(uintptr_t)index, "KVM_CREATE_VCPU"), .index = index };
    ask(vm_fd, KVM_ARM_PREFERRED_TARGET, &init, "KVM_ARM_PREFERRED_TARGET");
    init.features[0] = features | 1u << KVM_ARM_VCPU_PSCI_0_2 | (index ? 1u << KVM_ARM_VCPU_POWER_OFF : 0);
    ask(c->fd, KVM_ARM_VCPU_INIT, &init, "KVM_ARM_VCPU_INIT");
    size_t size = (size_t)ask(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");
    c->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
    if (c->run == MAP_FAILED)
        die("kvm_run");
    if (features & 1u << KVM_ARM_VCPU_SVE) {
        int feature = KVM_ARM_VCPU_SVE;
        ask(c->fd, KVM_ARM_VCPU_FINALIZE, &feature, "KVM_ARM_VCPU_FINALIZE");
    }
}

static void finish_cpu(Cpu *c)
{
    int irq = 23;
    if (!(features & 1u << KVM_ARM_VCPU_PMU_V3))
        return;
    vcpu_attr(c, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, &irq, "PMU's interrupt");
    vcpu_attr(c, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT, NULL, "PMU");
}

/* --- the test device: what payload nested.c uses --- */

static unsigned dirty_pages(void)
{
    static uint8_t map[RAM_SIZE / 4096 / 8];
    struct kvm_dirty_log log = { .slot = 0, .dirty_bitmap = map };
    unsigned count = 0;
    ask(vm_fd, KVM_GET_DIRTY_LOG, &log, "KVM_GET_DIRTY_LOG");
    for (unsigned i = 0; i < sizeof map * 8; i++)
        count += map[i / 8] >> i % 8 & 1;
    return count;
}

static void control(unsigned command)
{
    switch (command) {
    case 1: set_spi(32 + TEST_SPI, true); break;
    case 2: set_spi(32 + TEST_SPI, false); break;
    case 3: slot(0, RAM, RAM_SIZE, ram, KVM_MEM_LOG_DIRTY_PAGES), dirty_pages(); break;
    case 4: device[0] = dirty_pages(); break;
    case 5: slot(0, RAM, RAM_SIZE, ram, 0); break;
    case 6: memset(rom, 0x5a, ROM_SIZE); break;
    case 7: /* the memory goes, and comes back empty */
        madvise(ram + (128 << 20), 16 << 20, MADV_DONTNEED);
        break;
    default: break;
    }
}

static void mmio(struct kvm_run *run)
{
    uint64_t at = run->mmio.phys_addr, value = 0;
    mmio_exits++;
    memcpy(&value, run->mmio.data, run->mmio.len);
    if (run->mmio.is_write) {
        if (at == UART)
            putchar((int)(value & 0xff));
        else if (at == TESTDEV + 0x100)
            control((unsigned)value);
        else if (at >= TESTDEV && at < TESTDEV + 0x40)
            device[(at - TESTDEV) / 8] = value | (uint64_t)run->mmio.len << 56;
        else if (at >= ROM && at < ROM + ROM_SIZE)
            device[1] = at;
        return;
    }
    if (at >= TESTDEV && at < TESTDEV + 0x40)
        value = device[(at - TESTDEV) / 8] >> (at & 7) * 8;
    else if (at == UART + 0x18)
        value = 0x90; /* FR: nothing received, transmitter idle */
    else if (at >= UART + 0xfe0 && at < UART + 0x1000)
        value = UINT64_C(0xb105f00d00341011) >> (at - UART - 0xfe0) / 4 * 8 & 0xff;
    else
        value = 0;
    memcpy(run->mmio.data, &value, run->mmio.len);
}

static void end(const char *why, int status)
{
    if (atomic_exchange(&ended, 1))
        pause();
    printf("vmm: %s, %u MMIO exits, %u interrupts injected\n", why, mmio_exits, irq_calls);
    fflush(stdout);
    _exit(status);
}

static void *run_cpu(void *opaque)
{
    Cpu *c = opaque;
    for (;;) {
        if (ioctl(c->fd, KVM_RUN, 0) < 0 && errno != EINTR)
            die("KVM_RUN of CPU %u", c->index);
        switch (c->run->exit_reason) {
        case KVM_EXIT_MMIO: mmio(c->run); break;
        case KVM_EXIT_INTR: break;
        case KVM_EXIT_SYSTEM_EVENT:
            end(c->run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN ? "power off" : "reset", 0);
            break;
        default:
            printf("vmm: CPU %u: exit reason %u\n", c->index, c->run->exit_reason);
            end("unexpected exit", 1);
        }
    }
}

static void parse_features(const char *text)
{
    static const struct { const char *name; unsigned bits; int capability;
    } known[] = {
        { "pmu", 1u << KVM_ARM_VCPU_PMU_V3, KVM_CAP_ARM_PMU_V3 },
        { "sve", 1u << KVM_ARM_VCPU_SVE, KVM_CAP_ARM_SVE },
        { "el1_32", 1u << KVM_ARM_VCPU_EL1_32BIT, KVM_CAP_ARM_EL1_32BIT },
        { "ptrauth", 1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1u << KVM_ARM_VCPU_PTRAUTH_GENERIC,
          KVM_CAP_ARM_PTRAUTH_ADDRESS },
    };
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (!strstr(text, known[i].name))
            continue;
        features |= known[i].bits;
        if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, known[i].capability) <= 0) {
            printf("vmm: KVM does not have %s\n", known[i].name);
            exit(77);
        }
    }
}

int main(int argc, char **argv)
{
    const char *wanted = "";
    int option;
    while ((option = getopt(argc, argv, "g:c:f:")) != -1) {
        switch (option) {
        case 'g': gic_version = atoi(optarg); break;
        case 'c': cpu_count = atoi(optarg); break;
        case 'f': wanted = optarg; break;
        default: return 2;
        }
    }
    if (argc - optind != 1 || cpu_count < 1 || cpu_count > MAX_CPUS)
        die("usage: vmm [-g 2|3] [-c CPUS] [-f FEATURES] ELF");
    kvm_fd = open("/dev/kvm", O_RDWR);
    if (kvm_fd < 0)
        die("/dev/kvm");
    if (ioctl(kvm_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        die("KVM_GET_API_VERSION");
    parse_features(wanted);
    vm_fd = ask(kvm_fd, KVM_CREATE_VM, 0, "KVM_CREATE_VM");
    ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    rom = mmap(NULL, ROM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ram == MAP_FAILED || rom == MAP_FAILED)
        die("memory");
    slot(0, RAM, RAM_SIZE, ram, 0);
    slot(1, ROM, ROM_SIZE, rom, KVM_MEM_READONLY);
    for (int i = 0; i < cpu_count; i++)
        make_cpu(&cpus[i], (unsigned)i);
    make_gic();
    for (int i = 0; i < cpu_count; i++)
        finish_cpu(&cpus[i]);
    set_reg(&cpus[0], offsetof(struct kvm_regs, regs.pc), load_elf(argv[optind]));
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < cpu_count; i++)
        if (pthread_create(&cpus[i].thread, NULL, run_cpu, &cpus[i]))
            die("pthread_create");
    run_cpu(&cpus[0]);
    return 0;
}

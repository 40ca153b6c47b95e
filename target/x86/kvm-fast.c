/* SPDX-License-Identifier: MIT */
/*
 * Does guest code run on the CPU? Some hosts have a /dev/kvm behind which the kernel itself emulates guests: slower by
 * far than our translator, and without a good part of the instructions. A payload of a few thousand instructions tells.
 */
#include "target/x86/kvm.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PML4 = 0x1000, PDPT = 0x2000, PD = 0x3000, CODE = 0x4000, DATA = 0x5000, SIZE = 0x8000 };
enum { ROUNDS = 500, TRIES = 3, MIN_ROUNDS_PER_US = 25 /* a CPU does 1000 and more, an emulator below 10 */ };
enum { LIMIT_NS = ROUNDS * 1000 / MIN_ROUNDS_PER_US, HOPELESS_NS = 20 * LIMIT_NS };

/* 64-bit code, flat: a counted loop between two port writes, then what emulators often lack, then a third. */
static const uint8_t payload[] = {
    0xe6, 0x10,                               /* out %al, $0x10 */
    0xb9, ROUNDS & 0xff, ROUNDS >> 8, 0, 0,   /* mov $ROUNDS, %ecx */
    0xff, 0xc9,                               /* 1: dec %ecx */
    0x75, 0xfc,                               /* jnz 1b */
    0xe6, 0x11,                               /* out %al, $0x11 */
    0xbf, DATA & 0xff, DATA >> 8, 0, 0,       /* mov $DATA, %edi */
    0x31, 0xc0, 0x31, 0xd2,                   /* xor %eax, %eax; xor %edx, %edx */
    0xbb, 5, 0, 0, 0,                         /* mov $5, %ebx */
    0xf0, 0x48, 0x0f, 0xc7, 0x0f,             /* lock cmpxchg16b (%rdi) */
    0x0f, 0x28, 0x07,                         /* movaps (%rdi), %xmm0 */
    0x66, 0x0f, 0xfe, 0xc0,                   /* paddd %xmm0, %xmm0 */
    0x0f, 0x29, 0x47, 0x10,                   /* movaps %xmm0, 16(%rdi) */
    0xe6, 0x12,                               /* out %al, $0x12 */
    0xf4,                                     /* hlt */
};

typedef struct Trial {
    int vm, vcpu;
    uint8_t *ram;
    struct kvm_run *run;
    size_t run_size;
} Trial;

static void trial_end(Trial *t)
{
    if (t->run)
        munmap(t->run, t->run_size);
    if (t->vcpu >= 0)
        close(t->vcpu);
    if (t->vm >= 0)
        close(t->vm);
    if (t->ram)
        munmap(t->ram, SIZE);
}

static bool trial_begin(Trial *t, int fd)
{
    *t = (Trial){ .vm = -1, .vcpu = -1, .run_size = (size_t)kvm_ioctl(fd, KVM_GET_VCPU_MMAP_SIZE, NULL) };
    void *ram = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ram == MAP_FAILED || (ssize_t)t->run_size <= 0)
        return false;
    t->ram = ram;
    store_le64(t->ram + PML4, PDPT | 3);
    store_le64(t->ram + PDPT, PD | 3);
    store_le64(t->ram + PD, 0x83); /* 2 MiB at 0 */
    memcpy(t->ram + CODE, payload, sizeof(payload));
    struct kvm_userspace_memory_region slot = { .memory_size = SIZE, .userspace_addr = (uintptr_t)ram };
    t->vm = kvm_ioctl(fd, KVM_CREATE_VM, NULL);
    if (t->vm < 0 || kvm_ioctl(t->vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
        return false;
    t->vcpu = kvm_ioctl(t->vm, KVM_CREATE_VCPU, NULL);
    void *run = t->vcpu < 0 ? MAP_FAILED : mmap(NULL, t->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, t->vcpu, 0);
    t->run = run == MAP_FAILED ? NULL : run;
    return t->run;
}

/* All that the kernel offers, so that the payload's instructions are there. */
static bool trial_cpuid(const Trial *t, int fd)
{
    enum { MAX = 256 };
    g_autofree struct kvm_cpuid2 *all = g_malloc0(sizeof(*all) + MAX * sizeof(all->entries[0]));
    all->nent = MAX;
    return !kvm_ioctl(fd, KVM_GET_SUPPORTED_CPUID, all) && !kvm_ioctl(t->vcpu, KVM_SET_CPUID2, all);
}

/* 64-bit mode at the payload's start. */
static bool trial_rewind(const Trial *t)
{
    struct kvm_sregs s;
    struct kvm_regs r = { .rip = CODE, .rflags = 2, .rsp = SIZE };
    if (kvm_ioctl(t->vcpu, KVM_GET_SREGS, &s) < 0)
        return false;
    struct kvm_segment data = { .limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1 };
    s.ds = s.es = s.fs = s.gs = s.ss = data;
    s.cs = (struct kvm_segment){ .limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1 };
    s.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_PG;
    s.cr3 = PML4;
    s.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    s.efer = EFER_LME | EFER_LMA;
    return !kvm_ioctl(t->vcpu, KVM_SET_SREGS, &s) && !kvm_ioctl(t->vcpu, KVM_SET_REGS, &r);
}

/* Run to the write to `port`. */
static bool trial_run_to(const Trial *t, unsigned port)
{
    int r;
    do {
        r = kvm_ioctl(t->vcpu, KVM_RUN, NULL);
    } while (r < 0 && errno == EINTR);
    return !r && t->run->exit_reason == KVM_EXIT_IO && t->run->io.port == port;
}

static bool trial(const Trial *t, int fd, char **why_not)
{
    int64_t best = INT64_MAX;
    if (!trial_cpuid(t, fd)) {
        *why_not = g_strdup_printf("a trial run could not be set up: %s", g_strerror(errno));
        return false;
    }
    for (unsigned i = 0; i < TRIES && best > LIMIT_NS; i++) {
        if (!trial_rewind(t) || !trial_run_to(t, 0x10))
            break;
        int64_t start = clock_ns(CLOCK_REALTIME_NS);
        if (!trial_run_to(t, 0x11))
            break;
        int64_t took = clock_ns(CLOCK_REALTIME_NS) - start;
        best = MIN(best, took);
        if (best > HOPELESS_NS)
            break;
    }
    if (best == INT64_MAX) {
        *why_not = g_strdup("a trial run of 64-bit code fails here");
        return false;
    }
    if (best > LIMIT_NS) {
        *why_not = g_strdup_printf("the host's kernel emulates guests (%" PRId64
                                   " ns for each turn of an empty loop), slower than the translator",
                                   best / ROUNDS);
        return false;
    }
    if (trial_run_to(t, 0x12) && load_le32(t->ram + DATA + 16) == 10)
        return true;
    *why_not = g_strdup("the host's kernel emulates guests (cmpxchg16b and SSE do not work)");
    return false;
}

bool kvm_x86_fast(int kvm_fd, char **why_not)
{
    Trial t;
    kvm_x86_ask_for_tiles(); /* after the trial's vCPU it would be too late */
    bool ok = trial_begin(&t, kvm_fd);
    if (!ok)
        *why_not = g_strdup_printf("a trial run could not be set up: %s", g_strerror(errno));
    ok = ok && trial(&t, kvm_fd, why_not);
    trial_end(&t);
    return ok;
}

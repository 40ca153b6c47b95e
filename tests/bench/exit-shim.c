/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into an emulator: what it does itself for an access of the guest. When a vCPU comes out of KVM_RUN with the
 * RTC's data port or the HPET's counter for the first time, KVM_RUN comes back at once EXIT_SHIM_ROUNDS times with the
 * same exit, without the kernel; then the time and the system calls of one are printed, and the process ends.
 */
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { FDS = 1024, RTC_DATA = 0x71, HPET_COUNTER = 0xfed000f0 };
static struct kvm_run *run_of[FDS];
static long left, rounds, calls;
static struct timespec began;

int ioctl(int fd, unsigned long request, ...);
void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
void *mmap64(void *at, size_t size, int prot, int flags, int fd, off_t offset);

static int in_use(const struct kvm_run *r)
{
    return r && ((r->exit_reason == KVM_EXIT_IO && r->io.port == RTC_DATA && r->io.direction == KVM_EXIT_IO_IN) ||
                 (r->exit_reason == KVM_EXIT_MMIO && r->mmio.phys_addr == HPET_COUNTER && !r->mmio.is_write));
}

static void report(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    double ns = (double)(now.tv_sec - began.tv_sec) * 1e9 + (double)(now.tv_nsec - began.tv_nsec);
    fprintf(stderr, "exit-shim: %.1f ns, %.2f other calls\n", ns / (double)rounds, (double)calls / (double)rounds);
    _exit(33);
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    va_start(args, request);
    void *arg = va_arg(args, void *);
    va_end(args);
    struct kvm_run *r = request == KVM_RUN && fd < FDS ? run_of[fd] : NULL;
    if (r && left > 0) {
        if (!--left)
            report();
        return 0;
    }
    calls += left > 0;
    int got = (int)syscall(SYS_ioctl, fd, request, arg);
    if (r && !got && in_use(r) && !rounds) {
        left = rounds = atol(getenv("EXIT_SHIM_ROUNDS"));
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &began);
    }
    return got;
}

void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
    void *p = (void *)syscall(SYS_mmap, at, size, prot, flags, fd, offset);
    char name[64], what[64] = "";
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    if (fd >= 0 && fd < FDS && readlink(name, what, sizeof(what) - 1) > 0 && offset == 0) {
        int is = 0;
        for (const char *c = what; *c && !is; c++)
            is = c[0] == 'v' && c[1] == 'c' && c[2] == 'p' && c[3] == 'u';
        if (is)
            run_of[fd] = p;
    }
    return p;
}

void *mmap64(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
    return mmap(at, size, prot, flags, fd, offset);
}

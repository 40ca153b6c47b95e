/* SPDX-License-Identifier: MIT */
/*
 * The code buffer: one memory file mapped twice (writable and executable), used in segments that are recycled in turn.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "accel/tcg/tcg.h"

enum { SEGMENTS = 8 };
static struct {
    uint64_t size, segment_size;
    unsigned present;
    uint8_t *code, *data; /* free space of the present segment: [code, data) */
    Block *blocks[SEGMENTS];
    uint64_t recycled;
    bool recycling;
    int fd;
} buf = { .fd = -1 };
uint8_t *codebuf_rw, *codebuf_rx;

static void open_segment(unsigned n)
{
    buf.present = n;
    buf.code = codebuf_rw + CODEBUF_STUBS + n * buf.segment_size;
    buf.data = buf.code + buf.segment_size;
    buf.blocks[n] = NULL;
}

/* Near the program's own code, so that calls of helpers are direct: below it, as far as there is room. */
static uint8_t *map_near(int fd, uint64_t size, int prot)
{
    uintptr_t self = align_down((uintptr_t)&codebuf_init, MiB);
    for (uint64_t distance = size + 16 * MiB; distance < 1536 * MiB && distance < self; distance += 64 * MiB) {
        void *want = (void *)(self - distance);
        uint8_t *p = mmap(want, size, prot, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
        if (p != MAP_FAILED && p == want)
            return p;
        if (p != MAP_FAILED)
            munmap(p, size);
    }
    for (uint64_t distance = 32 * MiB; distance < 1536 * MiB; distance += 64 * MiB) {
        void *want = (void *)(self + distance);
        uint8_t *p = mmap(want, size, prot, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
        if (p != MAP_FAILED && p == want)
            return p;
        if (p != MAP_FAILED)
            munmap(p, size);
    }
    return mmap(NULL, size, prot, MAP_SHARED, fd, 0);
}

bool codebuf_init(uint64_t size, bool executable, Error **errp)
{
    buf.size = align_up(size, SEGMENTS * 64 * KiB);
    buf.segment_size = buf.size / SEGMENTS;
    buf.size += CODEBUF_STUBS;
    buf.recycling = false;
    buf.fd = memfd_create("rhea-code", MFD_CLOEXEC);
    if (buf.fd < 0 || ftruncate(buf.fd, (off_t)buf.size) < 0) {
        error_set_errno(errp, errno, "cannot make a code buffer of %" G_GUINT64_FORMAT " MiB; use a smaller tb-size",
                        size / MiB);
        return false;
    }
    codebuf_rw = mmap(NULL, buf.size, PROT_READ | PROT_WRITE, MAP_SHARED, buf.fd, 0);
    codebuf_rx = executable && codebuf_rw != MAP_FAILED ? map_near(buf.fd, buf.size, PROT_READ | PROT_EXEC)
                                                        : codebuf_rw;
    if (codebuf_rw == MAP_FAILED || codebuf_rx == MAP_FAILED) {
        error_set_errno(errp, errno, "cannot map the code buffer; use backend=interp or a smaller tb-size");
        codebuf_rw = codebuf_rx = NULL;
        return false;
    }
    open_segment(0);
    return true;
}

void codebuf_free(void)
{
    if (codebuf_rx && codebuf_rx != codebuf_rw)
        munmap(codebuf_rx, buf.size);
    if (codebuf_rw)
        munmap(codebuf_rw, buf.size);
    if (buf.fd >= 0)
        close(buf.fd);
    codebuf_rw = codebuf_rx = NULL;
    buf.fd = -1;
    memset(buf.blocks, 0, sizeof buf.blocks);
}

uint8_t *codebuf_space(uint8_t **end)
{
    *end = buf.data;
    return buf.code;
}

void codebuf_commit(uint8_t *end) { buf.code = codebuf_rw + align_up((uint64_t)(end - codebuf_rw), 16); }

void *codebuf_alloc(size_t size)
{
    size = align_up(size, 8);
    if (buf.data < buf.code || (size_t)(buf.data - buf.code) < size)
        return NULL;
    buf.data -= size;
    return memset(buf.data, 0, size);
}

void codebuf_own(Block *b)
{
    b->segment_next = buf.blocks[buf.present];
    buf.blocks[buf.present] = b;
}

/* The lock is dropped meanwhile: vCPUs that wait for it in an RCU section would make the grace period endless. */
static void leave_guest(Vcpu *v)
{
    pthread_mutex_unlock(&tcg.lock);
    atomic_store(&tcg_vcpu(v)->in_guest, false);
    rcu_read_unlock();
}
static void enter_guest(Vcpu *v)
{
    rcu_read_lock();
    atomic_store(&tcg_vcpu(v)->in_guest, true);
    tlb_service(v);
    pthread_mutex_lock(&tcg.lock);
}

void codebuf_next_segment(Vcpu *v)
{
    if (buf.recycling) {
        leave_guest(v);
        g_usleep(100);
        enter_guest(v);
        return;
    }
    buf.recycling = true;
    unsigned next = (buf.present + 1) % SEGMENTS;
    for (Block *b = buf.blocks[next]; b; b = b->segment_next)
        block_invalidate_locked(b);
    tcg_vcpu(v)->stats.evictions++;
    leave_guest(v);
    for (unsigned i = 0; i < vcpu_count(); i++)
        if (vcpu_get(i) && vcpu_get(i) != v)
            vcpu_kick(vcpu_get(i));
    synchronize_rcu();
    enter_guest(v);
    open_segment(next);
    buf.recycled++;
    buf.recycling = false;
}

uint64_t codebuf_generation(void) { return buf.recycled; }

uint64_t codebuf_used(void)
{
    uint64_t present = (uint64_t)(buf.code - (codebuf_rw + CODEBUF_STUBS + buf.present * buf.segment_size));
    return buf.recycled * buf.segment_size + present;
}

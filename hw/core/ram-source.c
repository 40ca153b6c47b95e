/* SPDX-License-Identifier: MIT */
/* Mapping host memory for RAM blocks: anonymous or files, huge pages, preallocation, NUMA policy; giving pages back. */
#include "hw/core/ram-source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/core/memory-internal.h"
#include "hw/core/ram.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif
#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE 3
#endif
#define HUGE_PAGE (2 * MiB)

static struct { bool merge, dump; } defaults = { true, true };

RamSource ram_source_default(void)
{
    return (RamSource){ .fd = -1, .merge = defaults.merge, .dump = defaults.dump, .prealloc_threads = 1 };
}

void ram_source_set_defaults(bool merge, bool dump)
{
    defaults.merge = merge;
    defaults.dump = dump;
}

/* ---- mapping ---- */

static uint64_t host_page(void) { return (uint64_t)sysconf(_SC_PAGESIZE); }

/* A gap of the address space of which `len` bytes begin at a multiple of align. */
static uint8_t *find_place(uint64_t len, uint64_t align)
{
    uint64_t padded;
    if (__builtin_add_overflow(len, align, &padded) || padded > SIZE_MAX / 2) {
        errno = ENOMEM;
        return NULL;
    }
    uint8_t *p = mmap(NULL, padded, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    uint8_t *start = (uint8_t *)align_up((uintptr_t)p, align);
    if (start > p)
        munmap(p, (size_t)(start - p));
    if (p + padded > start + len)
        munmap(start + len, (size_t)(p + padded - (start + len)));
    return start;
}

static bool map(RamBlock *b, const RamSource *src, Error **errp)
{
    int prot = src->readonly ? PROT_READ : PROT_READ | PROT_WRITE, flags = MAP_FIXED;
    uint64_t align = MAX(b->page_size, b->mapped >= HUGE_PAGE ? HUGE_PAGE : 0);
    flags |= !src->shared ? MAP_PRIVATE : src->pmem ? MAP_SHARED_VALIDATE | MAP_SYNC : MAP_SHARED;
    flags |= (src->fd < 0 ? MAP_ANONYMOUS : 0) | (src->reserve ? 0 : MAP_NORESERVE);
    b->host = find_place(b->mapped, MAX(align, src->align));
    if (b->host && mmap(b->host, b->mapped, prot, flags, src->fd, 0) != MAP_FAILED)
        return true;
    int err = errno;
    if (b->host)
        munmap(b->host, b->mapped);
    if (src->pmem && err == EOPNOTSUPP)
        error_setf(errp, "memory '%s': pmem=on needs a file on a DAX file system; use pmem=off", b->name);
    else if (b->page_size > host_page() && err == ENOMEM)
        error_setf(errp,
                   "memory '%s': the host has no %" PRIu64 " free huge pages of %" PRIu64
                   " KiB; raise nr_hugepages under "
                   "/sys/kernel/mm/hugepages",
                   b->name, b->mapped / b->page_size, b->page_size / KiB);
    else
        error_setf(errp, "memory '%s': the host refuses %" PRIu64 " MiB (%s)%s", b->name, b->mapped / MiB,
                   g_strerror(err),
                   err != ENOMEM && src->fd >= 0 ? "; is it a file that can be mapped, as on tmpfs?"
                   : src->reserve                ? "; give less, or reserve=off"
                                                 : "");
    return false;
}

/* ---- preallocation ---- */

typedef struct Touch { uint8_t *at; uint64_t len, page; int error; } Touch;

/* Pages keep what they hold: a file may have contents. */
static void *touch(void *opaque)
{
    Touch *t = opaque;
    if (!madvise(t->at, t->len, MADV_POPULATE_WRITE))
        return NULL;
    if (errno != EINVAL) {
        t->error = errno;
        return NULL;
    }
    for (uint64_t i = 0; i < t->len; i += t->page)
        __atomic_fetch_or(&t->at[i], 0, __ATOMIC_RELAXED);
    return NULL;
}

static uint64_t host_available(void)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    while (f && fgets(line, sizeof(line), f) && sscanf(line, "MemAvailable: %llu", &kib) != 1)
        ;
    if (f)
        fclose(f);
    return kib * KiB;
}

static bool refuse_prealloc(const RamBlock *b, int err, Error **errp)
{
    error_setf(errp,
               "memory '%s': not all of its %" PRIu64
               " MiB can be allocated now (%s); give less memory, or prealloc=off",
               b->name, b->mapped / MiB, g_strerror(err));
    return false;
}

static bool preallocate(const RamBlock *b, const RamSource *src, Error **errp)
{
    Touch part[64];
    GThread *thread[ARRAY_LEN(part)];
    uint64_t pages = b->mapped / b->page_size, available = host_available();
    uint64_t count = MIN(MIN(MAX(src->prealloc_threads, 1u), ARRAY_LEN(part)), pages),
             each = (pages + count - 1) / count * b->page_size;
    int err = 0;
    if (b->page_size == host_page() && available && b->mapped > available && !(src->fd >= 0 && src->shared))
        return refuse_prealloc(b, ENOMEM, errp); /* the kernel would kill somebody rather than refuse */
    if (src->fd >= 0 && src->shared && fallocate(src->fd, 0, 0, (off_t)b->mapped) && errno != EOPNOTSUPP)
        return refuse_prealloc(b, errno, errp);
    for (unsigned i = 0; i < count; i++) {
        uint64_t at = MIN(i * each, b->mapped);
        part[i] = (Touch){ b->host + at, MIN(each, b->mapped - at), b->page_size, 0 };
        thread[i] = g_thread_new("prealloc", touch, &part[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        g_thread_join(thread[i]);
        err = err ? err : part[i].error;
    }
    return !err || refuse_prealloc(b, err, errp);
}

/* ---- all of it ---- */

static bool set_policy(const RamBlock *b, const RamSource *src, Error **errp)
{
    enum { MOVE = 2, STRICT = 1 };
    bool any = false;
    for (unsigned i = 0; i < ARRAY_LEN(src->nodes); i++)
        any |= src->nodes[i] != 0;
    if (any != (src->policy != RAM_POLICY_DEFAULT)) {
        error_setf(errp, any ? "memory '%s': host-nodes= needs a policy=; add policy=bind, preferred or interleave"
                             : "memory '%s': policy= needs host-nodes=; add host-nodes=0", b->name);
        return false;
    }
    if (!any || !syscall(SYS_mbind, b->host, b->mapped, (int)src->policy, src->nodes, (unsigned long)RAM_NODES_MAX + 1,
                         STRICT | MOVE))
        return true;
    error_setf(errp, "memory '%s': the host refuses the policy (%s); `numactl -H` shows which host-nodes there are",
               b->name, g_strerror(errno));
    return false;
}

/* Fills b from `src`; its size and name are set. */
bool ram_source_map(RamBlock *b, RamSource *src, Error **errp)
{
    b->fd = src->fd;
    b->shared = src->shared;
    b->readonly = src->readonly;
    b->page_size = MAX(src->page_size, host_page());
    b->mapped = align_up(b->size, b->page_size);
    b->foreign = src->host;
    b->host = src->host;
    if (b->foreign)
        return true;
    if (b->mapped < b->size) {
        error_setf(errp, "memory '%s': the host refuses %" PRIu64 " MiB", b->name, b->size / MiB);
        return false;
    }
    if (src->align && (!is_pow2(src->align) || src->align % b->page_size)) {
        error_setf(errp, "memory '%s': align=%" PRIu64 " is not a power of two of at least a page (%" PRIu64 ")",
                   b->name, src->align, b->page_size);
        return false;
    }
    if (!map(b, src, errp))
        return false;
    if (b->mapped >= HUGE_PAGE)
        madvise(b->host, b->mapped, MADV_HUGEPAGE);
    if (src->merge)
        madvise(b->host, b->mapped, MADV_MERGEABLE);
    if (!src->dump)
        madvise(b->host, b->mapped, MADV_DONTDUMP);
    if (set_policy(b, src, errp) && (!src->prealloc || preallocate(b, src, errp)))
        return true;
    munmap(b->host, b->mapped);
    return false;
}

/* ---- giving back ---- */

static unsigned discard_inhibited;

void ram_discard_inhibit(bool inhibit)
{
    __atomic_fetch_add(&discard_inhibited, inhibit ? 1 : -1, __ATOMIC_ACQ_REL);
}

uint64_t ram_discard(uint64_t ram_addr, uint64_t len)
{
    RamBlock b;
    if (!len || __atomic_load_n(&discard_inhibited, __ATOMIC_ACQUIRE) || !ram_block_find(ram_addr, &b) || b.readonly ||
        b.foreign)
        return 0;
    uint64_t from = ram_addr - b.start, end = MIN(b.size - from, len) + from;
    from = align_up(from, b.page_size);
    end = end == b.size ? b.mapped : align_down(end, b.page_size);
    if (from >= end)
        return 0;
    /* a file's own contents are the user's unless it is shared with the guest */
    if (b.fd >= 0 && b.shared
            ? fallocate(b.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(end - from)) != 0
            : madvise(b.host + from, end - from, MADV_DONTNEED) != 0) {
        log_unimp("memory", "'%s': the host takes no pages back (%s)", b.name, g_strerror(errno));
        return 0;
    }
    mem_ram_written(b.start + from, MIN(end, b.size) - from);
    return end - from;
}

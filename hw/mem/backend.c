/* SPDX-License-Identifier: MIT */
/* Memory back ends: objects that own the host memory of a RAM region. */
#include "hw/mem/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/bits.h"

#define HUGETLBFS_MAGIC 0x958458f6
#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif

/* ---- host-nodes=0-2,5 ---- */

static bool parse_nodes(const MemoryBackend *m, RamSource *src, Error **errp)
{
    g_auto(GStrv) part = g_strsplit_set(m->host_nodes ? m->host_nodes : "", ",:", -1);
    for (char **p = part; *p; p++) {
        char *dash = strchr(*p, '-');
        uint64_t first, last;
        if (dash)
            *dash++ = 0;
        if (!parse_u64(*p, &first) || !parse_u64(dash ? dash : *p, &last) || first > last || last >= RAM_NODES_MAX) {
            error_setf(errp, "object '%s': host-nodes=%s: not a list of nodes below %d, as in 0-1", m->object.id,
                       m->host_nodes, RAM_NODES_MAX);
            return false;
        }
        for (; first <= last; first++)
            src->nodes[first / 64] |= BIT(first % 64);
    }
    return true;
}

/* ---- making the region ---- */

static bool make(MemoryBackend *m, int fd, uint64_t page_size, Error **errp)
{
    const RamSource dflt = ram_source_default();
    RamSource src = { .fd = fd,
                      .shared = m->share,
                      .readonly = m->readonly,
                      .pmem = m->pmem,
                      .merge = m->merge && dflt.merge,
                      .dump = m->dump && dflt.dump,
                      .reserve = m->reserve,
                      .prealloc = m->prealloc,
                      .prealloc_threads = m->prealloc_threads,
                      .page_size = page_size,
                      .align = m->align,
                      .policy = (RamPolicy)m->policy };
    g_autofree char *name = m->canonical ? g_strdup_printf("/objects/%s", m->object.id) : g_strdup(m->object.id);
    if (parse_nodes(m, &src, errp))
        m->region = mem_ram_new_from(name, m->size, &src, errp);
    if (!m->region && fd >= 0)
        close(fd);
    return m->region;
}

static bool check_size(const MemoryBackend *m, Error **errp)
{
    if (m->size && m->size % 4096 == 0)
        return true;
    error_setf(errp, m->size ? "object '%s': size=%" PRIu64 " is not a multiple of 4 KiB"
                             : "object '%s': no size; add size=, as in size=1G", m->object.id, m->size);
    return false;
}

static bool failed(const MemoryBackend *m, int err, const char *what, Error **errp)
{
    error_setf(errp, "object '%s': %s: %s", m->object.id, what, g_strerror(err));
    return false;
}

static bool ram_complete(Object *o, Error **errp)
{
    MemoryBackend *m = (MemoryBackend *)o;
    return check_size(m, errp) && make(m, -1, 0, errp);
}

/* ---- files ---- */

/* A folder (of tmpfs, hugetlbfs ...): a file in it that has no name any more. */
static int open_in_folder(const MemoryBackend *m)
{
    g_autofree char *path = g_strdup_printf("%s/rhea-%s.XXXXXX", m->path, m->object.id);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static int open_file(MemoryBackend *m)
{
    struct stat st;
    if (m->readonly)
        return open(m->path, O_RDONLY | O_CLOEXEC);
    if (!stat(m->path, &st) && S_ISDIR(st.st_mode))
        return open_in_folder(m);
    int fd = open(m->path, O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        fd = open(m->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        m->created = fd >= 0;
    }
    return fd;
}

/* An empty file grows to the size; one with contents must hold it. */
static bool fit_file(MemoryBackend *m, int fd, uint64_t page, Error **errp)
{
    struct stat st;
    if (fstat(fd, &st))
        return failed(m, errno, m->path, errp);
    if (S_ISCHR(st.st_mode) && g_str_has_prefix(m->path, "/dev/dax"))
        return true;
    if (!S_ISREG(st.st_mode)) {
        error_setf(errp,
                   "object '%s': mem-path=%s is neither a file, nor a folder, nor a DAX device; give one of these",
                   m->object.id, m->path);
        return false;
    }
    uint64_t have = (uint64_t)st.st_size;
    if (have && have < m->size) {
        error_setf(errp,
                   "object '%s': file '%s' is too small: it has %" PRIu64 " of %" PRIu64 " bytes; give size=%" PRIu64
                   " or another file",
                   m->object.id, m->path, have, m->size, align_down(have, 4096));
        return false;
    }
    if (!have && m->readonly) {
        error_setf(errp, "object '%s': file '%s' is empty and readonly=on; use readonly=off", m->object.id, m->path);
        return false;
    }
    if (have || !ftruncate(fd, (off_t)align_up(m->size, page)))
        return true;
    error_setf(errp,
               "object '%s': mem-path=%s can't grow to %" PRIu64
               " MiB (%s); give one on tmpfs, hugetlbfs or a disk with room",
               m->object.id, m->path, m->size / MiB, g_strerror(errno));
    return false;
}

static bool file_complete(Object *o, Error **errp)
{
    MemoryBackend *m = (MemoryBackend *)o;
    struct statfs fs;
    if (!check_size(m, errp))
        return false;
    if (!m->path) {
        error_setf(errp, "object '%s': no file; add mem-path=FILE, or a folder of tmpfs or hugetlbfs", o->id);
        return false;
    }
    int fd = open_file(m);
    if (fd < 0) {
        error_setf(errp,
                   "object '%s': can't open mem-path=%s: %s; give a file that can be opened for writing (readonly=on: "
                   "for reading), or made, "
                   "or a folder of tmpfs or hugetlbfs",
                   o->id, m->path, g_strerror(errno));
        return false;
    }
    uint64_t page = !fstatfs(fd, &fs) && (unsigned)fs.f_type == HUGETLBFS_MAGIC ? (uint64_t)fs.f_bsize : 0;
    bool fits = fit_file(m, fd, MAX(page, 4096u), errp);
    if (!fits)
        close(fd);
    bool ok = fits && make(m, fd, page, errp);
    if (!ok && m->created)
        unlink(m->path);
    return ok;
}

/* ---- memfd ---- */

static bool memfd_complete(Object *o, Error **errp)
{
    MemoryBackend *m = (MemoryBackend *)o;
    uint64_t page = m->hugetlb_size;
    struct statfs fs;
    if (!check_size(m, errp))
        return false;
    if (page && !m->hugetlb) {
        error_setf(errp, "object '%s': hugetlbsize= without hugetlb=on; add hugetlb=on", o->id);
        return false;
    }
    if (page && !is_pow2(page)) {
        error_setf(errp, "object '%s': hugetlbsize=%" PRIu64 " is not a power of two, as 2M is", o->id, page);
        return false;
    }
    unsigned flags = MFD_CLOEXEC | (m->seal ? MFD_ALLOW_SEALING : 0) | (m->hugetlb ? MFD_HUGETLB : 0);
    flags |= page ? (unsigned)__builtin_ctzll(page) << MFD_HUGE_SHIFT : 0;
    int fd = memfd_create(o->id, flags);
    if (fd < 0 && m->hugetlb) {
        error_setf(
            errp,
            "object '%s': the host has no huge pages of this size (%s); see /sys/kernel/mm/hugepages for hugetlbsize=",
            o->id, g_strerror(errno));
        return false;
    }
    if (fd < 0)
        return failed(m, errno, "memfd", errp);
    if (m->hugetlb && !page && !fstatfs(fd, &fs))
        page = (uint64_t)fs.f_bsize;
    if (ftruncate(fd, (off_t)align_up(m->size, MAX(page, 4096u))) ||
        (m->seal && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))) {
        failed(m, errno, "memfd", errp);
        close(fd);
        return false;
    }
    return make(m, fd, m->hugetlb ? page : 0, errp);
}

/* ---- the types ---- */

static void finalize(Object *o)
{
    MemoryBackend *m = (MemoryBackend *)o;
    if (m->region && m->discard_data && m->share && !m->readonly)
        madvise(mem_host(m->region), mem_size(m->region), MADV_REMOVE);
    if (!o->users) /* else the program ends, and a machine that shows it still stands */
        mem_region_free(m->region);
}

MemoryBackend *memory_backend_take(const char *id, Error **errp)
{
    MemoryBackend *m = (MemoryBackend *)object_take(id, MEMORY_BACKEND_KIND, errp);
    if (m && m->object.users > 1) {
        object_release(&m->object);
        error_setf(errp, "memory back end '%s' is in use already; give each user one of its own", id);
        return NULL;
    }
    return m;
}

MemoryBackend *memory_backend_of(const Device *d, const char *memdev, Error **errp)
{
    if (memdev)
        return memory_backend_take(memdev, errp);
    error_setf(errp, "device '%s': no memory; add memdev=ID of an -object memory-backend-*", d->id);
    return NULL;
}

MemRegion *memory_backend_alias(MemoryBackend *m, const char *name)
{
    return mem_alias_new(name, m->region, 0, m->size);
}

static const char *const policies[] = { "default", "preferred", "bind", "interleave", NULL };

#define BACKEND_PROPS(share_default) \
    DEFINE_PROP_SIZE("size", MemoryBackend, size, 0, "bytes of memory"), \
    DEFINE_PROP_BOOL("merge", MemoryBackend, merge, true, "the host may merge equal pages (KSM)"), \
    DEFINE_PROP_BOOL("dump", MemoryBackend, dump, true, "part of core dumps"), \
    DEFINE_PROP_BOOL("prealloc", MemoryBackend, prealloc, false, "allocate all pages at the start"), \
    PROP_(PROP_U32, "prealloc-threads", MemoryBackend, prealloc_threads, 1, "threads that do so", .min = 1, \
        .max = 64), \
    DEFINE_PROP_STRING("prealloc-context", MemoryBackend, prealloc_context, NULL, "accepted, not needed"), \
    DEFINE_PROP_STRING("host-nodes", MemoryBackend, host_nodes, NULL, "host NUMA nodes, as in 0-1"), \
    DEFINE_PROP_ENUM("policy", MemoryBackend, policy, RAM_POLICY_DEFAULT, policies, "how the host nodes are used"), \
    DEFINE_PROP_BOOL("reserve", MemoryBackend, reserve, true, "reserve swap or huge pages for all of it"), \
    DEFINE_PROP_BOOL("share", MemoryBackend, share, share_default, "other processes see what the guest writes"), \
    DEFINE_PROP_BOOL("x-use-canonical-path-for-ramblock-id", MemoryBackend, canonical, false, \
        "name the block /objects/ID")

static const Property ram_props[] = { BACKEND_PROPS(false), DEFINE_PROP_END };
static const Property file_props[] = {
    BACKEND_PROPS(false),
    DEFINE_PROP_STRING("mem-path", MemoryBackend, path, NULL, "file, or folder where one is made"),
    DEFINE_PROP_SIZE("align", MemoryBackend, align, 0, "alignment of the mapping"),
    DEFINE_PROP_BOOL("discard-data", MemoryBackend, discard_data, false,
                     "the file's contents are not needed at the end"),
    DEFINE_PROP_BOOL("readonly", MemoryBackend, readonly, false, "map the file without write access"),
    DEFINE_PROP_BOOL("pmem", MemoryBackend, pmem, false, "the file is on persistent memory (DAX)"),
    DEFINE_PROP_END,
};
static const Property memfd_props[] = {
    BACKEND_PROPS(true),
    DEFINE_PROP_BOOL("hugetlb", MemoryBackend, hugetlb, false, "of huge pages"),
    DEFINE_PROP_SIZE("hugetlbsize", MemoryBackend, hugetlb_size, 0, "of this size"),
    DEFINE_PROP_BOOL("seal", MemoryBackend, seal, true, "the file can neither grow nor shrink"),
    DEFINE_PROP_END,
};

#define BACKEND_TYPE(var, name_, desc_, props_, complete_) \
    static const ObjectType var = { .name = name_, .kind = MEMORY_BACKEND_KIND, .desc = desc_, \
        .size = sizeof(MemoryBackend), \
                                    .props = props_, .complete = complete_, .finalize = finalize }; \
    OBJECT_REGISTER(var)
BACKEND_TYPE(ram_type, "memory-backend-ram", "guest memory from anonymous host memory", ram_props, ram_complete)
BACKEND_TYPE(file_type, "memory-backend-file", "guest memory from a file", file_props, file_complete)
BACKEND_TYPE(memfd_type, "memory-backend-memfd", "guest memory from a file without name", memfd_props, memfd_complete)

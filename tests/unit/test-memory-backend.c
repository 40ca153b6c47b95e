/* SPDX-License-Identifier: MIT */
/*
 * Memory back ends: sharing with another process, files that are too small, preallocation, huge pages, giving pages
 * back.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/bits.h"
#include "hw/core/ram.h"
#include "hw/mem/backend.h"

static MemoryBackend *add(const char *text, Error **errp)
{
    g_autoptr(Opts) o = opts_parse(text, "qom-type", NULL);
    return (MemoryBackend *)object_add(o, errp);
}

static void refused(const char *text, const char *part)
{
    Error *err = NULL;
    g_assert_null(add(text, &err));
    g_assert_nonnull(strstr(err->message, part));
    error_free(err);
}

static unsigned resident(const uint8_t *at, size_t len)
{
    g_autofree unsigned char *map = g_malloc(len / 4096);
    unsigned n = 0;
    g_assert_cmpint(mincore((void *)at, len, map), ==, 0);
    for (size_t i = 0; i < len / 4096; i++)
        n += map[i] & 1;
    return n;
}

static RamBlock block_of(const MemoryBackend *m)
{
    RamBlock b = { 0 };
    for (uint64_t at = 0; at < mem_ram_addr_limit(); at += 4096) {
        if (ram_block_find(at, &b) && b.host == mem_host(m->region))
            break;
    }
    g_assert_true(b.host == mem_host(m->region));
    return b;
}

static void test_share(void)
{
    g_autofree char *folder = g_dir_make_tmp("rhea-mem-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(folder, "ram", NULL);
    g_autofree char *text = g_strdup_printf("memory-backend-file,id=f,size=1M,share=on,mem-path=%s", file);
    MemoryBackend *m = add(text, NULL);
    g_assert_nonnull(m);
    uint8_t *p = mem_host(m->region);
    p[4096] = 1;
    pid_t child = fork();
    if (!child) { /* another process that maps the file */
        FILE *f = fopen(file, "r+");
        uint8_t *q = mmap(NULL, MiB, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(f), 0);
        bool ok = q != MAP_FAILED && q[4096] == 1;
        if (ok)
            q[8192] = 2;
        _exit(ok ? 0 : 1);
    }
    int status;
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(status, ==, 0);
    g_assert_cmpuint(p[8192], ==, 2);
    RamBlock b = block_of(m);
    g_assert_cmpuint(ram_discard(b.start + 8192, 4096), ==, 4096);
    g_assert_cmpuint(p[8192], ==, 0);
    g_assert_cmpuint(p[4096], ==, 1);
    g_assert_true(object_del("f", NULL));
    g_autofree char *large = g_strdup_printf("memory-backend-file,id=f,size=2M,mem-path=%s", file);
    refused(large, "too small");
    g_unlink(file);
    g_rmdir(folder);
}

static void test_prealloc(void)
{
    MemoryBackend *m = add("memory-backend-ram,id=p,size=4M,prealloc=on,prealloc-threads=3", NULL);
    g_assert_nonnull(m);
    g_assert_cmpuint(resident(mem_host(m->region), 4 * MiB), ==, 1024);
    RamBlock b = block_of(m);
    memset(b.host, 0xaa, 4 * MiB);
    g_assert_cmpuint(ram_discard(b.start + 100, 3 * 4096), ==, 2 * 4096); /* whole pages inside */
    g_assert_cmpuint(b.host[4095], ==, 0xaa);
    g_assert_cmpuint(b.host[4096], ==, 0);
    g_assert_cmpuint(b.host[3 * 4096], ==, 0xaa);
    g_assert_cmpuint(ram_discard(b.start, 4 * MiB), ==, 4 * MiB);
    g_assert_cmpuint(b.host[0], ==, 0);
    g_assert_true(object_del("p", NULL));
}

static void test_memfd(void)
{
    MemoryBackend *m = add("memory-backend-memfd,id=m,size=2M", NULL);
    g_assert_nonnull(m);
    RamBlock b = block_of(m);
    g_assert_true(b.shared && b.fd >= 0);
    b.host[0] = 7;
    g_assert_cmpuint(ram_discard(b.start, 2 * MiB), ==, 2 * MiB);
    g_assert_cmpuint(b.host[0], ==, 0);
    g_assert_nonnull(memory_backend_take("m", NULL));
    g_assert_null(memory_backend_take("m", NULL)); /* one user each */
    g_assert_false(object_del("m", NULL));
    object_release(&m->object);
    g_assert_true(object_del("m", NULL));
}

static void test_errors(void)
{
    refused("memory-backend-ram,id=x", "size=");
    refused("memory-backend-ram,id=x,size=5000", "multiple of 4 KiB");
    refused("memory-backend-ram,id=x,size=1M,policy=bind", "host-nodes");
    refused("memory-backend-ram,id=x,size=1M,host-nodes=0", "policy=");
    refused("memory-backend-ram,id=x,size=1M,policy=bind,host-nodes=1-x", "list of nodes");
    refused("memory-backend-ram,id=x,size=8192G,prealloc=on", "memory 'x'");
    refused("memory-backend-file,id=x,size=1M", "mem-path");
    refused("memory-backend-file,id=x,size=1M,mem-path=/nonexistent/file",
            "can't open mem-path=/nonexistent/file: No such file or directory; give a file");
    refused("memory-backend-file,id=x,size=1M,mem-path=/dev/null",
            "mem-path=/dev/null is neither a file, nor a folder, nor a DAX device; give one");
    refused("memory-backend-memfd,id=x,size=2M,hugetlbsize=2M", "hugetlb=on");
}

/* What the kernel has noted of the mapping at p: "mg" mergeable (KSM), "dd" not in core dumps ... */
static bool has_flag(const void *p, const char *flag)
{
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents("/proc/self/smaps", &text, NULL, NULL));
    g_auto(GStrv) line = g_strsplit(text, "\n", -1);
    bool here = false;
    for (char **l = line; *l; l++) {
        char *dash;
        uint64_t from = g_ascii_strtoull(*l, &dash, 16), to = *dash == '-' ? g_ascii_strtoull(dash + 1, NULL, 16) : 0;
        if (to)
            here = (uintptr_t)p >= from && (uintptr_t)p < to;
        else if (here && g_str_has_prefix(*l, "VmFlags:"))
            return strstr(*l, flag);
    }
    g_assert_not_reached();
}

/* merge= and dump= of the back end, unless -machine mem-merge=off or dump-guest-core=off forbid it for all. */
static void test_merge_dump(void)
{
    static const struct { const char *text; bool merge, dump, merged, dumped;
    } cases[] = {
        { "memory-backend-ram,id=m,size=1M", true, true, true, true },
        { "memory-backend-ram,id=m,size=1M,merge=off,dump=off", true, true, false, false },
        { "memory-backend-ram,id=m,size=1M", false, false, false, false },
        { "memory-backend-ram,id=m,size=1M,merge=on,dump=on", false, true, false, true },
    };
    bool ksm = g_file_test("/sys/kernel/mm/ksm/run", G_FILE_TEST_EXISTS);
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        ram_source_set_defaults(cases[i].merge, cases[i].dump);
        MemoryBackend *m = add(cases[i].text, NULL);
        g_assert_nonnull(m);
        if (ksm)
            g_assert_cmpint(has_flag(mem_host(m->region), " mg"), ==, cases[i].merged);
        g_assert_cmpint(has_flag(mem_host(m->region), " dd"), ==, !cases[i].dumped);
        g_assert_true(object_del("m", NULL));
    }
    ram_source_set_defaults(true, true);
    if (!ksm)
        g_test_message("the host has no KSM: merge= is not looked at");
}

/* Where the host has huge pages, the block is of them; where not, the line says where to get them. */
static void test_huge(void)
{
    Error *err = NULL;
    MemoryBackend *m = add("memory-backend-memfd,id=h,size=4M,hugetlb=on,hugetlbsize=2M", &err);
    if (m) {
        RamBlock b = block_of(m);
        g_assert_cmpuint(b.page_size, ==, 2 * MiB);
        memset(b.host, 1, 4 * MiB);
        g_assert_cmpuint(ram_discard(b.start + 4096, 2 * MiB), ==, 0); /* no whole page */
        g_assert_cmpuint(ram_discard(b.start, 2 * MiB), ==, 2 * MiB);
        g_assert_cmpuint(b.host[0], ==, 0);
        g_assert_true(object_del("h", NULL));
    } else {
        g_assert_nonnull(strstr(err->message, "huge pages"));
        g_assert_nonnull(strstr(err->message, "/sys/kernel/mm/hugepages"));
        g_clear_pointer(&err, error_free);
    }
    refused("memory-backend-memfd,id=h,size=4M,hugetlb=on,hugetlbsize=3M", "not a power of two");
    refused("memory-backend-memfd,id=h,size=4M,hugetlb=on,hugetlbsize=4K", "huge pages of this size");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/memory-backend/share", test_share);
    g_test_add_func("/memory-backend/prealloc", test_prealloc);
    g_test_add_func("/memory-backend/memfd", test_memfd);
    g_test_add_func("/memory-backend/merge-and-dump", test_merge_dump);
    g_test_add_func("/memory-backend/huge-pages", test_huge);
    g_test_add_func("/memory-backend/errors", test_errors);
    return g_test_run();
}

/* SPDX-License-Identifier: MIT */
/* Memory back ends: sharing with another process, files that are too small, preallocation, huge pages, giving pages back. */
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
    refused("memory-backend-file,id=x,size=1M,mem-path=/nonexistent/file", "No such file");
    refused("memory-backend-memfd,id=x,size=2M,hugetlbsize=2M", "hugetlb=on");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/memory-backend/share", test_share);
    g_test_add_func("/memory-backend/prealloc", test_prealloc);
    g_test_add_func("/memory-backend/memfd", test_memfd);
    g_test_add_func("/memory-backend/errors", test_errors);
    return g_test_run();
}

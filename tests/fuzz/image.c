/* SPDX-License-Identifier: MIT */
/*
 * Every format's open, info, check, map, read, repair, write, snapshots, bitmaps and resize on an image that somebody
 * has tampered with.
 *
 *   fuzz-image FILE|FOLDER...      each file once (tests/fuzz/corpus-image in `make check`)
 *   tests/fuzz/run [SECONDS]       libFuzzer, with AddressSanitizer
 *
 * An input is an image without its zeroes: records of offset (4 bytes, little endian), length (2) and data; length 0:
 * the file's size. Checksums are put right, so that what they guard is reached. tests/fuzz/pack makes inputs from
 * images.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/object.h"
#include "block/driver.h"
#include "block/vhdx/vhdx.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory.h"

enum { FILE_MAX = 6 << 20 };
#define file memory_file

/* --- no file is opened but what the image may name --- */

static const char *watched; /* the only folder in which files are opened meanwhile */
static bool meanwhile;      /* an input is being looked at */
static bool any_file; /* qcow2: its external data file can have any name, as a backing file can; whatever it is, it is
                         the file "data" */

static int checked_open(const char *path, int flags, mode_t mode)
{
    if (meanwhile && any_file)
        path = "data";
    if (meanwhile && (path[0] == '/' || strstr(path, ".."))) {
        fprintf(stderr, "fuzz-image: the image made us open '%s'\n", path);
        abort();
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
#define OPEN(name) \
    int name(const char *path, int flags, ...); \
    int name(const char *path, int flags, ...) \
    { \
        va_list ap; \
        va_start(ap, flags); \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0; \
        va_end(ap); \
        return checked_open(path, flags, mode); \
    }
#pragma GCC diagnostic ignored "-Wredundant-decls"
#undef open
#undef open64
OPEN(open64)

/* --- inputs --- */

static void unpack(const uint8_t *data, size_t size)
{
    g_byte_array_set_size(file, 0);
    while (size >= 6) {
        uint64_t at = load_le32(data), len = load_le16(data + 4), stop = MIN(at + len, (uint64_t)FILE_MAX);
        guint old = file->len;
        data += 6;
        size -= 6;
        len = MIN(len, size);
        if (stop > old) {
            g_byte_array_set_size(file, (guint)stop);
            memset(file->data + old, 0, stop - old);
        }
        if (at < file->len)
            memcpy(file->data + at, data, MIN(len, file->len - at));
        data += len;
        size -= len;
    }
}

static void sum_vhdx(uint64_t at, uint64_t len)
{
    if (at + len <= file->len)
        store_le32(file->data + at + 4, vhdx_checksum(file->data + at, len, 4));
}

static void sum_vpc(uint64_t at, uint64_t len, uint64_t where)
{
    uint32_t sum = 0;
    if (at > file->len || len > file->len - at)
        return;
    store_be(file->data + at + where, 4, 0);
    for (uint64_t i = 0; i < len; i++)
        sum += file->data[at + i];
    store_be(file->data + at + where, 4, ~sum);
}

/* A passphrase is tried as often as the header says, which is nothing to wait for here. */
static void hurry_luks(uint8_t *h)
{
    store_be(h + 164, 4, load_be(h + 164, 4) & 3);
    for (unsigned i = 0; i < 8; i++)
        store_be(h + 208 + i * 48 + 4, 4, load_be(h + 208 + i * 48 + 4, 4) & 3);
}

static void mend_checksums(void)
{
    for (uint64_t at = 0; at + 592 <= file->len && at < MiB; at += 512) {
        if (!memcmp(file->data + at, "LUKS\xba\xbe", 6))
            hurry_luks(file->data + at);
    }

    if (file->len >= MiB && !memcmp(file->data, "vhdxfile", 8)) {
        sum_vhdx(VHDX_HEADER1, VHDX_HEADER);
        sum_vhdx(VHDX_HEADER2, VHDX_HEADER);
        sum_vhdx(VHDX_REGIONS, VHDX_REGION_SIZE);
        sum_vhdx(VHDX_REGIONS + VHDX_REGION_SIZE, VHDX_REGION_SIZE);
        for (uint64_t at = MiB; at + 64 <= file->len && at < 2 * MiB; at += VHDX_PAGE) {
            if (!memcmp(file->data + at, "loge", 4))
                sum_vhdx(at, MAX(load_le32(file->data + at + 8), 64u));
        }
    }
    if (file->len >= 512 && !memcmp(file->data, "conectix", 8)) {
        sum_vpc(0, 512, 64);
        sum_vpc(load_be(file->data + 16, 8), 1024, 36);
    }
    if (file->len >= 512 && !memcmp(file->data + file->len - 512, "conectix", 8))
        sum_vpc(file->len - 512, 512, 64);
}

/* --- what is done to it --- */

static const char *trailer_format(void)
{
    if (file->len >= 512 && !memcmp(file->data + file->len - 512, "conectix", 8))
        return "vpc";
    return file->len >= 512 && !memcmp(file->data + file->len - 512, "koly", 4) ? "dmg" : NULL;
}

static BlockNode *open_image(const char *format, unsigned flags)
{
    g_autoptr(Opts) o = opts_new();
    Error *err = NULL;
    opts_set(o, "file.driver", "fuzz-mem");
    if (format)
        opts_set(o, "driver", format);
    if (file->len >= 6 && !memcmp(file->data, "LUKS\xba\xbe", 6))
        opts_set(o, "key-secret", "key");
    else if (file->len >= 40 && !memcmp(file->data, "QFI\xfb", 4) &&
             load_be(file->data + (file->data[7] == 1 ? 36 : 32), 4))
        opts_set(o, "encrypt.key-secret", "key");
    BlockNode *n = block_open(NULL, o, flags | BLOCK_NO_BACKING, &err);
    error_free(err);
    return n;
}

static void look(BlockNode *n)
{
    static uint8_t buf[70000];
    uint64_t size = block_size(n), at = 0;
    BlockInfo info;
    GArray *list = NULL;
    BlockStatus s;
    block_info(n, &info, NULL);
    block_info_clear(&info);
    block_snapshot_list(n, &list, NULL);
    g_clear_pointer(&list, g_array_unref);
    for (unsigned i = 0; i < 64 && at < size && !block_status(n, at, size - at, &s) && s.pnum; i++)
        at += s.pnum;
    const uint64_t places[] = { 0, size / 2, size > sizeof buf ? size - sizeof buf : 0, at < size ? at : 0 };
    for (unsigned i = 0; i < ARRAY_LEN(places); i++)
        block_pread(n, places[i], buf, (size_t)MIN(size - places[i], (uint64_t)sizeof buf));
}

static void check(BlockNode *n) { block_check(n, &(BlockCheck){ 0 }, 0, NULL); }
static void repair(BlockNode *n) { block_check(n, &(BlockCheck){ 0 }, BLOCK_FIX_ERRORS | BLOCK_FIX_LEAKS, NULL); }

static void change(BlockNode *n)
{
    static uint8_t buf[5000] = { 1, 2, 3 };
    uint64_t size = block_size(n);
    const uint64_t places[] = { 0, size / 3, size > sizeof buf ? size - sizeof buf : 0 };
    for (unsigned i = 0; i < ARRAY_LEN(places); i++)
        block_pwrite(n, places[i], buf, (size_t)MIN(size - places[i], (uint64_t)sizeof buf));
    block_pwrite_zeroes(n, size / 2, MIN(size - size / 2, (uint64_t)200000), BLOCK_REQ_MAY_UNMAP);
    block_pdiscard(n, 0, MIN(size, (uint64_t)100000));
    block_flush(n);
}

/* What users do with the image as a whole. */
static void manage(BlockNode *n)
{
    static uint8_t cluster[65536];
    struct iovec iov = { cluster, sizeof cluster };
    BlockSnapshot s = { .name = "fuzz", .icount = UINT64_MAX };
    GArray *list = NULL;
    Opts *o = opts_new();
    block_bitmap_add(n, "fuzz", 0, BITMAP_PERSISTENT, NULL);
    block_pwritev(n, 0, &iov, 1, BLOCK_REQ_COMPRESSED);
    block_snapshot_create(n, &s, NULL);
    change(n);
    if (block_snapshot_list(n, &list, NULL) && list->len > 1)
        block_snapshot_apply(n, g_array_index(list, BlockSnapshot, 0).id, NULL);
    g_clear_pointer(&list, g_array_unref);
    block_snapshot_delete(n, "fuzz", NULL);
    if (block_bitmap_nth(n, 0))
        block_bitmap_clear(block_bitmap_nth(n, 0), NULL);
    block_truncate(n, block_size(n) + 300000, PREALLOC_OFF, false, NULL);
    block_truncate(n, MIN(block_size(n), (uint64_t)100000), PREALLOC_OFF, true, NULL);
    opts_set(o, "compat", "0.10");
    block_amend(n, o, false, NULL);
    opts_free(o);
    block_change_backing(n, NULL, NULL, NULL);
}

static void no_report(void *opaque, const char *line) {}

static void enter_folder(void)
{
    static char in_memory[] = "/dev/shm/rhea-fuzz-XXXXXX", on_disk[] = "/tmp/rhea-fuzz-XXXXXX";
    const char *folder = mkdtemp(in_memory) ? in_memory : mkdtemp(on_disk);
    Error *err = NULL;
    file = g_byte_array_new();
    if (!object_new("secret", "key", &err, "data", "pass-a", NULL))
        abort();
    memory_register();
    error_set_sink(no_report, NULL);
    if (!folder || chdir(folder) || !g_file_set_contents("e.vmdk", "", 0, NULL) ||
        !g_file_set_contents("data", "", 0, NULL))
        abort();
    const struct rlimit files = { 96 << 20, 96 << 20 }; /* the external data file is a true one */
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &files);
    watched = folder;
}

static void restart(const uint8_t *data, size_t size)
{
    bool was = meanwhile;
    meanwhile = false;
    for (unsigned i = 0; i < 2; i++) {
        if (truncate("e.vmdk", i * 65536) || truncate("data", i * 300000))
            abort();
    }
    unpack(data, size);
    mend_checksums();
    meanwhile = was;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!watched)
        enter_folder();
    restart(data, size);
    any_file = file->len >= 4 && !memcmp(file->data, "QFI\xfb", 4);
    static const struct { unsigned flags; void (*work)(BlockNode *);
    } passes[] = {
        { BLOCK_CHECK, check },
        { 0, NULL },
        { BLOCK_RDWR | BLOCK_UNMAP, change },
        { BLOCK_CHECK | BLOCK_RDWR, repair },
        { BLOCK_RDWR | BLOCK_UNMAP, manage },
    };
    const char *format = trailer_format();
    meanwhile = true;
    for (unsigned i = 0; i < ARRAY_LEN(passes); i++) {
        if (i == 3)
            restart(data, size);
        BlockNode *n = open_image(format, passes[i].flags);
        if (!n)
            continue;
        if (passes[i].work)
            passes[i].work(n);
        look(n);
        block_unref(n);
    }
    meanwhile = false;
    return 0;
}

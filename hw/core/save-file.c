/* SPDX-License-Identifier: MIT */
/* A saved machine in a file: the state stream, then the pages of RAM that are not zero. Format: docs/state.md. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include "base/bits.h"
#include "hw/core/machine.h"
#include "hw/core/ram.h"

#define MAGIC "RHEASAVE"
#define PAGE UINT64_C(4096)
#define RUN_END UINT64_MAX /* as the start of a run: no more of them */
#define STREAM_MAX (256 * MiB)

/* One file being written or read; the checksum covers everything before it. */
typedef struct File {
    FILE *f;
    uint32_t crc;
    bool failed;
} File;

static void put(File *f, const void *data, size_t len)
{
    f->crc = (uint32_t)crc32_z(f->crc, data, len);
    f->failed |= fwrite(data, 1, len, f->f) != len;
}

static void put_u64(File *f, uint64_t v)
{
    uint8_t b[8];
    store_le64(b, v);
    put(f, b, 8);
}

static bool get(File *f, void *data, size_t len)
{
    if (fread(data, 1, len, f->f) != len)
        return false;
    f->crc = (uint32_t)crc32_z(f->crc, data, len);
    return true;
}

static bool get_u64(File *f, uint64_t *v)
{
    uint8_t b[8];
    if (!get(f, b, 8))
        return false;
    *v = load_le64(b);
    return true;
}

static bool page_is_zero(const uint8_t *p)
{
    const uint64_t *w = (const uint64_t *)p;
    for (unsigned i = 0; i < PAGE / 8; i++) {
        if (w[i])
            return false;
    }
    return true;
}

/* Runs of pages with contents: start, length, bytes. */
static void save_block(const RamBlock *b, void *opaque)
{
    File *f = opaque;
    uint64_t at = 0;
    while (at < b->size && !f->failed) {
        while (at < b->size && page_is_zero(b->host + at))
            at += PAGE;
        uint64_t end = at;
        while (end < b->size && end - at < MiB && !page_is_zero(b->host + end))
            end += PAGE;
        if (end > at) {
            put_u64(f, b->start + at);
            put_u64(f, end - at);
            put(f, b->host + at, end - at);
        }
        at = end;
    }
}

static void save_size(const RamBlock *b, void *opaque)
{
    put_u64(opaque, b->start);
    put_u64(opaque, b->size);
}

static void count_blocks(const RamBlock *b, void *opaque)
{
    ++*(uint64_t *)opaque;
}

static void write_all(File *f)
{
    StateWriter *w = state_writer_new();
    device_save_all(w);
    g_autoptr(GBytes) stream = state_writer_finish(w);
    uint64_t blocks = 0;
    ram_foreach_block(count_blocks, &blocks);
    put(f, MAGIC, 8);
    put_u64(f, g_bytes_get_size(stream));
    put_u64(f, blocks);
    ram_foreach_block(save_size, f);
    put(f, g_bytes_get_data(stream, NULL), g_bytes_get_size(stream));
    ram_foreach_block(save_block, f);
    put_u64(f, RUN_END);
    put_u64(f, f->crc);
}

bool machine_save(const char *path, Error **errp)
{
    RunState before = machine_run_state();
    File f = { .f = fopen(path, "wb") };
    if (!f.f) {
        error_set_errno(errp, errno, "saving the machine to '%s'", path);
        return false;
    }
    machine_pause(RUN_SAVING);
    write_all(&f);
    int err = f.failed ? errno : 0;
    if (fclose(f.f) && !err)
        err = errno;
    machine_pause(before == RUN_RUNNING ? RUN_PAUSED : before);
    if (before == RUN_RUNNING)
        machine_resume();
    if (err)
        error_set_errno(errp, err, "saving the machine to '%s'", path);
    return !err;
}

typedef struct BlockCheck {
    File *f;
    bool ok;
} BlockCheck;

static void check_size(const RamBlock *b, void *opaque)
{
    BlockCheck *c = opaque;
    uint64_t start, size;
    c->ok = c->ok && get_u64(c->f, &start) && get_u64(c->f, &size) && start == b->start && size == b->size;
}

static void clear_block(const RamBlock *b, void *opaque)
{
    for (uint64_t at = 0; at < b->size; at += PAGE) {
        if (!page_is_zero(b->host + at))
            memset(b->host + at, 0, PAGE);
    }
}

static void report_block(const RamBlock *b, void *opaque)
{
    mem_ram_written(b->start, b->size);
}

static bool read_runs(File *f)
{
    ram_foreach_block(clear_block, NULL);
    for (;;) {
        uint64_t start, len;
        if (!get_u64(f, &start))
            return false;
        if (start == RUN_END)
            return true;
        uint8_t *host = mem_ram_host(start);
        if (!host || !get_u64(f, &len) || !len || len > MiB || (start | len) % PAGE || mem_ram_host(start + len - 1) != host + len - 1)
            return false;
        if (!get(f, host, len))
            return false;
    }
}

/* The state stream, or NULL. */
static GBytes *read_head(File *f, Error **errp)
{
    char magic[8];
    uint64_t len, blocks, have = 0;
    if (!get(f, magic, 8) || memcmp(magic, MAGIC, 8)) {
        error_setf(errp, "this is no saved machine of rhea");
        return NULL;
    }
    ram_foreach_block(count_blocks, &have);
    if (!get_u64(f, &len) || !get_u64(f, &blocks) || len > STREAM_MAX) {
        error_setf(errp, "the file is damaged or cut short");
        return NULL;
    }
    BlockCheck check = { f, blocks == have };
    if (check.ok)
        ram_foreach_block(check_size, &check);
    if (!check.ok) {
        error_setf(errp, "the saved machine has other memory; start this one with the same -M, -m and -device options");
        return NULL;
    }
    g_autofree uint8_t *data = g_try_malloc(len + 1);
    if (!data || !get(f, data, len)) {
        error_setf(errp, "the file is damaged or cut short");
        return NULL;
    }
    return g_bytes_new_take(g_steal_pointer(&data), len);
}

static bool read_all(File *f, Error **errp)
{
    g_autoptr(GBytes) stream = read_head(f, errp);
    if (!stream)
        return false;
    StateReader *r = state_reader_new(stream, errp);
    if (!r)
        return false;
    uint64_t crc, want = 0;
    bool ok = read_runs(f);
    crc = f->crc;
    ok = ok && get_u64(f, &want) && want == crc;
    if (!ok)
        error_setf(errp, "the memory contents are damaged or cut short");
    ok = ok && device_load_all(r, errp);
    state_reader_free(r);
    ram_foreach_block(report_block, NULL);
    return ok;
}

bool machine_load(const char *path, Error **errp)
{
    RunState before = machine_run_state();
    File f = { .f = fopen(path, "rb") };
    if (!f.f) {
        error_set_errno(errp, errno, "loading the machine from '%s'", path);
        return false;
    }
    machine_pause(RUN_LOADING);
    bool ok = read_all(&f, errp);
    fclose(f.f);
    if (!ok)
        error_prependf(errp, "loading the machine from '%s'", path);
    machine_pause(ok ? (before == RUN_RUNNING ? RUN_PAUSED : before) : RUN_INTERNAL_ERROR);
    if (ok && before == RUN_RUNNING)
        machine_resume();
    return ok;
}

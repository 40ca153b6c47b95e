/* SPDX-License-Identifier: MIT */
/*
 * For tests of controllers: a medium that fails when it is told, and the machine that stands because of it. Included
 * once in a program.
 */
#ifndef TESTS_DEVICE_BAD_MEDIUM_H
#define TESTS_DEVICE_BAD_MEDIUM_H

#include <errno.h>
#include "block/backend.h"
#include "block/driver.h"
#include "hw/core/machine.h"
#include "tests/device/whole-state.h"

/* --- a medium ("test-bad", above file) that fails as often as it is told --- */

static _Atomic int failures;
static int failure = -EIO;
static enum { FAIL_ALL, FAIL_WRITES } failing_op;

static int fails(bool write)
{
    if (failing_op == FAIL_WRITES && !write)
        return 0;
    return atomic_load(&failures) > 0 && atomic_fetch_sub(&failures, 1) > 0 ? failure : 0;
}

static int bad_preadv(BlockNode *n, uint64_t at, uint64_t len, const struct iovec *iov, int count)
{
    int error = fails(false);
    return error ? error : block_preadv(n->file, at, iov, count);
}
static int bad_pwritev(BlockNode *n, uint64_t at, uint64_t len, const struct iovec *iov, int count, unsigned flags)
{
    int error = fails(true);
    return error ? error : block_pwritev(n->file, at, iov, count, flags);
}
static int bad_flush(BlockNode *n)
{
    int error = fails(false);
    return error ? error : block_flush(n->file);
}
static int bad_discard(BlockNode *n, uint64_t at, uint64_t len) { return fails(false); }
static bool bad_open(BlockNode *n, Opts *options, Error **errp)
{
    n->size = n->file->size;
    return true;
}
static void bad_close(BlockNode *n) { }
static const BlockDriver bad_driver = { .name = "test-bad",
                                        .desc = "fails when told",
                                        .open = bad_open,
                                        .close = bad_close,
                                        .preadv = bad_preadv,
                                        .pwritev = bad_pwritev,
                                        .flush = bad_flush,
                                        .pdiscard = bad_discard };
BLOCK_DRIVER_REGISTER(bad_driver)

/* --- the machine that stands: what failed is held, and carried out when it goes on, in this process or another --- */

static inline void wait_held(const char *drive)
{
    for (unsigned i = 0; i < 20000 && atomic_load(&failures) > 0; i++)
        g_usleep(100);
    blk_drain(blk_find(drive));
    MachineRequests r = machine_take_requests();
    g_assert_true(r.pause);
    g_assert_cmpint(r.pause_state, ==, RUN_IO_ERROR);
}

static inline void go_on(const char *drive, bool load)
{
    if (load)
        save_reset_load();
    machine_pause(RUN_IO_ERROR);
    machine_resume();
    blk_drain(blk_find(drive));
    machine_pause(RUN_PAUSED);
}
#endif

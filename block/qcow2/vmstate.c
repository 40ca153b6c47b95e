/* SPDX-License-Identifier: MIT */
/* qcow2: the machine's state, behind the end of the disk. */
#include <stdlib.h>
#include "block/qcow2/qcow2.h"

uint64_t q2_vmstate_start(const Qcow2 *q, uint64_t disk_size)
{
    return q2_l1_needed(q, disk_size) << (q->cluster_bits + q->l2_bits);
}

/* Encrypted: whole sectors around the range; what is around it is read first. */
static int vmstate_sectors(BlockNode *n, uint64_t at, uint64_t len, const struct iovec *iov, int iovcnt)
{
    uint64_t start = align_down(at, CRYPTO_SECTOR), end = align_up(at + len, CRYPTO_SECTOR);
    struct iovec one = { g_malloc(end - start), end - start };
    block_partial_begin(n); /* two writers may share a sector */
    int r = q2_read_range(n, start, end - start, &one, 1);
    if (!r) {
        iov_to_buf(iov, iovcnt, 0, (uint8_t *)one.iov_base + (at - start), len);
        r = q2_pwritev(n, start, end - start, &one, 1, 0);
    }
    block_partial_end(n);
    g_free(one.iov_base);
    return r;
}

int q2_vmstate_pwritev(BlockNode *n, uint64_t offset, const struct iovec *iov, int iovcnt)
{
    Qcow2 *q = q2_of(n);
    uint64_t at = q2_vmstate_start(q, block_size(n)) + offset, len = iov_bytes(iov, iovcnt);
    if (q->crypt_method && (at | len) % CRYPTO_SECTOR)
        return vmstate_sectors(n, at, len, iov, iovcnt);
    return q2_pwritev(n, at, len, iov, iovcnt, 0);
}

int q2_vmstate_reserve(BlockNode *n, uint64_t offset, uint64_t len)
{
    return q2_reserve(n, q2_vmstate_start(q2_of(n), block_size(n)) + offset, len);
}

int q2_vmstate_discard(BlockNode *n)
{
    Qcow2 *q = q2_of(n);
    uint64_t start = q2_vmstate_start(q, block_size(n));
    Q2Request request;
    pthread_mutex_lock(&q->lock);
    uint64_t end = (uint64_t)q->l1_size << (q->cluster_bits + q->l2_bits);
    int r = q->broken ? -EIO : 0;
    if (!r && end > start) {
        q2_request_begin(q, &request, start, end - start, Q2_ALLOCATES);
        r = q2_discard_range(n, start, end - start, true);
        q2_request_end(q, &request);
    }
    pthread_mutex_unlock(&q->lock);
    return r;
}

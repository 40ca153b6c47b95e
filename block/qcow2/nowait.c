/* SPDX-License-Identifier: MIT */
/* qcow2: requests that wait for nothing: one run of clusters whose table is in memory. */
#include "base/iov.h"
#include "block/aio.h"
#include "block/qcow2/qcow2.h"

/* Where the range stands when it is all of one kind, and the request is entered; the caller ends it. */
static bool begin(BlockNode *n, uint64_t offset, uint64_t len, bool write, Q2Request *r, Q2Map *m)
{
    Qcow2 *q = q2_of(n);
    *r = (Q2Request){ .start = offset, .end = offset + len, .use = write ? Q2_WRITES : Q2_READS };
    if (pthread_mutex_trylock(&q->lock))
        return false;
    bool ok = !q->broken && !(write && q->crypt_method) && q2_l2_cached(q, offset) && !q2_request_conflicts(q, r) &&
              !q2_map(n, offset, len, m) && m->len == len;
    bool zero = ok && !write &&
                (m->kind == Q2_ZERO || m->kind == Q2_ZERO_ALLOCATED || (m->kind == Q2_UNALLOCATED && !n->backing));
    ok = ok && (zero ||
                (m->kind == Q2_DATA && (!write || (m->copied && (q->data_node || q2_overlap_clear(q, m->host, len))))));
    if (ok)
        q2_request_begin(q, r, offset, len, r->use);
    pthread_mutex_unlock(&q->lock);
    return ok;
}

static int run(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, bool write)
{
    Qcow2 *q = q2_of(n);
    Q2Request request;
    Q2Map m;
    if (!begin(n, offset, len, write, &request, &m))
        return -EAGAIN;
    int r = 0;
    if (m.kind != Q2_DATA)
        iov_zero(iov, iovcnt, 0, len);
    else
        r = write ? block_pwritev_nowait(q->data, m.host, iov, iovcnt)
                  : q2_data_preadv_nowait(n, offset, m.host, iov, iovcnt);
    q2_request_end(q, &request);
    return r;
}

int q2_preadv_nowait(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return run(n, offset, len, iov, iovcnt, false);
}

int q2_pwritev_nowait(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return run(n, offset, len, iov, iovcnt, true);
}

int q2_aio(BlockNode *n, BlockAio *a, BlockAioStep *step)
{
    Qcow2 *q = q2_of(n);
    bool write = a->op == BLK_WRITE;
    if ((!write && a->op != BLK_READ) || q->crypt_method)
        return -EAGAIN;
    Q2Request *request = g_new(Q2Request, 1);
    Q2Map m;
    if (begin(n, step->offset, a->bytes, write, request, &m)) {
        step->data = request;
        if (m.kind == Q2_DATA && !block_aio(q->data, a, m.host))
            return 0;
        q2_request_end(q, request);
    }
    g_free(request);
    return -EAGAIN;
}

void q2_aio_ended(BlockNode *n, BlockAioStep *step)
{
    q2_request_end(q2_of(n), step->data);
    g_free(step->data);
}

/* SPDX-License-Identifier: MIT */
/* NVMe: the NVM command set (NVM Express 1.4, chapter 6). */
#include <errno.h>
#include <string.h>
#include "hw/storage/nvme.h"

enum { FUA = 1u << 30, DEALLOCATE = 1u << 25, DSM_DEALLOCATE = 4 };

static uint16_t status_of(const NvmeRequest *r, int error)
{
    if (!error)
        return SC_OK;
    return error == -EROFS                                                   ? SC_READ_ONLY | SC_DNR
           : r->req.blk.op == BLK_WRITE || r->req.blk.op == BLK_WRITE_ZEROES ? SC_WRITE_FAULT
                                                                             : SC_READ_FAULT;
}

static void count(Nvme *n, const NvmeRequest *r)
{
    if (r->cmd[0] == NVM_READ)
        n->reads++, n->read_units += r->req.blk.bytes / 512;
    else if (r->cmd[0] == NVM_WRITE)
        n->writes++, n->written_units += r->req.blk.bytes / 512;
}

static bool same(const NvmeRequest *r)
{
    const uint8_t *p = r->compare;
    for (unsigned i = 0; i < r->data.count; i++) {
        if (memcmp(p, r->data.iov[i].iov_base, r->data.iov[i].iov_len))
            return false;
        p += r->data.iov[i].iov_len;
    }
    return true;
}

static void done(DriveRequest *req, int error)
{
    NvmeRequest *r = container_of(req, NvmeRequest, req);
    Nvme *n = r->n;
    uint16_t status = status_of(r, error);
    if (!error && r->cmd[0] == NVM_COMPARE && !same(r))
        status = SC_COMPARE | SC_DNR;
    if (!error)
        count(n, r);
    dma_vec_finish(&r->data, error || r->cmd[0] != NVM_READ ? 0 : req->blk.bytes);
    nvme_complete(r, status);
}

static void submit(NvmeRequest *r, BlkOp op, uint64_t offset, uint64_t bytes, unsigned flags)
{
    r->req = (DriveRequest){ .blk = { .op = op,
                                      .offset = offset,
                                      .bytes = bytes,
                                      .flags = flags,
                                      .iov = r->data.iov,
                                      .iovcnt = (int)r->data.count },
                             .done = done };
    if (r->compare) {
        r->compare_iov = (struct iovec){ r->compare, bytes };
        r->req.blk.iov = &r->compare_iov;
        r->req.blk.iovcnt = 1;
    }
    drive_submit(&r->ns->queue, &r->req);
}

/* The blocks that CDW10 to CDW12 name; false: completed with an error. */
static bool range(NvmeRequest *r, uint64_t *offset, uint64_t *bytes)
{
    const NvmeNs *ns = r->ns;
    uint64_t lba = nvme_dword(r, 10) | (uint64_t)nvme_dword(r, 11) << 32, blocks = (nvme_dword(r, 12) & 0xffff) + 1,
             all = nvme_blocks(ns);
    if (lba > all || blocks > all - lba) {
        drive_invalid(&r->ns->queue, r->cmd[0] == NVM_WRITE          ? BLK_WRITE
                                     : r->cmd[0] == NVM_WRITE_ZEROES ? BLK_WRITE_ZEROES
                                                                     : BLK_READ);
        nvme_complete(r, SC_LBA_RANGE | SC_DNR);
        return false;
    }
    *offset = lba << nvme_lba_bits(ns);
    *bytes = blocks << nvme_lba_bits(ns);
    return true;
}

static bool writable(NvmeRequest *r)
{
    bool ok = blk_writable(r->ns->blk);
    if (!ok)
        nvme_complete(r, SC_READ_ONLY | SC_DNR);
    return ok;
}

static void read_write(NvmeRequest *r)
{
    uint64_t offset, bytes;
    bool write = r->cmd[0] == NVM_WRITE, compare = r->cmd[0] == NVM_COMPARE;
    if ((write && !writable(r)) || !range(r, &offset, &bytes))
        return;
    uint16_t status = nvme_map(r, bytes, !write && !compare);
    if (status) {
        nvme_complete(r, status);
        return;
    }
    if (compare)
        r->compare = g_malloc(bytes);
    unsigned flags = write && (nvme_dword(r, 12) & FUA || !r->n->write_cache) ? BLOCK_REQ_FUA : 0;
    submit(r, write ? BLK_WRITE : BLK_READ, offset, bytes, flags);
}

static void write_zeroes(NvmeRequest *r)
{
    uint64_t offset, bytes;
    if (writable(r) && range(r, &offset, &bytes))
        submit(r, BLK_WRITE_ZEROES, offset, bytes,
               (nvme_dword(r, 12) & DEALLOCATE ? BLOCK_REQ_MAY_UNMAP : 0) |
                   (nvme_dword(r, 12) & FUA ? BLOCK_REQ_FUA : 0));
}

/* --- Copy (NVM Command Set 1.0, 3.2.2): the sources are read one after the other, then all is written --- */

enum { SOURCE_SIZE = 32 };

static bool in_namespace(const NvmeNs *ns, uint64_t lba, uint64_t blocks)
{
    return lba <= nvme_blocks(ns) && blocks <= nvme_blocks(ns) - lba;
}
static uint64_t source_lba(const NvmeRequest *r, unsigned i) { return load_le64(r->sources + i * SOURCE_SIZE + 8); }
static uint32_t source_blocks(const NvmeRequest *r, unsigned i)
{
    return load_le16(r->sources + i * SOURCE_SIZE + 16) + 1u;
}

/* All ranges against the limits; *blocks: of all. result: the first that does not do. */
static uint16_t check_sources(NvmeRequest *r, unsigned count, uint64_t *blocks)
{
    const NvmeNs *ns = r->ns;
    *blocks = 0;
    for (unsigned i = 0; i < count; i++) {
        r->result = i;
        *blocks += source_blocks(r, i);
        if (source_blocks(r, i) > ns->mssrl || *blocks > ns->mcl)
            return SC_SIZE_LIMIT;
        if (!in_namespace(ns, source_lba(r, i), source_blocks(r, i)))
            return SC_LBA_RANGE;
    }
    r->result = 0;
    return in_namespace(ns, nvme_dword(r, 10) | (uint64_t)nvme_dword(r, 11) << 32, *blocks) ? SC_OK : SC_LBA_RANGE;
}

static void copy_next(NvmeRequest *r);

static void copied(DriveRequest *req, int error)
{
    NvmeRequest *r = container_of(req, NvmeRequest, req);
    if (error || req->blk.op == BLK_WRITE) {
        nvme_complete(r, status_of(r, error));
        return;
    }
    r->copied += req->blk.bytes;
    r->ranges--;
    copy_next(r);
}

static void copy_next(NvmeRequest *r)
{
    unsigned bits = nvme_lba_bits(r->ns), at = (nvme_dword(r, 12) & 0xff) + 1 - r->ranges;
    bool read = r->ranges;
    r->req = (DriveRequest){ .blk = { .op = read ? BLK_READ : BLK_WRITE, .iov = &r->compare_iov, .iovcnt = 1 },
                             .done = copied };
    BlkRequest *b = &r->req.blk;
    b->offset = (read ? source_lba(r, at) : nvme_dword(r, 10) | (uint64_t)nvme_dword(r, 11) << 32) << bits;
    b->bytes = read ? (uint64_t)source_blocks(r, at) << bits : r->copied;
    b->flags = !read && (nvme_dword(r, 12) & FUA || !r->n->write_cache) ? BLOCK_REQ_FUA : 0;
    r->compare_iov = (struct iovec){ r->compare + (read ? r->copied : 0), b->bytes };
    drive_submit(&r->ns->queue, &r->req);
}

static void copy(NvmeRequest *r)
{
    unsigned count = (nvme_dword(r, 12) & 0xff) + 1;
    uint64_t blocks;
    if (!writable(r))
        return;
    r->sources = g_malloc(count * SOURCE_SIZE);
    uint16_t status = nvme_dword(r, 12) >> 8 & 15 ? SC_INVALID_FIELD : count > r->ns->msrc + 1u ? SC_SIZE_LIMIT : SC_OK;
    status = status ? status : nvme_take(r, r->sources, count * SOURCE_SIZE);
    status = status ? status : check_sources(r, count, &blocks);
    if (status) {
        if (status == SC_LBA_RANGE)
            drive_invalid(&r->ns->queue, BLK_WRITE);
        nvme_complete(r, status | SC_DNR);
        return;
    }
    r->compare = g_malloc(blocks << nvme_lba_bits(r->ns));
    r->ranges = count;
    copy_next(r);
}

/* Dataset management: up to 256 ranges, discarded one after the other: the last one completes the command. */
typedef struct Discard { DriveRequest req; NvmeRequest *of; } Discard;

static void discard_done(DriveRequest *req, int error)
{
    Discard *d = container_of(req, Discard, req);
    NvmeRequest *r = d->of;
    g_free(d);
    if (!--r->ranges)
        nvme_complete(r, SC_OK); /* a hint: whether it took is nobody's business */
}

static void dataset(NvmeRequest *r)
{
    NvmeNs *ns = r->ns;
    unsigned ranges = (nvme_dword(r, 10) & 0xff) + 1;
    g_autofree uint8_t *list = g_malloc(ranges * 16);
    uint16_t status = nvme_take(r, list, ranges * 16);
    if (status || !(nvme_dword(r, 11) & DSM_DEALLOCATE)) {
        nvme_complete(r, status);
        return;
    }
    r->ranges = 1;
    for (unsigned i = 0; i < ranges; i++) {
        uint64_t lba = load_le64(list + i * 16 + 8), blocks = load_le32(list + i * 16 + 4), all = nvme_blocks(ns);
        if (lba > all || blocks > all - lba || !blocks)
            continue;
        Discard *d = g_new0(Discard, 1);
        d->of = r;
        d->req = (DriveRequest){
            .blk = { .op = BLK_DISCARD, .offset = lba << nvme_lba_bits(ns), .bytes = blocks << nvme_lba_bits(ns) },
            .done = discard_done,
            .hint = true
        };
        r->ranges++;
        drive_submit(&ns->queue, &d->req);
    }
    if (!--r->ranges)
        nvme_complete(r, SC_OK);
}

/* --- the same to several namespaces --- */

typedef struct Join { Nvme *n; NvmeRequest *r; NvmeJoinFn *done; unsigned left; int error; } Join;
typedef struct JoinPart { DriveRequest req; Join *of; } JoinPart;

static void join_left(Join *j)
{
    if (--j->left)
        return;
    j->done(j->n, j->r, j->error);
    g_free(j);
}

static void part_done(DriveRequest *req, int error)
{
    JoinPart *p = container_of(req, JoinPart, req);
    Join *j = p->of;
    g_free(p);
    j->error = j->error ? j->error : error;
    join_left(j);
}

void nvme_join(Nvme *n, NvmeNs *const *ns, unsigned count, BlkOp op, NvmeRequest *r, NvmeJoinFn *done_fn)
{
    Join *j = g_new(Join, 1);
    *j = (Join){ .n = n, .r = r, .done = done_fn, .left = count + 1 };
    for (unsigned i = 0; i < count; i++) {
        JoinPart *p = g_new0(JoinPart, 1);
        p->of = j;
        p->req = (DriveRequest){ .blk = { .op = op,
                                          .bytes = op == BLK_FLUSH ? 0 : blk_size(ns[i]->blk),
                                          .flags = op == BLK_FLUSH ? 0 : BLOCK_REQ_MAY_UNMAP },
                                 .done = part_done,
                                 .hint = true };
        drive_submit(&ns[i]->queue, &p->req);
    }
    join_left(j);
}

unsigned nvme_attached(const Nvme *n, NvmeNs **out)
{
    unsigned count = 0;
    for (uint32_t nsid = 1; nsid <= NVME_NAMESPACES; nsid++) {
        if (nvme_ns(n, nsid))
            out[count++] = nvme_ns(n, nsid);
    }
    return count;
}

static void all_flushed(Nvme *n, NvmeRequest *r, int error) { nvme_complete(r, error ? SC_WRITE_FAULT : SC_OK); }

void nvme_io(NvmeRequest *r)
{
    uint32_t nsid = nvme_dword(r, 1);
    if (r->cmd[0] == NVM_FLUSH && nsid == UINT32_MAX) {
        NvmeNs *all[NVME_NAMESPACES];
        nvme_join(r->n, all, nvme_attached(r->n, all), BLK_FLUSH, r, all_flushed);
        return;
    }
    r->ns = nvme_ns(r->n, nsid);
    if (!r->ns) {
        nvme_complete(r, (nsid && nsid <= NVME_NAMESPACES ? SC_INVALID_FIELD : SC_INVALID_NS) | SC_DNR);
        return;
    }
    uint64_t offset, bytes;
    switch (r->cmd[0]) {
    case NVM_FLUSH: submit(r, BLK_FLUSH, 0, 0, 0); break;
    case NVM_READ: case NVM_WRITE: case NVM_COMPARE: read_write(r); break;
    case NVM_WRITE_ZEROES: write_zeroes(r); break;
    case NVM_DSM: dataset(r); break;
    case NVM_COPY: copy(r); break;
    case NVM_VERIFY:
        if (range(r, &offset, &bytes))
            nvme_complete(r, r->n->vsl && bytes > UINT64_C(4096) << r->n->vsl ? SC_INVALID_FIELD | SC_DNR : SC_OK);
        break;
    default: nvme_complete(r, SC_INVALID_OPCODE | SC_DNR); break;
    }
}

/* --- commands that are held: their controller, their queue and their 64 bytes --- */

enum { HELD_CMD = 4, HELD_SIZE = HELD_CMD + NVME_SQE };

static void save_request(DriveRequest *req, GByteArray *out)
{
    const NvmeRequest *r = container_of(req, NvmeRequest, req);
    uint8_t queue[HELD_CMD];
    store_le16(queue, r->n->cntlid);
    store_le16(queue + 2, r->sq);
    g_byte_array_append(out, queue, sizeof queue);
    g_byte_array_append(out, r->cmd, sizeof r->cmd);
}

static bool restart_request(Device *d, const uint8_t *bytes, size_t len)
{
    Nvme *n = len == HELD_SIZE ? nvme_controller(nvme_ns_of_device(d)->subsys, load_le16(bytes)) : NULL;
    uint16_t sq = n ? load_le16(bytes + 2) : 0;
    if (!sq || sq >= NVME_QUEUES || !n->sq[sq].exists || !(n->csts & CSTS_RDY))
        return false;
    NvmeRequest *r = g_new0(NvmeRequest, 1);
    *r = (NvmeRequest){ .n = n, .sq = sq, .cq = n->sq[sq].cqid };
    memcpy(r->cmd, bytes + HELD_CMD, NVME_SQE);
    r->cid = load_le16(r->cmd + 2);
    nvme_io(r);
    return true;
}

static void drop_request(DriveRequest *req)
{
    NvmeRequest *r = container_of(req, NvmeRequest, req);
    dma_vec_finish(&r->data, 0);
    g_free(r->compare);
    g_free(r->sources);
    g_free(r);
}

static void stopping(Device *d)
{
    const NvmeSubsys *s = nvme_ns_of_device(d)->subsys;
    for (unsigned i = 0; i < NVME_CONTROLLERS; i++) {
        if (s->controller[i])
            nvme_settle_queues(s->controller[i]);
    }
}
const DriveQueueOps nvme_queue_ops = { save_request, restart_request, drop_request, stopping };

/* All that are held are commands to one namespace: what stands for several is a hint. */
static bool is_of(const DriveRequest *r, const void *n) { return container_of(r, const NvmeRequest, req)->n == n; }

void nvme_drop_held(Nvme *n)
{
    for (unsigned i = 0; i < NVME_NAMESPACES; i++) {
        if (n->subsys->ns[i])
            drive_drop_held(&n->subsys->ns[i]->queue, is_of, n);
    }
}

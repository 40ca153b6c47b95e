/* SPDX-License-Identifier: MIT */
/*
 * SCSI commands for a device of the host, by Linux's SG_IO (linux/Documentation/scsi/scsi-generic.rst; The Linux SCSI
 * Generic HOWTO).
 */
#include "block/sg.h"
#include <errno.h>
#include <scsi/sg.h>
#include <string.h>
#include <sys/ioctl.h>
#include "base/iov.h"

enum { VERSION_3 = 30000, DRIVER_SENSE = 8, TIMEOUT_MS = 30000 };

bool sg_is_unit(int fd)
{
    int version = 0;
    return !ioctl(fd, SG_GET_VERSION_NUM, &version) && version >= VERSION_3;
}

int sg_command(int fd, BlockScsi *s, const struct iovec *iov, int iovcnt)
{
    size_t bytes = iov_bytes(iov, iovcnt);
    if (bytes > UINT32_MAX || iovcnt > UINT16_MAX)
        return -EINVAL;
    sg_io_hdr_t h = { .interface_id = 'S',
                      .dxfer_direction = !bytes   ? SG_DXFER_NONE
                                         : s->out ? SG_DXFER_TO_DEV
                                                  : SG_DXFER_FROM_DEV,
                      .cmd_len = s->cdb_len,
                      .mx_sb_len = sizeof s->sense,
                      .iovec_count = (unsigned short)(iovcnt > 1 ? iovcnt : 0),
                      .dxfer_len = (unsigned)bytes,
                      .dxferp = iovcnt > 1 ? (void *)iov
                                : iovcnt   ? iov->iov_base
                                           : NULL,
                      .cmdp = s->cdb,
                      .sbp = s->sense,
                      .timeout = s->timeout_ms ? s->timeout_ms : TIMEOUT_MS };
    int r;
    do {
        r = ioctl(fd, SG_IO, &h);
    } while (r && errno == EINTR);
    if (r)
        return errno == ENOTTY || errno == EINVAL ? -ENOTSUP : -errno;
    s->status = h.status;
    s->sense_len = h.sb_len_wr;
    s->done = bytes - (h.resid > 0 && (unsigned)h.resid <= bytes ? (size_t)h.resid : 0);
    if (!s->status && h.driver_status & DRIVER_SENSE && s->sense_len)
        s->status = 2;
    return h.host_status || (!s->status && h.driver_status & ~DRIVER_SENSE & 0x0f) ? -EIO : 0;
}

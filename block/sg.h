/* SPDX-License-Identifier: MIT */
/* SCSI commands for a device of the host, by Linux's SG_IO. */
#ifndef BLOCK_SG_H
#define BLOCK_SG_H

#include "block/block.h"

bool sg_is_unit(int fd); /* does it take SCSI commands? */
int sg_command(int fd, BlockScsi *s, const struct iovec *iov, int iovcnt);
#endif

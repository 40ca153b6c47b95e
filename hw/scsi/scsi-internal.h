/* SPDX-License-Identifier: MIT */
/* Between the parts of the SCSI core. */
#ifndef HW_SCSI_SCSI_INTERNAL_H
#define HW_SCSI_SCSI_INTERNAL_H

#include "hw/core/machine.h"
#include "hw/scsi/scsi.h"

extern const DriveQueueOps scsi_queue_ops;
void scsi_tasks_request_ended(ScsiBus *b, ScsiRequest *r);
void scsi_reset_unit(ScsiDevice *d, uint32_t sense);
#endif

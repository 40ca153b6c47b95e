/* SPDX-License-Identifier: MIT */
/* Numbers of the NVM Express 1.4 specification: registers, commands, status codes. */
#ifndef HW_STORAGE_NVME_REGS_H
#define HW_STORAGE_NVME_REGS_H

/* Controller registers (3.1) */
enum {
    NVME_CAP = 0x00,
    NVME_VS = 0x08,
    NVME_INTMS = 0x0c,
    NVME_INTMC = 0x10,
    NVME_CC = 0x14,
    NVME_CSTS = 0x1c,
    NVME_NSSR = 0x20,
    NVME_AQA = 0x24,
    NVME_ASQ = 0x28,
    NVME_ACQ = 0x30,
    NVME_CMBLOC = 0x38,
    NVME_CMBSZ = 0x3c,
    NVME_CMBMSC = 0x50,
    NVME_CMBSTS = 0x58,
    NVME_PMRCAP = 0xe00,
    NVME_PMRCTL = 0xe04,
    NVME_PMRSTS = 0xe08,
    NVME_PMRMSC = 0xe14,
    NVME_DOORBELLS = 0x1000
};
enum {
    CC_EN = 1,
    CC_SHN = 3 << 14,
    CSTS_RDY = 1,
    CSTS_CFS = 2,
    CSTS_SHST_BUSY = 1 << 2,
    CSTS_SHST_DONE = 2 << 2,
    CSTS_NSSRO = 1 << 4
};
/* Admin commands (5) */
enum {
    ADM_DELETE_SQ = 0x00,
    ADM_CREATE_SQ = 0x01,
    ADM_GET_LOG = 0x02,
    ADM_DELETE_CQ = 0x04,
    ADM_CREATE_CQ = 0x05,
    ADM_IDENTIFY = 0x06,
    ADM_ABORT = 0x08,
    ADM_SET_FEATURES = 0x09,
    ADM_GET_FEATURES = 0x0a,
    ADM_ASYNC_EVENT = 0x0c,
    ADM_NS_ATTACH = 0x15,
    ADM_KEEP_ALIVE = 0x18,
    ADM_DBBUF = 0x7c,
    ADM_FORMAT = 0x80
};
/* NVM commands (6) */
enum {
    NVM_FLUSH = 0x00,
    NVM_WRITE = 0x01,
    NVM_READ = 0x02,
    NVM_WRITE_UNCOR = 0x04,
    NVM_COMPARE = 0x05,
    NVM_WRITE_ZEROES = 0x08,
    NVM_DSM = 0x09,
    NVM_VERIFY = 0x0c,
    NVM_COPY = 0x19
};
/* Status: type << 8 | code (4.6.1); DNR is bit 14 of the value that shifts into the completion */
enum {
    SC_OK = 0,
    SC_INVALID_OPCODE = 1,
    SC_INVALID_FIELD = 2,
    SC_DATA_TRANSFER = 4,
    SC_INTERNAL = 6,
    SC_ABORTED = 7,
    SC_SQ_DELETED = 8,
    SC_INVALID_NS = 0xb,
    SC_SGL_INVALID = 0x0d,
    SC_SGL_COUNT = 0x0e,
    SC_SGL_LENGTH = 0x0f,
    SC_SGL_TYPE = 0x11,
    SC_PRP_OFFSET = 0x13,
    SC_LBA_RANGE = 0x80,
    SC_READ_ONLY = 0x182,
    SC_SIZE_LIMIT = 0x183,
    SC_CQ_INVALID = 0x100,
    SC_QID_INVALID = 0x101,
    SC_QSIZE_INVALID = 0x102,
    SC_AER_LIMIT = 0x105,
    SC_VECTOR_INVALID = 0x108,
    SC_LOG_INVALID = 0x109,
    SC_FORMAT_INVALID = 0x10a,
    SC_QDELETE_INVALID = 0x10c,
    SC_FEATURE_NOT_SAVEABLE = 0x10d,
    SC_ATTACHED = 0x118,
    SC_PRIVATE = 0x119,
    SC_NOT_ATTACHED = 0x11a,
    SC_CONTROLLER_LIST = 0x11c,
    SC_WRITE_FAULT = 0x280,
    SC_READ_FAULT = 0x281,
    SC_COMPARE = 0x285,
    SC_DNR = 0x4000
};
/* Features (5.21.1) */
enum {
    FEAT_ARBITRATION = 1,
    FEAT_POWER = 2,
    FEAT_TEMPERATURE = 4,
    FEAT_ERROR_RECOVERY = 5,
    FEAT_WRITE_CACHE = 6,
    FEAT_QUEUES = 7,
    FEAT_COALESCING = 8,
    FEAT_VECTOR = 9,
    FEAT_ATOMICITY = 0xa,
    FEAT_ASYNC = 0xb,
    FEAT_TIMESTAMP = 0xe
};
/* Asynchronous events (5.2, 5.21.1.11), log pages (5.14.1) */
enum { EVENT_NOTICE = 2, EVENT_NS_ATTRIBUTES = 0, ASYNC_NS_ATTRIBUTES = 1 << 8, LOG_CHANGED_NS = 4 };
#endif

/* SPDX-License-Identifier: MIT */
/* The NBD protocol's numbers (NBD protocol document, proto.md), and big-endian fields. */
#ifndef BLOCK_NBD_PROTO_H
#define BLOCK_NBD_PROTO_H

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* Handshake */
#define NBD_MAGIC       UINT64_C(0x4e42444d41474943) /* "NBDMAGIC" */
#define NBD_OPTS_MAGIC  UINT64_C(0x49484156454f5054) /* "IHAVEOPT" */
#define NBD_OLD_MAGIC   UINT64_C(0x00420281861253)
#define NBD_REP_MAGIC   UINT64_C(0x0003e889045565a9)
enum { NBD_PORT = 10809 };
enum { NBD_FLAG_FIXED_NEWSTYLE = 1, NBD_FLAG_NO_ZEROES = 2 }; /* the server's; the client's have the same values */

typedef enum NbdOption {
    NBD_OPT_EXPORT_NAME = 1,
    NBD_OPT_ABORT,
    NBD_OPT_LIST,
    NBD_OPT_PEEK_EXPORT,
    NBD_OPT_STARTTLS,
    NBD_OPT_INFO,
    NBD_OPT_GO,
    NBD_OPT_STRUCTURED_REPLY,
    NBD_OPT_LIST_META_CONTEXT,
    NBD_OPT_SET_META_CONTEXT,
    NBD_OPT_EXTENDED_HEADERS
} NbdOption;

#define NBD_REP_ERR(n) (UINT32_C(0x80000000) + (n))
#define NBD_REP_ACK 1u
#define NBD_REP_SERVER 2u
#define NBD_REP_INFO 3u
#define NBD_REP_META_CONTEXT 4u
#define NBD_REP_ERR_UNSUP NBD_REP_ERR(1)
#define NBD_REP_ERR_POLICY NBD_REP_ERR(2)
#define NBD_REP_ERR_INVALID NBD_REP_ERR(3)
#define NBD_REP_ERR_PLATFORM NBD_REP_ERR(4)
#define NBD_REP_ERR_TLS_REQD NBD_REP_ERR(5)
#define NBD_REP_ERR_UNKNOWN NBD_REP_ERR(6)
#define NBD_REP_ERR_SHUTDOWN NBD_REP_ERR(7)
#define NBD_REP_ERR_BLOCK_SIZE_REQD NBD_REP_ERR(8)
#define NBD_REP_ERR_TOO_BIG NBD_REP_ERR(9)

enum { NBD_INFO_EXPORT, NBD_INFO_NAME, NBD_INFO_DESCRIPTION, NBD_INFO_BLOCK_SIZE };

/* Transmission flags of an export */
enum {
    NBD_FLAG_HAS_FLAGS = 1 << 0,
    NBD_FLAG_READ_ONLY = 1 << 1,
    NBD_FLAG_SEND_FLUSH = 1 << 2,
    NBD_FLAG_SEND_FUA = 1 << 3,
    NBD_FLAG_ROTATIONAL = 1 << 4,
    NBD_FLAG_SEND_TRIM = 1 << 5,
    NBD_FLAG_SEND_WRITE_ZEROES = 1 << 6,
    NBD_FLAG_SEND_DF = 1 << 7,
    NBD_FLAG_CAN_MULTI_CONN = 1 << 8,
    NBD_FLAG_SEND_RESIZE = 1 << 9 /* the resize extension */,
    NBD_FLAG_SEND_CACHE = 1 << 10,
    NBD_FLAG_SEND_FAST_ZERO = 1 << 11,
};

/* Transmission */
#define NBD_REQUEST_MAGIC    UINT32_C(0x25609513)
#define NBD_SIMPLE_MAGIC     UINT32_C(0x67446698)
#define NBD_STRUCTURED_MAGIC UINT32_C(0x668e33ef)
typedef enum NbdCommand {
    NBD_CMD_READ,
    NBD_CMD_WRITE,
    NBD_CMD_DISC,
    NBD_CMD_FLUSH,
    NBD_CMD_TRIM,
    NBD_CMD_CACHE,
    NBD_CMD_WRITE_ZEROES,
    NBD_CMD_BLOCK_STATUS,
    NBD_CMD_RESIZE
} NbdCommand;
enum {
    NBD_CMD_FLAG_FUA = 1,
    NBD_CMD_FLAG_NO_HOLE = 2,
    NBD_CMD_FLAG_DF = 4,
    NBD_CMD_FLAG_REQ_ONE = 8,
    NBD_CMD_FLAG_FAST_ZERO = 16
};
enum { NBD_REPLY_FLAG_DONE = 1 };
enum {
    NBD_REPLY_NONE,
    NBD_REPLY_OFFSET_DATA,
    NBD_REPLY_OFFSET_HOLE,
    NBD_REPLY_BLOCK_STATUS = 5,
    NBD_REPLY_ERROR = 0x8001,
    NBD_REPLY_ERROR_OFFSET
};
enum { NBD_STATE_HOLE = 1, NBD_STATE_ZERO = 2 }; /* of base:allocation */

/* Sizes and limits */
enum {
    NBD_REQUEST_SIZE = 28, NBD_SIMPLE_SIZE = 16, NBD_CHUNK_SIZE = 20, NBD_REP_SIZE = 20, NBD_NAME_MAX = 4096,
    NBD_MAX_REQUEST = 32 << 20, /* bytes of data that one request may carry, unless both sides agree on more */
};

static inline uint16_t be16_get(const void *p) { uint16_t v; memcpy(&v, p, 2); return __builtin_bswap16(v); }
static inline uint32_t be32_get(const void *p) { uint32_t v; memcpy(&v, p, 4); return __builtin_bswap32(v); }
static inline uint64_t be64_get(const void *p) { uint64_t v; memcpy(&v, p, 8); return __builtin_bswap64(v); }
static inline void be16_put(void *p, uint16_t v) { v = __builtin_bswap16(v); memcpy(p, &v, 2); }
static inline void be32_put(void *p, uint32_t v) { v = __builtin_bswap32(v); memcpy(p, &v, 4); }
static inline void be64_put(void *p, uint64_t v) { v = __builtin_bswap64(v); memcpy(p, &v, 8); }

/* Error numbers on the wire are Linux's for a few; everything else is EINVAL (to the wire) or EIO (from it). */
static inline uint32_t nbd_error(int negative_errno)
{
    switch (-negative_errno) {
    case 0: return 0;
    case EPERM: case EROFS: return 1;
    case ENOMEM: return 12;
    case EINVAL: return 22;
    case ENOSPC: case EFBIG: case EDQUOT: return 28;
    case EOVERFLOW: return 75;
    case ENOTSUP: return 95;
    case ESHUTDOWN: return 108;
    default: return 5;
    }
}

static inline int nbd_errno(uint32_t wire)
{
    static const struct {
        uint32_t wire;
        int err;
    } table[] = { { 0, 0 },       { 1, EPERM },      { 5, EIO },      { 12, ENOMEM },    { 22, EINVAL },
                  { 28, ENOSPC }, { 75, EOVERFLOW }, { 95, ENOTSUP }, { 108, ESHUTDOWN } };
    for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
        if (table[i].wire == wire)
            return -table[i].err;
    }
    return -EINVAL;
}

const char *nbd_option_name(uint32_t option);
const char *nbd_reply_text(uint32_t reply); /* what an error reply to an option means */
#endif

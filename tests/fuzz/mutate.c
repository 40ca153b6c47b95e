/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer's mutations for fuzz-image: inputs are records (image.c), whose places and lengths mostly stay, while the
 * fields in them get what fields of images hold: edges, small changes, places of other records.
 */
#include <glib.h>
#include <string.h>
#include "base/bits.h"
#include "tests/fuzz/fuzz.h"

enum { RECORDS_MAX = 2000, HEAD = 6 };
typedef struct Record { size_t at, len; uint32_t place; } Record; /* of its data in the input */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

static uint32_t state;
static uint32_t pick(uint32_t n)
{
    state = state * 1664525u + 1013904223u;
    return n ? (state >> 8) % n : 0;
}

static unsigned records(const uint8_t *data, size_t size, Record *out)
{
    unsigned n = 0;
    for (size_t at = 0; at + HEAD <= size && n < RECORDS_MAX;) {
        Record r = { at + HEAD, MIN((size_t)load_le16(data + at + 4), size - at - HEAD), load_le32(data + at) };
        at = r.at + r.len;
        if (r.len)
            out[n++] = r;
    }
    return n;
}

/* A value that a field of `size` bytes may well have: in another record's place's units, an edge, near what it was. */
static uint64_t value(uint64_t was, unsigned size, const Record *r, unsigned n)
{
    uint64_t place = r[pick(n)].place & ~(uint64_t)511, all = size == 8 ? UINT64_MAX : BIT(size * 8) - 1;
    switch (pick(12)) {
    case 0: return 0;
    case 1: return all;
    case 2: return BIT(pick(size * 8));
    case 3: return BIT(pick(size * 8)) - 1;
    case 4: return was ^ BIT(pick(size * 8));
    case 5: return was + 1 + pick(4);
    case 6: return was - 1 - pick(4);
    case 7: return place >> 9;                           /* in sectors */
    case 8: return size == 8 ? place | BIT(63) : place;  /* as qcow2's tables do */
    case 9: return size == 8 ? place | BIT(62) : place >> 20;
    case 10: return (was & (BIT(63) | BIT(62) | 1)) | place;
    default: return pick(UINT32_MAX);
    }
}

static void field(uint8_t *data, const Record *r, unsigned n)
{
    const Record *of = &r[pick(n)];
    unsigned size = 1u << pick(4);
    if (of->len < size)
        return;
    size_t at = of->at + pick((uint32_t)(of->len - size + 1));
    if (pick(4)) { /* at a place that a field has */
        size_t place = of->place + (at - of->at);
        at -= MIN(place % size, at - of->at);
    }
    if (pick(2))
        store_be(data + at, size, value(load_be(data + at, size), size, r, n));
    else if (size == 8)
        store_le64(data + at, value(load_le64(data + at), 8, r, n));
    else if (size == 4)
        store_le32(data + at, (uint32_t)value(load_le32(data + at), 4, r, n));
    else
        data[at] = (uint8_t)value(data[at], 1, r, n);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    static Record r[RECORDS_MAX];
    state = seed;
    unsigned n = records(data, size, r);
    if (!n || pick(8) == 0)
        return LLVMFuzzerMutate(data, size, max);
    for (unsigned times = 1 + pick(3); times--;) {
        const Record *a = &r[pick(n)], *b = &r[pick(n)];
        switch (pick(10)) {
        case 0: /* elsewhere */
            store_le32(data + a->at - HEAD, pick(2) ? b->place : a->place + 512 - 1024 * pick(2));
            break;
        case 1: /* what another one holds */
            memmove(data + a->at, data + b->at, MIN(a->len, b->len));
            break;
        case 2:
            LLVMFuzzerMutate(data + a->at, a->len, a->len);
            break;
        default:
            field(data, r, n);
        }
    }
    return size;
}

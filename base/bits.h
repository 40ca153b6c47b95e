/* SPDX-License-Identifier: MIT */
/* Bit fields, alignment and unaligned little/big-endian access. */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
#define BIT(n) (UINT64_C(1) << (n))
#define KiB UINT64_C(1024)
#define MiB (1024 * KiB)
#define GiB (1024 * MiB)

/* len in 1..64, start + len <= 64 */
static inline uint64_t bits_mask(unsigned len) { return ~UINT64_C(0) >> (64 - len); }
static inline uint64_t bits_get(uint64_t v, unsigned start, unsigned len) { return (v >> start) & bits_mask(len); }
static inline uint64_t bits_set(uint64_t v, unsigned start, unsigned len, uint64_t field)
{
    uint64_t m = bits_mask(len) << start;
    return (v & ~m) | ((field << start) & m);
}
static inline int64_t bits_sget(uint64_t v, unsigned start, unsigned len)
{
    return (int64_t)(v << (64 - len - start)) >> (64 - len);
}
static inline bool is_pow2(uint64_t v) { return v && !(v & (v - 1)); }
static inline uint64_t align_down(uint64_t v, uint64_t a) { return v & ~(a - 1); }
static inline uint64_t align_up(uint64_t v, uint64_t a) { return (v + a - 1) & ~(a - 1); }

/* Unaligned loads and stores of 1, 2, 4 or 8 bytes. */
static inline uint64_t load_le(const void *p, unsigned size)
{
    const uint8_t *b = p;
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++)
        v |= (uint64_t)b[i] << (8 * i);
    return v;
}
static inline void store_le(void *p, unsigned size, uint64_t v)
{
    uint8_t *b = p;
    for (unsigned i = 0; i < size; i++)
        b[i] = (uint8_t)(v >> (8 * i));
}
static inline uint64_t load_be(const void *p, unsigned size)
{
    const uint8_t *b = p;
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++)
        v = v << 8 | b[i];
    return v;
}
static inline void store_be(void *p, unsigned size, uint64_t v)
{
    uint8_t *b = p;
    for (unsigned i = 0; i < size; i++)
        b[size - 1 - i] = (uint8_t)(v >> (8 * i));
}
/* The same with a size that is known: one instruction each. */
#define BITS_LE(bits_) \
    static inline uint##bits_##_t load_le##bits_(const void *p) \
    { \
        uint##bits_##_t v; \
        memcpy(&v, p, sizeof v); \
        return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : __builtin_bswap##bits_(v); \
    } \
    static inline void store_le##bits_(void *p, uint##bits_##_t v) \
    { \
        v = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : __builtin_bswap##bits_(v); \
        memcpy(p, &v, sizeof v); \
    }
BITS_LE(16)
BITS_LE(32)
BITS_LE(64)
#undef BITS_LE
#endif

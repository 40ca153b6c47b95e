/* SPDX-License-Identifier: MIT */
/* The least of the telnet protocol: character mode, binary, break. */
#ifndef CHARDEV_TELNET_H
#define CHARDEV_TELNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Telnet {
    unsigned state;
} Telnet;

/* What is sent at the start of a connection. */
extern const uint8_t telnet_hello[12];
/* Take the protocol out of data, in place; returns the bytes that remain. *breaks: how many breaks were in it. */
size_t telnet_filter(Telnet *t, uint8_t *data, size_t len, unsigned *breaks);
/* Length of the escape-free beginning of data; 0: it begins with a byte 255, which must be sent twice. */
size_t telnet_plain_len(const uint8_t *data, size_t len);
#endif

/* SPDX-License-Identifier: MIT */
/* Telnet (RFC 854), options echo (857), suppress go-ahead (858) and binary (856). */
#include "chardev/telnet.h"

#include <string.h>

enum { SE = 240, BRK = 243, SB = 250, WILL = 251, WONT = 252, DO = 253, DONT = 254, IAC = 255 };
enum { OPT_BINARY = 0, OPT_ECHO = 1, OPT_SGA = 3 };

const uint8_t telnet_hello[12] = {
    IAC, WILL, OPT_ECHO, IAC, WILL, OPT_SGA, IAC, WILL, OPT_BINARY, IAC, DO, OPT_BINARY,
};

enum { PLAIN, AFTER_IAC, OPTION, SUB, SUB_IAC, AFTER_CR };

size_t telnet_filter(Telnet *t, uint8_t *data, size_t len, unsigned *breaks)
{
    size_t out = 0;
    *breaks = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = data[i];
        unsigned state = t->state;
        t->state = PLAIN;
        switch (state) {
        case AFTER_IAC:
            if (c == IAC)
                data[out++] = c;
            else if (c == SB)
                t->state = SUB;
            else if (c >= WILL && c <= DONT)
                t->state = OPTION;
            else if (c == BRK)
                ++*breaks;
            break;
        case OPTION: /* the answers to our offers; nothing depends on them */
            break;
        case SUB:
            t->state = c == IAC ? SUB_IAC : SUB;
            break;
        case SUB_IAC:
            t->state = c == SE ? PLAIN : SUB;
            break;
        case AFTER_CR: /* a client in line mode sends CR NUL or CR LF for the Enter key */
            if (c == 0 || c == '\n')
                break;
            /* fall through */
        default:
            if (c == IAC) {
                t->state = AFTER_IAC;
                break;
            }
            data[out++] = c;
            t->state = c == '\r' ? AFTER_CR : PLAIN;
        }
    }
    return out;
}

size_t telnet_plain_len(const uint8_t *data, size_t len)
{
    const uint8_t *iac = memchr(data, IAC, len);
    return iac ? (size_t)(iac - data) : len;
}

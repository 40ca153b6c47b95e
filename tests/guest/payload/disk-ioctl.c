/* SPDX-License-Identifier: MIT */
/*
 * For test guests: what a disk is asked for by ioctl. disk-ioctl zero|discard DEVICE OFFSET BYTES, disk-ioctl
 * eject|close DEVICE
 */
#include <fcntl.h>
#include <linux/cdrom.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
    static const struct { const char *name; unsigned long request; int words;
    } known[] = {
        { "zero", BLKZEROOUT, 5 },
        { "discard", BLKDISCARD, 5 },
        { "eject", CDROMEJECT, 3 },
        { "close", CDROMCLOSETRAY, 3 },
    };
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (argc != known[i].words || strcmp(argv[1], known[i].name))
            continue;
        uint64_t range[2] = { argc == 5 ? strtoull(argv[3], NULL, 0) : 0, argc == 5 ? strtoull(argv[4], NULL, 0) : 0 };
        int fd = open(argv[2], argc == 5 ? O_RDWR : O_RDONLY | O_NONBLOCK);
        if (fd >= 0 && ioctl(fd, known[i].request, argc == 5 ? range : 0) >= 0) {
            puts("done");
            return 0;
        }
        perror(argv[2]);
        return 1;
    }
    fputs("disk-ioctl: wrong words\n", stderr);
    return 2;
}

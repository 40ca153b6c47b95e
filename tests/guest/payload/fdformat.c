/* SPDX-License-Identifier: MIT */
/*
 * Formats a floppy disk under Linux, track by track: fdformat DEVICE. Static, for the test guests, whose busybox has
 * none.
 */
#include <fcntl.h>
#include <linux/fd.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
    struct floppy_struct shape;
    int fd = open(argc > 1 ? argv[1] : "/dev/fd0", O_WRONLY);
    if (fd < 0 || ioctl(fd, FDGETPRM, &shape) || ioctl(fd, FDFMTBEG, NULL)) {
        perror("fdformat: begin");
        return 1;
    }
    for (unsigned track = 0; track < shape.track; track++) {
        for (unsigned head = 0; head < shape.head; head++) {
            struct format_descr where = { 0, head, track };
            if (ioctl(fd, FDFMTTRK, &where)) {
                perror("fdformat: track");
                return 1;
            }
        }
    }
    if (ioctl(fd, FDFMTEND, NULL)) {
        perror("fdformat: end");
        return 1;
    }
    printf("formatted %u tracks of %u sectors\n", shape.track, shape.sect);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * For the test of virtio-vsock, in a guest: "vsock connect PORT" and "vsock listen PORT" send what comes back, up to
 * the end, and count it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = (unsigned)atoi(argv[2]) };
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (!strcmp(argv[1], "listen")) {
        a.svm_cid = VMADDR_CID_ANY;
        if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 1))
            return 1;
        puts("listening");
        fflush(stdout);
        fd = accept(fd, NULL, NULL);
    } else if (connect(fd, (struct sockaddr *)&a, sizeof a)) {
        perror("connect");
        return 1;
    }
    char buf[8192];
    long all = 0;
    for (ssize_t n; (n = read(fd, buf, sizeof buf)) > 0; all += n) {
        for (ssize_t done = 0, w; done < n; done += w) {
            w = write(fd, buf + done, (size_t)(n - done));
            if (w <= 0)
                return 1;
        }
    }
    printf("echoed %ld\n", all);
    return 0;
}

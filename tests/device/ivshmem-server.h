/* SPDX-License-Identifier: MIT */
/* A server of ivshmem for tests: a socket that a chardev connects to, and messages to whoever has connected. */
#ifndef TESTS_DEVICE_IVSHMEM_SERVER_H
#define TESTS_DEVICE_IVSHMEM_SERVER_H

#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/bits.h"
#include "chardev/chardev.h"

enum { SERVER_MEMORY = 65536 };
typedef struct ShmServer { int listener, peer, memory; } ShmServer;

static inline void server_send(ShmServer *s, int64_t value, int fd)
{
    uint8_t bytes[8];
    union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control = { 0 };
    struct iovec iov = { bytes, sizeof(bytes) };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    store_le64(bytes, (uint64_t)value);
    if (fd >= 0) {
        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        *c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    g_assert_cmpint(sendmsg(s->peer, &msg, MSG_NOSIGNAL), ==, sizeof(bytes));
}

/* A chardev `id` that is connected to a new server, which has given it a number and the memory. */
static inline ShmServer server_new(const char *id, unsigned number)
{
    g_autofree char *dir = g_dir_make_tmp("rhea-shm-XXXXXX", NULL), *path = g_build_filename(dir, "socket", NULL);
    g_autofree char *text = g_strdup_printf("socket,path=%s,id=%s", path, id);
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    ShmServer s = { .listener = socket(AF_UNIX, SOCK_STREAM, 0), .memory = memfd_create("shm", 0) };
    Error *err = NULL;
    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    g_assert_cmpint(ftruncate(s.memory, SERVER_MEMORY), ==, 0);
    g_assert_cmpint(bind(s.listener, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    g_assert_cmpint(listen(s.listener, 1), ==, 0);
    g_autoptr(Opts) o = opts_parse(text, "backend", &err);
    chardev_new_opts(o, &err);
    g_assert_no_error(err);
    s.peer = accept(s.listener, NULL, NULL);
    unlink(path);
    rmdir(dir);
    server_send(&s, 0, -1);
    server_send(&s, number, -1);
    server_send(&s, -1, s.memory);
    return s;
}

static inline void server_free(ShmServer *s)
{
    close(s->listener);
    close(s->peer);
    close(s->memory);
}
#endif

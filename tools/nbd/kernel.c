/* SPDX-License-Identifier: MIT */
/* The Linux NBD client: /dev/nbdN by ioctl (linux/nbd.h). */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/thread.h"
#include "block/nbd/proto.h"
#include "tools/nbd/nbd.h"

/* The kernel's header defines names that block/nbd/proto.h has too: its requests, which are the first of a group. */
enum {
    NBD_SET_SOCK = _IO(0xab, 0),
    NBD_SET_BLKSIZE = _IO(0xab, 1),
    NBD_DO_IT = _IO(0xab, 3),
    NBD_CLEAR_SOCK = _IO(0xab, 4),
    NBD_CLEAR_QUE = _IO(0xab, 5),
    NBD_SET_SIZE_BLOCKS = _IO(0xab, 7),
    NBD_DISCONNECT = _IO(0xab, 8),
    NBD_SET_FLAGS = _IO(0xab, 10),
};

struct KernelClient {
    int fd;
    NbdRemote remote;
    pthread_t thread;
    void (*done)(void *opaque);
    void *opaque;
};

static int open_device(const char *device, Error **errp)
{
    int fd = open(device, O_RDWR | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENXIO))
        error_setf(errp, "device '%s': there is none; load the kernel's client as root: modprobe nbd", device);
    else if (fd < 0)
        error_set_errno(errp, errno, "device '%s'", device);
    return fd;
}

/* Stays in the kernel until the device is disconnected. */
static void *serve_device(void *opaque)
{
    KernelClient *k = opaque;
    ioctl(k->fd, NBD_DO_IT);
    ioctl(k->fd, NBD_CLEAR_QUE);
    ioctl(k->fd, NBD_CLEAR_SOCK);
    k->done(k->opaque);
    return NULL;
}

static bool set_up(KernelClient *k, const char *device, Error **errp)
{
    unsigned long block = MAX(k->remote.min_block, 512u);
    int readonly = k->remote.flags & NBD_FLAG_READ_ONLY ? 1 : 0;
    if (!ioctl(k->fd, NBD_SET_SOCK, k->remote.ch->fd) && !ioctl(k->fd, NBD_SET_BLKSIZE, block) &&
        !ioctl(k->fd, NBD_SET_SIZE_BLOCKS, (unsigned long)(k->remote.size / block)) &&
        (!ioctl(k->fd, NBD_SET_FLAGS, (unsigned long)k->remote.flags) || errno == ENOTTY) &&
        !ioctl(k->fd, BLKROSET, &readonly))
        return true;
    if (errno == EBUSY)
        error_setf(errp, "device '%s' is in use; take another one, or disconnect it with rhea-nbd -d %s", device,
                   device);
    else
        error_set_errno(errp, errno, "device '%s': the kernel does not take the connection", device);
    return false;
}

KernelClient *nbd_kernel_connect(const char *device, const NbdWant *w, void (*done)(void *opaque), void *opaque,
                                 Error **errp)
{
    KernelClient *k = g_new0(KernelClient, 1);
    NbdWant want = *w;
    want.simple = true;
    k->done = done;
    k->opaque = opaque;
    k->fd = open_device(device, errp);
    if (k->fd >= 0 && nbd_remote_open(&want, &k->remote, errp) && set_up(k, device, errp)) {
        k->thread = thread_start("nbd device", serve_device, k);
        return k;
    }
    nbd_channel_free(k->remote.ch);
    if (k->fd >= 0)
        close(k->fd);
    g_free(k);
    return NULL;
}

void nbd_kernel_free(KernelClient *k)
{
    if (!k)
        return;
    ioctl(k->fd, NBD_DISCONNECT);
    nbd_channel_shutdown(k->remote.ch);
    pthread_join(k->thread, NULL);
    nbd_channel_free(k->remote.ch);
    close(k->fd);
    g_free(k);
}

bool nbd_kernel_disconnect(const char *device, Error **errp)
{
    int fd = open_device(device, errp);
    if (fd < 0)
        return false;
    ioctl(fd, NBD_CLEAR_QUE);
    bool ok = !ioctl(fd, NBD_DISCONNECT) && (!ioctl(fd, NBD_CLEAR_SOCK) || errno == EBUSY);
    if (!ok)
        error_set_errno(errp, errno, "device '%s': can't be disconnected", device);
    close(fd);
    return ok;
}

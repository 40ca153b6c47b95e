/* SPDX-License-Identifier: MIT */
/* Private to rhea-nbd: its options, serving, and the kernel's client. */
#ifndef TOOLS_NBD_NBD_H
#define TOOLS_NBD_NBD_H

#include "block/nbd/remote.h"

typedef struct NbdOptions {
    gchar *port, *bind, *socket, *format, *snapshot_id, *cache, *aio, *discard, *detect_zeroes, *connect, *disconnect,
        *tls_creds, *tls_hostname, *tls_authz, *pid_file, *description, *offset, *selinux, **names, **bitmaps,
        **objects, **traces, **files;
    gboolean read_only, snapshot, nocache, persistent, depth, list, image_opts, do_fork, verbose, version;
    gint shared;
} NbdOptions;
extern NbdOptions opt;

/* serve.c; exit status */
int nbd_serve(Error **errp);
bool nbd_tool_address(NbdAddress *a, bool client, Error **errp);

/*
 * kernel.c: /dev/nbdN gets what the server at w offers; done() is called from another thread when it has been
 * disconnected.
 */
typedef struct KernelClient KernelClient;
KernelClient *nbd_kernel_connect(const char *device, const NbdWant *w, void (*done)(void *opaque), void *opaque,
                                 Error **errp);
void nbd_kernel_free(KernelClient *k); /* disconnects and waits */
bool nbd_kernel_disconnect(const char *device, Error **errp);
#endif

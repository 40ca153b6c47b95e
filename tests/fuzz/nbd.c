/* SPDX-License-Identifier: MIT */
/*
 * NBD with a peer that says anything: our server hears an input as a client, our client as a server.
 *
 *   fuzz-nbd FILE|FOLDER...        each file once (tests/fuzz/corpus-nbd in `make check`)
 *   tests/fuzz/run SECONDS FOLDER nbd
 *
 * An input's first byte is 's' (to the server), 't' (the same behind a handshake that ends well), or another one (to
 * the client); the rest is sent as it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/thread.h"
#include "block/driver.h"
#include "block/nbd/remote.h"
#include "block/nbd/server.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory.h"

enum { DISK = 1 << 20 };

static NbdAddress ours, theirs; /* of the server that is fuzzed, of the one that fuzzes */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static GBytes *said;            /* by the latter, which may be at it still when the client has gone (locked) */

/* --- the peer --- */

static void say_all(int fd, const void *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t r = send(fd, (const uint8_t *)data + done, len - done, MSG_NOSIGNAL);
        if (r <= 0)
            break;
        done += (size_t)r;
    }
}

/* Until the other one has hung up. */
static void *listen_on(void *opaque)
{
    static uint8_t sink[65536];
    int fd = GPOINTER_TO_INT(opaque);
    while (recv(fd, sink, sizeof sink, 0) > 0)
        ;
    return NULL;
}

static void talk(int fd, const void *first, size_t first_len, const uint8_t *data, size_t len)
{
    /* replies must not fill the socket */
    pthread_t listener = thread_start("listener", listen_on, GINT_TO_POINTER(fd));
    say_all(fd, first, first_len);
    say_all(fd, data, len);
    shutdown(fd, SHUT_WR);
    pthread_join(listener, NULL);
    close(fd);
}

static void *false_server(void *opaque)
{
    int listener = GPOINTER_TO_INT(opaque);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        pthread_mutex_lock(&lock);
        GBytes *text = g_bytes_ref(said);
        pthread_mutex_unlock(&lock);
        gsize len;
        const uint8_t *data = g_bytes_get_data(text, &len);
        if (fd >= 0)
            talk(fd, NULL, 0, data, len);
        g_bytes_unref(text);
    }
    return NULL;
}

/* --- both sides --- */

static void no_report(void *opaque, const char *line) {}

static void set_up(void)
{
    static char folder[] = "/tmp/rhea-fuzz-XXXXXX";
    Error *err = NULL;
    int fds[8];
    if (!mkdtemp(folder) || chdir(folder))
        abort();
    error_set_sink(no_report, NULL);
    memory_register();
    memory_file = g_byte_array_new();
    g_byte_array_set_size(memory_file, DISK);
    memset(memory_file->data, 0, DISK);
    ours.path = g_build_filename(folder, "ours", NULL);
    theirs.path = g_build_filename(folder, "theirs", NULL);
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", "raw");
    opts_set(o, "file.driver", "fuzz-mem");
    BlockNode *n = block_open(NULL, o, BLOCK_RDWR | BLOCK_UNMAP, &err);
    NbdServer *s = n && nbd_listen(&ours, fds, 1, &err) ? nbd_server_new(fds, 1, NULL, 0) : NULL;
    NbdExportConfig c = { .name = "", .description = "memory", .node = n, .writable = true, .depth = true };
    if (!s || !nbd_server_add(s, &c, &err) || nbd_listen(&theirs, fds, 1, &err) != 1)
        abort();
    nbd_server_start(s);
    pthread_detach(thread_start("false server", false_server, GINT_TO_POINTER(fds[0])));
}

static void to_server(const uint8_t *data, size_t len, bool shaken)
{
    static const uint8_t shake[] =
        "\0\0\0\3IHAVEOPT\0\0\0\10\0\0\0\0IHAVEOPT\0\0\0\12\0\0\0\33\0\0\0\0\0\0\0\1\0\0\0\17"
        "base:allocation"
        "IHAVEOPT\0\0\0\7\0\0\0\6\0\0\0\0\0";
    int fd = nbd_connect(&ours, 0, NULL);
    if (fd < 0)
        abort();
    talk(fd, shake, shaken ? sizeof shake : 0, data, len);
}

static void use(BlockNode *n)
{
    static uint8_t buf[70000];
    BlockStatus status;
    uint64_t size = block_size(n);
    size_t len = (size_t)MIN(size, (uint64_t)sizeof buf);
    block_pread(n, 0, buf, len);
    block_pread(n, size / 2, buf, (size_t)MIN(size - size / 2, (uint64_t)512));
    block_status(n, 0, size, &status);
    block_pwrite(n, 0, buf, len);
    block_pwrite_zeroes(n, 0, len, 0);
    block_pdiscard(n, 0, len);
    block_flush(n);
}

static void to_client(const uint8_t *data, size_t len)
{
    pthread_mutex_lock(&lock);
    g_clear_pointer(&said, g_bytes_unref);
    said = g_bytes_new(data, len);
    pthread_mutex_unlock(&lock);
    Error *err = NULL;
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", "nbd");
    opts_set(o, "server.type", "unix");
    opts_set(o, "server.path", theirs.path);
    BlockNode *n = block_open(NULL, o, BLOCK_RDWR, &err);
    if (n)
        use(n);
    block_unref(n);
    g_autoptr(GString) text = g_string_new(NULL);
    error_free(err);
    nbd_remote_list(&(NbdWant){ .address = &theirs, .export = "", .timeout_ms = 10000 }, text, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!ours.path)
        set_up();
    if (size && (*data == 's' || *data == 't'))
        to_server(data + 1, size - 1, *data == 't');
    else if (size)
        to_client(data + 1, size - 1);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * virtio devices seen by a driver: what they do, over PCI and MMIO; saved and loaded amid requests; and random rings
 * for each of them.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/error.h"
#include "hw/core/event-doors.h"
#include "hw/virtio/vsock.h"
#include "virtio-rig.h"
#include "tests/device/whole-state.h"

#define SECOND 2000 /* ms to wait for what comes */

static void add_object(const char *text)
{
    Error *err = NULL;
    g_autoptr(Opts) o = opts_parse(text, "qom-type", &err);
    object_add(o, &err);
    g_assert_no_error(err);
}

static VRig rig_with(const char *device)
{
    Machine *m = vrig_machine();
    Device *d = bare_add(device);
    device_reset_all();
    return vrig_of(m, d);
}

/* ---- virtio-rng ---- */

static void test_rng(const void *device)
{
    VRig r = rig_with(device);
    unsigned slot = 0;
    uint32_t len = 0;
    uint8_t data[64];
    g_assert_cmphex(vrig_get(&r, 8, 0, 4), ==, r.pci ? 0 : VIRTIO_ID_RNG);
    for (unsigned i = 0; i < 40; i++) {
        if (i % 20 == 0)
            vrig_start(&r, i ? VIRTIO_F_EVENT_IDX : 0, 1);
        vrig_add_buffer(&r, 0, NULL, 0, sizeof(data));
        vrig_kick(&r, 0);
        g_assert_true(vrig_used(&r, 0, SECOND, &slot, &len));
        g_assert_cmpuint(len, ==, sizeof(data));
        vrig_read(&r, 0, slot, 0, data, len);
        unsigned zeroes = 0;
        for (unsigned k = 0; k < len; k++)
            zeroes += !data[k];
        g_assert_cmpuint(zeroes, <, 16);
    }
    vrig_free(&r);
}

/*
 * A daemon of the Entropy Gathering Daemon's protocol: asked by "2, count", it answers when it has something, in pieces
 * if it likes.
 */
static void test_rng_egd(void)
{
    Error *err = NULL;
    g_autofree char *dir = g_dir_make_tmp("rhea-egd-XXXXXX", NULL), *path = g_build_filename(dir, "egd", NULL);
    g_autofree char *text = g_strdup_printf("socket,path=%s,id=egd", path);
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    g_assert_cmpint(bind(listener, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    g_assert_cmpint(listen(listener, 1), ==, 0);
    Machine *m = vrig_machine();
    g_autoptr(Opts) o = opts_parse(text, "backend", &err);
    g_assert_nonnull(chardev_new_opts(o, &err));
    int daemon = accept(listener, NULL, NULL);
    unlink(path);
    rmdir(dir);
    add_object("rng-egd,id=r0,chardev=egd");
    Device *d = bare_add("virtio-rng-pci,rng=r0");
    device_reset_all();
    VRig r = vrig_of(m, d);
    vrig_start(&r, 0, 1);
    vrig_add_buffer(&r, 0, NULL, 0, 64);
    vrig_kick(&r, 0);
    uint8_t asked[2], got[64];
    for (unsigned have = 0; have < 2;) {
        evloop_iterate(false);
        ssize_t n = recv(daemon, asked + have, 2 - have, MSG_DONTWAIT);
        have += n > 0 ? (unsigned)n : 0;
    }
    g_assert_cmpuint(asked[0], ==, 2);
    g_assert_cmpuint(asked[1], ==, 64);
    unsigned slot = 0;
    uint32_t len = 0;
    g_assert_false(vrig_used(&r, 0, 20, &slot, &len));
    uint8_t answer[64];
    for (unsigned i = 0; i < sizeof(answer); i++)
        answer[i] = (uint8_t)(i + 1);
    g_assert_cmpint(write(daemon, answer, 10), ==, 10);
    g_assert_true(vrig_used(&r, 0, SECOND, &slot, &len)); /* the guest gets what there is */
    g_assert_cmpuint(len, ==, 10);
    vrig_read(&r, 0, slot, 0, got, 10);
    g_assert_cmpmem(got, 10, answer, 10);
    vrig_add_buffer(&r, 0, NULL, 0, 64); /* 54 bytes are still owed: nobody asks for more */
    vrig_kick(&r, 0);
    g_assert_cmpint(write(daemon, answer + 10, 54), ==, 54);
    g_assert_true(vrig_used(&r, 0, SECOND, &slot, &len));
    g_assert_cmpuint(len, ==, 54);
    vrig_read(&r, 0, slot, 0, got, 54);
    g_assert_cmpmem(got, 54, answer + 10, 54);
    g_assert_cmpint(recv(daemon, asked, 2, MSG_DONTWAIT), ==, -1);
    vrig_free(&r);
    close(daemon);
    close(listener);
}

/* --- doorbells that are no exits: an accelerator that signals the descriptors itself --- */

typedef struct Found { hwaddr at; int fd; unsigned count; } Found;

static void find_door(hwaddr at, const MemNotifier *n, void *opaque)
{
    Found *f = opaque;
    f->count++;
    if (at == f->at && (!n->match || n->value == 0))
        f->fd = n->fd;
}

static Found doors_of(const VRig *r)
{
    Found f = { .at = r->pci ? RIG_WINDOW + RIG_NOTIFY : RIG_MMIO + 0x50, .fd = -1 };
    as_foreach_notifier(r->m->as_memory, find_door, &f);
    return f;
}

static void test_doors(const void *device)
{
    static const EventDoors doors = { .notifiers = true };
    unsigned slot = 0;
    uint32_t len = 0;
    event_doors_set(&doors);
    VRig r = rig_with(device);
    g_assert_cmpuint(doors_of(&r).count, ==, 0);
    vrig_start(&r, 0, 1);
    Found f = doors_of(&r);
    g_assert_cmpint(f.fd, >=, 0);
    for (unsigned i = 0; i < 20; i++) {
        vrig_add_buffer(&r, 0, NULL, 0, 64);
        g_assert_cmpint(write(f.fd, &(uint64_t){ 1 }, 8), ==, 8);
        g_assert_true(vrig_used(&r, 0, SECOND, &slot, &len));
        g_assert_cmpuint(len, ==, 64);
    }
    g_autoptr(GString) said = g_string_new(NULL);
    Device *tells = r.pci ? r.d : device_find("mmio");
    (r.pci ? tells->type->base : tells->type)->info(tells, said);
    g_assert_nonnull(strstr(said->str, "doorbell rung 20 times, 20 by file descriptor"));
    vrig_set(&r, 0x70, 20, 1, 0); /* the driver goes */
    g_assert_cmpuint(doors_of(&r).count, ==, 0);
    vrig_start(&r, 0, 1);
    g_assert_cmpuint(doors_of(&r).count, ==, f.count);
    device_reset_all();
    g_assert_cmpint(doors_of(&r).fd, ==, -1);
    vrig_free(&r);
    event_doors_set(NULL);
}

/* Ten bytes in a period, out of a file whose bytes are known. */
static void test_rng_quota(void)
{
    g_autofree char *file = NULL;
    int fd = g_file_open_tmp("rhea-rng-XXXXXX", &file, NULL);
    g_assert_cmpint(write(fd, "abcdefghijklmnopqrstuvwxyz", 26), ==, 26);
    close(fd);
    Machine *m = vrig_machine();
    g_autofree char *object = g_strdup_printf("rng-random,id=r0,filename=%s", file);
    add_object(object);
    Device *d = bare_add("virtio-rng-pci,rng=r0,max-bytes=10,period=1000");
    device_reset_all();
    VRig r = vrig_of(m, d);
    vrig_start(&r, 0, 1);
    unsigned slot = 0;
    uint32_t len = 0;
    char text[16] = "";
    for (unsigned i = 0; i < 3; i++)
        vrig_add_buffer(&r, 0, NULL, 0, 8);
    vrig_kick(&r, 0);
    g_assert_true(vrig_used(&r, 0, SECOND, &slot, &len));
    g_assert_cmpuint(len, ==, 8);
    g_assert_true(vrig_used(&r, 0, SECOND, &slot, &len));
    g_assert_cmpuint(len, ==, 2);
    vrig_read(&r, 0, slot, 0, text, len);
    g_assert_cmpstr(text, ==, "ij");
    g_assert_false(vrig_used(&r, 0, 50, &slot, &len));
    g_autoptr(GBytes) waiting = save_all(); /* a buffer is held */
    load_all(waiting);
    g_assert_false(vrig_used(&r, 0, 50, &slot, &len));
    clock_virtual_step(1100 * INT64_C(1000000));
    g_assert_true(vrig_used(&r, 0, SECOND, &slot, &len));
    g_assert_cmpuint(len, ==, 8);
    vrig_read(&r, 0, slot, 0, text, len);
    g_assert_cmpstr(text, ==, "klmnopqr");
    vrig_free(&r);
    unlink(file);
}

/* ---- virtio-serial ---- */

enum { CONTROL_RX = 2, CONTROL_TX = 3, SERIAL_QUEUES = 8, F_MULTIPORT = 2 };
enum { DEVICE_READY, PORT_ADD, PORT_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME };

static void control(VRig *r, uint32_t port, uint16_t event, uint16_t value)
{
    uint8_t m[8];
    unsigned slot = 0;
    uint32_t len = 0;
    store_le32(m, port);
    store_le16(m + 4, event);
    store_le16(m + 6, value);
    vrig_add_buffer(r, CONTROL_TX, m, sizeof(m), 0);
    vrig_kick(r, CONTROL_TX);
    g_assert_true(vrig_used(r, CONTROL_TX, SECOND, &slot, &len));
}

/* The next control message: "PORT EVENT VALUE TEXT". Its buffer is made available again. */
static char *told(VRig *r)
{
    uint8_t m[64] = { 0 };
    unsigned slot = 0;
    uint32_t len = 0;
    if (!vrig_used(r, CONTROL_RX, 100, &slot, &len))
        return g_strdup("");
    vrig_read(r, CONTROL_RX, slot, 0, m, len);
    vrig_add_buffer(r, CONTROL_RX, NULL, 0, 56);
    vrig_kick(r, CONTROL_RX);
    return g_strdup_printf("%u %u %u %s", load_le32(m), load_le16(m + 4), load_le16(m + 6), m + 8);
}

static void expect_told(VRig *r, const char *text)
{
    g_autofree char *got = told(r);
    g_assert_cmpstr(got, ==, text);
}

static Chardev *add_ring(const char *id)
{
    Error *err = NULL;
    g_autofree char *text = g_strdup_printf("ringbuf,size=4096,id=%s", id);
    g_autoptr(Opts) o = opts_parse(text, "backend", &err);
    Chardev *c = chardev_new_opts(o, &err);
    g_assert_no_error(err);
    return c;
}

/* A console and a named port: announcements, data to the host, coming and going while the guest runs. */
static void test_serial(const void *device)
{
    Machine *m = vrig_machine();
    Chardev *console = add_ring("c0"), *port = add_ring("c1");
    add_ring("c2");
    g_autofree char *options = g_strdup_printf("%s,id=vs", (const char *)device);
    Device *d = bare_add(options);
    bare_add("virtconsole,chardev=c0,id=con");
    bare_add("virtserialport,chardev=c1,name=org.rhea.test,nr=2");
    device_reset_all();
    VRig r = vrig_of(m, d);
    g_assert_cmpuint(vrig_config(&r, 4, 4), ==, 31);
    vrig_start(&r, F_MULTIPORT | VIRTIO_F_EVENT_IDX, SERIAL_QUEUES);
    for (unsigned i = 0; i < 4; i++)
        vrig_add_buffer(&r, CONTROL_RX, NULL, 0, 56);
    vrig_kick(&r, CONTROL_RX);
    control(&r, UINT32_MAX, DEVICE_READY, 1);
    expect_told(&r, "0 1 1 ");
    expect_told(&r, "2 1 1 ");
    control(&r, 0, PORT_READY, 1);
    control(&r, 2, PORT_READY, 1);
    expect_told(&r, "0 4 1 ");
    expect_told(&r, "0 6 1 ");
    expect_told(&r, "2 7 1 org.rhea.test");
    expect_told(&r, "2 6 1 ");
    control(&r, 0, PORT_OPEN, 1);
    control(&r, 99, PORT_OPEN, 1);

    gsize len;
    unsigned slot = 0;
    uint32_t used = 0;
    vrig_add_buffer(&r, 1, "to the console", 14, 0);
    vrig_kick(&r, 1);
    vrig_add_buffer(&r, 7, "to the port", 11, 0);
    vrig_kick(&r, 7);
    g_assert_true(vrig_used(&r, 1, SECOND, &slot, &used) && vrig_used(&r, 7, SECOND, &slot, &used));
    g_autofree char *one = chardev_ringbuf_read(console, 100, &len, NULL),
                    *two = chardev_ringbuf_read(port, 100, &len, NULL);
    g_assert_cmpstr(one, ==, "to the console");
    g_assert_cmpstr(two, ==, "to the port");

    Error *err = NULL;
    bare_add("virtserialport,chardev=c2,id=late,name=late");
    expect_told(&r, "1 1 1 ");
    control(&r, 1, PORT_READY, 1);
    expect_told(&r, "1 7 1 late");
    expect_told(&r, "1 6 1 ");
    g_assert_true(device_del("late", &err));
    expect_told(&r, "1 2 1 ");
    expect_told(&r, "");
    g_autoptr(Opts) o = opts_parse("virtserialport,nr=0", "driver", &err);
    g_assert_null(device_add(o, &err));
    g_assert_nonnull(strstr(err->message, "port 0 is for a virtconsole"));
    error_free(err);
    vrig_free(&r);
}

/*
 * From the host to the guest: nothing while the port is closed, then all of it; a buffer that waits is saved and
 * loaded.
 */
static void test_serial_input(void)
{
    g_autofree char *dir = g_dir_make_tmp("rhea-vs-XXXXXX", NULL), *path = g_build_filename(dir, "in", NULL);
    g_autofree char *text = g_strdup_printf("pipe,path=%s,id=p", path), *in = g_strconcat(path, ".in", NULL),
                    *out = g_strconcat(path, ".out", NULL);
    g_assert_cmpint(mkfifo(in, 0600), ==, 0);
    g_assert_cmpint(mkfifo(out, 0600), ==, 0);
    Error *err = NULL;
    Machine *m = vrig_machine();
    g_autoptr(Opts) o = opts_parse(text, "backend", &err);
    g_assert_nonnull(chardev_new_opts(o, &err));
    int fd = open(in, O_RDWR | O_NONBLOCK);
    Device *d = bare_add("virtio-serial-pci");
    bare_add("virtserialport,chardev=p,nr=1");
    device_reset_all();
    VRig r = vrig_of(m, d);
    vrig_start(&r, F_MULTIPORT, SERIAL_QUEUES);
    control(&r, UINT32_MAX, DEVICE_READY, 1);
    unsigned slot = 0;
    uint32_t len = 0;
    char got[16] = "";
    for (unsigned i = 0; i < 3; i++)
        vrig_add_buffer(&r, 4, NULL, 0, 4);
    vrig_kick(&r, 4);
    g_assert_cmpint(write(fd, "abcdef", 6), ==, 6);
    g_assert_false(vrig_used(&r, 4, 50, &slot, &len));
    control(&r, 1, PORT_OPEN, 1);
    g_assert_true(vrig_used(&r, 4, SECOND, &slot, &len));
    vrig_read(&r, 4, slot, 0, got, len);
    g_assert_true(vrig_used(&r, 4, SECOND, &slot, &len));
    vrig_read(&r, 4, slot, 0, got + 4, len);
    g_assert_cmpstr(got, ==, "abcdef");
    g_autoptr(GBytes) waiting = save_all();
    load_all(waiting);
    g_assert_cmpint(write(fd, "xyz", 3), ==, 3);
    g_assert_true(vrig_used(&r, 4, SECOND, &slot, &len));
    vrig_read(&r, 4, slot, 0, got, len);
    g_assert_cmpint(strncmp(got, "xyz", 3), ==, 0);
    vrig_free(&r);
    close(fd);
    unlink(in);
    unlink(out);
    rmdir(dir);
}

/* ---- virtio-vsock ---- */

enum { VSOCK_RX, VSOCK_TX, VSOCK_EVENT, VSOCK_QUEUES };

typedef struct Packet { uint32_t from, to, op, flags, len, credit; char data[64]; } Packet;

static void vsock_send(VRig *r, uint32_t from, uint32_t to, uint16_t op, uint32_t flags, const char *data)
{
    uint8_t b[VSOCK_HEADER + 64] = { 0 };
    unsigned slot = 0;
    uint32_t len = data ? (uint32_t)strlen(data) : 0;
    store_le64(b, 7);
    store_le64(b + 8, VSOCK_HOST_CID);
    store_le32(b + 16, from);
    store_le32(b + 20, to);
    store_le32(b + 24, len);
    store_le16(b + 28, VSOCK_STREAM);
    store_le16(b + 30, op);
    store_le32(b + 32, flags);
    store_le32(b + 36, 4096);
    memcpy(b + VSOCK_HEADER, data ? data : "", len);
    vrig_add_buffer(r, VSOCK_TX, b, VSOCK_HEADER + len, 0);
    vrig_kick(r, VSOCK_TX);
    g_assert_true(vrig_used(r, VSOCK_TX, SECOND, &slot, &len));
}

static Packet vsock_packet(VRig *r)
{
    uint8_t b[VSOCK_HEADER];
    unsigned slot = 0;
    uint32_t len = 0;
    Packet p = { 0 };
    g_assert_true(vrig_used(r, VSOCK_RX, SECOND, &slot, &len));
    vrig_read(r, VSOCK_RX, slot, 0, b, VSOCK_HEADER);
    vrig_read(r, VSOCK_RX, slot, VSOCK_HEADER, p.data, MIN(len - VSOCK_HEADER, 63));
    p = (Packet){ load_le32(b + 16), load_le32(b + 20), load_le16(b + 30),
                  load_le32(b + 32), load_le32(b + 24), load_le32(b + 36) };
    vrig_read(r, VSOCK_RX, slot, VSOCK_HEADER, p.data, MIN(p.len, 63));
    vrig_add_buffer(r, VSOCK_RX, NULL, 0, 200);
    vrig_kick(r, VSOCK_RX);
    return p;
}

static int unix_socket(const char *path, bool server)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    g_assert_cmpint(server ? bind(fd, (struct sockaddr *)&un, sizeof(un)) || listen(fd, 4)
                           : connect(fd, (struct sockaddr *)&un, sizeof(un)),
                    ==, 0);
    return fd;
}

static void expect_read(int fd, const char *text)
{
    char got[64] = "";
    size_t have = 0;
    for (unsigned i = 0; i < 4000 && have < strlen(text); i++) {
        ssize_t n = recv(fd, got + have, sizeof(got) - 1 - have, MSG_DONTWAIT);
        have += n > 0 ? (size_t)n : 0;
        if (!evloop_iterate(false))
            g_usleep(200);
    }
    g_assert_cmpstr(got, ==, text);
}

static void test_vsock(const void *device)
{
    g_autofree char *dir = g_dir_make_tmp("rhea-vsock-XXXXXX", NULL), *path = g_build_filename(dir, "v", NULL),
                    *port = g_strconcat(path, "_52", NULL);
    g_autofree char *options = g_strdup_printf("%s,guest-cid=7,uds=%s", (const char *)device, path);
    int server = unix_socket(port, true);
    VRig r = rig_with(options);
    g_assert_cmpuint(vrig_config(&r, 0, 4), ==, 7);
    vrig_start(&r, VIRTIO_F_EVENT_IDX, VSOCK_QUEUES);
    for (unsigned i = 0; i < 4; i++)
        vrig_add_buffer(&r, VSOCK_RX, NULL, 0, 200);
    vrig_add_buffer(&r, VSOCK_EVENT, NULL, 0, 8);
    vrig_kick(&r, VSOCK_RX);

    vsock_send(&r, 1000, 53, VSOCK_REQUEST, 0, NULL); /* nobody listens there */
    Packet p = vsock_packet(&r);
    g_assert_true(p.op == VSOCK_RST && p.from == 53 && p.to == 1000);

    vsock_send(&r, 1000, 52, VSOCK_REQUEST, 0, NULL);
    p = vsock_packet(&r);
    g_assert_true(p.op == VSOCK_RESPONSE && p.from == 52 && p.to == 1000 && p.credit);
    int peer = accept(server, NULL, NULL);
    vsock_send(&r, 1000, 52, VSOCK_RW, 0, "from the guest");
    expect_read(peer, "from the guest");
    g_assert_cmpint(send(peer, "from the host", 13, 0), ==, 13);
    p = vsock_packet(&r);
    g_assert_true(p.op == VSOCK_RW && p.len == 13);
    g_assert_cmpstr(p.data, ==, "from the host");
    vsock_send(&r, 1000, 52, VSOCK_SHUTDOWN, VSOCK_SHUT_RECEIVE | VSOCK_SHUT_SEND, NULL);
    g_assert_cmpuint(vsock_packet(&r).op, ==, VSOCK_RST);
    close(peer);

    int client = unix_socket(path, false); /* the host connects to port 22 of the guest */
    g_assert_cmpint(send(client, "CONNECT 22\nearly", 16, 0), ==, 16);
    p = vsock_packet(&r);
    g_assert_true(p.op == VSOCK_REQUEST && p.to == 22);
    uint32_t ours = p.from;
    g_autofree char *ok = g_strdup_printf("OK %u\n", ours);
    vsock_send(&r, 22, ours, VSOCK_RESPONSE, 0, NULL);
    expect_read(client, ok);
    p = vsock_packet(&r);
    g_assert_cmpstr(p.data, ==, "early");
    g_autoptr(GBytes) saved = save_all();
    load_all(saved); /* streams end, and the guest is told */
    vrig_kick(&r, VSOCK_EVENT);
    vrig_set(&r, 0x50, RIG_NOTIFY + 4 * VSOCK_EVENT, 4, VSOCK_EVENT);
    unsigned slot = 0;
    uint32_t len = 0;
    g_assert_true(vrig_used(&r, VSOCK_EVENT, SECOND, &slot, &len));
    g_assert_cmpuint(len, ==, 4);
    g_assert_cmpint(recv(client, &slot, 1, 0), ==, 0);
    close(client);
    close(server);
    vrig_free(&r);
    unlink(port);
    g_assert_cmpint(rmdir(dir), ==, 0);
}

/* ---- random rings: whatever stands in them, a device neither hangs nor falls ---- */

static uint64_t random_address(void)
{
    uint32_t at = (uint32_t)g_test_rand_int();
    return g_test_rand_int_range(0, 16) ? at % RIG_RAM : (uint64_t)at << g_test_rand_int_range(0, 24);
}

static void random_ring(VRig *r, unsigned q)
{
    AddressSpace *as = r->m->as_memory;
    for (unsigned i = 0; i < r->size[q]; i++) {
        uint8_t desc[16];
        store_le64(desc, random_address());
        store_le32(desc + 8, (uint32_t)g_test_rand_int() >> g_test_rand_int_range(0, 32));
        store_le16(desc + 12, (uint16_t)g_test_rand_int_range(0, g_test_rand_bit() ? 4 : 8));
        store_le16(desc + 14, (uint16_t)g_test_rand_int_range(0, r->size[q] + 1));
        as_write(as, rig_area(q, 0) + 16 * i, desc, sizeof(desc), MEM_ATTRS_DEVICE);
        store_le16(desc, (uint16_t)g_test_rand_int_range(0, r->size[q]));
        as_write(as, rig_area(q, 1) + 4 + 2 * i, desc, 2, MEM_ATTRS_DEVICE);
    }
    uint8_t index[2];
    r->avail[q] = (uint16_t)(r->avail[q] + g_test_rand_int_range(0, r->size[q]));
    store_le16(index, r->avail[q]);
    as_write(as, rig_area(q, 1) + 2, index, 2, MEM_ATTRS_DEVICE);
}

static void storm(VRig *r, unsigned rounds)
{
    unsigned queues = 0;
    while (queues < 8 && (vrig_set(r, 0x30, 22, 2, queues), vrig_get(r, 0x34, 24, 2)))
        queues++;
    for (unsigned n = 0; n < rounds; n++) {
        uint64_t offered = 0;
        for (unsigned half = 0; half < 2; half++) {
            vrig_set(r, 0x14, 0, 4, half);
            offered |= (uint64_t)vrig_get(r, 0x10, 4, 4) << 32 * half;
        }
        for (unsigned i = 0; i < 500; i++) /* small numbers, as types of requests are */
            as_store(r->m->as_memory, random_address() % RIG_RAM, 4, (uint32_t)g_test_rand_int_range(0, 9),
                     MEM_ATTRS_DEVICE);
        vrig_start(r,
                   offered & ~VIRTIO_F_RING_PACKED &
                       (g_test_rand_bit() ? UINT64_MAX : (uint64_t)g_test_rand_int() << 20),
                   queues);
        for (unsigned k = 0; k < 8; k++) {
            for (unsigned q = 0; q < queues; q++) {
                if (g_test_rand_bit())
                    random_ring(r, q);
                if (g_test_rand_bit())
                    vrig_kick(r, q);
            }
            clock_virtual_step(g_test_rand_int_range(0, 2000000));
            evloop_iterate(false);
        }
        if (n % 4 == 3) {
            g_autoptr(GBytes) busy = save_all();
            load_all(busy);
        }
        if (g_test_rand_bit())
            device_reset_all();
        r->pci = r->d->type->base == &virtio_pci_type;
        if (r->pci) {
            as_store(r->m->as_io, 0xcf8, 4, 0x80000004 | (uint32_t)pci_device(r->d)->devfn << 8, MEM_ATTRS_DEVICE);
            as_store(r->m->as_io, 0xcfc, 2, 7, MEM_ATTRS_DEVICE);
        }
    }
}

static void test_storm(const void *device)
{
    g_autofree char *path = g_strdup_printf("%s/rhea-storm-%d", g_get_tmp_dir(), (int)getpid());
    g_autofree char *options = strstr(device, "vsock")
                                   ? g_strdup_printf("%s,guest-cid=3,uds=%s", (const char *)device, path)
                                   : g_strdup(device);
    VRig r = rig_with(options);
    if (bus_find_kind("virtio-serial-bus")) {
        add_ring("storm");
        bare_add("virtconsole,chardev=storm");
        bare_add("virtserialport,name=storm");
    }
    storm(&r, g_test_slow() ? 2000 : 60);
    vrig_free(&r);
}

static void be_quiet(void *opaque, const char *line) {}

int main(int argc, char **argv)
{
    evloop_init();
    g_test_init(&argc, &argv, NULL);
    error_set_sink(be_quiet, NULL);
    g_test_add_data_func("/rng/pci", "virtio-rng-pci", test_rng);
    g_test_add_data_func("/rng/mmio", "virtio-rng-device", test_rng);
    g_test_add_func("/rng/quota", test_rng_quota);
    g_test_add_func("/rng/egd", test_rng_egd);
    g_test_add_data_func("/doors/pci", "virtio-rng-pci", test_doors);
    g_test_add_data_func("/doors/mmio", "virtio-rng-device", test_doors);
    g_test_add_data_func("/serial/pci", "virtio-serial-pci", test_serial);
    g_test_add_data_func("/serial/mmio", "virtio-serial-device", test_serial);
    g_test_add_data_func("/vsock/pci", "vhost-vsock-pci", test_vsock);
    g_test_add_data_func("/vsock/mmio", "vhost-vsock-device", test_vsock);
    g_test_add_data_func("/storm/vsock/pci", "vhost-vsock-pci", test_storm);
    g_test_add_func("/serial/input", test_serial_input);
    g_test_add_data_func("/storm/serial/pci", "virtio-serial-pci", test_storm);
    g_test_add_data_func("/storm/serial/mmio", "virtio-serial-device", test_storm);
    g_test_add_data_func("/storm/rng/pci", "virtio-rng-pci", test_storm);
    g_test_add_data_func("/storm/rng/mmio", "virtio-rng-device", test_storm);
    return g_test_run();
}

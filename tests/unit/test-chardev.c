/* SPDX-License-Identifier: MIT */
/* Character back ends, each one with a peer. */
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include "chardev/telnet.h"
#include "tests/unit/chardev-rig.h"

static void test_ringbuf(void)
{
    Chardev *c = make("ringbuf,id=r,size=8");
    size_t len;
    say(c, "hello world");
    g_autofree char *t = chardev_ringbuf_read(c, 4, &len, NULL);
    g_assert_cmpstr(t, ==, "lo w");
    say(c, "!");
    g_autofree char *u = chardev_ringbuf_read(c, 100, &len, NULL);
    g_assert_cmpstr(u, ==, "orld!");
    g_assert_cmpuint(len, ==, 5);
    Chardev *n = make("null,id=n");
    say(n, "x");
    g_assert_null(chardev_ringbuf_read(n, 1, &len, NULL));
    chardevs_close_all();
}

static void test_file(void)
{
    g_autofree char *out = in_dir("out"), *in = in_dir("in"), *log = in_dir("log");
    g_file_set_contents(in, "from file", -1, NULL);
    g_file_set_contents(out, "old\n", -1, NULL);
    Sink s = sink_new();
    Chardev *c = make("file,id=f,path=%s,input-path=%s,append=on,logfile=%s", out, in, log);
    g_assert_true(attach(c, &s, NULL));
    g_assert_cmpstr(s.events->str, ==, "O");
    expect(s.got, "from file");
    say(c, "new");
    g_autoptr(GString) info = g_string_new(NULL);
    chardev_print_info(info);
    g_assert_nonnull(strstr(info->str, "f: filename=file:"));
    chardevs_close_all();
    g_autofree char *text = NULL, *logged = NULL;
    g_file_get_contents(out, &text, NULL, NULL);
    g_file_get_contents(log, &logged, NULL, NULL);
    g_assert_cmpstr(text, ==, "old\nnew");
    g_assert_cmpstr(logged, ==, "new");
    sink_free(&s);
}

static void test_pipe(void)
{
    g_autofree char *path = in_dir("p"), *in = in_dir("p.in"), *out = in_dir("p.out");
    g_assert_cmpint(mkfifo(in, 0600) | mkfifo(out, 0600), ==, 0);
    Sink s = sink_new();
    Chardev *c = make("pipe,id=p,path=%s", path);
    g_assert_true(attach(c, &s, NULL));
    int to = open(in, O_WRONLY), from = open(out, O_RDONLY | O_NONBLOCK);
    put(to, "abc");
    expect(s.got, "abc");
    say(c, "def");
    expect_fd(from, "def");
    close(to);
    close(from);
    chardevs_close_all();
    sink_free(&s);
}

/* Back pressure: no byte is read, or lost, while the front end has no room. */
static void test_room(void)
{
    g_autofree char *path = in_dir("room");
    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    Sink s = sink_new();
    s.room = 0;
    Chardev *c = make("pipe,id=p,path=%s", path);
    g_assert_true(attach(c, &s, NULL));
    int to = open(path, O_WRONLY);
    put(to, "abcdef");
    turn(20);
    g_assert_cmpuint(s.got->len, ==, 0);
    s.room = 2;
    chardev_accept_input(c);
    expect(s.got, "ab");
    s.room = 2;
    s.grows = true;
    g_autofree char *many = g_strnfill(6000, 'x');
    put(to, many);
    chardev_accept_input(c);
    g_autofree char *all = g_strconcat("cdef", many, NULL);
    expect(s.got, all);
    Sink other = sink_new();
    Error *err = NULL;
    g_assert_false(attach(c, &other, &err));
    g_assert_nonnull(strstr(err->message, "in use already"));
    g_clear_error(&err);
    chardev_detach(c, &s);
    g_assert_true(attach(c, &other, NULL));
    close(to);
    chardevs_close_all();
    sink_free(&s);
    sink_free(&other);
}

static char *reported;
static void take_report(void *opaque, const char *line)
{
    g_free(reported);
    reported = g_strdup(line);
}

static void test_pty(void)
{
    Sink s = sink_new();
    error_set_sink(take_report, NULL);
    Chardev *c = make("pty,id=p");
    error_set_sink(NULL, NULL);
    g_assert_true(g_str_has_prefix(reported, "char device redirected to /dev/pts/"));
    g_auto(GStrv) words = g_strsplit(reported, " ", -1);
    g_assert_true(attach(c, &s, NULL));
    g_assert_cmpstr(s.events->str, ==, "");
    for (unsigned round = 0; round < 2; round++) { /* a peer may go and come back */
        say(c, "nobody sees this");
        int fd = open(words[4], O_RDWR | O_NOCTTY);
        expect(s.events, "O");
        put(fd, "ab\r\003");
        expect(s.got, "ab\r\003"); /* raw: nothing is cooked or echoed */
        say(c, "x\n");
        expect_fd(fd, "x\n");
        close(fd);
        expect(s.events, "C");
    }
    chardevs_close_all();
    g_clear_pointer(&reported, g_free);
    sink_free(&s);
}

static void test_unix_server(void)
{
    g_autofree char *path = in_dir("sock");
    Sink s = sink_new();
    Chardev *c = make("socket,id=s,path=%s,server=on,wait=off", path);
    g_assert_true(attach(c, &s, NULL));
    for (unsigned round = 0; round < 2; round++) {
        int fd = connect_unix(path);
        expect(s.events, "O");
        put(fd, "in");
        expect(s.got, "in");
        say(c, "out");
        expect_fd(fd, "out");
        close(fd);
        expect(s.events, "C");
        say(c, "lost");
    }
    chardevs_close_all();
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    sink_free(&s);
}

static void *late_client(void *opaque)
{
    for (unsigned i = 0; i < 400; i++) {
        if (g_file_test(opaque, G_FILE_TEST_EXISTS))
            return GINT_TO_POINTER(connect_unix(opaque));
        g_usleep(5000);
    }
    return GINT_TO_POINTER(-1);
}

static void test_wait(void)
{
    g_autofree char *path = in_dir("wait");
    error_set_sink(take_report, NULL);
    pthread_t t = thread_start("client", late_client, path);
    Sink s = sink_new();
    Chardev *c = make("socket,id=s,path=%s,server=on", path); /* comes back with a peer */
    error_set_sink(NULL, NULL);
    g_clear_pointer(&reported, g_free);
    g_assert_true(attach(c, &s, NULL));
    g_assert_cmpstr(s.events->str, ==, "O");
    void *fd;
    pthread_join(t, &fd);
    close(GPOINTER_TO_INT(fd));
    chardevs_close_all();
    sink_free(&s);
}

/* A listener on a free port of the loop-back interface. */
static int tcp_listener(unsigned *port)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&in, sizeof(in)) | listen(fd, 1) |
                        getsockname(fd, (struct sockaddr *)&in, &len),
                    ==, 0);
    *port = ntohs(in.sin_port);
    return fd;
}

static void test_tcp_client(void)
{
    unsigned port;
    int listener = tcp_listener(&port);
    Sink s = sink_new();
    bool none;
    g_autofree char *text = g_strdup_printf("tcp:127.0.0.1:%u,nodelay,reconnect=1", port);
    Error *err = NULL;
    Chardev *c = chardev_new_short("serial0", text, &none, &err);
    g_assert_no_error(err);
    g_assert_true(attach(c, &s, NULL));
    for (unsigned round = 0; round < 2; round++) { /* the second time by reconnection, after a second */
        int fd = accept(listener, NULL, NULL);
        expect(s.events, "O");
        put(fd, "hi");
        expect(s.got, "hi");
        close(fd);
        expect(s.events, "C");
        if (!round)
            turn(1100);
    }
    chardevs_close_all();
    close(listener);
    g_free(text);
    text = g_strdup_printf("tcp:127.0.0.1:%u", port);
    g_assert_null(chardev_new_short("serial0", text, &none, &err));
    g_assert_nonnull(strstr(err->message, "Connection refused"));
    g_clear_error(&err);
    sink_free(&s);
}

static void test_telnet(void)
{
    static const struct { const char *in; size_t len; const char *out; unsigned breaks; } cases[] = {
        { "ab", 2, "ab", 0 }, { "a\xff\xff" "b", 4, "a\xff" "b", 0 }, { "\xff\xfd\x01x", 4, "x", 0 },
        { "a\xff\xf3" "b", 4, "ab", 1 }, { "\xff\xfa\x18\x01zz\xff\xf0q", 9, "q", 0 }, { "\r\0a\r\nb", 6, "\ra\rb", 0 },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        for (size_t split = 0; split <= cases[i].len; split++) { /* a sequence may arrive in two pieces */
            Telnet t = { 0 };
            uint8_t a[32], b[32], all[64];
            unsigned b1, b2;
            memcpy(a, cases[i].in, split);
            memcpy(b, cases[i].in + split, cases[i].len - split);
            size_t na = telnet_filter(&t, a, split, &b1), nb = telnet_filter(&t, b, cases[i].len - split, &b2);
            memcpy(all, a, na);
            memcpy(all + na, b, nb);
            g_assert_cmpmem(all, na + nb, cases[i].out, strlen(cases[i].out));
            g_assert_cmpuint(b1 + b2, ==, cases[i].breaks);
        }
    }
    g_autofree char *path = in_dir("telnet");
    Sink s = sink_new();
    Chardev *c = make("socket,id=t,path=%s,server=on,wait=off,telnet=on", path);
    g_assert_true(attach(c, &s, NULL));
    int fd = connect_unix(path);
    expect(s.events, "O");
    uint8_t hello[12];
    g_assert_cmpint(read(fd, hello, 12), ==, 12);
    g_assert_cmpmem(hello, 12, telnet_hello, 12);
    put(fd, "x\xff\xf3y");
    expect(s.got, "xy");
    expect(s.events, "B");
    chardev_write_all(c, "a\xff" "b", 3);
    expect_fd(fd, "a\xff\xff" "b");
    close(fd);
    chardevs_close_all();
    sink_free(&s);
}

/* A peer that does not read must not hold the machine up. */
static void test_stuck(void)
{
    g_autofree char *path = in_dir("stuck"), *mib = g_strnfill(1 << 20, 'z');
    Chardev *c = make("socket,id=s,path=%s,server=on,wait=off", path);
    int fd = connect_unix(path);
    turn(20);
    int64_t start = clock_ns(CLOCK_REALTIME_NS);
    for (unsigned i = 0; i < 20; i++)
        chardev_write_all(c, mib, 1 << 20);
    g_assert_cmpint(clock_ns(CLOCK_REALTIME_NS) - start, <, INT64_C(2000000000));
    g_assert_cmpuint(chardev_write(c, mib, 1 << 20), ==, 0); /* full: says so */
    g_autoptr(GString) info = g_string_new(NULL);
    chardev_print_info(info);
    g_assert_nonnull(strstr(info->str, "dropped="));
    close(fd);
    chardevs_close_all();
}

int main(int argc, char **argv)
{
    rig_begin(&argc, &argv);
    g_test_add_func("/chardev/ringbuf", test_ringbuf);
    g_test_add_func("/chardev/file", test_file);
    g_test_add_func("/chardev/pipe", test_pipe);
    g_test_add_func("/chardev/room", test_room);
    g_test_add_func("/chardev/pty", test_pty);
    g_test_add_func("/chardev/unix-server", test_unix_server);
    g_test_add_func("/chardev/wait", test_wait);
    g_test_add_func("/chardev/tcp-client", test_tcp_client);
    g_test_add_func("/chardev/telnet", test_telnet);
    g_test_add_func("/chardev/stuck", test_stuck);
    return rig_run();
}

/* SPDX-License-Identifier: MIT */
/* Character back ends: each one with a peer, the mux, and wrong options. */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/evloop.h"
#include "base/thread.h"
#include "chardev/chardev.h"
#include "chardev/telnet.h"

static char *dir;

static char *in_dir(const char *name) { return g_build_filename(dir, name, NULL); }

/* A front end that keeps what it gets. */
typedef struct Sink {
    GString *got, *events; /* events: O C B i o */
    size_t room;
} Sink;

static size_t sink_can_read(void *opaque) { return ((Sink *)opaque)->room; }

static void sink_receive(void *opaque, const uint8_t *data, size_t len)
{
    Sink *s = opaque;
    g_assert_cmpuint(len, <=, s->room);
    g_assert_true(lock_domain_held(machine_domain()));
    g_string_append_len(s->got, (const char *)data, (gssize)len);
    if (s->room < 1000)
        s->room -= len;
}

static void sink_event(void *opaque, ChardevEvent event)
{
    g_string_append_c(((Sink *)opaque)->events, "OCBio"[event]);
}

static Sink sink_new(void)
{
    return (Sink){ g_string_new(NULL), g_string_new(NULL), 1000000 };
}

static void sink_free(Sink *s)
{
    g_string_free(s->got, true);
    g_string_free(s->events, true);
}

static bool attach(Chardev *c, Sink *s, Error **errp)
{
    ChardevFrontend fe = { sink_can_read, sink_receive, sink_event, machine_domain(), s };
    return chardev_attach(c, &fe, errp);
}

static Chardev *make(const char *format, ...) G_GNUC_PRINTF(1, 2);
static Chardev *make(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    g_autofree char *text = g_strdup_vprintf(format, ap);
    va_end(ap);
    Error *err = NULL;
    g_autoptr(Opts) o = opts_parse(text, "backend", &err);
    Chardev *c = chardev_new_opts(o, &err);
    g_assert_no_error(err);
    return c;
}

/* Turn the main loop until the text is complete or two seconds are over. */
static void expect(GString *where, const char *text)
{
    int64_t end = clock_ns(CLOCK_REALTIME_NS) + INT64_C(2000000000);
    while (strcmp(where->str, text) && clock_ns(CLOCK_REALTIME_NS) < end) {
        if (!evloop_iterate(false))
            g_usleep(500);
    }
    g_assert_cmpstr(where->str, ==, text);
    g_string_truncate(where, 0);
}

static void turn(unsigned ms)
{
    for (int64_t end = clock_ns(CLOCK_REALTIME_NS) + ms * INT64_C(1000000); clock_ns(CLOCK_REALTIME_NS) < end;) {
        if (!evloop_iterate(false))
            g_usleep(200);
    }
}

static void expect_fd(int fd, const char *text)
{
    size_t len = strlen(text), have = 0;
    g_autofree char *buf = g_malloc0(len + 1);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (int64_t end = clock_ns(CLOCK_REALTIME_NS) + INT64_C(2000000000); have < len && clock_ns(CLOCK_REALTIME_NS) < end;) {
        ssize_t n = read(fd, buf + have, len - have);
        have += n > 0 ? (size_t)n : 0;
        evloop_iterate(false);
    }
    g_assert_cmpstr(buf, ==, text);
}

static void put(int fd, const char *text) { g_assert_cmpint(write(fd, text, strlen(text)), ==, strlen(text)); }
static void say(Chardev *c, const char *text) { chardev_write_all(c, text, strlen(text)); }

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
    s.room = 1000000;
    chardev_accept_input(c);
    expect(s.got, "cdef");
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

static int connect_unix(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    return fd;
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
    g_assert_cmpint(bind(fd, (struct sockaddr *)&in, sizeof(in)) | listen(fd, 1) | getsockname(fd, (struct sockaddr *)&in, &len),
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

static unsigned quits;
static void quit(void) { quits++; }

static void test_mux(void)
{
    g_autofree char *path = in_dir("mux");
    Sink console = sink_new(), monitor = sink_new();
    Chardev *c = make("socket,id=m,mux=on,path=%s,server=on,wait=off", path);
    g_assert_true(attach(c, &console, NULL));
    g_assert_true(attach(c, &monitor, NULL));
    int fd = connect_unix(path);
    expect(monitor.events, "O");
    expect(console.events, "iO");
    put(fd, "to console\x01\x01");
    expect(console.got, "to console\x01");
    put(fd, "\x01" "cto monitor");
    expect(monitor.got, "to monitor");
    expect(console.events, "o");
    expect(monitor.events, "i");
    put(fd, "\x01" "b");
    expect(monitor.events, "B");
    put(fd, "\x01");
    turn(5);
    put(fd, "cback");
    expect(console.got, "back");
    chardev_set_quit_handler(quit);
    put(fd, "\x01x");
    turn(20);
    g_assert_cmpuint(quits, ==, 1);
    expect_fd(fd, "\r\n");
    put(fd, "\x01h");
    turn(20);
    char help[2000] = { 0 };
    g_assert_cmpint(read(fd, help, sizeof(help) - 1), >, 0);
    g_assert_nonnull(strstr(help, "Ctrl-a x"));
    put(fd, "\x01t");
    turn(20);
    say(c, "one\ntwo\n");
    char stamped[200] = { 0 };
    turn(20);
    g_assert_cmpint(read(fd, stamped, sizeof(stamped) - 1), >, 0);
    g_assert_true(g_regex_match_simple("^\\[00:00:00\\.\\d+\\] one\n\\[00:00:00\\.\\d+\\] two\n$", stamped, 0, 0));
    put(fd, "\x01t");
    console.room = 0; /* the guest does not read: typed text waits, commands still work as long as it fits */
    put(fd, "wait\x01x");
    turn(20);
    g_assert_cmpuint(quits, ==, 2);
    g_assert_cmpuint(console.got->len, ==, 0);
    console.room = 1000000;
    chardev_accept_input(c);
    expect(console.got, "wait");
    chardev_detach(c, &console);
    put(fd, "m");
    expect(monitor.got, "m");
    close(fd);
    chardevs_close_all();
    sink_free(&console);
    sink_free(&monitor);
}

/* ---- stdio: in a child, with a terminal or a pipe in place of ours ---- */

static void echo_child(const char *options, const char *until)
{
    Sink s = sink_new();
    Chardev *c = make("stdio,id=s%s", options);
    attach(c, &s, NULL);
    size_t done = 0;
    for (int64_t end = clock_ns(CLOCK_REALTIME_NS) + INT64_C(3000000000); clock_ns(CLOCK_REALTIME_NS) < end;) {
        if (!evloop_iterate(false))
            g_usleep(500);
        chardev_write_all(c, s.got->str + done, s.got->len - done);
        done = s.got->len;
        if (strstr(s.got->str, until))
            break;
    }
    chardevs_close_all();
    _exit(strstr(s.got->str, until) ? 0 : 3);
}

static void test_stdio_tty(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    g_assert_cmpint(grantpt(master) | unlockpt(master), ==, 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    struct termios before, now;
    tcgetattr(slave, &before);
    pid_t pid = fork();
    if (!pid) {
        setsid();
        ioctl(slave, TIOCSCTTY, 0);
        dup2(slave, 0);
        dup2(slave, 1);
        echo_child(",signal=off", "!");
    }
    for (unsigned i = 0; i < 1000; i++) {
        tcgetattr(slave, &now);
        if (!(now.c_lflag & ICANON))
            break;
        g_usleep(2000);
    }
    g_assert_cmphex(now.c_lflag & (ICANON | ECHO | ISIG), ==, 0);
    g_assert_cmphex(now.c_oflag & OPOST, ==, before.c_oflag & OPOST);
    put(master, "a\003b\r");
    expect_fd(master, "a\003b\r"); /* Ctrl-C is a byte like any other */
    fcntl(master, F_SETFL, 0);
    put(master, "!");
    int status;
    waitpid(pid, &status, 0);
    g_assert_cmpint(status, ==, 0);
    tcgetattr(slave, &now);
    g_assert_cmphex(now.c_lflag, ==, before.c_lflag); /* given back as it was */
    g_assert_cmphex(now.c_iflag, ==, before.c_iflag);
    g_assert_cmpmem(now.c_cc, sizeof(now.c_cc), before.c_cc, sizeof(before.c_cc));
    close(slave);
    close(master);
}

static void test_stdio_pipe(void)
{
    int in[2], out[2], status;
    g_assert_cmpint(pipe(in) | pipe(out), ==, 0);
    pid_t pid = fork();
    if (!pid) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        Sink s = sink_new();
        Chardev *c = make("stdio,id=s");
        attach(c, &s, NULL);
        turn(100); /* meets the end of input: goes on without */
        say(c, s.got->str);
        say(c, "+after");
        chardevs_close_all();
        _exit(0);
    }
    put(in[1], "piped");
    close(in[1]);
    waitpid(pid, &status, 0);
    g_assert_cmpint(status, ==, 0);
    expect_fd(out[0], "piped+after");
    g_assert_cmphex(fcntl(out[1], F_GETFL) & O_NONBLOCK, ==, 0); /* what we share with others stays as it was */
    close(in[0]);
    close(out[0]);
    close(out[1]);
}

static void test_errors(void)
{
    static const struct { const char *text, *part; } cases[] = {
        { "sockett,id=x", "chardev back end 'sockett': not known; did you mean 'socket'?" },
        { "null", "the option 'id' is missing" },
        { "null,id=x,paht=1", "chardev 'null': option 'paht': not known" },
        { "file,id=x", "chardev 'x': the option 'path' is missing" },
        { "file,id=x,path=/nonexistent/y", "file '/nonexistent/y': No such file" },
        { "file,id=x,path=/dev/null,append=maybe", "neither 'on' nor 'off'" },
        { "file,id=x,path=/dev/null,logfile=/nonexistent/y", "logfile '/nonexistent/y'" },
        { "pipe,id=x,path=/nonexistent", "make them with mkfifo" },
        { "ringbuf,id=x,size=3", "not a power of two" },
        { "socket,id=x", "either path=PATH or host=HOST,port=PORT" },
        { "socket,id=x,path=/a,port=1", "either path=PATH" },
        { "socket,id=x,path=/nonexistent/s", "socket 'unix:/nonexistent/s'" },
        { "socket,id=x,path=/s,wait=on", "add server=on" },
        { "socket,id=x,host=127.0.0.1,port=nosuchservice", "address 'tcp:127.0.0.1:nosuchservice'" },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        Error *err = NULL;
        g_autoptr(Opts) o = opts_parse(cases[i].text, "backend", &err);
        g_assert_null(chardev_new_opts(o, &err));
        if (!strstr(err->message, cases[i].part) || strchr(err->message, '\n'))
            g_error("%s: '%s' does not tell '%s'", cases[i].text, err->message, cases[i].part);
        g_error_free(err);
        g_assert_null(chardev_find("x"));
    }
    static const struct { const char *text, *part; } shorts[] = {
        { "stdoi", "did you mean 'stdio'?" }, { "tcp:1234", "the port is missing" }, { "chardev:nope", "no chardev 'nope'" },
        { "file:/nonexistent/a", "No such file" }, { "", "not known" }, { "null,bad=1", "option 'bad'" },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(shorts); i++) {
        Error *err = NULL;
        bool none;
        g_assert_null(chardev_new_short("x", shorts[i].text, &none, &err));
        g_assert_false(none);
        if (!err || !strstr(err->message, shorts[i].part))
            g_error("%s: '%s' does not tell '%s'", shorts[i].text, err ? err->message : "", shorts[i].part);
        g_error_free(err);
    }
    bool none;
    g_assert_null(chardev_new_short("x", "none", &none, NULL));
    g_assert_true(none);
    Chardev *c = chardev_new_short("x", "vc", &none, NULL);
    g_assert_true(chardev_new_short("y", "chardev:x", &none, NULL) == c);
    g_autoptr(GString) list = g_string_new(NULL);
    chardev_print_list(list);
    g_assert_nonnull(strstr(list->str, "telnet"));
    chardevs_close_all();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    dir = g_dir_make_tmp("rhea-chardev-XXXXXX", NULL);
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
    g_test_add_func("/chardev/mux", test_mux);
    g_test_add_func("/chardev/stdio-tty", test_stdio_tty);
    g_test_add_func("/chardev/stdio-pipe", test_stdio_pipe);
    g_test_add_func("/chardev/errors", test_errors);
    int status = g_test_run();
    g_autofree char *rm = g_strdup_printf("rm -rf '%s'", dir);
    status |= system(rm);
    g_free(dir);
    return status;
}

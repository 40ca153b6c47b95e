/* SPDX-License-Identifier: MIT */
/*
 * base/: errors and nearest names, option strings, bit helpers, log limits, trace points, lock domains, main loop,
 * watched eventfds.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/event-watch.h"
#include "base/evloop.h"
#include "base/log.h"
#include "base/opts.h"
#include "base/thread.h"
#include "base/trace.h"

static const char *const fruits[] = { "apple", "banana", "cherry", "e1000", NULL };

static void assert_error(Error **err, const char *text)
{
    g_assert_nonnull(*err);
    g_assert_cmpstr((*err)->message, ==, text);
    error_free(*err);
    *err = NULL;
}

static void test_error(void)
{
    Error *err = NULL;
    error_setf(&err, "file '%s'", "x");
    error_prependf(&err, "option %d", 7);
    assert_error(&err, "option 7: file 'x'");
    error_set_errno(&err, 2, "file 'x'");
    assert_error(&err, "file 'x': No such file or directory");
    error_setf(NULL, "nobody listens");
    error_propagate(NULL, g_error_new(1, 2, "dropped"));
    error_prependf(&err, "nothing to do");
    g_assert_null(err);
    error_set_unknown(&err, "device", "e1001", fruits);
    assert_error(&err, "device 'e1001': not known; did you mean 'e1000'?");
    error_set_unknown(&err, "device", "zzzzzzzz", fruits);
    assert_error(&err, "device 'zzzzzzzz': not known; valid: apple, banana, cherry, e1000");
}

static void test_nearest(void)
{
    g_assert_cmpstr(nearest_name("bananna", fruits), ==, "banana");
    g_assert_cmpstr(nearest_name("appel", fruits), ==, "apple"); /* swapped neighbours count as one */
    g_assert_cmpstr(nearest_name("BANANA", fruits), ==, "banana");
    g_assert_null(nearest_name("qqqqq", fruits));
    g_assert_null(nearest_name("", fruits));
    g_autofree char *longname = g_strnfill(1000, 'a');
    g_assert_null(nearest_name(longname, fruits));
}

static void test_opts(void)
{
    Error *err = NULL;
    g_autoptr(Opts) o = opts_parse("tap,id=n0,file=a,,b,vhost,x=1,x=2", "type", &err);
    g_assert_no_error(err);
    g_assert_cmpstr(opts_get(o, "type"), ==, "tap");
    g_assert_cmpstr(opts_get(o, "file"), ==, "a,b");
    g_assert_cmpstr(opts_get(o, "vhost"), ==, "on");
    g_assert_cmpstr(opts_get(o, "x"), ==, "2");
    g_assert_cmpuint(opts_count(o), ==, 5);
    static const char *const valid[] = { "id", "file", NULL };
    g_assert_false(opts_all_used(o, "-netdev", valid, &err));
    g_assert_nonnull(strstr(err->message, "-netdev: option 'id'"));
    g_clear_error(&err);
    opts_get(o, "id");
    g_assert_true(opts_all_used(o, "-netdev", valid, &err));
    g_assert_null(opts_parse("a,,=b,=c", NULL, &err));
    g_clear_error(&err);
    g_assert_null(opts_parse("=1", NULL, &err));
    g_clear_error(&err);
    g_autoptr(Opts) empty = opts_parse("", "type", &err);
    g_assert_cmpuint(opts_count(empty), ==, 0);
    g_autoptr(Opts) none = opts_parse("a=", NULL, &err);
    g_assert_cmpstr(opts_get(none, "a"), ==, "");
    g_autoptr(Opts) commas = opts_parse("a=,,,b=,,,,", NULL, &err);
    g_assert_cmpstr(opts_get(commas, "a"), ==, ",");
    g_assert_cmpstr(opts_get(commas, "b"), ==, ",,");
}

static void test_opts_typed(void)
{
    Error *err = NULL;
    g_autoptr(Opts) o = opts_parse("n=0x10,s=3M,b=off,bad=zz", NULL, &err);
    uint64_t v;
    bool b;
    g_assert_true(opts_get_u64(o, "n", 1, &v, &err) && v == 16);
    g_assert_true(opts_get_u64(o, "absent", 9, &v, &err) && v == 9);
    g_assert_true(opts_get_size(o, "s", 0, &v, &err) && v == 3 * MiB);
    g_assert_true(opts_get_bool(o, "b", true, &b, &err) && !b);
    g_assert_false(opts_get_u64(o, "bad", 1, &v, &err));
    g_clear_error(&err);
    g_assert_false(opts_get_size(o, "bad", 1, &v, &err));
    g_clear_error(&err);
    g_assert_false(opts_get_bool(o, "bad", 1, &b, &err));
    g_clear_error(&err);
}

static void test_scalars(void)
{
    static const struct { const char *text; bool ok; uint64_t value;
    } sizes[] = {
        { "1", true, MiB },
        { "1k", true, KiB },
        { "2G", true, 2 * GiB },
        { "0x10", true, 16 * MiB },
        { "7b", true, 7 },
        { "1.5G", true, 3 * GiB / 2 },
        { "", false, 0 },
        { "k", false, 0 },
        { "-1", false, 0 },
        { "1kk", false, 0 },
        { "99999999999999999999", false, 0 },
        { "18446744073709551615G", false, 0 },
        { "1.x", false, 0 },
        { ".5G", false, 0 },
    };
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        uint64_t v = 0;
        g_assert_cmpint(parse_size(sizes[i].text, MiB, &v), ==, sizes[i].ok);
        if (sizes[i].ok)
            g_assert_cmpuint(v, ==, sizes[i].value);
    }
    uint64_t v;
    g_assert_true(parse_u64("18446744073709551615", &v) && v == UINT64_MAX);
    g_assert_false(parse_u64("18446744073709551616", &v));
    g_assert_false(parse_u64("0x", &v));
    g_assert_false(parse_u64("12 ", &v));
    bool b;
    g_assert_true(parse_bool("yes", &b) && b);
    g_assert_false(parse_bool("On", &b));
}

static void test_bits(void)
{
    g_assert_cmphex(bits_set(0xffff, 4, 8, 0), ==, 0xf00f);
    g_assert_cmphex(bits_get(UINT64_MAX, 0, 64), ==, UINT64_MAX);
    g_assert_cmpint(bits_sget(0x80, 4, 4), ==, -8);
    uint8_t b[8];
    store_be(b, 4, 0x11223344);
    g_assert_cmphex(load_le32(b), ==, 0x44332211);
    g_assert_cmphex(align_up(4097, 4096), ==, 8192);
}

static void test_log(void)
{
    Error *err = NULL;
    uint32_t mask;
    g_assert_true(log_parse_mask("int,guest_errors", &mask, &err));
    g_assert_cmphex(mask, ==, LOG_INT | LOG_GUEST_ERROR);
    g_assert_false(log_parse_mask("guest_error", &mask, &err));
    assert_error(&err, "log category 'guest_error': not known; did you mean 'guest_errors'?");
    g_autofree char *path = NULL;
    close(g_file_open_tmp("rhea-log-XXXXXX", &path, NULL));
    g_assert_true(log_set_file(path, &err));
    log_set_mask(LOG_GUEST_ERROR);
    for (unsigned i = 0; i < 1000; i++) /* one call site: a guest may not fill the disk */
        log_guest_error("dev", "bad %d", 5);
    log_unimp("dev", "not shown: category off");
    log_set_mask(0);
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    unsigned lines = 0;
    for (const char *p = text; (p = strchr(p, '\n')); p++)
        lines++;
    g_assert_cmpuint(lines, ==, 10);
    g_assert_true(g_str_has_prefix(text, "dev: bad 5\n"));
    g_assert_false(log_set_file("/nonexistent/x", &err));
    g_clear_error(&err);
    g_unlink(path);
}

static void *log_from_thread(void *opaque)
{
    log_write("from the thread\n");
    return GINT_TO_POINTER(gettid());
}

/* -d tid -D name%d: a file for each thread. */
static void test_log_threads(void)
{
    Error *err = NULL;
    g_autofree char *dir = g_dir_make_tmp("rhea-log-XXXXXX", NULL), *pattern = g_build_filename(dir, "l-%d.txt", NULL);
    g_assert_true(log_set_file(pattern, &err));
    log_set_mask(LOG_TID);
    log_write("from main\n");
    void *tid;
    pthread_t t = thread_start("logger", log_from_thread, NULL);
    pthread_join(t, &tid);
    log_set_mask(0);
    int number[2] = { getpid(), GPOINTER_TO_INT(tid) };
    for (unsigned i = 0; i < 2; i++) {
        g_autofree char *name = g_strdup_printf("%s/l-%d.txt", dir, number[i]), *text = NULL;
        g_assert_true(g_file_get_contents(name, &text, NULL, NULL));
        g_assert_cmpstr(text, ==, i ? "from the thread\n" : "from main\n");
        g_unlink(name);
    }
    g_rmdir(dir);
}

static void test_trace(void)
{
    Error *err = NULL;
    g_autofree char *path = NULL;
    close(g_file_open_tmp("rhea-trace-XXXXXX", &path, NULL));
    g_assert_true(log_set_file(path, &err));
    for (unsigned i = 0; i < 3; i++) {
        TRACE(unit_test_event, "i=%u", i);
        if (i == 0)
            g_assert_true(trace_enable("unit_test_*", &err));
        if (i == 1)
            g_assert_true(trace_enable("-unit_test_event", &err));
    }
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "unit_test_event: i=1\n");
    g_assert_false(trace_enable("unit_test_evemt", &err));
    assert_error(&err, "trace event 'unit_test_evemt': not known; did you mean 'unit_test_event'?");
    g_assert_false(trace_parse("events=/nonexistent", &err));
    g_clear_error(&err);
    g_unlink(path);
}

/* A domain keeps a counter exact under contention, recursively. */
static unsigned counter;

static void *count_up(void *opaque)
{
    for (unsigned i = 0; i < 20000; i++) {
        lock_domain_lock(opaque);
        lock_domain_lock(opaque);
        counter++;
        lock_domain_unlock(opaque);
        g_assert_true(lock_domain_held(opaque));
        lock_domain_unlock(opaque);
    }
    return NULL;
}

static void test_domain(void)
{
    LockDomain *d = lock_domain_new("test");
    pthread_t t[4];
    for (unsigned i = 0; i < 4; i++)
        t[i] = thread_start("counter", count_up, d);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    g_assert_cmpuint(counter, ==, 80000);
    g_assert_false(lock_domain_held(d));
    lock_domain_lock(NULL);
    lock_domain_unlock(NULL);
    lock_domain_free(d);
    g_assert_nonnull(machine_domain());
}

static GString *order;

static void note(void *opaque)
{
    g_assert_true(evloop_is_main_thread());
    g_assert_true(lock_domain_held(machine_domain()));
    g_string_append(order, opaque);
}

static void finish(void *opaque)
{
    evloop_quit(42);
}

static void *defer_from_thread(void *opaque)
{
    g_assert_false(evloop_is_main_thread());
    evloop_defer(machine_domain(), note, (void *)"a");
    evloop_defer(machine_domain(), note, (void *)"b");
    evloop_defer(NULL, finish, NULL);
    return NULL;
}

static bool pipe_ready(int fd, unsigned ready, void *opaque)
{
    char c;
    g_assert_cmpuint(ready & 1, ==, 1);
    g_assert_cmpint(read(fd, &c, 1), ==, 1);
    ++*(unsigned *)opaque;
    return c != 'q';
}

static void test_evloop(void)
{
    evloop_init();
    order = g_string_new(NULL);
    pthread_t t = thread_start("deferrer", defer_from_thread, NULL);
    g_assert_cmpint(evloop_run(), ==, 42);
    pthread_join(t, NULL);
    g_assert_cmpstr(order->str, ==, "ab");
    g_string_free(order, true);
    int fds[2];
    unsigned hits = 0;
    g_assert_cmpint(pipe(fds), ==, 0);
    evloop_watch(fds[0], 1, pipe_ready, &hits);
    g_assert_cmpint(write(fds[1], "xqz", 3), ==, 3);
    for (unsigned i = 0; i < 10; i++)
        evloop_iterate(false);
    g_assert_cmpuint(hits, ==, 2); /* 'q' ended the watch */
    close(fds[0]);
    close(fds[1]);
}

typedef struct Served {
    LockDomain *domain;
    EventWatch *once; /* frees itself */
    unsigned rang[2];
} Served;

static void served(void *opaque, unsigned number)
{
    Served *s = opaque;
    g_assert_true(lock_domain_held(s->domain));
    if (number)
        g_clear_pointer(&s->once, event_watch_free);
    __atomic_fetch_add(&s->rang[number], 1, __ATOMIC_RELEASE);
}

static void await_rings(Served *s, unsigned number, unsigned count)
{
    while (__atomic_load_n(&s->rang[number], __ATOMIC_ACQUIRE) < count)
        evloop_iterate(false);
}

/* data: the thread that serves: NULL: the main loop. */
static void test_event_watch(const void *data)
{
    Error *err = NULL;
    Served s = { .domain = lock_domain_new("test") };
    evloop_init();
    IoThread *t = NULL;
    if (data) {
        g_assert_nonnull(object_new("iothread", data, &err, NULL));
        t = iothread_take(data, &err);
    }
    lock_domain_lock(s.domain);
    EventWatch *w = event_watch_new(-1, s.domain, t, served, &s, 0);
    int fd = eventfd(0, EFD_NONBLOCK);
    s.once = event_watch_new(fd, s.domain, t, served, &s, 1);
    g_assert_cmpint(event_watch_fd(s.once), ==, fd);
    lock_domain_unlock(s.domain);

    for (unsigned i = 1; i <= 3; i++) {
        eventfd_write(event_watch_fd(w), 1);
        await_rings(&s, 0, i);
    }
    eventfd_write(fd, 2); /* two at once are one */
    await_rings(&s, 1, 1);
    lock_domain_lock(s.domain);
    g_assert_null(s.once);

    /* who looks first has it; what has gone is not served, though it was signalled */
    eventfd_write(event_watch_fd(w), 1);
    event_watch_look(w);
    event_watch_look(w);
    g_assert_cmpuint(s.rang[0], ==, 4);
    eventfd_write(event_watch_fd(w), 1);
    event_watch_free(w);
    event_watch_free(NULL);
    unsigned rang = s.rang[0]; /* the I/O thread may have been faster */
    lock_domain_unlock(s.domain);
    for (unsigned i = 0; i < 10; i++)
        evloop_iterate(false);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, -1);
    if (t) {
        iothread_release(t);
        g_assert_true(object_del(data, &err)); /* it has ended */
    }
    g_assert_cmpuint(s.rang[0], ==, rang);
    g_assert_cmpuint(s.rang[1], ==, 1);
    lock_domain_free(s.domain);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/error", test_error);
    g_test_add_func("/base/nearest", test_nearest);
    g_test_add_func("/base/opts", test_opts);
    g_test_add_func("/base/opts-typed", test_opts_typed);
    g_test_add_func("/base/scalars", test_scalars);
    g_test_add_func("/base/bits", test_bits);
    g_test_add_func("/base/log", test_log);
    g_test_add_func("/base/log-threads", test_log_threads);
    g_test_add_func("/base/trace", test_trace);
    g_test_add_func("/base/domain", test_domain);
    g_test_add_func("/base/evloop", test_evloop);
    g_test_add_data_func("/base/event-watch/main-loop", NULL, test_event_watch);
    g_test_add_data_func("/base/event-watch/iothread", "t", test_event_watch);
    return g_test_run();
}

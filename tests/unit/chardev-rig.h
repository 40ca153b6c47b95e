/* SPDX-License-Identifier: MIT */
/* What the tests of character back ends share: a front end that keeps what it gets, and waiting with the main loop. */
#ifndef TESTS_UNIT_CHARDEV_RIG_H
#define TESTS_UNIT_CHARDEV_RIG_H

#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/evloop.h"
#include "base/thread.h"
#include "chardev/chardev.h"

static char *dir; /* of this program's files */

static inline char *in_dir(const char *name) { return g_build_filename(dir, name, NULL); }

/* A front end that keeps what it gets. */
typedef struct Sink {
    GString *got, *events; /* events: O C B i o */
    size_t room;
    bool grows; /* the next answer is another one: the guest reads meanwhile */
} Sink;

static inline size_t sink_can_read(void *opaque)
{
    Sink *s = opaque;
    size_t room = s->room;
    if (s->grows && room)
        s->room = 1000000;
    return room;
}

static inline void sink_receive(void *opaque, const uint8_t *data, size_t len)
{
    Sink *s = opaque;
    g_assert_cmpuint(len, <=, s->room);
    g_assert_true(lock_domain_held(machine_domain()));
    g_string_append_len(s->got, (const char *)data, (gssize)len);
    if (s->room < 1000)
        s->room -= len;
}

static inline void sink_event(void *opaque, ChardevEvent event)
{
    g_string_append_c(((Sink *)opaque)->events, "OCBio"[event]);
}

static inline Sink sink_new(void)
{
    return (Sink){ g_string_new(NULL), g_string_new(NULL), 1000000 };
}

static inline void sink_free(Sink *s)
{
    g_string_free(s->got, true);
    g_string_free(s->events, true);
}

static inline bool attach(Chardev *c, Sink *s, Error **errp)
{
    ChardevFrontend fe = { sink_can_read, sink_receive, sink_event, machine_domain(), s };
    return chardev_attach(c, &fe, errp);
}

G_GNUC_PRINTF(1, 2)
static inline Chardev *make(const char *format, ...)
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
static inline void expect(GString *where, const char *text)
{
    int64_t end = clock_ns(CLOCK_REALTIME_NS) + INT64_C(2000000000);
    while (strcmp(where->str, text) && clock_ns(CLOCK_REALTIME_NS) < end) {
        if (!evloop_iterate(false))
            g_usleep(500);
    }
    g_assert_cmpstr(where->str, ==, text);
    g_string_truncate(where, 0);
}

static inline void turn(unsigned ms)
{
    for (int64_t end = clock_ns(CLOCK_REALTIME_NS) + ms * INT64_C(1000000); clock_ns(CLOCK_REALTIME_NS) < end;) {
        if (!evloop_iterate(false))
            g_usleep(200);
    }
}

static inline void expect_fd(int fd, const char *text)
{
    size_t len = strlen(text), have = 0;
    g_autofree char *buf = g_malloc0(len + 1);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (int64_t end = clock_ns(CLOCK_REALTIME_NS) + INT64_C(2000000000);
         have < len && clock_ns(CLOCK_REALTIME_NS) < end;) {
        ssize_t n = read(fd, buf + have, len - have);
        have += n > 0 ? (size_t)n : 0;
        evloop_iterate(false);
    }
    g_assert_cmpstr(buf, ==, text);
}

static inline void put(int fd, const char *text) { g_assert_cmpint(write(fd, text, strlen(text)), ==, strlen(text)); }
static inline void say(Chardev *c, const char *text) { chardev_write_all(c, text, strlen(text)); }

static inline int connect_unix(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    return fd;
}

static inline void rig_begin(int *argc, char ***argv)
{
    g_test_init(argc, argv, NULL);
    evloop_init();
    dir = g_dir_make_tmp("rhea-chardev-XXXXXX", NULL);
}

static inline int rig_run(void)
{
    int status = g_test_run();
    g_autofree char *rm = g_strdup_printf("rm -rf '%s'", dir);
    status |= system(rm);
    g_free(dir);
    return status;
}
#endif

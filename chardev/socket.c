/* SPDX-License-Identifier: MIT */
/* Sockets: unix and TCP, as server or client, with reconnection and telnet. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "chardev/chardev-internal.h"
#include "chardev/telnet.h"

typedef struct Socket {
    Chardev c;
    FdPort port;
    char *path, *host, *service, *name; /* name: as messages have it */
    bool server, telnet_on, nodelay, ipv4, ipv6;
    uint64_t reconnect_s;
    int listener, fd; /* -1: none */
    unsigned listen_watch, connect_watch;
    Timer *retry;
    Telnet telnet;
} Socket;

static void start_listening(Socket *s);
static bool start_connecting(Socket *s, Error **errp);

/* ---- a connection ---- */

static void try_again_later(Socket *s)
{
    if (s->server)
        start_listening(s);
    else if (s->reconnect_s)
        timer_arm(s->retry, clock_ns(CLOCK_REALTIME_NS) + (int64_t)s->reconnect_s * 1000000000);
}

static void disconnected(FdPort *port)
{
    Socket *s = (Socket *)port->c;
    fdport_fini(&s->port);
    close(s->fd);
    s->fd = -1;
    chr_event(&s->c, CHR_CLOSED);
    try_again_later(s);
}

static size_t telnet_input(FdPort *port, uint8_t *data, size_t len)
{
    Socket *s = (Socket *)port->c;
    unsigned breaks;
    size_t n = telnet_filter(&s->telnet, data, len, &breaks);
    while (breaks--)
        chr_event(&s->c, CHR_BREAK);
    return n;
}

static void connected(Socket *s, int fd)
{
    int one = 1;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (s->nodelay && !s->path)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    pthread_mutex_lock(&s->c.lock);
    s->fd = fd;
    s->c.stuck = false;
    s->telnet = (Telnet){ 0 };
    fdport_init(&s->port, &s->c, fd, fd);
    s->port.is_socket = true;
    s->port.closed = disconnected;
    s->port.filter = s->telnet_on ? telnet_input : NULL;
    if (s->telnet_on)
        fdport_write(&s->port, telnet_hello, sizeof(telnet_hello));
    pthread_mutex_unlock(&s->c.lock);
    chr_event(&s->c, CHR_OPENED);
    fdport_accept_input(&s->port);
}

/* ---- addresses ---- */

static bool unix_address(const Socket *s, struct sockaddr_un *un, Error **errp)
{
    *un = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(s->path) >= sizeof(un->sun_path)) {
        error_setf(errp, "socket path '%s': longer than %zu bytes", s->path, sizeof(un->sun_path) - 1);
        return false;
    }
    strcpy(un->sun_path, s->path);
    return true;
}

static struct addrinfo *resolve(const Socket *s, Error **errp)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                              .ai_flags = s->server ? AI_PASSIVE : 0,
                              .ai_family = AF_UNSPEC };
    struct addrinfo *list = NULL;
    if (!opts_port_ok(s->service, errp))
        return NULL;
    if (s->ipv4 != s->ipv6)
        hints.ai_family = s->ipv4 ? AF_INET : AF_INET6;
    int err = getaddrinfo(*s->host ? s->host : NULL, s->service, &hints, &list);
    if (err) {
        error_setf(errp, "address '%s': %s", s->name, gai_strerror(err));
        return NULL;
    }
    return list;
}

/* Try bind+listen or connect on each address. Returns the socket, or -1 with errno. *pending: connect is under way. */
static int try_address(const Socket *s, const struct sockaddr *sa, socklen_t len, bool *pending)
{
    int one = 1, fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    *pending = false;
    if (s->server) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fd, sa, len) == 0 && listen(fd, 1) == 0)
            return fd;
    } else if (connect(fd, sa, len) == 0) {
        return fd;
    } else if (errno == EINPROGRESS) {
        *pending = true;
        return fd;
    }
    int err = errno;
    close(fd);
    errno = err;
    return -1;
}

static int open_unix(Socket *s, bool *pending, Error **errp)
{
    struct sockaddr_un un;
    if (!unix_address(s, &un, errp))
        return -1;
    if (s->server)
        unlink(s->path);
    int fd = try_address(s, (struct sockaddr *)&un, sizeof(un), pending);
    if (fd < 0)
        error_set_errno(errp, errno, "socket '%s'", s->name);
    return fd;
}

static int open_tcp(Socket *s, bool *pending, Error **errp)
{
    struct addrinfo *list = resolve(s, errp);
    if (!list)
        return -1;
    int fd = -1;
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
        fd = try_address(s, a->ai_addr, a->ai_addrlen, pending);
    int err = errno;
    freeaddrinfo(list);
    if (fd < 0)
        error_set_errno(errp, err, "address '%s'", s->name);
    return fd;
}

static int open_any(Socket *s, bool *pending, Error **errp)
{
    return s->path ? open_unix(s, pending, errp) : open_tcp(s, pending, errp);
}

/* ---- server ---- */

static bool listener_ready(int fd, unsigned ready, void *opaque)
{
    Socket *s = opaque;
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0)
        return true;
    s->listen_watch = 0; /* one peer at a time */
    connected(s, peer);
    return false;
}

static void start_listening(Socket *s)
{
    if (!s->listen_watch)
        s->listen_watch = evloop_watch(s->listener, 1, listener_ready, s);
}

static bool wait_for_peer(Socket *s, Error **errp)
{
    info_reportf("chardev '%s': waiting for a connection on %s", s->c.id, s->name);
    struct pollfd pfd = { .fd = s->listener, .events = POLLIN };
    if (poll(&pfd, 1, -1) <= 0) {
        error_set_errno(errp, errno, "waiting for a connection on %s", s->name);
        return false;
    }
    int peer = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0) {
        error_set_errno(errp, errno, "a connection on %s", s->name);
        return false;
    }
    connected(s, peer);
    return true;
}

static bool open_server(Socket *s, bool wait, Error **errp)
{
    bool pending;
    s->listener = open_any(s, &pending, errp);
    if (s->listener < 0)
        return false;
    if (wait)
        return wait_for_peer(s, errp);
    start_listening(s);
    return true;
}

/* ---- client ---- */

static int connect_result(int fd)
{
    int err = 0;
    socklen_t len = sizeof(err);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) ? errno : err;
}

static bool connect_ready(int fd, unsigned ready, void *opaque)
{
    Socket *s = opaque;
    s->connect_watch = 0;
    s->fd = -1;
    if (connect_result(fd)) {
        close(fd);
        try_again_later(s);
    } else {
        connected(s, fd);
    }
    return false;
}

/* Begin; false only when it fails at once. */
static bool start_connecting(Socket *s, Error **errp)
{
    bool pending = false;
    int fd = open_any(s, &pending, errp);
    if (fd < 0)
        return false;
    if (pending) {
        s->fd = fd;
        s->connect_watch = evloop_watch(fd, 2, connect_ready, s);
    } else {
        connected(s, fd);
    }
    return true;
}

static void retry_now(void *opaque)
{
    Socket *s = opaque;
    if (!start_connecting(s, NULL))
        try_again_later(s);
}

/* Without reconnect a peer that is not there is an error now, not later. */
static bool connect_now(Socket *s, Error **errp)
{
    enum { CONNECT_TIMEOUT_MS = 30000 };
    bool pending = false;
    int fd = open_any(s, &pending, errp);
    if (fd < 0)
        return false;
    struct pollfd pfd = { .fd = fd, .events = POLLOUT };
    int err = 0;
    if (pending)
        err = poll(&pfd, 1, CONNECT_TIMEOUT_MS) <= 0 ? ETIMEDOUT : connect_result(fd);
    if (err) {
        close(fd);
        error_set_errno(errp, err, "address '%s'", s->name);
        return false;
    }
    connected(s, fd);
    return true;
}

/* ---- back end ---- */

static bool parse(Socket *s, Opts *o, bool *wait, Error **errp)
{
    s->path = g_strdup(opts_get(o, "path"));
    s->host = g_strdup(opts_get(o, "host"));
    s->service = g_strdup(opts_get(o, "port"));
    if (!s->host)
        s->host = g_strdup("");
    if (!opts_get_bool(o, "server", false, &s->server, errp) || !opts_get_bool(o, "wait", s->server, wait, errp) ||
        !opts_get_bool(o, "telnet", false, &s->telnet_on, errp) ||
        !opts_get_bool(o, "nodelay", false, &s->nodelay, errp) || !opts_get_bool(o, "ipv4", false, &s->ipv4, errp) ||
        !opts_get_bool(o, "ipv6", false, &s->ipv6, errp) || !opts_get_u64(o, "reconnect", 0, &s->reconnect_s, errp))
        return false;
    if (!s->path == !s->service) {
        error_setf(errp, "a socket needs either path=PATH or host=HOST,port=PORT");
        return false;
    }
    if (s->reconnect_s > 86400 || (s->server && s->reconnect_s)) {
        error_setf(errp, s->server ? "'reconnect' is for clients; a server listens again by itself"
                                   : "reconnect is at most 86400 seconds");
        return false;
    }
    if (*wait && !s->server) {
        error_setf(errp, "'wait' is for servers; add server=on");
        return false;
    }
    s->name = s->path ? g_strdup_printf("unix:%s", s->path) : g_strdup_printf("tcp:%s:%s", s->host, s->service);
    return true;
}

static bool socket_open(Chardev *c, Opts *o, Error **errp)
{
    Socket *s = (Socket *)c;
    bool wait;
    s->listener = s->fd = -1;
    s->retry = timer_new(CLOCK_REALTIME_NS, NULL, retry_now, s);
    if (!parse(s, o, &wait, errp))
        return false;
    c->label = g_strdup_printf("%s%s%s", s->telnet_on ? "telnet:" : "", s->name, s->server ? ",server=on" : "");
    if (s->server)
        return open_server(s, wait, errp);
    if (!s->reconnect_s)
        return connect_now(s, errp);
    if (!start_connecting(s, NULL))
        try_again_later(s);
    return true;
}

static void socket_close(Chardev *c)
{
    Socket *s = (Socket *)c;
    timer_free(s->retry);
    evloop_unwatch(s->listen_watch);
    evloop_unwatch(s->connect_watch);
    if (s->port.pending)
        fdport_flush(&s->port, 200);
    fdport_fini(&s->port);
    if (s->fd >= 0)
        close(s->fd);
    if (s->listener >= 0) {
        close(s->listener);
        if (s->path)
            unlink(s->path);
    }
    g_free(s->path);
    g_free(s->host);
    g_free(s->service);
    g_free(s->name);
}

/* Byte 255 goes out twice. */
static size_t write_telnet(Socket *s, const uint8_t *data, size_t len)
{
    static const uint8_t twice[2] = { 255, 255 };
    size_t done = 0;
    while (done < len) {
        size_t n = telnet_plain_len(data + done, len - done);
        if (!n) {
            if (s->port.pending->len + sizeof(twice) > FD_PENDING_MAX)
                break;
            fdport_write(&s->port, twice, sizeof(twice));
            done++;
            continue;
        }
        size_t taken = fdport_write(&s->port, data + done, n);
        done += taken;
        if (taken < n)
            break;
    }
    return done;
}

static size_t socket_write(Chardev *c, const uint8_t *data, size_t len)
{
    Socket *s = (Socket *)c;
    if (!s->port.pending)
        return len; /* nobody is connected */
    return s->telnet_on ? write_telnet(s, data, len) : fdport_write(&s->port, data, len);
}

static void socket_accept_input(Chardev *c)
{
    Socket *s = (Socket *)c;
    if (s->port.pending)
        fdport_accept_input(&s->port);
}

static int socket_take_fd(Chardev *c)
{
    Socket *s = (Socket *)c;
    if (!s->path || !s->port.pending)
        return -1;
    int fd = dup(s->fd);
    fdport_fini(&s->port);
    close(s->fd);
    s->fd = -1;
    chr_event(c, CHR_CLOSED);
    return fd;
}

static int socket_wait_fd(Chardev *c)
{
    return ((Socket *)c)->port.pending ? ((Socket *)c)->fd : -1;
}

static const char *const socket_options[] = { "path", "host", "port", "server", "wait", "nowait", "telnet", "reconnect",
                                              "nodelay", "ipv4", "ipv6", NULL };
const ChardevBackend chardev_socket = {
    .name = "socket", .help = "a unix (path) or TCP (host, port) socket", .options = socket_options,
    .size = sizeof(Socket), .open = socket_open, .close = socket_close, .write = socket_write,
    .accept_input = socket_accept_input, .wait_fd = socket_wait_fd, .take_fd = socket_take_fd,
};

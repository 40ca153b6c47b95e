/* SPDX-License-Identifier: MIT */
/* Addresses of NBD servers: parsing, connecting, listening. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/bits.h"
#include "block/nbd/address.h"

#define DEFAULT_PORT "10809"

void nbd_address_clear(NbdAddress *a)
{
    g_free(a->path);
    g_free(a->host);
    g_free(a->port);
    *a = (NbdAddress){ NULL };
}

char *nbd_address_text(const NbdAddress *a)
{
    return a->path ? g_strdup_printf("unix:%s", a->path)
                   : g_strdup_printf(strchr(a->host, ':') ? "[%s]:%s" : "%s:%s", a->host, a->port);
}

char *nbd_address_uri(const NbdAddress *a, const char *export, bool tls)
{
    g_autofree char *name = g_uri_escape_string(export ? export : "", "/", false), *where = nbd_address_text(a);
    const char *scheme = tls ? "nbds" : "nbd";
    if (a->path)
        return g_strdup_printf("%s+unix:///%s?socket=%s", scheme, name, a->path);
    return g_strdup_printf("%s://%s%s%s", scheme, where, *name ? "/" : "", name);
}

/* --- names --- */

static bool parse_uri(const char *name, Opts *o, Error **errp)
{
    g_autoptr(GError) err = NULL;
    g_autoptr(GUri) uri = g_uri_parse(name, G_URI_FLAGS_ENCODED_QUERY, &err);
    if (!uri) {
        error_setf(errp, "image '%s': %s; write nbd://HOST[:PORT][/EXPORT] or nbd+unix:///[EXPORT]?socket=PATH", name,
                   err->message);
        return false;
    }
    const char *scheme = g_uri_get_scheme(uri), *path = g_uri_get_path(uri), *host = g_uri_get_host(uri),
               *query = g_uri_get_query(uri);
    g_autoptr(GHashTable) params = query ? g_uri_parse_params(query, -1, "&", G_URI_PARAMS_NONE, NULL) : NULL;
    const char *socket = params ? g_hash_table_lookup(params, "socket") : NULL;
    bool is_unix = g_str_has_suffix(scheme, "+unix");
    if (is_unix != (socket != NULL) || (is_unix && host && *host)) {
        error_setf(errp,
                   is_unix
                       ? "image '%s': a nbd+unix URI has no host, and names its socket: nbd+unix:///EXPORT?socket=PATH"
                       : "image '%s': socket= is for nbd+unix:// URIs",
                   name);
        return false;
    }
    if (!is_unix && (!host || !*host)) {
        error_setf(errp, "image '%s': the URI has no host; write nbd://HOST[:PORT][/EXPORT]", name);
        return false;
    }
    opts_set(o, "server.type", is_unix ? "unix" : "inet");
    if (is_unix) {
        opts_set(o, "server.path", socket);
    } else {
        g_autofree char *port = g_uri_get_port(uri) > 0 ? g_strdup_printf("%d", g_uri_get_port(uri))
                                                        : g_strdup(DEFAULT_PORT);
        opts_set(o, "server.host", host);
        opts_set(o, "server.port", port);
    }
    if (*path == '/')
        path++;
    if (*path && !opts_has(o, "export"))
        opts_set(o, "export", path);
    if (g_str_has_prefix(scheme, "nbds"))
        opts_set(o, "tls", "on");
    return true;
}

static bool parse_colons(const char *name, Opts *o, Error **errp)
{
    static const char mark[] = ":exportname=";
    const char *rest = name + 4, *export = strstr(rest, mark);
    g_autofree char *where = export ? g_strndup(rest, export - rest) : g_strdup(rest);
    if (export && !opts_has(o, "export"))
        opts_set(o, "export", export + sizeof mark - 1);
    if (g_str_has_prefix(where, "unix:")) {
        opts_set(o, "server.type", "unix");
        opts_set(o, "server.path", where + 5);
        return true;
    }
    char *colon = strrchr(where, ':');
    if (!colon || colon == where || !colon[1]) {
        error_setf(
            errp,
            "image '%s': write nbd:HOST:PORT or nbd:unix:PATH, with :exportname=NAME where the server has several",
            name);
        return false;
    }
    *colon = 0;
    char *host = where;
    if (*host == '[' && colon > host + 1 && colon[-1] == ']') {
        colon[-1] = 0;
        host++;
    }
    opts_set(o, "server.type", "inet");
    opts_set(o, "server.host", host);
    opts_set(o, "server.port", colon + 1);
    return true;
}

bool nbd_parse_name(const char *name, Opts *o, Error **errp)
{
    return strstr(name, "://") ? parse_uri(name, o, errp) : parse_colons(name, o, errp);
}

bool nbd_address_from_options(NbdAddress *a, Opts *o, Error **errp)
{
    static const char *const types[] = { "inet", "unix", NULL };
    const char *path = opts_get(o, "server.path"), *host = opts_get(o, "server.host"),
               *port = opts_get(o, "server.port");
    const char *short_path = opts_get(o, "path"), *short_host = opts_get(o, "host"), *short_port = opts_get(o, "port");
    path = path ? path : short_path;
    host = host ? host : short_host;
    port = port ? port : short_port;
    unsigned type = path ? 1 : 0;
    if (!opts_get_enum(o, "server.type", types, &type, errp))
        return false;
    if (type ? !path : !host) {
        error_setf(errp, "block driver 'nbd': where is the server? give %s",
                   type ? "server.path=SOCKET"
                        : "server.type=unix,server.path=SOCKET, "
                          "or server.type=inet,server.host=HOST,server.port=PORT");
        return false;
    }
    *a = type ? (NbdAddress){ .path = g_strdup(path) }
              : (NbdAddress){ .host = g_strdup(host), .port = g_strdup(port ? port : DEFAULT_PORT) };
    return true;
}

/* --- sockets --- */

static bool unix_address(const NbdAddress *a, struct sockaddr_un *out, socklen_t *len, Error **errp)
{
    *out = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(a->path) >= sizeof out->sun_path) {
        error_setf(errp, "socket '%s': the path is longer than %zu characters; use a shorter one", a->path,
                   sizeof out->sun_path - 1);
        return false;
    }
    strcpy(out->sun_path, a->path);
    *len = sizeof *out;
    return true;
}

static struct addrinfo *resolve(const NbdAddress *a, bool passive, Error **errp)
{
    struct addrinfo hints = { .ai_flags = passive ? AI_PASSIVE : AI_ADDRCONFIG, .ai_socktype = SOCK_STREAM },
                    *list = NULL;
    if (!opts_port_ok(a->port, errp))
        return NULL;
    int r = getaddrinfo(*a->host ? a->host : NULL, a->port, &hints, &list);
    if (r == EAI_NONAME && !passive) { /* loopback names on hosts without a network */
        hints.ai_flags = 0;
        r = getaddrinfo(*a->host ? a->host : NULL, a->port, &hints, &list);
    }
    if (!r)
        return list;
    error_setf(errp, "host '%s', port '%s': %s", a->host, a->port,
               r == EAI_SYSTEM ? g_strerror(errno) : gai_strerror(r));
    return NULL;
}

static int connect_within(int fd, const struct sockaddr *to, socklen_t len, unsigned timeout_ms)
{
    if (!timeout_ms)
        return connect(fd, to, len) ? -errno : 0;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    int r = connect(fd, to, len) ? -errno : 0;
    if (r == -EINPROGRESS) {
        struct pollfd p = { fd, POLLOUT, 0 };
        socklen_t size = sizeof r;
        r = poll(&p, 1, (int)timeout_ms) == 1 ? 0 : -ETIMEDOUT;
        if (!r && !getsockopt(fd, SOL_SOCKET, SO_ERROR, &r, &size))
            r = -r;
    }
    fcntl(fd, F_SETFL, 0);
    return r;
}

static int connect_to(int family, const struct sockaddr *to, socklen_t len, unsigned timeout_ms, int *why)
{
    int one = 1, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *why = fd < 0 ? -errno : connect_within(fd, to, len, timeout_ms);
    if (!*why) {
        if (family != AF_UNIX)
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

int nbd_connect(const NbdAddress *a, unsigned timeout_ms, Error **errp)
{
    int fd = -1, why = 0;
    if (a->path) {
        struct sockaddr_un to;
        socklen_t len;
        if (!unix_address(a, &to, &len, errp))
            return -1;
        fd = connect_to(AF_UNIX, (struct sockaddr *)&to, len, timeout_ms, &why);
    } else {
        struct addrinfo *list = resolve(a, false, errp);
        if (!list)
            return -1;
        for (struct addrinfo *i = list; i && fd < 0; i = i->ai_next)
            fd = connect_to(i->ai_family, i->ai_addr, i->ai_addrlen, timeout_ms, &why);
        freeaddrinfo(list);
    }
    if (fd < 0) {
        g_autofree char *text = nbd_address_text(a);
        error_set_errno(errp, -why, "NBD server '%s'", text);
    }
    return fd;
}

static int listen_on(int family, const struct sockaddr *at, socklen_t len, int *why)
{
    int one = 1, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        if (family != AF_UNIX)
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (family == AF_INET6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
        if (!bind(fd, at, len) && !listen(fd, SOMAXCONN))
            return fd;
    }
    *why = errno;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* A socket file that nobody listens at is a dead server's. */
static void remove_dead_socket(const char *path, const struct sockaddr_un *at, socklen_t len)
{
    struct stat st;
    int why;
    if (stat(path, &st) || !S_ISSOCK(st.st_mode))
        return;
    int fd = connect_to(AF_UNIX, (const struct sockaddr *)at, len, 0, &why);
    if (fd >= 0)
        close(fd);
    else if (why == -ECONNREFUSED)
        unlink(path);
}

unsigned nbd_listen(const NbdAddress *a, int *fds, unsigned max, Error **errp)
{
    unsigned n = 0;
    int why = 0;
    if (a->path) {
        struct sockaddr_un at;
        socklen_t len;
        if (!unix_address(a, &at, &len, errp))
            return 0;
        remove_dead_socket(a->path, &at, len);
        n = (fds[0] = listen_on(AF_UNIX, (struct sockaddr *)&at, len, &why)) >= 0;
    } else {
        struct addrinfo *list = resolve(a, true, errp);
        if (!list)
            return 0;
        for (struct addrinfo *i = list; i && n < max; i = i->ai_next)
            n += (fds[n] = listen_on(i->ai_family, i->ai_addr, i->ai_addrlen, &why)) >= 0;
        freeaddrinfo(list);
    }
    if (!n) {
        g_autofree char *text = nbd_address_text(a);
        error_setf(errp, "can't listen at '%s': %s%s", text, g_strerror(why),
                   why == EADDRINUSE ? "; another server runs there: choose another one with "
                                       "--socket or --port"
                                     : "");
    }
    return n;
}

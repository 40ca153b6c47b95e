/* SPDX-License-Identifier: MIT */
/* Protocols "http", "https", "ftp", "ftps": files of a web or FTP server, read-only, by ranges (libcurl). */
#include "rhea-config.h"
#include "block/library.h"

#ifdef HAVE_CURL
#define CURL_DISABLE_TYPECHECK /* a macro in place of curl_easy_setopt */
#include <curl/curl.h>
#include <string.h>
#include "base/bits.h"
#include "crypto/secret.h"

/* The functions that are used. */
#define FUNCTIONS(X) \
    X(curl_easy_init) X(curl_easy_setopt) X(curl_easy_perform) X(curl_easy_getinfo) X(curl_easy_cleanup) \
    X(curl_easy_strerror) \
    X(curl_global_init)
LIBRARY(lib, "libcurl-gnutls.so.4", "libcurl3-gnutls", FUNCTIONS)

enum { SEGMENTS = 8, HANDLES = 8, TRIES = 4, FETCH_MAX = 4 << 20 };

typedef struct Segment { uint64_t offset, len; uint8_t *data; uint64_t used; } Segment;

typedef struct CurlNode {
    char *url, *cookie, *user, *password, *proxy_user, *proxy_password;
    bool verify, http;
    uint64_t readahead, timeout;
    pthread_mutex_t lock;      /* of the fields below */
    pthread_cond_t idle;
    CURL *handles[HANDLES];    /* that nobody uses */
    unsigned idle_count, count;
    Segment segments[SEGMENTS];
    uint64_t clock;
} CurlNode;

/* One transfer: what comes goes to `out`; more than was asked for ends it. */
typedef struct Fetch { uint8_t *out; uint64_t want, got, total; bool has_total; char error[CURL_ERROR_SIZE]; } Fetch;

static CurlNode *curl_of(BlockNode *n) { return n->opaque; }

static size_t take_body(char *data, size_t size, size_t count, void *opaque)
{
    Fetch *f = opaque;
    size_t n = size * count;
    if (n > f->want - f->got)
        return 0;
    memcpy(f->out + f->got, data, n);
    f->got += n;
    return n;
}

/* RFC 9110 14.4: Content-Range: bytes 0-0/1234 */
static size_t take_header(char *data, size_t size, size_t count, void *opaque)
{
    Fetch *f = opaque;
    g_autofree char *line = g_strndup(data, size * count);
    const char *slash = strchr(line, '/');
    if (!g_ascii_strncasecmp(line, "Content-Range:", 14) && slash && g_ascii_isdigit(slash[1])) {
        f->total = g_ascii_strtoull(slash + 1, NULL, 10);
        f->has_total = true;
    }
    return size * count;
}

/* --- handles --- */

static CURL *new_handle(const CurlNode *d)
{
    const char *protocols = d->http ? "http,https" : "ftp,ftps";
    CURL *h = lib.curl_easy_init();
    if (!h)
        return NULL;
    lib.curl_easy_setopt(h, CURLOPT_URL, d->url);
    lib.curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    lib.curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 1L);
    lib.curl_easy_setopt(h, CURLOPT_MAXREDIRS, 10L);
    lib.curl_easy_setopt(h, CURLOPT_FAILONERROR, 1L);
    lib.curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, protocols);
    lib.curl_easy_setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, protocols); /* a server must not send us to our own files */
    lib.curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, (long)d->timeout);
    lib.curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
    lib.curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, (long)d->timeout);
    lib.curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, d->verify ? 1L : 0L);
    lib.curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, d->verify ? 2L : 0L);
    lib.curl_easy_setopt(h, CURLOPT_COOKIE, d->cookie);
    lib.curl_easy_setopt(h, CURLOPT_USERNAME, d->user);
    lib.curl_easy_setopt(h, CURLOPT_PASSWORD, d->password);
    lib.curl_easy_setopt(h, CURLOPT_PROXYUSERNAME, d->proxy_user);
    lib.curl_easy_setopt(h, CURLOPT_PROXYPASSWORD, d->proxy_password);
    lib.curl_easy_setopt(h, CURLOPT_USERAGENT, "rhea/" RHEA_VERSION);
    lib.curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, take_body);
    return h;
}

static CURL *take_handle(CurlNode *d)
{
    pthread_mutex_lock(&d->lock);
    while (!d->idle_count && d->count == HANDLES)
        pthread_cond_wait(&d->idle, &d->lock);
    CURL *h = d->idle_count ? d->handles[--d->idle_count] : NULL;
    if (!h)
        d->count++;
    pthread_mutex_unlock(&d->lock);
    return h ? h : new_handle(d);
}

static void give_handle(CurlNode *d, CURL *h)
{
    pthread_mutex_lock(&d->lock);
    if (h)
        d->handles[d->idle_count++] = h;
    else
        d->count--;
    pthread_cond_signal(&d->idle);
    pthread_mutex_unlock(&d->lock);
}

static bool worth_a_retry(CURLcode r, long status)
{
    return r == CURLE_COULDNT_CONNECT || r == CURLE_PARTIAL_FILE || r == CURLE_RECV_ERROR || r == CURLE_SEND_ERROR ||
           r == CURLE_GOT_NOTHING || r == CURLE_OPERATION_TIMEDOUT ||
           (r == CURLE_HTTP_RETURNED_ERROR && (status >= 500 || status == 429));
}

/* [offset, offset + f->want); CURLE_RANGE_ERROR: the server gave something else. */
static CURLcode fetch(CurlNode *d, uint64_t offset, Fetch *f, long *status)
{
    CURLcode r = CURLE_FAILED_INIT;
    CURL *h = take_handle(d);
    g_autofree char *range = g_strdup_printf("%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT, (guint64)offset,
                                             (guint64)(offset + f->want - 1));
    for (unsigned i = 0; h && i < TRIES; i++) {
        f->got = 0;
        f->error[0] = 0;
        lib.curl_easy_setopt(h, CURLOPT_RANGE, range);
        lib.curl_easy_setopt(h, CURLOPT_WRITEDATA, f);
        lib.curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, take_header);
        lib.curl_easy_setopt(h, CURLOPT_HEADERDATA, f);
        lib.curl_easy_setopt(h, CURLOPT_ERRORBUFFER, f->error);
        r = lib.curl_easy_perform(h);
        lib.curl_easy_setopt(h, CURLOPT_ERRORBUFFER, NULL);
        lib.curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, status);
        if (r == CURLE_OK && d->http && *status != 206)
            r = CURLE_RANGE_ERROR;
        if (r == CURLE_OK && f->got != f->want)
            r = CURLE_PARTIAL_FILE;
        if (!worth_a_retry(r, *status))
            break;
        g_usleep(100000u << i);
    }
    give_handle(d, h);
    return r;
}

/* --- reading, with what was read ahead --- */

static bool from_segments(CurlNode *d, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt,
                          uint64_t skip)
{
    bool found = false;
    pthread_mutex_lock(&d->lock);
    for (unsigned i = 0; i < SEGMENTS && !found; i++) {
        Segment *s = &d->segments[i];
        found = s->data && offset >= s->offset && offset + len <= s->offset + s->len;
        if (found) {
            iov_from_buf(iov, iovcnt, skip, s->data + (offset - s->offset), len);
            s->used = ++d->clock;
        }
    }
    pthread_mutex_unlock(&d->lock);
    return found;
}

static void keep_segment(CurlNode *d, uint64_t offset, uint64_t len, uint8_t *data)
{
    pthread_mutex_lock(&d->lock);
    Segment *oldest = d->segments;
    for (Segment *s = d->segments; s < d->segments + SEGMENTS; s++) {
        if (s->used < oldest->used)
            oldest = s;
    }
    g_free(oldest->data);
    *oldest = (Segment){ offset, len, data, ++d->clock };
    pthread_mutex_unlock(&d->lock);
}

static int curl_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    CurlNode *d = curl_of(n);
    for (uint64_t done = 0; done < len;) {
        uint64_t at = offset + done, part = MIN(len - done, (uint64_t)FETCH_MAX);
        if (!from_segments(d, at, part, iov, iovcnt, done)) {
            uint64_t want = MIN(MAX(part, d->readahead), block_size(n) - at);
            Fetch f = { .out = g_malloc(want), .want = want };
            long status = 0;
            if (fetch(d, at, &f, &status) != CURLE_OK) {
                g_free(f.out);
                return -EIO;
            }
            iov_from_buf(iov, iovcnt, done, f.out, part);
            keep_segment(d, at, want, f.out);
        }
        done += part;
    }
    return 0;
}

/* --- opening --- */

static bool curl_parse(const char *filename, Opts *o, Error **errp)
{
    opts_set(o, "url", filename);
    return true;
}

static bool secret_option(Opts *o, const char *key, char **out, Error **errp)
{
    const char *id = opts_get(o, key);
    *out = id ? secret_get_text(id, errp) : NULL;
    return !id || *out;
}

/* The URL as errors show it. */
static char *without_password(const char *url)
{
    const char *start = strstr(url, "://"), *at = start ? strchr(start, '@') : NULL,
               *colon = start ? strchr(start + 3, ':') : NULL;
    const char *slash = start ? strchr(start + 3, '/') : NULL;
    if (!at || !colon || colon > at || (slash && slash < at))
        return g_strdup(url);
    return g_strdup_printf("%.*s%s", (int)(colon - url), url, at);
}

static bool take_options(BlockNode *n, Opts *o, Error **errp)
{
    CurlNode *d = curl_of(n);
    const char *url = opts_get(o, "url"), *cookie = opts_get(o, "cookie");
    char *secret_cookie = NULL;
    url = url ? url : opts_get(o, "filename");
    opts_get(o, "filename");
    if (!url) {
        error_setf(errp, "block driver '%s': which URL? give url=%s://HOST/PATH", n->drv->name, n->drv->name);
        return false;
    }
    d->url = g_strdup(url);
    d->http = g_str_has_prefix(url, "http");
    g_free(n->filename);
    n->filename = without_password(url);
    if (!opts_get_size(o, "readahead", 256 * KiB, &d->readahead, errp) ||
        !opts_get_bool(o, "sslverify", true, &d->verify, errp) || !opts_get_u64(o, "timeout", 5, &d->timeout, errp) ||
        !secret_option(o, "password-secret", &d->password, errp) ||
        !secret_option(o, "proxy-password-secret", &d->proxy_password, errp) ||
        !secret_option(o, "cookie-secret", &secret_cookie, errp))
        return false;
    d->cookie = secret_cookie ? secret_cookie : g_strdup(cookie);
    d->user = g_strdup(opts_get(o, "username"));
    d->proxy_user = g_strdup(opts_get(o, "proxy-username"));
    if (d->readahead > FETCH_MAX || !d->timeout || d->timeout > 10000) {
        error_setf(errp, "image '%s': readahead= is at most 4M, timeout= 1 to 10000 seconds", n->filename);
        return false;
    }
    if (n->flags & BLOCK_RDWR && !(n->flags & BLOCK_AUTO_RDONLY)) {
        error_setf(errp, "image '%s': %s can only be read; use read-only=on, or snapshot=on", n->filename,
                   n->drv->name);
        return false;
    }
    n->flags &= ~(unsigned)BLOCK_RDWR;
    return true;
}

static bool ftp_size(BlockNode *n, Fetch *f, CURLcode *r)
{
    CURL *h = new_handle(curl_of(n));
    curl_off_t size = -1;
    if (!h)
        return false;
    lib.curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
    lib.curl_easy_setopt(h, CURLOPT_WRITEDATA, f);
    lib.curl_easy_setopt(h, CURLOPT_ERRORBUFFER, f->error);
    *r = lib.curl_easy_perform(h);
    lib.curl_easy_getinfo(h, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
    lib.curl_easy_cleanup(h);
    f->has_total = size >= 0;
    f->total = (uint64_t)size;
    return f->has_total;
}

static bool find_size(BlockNode *n, Error **errp)
{
    uint8_t first;
    long status = 0;
    Fetch f = { .out = &first, .want = 1 };
    CURLcode r = CURLE_OK;
    if (curl_of(n)->http)
        r = fetch(curl_of(n), 0, &f, &status);
    else
        ftp_size(n, &f, &r);
    if (status == 416 && f.has_total && !f.total)
        r = CURLE_OK; /* an empty file has no first byte */
    if (r == CURLE_RANGE_ERROR || status == 200)
        error_setf(errp, "image '%s': the server gives whole files only, no ranges; download the image", n->filename);
    else if (r != CURLE_OK)
        error_setf(errp, "image '%s': %s", n->filename, f.error[0] ? f.error : lib.curl_easy_strerror(r));
    else if (!f.has_total || f.total > INT64_MAX)
        error_setf(errp, "image '%s': the server does not tell its size; download the image", n->filename);
    else
        n->size = f.total;
    return r == CURLE_OK && f.has_total && f.total <= INT64_MAX;
}

static void curl_close(BlockNode *n)
{
    CurlNode *d = curl_of(n);
    while (d->idle_count)
        lib.curl_easy_cleanup(d->handles[--d->idle_count]);
    for (unsigned i = 0; i < SEGMENTS; i++)
        g_free(d->segments[i].data);
    g_free(d->url);
    g_free(d->cookie);
    g_free(d->user);
    g_free(d->password);
    g_free(d->proxy_user);
    g_free(d->proxy_password);
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->idle);
}

static bool curl_open(BlockNode *n, Opts *o, Error **errp)
{
    CurlNode *d = curl_of(n);
    if (!lib_load(errp))
        return false;
    lib.curl_global_init(CURL_GLOBAL_DEFAULT);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->idle, NULL);
    if (take_options(n, o, errp) && find_size(n, errp))
        return true;
    curl_close(n);
    return false;
}

static const char *const curl_options[] = { "url",
                                            "readahead",
                                            "sslverify",
                                            "timeout",
                                            "cookie",
                                            "cookie-secret",
                                            "username",
                                            "password-secret",
                                            "proxy-username",
                                            "proxy-password-secret",
                                            NULL };
#define CURL_DRIVER(id) \
    static const char *const id##_schemes[] = { #id, NULL }; \
    static const BlockDriver id##_driver = { \
        .name = #id, .desc = "a file of a server, read-only", .protocol = true, .instance_size = sizeof(CurlNode), \
        .schemes = id##_schemes, \
        .options = curl_options, .parse_filename = curl_parse, .open = curl_open, .close = curl_close, \
        .preadv = curl_preadv, \
    }; \
    BLOCK_DRIVER_REGISTER(id##_driver)
CURL_DRIVER(http)
CURL_DRIVER(https)
CURL_DRIVER(ftp)
CURL_DRIVER(ftps)
#endif

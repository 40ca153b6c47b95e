/* SPDX-License-Identifier: MIT */
/* Protocol "ssh": a file of another host by SFTP (libssh). */
#include "rhea-config.h"
#include "block/library.h"

#ifdef HAVE_LIBSSH
#include <fcntl.h>
#include <libssh/libssh.h>
#include <libssh/sftp.h>
#include <string.h>

/* The functions that are used. */
#define FUNCTIONS(X) \
    X(ssh_get_server_publickey) X(ssh_get_publickey_hash) X(ssh_clean_pubkey_hash) X(ssh_key_free) \
    X(ssh_session_is_known_server) \
    X(ssh_get_error) X(ssh_userauth_none) X(ssh_userauth_publickey_auto) X(sftp_close) X(sftp_free) X(ssh_disconnect) \
    X(ssh_free) \
    X(ssh_new) X(ssh_options_set) X(ssh_options_parse_config) X(ssh_connect) X(sftp_new) X(sftp_init) X(sftp_open) \
    X(sftp_fstat) \
    X(sftp_get_error) X(sftp_attributes_free) X(sftp_seek64) X(sftp_write) X(sftp_read) X(sftp_extension_supported) \
    X(sftp_fsync)
LIBRARY(lib, "libssh.so.4", "libssh-4", FUNCTIONS)

enum { PIECE = 32 << 10 };

typedef struct SshNode {
    ssh_session session;
    sftp_session sftp;
    sftp_file file;
    pthread_mutex_t lock; /* libssh has one user at a time for a session */
} SshNode;

static SshNode *ssh_of(BlockNode *n) { return n->opaque; }

/* --- who is there --- */

static bool check_hash(ssh_session session, const char *kind, const char *want, Error **errp)
{
    static const struct { const char *name; enum ssh_publickey_hash_type type;
    } kinds[] = { { "md5", SSH_PUBLICKEY_HASH_MD5 },
                  { "sha1", SSH_PUBLICKEY_HASH_SHA1 },
                  { "sha256", SSH_PUBLICKEY_HASH_SHA256 } };
    ssh_key key = NULL;
    unsigned char *hash = NULL;
    size_t len = 0;
    bool ok = false;
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (strcmp(kinds[i].name, kind) || lib.ssh_get_server_publickey(session, &key))
            continue;
        if (!lib.ssh_get_publickey_hash(key, kinds[i].type, &hash, &len)) {
            g_autoptr(GString) got = g_string_new(NULL);
            g_autofree char *plain = g_strdup(want);
            for (size_t j = 0; j < len; j++)
                g_string_append_printf(got, "%02x", hash[j]);
            char *to = plain;
            for (const char *from = want; *from; from++) {
                if (*from != ':')
                    *to++ = *from;
            }
            *to = 0;
            ok = !g_ascii_strcasecmp(got->str, plain);
            lib.ssh_clean_pubkey_hash(&hash);
        }
        lib.ssh_key_free(key);
        break;
    }
    if (!ok)
        error_setf(errp, "the host's key has another %s hash than host-key-check.hash=; is it the right host?", kind);
    return ok;
}

static bool check_known(ssh_session session, Error **errp)
{
    switch (lib.ssh_session_is_known_server(session)) {
    case SSH_KNOWN_HOSTS_OK: return true;
    case SSH_KNOWN_HOSTS_CHANGED:
    case SSH_KNOWN_HOSTS_OTHER:
        error_setf(errp, "the host's key is not the one in known_hosts; is it the right host?");
        break;
    case SSH_KNOWN_HOSTS_ERROR: error_setf(errp, "%s", lib.ssh_get_error(session)); break;
    default:
        error_setf(errp, "the host is not in known_hosts; connect once with ssh, or use host-key-check.mode=none where "
                         "nobody can step in between");
    }
    return false;
}

/* "yes", "no", "md5:…", "sha1:…", "sha256:…" of URLs; or host-key-check.* */
static bool check_host(ssh_session session, Opts *o, Error **errp)
{
    const char *mode = opts_get(o, "host-key-check.mode"), *type = opts_get(o, "host-key-check.type"),
               *hash = opts_get(o, "host-key-check.hash");
    const char *old = opts_get(o, "host_key_check");
    if ((mode && !strcmp(mode, "none")) || (!mode && old && !strcmp(old, "no")))
        return true;
    if (mode ? !strcmp(mode, "hash") : old && strchr(old, ':')) {
        g_auto(GStrv) parts = mode ? NULL : g_strsplit(old, ":", 2);
        const char *kind = mode ? type : parts[0], *want = mode ? hash : parts[1];
        if (kind && want)
            return check_hash(session, kind, want, errp);
        error_setf(errp, "host-key-check.mode=hash needs host-key-check.type=md5|sha1|sha256 and host-key-check.hash=");
        return false;
    }
    if ((mode && strcmp(mode, "known_hosts")) || (!mode && old && strcmp(old, "yes"))) {
        error_setf(errp, "host-key-check '%s': not known; valid: none, hash, known_hosts", mode ? mode : old);
        return false;
    }
    return check_known(session, errp);
}

static bool authenticate(ssh_session session, Error **errp)
{
    if (lib.ssh_userauth_none(session, NULL) == SSH_AUTH_SUCCESS ||
        lib.ssh_userauth_publickey_auto(session, NULL, NULL) == SSH_AUTH_SUCCESS)
        return true;
    error_setf(errp, "no key of yours lets us in; load one with ssh-add");
    return false;
}

/* --- opening --- */

static bool ssh_parse(const char *filename, Opts *o, Error **errp)
{
    g_autoptr(GError) err = NULL;
    g_autoptr(GUri) uri = g_uri_parse(filename, G_URI_FLAGS_ENCODED_QUERY, &err);
    const char *host = uri ? g_uri_get_host(uri) : NULL, *query = uri ? g_uri_get_query(uri) : NULL,
               *user = uri ? g_uri_get_userinfo(uri) : NULL;
    if (!host || !*host || strlen(g_uri_get_path(uri)) < 2) {
        error_setf(errp, "image '%s': write ssh://[USER@]HOST[:PORT]/PATH", filename);
        return false;
    }
    opts_set(o, "server.host", host);
    opts_set(o, "path", g_uri_get_path(uri));
    if (user)
        opts_set(o, "user", user);
    if (g_uri_get_port(uri) > 0) {
        g_autofree char *port = g_strdup_printf("%d", g_uri_get_port(uri));
        opts_set(o, "server.port", port);
    }
    g_autoptr(GHashTable) params = query ? g_uri_parse_params(query, -1, "&", G_URI_PARAMS_NONE, NULL) : NULL;
    const char *check = params ? g_hash_table_lookup(params, "host_key_check") : NULL;
    if (check)
        opts_set(o, "host_key_check", check);
    return true;
}

static void ssh_node_close(BlockNode *n)
{
    SshNode *d = ssh_of(n);
    if (d->file)
        lib.sftp_close(d->file);
    if (d->sftp)
        lib.sftp_free(d->sftp);
    if (d->session) {
        lib.ssh_disconnect(d->session);
        lib.ssh_free(d->session);
    }
    pthread_mutex_destroy(&d->lock);
}

static bool connect_host(SshNode *d, const char *host, const char *port, const char *user, Opts *o, Error **errp)
{
    long timeout = 30;
    d->session = lib.ssh_new();
    if (!d->session)
        return false;
    lib.ssh_options_set(d->session, SSH_OPTIONS_HOST, host);
    lib.ssh_options_set(d->session, SSH_OPTIONS_PORT_STR, port ? port : "22");
    lib.ssh_options_set(d->session, SSH_OPTIONS_TIMEOUT, &timeout);
    if (user)
        lib.ssh_options_set(d->session, SSH_OPTIONS_USER, user);
    lib.ssh_options_parse_config(d->session, NULL);
    if (lib.ssh_connect(d->session) != SSH_OK) {
        error_setf(errp, "%s", lib.ssh_get_error(d->session));
        return false;
    }
    if (!check_host(d->session, o, errp) || !authenticate(d->session, errp))
        return false;
    d->sftp = lib.sftp_new(d->session);
    if (d->sftp && lib.sftp_init(d->sftp) == SSH_OK)
        return true;
    error_setf(errp, "the host has no SFTP: %s", lib.ssh_get_error(d->session));
    return false;
}

static bool open_file(BlockNode *n, const char *path, Error **errp)
{
    SshNode *d = ssh_of(n);
    d->file = lib.sftp_open(d->sftp, path, n->flags & BLOCK_RDWR ? O_RDWR : O_RDONLY, 0);
    if (!d->file && n->flags & BLOCK_RDWR && n->flags & BLOCK_AUTO_RDONLY) {
        n->flags &= ~(unsigned)BLOCK_RDWR;
        d->file = lib.sftp_open(d->sftp, path, O_RDONLY, 0);
    }
    sftp_attributes a = d->file ? lib.sftp_fstat(d->file) : NULL;
    if (!a || a->size > INT64_MAX) {
        int code = lib.sftp_get_error(d->sftp);
        error_setf(errp, "%s",
                   code == SSH_FX_NO_SUCH_FILE        ? "there is no such file"
                   : code == SSH_FX_PERMISSION_DENIED ? "Permission denied"
                                                      : "the file can't be opened");
    } else {
        n->size = a->size;
    }
    bool ok = a && a->size <= INT64_MAX;
    lib.sftp_attributes_free(a);
    return ok;
}

static bool ssh_node_open(BlockNode *n, Opts *o, Error **errp)
{
    SshNode *d = ssh_of(n);
    const char *host = opts_get(o, "server.host"), *port = opts_get(o, "server.port"), *path = opts_get(o, "path"),
               *user = opts_get(o, "user");
    if (!lib_load(errp))
        return false;
    opts_get(o, "filename");
    if (!host || !path) {
        error_setf(errp, "block driver 'ssh': which file? give server.host=HOST,path=/PATH");
        return false;
    }
    pthread_mutex_init(&d->lock, NULL);
    if (connect_host(d, host, port, user, o, errp) && open_file(n, path, errp))
        return true;
    error_prependf(errp, "image 'ssh://%s%s'", host, path);
    ssh_node_close(n);
    return false;
}

/* --- I/O --- */

static int transfer(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, bool write)
{
    SshNode *d = ssh_of(n);
    g_autofree uint8_t *buf = g_malloc(PIECE);
    int r = 0;
    pthread_mutex_lock(&d->lock);
    if (lib.sftp_seek64(d->file, offset))
        r = -EIO;
    for (uint64_t done = 0; done < len && !r;) {
        size_t part = (size_t)MIN(len - done, (uint64_t)PIECE);
        if (write)
            iov_to_buf(iov, iovcnt, done, buf, part);
        ssize_t got = write ? lib.sftp_write(d->file, buf, part) : lib.sftp_read(d->file, buf, part);
        if (got > 0 && !write)
            iov_from_buf(iov, iovcnt, done, buf, (size_t)got);
        if (got < 0 || (write && !got)) {
            r = -EIO;
        } else if (!got) { /* beyond the end */
            iov_zero(iov, iovcnt, done, len - done);
            done = len;
        }
        done += (uint64_t)MAX(got, (ssize_t)0);
    }
    pthread_mutex_unlock(&d->lock);
    return r;
}

static int ssh_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return transfer(n, offset, len, iov, iovcnt, false);
}

static int ssh_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, unsigned flags)
{
    int r = transfer(n, offset, len, iov, iovcnt, true);
    if (!r)
        block_grown(n, offset + len);
    return r;
}

static int ssh_flush(BlockNode *n)
{
    SshNode *d = ssh_of(n);
    pthread_mutex_lock(&d->lock);
    bool can = lib.sftp_extension_supported(d->sftp, "fsync@openssh.com", "1");
    int r = can && lib.sftp_fsync(d->file) ? -EIO : 0;
    pthread_mutex_unlock(&d->lock);
    return r;
}

static const char *const ssh_schemes[] = { "ssh", NULL };
static const char *const ssh_options[] = {
    "server.host",         "server.port",         "path", "user", "host_key_check", "host-key-check.mode",
    "host-key-check.type", "host-key-check.hash", NULL
};
static const BlockDriver ssh_driver = {
    .name = "ssh",
    .desc = "a file of another host",
    .protocol = true,
    .grows = true,
    .instance_size = sizeof(SshNode),
    .schemes = ssh_schemes,
    .options = ssh_options,
    .parse_filename = ssh_parse,
    .open = ssh_node_open,
    .close = ssh_node_close,
    .preadv = ssh_preadv,
    .pwritev = ssh_pwritev,
    .flush = ssh_flush,
};
BLOCK_DRIVER_REGISTER(ssh_driver)
#endif

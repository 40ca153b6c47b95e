/* SPDX-License-Identifier: MIT */
/* -object secret (data=, file=, base64, encrypted by another secret) and secret_keyring (the kernel's keys). */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/object.h"
#include "crypto/crypto.h"
#include "crypto/secret.h"

enum { FORMAT_RAW, FORMAT_BASE64, SECRET_MAX = 1 << 20, KEYCTL_READ_OPERATION = 11 /* keyctl(2), linux/keyctl.h */ };
static const char *const formats[] = { "raw", "base64", NULL };

typedef struct Secret {
    Object object;
    char *data, *file, *keyid, *iv;
    int format;
    uint32_t serial;     /* keyring */
    uint8_t *value;
    size_t len;
} Secret;

static bool fail(const Secret *s, Error **errp, const char *what)
{
    error_setf(errp, "secret '%s': %s", s->object.id, what);
    return false;
}

/* --- sources --- */

static bool load(Secret *s, Error **errp)
{
    if (!s->data == !s->file)
        return fail(s, errp, s->data ? "data= and file= are both given; leave one out" : "give data=TEXT or file=PATH");
    if (s->data) {
        s->value = (uint8_t *)g_strdup(s->data);
        s->len = strlen(s->data);
        return true;
    }
    g_autoptr(GError) err = NULL;
    if (g_file_get_contents(s->file, (char **)&s->value, &s->len, &err))
        return true;
    error_setf(errp, "secret '%s': %s", s->object.id, err->message);
    return false;
}

static bool load_key(Secret *s, Error **errp)
{
    if (!s->serial)
        return fail(s, errp, "which key of the kernel? add serial=NUMBER");
    long len = syscall(SYS_keyctl, KEYCTL_READ_OPERATION, s->serial, NULL, 0, 0);
    if (len >= 0 && len <= SECRET_MAX) {
        s->value = g_malloc0((size_t)len + 1);
        s->len = (size_t)len;
        len = syscall(SYS_keyctl, KEYCTL_READ_OPERATION, s->serial, s->value, s->len, 0);
    }
    if (len >= 0 && (size_t)len == s->len)
        return true;
    error_set_errno(errp, len < 0 ? errno : EFBIG, "secret '%s': key %u of the kernel can't be read", s->object.id,
                    s->serial);
    return false;
}

/* --- encodings --- */

/* Blanks and line ends are fine, anything else is not. */
static bool decode_base64(const Secret *s, const uint8_t *text, size_t text_len, uint8_t **out, size_t *len,
                          Error **errp)
{
    g_autoptr(GString) clean = g_string_sized_new(text_len + 1);
    for (size_t i = 0; i < text_len; i++) {
        if (!g_ascii_isspace((char)text[i]))
            g_string_append_c(clean, (char)text[i]);
    }
    size_t digits = strspn(clean->str, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    size_t padding = strspn(clean->str + digits, "=");
    bool ok = digits + padding == clean->len && padding <= 2 && clean->len % 4 == 0;
    *out = ok ? g_base64_decode(clean->str, len) : NULL;
    crypto_wipe(clean->str, clean->len);
    return ok || fail(s, errp, "its value is not valid base64");
}

/* AES-256-CBC with PKCS #7 padding, as `openssl enc -aes-256-cbc -K KEY -iv IV` makes it. */
static bool decrypt(Secret *s, Error **errp)
{
    size_t key_len = 0, iv_len = 0;
    g_autofree uint8_t *iv = NULL;
    uint8_t *key = secret_get(s->keyid, &key_len, errp);
    if (!key)
        return false;
    bool ok = key_len == 32 || fail(s, errp, "the secret that keyid= names must hold 32 bytes (AES-256)");
    ok = ok && (s->iv || fail(s, errp, "keyid= needs iv=BASE64, too"));
    ok = ok && decode_base64(s, (uint8_t *)s->iv, strlen(s->iv), &iv, &iv_len, errp);
    ok = ok && (iv_len == 16 || fail(s, errp, "iv= must be 16 bytes"));
    ok = ok && ((s->len && s->len % 16 == 0) ||
                fail(s, errp, "its encrypted value must be a multiple of 16 bytes, and not empty"));
    ok = ok && crypto_cbc(CIPHER_AES_256, key, iv, s->value, s->len, false, errp);
    uint8_t padding = ok ? s->value[s->len - 1] : 0;
    ok = ok && ((padding >= 1 && padding <= 16) || fail(s, errp, "it can't be decrypted: another key or iv was used"));
    if (ok) {
        s->len -= padding;
        s->value[s->len] = 0;
    }
    crypto_wipe_free(key, key_len);
    return ok;
}

static bool take_value(Secret *s, Error **errp)
{
    if (s->keyid && s->format != FORMAT_BASE64 && s->data)
        return fail(s, errp, "an encrypted value is given in base64; add format=base64");
    if (s->format == FORMAT_BASE64) {
        uint8_t *raw;
        size_t len;
        if (!decode_base64(s, s->value, s->len, &raw, &len, errp))
            return false;
        crypto_wipe_free(s->value, s->len);
        s->value = raw;
        s->len = len;
    }
    return !s->keyid || decrypt(s, errp);
}

/* --- objects --- */

static bool secret_complete(Object *o, Error **errp)
{
    Secret *s = (Secret *)o;
    return load(s, errp) && take_value(s, errp);
}

static bool keyring_complete(Object *o, Error **errp)
{
    Secret *s = (Secret *)o;
    return load_key(s, errp) && take_value(s, errp);
}

static void secret_finalize(Object *o)
{
    Secret *s = (Secret *)o;
    crypto_wipe_free(s->value, s->len);
    if (s->data)
        crypto_wipe(s->data, strlen(s->data));
}

uint8_t *secret_get(const char *id, size_t *len, Error **errp)
{
    Secret *s = (Secret *)object_get(id, "secret", errp);
    if (!s)
        return NULL;
    uint8_t *copy = g_malloc(s->len + 1);
    memcpy(copy, s->value, s->len);
    copy[s->len] = 0;
    *len = s->len;
    return copy;
}

char *secret_get_text(const char *id, Error **errp)
{
    size_t len;
    uint8_t *text = secret_get(id, &len, errp);
    if (!text || g_utf8_validate((char *)text, (gssize)len, NULL))
        return (char *)text;
    crypto_wipe_free(text, len);
    error_setf(errp,
               "secret '%s': a passphrase must be text in UTF-8 without zero bytes; this one isn't (is format=base64 "
               "missing?)",
               id);
    return NULL;
}

#define COMMON_PROPS \
    DEFINE_PROP_ENUM("format", Secret, format, FORMAT_RAW, formats, "how the value is written: raw or base64"), \
    DEFINE_PROP_STRING("keyid", Secret, keyid, NULL, \
        "secret of 32 bytes that the value is encrypted with (AES-256-CBC)"), \
    DEFINE_PROP_STRING("iv", Secret, iv, NULL, "with keyid: the initialization vector, 16 bytes in base64"), \
    DEFINE_PROP_END

static const Property secret_props[] = {
    DEFINE_PROP_STRING("data", Secret, data, NULL, "the value itself (other users see command lines: better use file)"),
    DEFINE_PROP_STRING("file", Secret, file, NULL, "file with the value"), COMMON_PROPS
};
static const Property keyring_props[] = { DEFINE_PROP_U32("serial", Secret, serial, 0, "number of the key"),
                                          COMMON_PROPS };
static const ObjectType secret_type = { .name = "secret",
                                        .desc = "a password or key",
                                        .size = sizeof(Secret),
                                        .props = secret_props,
                                        .complete = secret_complete,
                                        .finalize = secret_finalize };
static const ObjectType keyring_type = { .name = "secret_keyring",
                                         .kind = "secret",
                                         .desc = "a key of the kernel's keyring",
                                         .size = sizeof(Secret),
                                         .props = keyring_props,
                                         .complete = keyring_complete,
                                         .finalize = secret_finalize };
OBJECT_REGISTER(secret_type)
OBJECT_REGISTER(keyring_type)

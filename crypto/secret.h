/* SPDX-License-Identifier: MIT */
/* -object secret, secret_keyring: passwords and keys that other options name by id. */
#ifndef CRYPTO_SECRET_H
#define CRYPTO_SECRET_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

/* A copy of what the object holds, with a zero byte behind; the caller does crypto_wipe_free(p, *len). Main thread. */
uint8_t *secret_get(const char *id, size_t *len, Error **errp);
/* The same, which must be text (UTF-8): a passphrase. */
char *secret_get_text(const char *id, Error **errp);
#endif

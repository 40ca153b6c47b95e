/* SPDX-License-Identifier: MIT */
/* Private to crypto/: the library behind it. */
#ifndef CRYPTO_PRIVATE_H
#define CRYPTO_PRIVATE_H

#include <gcrypt.h>
#include <glib.h>
#include "base/bits.h"
#include "crypto/crypto.h"

void crypto_init(void);
int crypto_cipher_algo(CryptoCipher c); /* 0: the library lacks it */
#endif

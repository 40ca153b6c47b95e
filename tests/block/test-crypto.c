/* SPDX-License-Identifier: MIT */
/* Known answers for what encrypted images stand on; the sources of the numbers are named in the tables. */
#include <string.h>
#include "crypto/crypto.h"

static GByteArray *bytes(const char *hex)
{
    GByteArray *out = g_byte_array_new();
    for (; *hex; hex += 2) {
        uint8_t b = (uint8_t)(g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1]));
        g_byte_array_append(out, &b, 1);
    }
    return out;
}

static void assert_hex(const uint8_t *got, const char *hex)
{
    g_autoptr(GByteArray) want = bytes(hex);
    g_assert_cmpmem(got, want->len, want->data, want->len);
}

/* --- sectors --- */

typedef struct SectorRow {
    const char *source;
    CryptoSpec spec;
    const char *key;
    uint64_t sector;
    int fill; /* bytes of the sector; -1: 0, 1, 2 …; -2: the words of `plain`, zeroes behind */
    const char *plain, *first, *last;
} SectorRow;

#define XTS(c) { CIPHER_AES_##c, MODE_XTS, IVGEN_PLAIN64, HASH_SHA256 }
#define ECB(c) { CIPHER_##c, MODE_ECB, IVGEN_PLAIN64, HASH_SHA256 }
#define CBC(iv) { CIPHER_AES_128, MODE_CBC, IVGEN_##iv, HASH_SHA256 }
static const SectorRow sector_rows[] = {
    { "IEEE 1619-2007, B.1 vector 1", XTS(128), "0000000000000000000000000000000000000000000000000000000000000000", 0,
      0, NULL, "917cf69ebd68b2ec9b9fe9a3eadda692cd43d2f59598ed858c02c2652fbf922e", NULL },
    { "vector 2", XTS(128), "1111111111111111111111111111111122222222222222222222222222222222", 0x3333333333, 0x44,
      NULL, "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0", NULL },
    { "vector 3", XTS(128), "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f022222222222222222222222222222222", 0x3333333333, 0x44,
      NULL, "af85336b597afc1a900b2eb21ec949d292df4c047e0b21532186a5971a227a89", NULL },
    { "vector 4", XTS(128), "2718281828459045235360287471352631415926535897932384626433832795", 0, -1, NULL,
      "27a7479befa1d476489f308cd4cfa6e2a96e4bbe3208ff25287dd3819616e89c", NULL },
    { "vector 10", XTS(256),
      "2718281828459045235360287471352662497757247093699959574966967627314159265358979323846264338327950288419716939937"
      "5105820974944592",
      0xff, -1, NULL, "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b", NULL },
    /* IVs by the rules of LUKS1 1.2.3, section 5.1, the data by openssl enc */
    { "plain64", CBC(PLAIN64), "000102030405060708090a0b0c0d0e0f", 0, -1, NULL, "0a940bb5416ef045f1c39458c653ea5a",
      "0401526bc5dcc3a36f6be4d41e531922" },
    { "plain64, far", CBC(PLAIN64), "000102030405060708090a0b0c0d0e0f", 0x123456789a, -1, NULL,
      "d6891b3b8f1bdb9b523d68fe490fb9c6", "d07568ef198044c611072d145b4c221a" },
    { "plain, 32 bits", CBC(PLAIN), "000102030405060708090a0b0c0d0e0f", 0x123456789a, -1, NULL,
      "9be631a3d96bc2919b2932eb6a5514f8", "1deb7c6bbd6de0496d3eef059bde623b" },
    { "essiv", CBC(ESSIV), "000102030405060708090a0b0c0d0e0f", 0, -1, NULL, "5210b96528206c1bdf0d02d4d575b40a",
      "036657761c21cb852a57c356d4b96780" },
    { "essiv, far", CBC(ESSIV), "000102030405060708090a0b0c0d0e0f", 0x123456789a, -1, NULL,
      "4de3d086e5539829ba7386b9b1750ad9", "2d0a0a83dd2212f73ced7e2de96f7250" },
    { "FIPS 197, C.1", ECB(AES_128), "000102030405060708090a0b0c0d0e0f", 0, -2, "00112233445566778899aabbccddeeff",
      "69c4e0d86a7b0430d8cdb78070b4c55a", NULL },
    { "FIPS 197, C.2", ECB(AES_192), "000102030405060708090a0b0c0d0e0f1011121314151617", 0, -2,
      "00112233445566778899aabbccddeeff", "dda97ca4864cdfe06eaf70a0ec0d7191", NULL },
    { "FIPS 197, C.3", ECB(AES_256), "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 0, -2,
      "00112233445566778899aabbccddeeff", "8ea2b7ca516745bfeafc49904b496089", NULL },
    { "RFC 2144, B.1", ECB(CAST5_128), "0123456712345678234567893456789a", 0, -2, "0123456789abcdef",
      "238b4fe5847e44b2", NULL },
    { "Serpent, NESSIE set 1 vector 0", ECB(SERPENT_256),
      "8000000000000000000000000000000000000000000000000000000000000000", 0, 0, NULL,
      "a223aa1288463c0e2be38ebd825616c0", NULL },
    { "Twofish paper, B.2", ECB(TWOFISH_128), "00000000000000000000000000000000", 0, 0, NULL,
      "9f589f5cf6122c32b6bfec2f2ae8c35a", NULL },
    { "Twofish paper, B.2", ECB(TWOFISH_256), "0000000000000000000000000000000000000000000000000000000000000000", 0, 0,
      NULL, "57ff739d4dc92c1bd7fc01700cc8216f", NULL },
};

static void test_sectors(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(sector_rows); i++) {
        const SectorRow *r = &sector_rows[i];
        uint8_t buf[2 * CRYPTO_SECTOR], plain[2 * CRYPTO_SECTOR];
        Error *err = NULL;
        g_autoptr(GByteArray) key = bytes(r->key), words = bytes(r->plain ? r->plain : "");
        for (unsigned k = 0; k < sizeof plain; k++)
            plain[k] = (uint8_t)(r->fill == -1 ? k : r->fill == -2 ? 0 : (unsigned)r->fill);
        memcpy(plain, words->data ? words->data : plain, words->len);
        memcpy(buf, plain, sizeof buf);
        g_test_message("%s", r->source);
        CryptoSectors *s = crypto_sectors_new(&r->spec, key->data, key->len, &err);
        g_assert_no_error(err);
        g_assert_cmpint(crypto_sectors_run(s, r->sector, buf, sizeof buf, true), ==, 0);
        assert_hex(buf, r->first);
        if (r->last)
            assert_hex(buf + CRYPTO_SECTOR - 16, r->last);
        if (r->spec.mode != MODE_ECB) /* the next sector has an IV of its own */
            g_assert_cmpint(memcmp(buf, buf + CRYPTO_SECTOR, 16), !=, 0);
        g_assert_cmpint(crypto_sectors_run(s, r->sector, buf, sizeof buf, false), ==, 0);
        g_assert_cmpmem(buf, sizeof buf, plain, sizeof plain);
        crypto_sectors_free(s);
    }
}

/* --- messages: SP 800-38A, F.2.1 and F.2.5 --- */

static void test_cbc(void)
{
    static const struct { CryptoCipher cipher; const char *key, *text;
    } rows[] = {
        { CIPHER_AES_128, "2b7e151628aed2a6abf7158809cf4f3c",
          "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
          "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7" },
        { CIPHER_AES_256, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
          "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369a9d9bacfa530e26304231461b2eb05e2c39b"
          "e9fcda6c19078c6a9d1b" },
    };
    static const char plain[] = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
                                "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GByteArray) key = bytes(rows[i].key), iv = bytes("000102030405060708090a0b0c0d0e0f"),
                              buf = bytes(plain);
        Error *err = NULL;
        g_assert_true(crypto_cbc(rows[i].cipher, key->data, iv->data, buf->data, buf->len, true, &err));
        assert_hex(buf->data, rows[i].text);
        g_assert_true(crypto_cbc(rows[i].cipher, key->data, iv->data, buf->data, buf->len, false, &err));
        assert_hex(buf->data, plain);
    }
}

/* --- hashes ("abc": FIPS 180-2, RFC 1321, RIPEMD-160's paper), key derivation --- */

static void test_hashes(void)
{
    static const char *const abc[CRYPTO_HASHES] = {
        [HASH_MD5] = "900150983cd24fb0d6963f7d28e17f72",
        [HASH_SHA1] = "a9993e364706816aba3e25717850c26c9cd0d89d",
        [HASH_SHA224] = "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
        [HASH_SHA256] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        [HASH_SHA384] =
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        [HASH_SHA512] = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feeb"
                        "bd454d4423643ce80e2a9ac94fa54ca49f",
        [HASH_RIPEMD160] = "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc",
    };
    for (unsigned i = 0; i < CRYPTO_HASHES; i++) {
        uint8_t digest[CRYPTO_DIGEST_MAX];
        crypto_hash((CryptoHash)i, "abc", 3, digest);
        g_assert_cmpuint(crypto_digest_size((CryptoHash)i) * 2, ==, strlen(abc[i]));
        assert_hex(digest, abc[i]);
    }
}

static void test_pbkdf2(void)
{
    static const struct { CryptoHash hash; const char *pass, *salt; unsigned iterations; const char *key;
    } rows[] = {
        /* RFC 6070 */
        { HASH_SHA1, "password", "salt", 1, "0c60c80f961f0e71f3a9b524af6012062fe037a6" },
        { HASH_SHA1, "password", "salt", 4096, "4b007901b765489abead49d926f721d065a429c1" },
        { HASH_SHA1, "passwordPASSWORDpassword", "saltSALTsaltSALTsaltSALTsaltSALTsalt", 4096,
          "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038" },
        /* RFC 7914, section 11 */
        { HASH_SHA256, "passwd", "salt", 1,
          "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
          "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783" },
        /* by Python's hashlib */
        { HASH_SHA512, "password", "salt", 1000,
          "afe6c5530785b6cc6b1c6453384731bd5ee432ee549fd42fb6695779ad8a1c5b"
          "f59de69c48f774efc4007d5298f9033c0241d5ab69305e7b64eceeb8d834cfec" },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        uint8_t key[64];
        Error *err = NULL;
        g_assert_true(crypto_pbkdf2(rows[i].hash, rows[i].pass, strlen(rows[i].pass), rows[i].salt,
                                    strlen(rows[i].salt), rows[i].iterations, key, strlen(rows[i].key) / 2, &err));
        assert_hex(key, rows[i].key);
    }
}

/* --- the splitter: merged by Python's hashlib, by the rules of LUKS1 1.2.3, section 2.4 --- */

static void test_splitter(void)
{
    static const struct { CryptoHash hash; unsigned len, stripes; const char *key; } rows[] = {
        { HASH_SHA1, 32, 4, "a41f7d6f228a52b4c9249bf4173dbf46619164ba64c5a9daf94984e1ab010a02" },
        { HASH_SHA256, 64, 3, "39b73703cd5301a140379b46031727e20967f49dac6a4cb50349dc59e1278a26"
                              "9a43c677b11fb79c2e3a15c7b157c3c310525b0fc03e34c8850b3b90fd54f07b" },
        { HASH_SHA256, 16, 2, "eb511f8031168bf3f6e3c0bd980c5cef" },
        { HASH_SHA512, 64, 5, "a6ac5c624f1278d575f3869dadc513f6be30282593c3f1f7f3c606f35279c725"
                              "e066e82d9b1bc8e8a03300c1b03c1ee7f80c7dca548bb36d6d6eaef8ba4d2f73" },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        uint8_t material[320], key[64], again[64];
        for (unsigned k = 0; k < sizeof material; k++)
            material[k] = (uint8_t)(k * 7 + 3);
        crypto_af_merge(rows[i].hash, material, rows[i].len, rows[i].stripes, key);
        assert_hex(key, rows[i].key);
        crypto_af_split(rows[i].hash, key, rows[i].len, rows[i].stripes, material);
        crypto_af_merge(rows[i].hash, material, rows[i].len, rows[i].stripes, again);
        g_assert_cmpmem(again, rows[i].len, key, rows[i].len);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/crypto/sectors", test_sectors);
    g_test_add_func("/crypto/cbc", test_cbc);
    g_test_add_func("/crypto/hashes", test_hashes);
    g_test_add_func("/crypto/pbkdf2", test_pbkdf2);
    g_test_add_func("/crypto/splitter", test_splitter);
    return g_test_run();
}

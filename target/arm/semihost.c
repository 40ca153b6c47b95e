/* SPDX-License-Identifier: MIT */
/*
 * Semihosting, "Semihosting for AArch32 and AArch64" version 3.0. The calls act with the rights of this process: paths
 * are opened as the guest names them, SYS_SYSTEM runs commands. That is what the option asks for; without it no call is
 * looked at.
 */
#include "target/arm/semihost.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "accel/tcg/softmmu.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rcu.h"
#include "hw/core/machine.h"
#include "target/arm/m/m.h"

SemihostConfig semihost_config;

enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE,
    SYS_WRITEC,
    SYS_WRITE0,
    SYS_WRITE,
    SYS_READ,
    SYS_READC,
    SYS_ISERROR,
    SYS_ISTTY,
    SYS_SEEK,
    SYS_FLEN = 0x0c,
    SYS_TMPNAM,
    SYS_REMOVE,
    SYS_RENAME,
    SYS_CLOCK,
    SYS_TIME,
    SYS_SYSTEM,
    SYS_ERRNO,
    SYS_GET_CMDLINE = 0x15,
    SYS_HEAPINFO,
    SYS_EXIT = 0x18,
    SYS_EXIT_EXTENDED = 0x20,
    SYS_ELAPSED = 0x30,
    SYS_TICKFREQ
};
#define APPLICATION_EXIT 0x20026u
enum { MAX_HANDLES = 256, MAX_PATH_LEN = 4096, CHUNK = 65536 };

/* --- handles; all vCPUs share them --- */

typedef enum FileKind {
    FILE_NONE,
    FILE_HOST,
    FILE_CONSOLE_IN,
    FILE_CONSOLE_OUT,
    FILE_CONSOLE_ERR,
    FILE_FEATURES
} FileKind;
typedef struct File { FileKind kind; int fd; uint64_t pos; } File;
static File files[MAX_HANDLES];
static int last_errno;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const uint8_t features[5] = { 'S', 'H', 'F', 'B', 3 }; /* SYS_EXIT_EXTENDED; stdout and stderr apart */

typedef struct Call {
    ArmCpu *c;
    uint64_t arg;       /* R1 */
    unsigned word;      /* bytes of a word of the parameter block */
    bool bad;           /* a pointer led nowhere */
    bool retry;         /* nothing to read yet, and the CPU is wanted: the insn is done again */
} Call;

/* --- guest memory --- */

static bool copy(Call *k, uint64_t va, uint8_t *buf, uint64_t len, bool write)
{
    Vcpu *v = &k->c->v;
    unsigned bank = arm_mode_bank(v->mode);
    while (len && !k->bad) {
        WalkResult w;
        uint64_t page = va & ~UINT64_C(0xfff), n = MIN(len, page + 0x1000 - va);
        if (!v->arch->walk(v, va, write ? ACCESS_WRITE : ACCESS_READ, bank, true, &w)) {
            k->bad = true;
            break;
        }
        hwaddr pa = w.phys + (va - page);
        MemAttrs attrs = v->arch->attrs(v);
        MemResult r = write ? as_write(v->as, pa, buf, n, attrs) : as_read(v->as, pa, buf, n, attrs);
        k->bad = r != MEM_OK;
        va += n;
        buf += n;
        len -= n;
    }
    return !k->bad;
}

static uint64_t word_at(Call *k, uint64_t va)
{
    uint8_t b[8] = { 0 };
    return copy(k, va, b, k->word, false) ? load_le(b, k->word) : 0;
}

static uint64_t param(Call *k, unsigned n) { return word_at(k, k->arg + (uint64_t)n * k->word); }

static bool put(Call *k, uint64_t va, uint64_t value, unsigned size)
{
    uint8_t b[8];
    store_le(b, size, value);
    return copy(k, va, b, size, true);
}

/* A name of `len` bytes; NULL: too long, or a bad pointer. */
static char *name_at(Call *k, uint64_t va, uint64_t len)
{
    if (len >= MAX_PATH_LEN) {
        last_errno = ENAMETOOLONG;
        return NULL;
    }
    char *name = g_malloc0(len + 1);
    if (copy(k, va, (uint8_t *)name, len, false))
        return name;
    g_free(name);
    return NULL;
}

static uint64_t fail(int error)
{
    last_errno = error;
    return ~UINT64_C(0);
}

static uint64_t result(int64_t r) { return r < 0 ? fail(errno) : (uint64_t)r; }

/* --- the console --- */

static void console_write(FileKind kind, const void *data, size_t len)
{
    const char *p = data;
    if (semihost_config.chardev) {
        semihost_config.console_write(semihost_config.chardev, data, len);
        return;
    }
    while (len) {
        ssize_t n = write(kind == FILE_CONSOLE_ERR ? STDERR_FILENO : STDOUT_FILENO, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        p += n;
        len -= (size_t)n;
    }
}

/* Bytes read; 0 at the end of file. The CPU stays answerable while it waits. */
static ssize_t console_read(Call *k, void *buf, size_t len)
{
    struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
    while (semihost_config.chardev) {
        ssize_t n = semihost_config.console_read(semihost_config.chardev, buf, len);
        k->retry = !n && atomic_load(&k->c->v.exit_request);
        if (n || k->retry)
            return n;
        g_usleep(1000);
    }
    while (poll(&p, 1, 50) == 0) {
        if (atomic_load(&k->c->v.exit_request)) {
            k->retry = true;
            return 0;
        }
    }
    return read(STDIN_FILENO, buf, len);
}

/* --- files --- */

static const int open_flags[12] = {
    O_RDONLY,
    O_RDONLY,
    O_RDWR,
    O_RDWR,
    O_WRONLY | O_CREAT | O_TRUNC,
    O_WRONLY | O_CREAT | O_TRUNC,
    O_RDWR | O_CREAT | O_TRUNC,
    O_RDWR | O_CREAT | O_TRUNC,
    O_WRONLY | O_CREAT | O_APPEND,
    O_WRONLY | O_CREAT | O_APPEND,
    O_RDWR | O_CREAT | O_APPEND,
    O_RDWR | O_CREAT | O_APPEND,
};

static uint64_t sys_open(Call *k)
{
    uint64_t mode = param(k, 1);
    g_autofree char *name = name_at(k, param(k, 0), param(k, 2));
    unsigned h = 1;
    if (!name || mode >= ARRAY_LEN(open_flags))
        return fail(name ? EINVAL : last_errno ? last_errno : EFAULT);
    while (h < MAX_HANDLES && files[h].kind)
        h++;
    if (h == MAX_HANDLES)
        return fail(EMFILE);
    File f = { .kind = FILE_HOST, .fd = -1 };
    if (!strcmp(name, ":tt"))
        f.kind = mode < 4 ? FILE_CONSOLE_IN : mode < 8 ? FILE_CONSOLE_OUT : FILE_CONSOLE_ERR;
    else if (!strcmp(name, ":semihosting-features"))
        f.kind = mode < 2 ? FILE_FEATURES : FILE_NONE;
    else
        f.fd = open(name, open_flags[mode] | O_CLOEXEC | O_NOCTTY, 0644);
    if (f.kind == FILE_NONE || (f.kind == FILE_HOST && f.fd < 0))
        return fail(f.kind ? errno : EACCES);
    files[h] = f;
    return h;
}

static File *file_of(Call *k, unsigned n)
{
    uint64_t h = param(k, n);
    if (h && h < MAX_HANDLES && files[h].kind)
        return &files[h];
    last_errno = EBADF;
    return NULL;
}

static uint64_t sys_close(Call *k)
{
    File *f = file_of(k, 0);
    if (!f)
        return ~UINT64_C(0);
    int r = f->kind == FILE_HOST ? close(f->fd) : 0;
    *f = (File){ 0 };
    return result(r);
}

/* The number of bytes not written. */
static uint64_t sys_write(Call *k)
{
    File *f = file_of(k, 0);
    uint64_t va = param(k, 1), left = param(k, 2);
    g_autofree uint8_t *buf = g_malloc(CHUNK);
    while (f && left && !k->bad) {
        size_t n = (size_t)MIN(left, CHUNK);
        ssize_t done = (ssize_t)n;
        if (!copy(k, va, buf, n, false))
            break;
        if (f->kind == FILE_HOST)
            done = write(f->fd, buf, n);
        else if (f->kind == FILE_CONSOLE_OUT || f->kind == FILE_CONSOLE_ERR)
            console_write(f->kind, buf, n);
        else
            done = -1, errno = EBADF;
        if (done < 0)
            last_errno = errno;
        if (done <= 0)
            break;
        va += (uint64_t)done;
        left -= (uint64_t)done;
    }
    return left;
}

static ssize_t read_some(Call *k, File *f, uint8_t *buf, size_t n)
{
    if (f->kind == FILE_HOST)
        return read(f->fd, buf, n);
    if (f->kind == FILE_CONSOLE_IN)
        return console_read(k, buf, n);
    if (f->kind != FILE_FEATURES) {
        errno = EBADF;
        return -1;
    }
    size_t had = (size_t)MIN(f->pos, sizeof features), m = MIN(n, sizeof features - had);
    memcpy(buf, features + had, m);
    f->pos += m;
    return (ssize_t)m;
}

/* The number of bytes not read. */
static uint64_t sys_read(Call *k)
{
    File *f = file_of(k, 0);
    uint64_t va = param(k, 1), want = param(k, 2), left = want;
    g_autofree uint8_t *buf = g_malloc(CHUNK);
    if (!f)
        return ~UINT64_C(0);
    while (left && !k->bad) {
        ssize_t n = read_some(k, f, buf, (size_t)MIN(left, CHUNK));
        if (n < 0)
            return left == want ? fail(errno) : left;
        if (!n || !copy(k, va, buf, (uint64_t)n, true))
            break;
        va += (uint64_t)n;
        left -= (uint64_t)n;
        if (f->kind == FILE_CONSOLE_IN)
            break; /* what was typed */
    }
    return left;
}

static uint64_t sys_seek(Call *k)
{
    File *f = file_of(k, 0);
    uint64_t to = param(k, 1);
    if (!f)
        return ~UINT64_C(0);
    if (f->kind == FILE_HOST)
        return lseek(f->fd, (off_t)to, SEEK_SET) < 0 ? fail(errno) : 0;
    if (f->kind != FILE_FEATURES || to > sizeof features)
        return fail(ESPIPE);
    f->pos = to;
    return 0;
}

static uint64_t sys_flen(Call *k)
{
    File *f = file_of(k, 0);
    struct stat st;
    if (!f)
        return ~UINT64_C(0);
    if (f->kind == FILE_FEATURES)
        return sizeof features;
    if (f->kind != FILE_HOST)
        return fail(EINVAL);
    return fstat(f->fd, &st) < 0 ? fail(errno) : (uint64_t)st.st_size;
}

static uint64_t sys_istty(Call *k)
{
    File *f = file_of(k, 0);
    if (!f)
        return ~UINT64_C(0);
    if (f->kind == FILE_HOST)
        return isatty(f->fd) == 1;
    return f->kind != FILE_FEATURES;
}

static uint64_t sys_tmpnam(Call *k)
{
    uint64_t id = param(k, 1), size = param(k, 2);
    g_autofree char *name = g_strdup_printf("%s/rhea-%u-%02x", g_get_tmp_dir(), (unsigned)getpid(),
                                            (unsigned)id & 0xff);
    if (size < strlen(name) + 1)
        return fail(EINVAL);
    return copy(k, param(k, 0), (uint8_t *)name, strlen(name) + 1, true) ? 0 : fail(EFAULT);
}

static uint64_t sys_remove(Call *k)
{
    g_autofree char *name = name_at(k, param(k, 0), param(k, 1));
    return name ? result(remove(name)) : fail(EFAULT);
}

static uint64_t sys_rename(Call *k)
{
    g_autofree char *from = name_at(k, param(k, 0), param(k, 1)), *to = name_at(k, param(k, 2), param(k, 3));
    return from && to ? result(rename(from, to)) : fail(EFAULT);
}

static uint64_t sys_system(Call *k)
{
    g_autofree char *command = name_at(k, param(k, 0), param(k, 1));
    return command ? result(system(command)) : fail(EFAULT);
}

/* --- text --- */

static uint64_t sys_writec(Call *k)
{
    uint8_t c;
    if (copy(k, k->arg, &c, 1, false))
        console_write(FILE_CONSOLE_OUT, &c, 1);
    return 0;
}

static uint64_t sys_write0(Call *k)
{
    g_autoptr(GByteArray) text = g_byte_array_new();
    uint8_t c = 1;
    for (uint64_t at = k->arg; text->len < CHUNK * 16 && copy(k, at, &c, 1, false) && c; at++)
        g_byte_array_append(text, &c, 1);
    console_write(FILE_CONSOLE_OUT, text->data, text->len);
    return 0;
}

static uint64_t sys_readc(Call *k)
{
    uint8_t c = 0;
    return console_read(k, &c, 1) == 1 ? c : ~UINT64_C(0);
}

static char *command_line(const Machine *m)
{
    GString *text = g_string_new(NULL);
    const GPtrArray *args = semihost_config.args;
    for (guint i = 0; args && i < args->len; i++)
        g_string_append_printf(text, "%s%s", i ? " " : "", (const char *)args->pdata[i]);
    if (!args || !args->len) {
        g_string_append(text, m->config.kernel ? m->config.kernel : "");
        if (m->config.append)
            g_string_append_printf(text, " %s", m->config.append);
    }
    return g_string_free(text, false);
}

static uint64_t sys_get_cmdline(Call *k)
{
    uint64_t buf = param(k, 0), size = param(k, 1);
    g_autofree char *text = command_line(k->c->v.machine);
    if (strlen(text) + 1 > size)
        return fail(E2BIG);
    if (!copy(k, buf, (uint8_t *)text, strlen(text) + 1, true) || !put(k, k->arg + k->word, strlen(text), k->word))
        return fail(EFAULT);
    return 0;
}

/* The RAM around `at`. */
static bool ram_around(const Vcpu *v, uint64_t at, uint64_t *low, uint64_t *high)
{
    MemSection s, from;
    at &= ~UINT64_C(0xfff);
    rcu_read_lock();
    as_translate(v->as, at, &s);
    *low = at - (s.host ? s.offset : 0);
    as_translate(v->as, *low, &from);
    bool ok = s.host && !s.readonly && from.region == s.region;
    rcu_read_unlock();
    *high = *low + from.len;
    return ok;
}

/*
 * Heap and stack: the upper half of the RAM that the stack lies in, the stack at its end; without a stack yet, of the
 * program's RAM.
 */
static uint64_t sys_heapinfo(Call *k)
{
    Vcpu *v = &k->c->v;
    uint64_t block = param(k, 0), sp = v->g[k->word == 8 ? ARM_SP : ARM_R13] - 4, low, high;
    if (k->word == 4)
        sp = (uint32_t)sp;
    if (!ram_around(v, sp, &low, &high) && !ram_around(v, block, &low, &high))
        low = sp & ~UINT64_C(0xffff), high = sp;
    const uint64_t info[4] = { low + (high - low) / 2, high - (high - low) / 8, high, high - (high - low) / 8 };
    for (unsigned i = 0; i < 4; i++) {
        if (!put(k, block + (uint64_t)i * k->word, info[i] & ~UINT64_C(7), k->word))
            return fail(EFAULT);
    }
    return 0;
}

/* --- time and the end --- */

static uint64_t sys_elapsed(Call *k)
{
    uint64_t ns = (uint64_t)clock_ns(CLOCK_VIRTUAL_NS);
    return put(k, k->arg, ns, 8) ? 0 : fail(EFAULT);
}

static uint64_t sys_exit(Call *k, bool extended)
{
    uint64_t reason = k->arg, code = 0;
    if (k->word == 8 || extended) {
        reason = param(k, 0);
        code = param(k, 1);
    }
    int status = reason == APPLICATION_EXIT ? (int)(code & 0xff) : 1;
    if (reason != APPLICATION_EXIT)
        info_reportf("semihosting: the guest ends with reason 0x%x", (unsigned)reason);
    machine_request_exit(status);
    return 0;
}

static uint64_t call(Call *k, unsigned op)
{
    switch (op) {
    case SYS_OPEN: return sys_open(k);
    case SYS_CLOSE: return sys_close(k);
    case SYS_WRITEC: return sys_writec(k);
    case SYS_WRITE0: return sys_write0(k);
    case SYS_WRITE: return sys_write(k);
    case SYS_READ: return sys_read(k);
    case SYS_READC: return sys_readc(k);
    case SYS_ISERROR: return (int64_t)(k->word == 8 ? (int64_t)param(k, 0) : (int32_t)param(k, 0)) < 0;
    case SYS_ISTTY: return sys_istty(k);
    case SYS_SEEK: return sys_seek(k);
    case SYS_FLEN: return sys_flen(k);
    case SYS_TMPNAM: return sys_tmpnam(k);
    case SYS_REMOVE: return sys_remove(k);
    case SYS_RENAME: return sys_rename(k);
    case SYS_CLOCK: return (uint64_t)clock_ns(CLOCK_VIRTUAL_NS) / 10000000;
    case SYS_TIME: return (uint64_t)(clock_ns(CLOCK_HOST_NS) / 1000000000);
    case SYS_SYSTEM: return sys_system(k);
    case SYS_ERRNO: return (uint64_t)last_errno;
    case SYS_GET_CMDLINE: return sys_get_cmdline(k);
    case SYS_HEAPINFO: return sys_heapinfo(k);
    case SYS_EXIT: return sys_exit(k, false);
    case SYS_EXIT_EXTENDED: return sys_exit(k, true);
    case SYS_ELAPSED: return sys_elapsed(k);
    case SYS_TICKFREQ: return 1000000000;
    default:
        log_guest_error("semihosting", "operation 0x%x is not known", op);
        return fail(ENOSYS);
    }
}

bool arm_semihost(ArmCpu *c, SemihostInsn insn, uint32_t imm, unsigned length, bool privileged)
{
    static const uint32_t numbers[] = {
        [SEMIHOST_SVC_A32] = 0x123456, [SEMIHOST_SVC_T32] = 0xab,   [SEMIHOST_BKPT_T32] = 0xab,
        [SEMIHOST_HLT_A64] = 0xf000,   [SEMIHOST_HLT_A32] = 0xf000, [SEMIHOST_HLT_T32] = 0x3c
    };
    if (c->m)
        privileged = arm_m_privileged(c->m);
    if (!semihost_config.enabled || imm != numbers[insn] || !(privileged || semihost_config.userspace))
        return false;
    bool a64 = insn == SEMIHOST_HLT_A64;
    Call k = { .c = c, .arg = a64 ? c->v.g[1] : (uint32_t)c->v.g[1], .word = a64 ? 8 : 4 };
    pthread_mutex_lock(&lock);
    uint64_t r = call(&k, (uint32_t)c->v.g[0]);
    if (k.bad)
        r = fail(EFAULT);
    pthread_mutex_unlock(&lock);
    if (k.retry)
        return true; /* v->pc still names the insn */
    c->v.g[0] = a64 ? r : (uint32_t)r;
    c->v.pc += length;
    return true;
}

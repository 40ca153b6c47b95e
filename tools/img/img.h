/* SPDX-License-Identifier: MIT */
/* Private to rhea-img: commands, what they have in common. */
#ifndef TOOLS_IMG_IMG_H
#define TOOLS_IMG_IMG_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/bits.h"
#include "block/block.h"

typedef int ImgCommand(int argc, char **argv); /* exit status; argv[0] is the command's name */
typedef struct ImgCommandInfo { const char *name; ImgCommand *run; const char *usage, *what; } ImgCommandInfo;
extern const ImgCommandInfo img_commands[];

#define IMG_COMMANDS(X) \
    X(amend) X(bench) X(bitmap) X(check) X(commit) X(compare) X(convert) X(create) X(dd) X(info) X(map) X(measure) \
    X(rebase) X(resize) X(snapshot) \
    X(torture) X(tree)
#define X(name) ImgCommand img_##name;
IMG_COMMANDS(X)
#undef X

/* Options that most commands have. */
typedef struct ImgOpen {
    gchar *format;        /* -f */
    gchar *cache;         /* -t / -T */
    const char *aio;      /* threads, native, io_uring; NULL: not asked for */
    gboolean image_opts;  /* --image-opts: the name is a list of options */
    gboolean share;       /* -U */
} ImgOpen;

/* One line on stderr; returns status 1. Takes err. */
int img_fail(Error *err);
int img_failf(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
/*
 * The command's options; false: status in *status (help or an error was printed). Names that are left stand in
 * argv[1..argc-1].
 */
bool img_parse(int *argc, char ***argv, const GOptionEntry *entries, int min_names, int max_names, int *status);
BlockNode *img_open(const char *name, const ImgOpen *how, unsigned flags, Error **errp);
/* "-o a=b,c=d", given several times. */
Opts *img_options(gchar **lists, Error **errp);
/* What -l names: "NAME", "snapshot.id=ID" or "snapshot.name=NAME". */
bool img_load_snapshot(BlockNode *n, const char *text, Error **errp);
/* Is --output json? false with *errp on other words than human and json. */
/* A number of bytes with a suffix; text NULL: *out stays. */
bool img_bytes(const char *text, const char *option, uint64_t *out, Error **errp);
bool img_output(const gchar *output, bool *json, Error **errp);
void img_print_json(const char *text, const char *more); /* both together: indented */
void img_json_string(GString *out, const char *text);

/* Progress on stderr: nothing without -p. SIGUSR1 is not needed: it is shown when asked for. */
typedef struct ImgProgress { bool on; uint64_t total, done; int last; } ImgProgress;
void img_progress_start(ImgProgress *p, bool on, uint64_t total);
void img_progress_add(ImgProgress *p, uint64_t bytes);
void img_progress_end(ImgProgress *p);

/* copy.c: contents of src from `offset` to dst, holes and zeroes kept as such; several requests at a time. */
typedef struct ImgCopy {
    BlockNode *src, *dst;
    const BlockNode *base;    /* only what is above it; NULL: everything */
    uint64_t length, to;      /* bytes of src from its start; where they go in dst */
    bool target_is_zero, compressed, only_allocated, salvage;
    uint64_t rate;            /* bytes a second; 0: as fast as it goes */
    unsigned sparse;          /* runs of zeroes of at least so many bytes are left out */
    unsigned jobs;
    ImgProgress *progress;
} ImgCopy;
bool img_copy(const ImgCopy *c, Error **errp);

/*
 * chain.c: what n holds above `layer` of its chain goes there; `empty`: n has nothing of its own afterwards. rate:
 * bytes a second, 0: no limit.
 */
bool img_commit_into(BlockNode *n, BlockNode *layer, bool empty, uint64_t rate, ImgProgress *p, Error **errp);
/* n stands on `base` (NULL: on nothing), which its header calls `name`, and holds the same. */
bool img_put_on(BlockNode *n, BlockNode *base, const char *name, const char *format, ImgProgress *p, Error **errp);
#endif

/* SPDX-License-Identifier: MIT */
/* rhea-img bitmap: persistent dirty bitmaps of an image. */
#include "tools/img/img.h"

enum { ADD, REMOVE, CLEAR, ENABLE, DISABLE, MERGE, ACTIONS };
typedef struct Action { unsigned what; char *source; } Action;
typedef struct Bitmap {
    ImgOpen how;
    gchar *source_file, *source_format, *granularity;
} Bitmap;
static const char *const words[] = { "--add", "--remove", "--clear", "--enable", "--disable", "--merge", NULL };
static GArray *actions; /* of Action, as the command line has them */

static gboolean take_action(const gchar *name, const gchar *value, gpointer data, GError **error)
{
    Action a = { 0, g_strdup(value) };
    while (strcmp(words[a.what], name))
        a.what++;
    g_array_append_val(actions, a);
    return TRUE;
}

static bool merge(BlockNode *n, const Bitmap *c, BlockBitmap *to, const char *name, Error **errp)
{
    BlockNode *other = NULL;
    if (c->source_file) {
        ImgOpen how = { .format = c->source_format };
        other = img_open(c->source_file, &how, BLOCK_NO_BACKING, errp);
        if (!other)
            return false;
    }
    BlockBitmap *from = block_bitmap_find(other ? other : n, name, errp);
    bool ok = from && block_bitmap_merge(to, from, errp);
    if (other)
        block_unref(other);
    return ok;
}

static bool perform(BlockNode *n, const Bitmap *c, const Action *a, const char *name, uint64_t granularity,
                    Error **errp)
{
    if (a->what == ADD)
        return block_bitmap_add(n, name, granularity, BITMAP_PERSISTENT, errp);
    if (a->what == REMOVE)
        return block_bitmap_remove(n, name, errp);
    BlockBitmap *b = block_bitmap_find(n, name, errp);
    if (!b)
        return false;
    return a->what == CLEAR   ? block_bitmap_clear(b, errp)
           : a->what == MERGE ? merge(n, c, b, a->source, errp)
                              : block_bitmap_enable(b, a->what == ENABLE, errp);
}

static bool bitmap(const Bitmap *c, const char *file, const char *name, Error **errp)
{
    uint64_t granularity = 0;
    bool adds = false, merges = false;
    for (unsigned i = 0; i < actions->len; i++) {
        adds |= g_array_index(actions, Action, i).what == ADD;
        merges |= g_array_index(actions, Action, i).what == MERGE;
    }
    const char *wrong = !actions->len
                            ? "what is to be done? give --add, --remove, --clear, --enable, --disable or --merge SOURCE"
                        : c->granularity && !adds             ? "-g is for --add"
                        : c->source_file && !merges           ? "-b is for --merge"
                        : c->source_format && !c->source_file ? "-F needs -b FILE"
                        : c->granularity && (!parse_size(c->granularity, 1, &granularity) || !granularity)
                            ? "-g takes a size, as in 64k"
                            : NULL;
    if (wrong) {
        error_setf(errp, "bitmap: %s", wrong);
        return false;
    }
    BlockNode *n = img_open(file, &c->how, BLOCK_RDWR, errp);
    bool ok = n;
    for (unsigned i = 0; ok && i < actions->len; i++)
        ok = perform(n, c, &g_array_index(actions, Action, i), name, granularity, errp);
    if (n)
        block_unref(n);
    return ok;
}

int img_bitmap(int argc, char **argv)
{
    Bitmap c = { 0 };
    const GOptionEntry entries[] = {
        { "add", 0, G_OPTION_FLAG_NO_ARG, G_OPTION_ARG_CALLBACK, take_action, "make it", NULL },
        { "remove", 0, G_OPTION_FLAG_NO_ARG, G_OPTION_ARG_CALLBACK, take_action, "remove it", NULL },
        { "clear", 0, G_OPTION_FLAG_NO_ARG, G_OPTION_ARG_CALLBACK, take_action, "nothing is dirty", NULL },
        { "enable", 0, G_OPTION_FLAG_NO_ARG, G_OPTION_ARG_CALLBACK, take_action, "it follows writes", NULL },
        { "disable", 0, G_OPTION_FLAG_NO_ARG, G_OPTION_ARG_CALLBACK, take_action, "it stays as it is", NULL },
        { "merge", 0, 0, G_OPTION_ARG_CALLBACK, take_action, "what SOURCE has dirty is dirty here, too", "SOURCE" },
        { "source-file", 'b', 0, G_OPTION_ARG_STRING, &c.source_file, "with --merge: the image that has SOURCE",
          "FILE" },
        { "source-format", 'F', 0, G_OPTION_ARG_STRING, &c.source_format, "its format", "FMT" },
        { "granularity", 'g', 0, G_OPTION_ARG_STRING, &c.granularity, "with --add: bytes that a bit stands for", "N" },
        { "format", 'f', 0, G_OPTION_ARG_STRING, &c.how.format, "format of the image", "FMT" },
        { "image-opts", 0, 0, G_OPTION_ARG_NONE, &c.how.image_opts, "FILE is a list of options", NULL },
        { NULL }
    };
    int status;
    Error *err = NULL;
    actions = g_array_new(false, true, sizeof(Action));
    if (!img_parse(&argc, &argv, entries, 2, 2, &status))
        return status;
    return bitmap(&c, argv[1], argv[2], &err) ? EXIT_SUCCESS : img_fail(err);
}

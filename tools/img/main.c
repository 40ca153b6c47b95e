/* SPDX-License-Identifier: MIT */
/* rhea-img: works on disk images. The names and options of its commands are those of qemu-img. */
#include "base/object.h"
#include "tools/img/img.h"

const ImgCommandInfo img_commands[] = {
    { "amend", img_amend, "[-f FMT] -o OPTIONS FILE", "change options of an image" },
    { "bench", img_bench, "[-c COUNT] [-d DEPTH] [-s SIZE] [-w] [-f FMT] FILE", "time requests" },
    { "bitmap", img_bitmap,
      "(--add | --remove | --clear | --enable | --disable | --merge SOURCE)... [-g N] FILE BITMAP",
      "persistent dirty bitmaps" },
    { "check", img_check, "[-r leaks|all] [-f FMT] [--output=json] FILE", "look for faults, and repair them" },
    { "commit", img_commit, "[-b BASE] [-d] [-p] FILE", "write an overlay's contents into its backing file" },
    { "compare", img_compare, "[-s] [-f FMT] [-F FMT] FILE1 FILE2", "do two images hold the same?" },
    { "convert", img_convert, "[-f FMT] [-O FMT] [-c] [-p] [-o OPTIONS] FILE... TARGET", "copy into another format" },
    { "create", img_create, "[-f FMT] [-b BACKING -F FMT] [-o OPTIONS] FILE [SIZE]", "make an image" },
    { "dd", img_dd, "[-f FMT] [-O FMT] if=FILE of=FILE [bs=N] [count=N] [skip=N]", "copy a part" },
    { "info", img_info, "[--backing-chain] [--output=json] FILE", "tell what an image is" },
    { "map", img_map, "[--output=json] FILE", "tell where the contents stand" },
    { "measure", img_measure, "[-O FMT] [-o OPTIONS] [--size N | FILE]", "tell how large an image would become" },
    { "rebase", img_rebase, "[-u] [-b BACKING -F FMT] [-p] FILE", "put an overlay on another backing file" },
    { "resize", img_resize, "[--shrink] [--preallocation=MODE] FILE [+|-]SIZE", "change the size of the disk" },
    { "snapshot", img_snapshot, "[-l | -c NAME | -a NAME | -d NAME] FILE", "internal snapshots" },
    { "torture", img_torture, "[--seed N] [--count N] [--chain] [--beside] [-f FMT] [-o OPTIONS] FILE",
      "cut the power at every point, and look what is left" },
    { "tree", img_tree, "FILE", "draw an image's backing chain and snapshots" },
    { NULL }
};

static void print_help(FILE *to)
{
    fprintf(to, "usage: rhea-img COMMAND [option]... FILE...\n\n");
    for (const ImgCommandInfo *c = img_commands; c->name; c++)
        fprintf(to, "  %-9s %s\n            rhea-img %s %s\n", c->name, c->what, c->name, c->usage);
    fprintf(to, "\nformats:");
    for (const char *const *f = block_formats(); *f; f++)
        fprintf(to, " %s", *f);
    fprintf(to, "\n\nrhea-img COMMAND --help tells a command's options; -o help those of a format.\n");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";
    error_set_program("rhea-img");
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        print_help(stdout);
        return argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
        printf("rhea-img %s\n", RHEA_VERSION);
        return EXIT_SUCCESS;
    }
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (const ImgCommandInfo *c = img_commands; c->name; c++) {
        if (!strcmp(c->name, name)) {
            int status = c->run(argc - 1, argv + 1);
            objects_free_all();
            return status;
        }
        g_ptr_array_add(names, (void *)c->name);
    }
    g_ptr_array_add(names, NULL);
    Error *err = NULL;
    error_set_unknown(&err, "command", name, (const char *const *)names->pdata);
    return img_fail(err);
}

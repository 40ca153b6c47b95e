/* SPDX-License-Identifier: MIT */
/*
 * A program over a C library: prints with %f, reads stdin, allocates, writes, reads and removes the file argv[1], exits
 * with 42.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef SMALL
enum { PIECE = 8 };
#else
enum { PIECE = 64 };
#endif

static int fail(const char *what)
{
    printf("FAIL: %s\n", what);
    return 1;
}

static int allocate(void)
{
    char *p[8];
    for (int i = 0; i < 8; i++) {
        p[i] = malloc(PIECE + (size_t)i);
        if (!p[i])
            return fail("malloc");
        memset(p[i], i, PIECE + (size_t)i);
    }
    for (int i = 0; i < 8; i++) {
        if (p[i][0] != i || p[i][PIECE - 1 + i] != i)
            return fail("memory of malloc");
        free(p[i]);
    }
    return 0;
}

static int write_and_read(const char *name)
{
    char line[32];
    FILE *f = fopen(name, "w");
    if (!f)
        return fail("fopen for writing");
#ifdef SMALL
    int n = fprintf(f, "%s %d 0.%d\n", "line", -7, 125);
#else
    int n = fprintf(f, "%s %d %.3f\n", "line", -7, 0.125);
#endif
    if (n != 14 || fclose(f))
        return fail("fprintf");
    f = fopen(name, "r");
    if (!f || fseek(f, 5, SEEK_SET) || !fgets(line, sizeof line, f) || strcmp(line, "-7 0.125\n"))
        return fail("fgets");
    fclose(f);
    if (fopen("/no such directory/file", "r"))
        return fail("a file that is not there");
    return remove(name) ? fail("remove") : 0;
}

int main(int argc, char **argv)
{
    char name[8];
    volatile double third = 3.14159265, large = 1e10;
    int age = 0;
#ifdef __PICOLIBC__ /* its start code hands no arguments on */
    static char line[128], *words[] = { line, NULL };
    (void)argc, (void)argv;
    struct { char *buf; int size; } block = { line, sizeof line };
    register int r0 __asm__("r0") = 0x15;
    register void *r1 __asm__("r1") = &block;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    int bad = r0;
    words[1] = strchr(line, ' ');
    if (bad || !words[1])
        return fail("command line");
    *words[1]++ = 0;
    argv = words;
    argc = 2;
#endif
#ifdef SMALL
    setvbuf(stdin, NULL, _IONBF, 0);
    setvbuf(stdout, NULL, _IONBF, 0);
#endif
    if (argc != 2 || strcmp(argv[0], "libc"))
        return fail("argv");
    if (scanf("%7s %d", name, &age) != 2)
        return fail("scanf");
#ifdef SMALL /* newlib's %f wants more memory than there is */
    (void)third, (void)large;
    printf("libc: 3.14159 1e+10 %s %d %#x\n", name, age, 42);
#else
    printf("libc: %.5f %g %s %d %#x\n", third, large, name, age, 42);
#endif
    if (allocate() || write_and_read(argv[1]))
        return 1;
    printf("libc: ok\n");
    return 42;
}

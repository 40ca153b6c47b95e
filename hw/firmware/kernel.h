/* SPDX-License-Identifier: MIT */
/* A -kernel image taken apart: what the loaders of the three formats give to the two ways of booting. */
#ifndef HW_FIRMWARE_KERNEL_H
#define HW_FIRMWARE_KERNEL_H

#include "hw/firmware/loader.h"
#include "hw/firmware/optionrom.h"

/* Low memory as we use it. Through the BIOS the ROMs keep their map at 0x8000 and their stack below 0x7c00. */
enum {
    LOW_BOOT_PARAMS = 0x7000, /* Linux, direct: the "zero page" */
    LOW_GDT = 0x8000,         /* direct */
    LOW_PAGE_TABLES = 0x9000, /* direct, 64-bit: PML4, PDPT, four page directories */
    LOW_INFO = 0x10000,       /* Linux through the BIOS: set-up code; multiboot, PVH: information structure */
    LOW_CMDLINE = 0x20000,    /* Linux */
    LOW_END = 0x80000,
    HIGH_START = 0x100000,
};

typedef struct KernelPiece {
    uint64_t addr;
    GBytes *data; /* NULL: no such piece */
} KernelPiece;

/* All files are untrusted: each parser checks every field it uses, and that all pieces lie inside the machine's RAM. */
typedef struct Kernel {
    const char *format;       /* for messages */
    const OptionRom *rom;     /* loads it through the BIOS */
    const char *rom_name;
    KernelPiece setup, image, cmdline, initrd;
    uint64_t entry;
    MachineBoot boot;         /* direct: mode and registers */
} Kernel;

/* What the parsers work from. */
typedef struct KernelSource {
    const MachineConfig *config;
    const BootLayout *layout;
    GBytes *file;
    const uint8_t *p; /* its bytes */
    size_t len;
    bool direct;
} KernelSource;

void kernel_free(Kernel *k);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Kernel, kernel_free)

/* Does the file look like this format? Then parse it. Errors name the kernel file. */
bool linux_probe(const KernelSource *s);
bool linux_parse(const KernelSource *s, Kernel *k, Error **errp);
bool multiboot_probe(const KernelSource *s);
bool multiboot_parse(const KernelSource *s, Kernel *k, Error **errp);
bool pvh_probe(const KernelSource *s);
bool pvh_parse(const KernelSource *s, Kernel *k, Error **errp);

/* ELF with its load segments flattened into one piece of RAM, zeros between and after them. */
typedef struct ElfImage {
    bool is64;
    uint16_t machine;
    uint64_t entry; /* physical */
    KernelPiece image;
} ElfImage;
bool elf_probe(const uint8_t *p, size_t len);
bool elf_load(const KernelSource *s, ElfImage *out, Error **errp);
/* The descriptor of a note in a PT_NOTE segment, as a number of 4 or 8 bytes. */
bool elf_find_note(const uint8_t *p, size_t len, const char *owner, uint32_t type, uint64_t *value);

/* Last byte + 1 that a loader may use below 4 GiB. */
uint64_t layout_low_end(const BootLayout *l);
/* "kernel 'x': ..." unless [addr, addr + len) is RAM that a kernel may be loaded to. */
bool check_in_ram(const KernelSource *s, uint64_t addr, uint64_t len, Error **errp);
/* Append to a blob that will lie at `base`: returns the guest address of the appended bytes. */
uint64_t blob_append(GByteArray *blob, uint64_t base, const void *data, size_t len, unsigned align);

#endif

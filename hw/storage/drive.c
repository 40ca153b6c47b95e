/* SPDX-License-Identifier: MIT */
/* From a disk's properties to its drive. */
#include "hw/storage/drive.h"
#include "base/bits.h"

static void unknown_drive(const Device *d, const char *name, Error **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (unsigned i = 0; i < blk_count(); i++) {
        if (*blk_name(blk_nth(i)))
            g_ptr_array_add(names, (void *)blk_name(blk_nth(i)));
    }
    for (unsigned i = 0; i < block_node_count(); i++)
        g_ptr_array_add(names, (void *)block_node_name(block_node_nth(i)));
    g_ptr_array_add(names, NULL);
    g_autofree char *object = g_strdup_printf("device '%s': drive", d->id);
    error_set_unknown(errp, object, name, (const char *const *)names->pdata);
}

bool drive_open(Device *d, const DriveProps *p, bool removable, BlockBackend **out, Error **errp)
{
    *out = NULL;
    if (!p->drive && !removable) {
        error_setf(errp, "device '%s': which drive? add drive=ID of a -drive if=none,id=ID or of a -blockdev node", d->id);
        return false;
    }
    if (!is_pow2(p->logical_block_size) || !is_pow2(p->physical_block_size) || p->physical_block_size < p->logical_block_size) {
        error_setf(errp, "device '%s': sector sizes are powers of two, the physical one not below the logical one", d->id);
        return false;
    }
    BlockBackend *b = p->drive ? blk_find(p->drive) : blk_new(NULL, NULL);
    if (!b) {
        unknown_drive(d, p->drive, errp);
        return false;
    }
    if (!removable && !blk_inserted(b)) {
        error_setf(errp, "device '%s': drive '%s' has no medium, and this device can't be without; add file= to the drive", d->id, p->drive);
        return false;
    }
    if (blk_size(b) % p->logical_block_size) {
        error_setf(errp, "device '%s': drive '%s' is not a whole number of sectors of %u bytes; resize the image", d->id, p->drive, p->logical_block_size);
        return false;
    }
    if (!blk_attach(b, d->id, errp))
        return false;
    *out = b;
    return true;
}

const char *drive_serial(const Device *d, const DriveProps *p, const BlockBackend *b)
{
    return p->serial ? p->serial : b && blk_serial(b) ? blk_serial(b) : d->id;
}

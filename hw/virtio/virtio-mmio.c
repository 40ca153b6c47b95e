/* SPDX-License-Identifier: MIT */
/* The virtio MMIO transport (Virtual I/O Device 1.2, section 4.2) without a device behind it: DeviceID 0, which drivers leave alone. */
#include "base/bits.h"
#include "hw/core/device.h"

static uint64_t id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    /* MagicValue "virt", Version 1 (legacy, as platforms without a device show it), DeviceID, VendorID "QEMU" */
    static const uint32_t id[] = { 0x74726976, 1, 0, 0x554d4551 };
    return id[i];
}

static const Reg mmio_regs[] = {
    { .name = "Id", .at = 0x000, .size = 4, .count = 4, .field = REG_NO_FIELD, .read = id_read, .access = REG_RO },
    { .name = NULL },
};
static const RegBank mmio_bank = { .name = "regs", .size = 0x200, .regs = mmio_regs };
static const RegBank *const mmio_banks[] = { &mmio_bank, NULL };
static const char *const mmio_pins[] = { "irq", NULL };

static const DeviceType mmio_type = {
    .name = "virtio-mmio", .desc = "virtio over MMIO, empty", .category = "Misc", .size = sizeof(Device), .banks = mmio_banks,
    .out_pins = mmio_pins,
};
DEVICE_REGISTER(mmio_type)

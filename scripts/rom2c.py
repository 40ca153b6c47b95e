#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Finish an option ROM (length, checksums) and write it as a C array: rom2c.py ROM.bin NAME OUT.c"""
import sys


def finish(rom):
    """Pad to whole 512-byte blocks; fill in the block count and the checksums of the Plug and Play header and the ROM."""
    rom = bytearray(rom)
    rom += bytes(-(len(rom) + 1) % 512 + 1)  # the last byte is the checksum's
    assert rom[:2] == b"\x55\xaa" and len(rom) <= 64 * 1024
    rom[2] = len(rom) // 512
    pnp = int.from_bytes(rom[0x1a:0x1c], "little")
    assert rom[pnp:pnp + 4] == b"$PnP"
    length = rom[pnp + 5] * 16
    rom[pnp + 9] = -sum(rom[pnp:pnp + length]) & 0xff
    rom[-1] = -sum(rom) & 0xff
    return bytes(rom)


def main():
    source, name, out = sys.argv[1:4]
    with open(source, "rb") as f:
        rom = finish(f.read())
    lines = [", ".join(f"0x{b:02x}" for b in rom[i:i + 16]) for i in range(0, len(rom), 16)]
    with open(out, "w") as f:
        f.write("/* SPDX-License-Identifier: MIT */\n/* Generated from hw/firmware/optionrom by scripts/rom2c.py. */\n")
        f.write('#include "hw/firmware/optionrom.h"\n\n')
        f.write(f"const OptionRom optionrom_{name} = {{\n    .size = {len(rom)},\n    .data = (const uint8_t[]){{\n        ")
        f.write(",\n        ".join(lines))
        f.write(",\n    },\n};\n")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""The ELF kernel inside a bzImage (Linux Documentation/x86/boot: payload_offset, payload_length)."""
import lzma
import os
import shutil
import struct
import subprocess
import tempfile
import zlib


def unpack_lz4(data):
    """LZ4's legacy format: a magic, then blocks with their length before them."""
    out, at = bytearray(), 4
    while at + 4 < len(data):
        size, = struct.unpack_from('<I', data, at)
        at += 4
        if size == 0 or at + size > len(data):
            break
        end = at + size
        while at < end:
            token = data[at]
            at += 1
            literals = token >> 4
            if literals == 15:
                while data[at] == 255:
                    literals += 255
                    at += 1
                literals += data[at]
                at += 1
            out += data[at:at + literals]
            at += literals
            if at >= end:
                break
            back = data[at] | data[at + 1] << 8
            at += 2
            length = (token & 15) + 4
            if length == 19:
                while data[at] == 255:
                    length += 255
                    at += 1
                length += data[at]
                at += 1
            start = len(out) - back
            if back >= length:
                out += out[start:start + length]
            else:
                piece = out[start:]
                out += (piece * (length // back + 1))[:length]
    return bytes(out)


def unpack_zstd(data):
    # the length of the result stands after the packed data, which zstd would take for a frame
    return subprocess.run(['zstd', '-d', '-q', '-c'], input=data[:-4], stdout=subprocess.PIPE,
                          check=True).stdout


UNPACK = {
    b'\xfd7zXZ': lambda data: lzma.LZMADecompressor().decompress(data),
    b'\x02\x21\x4c\x18': unpack_lz4,
    b'\x28\xb5\x2f\xfd': unpack_zstd,
    b'\x1f\x8b': lambda data: zlib.decompressobj(31).decompress(data),
}


def extract(image):
    """The ELF file in the bytes of a bzImage, or None if this machine cannot unpack it."""
    setup = (image[0x1f1] or 4) + 1
    offset, length = struct.unpack_from('<II', image, 0x248)
    payload = image[setup * 512 + offset:setup * 512 + offset + length]
    for magic, unpack in UNPACK.items():
        if payload.startswith(magic):
            if unpack is unpack_zstd and not shutil.which('zstd'):
                return None
            elf = unpack(payload)
            return elf if elf.startswith(b'\x7fELF') else None
    return None


def cached(folder):
    """The path of folder/vmlinux, made from folder/vmlinuz when missing; None if it cannot be."""
    path = os.path.join(folder, 'vmlinux')
    if not os.path.exists(path):
        with open(os.path.join(folder, 'vmlinuz'), 'rb') as f:
            elf = extract(f.read())
        if elf is None:
            return None
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as f:
            f.write(elf)
        os.rename(f.name, path)
    return path

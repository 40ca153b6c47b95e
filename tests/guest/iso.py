# SPDX-License-Identifier: MIT
"""An ISO 9660 image with one file (ECMA-119)."""

SECTOR = 2048


def _both(value, size):
    """A number in both byte orders (7.2.3, 7.3.3)."""
    return value.to_bytes(size, 'little') + value.to_bytes(size, 'big')


def _record(name, sector, length, flags):
    """A directory record (9.1)."""
    body = bytes([0]) + _both(sector, 4) + _both(length, 4) + bytes([100, 1, 1, 0, 0, 0, 0, flags, 0, 0]) + _both(1, 2) + bytes([len(name)]) + name
    body += bytes((len(body) + 1) % 2)
    return bytes([len(body) + 1]) + body


def _volume(sectors, root, path_bytes):
    """The primary volume descriptor (8.4)."""
    d = bytearray(SECTOR)
    d[0:7] = b'\x01CD001\x01'
    d[8:72] = b' ' * 32 + b'RHEA'.ljust(32)
    d[80:88] = _both(sectors, 4)
    d[120:132] = _both(1, 2) + _both(1, 2) + _both(SECTOR, 2)
    d[132:140] = _both(path_bytes, 4)
    d[140:144] = (18).to_bytes(4, 'little')
    d[148:152] = (19).to_bytes(4, 'big')
    d[156:190] = root
    d[190:813] = b' ' * 623
    d[881] = 1
    return d


def iso(name, data):
    """The image; name as on the disc (A.BIN)."""
    dir_at, file_at = 20, 21
    total = file_at + -(-len(data) // SECTOR)
    root, parent = (_record(n, dir_at, SECTOR, 2) for n in (b'\0', b'\1'))
    entries = root + parent + _record(name.encode() + b';1', file_at, len(data), 0)
    image = bytearray(total * SECTOR)
    image[16 * SECTOR:17 * SECTOR] = _volume(total, root, 10)
    image[17 * SECTOR:17 * SECTOR + 7] = b'\xffCD001\x01'
    for sector, order in ((18, 'little'), (19, 'big')):
        path = bytes([1, 0]) + dir_at.to_bytes(4, order) + (1).to_bytes(2, order) + b'\0\0'
        image[sector * SECTOR:sector * SECTOR + len(path)] = path
    image[dir_at * SECTOR:dir_at * SECTOR + len(entries)] = entries
    image[file_at * SECTOR:file_at * SECTOR + len(data)] = data
    return bytes(image)

# SPDX-License-Identifier: MIT
"""Images of formats that no program here can make, byte by byte, for tests/block/formats and the fuzzer's seeds."""
import base64
import bz2
import hashlib
import struct
import subprocess
import zlib

SECTOR = 512


def dmg(data, kinds=('zlib', 'bzip2', 'raw'), chunk=64):
    """UDIF: chunks in turn by each of the kinds, zero chunks where the data is zero."""
    assert len(data) % SECTOR == 0
    body, entries, sectors = bytearray(), [], len(data) // SECTOR
    for i, at in enumerate(range(0, sectors, chunk)):
        piece = data[at * SECTOR:(at + chunk) * SECTOR]
        kind = kinds[i % len(kinds)]
        code = {'raw': 1, 'zlib': 0x80000005, 'bzip2': 0x80000006}[kind]
        packed = {'raw': bytes, 'zlib': zlib.compress, 'bzip2': bz2.compress}[kind](piece)
        if not any(piece):
            code, packed = 2, b''
        entries.append(struct.pack('>IIQQQQ', code, 0, at, len(piece) // SECTOR, len(body), len(packed)))
        body += packed
    entries.append(struct.pack('>IIQQQQ', 0xffffffff, 0, sectors, 0, len(body), 0))
    mish = struct.pack('>4sIQQQII24x', b'mish', 1, 0, sectors, 0, chunk + 8, 0) + struct.pack('>II128x', 2, 32)
    table = base64.b64encode(mish + struct.pack('>I', len(entries)) + b''.join(entries)).decode()
    plist = ('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n'
             '<plist version="1.0">\n<dict>\n\t<key>resource-fork</key>\n\t<dict>\n\t\t<key>blkx</key>\n\t\t<array>\n\t\t\t<dict>\n'
             '\t\t\t\t<key>Attributes</key>\n\t\t\t\t<string>0x0050</string>\n\t\t\t\t<key>Data</key>\n\t\t\t\t<data>\n' + table +
             '\n\t\t\t\t</data>\n\t\t\t\t<key>ID</key>\n\t\t\t\t<string>0</string>\n\t\t\t\t<key>Name</key>\n\t\t\t\t<string>whole disk</string>\n'
             '\t\t\t</dict>\n\t\t</array>\n\t</dict>\n</dict>\n</plist>\n').encode()
    koly = bytearray(512)
    struct.pack_into('>4sIIIQQQ', koly, 0, b'koly', 4, 512, 1, 0, 0, len(body))
    struct.pack_into('>II', koly, 56, 1, 1)
    struct.pack_into('>QQ', koly, 216, len(body), len(plist))
    struct.pack_into('>IQ', koly, 488, 1, sectors)
    return bytes(body) + plist + bytes(koly)


def cloop(data, block=65536):
    data += bytes(-len(data) % block)
    blocks = [zlib.compress(data[at:at + block]) for at in range(0, len(data), block)]
    head = b'#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n'.ljust(128, b'\0')
    at = 128 + 8 + 8 * (len(blocks) + 1)
    offsets = []
    for b in blocks + [b'']:
        offsets.append(at)
        at += len(b)
    return head + struct.pack('>II', block, len(blocks)) + b''.join(struct.pack('>Q', o) for o in offsets) + b''.join(blocks)


def bochs(data, extent=65536):
    """Growing redolog: sectors that are zero are not there."""
    count, bitmap = -(-len(data) // extent), max(extent // SECTOR // 8, 8)
    head = bytearray(512)
    struct.pack_into('<32s16s16sIIIII', head, 0, b'Bochs Virtual HD Image', b'Redolog', b'Growing', 0x20000, 512, count, bitmap, extent)
    struct.pack_into('<Q', head, 88, len(data))
    catalog, body, place = [], bytearray(), 0
    for at in range(0, len(data), extent):
        piece = data[at:at + extent].ljust(extent, b'\0')
        if not any(piece):
            catalog.append(0xffffffff)
            continue
        bits = bytearray(-(-bitmap // SECTOR) * SECTOR)
        for s in range(extent // SECTOR):
            if any(piece[s * SECTOR:(s + 1) * SECTOR]):
                bits[s // 8] |= 1 << (s % 8)
        body += bits + piece
        catalog.append(place)
        place += 1
    return bytes(head) + b''.join(struct.pack('<I', c) for c in catalog) + bytes(body)


def vmdk_stream(data, grain=128):
    """Stream-optimised as VMware writes it: markers, tables behind the grains, the directory's place in a footer."""
    def header(gd):
        h = struct.pack('<4sIIQQQQIQQQB4sH', b'KDMV', 3, 0x30001, len(data) // SECTOR, grain, 1, 20, 512, 0, gd, 128, 0, b'\n \r\n', 1)
        return h.ljust(SECTOR, b'\0')

    def marker(count, kind):
        return struct.pack('<QII', count, 0, kind).ljust(SECTOR, b'\0')
    text = ('# Disk DescriptorFile\nversion=1\nCID=7e5b80a7\nparentCID=ffffffff\ncreateType="streamOptimized"\n'
            f'RW {len(data) // SECTOR} SPARSE "x.vmdk"\nddb.adapterType = "ide"\n').encode()
    out = bytearray(header((1 << 64) - 1) + text.ljust(20 * SECTOR, b'\0')).ljust(128 * SECTOR, b'\0')
    size, entries, tables = grain * SECTOR, [], []
    for at in range(0, len(data), size):
        piece = data[at:at + size].ljust(size, b'\0')
        if any(piece):
            entries.append(len(out) // SECTOR)
            packed = zlib.compress(piece)
            body = struct.pack('<QI', at // SECTOR, len(packed)) + packed
            out += body + bytes(-len(body) % SECTOR)
        else:
            entries.append(0)
    for at in range(0, len(entries), 512):
        out += marker(4, 1)
        tables.append(len(out) // SECTOR)
        out += b''.join(struct.pack('<I', e) for e in entries[at:at + 512]).ljust(2048, b'\0')
    directory = b''.join(struct.pack('<I', t) for t in tables)
    directory += bytes(-len(directory) % SECTOR)
    out += marker(len(directory) // SECTOR, 2)
    gd = len(out) // SECTOR
    out += directory + marker(1, 3) + header(gd) + marker(0, 0)
    return bytes(out)


def cowd(data, grain=128):
    """An ESX sparse extent."""
    size, sectors = grain * SECTOR, len(data) // SECTOR
    grains = -(-len(data) // size)
    tables = -(-grains // 4096)
    head = struct.pack('<4sIIIIIII', b'COWD', 1, 3, sectors, grain, 4, tables, 0).ljust(4 * SECTOR, b'\0')
    gd_sectors = -(-tables * 4 // SECTOR)
    at = 4 + gd_sectors + tables * 32
    entries, body = [], bytearray()
    for i in range(grains):
        piece = data[i * size:(i + 1) * size].ljust(size, b'\0')
        entries.append(at + len(body) // SECTOR if any(piece) else 0)
        body += piece if any(piece) else b''
    gd = b''.join(struct.pack('<I', 4 + gd_sectors + t * 32) for t in range(tables)).ljust(gd_sectors * SECTOR, b'\0')
    gts = b''.join(struct.pack('<I', e) for e in entries).ljust(tables * 32 * SECTOR, b'\0')
    return head + gd + gts + bytes(body)


CRC = []
for i in range(256):
    for _ in range(8):
        i = i >> 1 ^ 0x82f63b78 if i & 1 else i >> 1
    CRC.append(i)


def crc32c(data):
    c = 0xffffffff
    for b in data:
        c = c >> 8 ^ CRC[(c ^ b) & 0xff]
    return c ^ 0xffffffff


def vhdx_with_log(image, page, contents):
    """A closed vhdx image as if it had not been closed: `contents` (4096 bytes) for the file's page at `page` is only in the log."""
    image = bytearray(image)
    current = max((64 << 10, 128 << 10), key=lambda at: struct.unpack_from('<Q', image, at + 8)[0])
    guid = bytes(range(1, 17))
    image[current + 48:current + 64] = guid
    struct.pack_into('<I', image, current + 4, 0)
    struct.pack_into('<I', image, current + 4, crc32c(image[current:current + 4096]))
    log = struct.unpack_from('<Q', image, current + 72)[0]
    seq, size = 7, len(image) >> 20 << 20
    entry = bytearray(struct.pack('<4sIIIQII', b'loge', 0, 8192, 0, seq, 1, 0) + guid + struct.pack('<QQ', size, size))
    entry += struct.pack('<4s4s8sQQ', b'desc', contents[-4:], contents[:8], page, seq)
    entry = entry.ljust(4096, b'\0') + struct.pack('<4sI', b'data', seq >> 32) + contents[8:-4] + struct.pack('<I', seq & 0xffffffff)
    struct.pack_into('<I', entry, 4, crc32c(entry))
    image[log:log + len(entry)] = entry
    return bytes(image)


def vhdx_child(image, parent, sectors):
    """A dynamic vhdx image with blocks of 1 MiB as a child of `parent`: of its first block it has the given sectors, blocks that it lacks are the parent's."""
    image = bytearray(image)
    regions = {bytes(image[at:at + 4]): struct.unpack_from('<Q', image, at + 16)[0] for at in (0x30010, 0x30030)}
    bat, metadata = regions[b'\x66\x77\xc2\x2d'], regions[b'\x06\xa2\x7c\x8b']
    place = len(image)
    bits = bytearray(1 << 20)
    for s in sectors:
        bits[s // 8] |= 1 << (s % 8)
    image += bits
    for i in range(4096):
        entry = struct.unpack_from('<Q', image, bat + i * 8)[0]
        struct.pack_into('<Q', image, bat + i * 8, (entry & ~7) | 7 if i == 0 else entry if entry & 7 == 6 else 0)
    struct.pack_into('<Q', image, bat + 4096 * 8, place | 6)
    struct.pack_into('<I', image, metadata + 0x10004, 2)
    key, value = 'relative_path'.encode('utf-16-le'), ('.\\' + parent).encode('utf-16-le')
    locator = bytes.fromhex('b7efab04d19e814ab78925b8e9445913'[:32]) + struct.pack('<HHIIHH', 0, 1, 32, 32 + len(key), len(key), len(value)) + key + value
    struct.pack_into('<H', image, metadata + 10, 6)
    struct.pack_into('<16sIII', image, metadata + 32 + 5 * 32, bytes.fromhex('2d5fd3a80bb34d45abf7d3d84834ab0c'), 0x11000, len(locator), 4)
    image[metadata + 0x11000:metadata + 0x11000 + len(locator)] = locator
    return bytes(image)


def openssl(*args, data):
    return subprocess.run(['openssl', 'enc', '-nopad', *args], input=data, stdout=subprocess.PIPE, check=True).stdout


def diffuse(alg, data):
    """LUKS1 1.2.3, section 2.4.2."""
    size = hashlib.new(alg).digest_size
    return b''.join(hashlib.new(alg, struct.pack('>I', i) + data[at:at + size]).digest()[:len(data) - at] for i, at in enumerate(range(0, len(data), size)))


def luks1(data, passphrase=b'pass-a', stripes=2, alg='sha256', mode='cbc-plain64', slot_sectors=8, payload=72, iterations=1000):
    """A LUKS1 volume with AES-128 by openssl and hashlib: key slots of as few stripes as is wanted; modes cbc-plain64, cbc-essiv:sha256, ecb."""
    master, size = bytes(range(100, 116)), 16

    def sectors(key, text):
        out = b''
        for at in range(0, len(text), SECTOR):
            iv = struct.pack('<QQ', at // SECTOR, 0)
            if 'essiv' in mode:
                iv = openssl('-aes-256-ecb', '-K', hashlib.sha256(key).hexdigest(), data=iv)
            how = ['-aes-128-ecb'] if mode == 'ecb' else ['-aes-128-cbc', '-iv', iv.hex()]
            out += openssl(*how, '-K', key.hex(), data=text[at:at + SECTOR])
        return out

    salts = [bytes([i + 1]) * 32 for i in range(9)]
    digest = hashlib.pbkdf2_hmac(alg, master, salts[8], iterations, 20)
    head = struct.pack('>6sH32s32s32sII20s32sI40s', b'LUKS\xba\xbe', 1, b'aes', mode.encode(), alg.encode(), payload, size, digest, salts[8], iterations,
                       b'01234567-89ab-4def-8123-456789abcdef')
    for i in range(8):
        head += struct.pack('>II32sII', 0x00ac71f3 if i == 1 else 0x0000dead, iterations if i == 1 else 0, salts[i], 8 + i * slot_sectors, stripes)
    block, material = bytes(size), b''
    for i in range(stripes - 1):
        piece = hashlib.sha256(bytes([i & 255])).digest()[:size]
        material += piece
        block = diffuse(alg, bytes(a ^ b for a, b in zip(block, piece)))
    material += bytes(a ^ b for a, b in zip(block, master))
    material += bytes(-len(material) % SECTOR)
    out = bytearray(payload * SECTOR)
    out[:len(head)] = head
    at = (8 + slot_sectors) * SECTOR
    out[at:at + len(material)] = sectors(hashlib.pbkdf2_hmac(alg, passphrase, salts[1], iterations, size), material)
    return bytes(out) + sectors(master, data)

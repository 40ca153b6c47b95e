# SPDX-License-Identifier: MIT
"""The log of a blklogwrites node: which writes were durable when, and the image that a power cut would have left."""
import os
import shutil
import struct

SECTOR = 512
WHOLE = 4096    # what a disk writes whole or not at all: file systems rely on more than 512 bytes (the superblock of ext4)
FLUSH, DISCARD = 1, 4


class WriteLog:
    """Reads entries while they are written. entries: (kind, offset, length, place of the data)."""

    def __init__(self, path):
        self.path, self.entries, self.at = path, [], SECTOR

    def count(self):
        """How many entries are there now."""
        size = os.path.getsize(self.path)
        with open(self.path, 'rb') as f:
            while self.at + SECTOR <= size:
                f.seek(self.at)
                sector, sectors, flags, data = struct.unpack('<QQQQ', f.read(32))
                if self.at + SECTOR + data > size:
                    break
                self.entries.append((flags, sector * SECTOR, sectors * SECTOR, self.at + SECTOR))
                self.at += SECTOR + data
        return len(self.entries)

    def flushes(self):
        return [n for n, e in enumerate(self.entries) if e[0] & FLUSH]


class Cutter:
    """Makes images as they are after a cut; for cuts one behind the other."""

    def __init__(self, log, base, folder, random):
        self.log, self.random, self.done = log, random, 0
        self.durable, self.image = os.path.join(folder, 'durable.img'), os.path.join(folder, 'cut.img')
        shutil.copyfile(base, self.durable)

    def _apply(self, source, target, entry, keep=None):
        """keep: says whether a piece reached the disk; None: all did."""
        flags, offset, length, place = entry
        if flags & FLUSH:
            return
        source.seek(place)
        data = bytes(length) if flags & DISCARD else source.read(length)
        at = 0
        while at < length:
            end = min(length, at + WHOLE - (offset + at) % WHOLE) if keep else length
            if not keep or keep():
                target.seek(offset + at)
                target.write(data[at:end])
            at = end

    def _keep(self):
        kind = self.random.randrange(4)
        if kind == 3:       # whole writes
            return None
        return lambda: self.random.randrange(4) <= kind

    def cut(self, end, lose):
        """The image when the power fails after `end` entries; lose: pieces of those since the last flush are missing; else all of them."""
        flush = max((n for n in range(end - 1, -1, -1) if self.log.entries[n][0] & FLUSH), default=-1)
        with open(self.log.path, 'rb') as source:
            with open(self.durable, 'r+b') as target:
                for entry in self.log.entries[self.done:flush + 1]:
                    self._apply(source, target, entry)
            self.done = max(self.done, flush + 1)
            shutil.copyfile(self.durable, self.image)
            if lose:
                keep = self._keep()
                with open(self.image, 'r+b') as target:
                    for entry in self.log.entries[flush + 1:end]:
                        if keep or self.random.randrange(2):
                            self._apply(source, target, entry, keep)
        return self.image

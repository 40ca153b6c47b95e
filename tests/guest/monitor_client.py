# SPDX-License-Identifier: MIT
"""The monitor of an emulator, on a unix socket."""
import socket


class Monitor:
    """Commands one after the other."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self._prompt()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _prompt(self):
        text = b''
        while not text.rstrip().endswith(b'(rhea)'):
            got = self.socket.recv(65536)
            if not got:
                raise OSError('the monitor is closed')
            text += got
        return text.decode(errors='replace').replace('\r', '')

    def run(self, line):
        """What it answers."""
        self.socket.sendall(line.encode() + b'\n')
        return self._prompt().partition('\n')[2].rpartition('\n')[0]

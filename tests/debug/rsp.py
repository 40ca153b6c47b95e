# SPDX-License-Identifier: MIT
"""A client of GDB's remote serial protocol, for tests."""
import re
import socket
import subprocess
import time


class Refused(Exception):
    """The stub answered with an error."""


class Client:
    """One connection. Packets go out with checksum; acknowledgement until no_ack()."""

    def __init__(self, path, seconds=20):
        end = time.monotonic() + seconds
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(seconds)
            try:
                self.socket.connect(path)
                break
            except OSError:
                self.socket.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        self.ack, self.data = True, b''

    def close(self):
        self.socket.close()

    def raw(self, data):
        self.socket.sendall(data)

    def byte(self):
        while not self.data:
            self.data = self.socket.recv(65536)
            if not self.data:
                raise EOFError('the stub has closed the connection')
        first, self.data = self.data[:1], self.data[1:]
        return first

    def send(self, body):
        if isinstance(body, str):
            body = body.encode()
        self.raw(b'$%s#%02x' % (body, sum(body) & 255))
        if self.ack:
            got = self.byte()
            assert got == b'+', got

    def receive(self):
        while self.byte() != b'$':
            pass
        body = b''
        while (c := self.byte()) != b'#':
            body += c
        wire = int(self.byte() + self.byte(), 16)
        assert wire == sum(body) & 255, 'checksum'
        if self.ack:
            self.raw(b'+')
        return re.sub(b'}(.)', lambda m: bytes([m[1][0] ^ 0x20]), body, flags=re.S).decode('latin-1')

    def ask(self, body):
        self.send(body)
        return self.receive()

    def do(self, body):
        """A command that answers OK."""
        answer = self.ask(body)
        if answer != 'OK':
            raise Refused(f'{body}: {answer!r}')

    def no_ack(self):
        self.do('QStartNoAckMode')
        self.ack = False

    def read(self, at, size):
        answer = self.ask(f'm{at:x},{size:x}')
        if answer.startswith('E'):
            raise Refused(answer)
        return bytes.fromhex(answer)

    def read32(self, at):
        return int.from_bytes(self.read(at, 4), 'little')

    def write(self, at, data):
        self.do(f'M{at:x},{len(data):x}:{data.hex()}')

    def register(self, number):
        return int.from_bytes(bytes.fromhex(self.ask(f'p{number:x}')), 'little')

    def set_register(self, number, value, size):
        self.do(f'P{number:x}={value.to_bytes(size, "little").hex()}')

    def go(self, body='c'):
        """Run; the stop reply as (signal, {key: value})."""
        reply = self.ask(body)
        assert reply[0] == 'T', reply
        return int(reply[1:3], 16), dict(pair.split(':', 1) for pair in reply[3:].rstrip(';').split(';') if pair)

    def monitor(self, line):
        self.send('qRcmd,' + line.encode().hex())
        text = ''
        while True:
            answer = self.receive()
            if answer == 'OK':
                return text
            if not answer.startswith('O'):
                raise Refused(answer)
            text += bytes.fromhex(answer[1:]).decode()

    def xml(self):
        text = ''
        while True:
            part = self.ask(f'qXfer:features:read:target.xml:{len(text):x},3f0')
            text += part[1:]
            if part[0] == 'l':
                return text

    def register_numbers(self):
        return {name: number for number, name in enumerate(re.findall(r'<reg name="(\w+)"', self.xml()))}


def symbols(elf):
    """name -> address, by nm."""
    lines = subprocess.run(['nm', elf], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return {line.split()[2]: int(line.split()[0], 16) for line in lines if len(line.split()) == 3}

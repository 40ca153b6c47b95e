# SPDX-License-Identifier: MIT
"""A Linux guest at its shell, and the monitor of the machine below it."""
import os
import re
import socket
import subprocess
import time

import guests
from emulator import Emulator

SECONDS = 300


def monitor(path, *commands):
    """What the monitor says to each."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(path)
        text = ''
        for command in ('', *commands):
            if command:
                s.sendall((command + '\n').encode())
            part = ''
            while not re.search(r'\(rhea\) $', part):
                data = s.recv(65536).decode('utf-8', 'replace')
                if not data:
                    return text + part
                part += re.sub(r'\x1b\[[0-9;]*[A-Za-z]', '', data)
            text += part
        return text


def initrd(kernel, folder=None, fio=False, programs=()):
    """programs: pairs of a name in /bin and a C source that is compiled for it."""
    here = os.path.dirname(os.path.abspath(__file__))
    command = [os.path.join(here, 'mkinitrd'), '--kernel', kernel, *(['--fio'] if fio else [])]
    for name, source in programs:
        subprocess.run(['cc', '-static', '-O1', '-o', f'{folder}/{name}', os.path.join(here, 'payload', source)], check=True)
        command += ['--add', f'bin/{name}={folder}/{name}']
    command += ['--output', f'{folder}/initrd'] if programs else []
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


class Failure(Exception):
    """What was not as it should be."""


class Guest:
    """A Linux that runs; its shell, its monitor, its images."""

    def __init__(self, emulator, kernel, folder, options, machine='q35', words='', smp=1, memory=256, image=None):
        """words: of the kernel's command line; image: what initrd() has made."""
        self.folder, self.sock = folder, os.path.join(folder, 'monitor')
        log = os.path.join(guests.top(), 'build', 'guest-logs', f'drives-{os.path.basename(folder)}.log')
        self.one = Emulator([emulator, '-M', machine, '-accel', 'tcg', '-smp', str(smp), '-m', str(memory), '-kernel', guests.kernel_file(kernel), '-initrd',
                             image or initrd(kernel, folder), '-append', f'console=ttyS0,115200 panic=-1 quiet {words}', '-nographic', '-no-reboot', '-monitor',
                             f'unix:{self.sock},server=on,wait=off', *options], log)
        self.count = 0

    def __enter__(self):
        self.one.expect(r'poweroff. ends', SECONDS)
        self.one.expect('# ', 30)
        return self

    def __exit__(self, *_):
        self.one.stop()

    def sh(self, script, seconds=SECONDS):
        """What the script prints."""
        self.count += 1
        end = f'end-{self.count}'
        self.one.send(f'echo begin-$(({self.count})); ({script}) 2>&1; echo end-$(({self.count}))\n')
        self.one.expect(f'\n{end}', seconds)
        text = self.one.text[:self.one.text.rindex(f'\n{end}')]
        return text[text.rindex(f'\nbegin-{self.count}'):].strip().partition('\n')[2].replace('\r', '').strip()

    def until(self, script, wanted):
        """Runs the script again and again until it prints that."""
        limit = time.monotonic() + SECONDS
        while True:
            said = self.sh(script)
            if said == wanted:
                return
            if time.monotonic() > limit:
                raise Failure(f'{script}: {said}, not {wanted}')
            time.sleep(0.2)

    def monitor(self, *commands):
        return monitor(self.sock, *commands)

    def off(self):
        self.one.send('poweroff -f\n')
        self.one.wait(60)

# SPDX-License-Identifier: MIT
"""Tests that run inside a guest: a script of its initramfs says "RHEA-WORD ok|not ok NAME" for each case, "RHEA-WORD end" at last."""
import importlib.machinery
import importlib.util
import os
import subprocess

import guests
from emulator import Emulator, Ended, Timeout

HERE = os.path.dirname(os.path.abspath(__file__))


def archive(guest, script, programs, folder, more=()):
    """The initramfs of a guest with a script of rootfs/, programs of this machine with their libraries, and pairs of name and file."""
    loader = importlib.machinery.SourceFileLoader('mkinitrd', os.path.join(HERE, 'mkinitrd'))
    mkinitrd = importlib.util.module_from_spec(importlib.util.spec_from_loader('mkinitrd', loader))
    loader.exec_module(mkinitrd)
    files = [(f'sbin/{script}', os.path.join(HERE, 'rootfs', script)), *more]
    for program in programs:
        stripped = os.path.join(folder, os.path.basename(program))
        subprocess.run(['strip', '-o', stripped, program], check=True)
        files.append(('bin/' + os.path.basename(program), stripped))
    output = os.path.join(folder, 'initrd')
    mkinitrd.build(guest, output, more=files, libraries='/')
    return output


def cases(argv, word, log, seconds):
    """(good, name) of each line that the guest says within so many seconds; an error ends them."""
    with Emulator(argv, log) as one:
        while True:
            try:
                found = one.expect(rf'RHEA-{word} (ok|not ok|end) ?([^\r\n]*)\r?\n', seconds)
            except (Ended, Timeout) as why:
                yield False, str(why)
                return
            if found.group(1) == 'end':
                return
            yield found.group(1) == 'ok', found.group(2)


def report(guest, argv, word, log, seconds):
    """TAP of the cases; argv as the emulator takes it but for the guest's kernel."""
    count = 0
    for good, name in cases([*argv, '-kernel', guests.kernel_file(guest)], word, log, seconds):
        count += 1
        print(f'{"ok" if good else "not ok"} {count} {name}{"" if good else f" # {log}"}', flush=True)
    print(f'1..{count}')
    return 0

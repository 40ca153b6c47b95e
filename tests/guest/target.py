# SPDX-License-Identifier: MIT
"""An iSCSI target on loopback (Debian's tgt) that offers one image as LUN 1."""
import contextlib
import os
import random
import shutil
import socket
import subprocess
import time

NAME = 'iqn.2026-01.test:disk'


class Missing(Exception):
    """It can't be tried here; the text says why."""


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def iscsi(image):
    """The URL of the image's unit, as long as the block lasts."""
    tgtd, tgtadm = (shutil.which(t, path='/usr/sbin:/usr/bin') for t in ('tgtd', 'tgtadm'))
    if not tgtd:
        raise Missing('tgt is not installed')
    if os.geteuid() != 0:
        raise Missing('tgtd wants to be root')
    port, control = free_port(), str(random.randrange(100, 32000))
    server = subprocess.Popen([tgtd, '-f', '-C', control, '--iscsi', f'portal=127.0.0.1:{port}'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        adm = [tgtadm, '-C', control, '--lld', 'iscsi']
        for _ in range(100):    # until it listens to orders
            if server.poll() is not None:
                raise Missing('tgtd does not start')
            if subprocess.run([*adm, '--op', 'show', '--mode', 'target'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0:
                break
            time.sleep(0.1)
        for words in (['new', '--mode', 'target', '--tid', '1', '-T', NAME],
                      ['new', '--mode', 'logicalunit', '--tid', '1', '--lun', '1', '-b', os.path.abspath(image)],
                      ['bind', '--mode', 'target', '--tid', '1', '-I', 'ALL']):
            subprocess.run([*adm, '--op', *words], check=True)
        yield f'iscsi://127.0.0.1:{port}/{NAME}/1'
    finally:
        server.kill()   # it does not listen to SIGTERM
        server.wait()

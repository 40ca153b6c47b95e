# SPDX-License-Identifier: MIT
"""What the tests of this folder share: TAP with diagnostics, running tools, waiting for events."""
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

PATIENCE = 100      # seconds, for what takes a moment on any machine that is not overwhelmed
os.environ['LC_ALL'] = 'C'


class Skip(Exception):
    """The test can't be run here: why."""


def find(tool):
    """Also what only root has in its path."""
    return shutil.which(tool, path=os.environ.get('PATH', '/usr/bin') + ':/usr/sbin:/sbin')


def need(tool):
    path = find(tool)
    if not path:
        raise Skip(f'{tool} is not installed')
    return path


def run(*args, status=0, timeout=PATIENCE, **more):
    """What the program prints, or what it says when another exit status is expected."""
    r = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, timeout=timeout, **more)
    assert r.returncode == status, f'{" ".join(args)}: status {r.returncode}: {r.stderr or r.stdout}'
    return r.stdout if status == 0 else r.stderr


def eventually(condition, what='it does not come to pass'):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def get(path):
    with open(path, 'rb') as f:
        return f.read()


def put(path, data):
    with open(path, 'wb') as f:
        f.write(data)


def diagnose(error):
    """Where it was, line by line of this folder's code, and what."""
    here = os.path.dirname(os.path.abspath(__file__))
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(here) and not f.filename.endswith('tap.py')]
    lines = [f'line {f.lineno}: {f.line}' for f in frames] + f'{type(error).__name__}: {error}'.splitlines()
    print(''.join(f'# {line[:1000]}\n' for line in lines[:60]), end='')


def tests_of(module):
    """Functions test_*, in their names' order."""
    return [(name[5:], test) for name, test in sorted(module.items()) if name.startswith('test_')]


def main(tests, only=()):
    """(name, function, arguments...), each in a folder of its own; the exit status."""
    tests = [t for t in tests if not only or t[0] in only]
    print(f'1..{len(tests)}')
    failed = 0
    for number, (name, test, *args) in enumerate(tests, 1):
        with tempfile.TemporaryDirectory(prefix='rhea-block-', ignore_cleanup_errors=True) as folder:
            os.chdir(folder)
            try:
                test(*args)
                print(f'ok {number} {name}')
            except Skip as e:
                print(f'ok {number} {name} # SKIP {e}')
            except Exception as e:  # pylint: disable=broad-except
                failed += 1
                print(f'not ok {number} {name}')
                diagnose(e)
            os.chdir('/')
        sys.stdout.flush()
    return 1 if failed else 0

# SPDX-License-Identifier: MIT
"""An emulator as a child process with its serial console on stdio: send, expect, time, log."""
import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time


class Timeout(Exception):
    """The expected text did not come in time."""


class Ended(Exception):
    """The emulator ended before the expected text came."""


def end_in_order(*_):
    """Handler of SIGTERM: an emulator that runs is ended on the way out."""
    raise SystemExit(1)


class Emulator:
    """Runs one emulator. All its output goes to `log`; `lines` holds (host time, text) of each line.

    With terminal=True its stdio is a pseudo terminal, as a person's would be; else a pair of pipes.
    """

    def __init__(self, argv, log, terminal=False):
        signal.signal(signal.SIGTERM, end_in_order)
        self.argv, self.terminal = argv, terminal
        self.text, self.lines, self.partial, self.mark = '', [], '', 0
        self.started = time.monotonic()
        os.makedirs(os.path.dirname(os.path.abspath(log)), exist_ok=True)
        self.log = open(log, 'wb')
        self.log.write(('# ' + ' '.join(argv) + '\n').encode())
        if terminal:
            self.master, slave = pty.openpty()
            self.saved = termios.tcgetattr(self.master)
            self.process = subprocess.Popen(
                argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
            self.slave = slave      # kept open, so that its settings can be read afterwards
            self.read_fd = self.write_fd = self.master
        else:
            self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT, start_new_session=True)
            self.read_fd = self.process.stdout.fileno()
            self.write_fd = self.process.stdin.fileno()
        os.set_blocking(self.read_fd, False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def elapsed(self):
        return time.monotonic() - self.started

    def send(self, text):
        os.write(self.write_fd, text.encode())

    def _take(self, data):
        now = time.time()
        self.log.write(data)
        text = data.decode('utf-8', 'replace')
        self.text += text
        *whole, self.partial = (self.partial + text).split('\n')
        self.lines += [(now, line.rstrip('\r')) for line in whole]

    def pump(self, seconds):
        """Take in what the emulator prints within this time; False once it has ended."""
        ready, _, _ = select.select([self.read_fd], [], [], max(0, min(seconds, 0.5)))
        if ready:
            try:
                data = os.read(self.read_fd, 65536)
            except BlockingIOError:
                return True
            except OSError:         # a terminal that nobody has open any more
                data = b''
            if data:
                self._take(data)
                return True
            self.process.wait(10)
            return False
        return self.process.poll() is None

    def expect(self, pattern, timeout):
        """Wait for a regular expression after the last match; returns the match."""
        end = time.monotonic() + timeout
        regex = re.compile(pattern)
        alive = True
        while True:
            match = regex.search(self.text, self.mark)
            if match:
                self.mark = match.end()
                return match
            if not alive:
                raise Ended(f'ended with status {self.process.poll()} before "{pattern}"')
            if time.monotonic() > end:
                raise Timeout(f'no "{pattern}" within {timeout:.0f} s')
            alive = self.pump(end - time.monotonic())

    def wait(self, timeout):
        """Wait for the emulator's own end; returns its status."""
        end = time.monotonic() + timeout
        while self.pump(end - time.monotonic()) or self.process.poll() is None:
            if time.monotonic() > end:
                raise Timeout(f'still running after {timeout:.0f} s')
        while select.select([self.read_fd], [], [], 0)[0]:
            if not self.pump(0):
                break
        return self.process.returncode

    def terminal_restored(self):
        """Whether the terminal has the settings that it had before."""
        return termios.tcgetattr(self.slave) == self.saved

    def stop(self):
        """End the emulator if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()

# SPDX-License-Identifier: MIT
"""apt with a configuration of its own, derived from the machine's Debian sources."""
import contextlib
import glob
import os
import re
import subprocess
import sys
import time

import guests

RETRIES = 3


def say(text):
    print(f'guests: {text}', file=sys.stderr, flush=True)


class FetchError(Exception):
    """A download that failed; the text is for the user."""


def debian_mirrors():
    """The machine's Debian archive and security URIs, from both formats of apt sources."""
    text = ''
    for path in ['/etc/apt/sources.list', *sorted(glob.glob('/etc/apt/sources.list.d/*'))]:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            with open(path, encoding='utf-8') as f:
                text += f.read() + '\n'
    text = re.sub(r'#.*', '', text)
    uris = re.findall(r'(?:https?|file|mirror\+file)://?[^\s]+|/[^\s]*debian[^\s]*', text)
    main = [u.rstrip('/') for u in uris if re.search(r'/debian/?$', u)]
    security = [u.rstrip('/') for u in uris if re.search(r'/debian-security/?$', u)]
    return (main[0] if main else 'http://deb.debian.org/debian',
            security[0] if security else None)


class Apt:
    """apt with a private state for one release and architecture."""

    def __init__(self, release, arch, root):
        self.release, self.arch = release, arch
        self.dir = os.path.join(root, 'apt', f'{release}-{arch}')
        self.updated = os.path.join(self.dir, 'updated')
        for sub in ('etc/preferences.d', 'etc/trusted.gpg.d', 'state/lists/partial',
                    'cache/archives/partial'):
            os.makedirs(os.path.join(self.dir, sub), exist_ok=True)
        main, security = debian_mirrors()
        signed = 'signed-by=/usr/share/keyrings/debian-archive-keyring.gpg'
        lines = [f'deb [{signed}] {main} {release} main']
        if security and arch == 'amd64' and release == guests.RELEASE:
            lines.append(f'deb [{signed}] {security} {release}-security main')
        with open(os.path.join(self.dir, 'etc/sources.list'), 'w', encoding='utf-8') as f:
            f.write('\n'.join(lines) + '\n')
        open(os.path.join(self.dir, 'status'), 'a', encoding='utf-8').close()
        options = {
            'APT::Architecture': arch, 'APT::Architectures::': arch,
            'Dir::State': f'{self.dir}/state', 'Dir::State::status': f'{self.dir}/status',
            'Dir::Cache': f'{self.dir}/cache',
            'Dir::Etc::sourcelist': f'{self.dir}/etc/sources.list',
            'Dir::Etc::sourceparts': '/dev/null',
            'Dir::Etc::preferences': '/dev/null',
            'Dir::Etc::preferencesparts': f'{self.dir}/etc/preferences.d',
            'Acquire::Languages': 'none', 'Acquire::Retries': '3',
            'Acquire::http::Timeout': '30', 'APT::Sandbox::User': 'root',
            'APT::Update::Post-Invoke-Success': '', 'APT::Update::Post-Invoke': '',
            'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled': 'false',
        }
        self.config = os.path.join(self.dir, 'apt.conf')
        with open(self.config, 'w', encoding='utf-8') as f:
            f.write('#clear APT::Architectures;\n#clear APT::Update::Post-Invoke;\n'
                    '#clear APT::Update::Post-Invoke-Success;\n')
            f.writelines(f'{k} "{v}";\n' for k, v in options.items() if v)

    def command(self, *args, cwd=None, capture=False):
        """Run an apt tool; its own output is shown only when it fails."""
        for attempt in range(1, RETRIES + 1):
            result = subprocess.run([args[0], '-q', '-c', self.config, *args[1:]], cwd=cwd,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True, check=False)
            # apt-get update says success even when it could reach no mirror
            if result.returncode == 0 and not re.search(r'^[WE]: Failed to fetch', result.stdout,
                                                        re.M):
                return result.stdout
            if capture:
                break
            if attempt < RETRIES:
                time.sleep(3 * attempt)
        lines = [s for s in result.stdout.splitlines() if s.startswith(('E:', 'W:', 'Err'))]
        lines.sort(key=lambda s: 'Failed to fetch' in s)
        raise FetchError(f'{" ".join(args[:2])}: {lines[-1] if lines else "failed"}')

    def update(self, force=False):
        """Load the package lists unless they are fresh."""
        if force or not os.path.exists(self.updated) or time.time() - os.path.getmtime(self.updated) > 3600:
            say(f'reading the package lists of Debian {self.release} for {self.arch}')
            self.command('apt-get', 'update')
            with open(self.updated, 'w', encoding='utf-8'):
                pass

    def versioned(self, package):
        """What a kernel metapackage such as linux-image-amd64 stands for today."""
        text = self.command('apt-cache', 'show', '--no-all-versions', package, capture=True)
        depends = re.search(r'^Depends: (.*)$', text, re.M)
        found = re.search(r'linux-image-\d[^\s,]*', depends.group(1)) if depends else None
        return found.group(0) if found else package

    def download(self, packages, folder):
        """Put the .deb files of the packages into a folder and return their paths."""
        os.makedirs(folder, exist_ok=True)
        self.command('apt-get', 'download', *packages, cwd=folder)
        return sorted(glob.glob(os.path.join(folder, '*.deb')))

# SPDX-License-Identifier: MIT
"""Make what the benchmark feeds its programs with: compiled programs, C source, text, scripts."""
import glob
import os
import random
import shutil
import subprocess

import guests

HERE = os.path.dirname(os.path.abspath(__file__))
FUNCTIONS = 80     # of the generated C file, about 20 lines each
TEXT_BYTES = 8 << 20
PART_BYTES = 1 << 20


def c_source():
    """A preprocessed C file: loops, structs, switches, calls; the same every time."""
    dice = random.Random(2)
    lines = ['typedef unsigned int u32; typedef unsigned long u64;',
             'struct item { u32 id, weight; struct item *next; double score; };',
             'extern u32 consume(u64, double); extern struct item *items[64];']
    for n in range(FUNCTIONS):
        a, b, c = (dice.randint(3, 997) for _ in range(3))
        other = dice.randrange(n) if n else None
        lines += [
            f'static u32 table{n}[{16 + n % 48}];',
            f'u64 work{n}(struct item *head, u32 count, u64 seed)', '{',
            f'    u64 sum = seed * {a}u; double mean = {b}.5; struct item *i;',
            '    for (i = head; i; i = i->next) {',
            f'        switch (i->id % {3 + n % 6}) {{',
            f'        case 0: sum += i->weight * {c}u; mean += i->score / {a}.25; break;',
            f'        case 1: sum ^= sum >> {n % 31 + 1}; if (i->weight > {b}u) mean *= 0.5; break;',
            f'        case 2: table{n}[i->id % {16 + n % 48}] += (u32)sum + count; break;',
            f'        default: if (sum & {1 << n % 12}u) {{ i->weight -= {c}u; continue; }}', '        }',
            f'        sum = sum * {2 * a + 1}u + i->id;', '    }',
            f'    for (u32 k = 0; k < count; k++) for (u32 j = 0; j < {16 + n % 48}; j++) {{',
            f'        u32 v = table{n}[j] + k * {a}u;',
            f'        if (v % {dice.choice((3, 5, 7, 11))} == 1) v = v << {n % 7 + 1} | v >> {25 - n % 7};',
            f'        table{n}[j] = v ^ items[(v + j) % 64]->weight;', '    }',
            *([f'    if (count > {b}u) sum += work{other}(head->next, count / 2, sum ^ seed);']
              if other is not None else []),
            '    return sum + consume(sum, mean);', '}']
    return '\n'.join(lines) + '\n'


def text():
    """Words in a skewed distribution with numbers in between, so that it packs like a log."""
    dice = random.Random(3)
    words = [''.join(dice.choice('etaoinshrdlucmfw') for _ in range(dice.randint(2, 9)))
             for _ in range(3000)]
    parts, size = [], 0
    while size < TEXT_BYTES:
        line = ' '.join(words[int(len(words) * dice.random() ** 3)] for _ in range(12))
        line += f' {dice.randrange(1 << 20)}\n'
        parts.append(line)
        size += len(line)
    return ''.join(parts)[:TEXT_BYTES].encode()


COMPILER = {'amd64': 'gcc', 'arm64': 'aarch64-linux-gnu-gcc'}
EMULATOR = {'amd64': [], 'arm64': [shutil.which('qemu-aarch64') or 'qemu-aarch64']}     # how the host runs such programs


def compile_programs(compiler, to):
    subprocess.run([compiler, '-O2', '-static', '-std=gnu17', '-Wall', '-Wextra', '-o', to,
                    os.path.join(HERE, 'programs.c')], check=True)


def prepare(folder, programs, arch):
    """Fill `folder` unless it is up to date; `programs` is the tree of the fetched packages."""
    stamp = os.path.join(folder, '.done')
    sources = [path for path in glob.glob(os.path.join(HERE, '*')) if os.path.isfile(path)]
    if os.path.exists(stamp) and os.path.getmtime(stamp) > max(map(os.path.getmtime, sources)):
        return
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    compile_programs(COMPILER[arch], os.path.join(folder, 'programs'))
    if EMULATOR[arch]:
        compile_programs('gcc', timer(folder))
    shutil.copy(os.path.join(HERE, 'programs.sh'), os.path.join(folder, 'run'))
    for script in glob.glob(os.path.join(HERE, '*.lua')) + glob.glob(os.path.join(HERE, '*.pl')):
        shutil.copy(script, folder)
    with open(os.path.join(folder, 'input.i'), 'w', encoding='utf-8') as f:
        f.write(c_source())
    data = text()
    for name, content in (('text', data), ('text.part', data[:PART_BYTES])):
        with open(os.path.join(folder, name), 'wb') as f:
            f.write(content)
    subprocess.run([*loader(programs, arch), os.path.join(programs, 'usr/bin/zstd'), '-q', '-3',
                    os.path.join(folder, 'text')], check=True)
    with open(stamp, 'w', encoding='utf-8'):
        pass


def timer(folder):
    """The stopwatch that the host runs, where the programs are not its own."""
    return folder + '-timer'


def loader(programs, arch):
    """The words that start a program of the fetched tree with that tree's own libraries."""
    triple = guests.TRIPLE[arch]
    folders = ':'.join(os.path.join(programs, name) for name in (f'lib/{triple}', f'usr/lib/{triple}'))
    return [*EMULATOR[arch], os.path.join(programs, f'lib/{triple}', os.path.basename(guests.LOADER[arch])),
            '--library-path', folders]

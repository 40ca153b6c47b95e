# SPDX-License-Identifier: MIT
"""What a guest's output tells of the machine below it."""
import os
import re

# Lines of a kernel log that tell of a fault in the machine below it.
BAD = re.compile(
    r'\bBUG\b(?!s)|WARNING: (?:CPU|at|possible|suspicious|kernel|stack)|unchecked MSR|'
    r'nobody cared|Call Trace|Kernel panic|\bOops\b|general protection|segfault|soft lockup|'
    r'hard LOCKUP|stalls? on CPU|self-detected stall|rcu.*starved|\blost\b.*(?:irq|interrupt|tick|'
    r'timer|CPU)|(?:irq|interrupt|tick|timer).*\blost\b|Lost \d+|does not work properly|'
    r'check_timer failed|MP-BIOS bug|trap invalid opcode|Firmware Bug|ACPI (?:BIOS )?Error|'
    r'ACPI Warning|AE_[A-Z_]+|Marking clocksource .* unstable|Marking TSC unstable|'
    r'double fault|page fault for address|divide error|not responding|Attempted to kill init|'
    r'CPU\d+ (?:failed|is stuck)|timed out|ran into an error|Internal error:|'
    r'Unable to handle kernel|\bSError\b|undefined instruction|failed to come online|'
    r'unhandled (?:signal|exception)|Bad mode in|Division by zero in kernel', re.I)
# ... and lines that hold such words but come from a sound machine too.
FINE = re.compile(r'vulnerable|Spectre|RETBleed|MDS|use "pci=nocrs" and report a bug|'
                  r'not a bug|TSCs unsynchronized|Command line:|BUG: none|detected: .*SError|'
                  r'disabling VPD access', re.I) # of any adapter of that number


class Failed(Exception):
    """What the guest did wrong; the text is for the reader of the test's result."""


# ... and what any machine says whose CPUs had to wait for others on a busy host.
LATE = re.compile(r'Lost \d+ RTC interrupts')
# ... and where the host had several times as much to do as it can: CPUs stood still for many seconds.
STARVED = re.compile(r'stalls? on CPU|soft lockup|\brcu: |rcu.*starved|Call Trace')


def excused(line):
    """Is it the host's load that the line tells of?"""
    load = os.getloadavg()[0] / os.cpu_count()
    return bool(load > 1.5 and LATE.search(line) or load > 4 and STARVED.search(line))


def scan(lines):
    """Fail on the first line of a kernel log that tells of trouble."""
    for _, line in lines:
        found = BAD.search(line)
        if found and not FINE.search(line) and not excused(line):
            raise Failed(f'kernel log: {line.strip()[:120]}')


def need(condition, text):
    if not condition:
        raise Failed(text)

# SPDX-License-Identifier: MIT
"""A text screen that follows the few terminal sequences of firmware and memtest86+."""
import re

TOKEN = re.compile(r'\x1b\[([?\d;]*)([A-Za-z])|\x1b.|([\r\n\b])|([^\x00-\x1f])', re.S)


class Screen:
    """80 by 25 characters; feed() may be given the output in any pieces."""

    def __init__(self, columns=80, rows=25):
        self.columns, self.rows = columns, rows
        self.cells = [[' '] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.rest = ''

    def feed(self, text):
        text = self.rest + text
        cut = re.search(r'\x1b(\[[?\d;]*)?$', text)
        self.rest = cut.group(0) if cut else ''
        for token in TOKEN.finditer(text[:len(text) - len(self.rest)]):
            parameters, command, control, character = token.groups()
            if command:
                self._command(parameters, command)
            elif control:
                self._control(control)
            elif character:
                self._put(character)

    def _command(self, parameters, command):
        numbers = [int(n) if n.isdigit() else 0 for n in parameters.split(';')]
        if command in 'Hf':
            self.row = min(max(numbers[0], 1), self.rows) - 1
            self.column = min(max((numbers + [1])[1], 1), self.columns) - 1
        elif command == 'J':
            self.cells = [[' '] * self.columns for _ in range(self.rows)]

    def _control(self, control):
        if control == '\r':
            self.column = 0
        elif control == '\b':
            self.column = max(0, self.column - 1)
        elif self.row + 1 < self.rows:
            self.row += 1
        else:
            self.cells = self.cells[1:] + [[' '] * self.columns]

    def _put(self, character):
        if self.column < self.columns:
            self.cells[self.row][self.column] = character
            self.column += 1

    def text(self):
        return '\n'.join(''.join(row).rstrip() for row in self.cells)

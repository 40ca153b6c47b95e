#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make a C decoder from a table of bit patterns.

  decode.py INPUT.decode OUTPUT.c OUTPUT.h

Input, a line each; # starts a comment:

  table NAME STRUCT WIDTH            once, first; WIDTH is 16 or 32
  table NAME STRUCT WIDTH PREFIX HEADER   STRUCT stands in HEADER, and emitters are PREFIX + name: tables with emitters in common
  format @NAME TOKENS                what rows have in common
  ROW [@FORMAT] TOKENS : EMITTER [ATTRIBUTES]
  {                                  rows up to } may overlap: the first that matches is it
  }

TOKENS, from the highest bit down, must add up to WIDTH bits:

  0 1 x .      fixed bits; x: either; . : as the format says (in a format: as the row says)
  name         a field of one bit; name:N of N bits; name:sN signed
  name[h:l]    the piece of a field that is its bits h to l; name[sh:l] with the sign on top; name[n] one bit.
               Bits below the lowest piece are zero: imm[s27:2] is a signed 26-bit count of words.

A row's fixed bits may stand where its format has a field: the field then has that value. ATTRIBUTES:

  field=VALUE  a field with no bits of its own: a number or a C constant
  !COND,...    the row does not match when all hold: field=N, or field&N: those bits are set
  +feature     only with that member of ArmFeatures; +a|b with either; -feature: only without. Else the row does not match
  word         a tag, for tests

The emitter `todo` counts one line at run time and raises UNDEFINED. Overlaps of rows outside of a common group, rows that can
never match, wrong widths and unknown names are errors.
"""
import re
import sys

BITS = re.compile(r'^[01x.]+$')
FIELD = re.compile(r'^([a-z_][a-z0-9_]*)(?::(s?)([0-9]+))?$')
PIECE = re.compile(r'^([a-z_][a-z0-9_]*)\[(s?)([0-9]+)(?::([0-9]+))?\]$')
CONDITION = re.compile(r'^([a-z_][a-z0-9_]*)([=&])([0-9a-fx]+)$')
NAME = re.compile(r'^[A-Za-z_][A-Za-z0-9_]*$')


class Bad(Exception):
    """What is wrong with the line being read."""


class Field:
    """Pieces as (lowest bit in the word, width, lowest bit in the value)."""

    def __init__(self, name):
        self.name, self.signed, self.pieces = name, False, []

    def top(self):
        return max(to + width for _, width, to in self.pieces)

    def check(self):
        seen = 0
        for _, width, to in self.pieces:
            bits = ((1 << width) - 1) << to
            if seen & bits:
                raise Bad(f'field {self.name}: its pieces overlap')
            seen |= bits
        if seen & (seen + (seen & -seen)):
            raise Bad(f'field {self.name}: there is a gap between its pieces')
        if self.top() > 31 + self.signed:
            raise Bad(f'field {self.name}: wider than 31 bits')

    def pattern(self, value):
        """mask and value of the word's bits when the field is `value`."""
        mask = bits = 0
        for at, width, to in self.pieces:
            mask |= ((1 << width) - 1) << at
            bits |= (value >> to & ((1 << width) - 1)) << at
        return mask, bits

    def extract(self):
        parts = []
        for at, width, to in self.pieces:
            if self.signed and to + width == self.top():
                part = f'(int32_t)(w << {32 - at - width}) >> {32 - width}'
                parts.append(f'(int32_t)((uint32_t)({part}) << {to})' if to else f'({part})')
                continue
            part = f'w >> {at}' if at else 'w'
            part = f'({part} & 0x{(1 << width) - 1:x})'
            parts.append(f'({part} << {to})' if to else part)
        return '(int32_t)(' + ' | '.join(f'(uint32_t){p}' if self.signed and len(parts) > 1 else p
                                         for p in parts) + ')'


class Pattern:
    def __init__(self, width):
        self.width, self.mask, self.value, self.dontcare, self.fields = width, 0, 0, 0, {}

    def known(self):
        known = self.mask | self.dontcare
        for field in self.fields.values():
            known |= field.pattern(0)[0]
        return known

    def add(self, tokens):
        """Overlay the tokens on what is there."""
        at = self.width
        for token in tokens:
            at -= self.token_width(token)
            if at < 0:
                break
            self.place(token, at)
        if at != 0:
            raise Bad(f'the tokens are {self.width - at} bits wide, not {self.width}')

    @staticmethod
    def token_width(token):
        if BITS.match(token):
            return len(token)
        match = FIELD.match(token)
        if match:
            return int(match[3] or 1)
        match = PIECE.match(token)
        if match and int(match[3]) >= int(match[4] or match[3]):
            return int(match[3]) - int(match[4] or match[3]) + 1
        raise Bad(f'"{token}" is no bit pattern and no field')

    def place(self, token, at):
        if BITS.match(token):
            for n, char in enumerate(reversed(token)):
                self.place_bit(char, at + n)
            return
        match = FIELD.match(token)
        if match:
            name, signed, width, to = match[1], match[2], int(match[3] or 1), 0
        else:
            match = PIECE.match(token)
            name, signed, to = match[1], match[2], int(match[4] or match[3])
            width = int(match[3]) - to + 1
        if self.known() & ((1 << width) - 1) << at:
            raise Bad(f'field {name} stands where the format has something else')
        field = self.fields.setdefault(name, Field(name))
        field.signed = field.signed or bool(signed)
        field.pieces.append((at, width, to))

    def place_bit(self, char, at):
        bit = 1 << at
        if char == '.':
            return
        if char == 'x':
            if self.known() & bit:
                raise Bad(f'bit {at} is in the format already')
            self.dontcare |= bit
            return
        value = bit if char == '1' else 0
        if self.mask & bit and self.value & bit != value or self.dontcare & bit:
            raise Bad(f'bit {at} is {(self.value & bit) // bit} in the format')
        self.mask |= bit
        self.value |= value

    def copy(self):
        new = Pattern(self.width)
        new.mask, new.value, new.dontcare = self.mask, self.value, self.dontcare
        for name, field in self.fields.items():
            new.fields[name] = Field(name)
            new.fields[name].signed, new.fields[name].pieces = field.signed, list(field.pieces)
        return new


class Row:
    def __init__(self, name, pattern, emitter, line, group):
        self.name, self.pattern, self.emitter, self.line, self.group = name, pattern, emitter, line, group
        self.mask, self.value, self.fields = pattern.mask, pattern.value, pattern.fields
        self.constants, self.exclude, self.features, self.tags = {}, [], [], []
        if pattern.known() != (1 << pattern.width) - 1:
            missing = (1 << pattern.width) - 1 & ~pattern.known()
            raise Bad(f'{name}: bits 0x{missing:x} are not defined')
        for field in self.fields.values():
            field.check()

    def attribute(self, word):
        if word[0] in '+-':
            self.features.append(word)
        elif word[0] == '!':
            self.exclude.append(self.excluded(word[1:]))
        elif '=' in word:
            name, _, value = word.partition('=')
            if name in self.fields or not NAME.match(name):
                raise Bad(f'{word}: the field has bits')
            self.constants[name] = value
        elif NAME.match(word):
            self.tags.append(word)
        else:
            raise Bad(f'"{word}" is no attribute')

    def excluded(self, text):
        mask = value = 0
        for part in text.split(','):
            match = CONDITION.match(part)
            if not match or match[1] not in self.fields:
                raise Bad(f'"{part}" is no condition on a field of the row')
            bits, wanted = self.fields[match[1]].pattern(int(match[3], 0))
            mask |= bits if match[2] == '=' else wanted
            value |= wanted
        if len(self.exclude) == 4:
            raise Bad('four exclusions at most')
        return mask, value

    def meets(self, other):
        """Is there a word that both match, features aside?"""
        if (self.value ^ other.value) & self.mask & other.mask:
            return False
        mask, value = self.mask | other.mask, self.value | other.value
        return not any(m & ~mask == 0 and value & m == v for m, v in self.exclude + other.exclude)

    def hides(self, other):
        return not self.features and not self.exclude and self.mask & ~other.mask == 0 and self.meets(other)

    def condition(self, given=0):
        terms = []
        if self.mask & ~given:
            terms.append(f'(w & 0x{self.mask & ~given:x}) == 0x{self.value & ~given:x}')
        terms += [f'(w & 0x{m:x}) != 0x{v:x}' for m, v in self.exclude]
        terms += [feature_test(word) for word in self.features]
        return ' && '.join(terms)


def feature_test(word):
    names = [f'has->{n}' for n in word[1:].split('|')]
    test = names[0] if len(names) == 1 else '(' + ' || '.join(names) + ')'
    return '!' + test if word[0] == '-' else test


class Table:
    def __init__(self):
        self.name = None
        self.formats, self.rows, self.group, self.groups = {}, [], 0, 0
        self.names = set()

    def read(self, path):
        errors = []
        with open(path, encoding='utf-8') as file:
            for number, line in enumerate(file, 1):
                words = line.partition('#')[0].split()
                try:
                    if words:
                        self.line(words, number)
                except Bad as bad:
                    errors.append(f'{path}:{number}: {bad}')
        if self.group:
            errors.append(f'{path}: a group is not closed')
        return errors + [f'{path}:{error}' for error in self.overlaps()]

    def line(self, words, number):
        if words[0] == 'table':
            if len(words) not in (4, 6) or words[3] not in ('16', '32'):
                raise Bad('usage: table NAME STRUCT 16|32 [PREFIX HEADER]')
            self.name, self.struct, self.width = words[1], words[2], int(words[3])
            self.prefix, self.header = words[4:] if len(words) == 6 else (f'arm_{self.name}_', None)
        elif self.name is None:
            raise Bad('the first line must be: table NAME STRUCT WIDTH')
        elif words == ['{']:
            if self.group:
                raise Bad('groups do not nest')
            self.groups += 1
            self.group = self.groups
        elif words == ['}']:
            self.group = 0
        elif words[0] == 'format':
            self.formats[words[1]] = self.pattern(words[2:])
        else:
            self.row(words, number)

    def pattern(self, tokens):
        pattern = Pattern(self.width)
        for n, token in enumerate(tokens):
            if not token.startswith('@'):
                pattern.add(tokens[n:])
                break
            if token not in self.formats:
                raise Bad(f'there is no format {token}')
            if n:
                raise Bad('one format only')
            pattern = self.formats[token].copy()
        return pattern

    def row(self, words, number):
        if ':' not in words:
            raise Bad('a row needs " : EMITTER"')
        colon = words.index(':')
        if words[0] in self.names or not NAME.match(words[0]):
            raise Bad(f'{words[0]}: no name, or there is one already')
        if colon + 1 == len(words) or not NAME.match(words[colon + 1]):
            raise Bad('no emitter')
        row = Row(words[0], self.pattern(words[1:colon]), words[colon + 1], number, self.group)
        for word in words[colon + 2:]:
            row.attribute(word)
        self.names.add(row.name)
        self.rows.append(row)

    def overlaps(self):
        errors = []
        for n, row in enumerate(self.rows):
            for other in self.rows[:n]:
                if (row.value ^ other.value) & row.mask & other.mask or not row.meets(other):
                    continue
                if not row.group or row.group != other.group:
                    errors.append(f'{row.line}: {row.name} overlaps {other.name} of line {other.line}')
                elif other.hides(row):
                    errors.append(f'{row.line}: {row.name} can never match: {other.name} does before it')
        return errors


# --- output ---

def tree(rows, index, given, depth):
    """C statements that return the number of the first row that matches; the bits `given` are settled."""
    pad = '    ' * depth
    if not rows:
        return []
    if len(rows) > 2:
        split = choose(rows, given)
        if split:
            return switch(rows, index, given, depth, split)
    out = []
    for row in rows:
        condition = row.condition(given)
        if not condition:
            return out + [f'{pad}return {index[row.name]};']
        out += [f'{pad}if ({condition})', f'{pad}    return {index[row.name]};']
    return out + [f'{pad}return -1;']


def choose(rows, given):
    """The run of up to six bits to switch on: those fixed in the most rows."""
    common = ~given
    for row in rows:
        common &= row.mask
    if common > 0:
        low = 31 - next(n for n in range(32) if common >> (31 - n) & 1)
        width = 1
        while width < 6 and low and common >> (low - 1) & 1:
            low, width = low - 1, width + 1
        return low, width
    counts = [(sum(row.mask >> bit & 1 for row in rows), bit) for bit in range(32) if not given >> bit & 1]
    count, bit = max(counts, default=(0, 0))
    # a split must halve the work, more or less: rows without the bit go both ways
    if count * 2 < len(rows):
        return None
    return bit, 1


def switch(rows, index, given, depth, split):
    pad = '    ' * depth
    low, width = split
    bits = ((1 << width) - 1) << low
    out = [f'{pad}switch (w >> {low} & 0x{(1 << width) - 1:x}) {{']
    cases = {}
    for value in range(1 << width):
        inside = [row for row in rows if not (row.value ^ value << low) & row.mask & bits]
        if inside:
            cases.setdefault('\n'.join(tree(inside, index, given | bits, depth + 1)), []).append(value)
    for body, values in cases.items():
        out += [f'{pad}case 0x{value:x}:' for value in values] + [body]
    return out + [f'{pad}}}', f'{pad}return -1;']


def c_string(text):
    return '"' + text + '"'


def field_table(table):
    """Distinct field lists: name of the C array for each row."""
    out, arrays, name_of = [], {}, {}
    for row in table.rows:
        items = []
        for field in row.fields.values():
            pieces = ', '.join(f'{{ {a}, {w}, {t} }}' for a, w, t in field.pieces)
            items.append(f'{{ {c_string(field.name)}, {str(field.signed).lower()}, {len(field.pieces)}, {{ {pieces} }} }}')
        key = ', '.join(items)
        if key and key not in arrays:
            arrays[key] = f'fields_{len(arrays)}'
            out.append(f'static const ArmField {arrays[key]}[] = {{ {key} }};')
        name_of[row.name] = arrays.get(key, 'NULL')
    return out, name_of


def emit_function(table, n, row):
    out = [f'static void emit_{n}(ArmTrans *x, uint32_t w)', '{',
           f'    {table.struct} i = {{ .row = &rows[{n}], .word = w }};']
    out += [f'    i.{f.name} = {f.extract()};' for f in row.fields.values()]
    out += [f'    i.{name} = {value};' for name, value in row.constants.items()]
    out += [f'    {table.prefix}{row.emitter}(x, &i);', '}']
    return out


def row_entry(n, row, fields):
    exclude = ', '.join(f'{{ 0x{m:x}, 0x{v:x} }}' for m, v in row.exclude)
    has = f'has_{n}' if row.features else 'NULL'
    return (f'    {{ {c_string(row.name)}, {c_string(row.emitter)}, {c_string(" ".join(row.tags))}, {c_string(" ".join(row.features))}, '
            f'0x{row.mask:x}, 0x{row.value:x}, {str(row.emitter == "todo").lower()}, {has}, {fields[row.name]}, {len(row.fields)}, '
            f'{len(row.exclude)}, {{ {exclude or "{ 0, 0 }"} }}, {"arm_emit_todo" if row.emitter == "todo" else f"emit_{n}"} }},')


def source(table, origin, header):
    index = {row.name: n for n, row in enumerate(table.rows)}
    arrays, fields = field_table(table)
    out = [f'/* Made by scripts/decode.py from {origin}. */', '#include "target/arm/tcg/translate.h"', f'#include "target/arm/tcg/{header}"', '']
    out += [f'static const ArmRow rows[{len(table.rows)}];', '']
    for n, row in enumerate(table.rows):
        if row.emitter != 'todo':
            out += emit_function(table, n, row)
        if row.features:
            test = ' && '.join(feature_test(word) for word in row.features)
            out.append(f'static bool has_{n}(const ArmFeatures *has) {{ return {test}; }}')
    out += arrays
    out += ['static const ArmRow rows[] = {'] + [row_entry(n, row, fields) for n, row in enumerate(table.rows)] + ['};', '']
    body = tree(table.rows, index, 0, 1)
    out += ['static int match(const ArmFeatures *has, uint32_t w)', '{', *body, '}', '', f'const ArmTable arm_{table.name}_table = {{ {c_string(table.name)}, {table.width}, rows, {len(table.rows)}, match }};', '']
    return '\n'.join(out)


def header_text(table, origin):
    guard = f'TARGET_ARM_TCG_{table.name.upper()}_DECODE_H'
    members, emitters = {}, {}
    for row in table.rows:
        if row.emitter == 'todo':
            continue
        emitters[row.emitter] = True
        members.update(dict.fromkeys([*row.fields, *row.constants]))
    lines, line = [], '   '
    for name in members:
        if len(line) + len(name) > 90:
            lines.append(line)
            line = '   '
        line += f' {name},' if line.strip() else f' int32_t {name},'
    if line.strip():
        lines.append(line)
    out = [f'/* Made by scripts/decode.py from {origin}. */', f'#ifndef {guard}', f'#define {guard}', '#include "target/arm/tcg/decode.h"', '',
           *([f'#include "target/arm/tcg/{table.header}"', ''] if table.header else
             [f'typedef struct {table.struct} {{', '    const ArmRow *row;', '    uint32_t word;',
              *[text.rstrip(',') + ';' for text in lines], f'}} {table.struct};', ''])]
    out += [f'void {table.prefix}{name}(ArmTrans *x, const {table.struct} *i);' for name in emitters]
    out += ['#endif', '']
    return '\n'.join(out)


def main(argv):
    if len(argv) != 4:
        sys.exit('usage: decode.py INPUT.decode OUTPUT.c OUTPUT.h')
    table = Table()
    errors = table.read(argv[1])
    if not errors and not table.rows:
        errors.append(f'{argv[1]}: no rows')
    if errors:
        sys.exit('\n'.join(errors))
    origin = argv[1].rsplit('/', 1)[-1]
    with open(argv[2], 'w', encoding='utf-8') as file:
        file.write(source(table, origin, argv[3].rsplit('/', 1)[-1]))
    with open(argv[3], 'w', encoding='utf-8') as file:
        file.write(header_text(table, origin))


if __name__ == '__main__':
    main(sys.argv)

"""A file cut into records, however large it is: CSV, JSON Lines, or one JSON array.

No record is held that is larger than RECORD_LIMIT, and one that is broken takes no other with it: a field of 100 MB is
passed over to its end, and a quote that is never closed costs the line it stands in.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TextIO

RECORD_LIMIT = 2_000_000  # characters
SHOWN = 1_000  # characters that are kept of a line that could not be read
_PIECE = 65_536
_ENVELOPE = re.compile(r'\s*\{\s*"(?:tickets|issues|items|results|data)"\s*:\s*\[')
_WRAPPINGS = ("helpdesk_ticket", "ticket", "issue")
OTHERS = "other columns"
csv.field_size_limit(RECORD_LIMIT * 2)


class UnreadableFile(Exception):
    """Nothing more of this file can be imported; the message says why."""


class _TooLarge(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Record:
    """{column: value} as the file has it; `trouble` says why it is none. `missing`: columns after its last cell."""

    values: dict[str, Any]
    trouble: str = ""
    missing: frozenset[str] = field(default_factory=frozenset)


def csv_records(file: TextIO, delimiter: str, *, has_header: bool = True) -> Iterator[Record]:
    """Those of a CSV file; without a header its columns are "Column 1", "Column 2", and so on."""
    header: list[str] | None = None
    for cells, trouble, line in _rows(_Lines(file), delimiter):
        if header is None and cells and cells[0].startswith("sep="):  # Excel's own note of the delimiter
            continue
        if header is None and (has_header or not trouble):
            header = _named(cells) if has_header else [f"Column {number}" for number in range(1, len(cells) + 1)]
            if has_header:
                continue
        if trouble:
            yield Record({"line": line[:SHOWN]}, trouble)
            continue
        columns = header or []
        values: dict[str, Any] = dict(zip(columns, cells, strict=False))
        if len(cells) > len(columns):
            values[OTHERS] = cells[len(columns) :]
        yield Record(values, missing=frozenset(columns[len(cells) :]))


def json_lines(file: TextIO) -> Iterator[Record]:
    while line := file.readline(RECORD_LIMIT + 1):
        if len(line) > RECORD_LIMIT:
            shown = line[:SHOWN]
            while line and not line.endswith("\n"):
                line = file.readline(_PIECE)
            yield Record({"line": shown}, f"This line is longer than {RECORD_LIMIT:,} characters.")
        elif line.strip():
            yield _object(line)


def json_array(file: TextIO) -> Iterator[Record]:
    """The objects of one array, alone or in an object as APIs send it. Raises UnreadableFile where it breaks off."""
    head = file.read(_PIECE)
    start = _ENVELOPE.match(head) or re.compile(r"\s*\[").match(head)
    if start is None:
        raise UnreadableFile("This is no JSON array.")
    decoder, buffer, at, count = json.JSONDecoder(), head, start.end(), 0
    while True:
        at = _after_blanks(buffer, at)
        if buffer.startswith("]", at):
            return
        try:
            value, at = decoder.raw_decode(buffer, at)
        except RecursionError:
            raise UnreadableFile(f"Object {count + 1} of the array is nested too deeply.") from None
        except ValueError:
            buffer, at = buffer[at:], 0
            more = file.read(max(_PIECE, len(buffer))) if len(buffer) <= RECORD_LIMIT else ""
            if not more:
                raise UnreadableFile(f"The array breaks off, or is no JSON, after {count:,} objects.") from None
            buffer += more
            continue
        count += 1
        yield _unwrapped(value, str(value)[:SHOWN])


def is_envelope(head: str) -> bool:
    return _ENVELOPE.match(head) is not None


def _after_blanks(buffer: str, at: int) -> int:
    while at < len(buffer) and buffer[at] in " \t\r\n,":
        at += 1
    return at


def _object(line: str) -> Record:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return Record({"line": line[:SHOWN]}, "This line is no JSON.")
    return _unwrapped(value, line[:SHOWN])


def _unwrapped(value: Any, line: str) -> Record:
    if not isinstance(value, dict):
        return Record({"line": line}, "This line is no JSON object.")
    if len(value) == 1 and (name := next(iter(value))) in _WRAPPINGS and isinstance(value[name], dict):
        value = value[name]
    return Record(value)


def _named(cells: list[str]) -> list[str]:
    """A name for every column: an empty one is called by its place, a name that comes twice gets a number."""
    seen: dict[str, int] = {}
    names = []
    for number, cell in enumerate(cells, start=1):
        name = cell.strip() or f"Column {number}"
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def _rows(lines: _Lines, delimiter: str) -> Iterator[tuple[list[str], str, str]]:
    """(cells, what is wrong, the line as it stands) of each row that is not blank."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.held.clear()
        lines.size = 0
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _TooLarge:
            line = lines.held[0]
            yield [], lines.pass_over(delimiter), line
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
        except csv.Error:
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            line, *others = lines.held
            lines.back.extendleft(reversed(others))
            if others:
                yield [], "A quote is opened in this row and never closed.", line
            else:  # one line, quoted loosely: what a spreadsheet would make of it
                yield next(csv.reader([line], delimiter=delimiter)), "", line
        else:
            if cells:
                yield cells, "", ""


class _Lines:
    """The lines of a file, for a reader of CSV. `held` are those of the record that is being read."""

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.back: deque[str] = deque()
        self.held: list[str] = []
        self.size = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._pull()
        if not line:
            raise StopIteration
        self.held.append(line)
        self.size += len(line)
        if self.size > RECORD_LIMIT:
            raise _TooLarge
        return line

    def pass_over(self, delimiter: str) -> str:
        """Go behind the record that is too large. Gives what was wrong with it, in a sentence."""
        held, after, place = list(self.held), list(self.back), self.file.tell()
        if not _opens_quote("".join(held), delimiter):
            self._end_line(held[-1])
            return f"This row is larger than {RECORD_LIMIT:,} characters."
        if self._behind_quote(delimiter):
            return f"A field of this row is larger than {RECORD_LIMIT:,} characters."
        self.file.seek(place)
        self.back = deque([*held[1:], *after])
        if len(held) == 1:
            self._end_line(held[0])
        return "A quote is opened in this row and never closed."

    def _pull(self) -> str:
        return self.back.popleft() if self.back else self.file.readline(RECORD_LIMIT + 1)

    def _end_line(self, line: str) -> None:
        while line and not line.endswith(("\n", "\r")):
            line = self._pull()

    def _behind_quote(self, delimiter: str) -> bool:
        """Read on to the quote that closes the field, and to the end of the record. False where there is none."""
        carried = ""
        while piece := self._pull():
            piece, carried, at = carried + piece, "", 0
            while (at := piece.find('"', at)) >= 0:
                after = piece[at + 1 : at + 2]
                if after == '"':
                    at += 2
                    continue
                if not after:
                    carried = '"'
                    break
                if after in (delimiter, "\n", "\r"):
                    self.back.appendleft('""' + piece[at + 1 :])
                    self._drop_record(delimiter)
                    return True
                return False
        return bool(carried)

    def _drop_record(self, delimiter: str) -> None:
        self.held.clear()
        self.size = 0
        try:
            next(csv.reader(self, delimiter=delimiter), None)
        except _TooLarge:
            self.pass_over(delimiter)
        except csv.Error:
            return


def _opens_quote(text: str, delimiter: str) -> bool:
    try:
        for _ in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False

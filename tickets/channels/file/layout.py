"""How a file is to be read: found out by looking at it, and by what a person says instead."""

from __future__ import annotations

import codecs
import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any, Self

from tickets.channels.base import clean_line
from tickets.channels.file import dates
from tickets.channels.file.formats import FIELDS, FORMATS, PLAIN, Format, key_of, recognise
from tickets.channels.file.records import (
    Record,
    UnreadableFile,
    csv_records,
    is_envelope,
    json_array,
    json_lines,
)

HEAD = 65_536
LOOKED_AT = 200  # records that are read to find out what a file is
DELIMITERS = {",": "Comma", ";": "Semicolon", "\t": "Tab", "|": "Bar"}
ENCODINGS = {
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "cp1252": "Western (Windows-1252)",
    "iso-8859-15": "Western (ISO 8859-15)",
    "cp1250": "Central European (Windows-1250)",
    "cp1251": "Cyrillic (Windows-1251)",
    "koi8-r": "Cyrillic (KOI8-R)",
    "cp1253": "Greek (Windows-1253)",
    "cp1254": "Turkish (Windows-1254)",
    "shift_jis": "Japanese (Shift JIS)",
    "gb18030": "Chinese (GB 18030)",
    "big5": "Chinese (Big5)",
    "euc-kr": "Korean (EUC-KR)",
}
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_NOT_IN_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person says of a file; what is None or empty is found out."""

    format: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)  # {field: column}; "" for none
    delimiter: str = ""
    encoding: str = ""
    has_header: bool | None = None
    day_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is read. `columns` are {field: keys of its columns}, of which the first that is filled counts."""

    kind: str  # csv, jsonl or json
    encoding: str
    delimiter: str
    has_header: bool
    format: str
    columns: Mapping[str, tuple[str, ...]]
    header: tuple[str, ...]  # the columns there are, as the file spells them
    day_first: bool | None

    @property
    def known(self) -> Format:
        return FORMATS.get(self.format, PLAIN)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, held: Mapping[str, Any]) -> Self:
        columns = {name: tuple(keys) for name, keys in held["columns"].items()}
        return cls(**{**held, "columns": columns, "header": tuple(held["header"])})

    @classmethod
    def find(cls, path: Path, *, encoding: str, choice: Choice, name: str = "") -> Self:
        """Look at the beginning of a file. Raises UnreadableFile, or OSError."""
        encoding = choice.encoding or encoding
        try:
            head = _head(path, encoding)
        except (LookupError, UnicodeError) as error:
            raise UnreadableFile(f"The file is not written in {encoding}.") from error
        if not head.strip("\ufeff \t\r\n\x00"):
            raise UnreadableFile("The file is empty.")
        kind = _kind(head, (name or path.name).lower())
        delimiter = choice.delimiter or (_delimiter(head) if kind == "csv" else "")
        bare = cls(kind, encoding, delimiter, choice.has_header is not False, "", {}, (), choice.day_first)
        return bare._completed(path, choice)

    def records(self, path: Path) -> Iterator[tuple[Record, int]]:
        """Each record with how many bytes of the file are read by then. Raises UnreadableFile, OSError."""
        with path.open("rb") as raw:
            file = TextIOWrapper(raw, encoding=self.encoding, errors="replace", newline="")
            try:
                for record in self._cut(file):
                    yield record, raw.tell()
            except UnicodeError as error:
                raise UnreadableFile(f"The file is not written in {self.encoding}.") from error

    def _cut(self, file: TextIOWrapper) -> Iterator[Record]:
        if self.kind == "csv":
            return csv_records(file, self.delimiter, has_header=self.has_header)
        return json_array(file) if self.kind == "json" else json_lines(file)

    def _completed(self, path: Path, choice: Choice) -> Self:
        first = list(self._first(path))
        header = self._header(path, first)
        keys = frozenset(key_of(column) for column in header)
        known = FORMATS.get(choice.format) or recognise(keys)
        columns = {name: names for name, names in known.columns.items() if names}
        for name, column in choice.columns.items():
            if name in FIELDS:
                columns[name] = (key_of(column),) if column else ()
        if self.kind == "csv":
            columns = {name: tuple(one for one in names if one in keys) for name, names in columns.items()}
        whole = replace(self, format=known.key, columns=columns, header=header)
        return whole if choice.day_first is not None else replace(whole, day_first=_day_first(whole, first))

    def _first(self, path: Path) -> Iterator[Record]:
        """Those at the beginning. A file that breaks off later is imported until there."""
        try:
            for record, _ in islice(self.records(path), LOOKED_AT):
                if not record.trouble:
                    yield record
        except UnreadableFile:
            return

    def _header(self, path: Path, first: Iterable[Record]) -> tuple[str, ...]:
        if self.kind == "csv" and self.has_header:
            with path.open(encoding=self.encoding, errors="replace", newline="") as file:
                return tuple(next(csv_records(file, self.delimiter, has_header=False), Record({})).values.values())
        seen: dict[str, None] = {}
        for record in first:
            for column, value in record.values.items():
                seen[str(column)] = None
                if isinstance(value, dict):
                    seen.update(dict.fromkeys(f"{column}.{inner}" for inner in list(value)[:50]))
        return tuple(seen)[:500]

    def trouble(self) -> str:
        """Why nothing can be imported so; empty where it can."""
        there = {key_of(column) for column in self.header}
        if there.intersection((*self.columns.get("title", ()), *self.columns.get("text", ()))):
            return ""
        found = ", ".join(clean_line(column)[:40] for column in self.header) or "none"
        if self.known is not PLAIN:
            return (
                f"An export of {self.known.label} has a column for the title, and this file does not. "
                f"It has: {found[:500]}."
            )
        return f"The header names neither title, subject, description, body nor text. It has: {found[:500]}."


def look_through(path: Path) -> tuple[str, str, int]:
    """Digest (SHA-256, hex), encoding and size, in one pass. What is not UTF-8 is taken for Windows-1252 or Latin-1."""
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8, seen, head, size = True, set[int](), b"", 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            head = head or block[:HEAD]
            size += len(block)
            digest.update(block)
            if is_utf8:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    is_utf8 = False
            if not is_utf8:
                seen |= _NOT_IN_CP1252.intersection(block)
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return digest.hexdigest(), encoding, size
    if is_utf8 and (bare := _bare_utf16(head)):
        return digest.hexdigest(), bare, size
    fallback = "latin-1" if seen else "cp1252"
    return digest.hexdigest(), "utf-8" if is_utf8 else fallback, size


def _bare_utf16(head: bytes) -> str:
    """UTF-16 without its mark: every other byte of what is mostly Latin is nought."""
    half = max(len(head) // 2, 1)
    if head[1::2].count(0) > half * 0.4:
        return "utf-16-le"
    return "utf-16-be" if head[::2].count(0) > half * 0.4 else ""


def _head(path: Path, encoding: str) -> str:
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        return file.read(HEAD)


def _kind(head: str, name: str) -> str:
    start = head.lstrip("\ufeff \t\r\n")
    if start.startswith("[") and start[1:].lstrip().startswith(("{", "]")):
        return "json"
    if is_envelope(start):
        return "json"
    return "jsonl" if start.startswith("{") or name.endswith((".jsonl", ".ndjson")) else "csv"


def _delimiter(head: str) -> str:
    header = head.splitlines()[0] if head.splitlines() else ""
    if header.lower().startswith("sep=") and len(header) == 5:  # what Excel writes for itself
        return header[4]
    counts = {mark: _outside_quotes(header).count(mark) for mark in DELIMITERS}
    best = max(counts, key=lambda mark: counts[mark])
    if counts[best]:
        return best
    try:
        return csv.Sniffer().sniff(head[:8_000], delimiters="".join(DELIMITERS)).delimiter
    except csv.Error:  # one column
        return ","


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _day_first(layout: Layout, records: Iterable[Record]) -> bool | None:
    keys = layout.columns.get("created_at", ())
    for record in records:
        for column, value in record.values.items():
            if key_of(column) in keys and value and (order := dates.tells_order(value)) is not None:
                return order
    return None

"""A file of another system, row by row: CSV or JSON Lines, in whatever encoding it was written."""

from __future__ import annotations

import codecs
import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from django.utils.dateparse import parse_datetime
from pydantic import ValidationError

from tickets.channels.base import Inbound, clean_line, complaints
from tickets.models import SUBJECT_LIMIT, Lane, priority_of

COLUMNS = {
    "title": ("title", "subject"),
    "text": ("description", "body", "text"),
    "requester_email": ("email",),
    "requester_name": ("name",),
    "external_id": ("external_id", "id"),
    "created_at": ("created_at",),
    "priority": ("priority",),
}
NAMES = {"text": "description", "requester_email": "email", "requester_name": "name"}
FIELD_LIMIT = 2_000_000  # characters; a quote that is never closed must not swallow the file
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_NOT_IN_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")


class UnreadableFile(Exception):
    """Nothing in this file can be imported; the message says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the file, counted from 1 without the header. `inbound` is None where it was refused."""

    number: int
    inbound: Inbound | None
    refused: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A file that was looked at once: its digest (SHA-256, hex), encoding and format."""

    path: Path
    digest: str
    encoding: str
    is_json: bool
    size: int

    @classmethod
    def examine(cls, path: Path) -> ImportFile:
        """Read the file once through. Raises UnreadableFile or OSError."""
        digest, encoding, head = _look_through(path)
        if not head.strip():
            raise UnreadableFile("The file is empty.")
        first = head.decode(encoding, errors="ignore").lstrip()[:1]
        if first == "[":
            raise UnreadableFile("This is one JSON array. Write one JSON object a line (JSON Lines) instead.")
        is_json = first == "{" or path.suffix.lower() in (".jsonl", ".ndjson")
        return cls(path, digest, encoding, is_json, path.stat().st_size)

    def rows(self, *, after: int = 0) -> Iterator[tuple[Row, int]]:
        """Each row after the first `after` ones, with how many bytes of the file are read by then."""
        with self.path.open("rb") as raw:
            file = TextIOWrapper(raw, encoding=self.encoding, errors="replace", newline="")
            contents = _json_lines(file) if self.is_json else _csv_rows(file)
            for number, (content, trouble) in enumerate(contents, start=1):
                if number > after:
                    row = Row(number, None, trouble, content) if trouble else self._read(number, content)
                    yield row, raw.tell()

    def _read(self, number: int, content: dict[str, Any]) -> Row:
        try:
            named, raw = _sort(content)
            text = _words(named.get("text"))
            title = _words(named.get("title")) or _first_words(text)
            inbound = Inbound(
                title=title,
                text=text if text.strip() else title,
                requester_email=_words(named.get("requester_email")),
                requester_name=_words(named.get("requester_name")),
                external_id=_words(named.get("external_id")) or f"{self.digest[:32]}:{number}",
                priority=_priority(named, raw),
                created_at=_moment(named.get("created_at")),
                raw=raw or None,
                lane=Lane.IMPORTED,
            )
        except ValidationError as error:
            reasons = (f"{NAMES.get(name, name)}: {said}" for name, said in complaints(error).items())
            return Row(number, None, " ".join(reasons), content)
        except (ValueError, RecursionError) as error:
            return Row(number, None, str(error), content)
        return Row(number, inbound, "", content)


def _look_through(path: Path) -> tuple[str, str, bytes]:
    """Digest, encoding and first bytes, in one pass. What is not UTF-8 is taken for Windows-1252 or Latin-1."""
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8, seen, head = True, set[int](), b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            head = head or block[:65536]
            digest.update(block)
            if is_utf8:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    is_utf8 = False
            seen |= _NOT_IN_CP1252.intersection(block)
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return digest.hexdigest(), encoding, head
    fallback = "latin-1" if seen else "cp1252"
    return digest.hexdigest(), "utf-8" if is_utf8 else fallback, head


def _csv_rows(file: TextIO) -> Iterator[tuple[dict[str, Any], str]]:
    csv.field_size_limit(FIELD_LIMIT)
    header = file.readline(65536)
    file.seek(0)
    try:
        delimiter = csv.Sniffer().sniff(header, delimiters=",;\t|").delimiter
    except csv.Error:  # one column, or a header that is quoted throughout
        delimiter = ";" if header.count(";") > header.count(",") else ","
    rows = csv.DictReader(file, delimiter=delimiter, restkey="other columns")
    _require_columns(rows.fieldnames or [])
    while True:
        try:
            content = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield {}, f"This row is no CSV: {error}."
        else:
            yield content, ""


def _json_lines(file: TextIO) -> Iterator[tuple[dict[str, Any], str]]:
    for line in file:
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            yield {"line": line[:1000]}, "This line is no JSON."
            continue
        if isinstance(content, dict):
            yield content, ""
        else:
            yield {"line": line[:1000]}, "This line is no JSON object."


def _require_columns(header: Any) -> None:
    known = {name for names in (COLUMNS["title"], COLUMNS["text"]) for name in names}
    if not known & {_key(column) for column in header}:
        found = ", ".join(clean_line(column)[:40] for column in header) or "none"
        raise UnreadableFile(
            f"The header names neither title, subject, description, body nor text. It has: {found[:500]}."
        )


def _sort(content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is a ticket's own by its column's name, and the rest, kept raw."""
    by_key = {_key(column): column for column in reversed(content)}
    named, used = {}, set()
    for field, names in COLUMNS.items():
        for name in names:
            column = by_key.get(name)
            if column is not None and _words(content[column]).strip():
                named[field] = content[column]
                used.add(column)
                break
    raw = {column: value for column, value in content.items() if column not in used and value not in (None, "")}
    return named, raw


def _key(column: Any) -> str:
    return str(column).strip().lower().replace(" ", "_")


def _words(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        raise ValueError("A title, text, name or id is a text, not a list or an object.")
    return str(value)


def _first_words(text: str) -> str:
    """A title for a row that has none: the first line that says something."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    return str(clean_line(line))[: min(120, SUBJECT_LIMIT)]


def _priority(named: dict[str, Any], raw: dict[str, Any]) -> str | None:
    """The customer's priority, if it is one of ours; another system's own words are kept raw."""
    given = named.get("priority")
    if given is None:
        return None
    try:
        return str(priority_of(str(given)).value)
    except ValueError:
        raw["priority"] = given
        return None


def _moment(given: Any) -> datetime | None:
    """ISO 8601, the date of a mail, or seconds since 1970. Raises ValueError for anything else."""
    if given is None:
        return None
    words = str(given).strip()
    try:
        if words.replace(".", "", 1).isdigit() and len(words.partition(".")[0]) == 10:
            return datetime.fromtimestamp(float(words), tz=UTC)
        moment = parse_datetime(words) or datetime.fromisoformat(words)
    except ValueError:
        try:
            moment = parsedate_to_datetime(words)
        except (ValueError, TypeError, IndexError):
            raise ValueError(
                f"created_at: {words[:60]!r} is no date like 2026-01-31 or 2026-01-31T09:30:00Z."
            ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

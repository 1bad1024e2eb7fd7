"""A file of another system, row by row: CSV or JSON, in whatever encoding it was written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parseaddr
from itertools import islice
from pathlib import Path
from typing import Any

from django.utils import timezone
from pydantic import ValidationError

from tickets.cells import restored
from tickets.channels.base import Inbound, clean_line, clean_text, complaints
from tickets.channels.file import conversations
from tickets.channels.file.conversations import Said
from tickets.channels.file.dates import moment
from tickets.channels.file.formats import FIELDS, FORMATS, key_of
from tickets.channels.file.layout import Choice, Layout, look_through
from tickets.channels.file.records import Record, UnreadableFile
from tickets.channels.github.payloads import Account
from tickets.models import ENDED, SUBJECT_LIMIT, TEXT_LIMIT, Lane, Message, Status, priority_of
from triage.pipeline.types import MAX_TAGS

__all__ = ["FIELDS", "FORMATS", "Choice", "ImportFile", "Layout", "Row", "UnreadableFile"]
NAMES = {"text": "description", "requester_email": "email", "requester_name": "name"}
MOST_SAID = 2_000  # messages of one thread


@dataclass(frozen=True, slots=True)
class Spoken:
    """A message of a thread, ready to be stored."""

    kind: Message.Kind
    text: str
    author: str
    at: datetime
    key: str


@dataclass(frozen=True, slots=True)
class Past:
    """What a ticket has behind it where it comes from."""

    status: Status = Status.NEW
    ended_at: datetime | None = None
    tags: tuple[str, ...] = ()
    thread: tuple[Spoken, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the file, counted from 1 without the header. `inbound` is None where it was refused."""

    number: int
    inbound: Inbound | None
    refused: str
    content: dict[str, Any]
    past: Past = field(default_factory=Past)

    @property
    def weight(self) -> int:
        """Characters, roughly."""
        if self.inbound is None:
            return sum(len(str(value)) for value in self.content.values())
        return len(self.inbound.text) + sum(len(one.text) for one in self.past.thread)


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A file that was looked at once: its digest (SHA-256, hex), its size in bytes, and how it is read."""

    path: Path
    digest: str
    size: int
    layout: Layout

    @classmethod
    def examine(cls, path: Path, choice: Choice | None = None, *, name: str = "", check: bool = True) -> ImportFile:
        """Read the file once through. Raises UnreadableFile or OSError; with `check`, also where no column fits."""
        digest, encoding, size = look_through(path)
        layout = Layout.find(path, encoding=encoding, choice=choice or Choice(), name=name)
        if check and (trouble := layout.trouble()):
            raise UnreadableFile(trouble)
        return cls(path, digest, size, layout)

    def rows(self, *, after: int = 0) -> Iterator[tuple[Row, int]]:
        """Each row after the first `after` ones, with how many bytes of the file are read by then."""
        numbered = enumerate(self.layout.records(self.path), start=1)
        for number, (record, position) in islice(numbered, after, None):
            yield self._row(number, record), position

    def _row(self, number: int, record: Record) -> Row:
        trouble = record.trouble or self._cut_off(record)
        if trouble:
            return Row(number, None, trouble, record.values)
        try:
            return self._read(number, record.values)
        except ValidationError as error:
            reasons = (f"{NAMES.get(name, name)}: {said}" for name, said in complaints(error).items())
            return Row(number, None, " ".join(reasons), record.values)
        except (ValueError, RecursionError, OverflowError) as error:
            return Row(number, None, str(error) or "This row cannot be read.", record.values)

    def _cut_off(self, record: Record) -> str:
        if not record.missing:
            return ""
        used = {key for keys in self.layout.columns.values() for key in keys}
        gone = [column for column in record.missing if key_of(column) in used]
        return f"This row ends before its column {gone[0]!r}." if gone else ""

    def _read(self, number: int, content: dict[str, Any]) -> Row:
        known = self.layout.known
        named, raw = self._sort(content)
        text = _words(named.get("text"))
        text = conversations.plain(text) if known.takes_html else text
        said: list[Said] = []
        if known.conversation is not None:
            text, said = known.conversation(content, text)
            raw = {key: value for key, value in raw.items() if not _is_thread(key, value)}
        title = _words(named.get("title")) or _first_words(text)
        email, name = self._customer(named)
        status, tags = self._status(named, raw), _tags(named, raw)
        inbound = Inbound(
            title=title,
            text=text if text.strip() else title,
            requester_email=email,
            requester_name=name,
            external_id=_words(named.get("external_id")) or f"{self.digest[:32]}:{number}",
            priority=self._priority(named, raw),
            created_at=self._moment(named.get("created_at")),
            raw=raw or None,
            lane=Lane.IMPORTED,
        )
        return Row(number, inbound, "", content, self._past(named, status, tags, said, inbound))

    def _sort(self, content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is a ticket's own by its column's name, and the rest, kept raw."""
        by_key = {key_of(column): column for column in reversed(content)}
        named, used = {}, set()
        for name, keys in self.layout.columns.items():
            for key in keys:
                column, value = _found(content, by_key, key)
                if isinstance(value, dict) and any(other.startswith(f"{key}.") for other in keys):
                    continue  # it was looked into
                if key in self.layout.known.vague and "@" not in str(value):
                    continue
                if value not in (None, "", []) and (isinstance(value, (dict, list)) or str(value).strip()):
                    named[name] = self._unquoted(value)
                    used.add(column)
                    break
        raw = {column: value for column, value in content.items() if column not in used and value not in (None, "")}
        return named, raw

    def _unquoted(self, value: Any) -> Any:
        csv_of_ours = self.layout.known.unquotes and self.layout.kind == "csv"
        return restored(value) if csv_of_ours and isinstance(value, str) else value

    def _customer(self, named: dict[str, Any]) -> tuple[str, str]:
        email, name = _words(named.get("requester_email")).strip(), _words(named.get("requester_name")).strip()
        if self.layout.known.by_login and not email and name:
            return Account(login=name).address("github.com"), name
        if email and email == name:  # one column for both: a name, an address, or one with the other
            name, email = parseaddr(email) if "@" in email else (email, "")
        return email, name

    def _priority(self, named: dict[str, Any], raw: dict[str, Any]) -> str | None:
        """The customer's priority, if it is one of ours; another system's own words are kept raw."""
        given = named.get("priority")
        if given is None:
            return None
        known = self.layout.known.priorities.get(str(given).strip().lower())
        try:
            return known or str(priority_of(str(given)).value)
        except ValueError:
            raw["priority"] = given
            return None

    def _moment(self, given: Any) -> datetime | None:
        return moment(given, day_first=self.layout.day_first)

    def _status(self, named: dict[str, Any], raw: dict[str, Any]) -> Status:
        """As the other system's word says; a word that nobody knows is kept raw, and the ticket open."""
        word = _words(named.get("status")).strip().lower()
        statuses = self.layout.known.statuses or _OWN_STATUSES
        status = statuses.get(word) or statuses.get(word.replace(" ", "_"))
        if status is None and word:
            raw["status"] = named["status"]
        return status or Status.NEW

    def _past(
        self, named: dict[str, Any], status: Status, tags: tuple[str, ...], said: list[Said], inbound: Inbound
    ) -> Past:
        ended_at = self._moment(named.get("ended_at")) if status in ENDED else None
        now = timezone.now()
        begun = inbound.created_at or now
        thread = tuple(sorted((self._spoken(one, begun) for one in said if one.text.strip()), key=lambda one: one.at))
        if len(thread) > MOST_SAID:
            raise ValueError(f"comments: there are more than {MOST_SAID:,}.")
        return Past(status, min(max(ended_at, begun), now) if ended_at else None, tags, thread)

    def _spoken(self, said: Said, begun: datetime) -> Spoken:
        text = str(clean_text(said.text)).rstrip()
        if len(text) > TEXT_LIMIT:
            raise ValueError(f"comments: one is longer than {TEXT_LIMIT:,} characters.")
        at = min(self._moment(said.at) or begun, timezone.now())
        author = str(clean_line(said.author))[:100]
        return Spoken(said.kind, text, author, at, str(clean_line(said.key))[:200])


_OWN_STATUSES = {
    "new": Status.NEW,
    "open": Status.NEW,
    "waiting": Status.WAITING,
    "pending": Status.WAITING,
    "resolved": Status.RESOLVED,
    "solved": Status.RESOLVED,
    "done": Status.RESOLVED,
    "closed": Status.CLOSED,
}


def _found(content: dict[str, Any], by_key: dict[str, str], key: str) -> tuple[str, Any]:
    """(column, value) of a key; a key with a dot leads into an object."""
    if key in by_key:
        return by_key[key], content[by_key[key]]
    outer, _, inner = key.partition(".")
    held = content.get(by_key.get(outer, "")) if inner else None
    if isinstance(held, dict):
        return by_key[outer], next((value for name, value in held.items() if key_of(name) == inner), None)
    return "", None


def _is_thread(column: str, value: Any) -> bool:
    return column in conversations.KEYS and isinstance(value, list)


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


def _tags(named: dict[str, Any], raw: dict[str, Any]) -> tuple[str, ...]:
    """Up to MAX_TAGS tags as the desk writes them; where some do not fit, all of them are kept raw as well."""
    given = named.get("tags")
    if isinstance(given, str):
        given = re.split(r"[,;|\n]" if re.search(r"[,;|\n]", given) else r"\s+", given)
    listed = [one.get("name") if isinstance(one, dict) else one for one in given] if isinstance(given, list) else []
    words = [re.sub(r"[^\w]+", "-", str(one).strip().lower()).strip("-") for one in listed if one]
    fitting = [word for word in dict.fromkeys(words) if word and len(word) <= 50]
    if len(fitting[:MAX_TAGS]) < len({*words} - {""}):
        raw["tags"] = named["tags"]
    return tuple(fitting[:MAX_TAGS])

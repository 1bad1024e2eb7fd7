"""Headers of a mail as text, addresses and identities, whatever stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from tickets.channels.base import EMAIL_LIMIT, NAME_LIMIT, clean_line

HEADER_LIMIT = 20_000  # characters that are looked at of one header
IDENTITY_LIMIT = 255
MOST_IDENTITIES = 60  # of a thread: its beginning and its end name it
MOST_ADDRESSES = 50
MOST_HEADERS = 20  # of one name; a mail that means well has one
_IDENTITY = re.compile(r"<([^<>\s]{1,998})>")
_BARE_IDENTITY = re.compile(r"[^<>\s]{1,998}@[^<>\s]{1,255}")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a header: an address in the form that it is compared in, and the name given with it."""

    email: str
    name: str = ""


def raw(message: Message, name: str) -> str:
    """The first header of this name as it was sent, unfolded; empty where there is none."""
    return _as_sent(message.get(name, ""))


def every(message: Message, name: str) -> list[str]:
    """The first MOST_HEADERS of this name."""
    return [_as_sent(value) for value in message.get_all(name, [])[:MOST_HEADERS]]


def text(message: Message, name: str) -> str:
    """The first header of this name on one line, its encoded words decoded as far as they can be."""
    return decoded(raw(message, name))


def decoded(value: str) -> str:
    if "=?" not in value:
        return str(clean_line(value))
    try:
        parts = decode_header(value)
    except (HeaderParseError, ValueError):
        return str(clean_line(value))
    return str(clean_line("".join(_part(part, charset) for part, charset in parts)))


def people(message: Message, *names: str) -> list[Person]:
    """Whom these headers name, each once, those alone whose address can be written to."""
    values = [value for name in names for value in every(message, name)]
    found: dict[str, Person] = {}
    for name, address in getaddresses(values):
        person = person_of(address, decoded(name))
        if person:
            found.setdefault(person.email, person)
    return list(found.values())[:MOST_ADDRESSES]


def person_of(address: str, name: str = "") -> Person | None:
    """A person, or None where the address is none."""
    email = str(clean_line(address)).strip("<>'\" ").lower()
    if not email or len(email) > EMAIL_LIMIT:
        return None
    try:
        validate_email(email)
    except ValidationError:
        return None
    return Person(email, str(clean_line(name)).strip("'\" ")[:NAME_LIMIT])


def identity(message: Message) -> str:
    """The Message-ID without brackets; empty where there is none that can be kept."""
    found = identities([raw(message, "Message-ID")])
    return found[0] if found else ""


def identities(values: Iterable[str]) -> list[str]:
    """Message-IDs in the order they stand in; of a thousand those at the beginning and at the end."""
    found: list[str] = []
    for value in values:
        ids = _IDENTITY.findall(value) or _BARE_IDENTITY.findall(value)
        found += [one for one in ids if len(one) <= IDENTITY_LIMIT and "\x00" not in one]
    unique = list(dict.fromkeys(found))
    if len(unique) > MOST_IDENTITIES:
        half = MOST_IDENTITIES // 2
        unique = [*unique[:half], *unique[-half:]]
    return unique


def date(message: Message) -> datetime | None:
    """When it says that it was written; None where it says nothing that can be read."""
    try:
        moment = parsedate_to_datetime(raw(message, "Date"))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _as_sent(value: object) -> str:
    """A header as text: bytes that are not ASCII, which the parser hands over as surrogates, are UTF-8 or Latin-1."""
    held = str(value) if isinstance(value, str) else _bytes_of(value)
    held = held[:HEADER_LIMIT] if len(held) <= HEADER_LIMIT * 5 else f"{held[:HEADER_LIMIT]} {held[-HEADER_LIMIT:]}"
    if any("\udc80" <= character <= "\udcff" for character in held):
        octets = held.encode("utf-8", "surrogateescape")
        try:
            held = octets.decode("utf-8")
        except UnicodeDecodeError:
            held = octets.decode("latin-1")
    return re.sub(r"[\r\n]+[ \t]*", " ", held)


def _bytes_of(value: object) -> str:
    """What the parser made a Header object of, because it was not ASCII."""
    chunks = getattr(value, "_chunks", None)
    return "".join(str(chunk[0]) for chunk in chunks) if chunks else str(value)


def _part(part: bytes | str, charset: str | None) -> str:
    if isinstance(part, str):
        return part
    try:
        return part.decode(charset or "ascii")
    except (LookupError, UnicodeDecodeError):
        return part.decode("utf-8", "replace")

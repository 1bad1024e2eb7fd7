"""The bytes of one mail, read: whatever is wrong with them, something comes of it and nothing is opened or run."""

from __future__ import annotations

import email
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import compat32

from tickets.channels.base import clean_line, clean_text
from tickets.channels.email import bodies, headers, kinds
from tickets.channels.email.headers import Person
from tickets.channels.email.kinds import Bounce, Kind

SIZE_LIMIT = 50 * 1024 * 1024  # bytes: larger mails are not read
MOST_PARTS = 300
MOST_FILES = 100
TEXT_LIMIT = 200_000  # characters of the whole text that is kept
_ARCHIVES = re.compile(r"\.(zip|gz|tgz|bz2|xz|7z|rar|tar|zst)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class File:
    """One attachment as it came; `content_id` is what the HTML calls it by, `inline` whether it does."""

    name: str
    content: bytes
    content_type: str
    content_id: str = ""
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail, read. `external_id` is the same whenever the same mail comes; `notes` say what was left out and why."""

    external_id: str
    message_id: str
    kind: Kind
    sender: Person | None
    reply_to: Person | None
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    subject: str
    text: str
    html: str
    thread: tuple[str, ...]  # Message-IDs that it answers, the nearest first
    written_at: datetime | None
    size: int
    files: tuple[File, ...] = ()
    notes: tuple[str, ...] = ()
    bounce: Bounce | None = None
    passed_on: Message | None = None  # a whole mail that came as an attachment
    verdicts: tuple[str, ...] = ()  # Authentication-Results, the topmost first


@dataclass
class _Found:
    """What walking through the parts gathers."""

    plain: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    passed_on: Message | None = None

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


def read(raw: bytes) -> Mail:
    """Read a mail. Never raises for what stands in it; `SIZE_LIMIT` is the caller's to hold."""
    message, found = _parsed(raw)
    kind = kinds.kind_of(message)
    html = bodies.safe_html("\n".join(found.html)) if found.html else ""
    text = "\n\n".join(words for words in found.plain if words.strip()) or (bodies.text_from(html) if html else "")
    if len(text) > TEXT_LIMIT:
        found.note(f"The text is longer than {TEXT_LIMIT:,} characters, and was cut there.")
    senders = headers.people(message, "From") or headers.people(message, "Sender", "Return-Path")
    replies = headers.people(message, "Reply-To")
    answered = headers.identities([headers.raw(message, "In-Reply-To")])
    before = headers.identities(headers.every(message, "References"))
    return Mail(
        external_id=_external_id(message, senders, raw),
        message_id=headers.identity(message),
        kind=kind,
        sender=senders[0] if senders else None,
        reply_to=replies[0] if replies else None,
        to=tuple(headers.people(message, "To")),
        cc=tuple(headers.people(message, "Cc")),
        subject=headers.text(message, "Subject"),
        text=text[:TEXT_LIMIT],
        html=html,
        thread=tuple(dict.fromkeys([*answered, *reversed(before)])),
        written_at=headers.date(message),
        size=len(raw),
        files=tuple(found.files),
        notes=tuple(found.notes),
        bounce=kinds.bounce_of(message) if kind == Kind.BOUNCE else None,
        passed_on=found.passed_on,
        verdicts=tuple(headers.every(message, "Authentication-Results")[:5]),
    )


def read_head(raw: bytes, size: int) -> Mail:
    """A mail that is too large to be read, from its headers alone."""
    message = BytesHeaderParser(policy=compat32).parsebytes(raw)
    message.set_payload("")
    mail = read(message.as_bytes(policy=compat32.clone(cte_type="8bit")))
    note = (
        f"This mail has {size / 1024 / 1024:.0f} MB. Mails of more than {SIZE_LIMIT // 1024 // 1024} MB are not read."
    )
    return Mail(**{name: getattr(mail, name) for name in Mail.__slots__} | {"size": size, "notes": (note,)})


def within(message: Message) -> Mail:
    """A mail that came as an attachment of another."""
    return read(message.as_bytes(policy=compat32.clone(cte_type="8bit")))


def _parsed(raw: bytes) -> tuple[Message, _Found]:
    found = _Found()
    try:
        message = email.message_from_bytes(raw, policy=compat32)
        _gather(message, found)
    except Exception as error:  # built to break a parser, or broken beyond what one expects
        found = _Found()
        found.note(f"The parts of this mail could not be told apart ({type(error).__name__}). It is shown as it came.")
        head, _, body = raw.partition(b"\n\n") if b"\r\n\r\n" not in raw else raw.partition(b"\r\n\r\n")
        message = BytesHeaderParser(policy=compat32).parsebytes(head)
        found.plain.append(str(clean_text(body[:TEXT_LIMIT].decode("utf-8", "replace"))))
    return message, found


def _gather(message: Message, found: _Found) -> None:
    """Walk through the parts without recursion; attached mails are kept as they are, not walked into."""
    waiting, seen = [message], 0
    while waiting:
        part = waiting.pop()
        seen += 1
        if seen > MOST_PARTS:
            found.note(f"It has more than {MOST_PARTS} parts. The others were left out.")
            return
        payload = part.get_payload()
        if part.get_content_maintype() == "message" and part is not message:
            _keep_message(part, found)
        elif isinstance(payload, list) and part.get_content_maintype() != "message":
            waiting += [one for one in reversed(payload) if isinstance(one, Message)]
        else:
            _keep(part, found, body=part is message)


def _keep(part: Message, found: _Found, *, body: bool) -> None:
    kind, name = part.get_content_type(), _name(part)
    disposition = str(part.get("Content-Disposition", "")).partition(";")[0].strip().lower()
    words = kind in ("text/plain", "text/html") and disposition != "attachment" and not name
    if words or (body and part.get_content_maintype() == "text"):
        text = bodies.text_of(part)
        if kind == "text/html" or bodies.looks_like_html().match(text[:200]):
            found.html.append(text)
        else:
            found.plain.append(text)
        return
    if kind in ("message/delivery-status", "text/rfc822-headers"):
        return
    _keep_file(part, kind, name, disposition, found)


def _keep_file(part: Message, kind: str, name: str, disposition: str, found: _Found) -> None:
    if len(found.files) >= MOST_FILES:
        found.note(f"It has more than {MOST_FILES} attachments. The others were left out.")
        return
    content = bodies.content_of(part)
    if not content:
        return
    content_id = str(clean_line(headers.raw(part, "Content-ID"))).strip("<> ")[:200]
    if kind in ("application/ms-tnef", "application/vnd.ms-tnef"):
        name = name or "winmail.dat"
        found.note("Outlook sent parts of this mail in its own format (winmail.dat). They are kept and not opened.")
    elif kind == "text/calendar":
        name = name or "invitation.ics"
        found.note("It came with an invitation for a calendar, which is kept as a file.")
    elif _ARCHIVES.search(name):
        found.note("Archives are kept as they came and are not opened.")
    inline = bool(content_id) and part.get_content_maintype() == "image" and disposition != "attachment"
    found.files.append(File(name or _made_up(kind, len(found.files)), content, kind, content_id, inline))


def _keep_message(part: Message, found: _Found) -> None:
    """A mail within the mail: kept as a file, and the first of them read where somebody passes it on."""
    payload = part.get_payload()
    if part.get_content_type() != "message/rfc822" or not isinstance(payload, list) or not payload:
        return
    inner = payload[0]
    if not isinstance(inner, Message) or len(found.files) >= MOST_FILES:
        return
    found.passed_on = found.passed_on or inner
    subject = re.sub(r"[^\w .-]", "_", headers.text(inner, "Subject"))[:80] or "mail"
    found.files.append(File(f"{subject}.eml", inner.as_bytes(policy=compat32.clone(cte_type="8bit")), "message/rfc822"))


def _name(part: Message) -> str:
    try:
        given = part.get_filename() or ""
    except (LookupError, ValueError, TypeError, UnicodeError, AttributeError):
        given = ""
    return str(clean_line(headers.decoded(given)))[:200]


def _made_up(kind: str, number: int) -> str:
    ending = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "application/pdf": "pdf"}.get(kind, "bin")
    return f"attachment-{number + 1}.{ending}"


def _external_id(message: Message, senders: list[Person], raw: bytes) -> str:
    """SHA-256, hex. Of Message-ID, sender and date: senders that give all their mails one Message-ID lose none by it.

    Without a Message-ID, of what the way here does not change: sender, recipients, date, subject and content.
    """
    identity, sender = headers.identity(message), senders[0].email if senders else ""
    date = headers.raw(message, "Date").strip()
    if identity:
        named = "\0".join(("id", identity, sender, date))
    else:
        _, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
        content = hashlib.sha256(body.rstrip()).hexdigest()
        named = "\0".join(("none", sender, headers.raw(message, "To"), date, headers.raw(message, "Subject"), content))
    return hashlib.sha256(named.encode("utf-8", "replace")).hexdigest()

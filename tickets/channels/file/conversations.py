"""The threads that exports carry along: who said what, when, and to whom.

Each reader takes a ticket as the export has it and the text of its description, and gives the description (from the
thread, where the ticket itself has none) and what was said after it, in the order of the export.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tickets.channels.email.bodies import safe_html, text_from
from tickets.models import Message

Kind = Message.Kind
_OF_THE_HOUSE = ("OWNER", "MEMBER", "COLLABORATOR")
_HTML = ("<p", "<div", "<br", "<span", "<table", "<ul", "<ol", "<a ", "<b>", "<strong", "<blockquote", "<html", "<img")


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a thread. `at` is the date as the export spells it; `key` tells it from the others."""

    kind: Message.Kind
    text: str
    author: str
    at: Any
    key: str


def plain(text: str) -> str:
    """The text of what may be HTML; what is none stays as it is."""
    lowered = text[:20_000].lower()
    return text_from(safe_html(text)) if any(tag in lowered for tag in _HTML) else text


def of_desk(ticket: dict[str, Any], text: str) -> tuple[str, list[Said]]:
    said = []
    for number, one in enumerate(_listed(ticket.get("messages"))):
        kind = str(one.get("kind", ""))
        if kind in Kind.values and not (number == 0 and kind == Kind.INBOUND and _words(one.get("text")) == text):
            author = _words(one.get("author"))
            said.append(Said(Kind(kind), _words(one.get("text")), author, one.get("created_at"), str(number)))
    return text, said


def of_zendesk(ticket: dict[str, Any], text: str) -> tuple[str, list[Said]]:
    """The first comment is the description itself."""
    requester = ticket.get("requester")
    asker = ticket.get("requester_id") or (requester.get("id") if isinstance(requester, dict) else None)
    said = []
    for number, one in enumerate(_listed(ticket.get("comments"))):
        body = _words(one.get("plain_body")) or _words(one.get("body")) or plain(_words(one.get("html_body")))
        if number == 0:
            text = text or body
            continue
        mine = asker is not None and one.get("author_id") == asker
        kind = Kind.COMMENT if one.get("public") is False else Kind.INBOUND if mine else Kind.OUTBOUND
        said.append(Said(kind, body, "", one.get("created_at"), _words(one.get("id"))))
    return text, said


def of_freshdesk(ticket: dict[str, Any], text: str) -> tuple[str, list[Said]]:
    said = []
    for one in _listed(ticket.get("conversations")) or _listed(ticket.get("notes")):
        note = one.get("helpdesk_note", one)
        if not isinstance(note, dict):
            continue
        body = _words(note.get("body_text")) or plain(_words(note.get("body")) or _words(note.get("body_html")))
        kind = Kind.COMMENT if note.get("private") else Kind.INBOUND if note.get("incoming") else Kind.OUTBOUND
        author = _words(note.get("from_email"))
        said.append(Said(kind, body, author, note.get("created_at"), _words(note.get("id"))))
    return text, said


def of_zammad(ticket: dict[str, Any], text: str) -> tuple[str, list[Said]]:
    """A ticket of Zammad has no text of its own: its first article is what was asked."""
    said = []
    for number, one in enumerate(_listed(ticket.get("articles"))):
        body = _words(one.get("body"))
        body = text_from(safe_html(body)) if one.get("content_type") == "text/html" else body
        if number == 0 and not text:
            text = body
            continue
        sender = _words(one.get("sender")).lower()
        kind = {"customer": Kind.INBOUND, "system": Kind.SYSTEM}.get(sender, Kind.OUTBOUND)
        kind = Kind.COMMENT if one.get("internal") and kind != Kind.SYSTEM else kind
        author = _words(one.get("from")) or _words(one.get("created_by"))
        said.append(Said(kind, body, author, one.get("created_at"), _words(one.get("id"))))
    return text, said


def of_github(ticket: dict[str, Any], text: str) -> tuple[str, list[Said]]:
    asker = _login(ticket.get("author")) or _login(ticket.get("user"))
    said = []
    for one in _listed(ticket.get("comments")):
        login = _login(one.get("author")) or _login(one.get("user"))
        association = _words(one.get("authorAssociation")) or _words(one.get("author_association"))
        house = login != asker and association in _OF_THE_HOUSE
        at = one.get("createdAt") or one.get("created_at")
        kind = Kind.OUTBOUND if house else Kind.INBOUND
        said.append(Said(kind, _words(one.get("body")), login, at, _words(one.get("id"))))
    return text, said


KEYS = frozenset(("messages", "comments", "conversations", "notes", "articles"))


def _login(given: Any) -> str:
    return _words(given.get("login")) if isinstance(given, dict) else ""


def _listed(given: Any) -> list[dict[str, Any]]:
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []


def _words(given: Any) -> str:
    return "" if given is None or isinstance(given, (dict, list)) else str(given)

"""What kind of mail it is: written by a person, by a program, by a list, or a mail server's report."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message
from enum import StrEnum

from tickets.channels.base import clean_line
from tickets.channels.email import bodies, headers

_DAEMON = re.compile(r"^(mailer-daemon|postmaster|mail-daemon|mdaemon)@", re.IGNORECASE)
_AWAY = re.compile(
    r"^\W*(automatic reply|auto(?:matic)?[- ]?(?:reply|response)|autoreply|out of (?:the )?office|away from|on vacation"
    r"|automatische antwort|abwesenheit|abwesend|réponse automatique|absence du bureau|respuesta automática"
    r"|fuera de la oficina|risposta automatica|fuori sede|resposta automática|automatisch antwoord|afwezig)\b",
    re.IGNORECASE,
)
_STATUS = re.compile(r"\b([245])\.\d{1,3}\.\d{1,3}\b")


class Kind(StrEnum):
    PERSON = "person"
    AUTO_REPLY = "auto_reply"  # an answer by a program: a holiday, a receipt
    AUTOMATIC = "automatic"  # sent by a program of its own accord: an alert, a bill
    LIST = "list"
    BOUNCE = "bounce"


@dataclass(frozen=True, slots=True)
class Bounce:
    """What a mail server reports of a mail. `action`: failed, delayed, delivered, relayed, expanded; or unknown."""

    action: str
    permanent: bool
    recipient: str
    detail: str
    message_ids: tuple[str, ...]


def kind_of(message: Message) -> Kind:
    submitted = headers.raw(message, "Auto-Submitted").partition(";")[0].strip().lower()
    precedence = headers.raw(message, "Precedence").strip().lower()
    if _is_report(message):
        return Kind.BOUNCE
    if _is_auto_reply(message, submitted, precedence):
        return Kind.AUTO_REPLY
    if precedence == "list" or any(name in message for name in ("List-Id", "List-Post", "List-Unsubscribe")):
        return Kind.LIST
    if submitted not in ("", "no") or precedence in ("bulk", "junk"):
        return Kind.AUTOMATIC
    if headers.raw(message, "Return-Path").strip() == "<>" or headers.raw(message, "X-Auto-Response-Suppress").strip():
        return Kind.AUTOMATIC
    return Kind.PERSON


def bounce_of(message: Message) -> Bounce:
    """What a report says, in as far as it can be read: of the first recipient that did not get the mail."""
    groups = [group for part in _parts(message, "message/delivery-status") for group in _groups(part)]
    told = [group for group in groups if "action" in group or "final-recipient" in group]
    chosen = next((group for group in told if group.get("action", "").lower().startswith("fail")), None)
    chosen = chosen or (told[0] if told else {})
    words = _words(message)
    status = chosen.get("status", "") or (found[0] if (found := _STATUS.search(words)) else "")
    action = chosen.get("action", "").split(" ")[0].lower() or "failed"
    recipient = chosen.get("final-recipient", "") or chosen.get("original-recipient", "")
    recipient = recipient or headers.raw(message, "X-Failed-Recipients")
    person = headers.person_of(recipient.rpartition(";")[2].split(",")[0])
    detail = chosen.get("diagnostic-code", "").partition(";")[2].strip() or chosen.get("diagnostic-code", "") or status
    return Bounce(
        action=action,
        permanent=not status.startswith("4") and action == "failed",
        recipient=person.email if person else "",
        detail=str(clean_line(detail or words[:300]))[:500],
        message_ids=tuple(_returned(message)),
    )


def _is_report(message: Message) -> bool:
    kind = message.get_content_type()
    if kind == "multipart/report":
        report = str(message.get_param("report-type") or "").lower()
        return report in ("delivery-status", "") or any(True for _ in _parts(message, "message/delivery-status"))
    if "X-Failed-Recipients" in message:
        return True
    senders = headers.people(message, "From")
    empty = headers.raw(message, "Return-Path").strip() == "<>"
    return empty and bool(senders) and bool(_DAEMON.match(senders[0].email))


def _is_auto_reply(message: Message, submitted: str, precedence: str) -> bool:
    if submitted == "auto-replied" or precedence in ("auto_reply", "auto-reply"):
        return True
    if any(name in message for name in ("X-Autoreply", "X-Autorespond", "X-Autoreply-From", "X-Vacation")):
        return True
    if message.get_content_type() == "multipart/report":  # that it was read, that it was spam
        return True
    return bool(_AWAY.match(headers.text(message, "Subject"))) and not headers.raw(message, "List-Id")


def _parts(message: Message, content_type: str) -> list[Message]:
    found = []
    for number, part in enumerate(message.walk()):
        if number > 200:
            break
        if part.get_content_type() == content_type:
            found.append(part)
    return found


def _groups(part: Message) -> list[dict[str, str]]:
    """The groups of fields of a delivery status; the parser makes a message of each."""
    payload = part.get_payload()
    if isinstance(payload, list):
        return [
            {str(name).lower(): headers.raw(group, str(name)).strip() for name in group}
            for group in payload[:50]
            if isinstance(group, Message)
        ]
    groups = []
    for block in re.split(r"\n\s*\n", bodies.text_of(part)):
        lines = re.sub(r"\n[ \t]+", " ", block).split("\n")
        pairs = (line.partition(":") for line in lines if ":" in line)
        groups.append({name.strip().lower(): value.strip() for name, _, value in pairs})
    return groups


def _words(message: Message) -> str:
    for part in _parts(message, "text/plain"):
        return bodies.text_of(part)[:5_000]
    return ""


def _returned(message: Message) -> list[str]:
    """Message-IDs of the mail that is reported of: from what came back of it, else from the report's own thread."""
    found: list[str] = []
    for part in [*_parts(message, "message/rfc822"), *_parts(message, "message/rfc822-headers")]:
        payload = part.get_payload()
        found += (
            [headers.identity(one) for one in payload[:1] if isinstance(one, Message)]
            if isinstance(payload, list)
            else []
        )
    for part in _parts(message, "text/rfc822-headers"):
        found += headers.identities(re.findall(r"(?im)^message-id:\s*(\S+)", bodies.text_of(part)[:50_000]))
    if not any(found):  # some quote it in words alone
        found += headers.identities(re.findall(r"(?im)^\s*message-id:\s*(<[^<>\s]+>)", _words(message)))
    found += headers.identities([headers.raw(message, "In-Reply-To"), headers.raw(message, "References")])
    return list(dict.fromkeys(one for one in found if one))

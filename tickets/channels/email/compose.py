"""A reply as an e-mail: text first, simple HTML second, in the thread of the ticket."""

from __future__ import annotations

import re
from email.utils import parseaddr
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from tickets import markdown
from tickets.channels.base import clean_line
from tickets.channels.email import attached, subjects
from tickets.models import Acknowledgement, Mailbox, Message

if TYPE_CHECKING:
    from tickets.models import Delivery, Source, Ticket

QUOTED_AT_MOST = 10_000  # characters of the customer's own words that go back with the reply
MOST_REFERENCES = 20
LINK_WORDS = "See your request, or add to it"


def message_for(delivery: Delivery) -> EmailMultiAlternatives:
    """The e-mail of one delivery. Its Message-ID is made once, and stored before anything is sent.

    Raises ValueError (BadHeaderError among them) when sender or recipient is no address, OSError when a file of the
    reply cannot be read.
    """
    ticket, reply = delivery.ticket, delivery.message
    sender = sender_of(ticket.source)
    if "@" not in parseaddr(delivery.recipient)[1]:
        raise ValueError(f"the recipient {delivery.recipient[:100]!r} is no address")
    headers = {"Message-ID": f"<{_own_identity(delivery, sender)}>", **_thread(ticket, reply)}
    theirs = Message.objects.with_customer(ticket).filter(kind=Message.Kind.INBOUND, pk__lt=reply.pk)
    asked = theirs.select_related("requester").last()
    signature = ticket.source.signature.strip()
    link = f"{settings.BASE_URL}{ticket.get_status_url()}"
    email = EmailMultiAlternatives(
        subject=subjects.answering(ticket.subject, ticket.number),
        body=_as_text(reply.text, link, signature, asked),
        from_email=sender,
        to=[clean_line(delivery.recipient)],
        cc=[clean_line(address) for address in delivery.cc if "@" in parseaddr(address)[1]],
        reply_to=reply_to_of(ticket.source, sender),
        headers=headers,
    )
    email.attach_alternative(_as_html(reply.text, link, signature, asked), "text/html")
    attached.add_files(email, attached.files_of(reply))
    return email


def sender_of(source: Source) -> str:
    """Whom mails of a source come from. Raises ValueError where that is no address."""
    sender = str(clean_line(source.sender)) or settings.DEFAULT_FROM_EMAIL
    if "@" not in parseaddr(sender)[1]:
        raise ValueError(f"the sender {sender[:100]!r} is no address")
    return sender


def reply_to_of(source: Source, sender: str) -> list[str]:
    """Where answers are to go: the mailbox that is read, where mails do not come from it anyhow."""
    mailbox = Mailbox.objects.filter(source=source).values_list("address", flat=True).first()
    return [mailbox] if mailbox and mailbox.lower() != parseaddr(sender)[1].lower() else []


def _own_identity(delivery: Delivery, sender: str) -> str:
    """The Message-ID without brackets, the same at every attempt: what a mail server may tell a double by."""
    reply = delivery.message
    if not reply.message_id:
        domain = re.sub(r"[^A-Za-z0-9.-]", "", parseaddr(sender)[1].rpartition("@")[2]) or "localhost"
        reply.message_id = f"ticket-{delivery.ticket_id}.{delivery.key}@{domain}"
        Message.objects.filter(pk=reply.pk).update(message_id=reply.message_id)
    return reply.message_id


def _thread(ticket: Ticket, reply: Message) -> dict[str, str]:
    """In-Reply-To the customer's last mail (else ours before), References to all of them, oldest first."""
    earlier = Message.objects.with_customer(ticket).conversation().filter(pk__lt=reply.pk).exclude(message_id="")
    known = list(earlier.values_list("message_id", "kind"))
    if not known:  # what came by form or API has no mail of theirs, but perhaps our receipt
        sent = Acknowledgement.objects.filter(ticket=ticket, state=Acknowledgement.State.SENT)
        known = [(identity, Message.Kind.OUTBOUND) for identity in sent.values_list("identity", flat=True)]
    identities = [f"<{re.sub(r'[^!-~]|[<>]', '', identity)}>" for identity, _ in known]
    if not identities:
        return {}
    theirs = [identity for identity, (_, kind) in zip(identities, known, strict=True) if kind == Message.Kind.INBOUND]
    if len(identities) > MOST_REFERENCES:
        identities = [identities[0], *identities[1 - MOST_REFERENCES :]]
    return {"In-Reply-To": (theirs or identities)[-1], "References": " ".join(identities)}


def _as_text(text: str, link: str, signature: str, asked: Message | None) -> str:
    parts = [text, f"{LINK_WORDS}:\n{link}"]
    if signature:
        parts.append(f"-- \n{signature}")
    if asked:
        parts.append("\n".join([_attribution(asked), *(f"> {line}".rstrip() for line in _quote(asked).splitlines())]))
    return "\n\n".join(parts) + "\n"


def _as_html(text: str, link: str, signature: str, asked: Message | None) -> SafeString:
    parts = [markdown.render(text), format_html('<p><a href="{}">{}</a></p>', link, LINK_WORDS)]
    if signature:
        parts.append(format_html("<p>{}</p>", as_lines(signature)))
    if asked:
        parts.append(
            format_html("<p>{}</p><blockquote><p>{}</p></blockquote>", _attribution(asked), as_lines(_quote(asked)))
        )
    body = format_html_join("\n", "{}", ((part,) for part in parts))
    return format_html('<!doctype html><html><head><meta charset="utf-8"></head><body>\n{}\n</body></html>', body)


def as_lines(text: str) -> SafeString:
    """A text with its lines kept, for HTML."""
    return format_html_join(SafeString("<br>\n"), "{}", ((line,) for line in text.splitlines()))


def _attribution(asked: Message) -> str:
    when = date_format(timezone.localtime(asked.created_at), "j F Y, H:i")
    return f"On {when}, {clean_line(asked.author_label)} wrote:"


def _quote(asked: Message) -> str:
    text = asked.text
    return text if len(text) <= QUOTED_AT_MOST else f"{text[:QUOTED_AT_MOST]}\n[…]"

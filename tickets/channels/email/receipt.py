"""The receipt of a request as an e-mail: fixed words of an admin, the number, and where to follow it."""

from __future__ import annotations

from email.utils import parseaddr
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.utils.html import format_html, format_html_join

from tickets.channels.base import clean_line
from tickets.channels.email import subjects
from tickets.channels.email.compose import as_lines, reply_to_of, sender_of

if TYPE_CHECKING:
    from tickets.models import Acknowledgement

USUAL = (
    "Thank you for writing to us. Your request is here, and its number is {number}.\n\n"
    "Somebody will read it and answer you. You need not do anything until then."
)
LINK_WORDS = "Follow your request, or add to it"


def words_of(text: str, number: int) -> str:
    """An admin's words, or the usual ones, with the number where they ask for it."""
    return (text.strip() or USUAL).replace("{number}", str(number))


def receipt_of(one: Acknowledgement) -> EmailMultiAlternatives:
    """The e-mail of one receipt. Programs are asked not to answer it. Raises ValueError where an address is none.

    What the customer wrote is not in it, but for the subject: it may go to an address that somebody else gave.
    """
    ticket = one.ticket
    sender, recipient = sender_of(ticket.source), clean_line(one.recipient)
    if "@" not in parseaddr(recipient)[1]:
        raise ValueError(f"the recipient {recipient[:100]!r} is no address")
    link = f"{settings.BASE_URL}{ticket.get_status_url()}"
    words, signature = words_of(ticket.source.receipt_text, ticket.number), ticket.source.signature.strip()
    asked = ticket.messages.filter(kind="inbound").exclude(message_id="").values_list("message_id", flat=True).first()
    answers = {"In-Reply-To": f"<{asked}>", "References": f"<{asked}>"} if asked else {}
    email = EmailMultiAlternatives(
        subject=subjects.answering(ticket.subject, ticket.number),
        body="\n\n".join([words, f"{LINK_WORDS}:\n{link}", *([f"-- \n{signature}"] if signature else [])]) + "\n",
        from_email=sender,
        to=[recipient],
        reply_to=reply_to_of(ticket.source, sender),
        headers={
            "Message-ID": f"<{one.identity}>",
            "Auto-Submitted": "auto-replied",
            "X-Auto-Response-Suppress": "All",
            **answers,
        },
    )
    paragraphs = format_html_join("\n", "<p>{}</p>", ((as_lines(part),) for part in words.split("\n\n")))
    html = format_html(
        '<!doctype html><html><head><meta charset="utf-8"></head><body>\n{}\n'
        '<p><a href="{}">{}</a></p>\n{}</body></html>',
        paragraphs,
        link,
        LINK_WORDS,
        format_html("<p>{}</p>\n", as_lines(signature)) if signature else "",
    )
    email.attach_alternative(html, "text/html")
    return email

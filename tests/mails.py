"""Mails as people and programs write them, in bytes."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

DESK = "support@desk.example"
_numbers = itertools.count(1)
_BEGAN = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def written(
    text: str = "The CSV export stops half way.",
    *,
    sender: str = "Kim Sample <kim@example.com>",
    subject: str = "Export fails",
    to: str = DESK,
    html: str = "",
    identity: str | None = None,
    answers: str = "",
    **headers: str,
) -> EmailMessage:
    """A mail of its own each time: Message-ID and Date are new. `answers` is a Message-ID with brackets."""
    number = next(_numbers)
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, to, subject
    mail["Date"] = format_datetime(_BEGAN + timedelta(seconds=number))
    mail["Message-ID"] = identity or f"<mail-{number}@mail.example.com>"
    if answers:
        mail["In-Reply-To"] = answers
        mail["References"] = answers
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
    return mail


def octets(mail: EmailMessage) -> bytes:
    """As it lies on a server: with CRLF."""
    return mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def bounce(of: str, *, to: str = "kim@example.com", status: str = "5.1.1", action: str = "failed") -> bytes:
    """A delivery status notification (RFC 3464) about the mail with this Message-ID, which has its brackets."""
    code = "550" if status.startswith("5") else "451"
    return (
        f"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example.net\r\nTo: {DESK}\r\n"
        f"Subject: Undelivered Mail Returned to Sender\r\nMessage-ID: <dsn-{next(_numbers)}@mx.example.net>\r\n"
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nYour message could not be delivered.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.example.net\r\nArrival-Date: Mon, 2 Nov 2026 09:00:00 +0000\r\n\r\n"
        f"Final-Recipient: rfc822; {to}\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; {code} {status} no such user here\r\n\r\n"
        f"--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: {of}\r\nSubject: Re: Export fails\r\n"
        "From: support@desk.example\r\n\r\nHello\r\n--b--\r\n"
    ).encode()


def taken(mail: EmailMessage | bytes, **given: Any) -> Any:
    """Take a mail in as the door does; the row that came of it."""
    from tickets.actions.receiving import take_in
    from tickets.channels.email import reading

    raw = mail if isinstance(mail, bytes) else octets(mail)
    return take_in(reading.read(raw), **given)

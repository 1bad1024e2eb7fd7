from __future__ import annotations

import smtplib
from contextlib import suppress
from email.utils import parseaddr
from typing import TYPE_CHECKING

from django.core.mail import BadHeaderError, get_connection

from tickets.channels.base import Channel, SendReceipt, SendRefused, SendUnknown, TryAgain
from tickets.channels.email import files, smtp
from tickets.channels.email.answerable import takes_answers
from tickets.channels.email.compose import message_for

if TYPE_CHECKING:
    from django.core.mail import EmailMessage

    from tickets.models import Delivery, Ticket


class EmailChannel(Channel):
    """Replies by e-mail, through whatever EMAIL_URL names."""

    kind = "email"
    replies_by = "email"
    carries_files = True

    def recipient_of(self, ticket: Ticket) -> str:
        address = super().recipient_of(ticket)
        return address if takes_answers(address) else ""

    def why_nobody(self, ticket: Ticket) -> str:
        return _unread(ticket.requester.email) if ticket.requester else super().why_nobody(ticket)

    def send(self, delivery: Delivery) -> SendReceipt:
        address = parseaddr(delivery.recipient)[1]
        if "@" in address and not takes_answers(address):
            raise SendRefused(_unread(address))
        try:
            message = message_for(delivery)
        except (BadHeaderError, ValueError) as error:
            raise SendRefused(f"This reply makes no valid e-mail: {error}.") from error
        except OSError as error:
            raise TryAgain(f"A file of this reply could not be read: {_words(error)}.") from error
        return hand_over(message)


def _unread(address: str) -> str:
    return f"Nobody reads what is sent to {address}. Write to the customer another way."


def hand_over(message: EmailMessage) -> SendReceipt:
    """Send one e-mail, which has its Message-ID, through whatever EMAIL_URL names. Raises a SendError, nothing else."""
    backend = get_connection(fail_silently=False)
    if isinstance(backend, smtp.EmailBackend):
        return _send_by_smtp(backend, message)
    try:
        sent = backend.send_messages([message])
    except OSError as error:
        if isinstance(backend, files.EmailBackend):  # a file that failed is not there
            raise TryAgain(f"The mail could not be written: {_words(error)}.") from error
        raise SendUnknown(f"The mail may or may not have been handed over: {_words(error)}.") from error
    if not sent:
        raise SendRefused("The mail backend took nothing.")
    return SendReceipt(message.extra_headers["Message-ID"])


def _send_by_smtp(backend: smtp.EmailBackend, message: EmailMessage) -> SendReceipt:
    try:
        backend.open()
    except smtplib.SMTPResponseException as error:
        raise _by_code(error.smtp_code, error.smtp_error) from error
    except (OSError, smtplib.SMTPException) as error:  # nothing was said yet
        raise TryAgain(f"The mail server could not be reached: {_words(error)}.") from error
    turned_away: dict[str, tuple[int, bytes]] = {}
    try:
        backend.send_messages([message])
        turned_away = backend.turned_away
    except Exception as error:
        if not backend.accepted:
            raise _sorted(error, handed_over=backend.handed_over) from error
    finally:
        with suppress(Exception):  # a lost farewell changes nothing
            backend.close()
    _refuse_if_copies_alone(message, turned_away)
    return SendReceipt(message.extra_headers["Message-ID"])


def _refuse_if_copies_alone(message: EmailMessage, turned_away: dict[str, tuple[int, bytes]]) -> None:
    """The server took the mail for those who get copies, and not for whom it is written to: a person decides."""
    for address in message.to:
        if refused := turned_away.get(parseaddr(address)[1]):
            said = _by_code(*refused)
            raise SendRefused(f"{said} The copies have left.")


def _sorted(error: Exception, *, handed_over: bool) -> TryAgain | SendRefused | SendUnknown:
    """What the caller does about an error in the middle of the dialogue."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, answer = next(iter(error.recipients.values()))
        return _by_code(code, answer)
    if isinstance(error, smtplib.SMTPResponseException) and 400 <= error.smtp_code < 600:
        return _by_code(error.smtp_code, error.smtp_error)
    if isinstance(error, (smtplib.SMTPNotSupportedError, ValueError)):
        return SendRefused(f"The mail server does not take this message: {_words(error)}.")
    if handed_over:
        return SendUnknown(f"The mail server had the message but did not confirm it: {_words(error)}.")
    if isinstance(error, (OSError, smtplib.SMTPException)):
        return TryAgain(f"The connection to the mail server was lost: {_words(error)}.")
    return SendUnknown(f"Sending broke off: {_words(error)}.")


def _by_code(code: int, answer: bytes | str) -> TryAgain | SendRefused:
    words = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    said = f"The mail server answered {code} {' '.join(words.split())[:300]}"
    return SendRefused(said) if 500 <= code < 600 else TryAgain(said)


def _words(error: Exception) -> str:
    return str(error)[:300] or type(error).__name__

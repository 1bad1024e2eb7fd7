"""A mailbox over IMAP: what is in it, the bytes of each mail, and marking what is stored. imap-tools speaks to it.

MailboxError
├── NotNow     it cannot be reached, or is busy: the next reading tries again
└── NotSo      it answers, and not as configured (sign-in, folder): a person looks at the settings
"""

from __future__ import annotations

import imaplib
import json
import re
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from imap_tools import BaseMailBox, MailBox, MailBoxStartTls, MailBoxUnencrypted
from imap_tools.errors import ImapToolsError, MailboxLoginError, UnexpectedCommandStatusError

from triage import vault

if TYPE_CHECKING:
    from tickets.models import Mailbox

TIMEOUT = 20.0  # seconds for each answer
TOKEN_TIMEOUT = 15.0
_FACTS = re.compile(rb"\bUID (\d+)")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")
_ARRIVED = re.compile(rb'\bINTERNALDATE "([^"]{10,40})"')


class MailboxError(Exception):
    """A mailbox could not be read. The message is for the person who looks after it."""


class NotNow(MailboxError):
    pass


class NotSo(MailboxError):
    pass


@dataclass(frozen=True, slots=True)
class Entry:
    """A mail as the server lists it: its UID, its size in bytes, and when it arrived there."""

    uid: int
    size: int
    arrived_at: datetime | None


class Box:
    """An open folder. Every method raises MailboxError."""

    def __init__(self, connection: BaseMailBox, mailbox: Mailbox) -> None:
        self.connection = connection
        self.mailbox = mailbox
        with _told():
            found = connection.folder.status(mailbox.folder, ["UIDVALIDITY", "UIDNEXT", "MESSAGES", "UNSEEN"])
        self.uid_validity = found.get("UIDVALIDITY", 0)
        self.uid_next = found.get("UIDNEXT", 0)
        self.messages, self.unseen = found.get("MESSAGES", 0), found.get("UNSEEN", 0)

    def uids(self, *, after: int | None) -> list[int]:
        """Those above a UID, or the unseen ones; the lowest first."""
        with _told():
            found = self.connection.uids("UNSEEN" if after is None else f"UID {after + 1}:*", charset=None)
        # "n:*" always gives the last mail, even where it is below n.
        return sorted(int(uid) for uid in found if after is None or int(uid) > after)

    def entries(self, uids: Sequence[int]) -> list[Entry]:
        """Size and arrival of these, in the order of their UIDs; those that are gone are left out."""
        if not uids:
            return []
        with _told():
            answer = self._uid("FETCH", ",".join(map(str, uids)), "(UID RFC822.SIZE INTERNALDATE)")
        wanted, found = set(uids), {}
        for line in answer:
            told = b" ".join(part for part in line if isinstance(part, bytes)) if isinstance(line, tuple) else line
            uid, size, arrived = (pattern.search(told or b"") for pattern in (_FACTS, _SIZE, _ARRIVED))
            if uid and int(uid[1]) in wanted:
                found[int(uid[1])] = Entry(
                    int(uid[1]), int(size[1]) if size else 0, _moment(arrived[1]) if arrived else None
                )
        return [found[uid] for uid in sorted(found)]

    def raw(self, uid: int) -> bytes | None:
        """The bytes of a mail, not marked as seen by that; None where it is gone."""
        return self._body(uid, "BODY.PEEK[]")

    def head(self, uid: int) -> bytes | None:
        return self._body(uid, "BODY.PEEK[HEADER]")

    def put_away(self, uids: Sequence[int]) -> None:
        """What is stored is marked as read, or moved, as the mailbox's settings say. Nothing is ever deleted."""
        if not uids:
            return
        chosen = ",".join(map(str, uids))
        with _told():
            self._uid("STORE", chosen, "+FLAGS", r"(\Seen)")
            if self.mailbox.afterwards == "move":
                self.connection.move([str(uid) for uid in uids], self.mailbox.move_to)

    def _body(self, uid: int, part: str) -> bytes | None:
        with _told():
            answer = self._uid("FETCH", str(uid), f"({part})")
        return next((line[1] for line in answer if isinstance(line, tuple) and isinstance(line[1], bytes)), None)

    def _uid(self, command: str, *arguments: str) -> list[Any]:
        status, answer = self.connection.client.uid(command, *arguments)
        if status != "OK":
            raise NotNow(f"The mail server refused {command}: {_words(answer)}.")
        return list(answer)


@contextmanager
def opened(mailbox: Mailbox) -> Iterator[Box]:
    """Connect, sign in and select the folder. Raises MailboxError."""
    connection = _connect(mailbox)
    try:
        _sign_in(connection, mailbox)
        with _told(NotSo):
            connection.folder.set(mailbox.folder)
        yield Box(connection, mailbox)
    finally:
        with suppress(Exception):  # a lost farewell changes nothing
            connection.logout()
        with suppress(Exception):
            connection.client.shutdown()


def _connect(mailbox: Mailbox) -> BaseMailBox:
    host, port = mailbox.host, mailbox.port
    with _told():
        if mailbox.security == "tls":
            return MailBox(host, port, timeout=TIMEOUT, ssl_context=ssl.create_default_context())
        if mailbox.security == "starttls":
            return MailBoxStartTls(host, port, timeout=TIMEOUT, ssl_context=ssl.create_default_context())
        return MailBoxUnencrypted(host, port, timeout=TIMEOUT)


def _sign_in(connection: BaseMailBox, mailbox: Mailbox) -> None:
    try:
        secret = mailbox.secret.open()
    except vault.VaultError as error:
        raise NotSo(f"The password cannot be opened: {error}.") from error
    try:
        if mailbox.sign_in == "oauth":
            token = access_token(mailbox, secret)
            with _told(NotSo):
                connection.xoauth2(mailbox.username, token, initial_folder=None)
        elif secret.isascii() and mailbox.username.isascii():
            with _told(NotSo):
                connection.login(mailbox.username, secret, initial_folder=None)
        else:
            with _told(NotSo):
                connection.login_utf8(mailbox.username, secret, initial_folder=None)
    except NotSo as error:
        raise NotSo(f"Signing in was refused. {error}") from error


def access_token(mailbox: Mailbox, refresh_token: str) -> str:
    """A token of today for a refresh token (RFC 6749, 6). Where another refresh token comes with it, that is kept."""
    parts = urlsplit(mailbox.token_url)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise NotSo("The address for tokens must begin with https://.")
    try:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": mailbox.client_id}
        if client_secret := mailbox.client_secret.open():
            form["client_secret"] = client_secret
        request = urllib.request.Request(mailbox.token_url, data=urllib.parse.urlencode(form).encode())  # noqa: S310
        with urllib.request.build_opener(_NoDetour).open(request, timeout=TOKEN_TIMEOUT) as answer:
            given = json.loads(answer.read(100_000))
    except urllib.error.HTTPError as error:
        with error:
            kind = NotNow if error.code >= 500 or error.code == 429 else NotSo
            raise kind(f"No token was given ({error.code}): {_reason(error.read(10_000))}.") from error
    except (OSError, ValueError, vault.VaultError) as error:
        raise NotNow(f"No token was given: {_words(error)}.") from error
    if not isinstance(given, dict) or not isinstance(given.get("access_token"), str):
        raise NotSo("The answer to the request for a token holds none.")
    renewed = given.get("refresh_token")
    if isinstance(renewed, str) and renewed and renewed != refresh_token:
        mailbox.secret = renewed
        mailbox.save(update_fields=["secret"])
    return str(given["access_token"])


class _NoDetour(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _reason(answer: bytes) -> str:
    try:
        told = json.loads(answer)
        return str(told.get("error_description") or told.get("error"))[:200].rstrip(".")
    except (ValueError, AttributeError):
        return "no reason was given"


@contextmanager
def _told(refusal: type[MailboxError] = NotNow) -> Iterator[None]:
    """Errors of the network and of IMAP as ours. `refusal` is what a plain "NO" of the server means here."""
    try:
        yield
    except MailboxError:
        raise
    except (MailboxLoginError, UnexpectedCommandStatusError, imaplib.IMAP4.error) as error:
        kind = NotNow if isinstance(error, imaplib.IMAP4.abort) else refusal
        raise kind(f"The mail server said: {_words(error)}.") from error
    except ssl.SSLError as error:
        raise NotSo(f"The connection is not safe: {error.reason or 'TLS failed'}.") from error
    except socket.gaierror as error:
        raise NotNow("The name of the mail server is not known.") from error
    except (OSError, ValueError, ImapToolsError) as error:
        raise NotNow(f"The mail server could not be reached: {_words(error)}.") from error


def _words(said: object) -> str:
    """What was said, short, on one line, without the marks of bytes."""
    if isinstance(said, UnexpectedCommandStatusError):
        said = said.command_result
    while isinstance(said, (list, tuple)) and said:
        said = said[-1]
    if isinstance(said, OSError) and said.strerror:
        said = said.strerror
    if isinstance(said, BaseException):
        said = said.args[0] if said.args and isinstance(said.args[0], (bytes, str)) else said
    words = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return (" ".join(words.split())[:200] or type(said).__name__).rstrip(".")


def _moment(stamp: bytes) -> datetime | None:
    try:
        return datetime.strptime(stamp.decode("ascii").strip(), "%d-%b-%Y %H:%M:%S %z")
    except (ValueError, UnicodeDecodeError):
        return None

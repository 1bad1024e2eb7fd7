"""Files that come or go with a message: checked, named, stored, and gone when their ticket is."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Protocol

import structlog
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import QuerySet, Sum
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from tickets.actions.errors import Invalid, Unavailable
from tickets.actions.review import require_decider
from tickets.models import Attachment, LeftFile, Message, Ticket
from tickets.sniffing import safe_name, type_of
from triage.models import User

log = structlog.get_logger(__name__)
SWEPT = 200
SWEEP_SECONDS = 3.0  # of the upkeep, in which other things wait for their turn
NOT_NOW = "Files cannot be kept just now. Try again soon, or send the text without them."
Upload = tuple[str, bytes]  # its name as it was given, and what it holds


class Readable(Protocol):
    def read(self, num_bytes: int, /) -> bytes: ...


def attach(*, message: Message, name: str, content: bytes, content_id: str = "", inline: bool = False) -> Attachment:
    """Keep a file with a message. Raises Invalid (field `attachments`) for what is too large, too many or no file;
    Unavailable where the disk or the bucket does not take it.

    The file is written before its row: a row never points at nothing. A row that is refused takes its file with it; a
    transaction around this that breaks off leaves a file that no row names.
    """
    check(name=name, content=content)
    with transaction.atomic():
        ticket = _locked(message.ticket_id)
        held = Message.objects.select_for_update(of=("self",)).get(pk=message.pk)
        _refuse_too_much(ticket, held.attachments.count(), [content])
        return _keep(ticket, held, name, content, content_id=content_id, inline=inline)


def attach_all(*, message: Message, files: Sequence[Upload]) -> list[Attachment]:
    """Keep these files with a message, all or none. Raises Invalid (field `attachments`)."""
    if not files:  # most messages: no savepoint for nothing
        return []
    with transaction.atomic():
        return [attach(message=message, name=name, content=content) for name, content in files]


def add_to_draft(*, ticket: Ticket, files: Sequence[Upload], by: User) -> list[Attachment]:
    """Keep files for the reply that is being written: they go along when it is approved. Raises Forbidden, Invalid."""
    require_decider(by)
    for name, content in files:
        check(name=name, content=content)
    with transaction.atomic():
        held = _locked(ticket.pk)
        _refuse_too_much(held, drafted(held).count(), [content for _, content in files])
        return [_keep(held, None, name, content) for name, content in files]


def remove_from_draft(*, ticket: Ticket, pk: int, by: User) -> str:
    """Leave a file out of the reply that is being written. Its name; empty where it was left out before."""
    require_decider(by)
    with transaction.atomic():
        row = drafted(_locked(ticket.pk)).filter(pk=pk).first()
        if row is None:
            return ""
        row.delete()
    return row.name


def drafted(ticket: Ticket) -> QuerySet[Attachment]:
    """The files that go along with the next reply."""
    return Attachment.objects.filter(ticket=ticket, message=None)


def _locked(number: int) -> Ticket:
    return Ticket.everything.select_for_update(of=("self",)).only("number", "public_id").get(pk=number)


def _refuse_too_much(ticket: Ticket, there: int, more: Sequence[bytes]) -> None:
    if there + len(more) > settings.ATTACHMENTS_A_MESSAGE:
        raise _too_many()
    kept = Attachment.objects.filter(ticket=ticket).aggregate(size=Sum("size"))["size"] or 0
    if kept + sum(map(len, more)) > settings.ATTACHMENT_BYTES_A_TICKET:
        raise _too_much()


def _keep(
    ticket: Ticket, message: Message | None, name: str, content: bytes, *, content_id: str = "", inline: bool = False
) -> Attachment:
    row = Attachment(
        ticket=ticket,
        message=message,
        name=safe_name(name, otherwise="inline" if inline else "file"),
        content_type=type_of(content, name),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        content_id=content_id[:255],
        inline=inline,
    )
    try:
        row.file.save(row.name, ContentFile(content), save=False)
    except OSError as error:
        log.error("file_not_stored", error=str(error)[:300])
        raise Unavailable("files_unavailable", NOT_NOW, field="attachments") from error
    try:
        with transaction.atomic():
            row.save()
    except BaseException:
        row.file.delete(save=False)
        raise
    return row


def check(*, name: str, content: bytes) -> None:
    """Raises Invalid (field `attachments`) for a file that will not be kept."""
    shown, limit = safe_name(name), settings.ATTACHMENT_BYTES
    if not content:
        raise Invalid("empty_file", f"{shown} is empty.", field="attachments")
    if len(content) > limit:
        raise _too_large(shown)
    kind = type_of(content, name)
    if kind not in settings.ATTACHMENT_TYPES:
        raise Invalid(
            "file_type",
            f"{shown} is of a kind that is not taken here ({kind}). Send a picture, a PDF, a text, a table or a ZIP.",
            field="attachments",
        )


def check_all(files: Sequence[tuple[str, Readable]]) -> list[Upload]:
    """Read uploads, [(name, file)], and check them before anything is stored. Raises Invalid (`attachments`)."""
    if len(files) > settings.ATTACHMENTS_A_MESSAGE:
        raise _too_many()
    read: list[Upload] = []
    for name, file in files:
        content = file.read(settings.ATTACHMENT_BYTES + 1)
        if len(content) > settings.ATTACHMENT_BYTES:
            raise _too_large(safe_name(name))
        check(name=name, content=content)
        read.append((name, content))
        if sum(len(one) for _, one in read) > settings.ATTACHMENT_BYTES_A_TICKET:
            raise _too_much()
    return read


def sweep() -> int:
    """Delete the files whose rows are gone, for a few seconds. Returns how many.

    One that cannot be deleted ends the round, for the next may have to be waited for as long, and goes to the end.
    """
    until, gone = time.monotonic() + SWEEP_SECONDS, 0
    for left in LeftFile.objects.order_by("at", "pk")[:SWEPT]:
        try:
            default_storage.delete(left.path)
        except OSError as error:
            log.warning("file_not_deleted", error=str(error)[:300])
            LeftFile.objects.filter(pk=left.pk).update(at=timezone.now())
            break
        left.delete()
        gone += 1
        if time.monotonic() > until:
            break
    return gone


def _too_many() -> Invalid:
    most = settings.ATTACHMENTS_A_MESSAGE
    words = f"Up to {most} files go" if most != 1 else "One file goes"
    return Invalid("too_many_files", f"{words} with one message.", field="attachments")


def _too_much() -> Invalid:
    limit = filesizeformat(settings.ATTACHMENT_BYTES_A_TICKET)
    words = f"All files of one request may have {limit} together. Send fewer, or smaller ones."
    return Invalid("ticket_full", words, field="attachments")


def _too_large(shown: str) -> Invalid:
    limit = filesizeformat(settings.ATTACHMENT_BYTES)
    return Invalid("file_too_large", f"{shown} is larger than {limit}, the most a file may have.", field="attachments")

"""Files that come or go with a message: checked, named, stored, and gone when their ticket is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import BinaryIO

import structlog
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.template.defaultfilters import filesizeformat

from tickets.actions.errors import Invalid
from tickets.models import Attachment, LeftFile, Message
from tickets.sniffing import safe_name, type_of

log = structlog.get_logger(__name__)
SWEPT = 200


def attach(*, message: Message, name: str, content: bytes, content_id: str = "", inline: bool = False) -> Attachment:
    """Keep a file with a message. Raises Invalid (field `attachments`) for what is too large, too many or no file.

    The file is written before its row: a row never points at nothing. A row that is refused takes its file with it; a
    transaction around this that breaks off leaves a file that no row names.
    """
    check(name=name, content=content)
    with transaction.atomic():
        held = Message.objects.select_for_update(of=("self",)).select_related("ticket").get(pk=message.pk)
        if held.attachments.count() >= settings.ATTACHMENTS_A_MESSAGE:
            raise _too_many()
        row = Attachment(
            ticket=held.ticket,
            message=held,
            name=safe_name(name, otherwise="inline" if inline else "file"),
            content_type=type_of(content, name),
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            content_id=content_id[:255],
            inline=inline,
        )
        row.file.save(row.name, ContentFile(content), save=False)
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


def check_all(files: Sequence[tuple[str, BinaryIO]]) -> list[tuple[str, bytes]]:
    """Read uploads, [(name, file)], and check them before anything is stored. Raises Invalid (`attachments`)."""
    if len(files) > settings.ATTACHMENTS_A_MESSAGE:
        raise _too_many()
    read = []
    for name, file in files:
        content = file.read(settings.ATTACHMENT_BYTES + 1)
        if len(content) > settings.ATTACHMENT_BYTES:
            raise _too_large(safe_name(name))
        check(name=name, content=content)
        read.append((name, content))
    return read


def sweep() -> int:
    """Delete the files whose rows are gone. Returns how many; one that cannot be deleted now is tried again later."""
    gone = 0
    for left in LeftFile.objects.order_by("pk")[:SWEPT]:
        try:
            default_storage.delete(left.path)
        except OSError as error:
            log.warning("file_not_deleted", error=type(error).__name__)
            continue
        left.delete()
        gone += 1
    return gone


def _too_many() -> Invalid:
    most = settings.ATTACHMENTS_A_MESSAGE
    return Invalid("too_many_files", f"Up to {most} files go with one message.", field="attachments")


def _too_large(shown: str) -> Invalid:
    limit = filesizeformat(settings.ATTACHMENT_BYTES)
    return Invalid("file_too_large", f"{shown} is larger than {limit}, the most a file may have.", field="attachments")

"""Files of mails on their way out, and pictures within their text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.encoders import encode_base64
from email.mime.base import MIMEBase
from html import escape, unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from django.core.mail import EmailMultiAlternatives

if TYPE_CHECKING:
    from tickets.models import Message

_CID = re.compile(r'src="cid:([^"]{1,300})"', re.IGNORECASE)


def files_of(message: Message | None) -> list[Any]:
    """The attachments of a message: each has name, content_type, content_id, inline, file and an address."""
    return list(message.attachments.all()) if message is not None else []


def add_files(email: EmailMultiAlternatives, files: Iterable[Any]) -> None:
    """Send these along. Raises OSError where one cannot be read."""
    for one in files:
        with one.file.open("rb") as opened:
            content = opened.read()
        if one.content_type.startswith("text/"):
            email.attach(_as_it_is(one.name, content, one.content_type))
        else:
            email.attach(one.name, content, one.content_type)


def _as_it_is(name: str, content: bytes, content_type: str) -> MIMEBase:
    """A text byte for byte: Django would write its lines anew, and what arrives would not be what was approved."""
    part = MIMEBase(*content_type.partition(";")[0].split("/", 1))
    part.set_payload(content)
    encode_base64(part)
    part.add_header("Content-Disposition", "attachment", filename=name)
    return part


def with_images(html: str, files: Iterable[Any]) -> str:
    """Safe HTML whose images are those that came with the mail; what did not come is left out."""
    addresses = {one.content_id.strip("<> "): one.get_absolute_url() for one in files if one.content_id}

    def place(found: re.Match[str]) -> str:
        address = addresses.get(unquote(unescape(found[1])).strip("<> "))
        return f'src="{escape(address)}"' if address else ""

    return _CID.sub(place, html)

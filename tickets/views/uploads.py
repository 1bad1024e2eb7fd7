"""Files that come with a form: read, checked, and what is said of the limits beside the field."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat

from tickets.actions.attaching import Upload, check_all

FIELD = "attachments"


def uploads_of(request: HttpRequest) -> list[Upload]:
    """The files that came along, checked. Raises Invalid (field `attachments`)."""
    return check_all([(file.name or "", file) for file in request.FILES.getlist(FIELD)])


def came_along(request: HttpRequest) -> bool:
    """Whether files were chosen: a browser does not choose them again when a page comes back."""
    return bool(request.FILES.getlist(FIELD))


def limits() -> str:
    """What may be sent, for people; empty where nothing may."""
    most = settings.ATTACHMENTS_A_MESSAGE
    if not most:
        return ""
    size = filesizeformat(settings.ATTACHMENT_BYTES)
    return f"Up to {most} {'files' if most > 1 else 'file'}, {size} each: pictures, PDF, text, tables or ZIP."

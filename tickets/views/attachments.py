"""Files of a ticket, handed out: to those who may see the ticket, never as a page of ours."""

from __future__ import annotations

import structlog
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from tickets.models import Attachment, Message, Ticket
from tickets.sniffing import OTHER
from tickets.views.frame import person

log = structlog.get_logger(__name__)
NOT_NOW = "This file cannot be fetched just now. Try again soon."


@require_safe
@never_cache
@login_required
def attachment(request: HttpRequest, number: int, pk: int) -> HttpResponse:
    """Of the thread of a ticket this person may see: its own, and of what is merged into it."""
    ticket = get_object_or_404(Ticket.objects.visible_to(person(request)), pk=number)
    thread = Attachment.objects.filter(message__in=Message.objects.thread(ticket))
    return handed_out(get_object_or_404(thread, pk=pk))


def handed_out(attachment: Attachment) -> HttpResponse:
    """The bytes, to be saved; shown in place only where they are a picture. Raises Http404 where the file is gone; 503
    where the disk or the bucket does not give it now.

    Whatever a browser makes of them, they run nothing: it may not guess, and a sandbox is around them.
    """
    try:
        with attachment.file.open("rb") as file:
            content = file.read()  # at most ATTACHMENT_BYTES; an ASGI server would gather a stream in memory, too
    except FileNotFoundError as error:
        raise Http404 from error
    except OSError as error:
        log.error("file_not_read", attachment=attachment.pk, error=str(error)[:300])
        return HttpResponse(NOT_NOW, "text/plain", 503)
    shown = attachment.can_be_shown
    response = HttpResponse(content, content_type=attachment.content_type if shown else OTHER)
    response["Content-Disposition"] = content_disposition_header(not shown, attachment.name) or "attachment"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["Cache-Control"] = "private, no-store"
    return response

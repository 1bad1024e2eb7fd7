"""A mail as it came, the whole of it."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from tickets.channels.email import attached
from tickets.models import Mail, Message
from tickets.views.ticket import seen


@require_safe
@never_cache
@login_required
@vary_on_headers("HX-Request")
def whole(request: HttpRequest, number: int, pk: int) -> HttpResponse:
    """All that a mail of this ticket's thread says. Fragment: #whole, to htmx."""
    ticket = seen(request, number)
    thread = Message.objects.thread(ticket).values("pk")
    mail = get_object_or_404(Mail.objects.filter(message__in=thread).select_related("message"), pk=pk)
    part = "#whole" if request.headers.get("HX-Request") else ""
    html = ""
    if mail.html:
        html = mark_safe(attached.with_images(mail.html, attached.files_of(mail.message)))  # noqa: S308  made safe before
    text = mail.text or (mail.message.text if mail.message else "")
    return render(request, f"tickets/mail.html{part}", {"ticket": ticket, "mail": mail, "html": html, "text": text})

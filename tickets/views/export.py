"""What a queue shows, as a file."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from tickets.actions.exporting import export
from tickets.exports import WRITERS
from tickets.views.filters import Filters, all_words
from tickets.views.frame import person
from tickets.views.streaming import streamed
from triage.correlation import acting, current


@require_GET
@never_cache
@login_required
def file(request: HttpRequest) -> HttpResponse:
    """All tickets of the address's filters that this person sees, as `format` (csv, jsonl); pages do not matter."""
    user, filters = person(request), Filters.of(request.GET)
    written_as = request.GET.get("format", "csv")
    written_as = written_as if written_as in WRITERS else "csv"
    tickets = filters.on_tab(filters.narrow(filters.among(user), user), user)
    with acting(f"user:{user.pk}", correlation_id=current()):
        pieces = export(tickets=tickets, written_as=written_as, chosen=", ".join(all_words(filters)) or "all open")
    _, ending, content_type, _ = WRITERS[written_as]
    response = streamed(request, pieces, content_type=content_type)
    name = f"tickets-{timezone.localdate():%Y-%m-%d}.{ending}"
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    return response

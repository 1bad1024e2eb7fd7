from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from tickets.models import Ticket
from tickets.views.frame import person


@require_safe
@login_required
def page(request: HttpRequest) -> HttpResponse:
    rows = Ticket.objects.visible_to(person(request)).open().for_rows()[:50]
    return render(request, "tickets/queue.html", {"rows": rows})

"""The staff's form: a ticket for somebody who called, or stood at the desk."""

from __future__ import annotations

from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from tickets.actions import intake
from tickets.actions.errors import Refused
from tickets.actions.review import require_decider
from tickets.channels.form.submission import LIMITS, Submission
from tickets.models import Priority, Source, Tier
from tickets.views.frame import person
from tickets.views.uploads import FIELD, limits, uploads_of

SOURCE = "Filed by staff"


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def new(request: HttpRequest) -> HttpResponse:
    """File a ticket (`title`, `description`, and what is known of the customer). It is read like any other."""
    submission = Submission.of(request.POST) if request.method == "POST" else Submission.blank()
    why = None
    try:
        require_decider(person(request))
        inbound = submission.inbound(by_staff=True) if request.method == "POST" else None
        if inbound is not None:
            receipt = intake.receive(inbound, source=_source(), files=uploads_of(request))
            toasts.success(request, f"Filed as #{receipt.ticket.number}.")
            return HttpResponseRedirect(receipt.ticket.get_absolute_url())
    except Refused as refused:
        why = refused
        if refused.field == FIELD:
            submission.errors[FIELD] = refused.sentence
    context = {
        "values": submission.values,
        "errors": submission.errors,
        "refused": None if why and why.field == FIELD else why,
        "key": submission.key,
        "limits": LIMITS,
        "priorities": Priority.choices,
        "tiers": [(str(value), label) for value, label in Tier.choices],
        "file_limits": limits(),
        "file_error": submission.errors.get(FIELD, ""),
    }
    status = why.status if why else 422 if submission.errors else 200
    return render(request, "tickets/new.html", context, status=status)


def _source() -> Source:
    """A form of its own, so that what customers sent themselves is told from it. Made when it is first needed."""
    source, _ = Source.objects.get_or_create(kind="form", name=SOURCE)
    return source

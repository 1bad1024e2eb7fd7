from __future__ import annotations

from django.contrib import messages as toasts
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from tickets.actions import pausing
from tickets.actions.errors import Forbidden
from tickets.views.frame import person


@require_POST
@login_required
def end(request: HttpRequest) -> HttpResponse:
    """Let the machine read on, and back to the queue."""
    try:
        resumed = pausing.resume(by=person(request))
    except Forbidden as why:
        raise PermissionDenied(why.sentence) from why
    toasts.success(request, "The machine reads on." if resumed else "Somebody was quicker: nothing is paused.")
    return HttpResponseRedirect(reverse("tickets:queue"))

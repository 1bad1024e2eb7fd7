from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from tickets.models import Agent
from tickets.views.frame import person


@require_safe
@login_required
def page(request: HttpRequest) -> HttpResponse:
    return render(request, "tickets/welcome.html")


@require_POST
@login_required
def dismissal(request: HttpRequest) -> HttpResponse:
    """Take the first steps off the dashboard, or with `undo` put them back. Fragment: _checklist.html."""
    undo, user = "undo" in request.POST, person(request)
    if user.is_superuser:
        Agent.objects.get_or_create(user=user, defaults={"role": Agent.Role.ADMIN})
    if not Agent.objects.filter(user=user).update(first_steps_dismissed=not undo):
        raise PermissionDenied  # an account without a place at the desk is given none by hiding a list
    if request.headers.get("HX-Request"):
        return render(request, "tickets/_checklist.html", {"dismissed_now": not undo})
    return HttpResponseRedirect("/" if undo else "/welcome/")

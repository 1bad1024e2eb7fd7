"""Who may look at the figures."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from tickets.models import Agent
from tickets.views.frame import person

View = Callable[..., HttpResponse]


def staff_only(view: View) -> View:
    """Let in people with a place at the desk; send those without a session to sign in, refuse the rest."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user = person(request)
        if not (user.is_superuser or Agent.of(user)):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return login_required(guarded)

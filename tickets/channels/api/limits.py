"""How often the API may be called: so many requests a window of each key, and fewer of each address without one."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse

from tickets.channels.api.keys import carried, found_by
from tickets.channels.api.problems import problem_response
from triage import brake, window
from triage.brake import Limit
from triage.window import Room

log = structlog.get_logger(__name__)
PREFIX = "/api/"
HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Window")


def room_for(request: HttpRequest) -> Room:
    """Count this request against its key; without one that is in force, against its address.

    A key is never held up by what others at its address do, and never by a header that anybody may set.
    """
    key = found_by(request, carried(request))
    if key is not None:
        return window.take(brake.mark("api.key", str(key.pk)), Limit(settings.API_PER_WINDOW, settings.API_WINDOW))
    return room_without_key(brake.peer_of(request))


def room_without_key(peer: str) -> Room:
    """Count a request of this address (`brake.peer_of`) that has no key in force, at whichever door it guesses."""
    return window.take(brake.mark("api.address", peer), Limit(settings.API_KEYLESS_PER_WINDOW, settings.API_WINDOW))


class LimitMiddleware:
    """Around every address of the API, those too that do not exist: each answer says how many requests are left."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(PREFIX):
            return self.get_response(request)
        try:
            room = room_for(request)
        except OperationalError as error:
            log.warning("database_unavailable", path=request.path, error=type(error).__name__)
            return problem_response(503)
        if room.wait:
            said = f"Too many requests. Wait {brake.spoken(room.wait)}; the header Retry-After says it in seconds."
            return room.tell(problem_response(429, "too_many_requests", said))
        return room.tell(self.get_response(request))

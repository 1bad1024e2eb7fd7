"""One id from the door to the send: in logs, in the header `X-Correlation-ID`, in the history of every change."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import pghistory
import structlog
from django.http import HttpRequest, HttpResponse
from pghistory import runtime

HEADER = "X-Correlation-ID"
_current: ContextVar[str] = ContextVar("correlation_id", default="")
_acceptable = re.compile(r"[A-Za-z0-9._-]{8,64}")

GetResponse = Callable[[HttpRequest], HttpResponse]


def current() -> str:
    """The correlation id in force, or an empty string outside any piece of work."""
    return _current.get()


def actor() -> str:
    """In whose name history is written now; "database" outside any piece of work, as the triggers say."""
    held = getattr(runtime._tracker, "value", None)
    return str(held.metadata.get("actor", "database")) if held else "database"


@contextmanager
def tracing(correlation_id: str = "") -> Iterator[str]:
    """Give what happens inside one correlation id, in logs and in the ledger of calls. Yields the id."""
    chosen = correlation_id or current() or str(uuid.uuid4())
    token = _current.set(chosen)
    try:
        with structlog.contextvars.bound_contextvars(correlation_id=chosen):
            yield chosen
    finally:
        _current.reset(token)


@contextmanager
def acting(actor: str, *, correlation_id: str = "") -> Iterator[str]:
    """Do the work inside in the name of `actor` ("user:7", "machine:local", "api:3", "command:reprocess").

    History rows written by the database's triggers carry both. Yields the correlation id.
    """
    with tracing(correlation_id) as chosen, pghistory.context(actor=actor, correlation_id=chosen):
        yield chosen


class CorrelationMiddleware:
    """Mint an id a request (or keep the caller's, if it looks like one) and send it back."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        chosen = given if _acceptable.fullmatch(given) else str(uuid.uuid4())
        with tracing(chosen):
            response = self.get_response(request)
        response[HEADER] = chosen
        return response


class HistoryMiddleware:
    """Changes made by a signed-in person are theirs in the history; by nobody signed in, the visitor's."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method in ("GET", "HEAD", "OPTIONS"):
            return self.get_response(request)
        user = request.user
        actor = f"user:{user.pk}" if user.is_authenticated else "visitor"
        with pghistory.context(actor=actor, correlation_id=current()):
            return self.get_response(request)

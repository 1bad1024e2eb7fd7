"""The pages of what goes wrong: what happened, what was kept, what to do, and the number to ask with."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from tickets.channels.api.problems import PREFIXES, problem_response
from triage.correlation import current

PAGES = {
    400: ("That request made no sense", "Nothing was changed. Go back and try once more."),
    403: ("You may not do that", "Nothing was changed. Ask an admin of the desk if you should be able to."),
    404: ("There is nothing here", "The page is gone, or it belongs to a team you do not work for."),
    413: ("That is too much at once", "Nothing was stored. Shorten the text and send it again."),
    422: (
        "That cannot be stored",
        "A text in it holds a sign that no text may, or a number is too large. Nothing was changed.",
    ),
    500: (
        "Something broke on our side",
        "What you did may not have been kept. It has been noted with the number below.",
    ),
}
EXPIRED = "This page was open too long, or the browser kept no cookie. Nothing was changed. Go back, reload, try again."


def problem(request: HttpRequest, status: int, sentence: str = "") -> HttpResponse:
    """The page for `status`; a problem document where the API was asked."""
    heading, usual = PAGES[status]
    if request.path.startswith(PREFIXES):
        return problem_response(status, detail=sentence)
    inside = not request.path.startswith("/support/")
    context = {
        "status": status,
        "heading": heading,
        "sentence": sentence or usual,
        "correlation_id": current(),
        "way_address": "/tickets/" if inside else "/support/",
        "way_word": "To the queue" if inside else "To the support form",
    }
    return render(request, "problem.html", context, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem(request, 413 if isinstance(exception, RequestDataTooBig) else 400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem(request, 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    return problem(request, 500)


def csrf_refused(request: HttpRequest, reason: str = "", **_: Any) -> HttpResponse:
    """Named by CSRF_FAILURE_VIEW."""
    return problem(request, 403, EXPIRED)

"""What stands between a visitor and the desk's pages."""

from __future__ import annotations

from collections.abc import Callable

from django.db import DataError
from django.http import HttpRequest, HttpResponse

from tickets.views.errors import problem


class SignInMiddleware:
    """Turn a redirect that answers an htmx request into one of the whole page.

    htmx would follow a 302 and put the sign-in form into the fragment's place.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.headers.get("HX-Request") and response.status_code in (301, 302):
            address = response["Location"]
            response = HttpResponse(status=200)
            response["HX-Redirect"] = address
        return response


class UnstorableMiddleware:
    """A value that no database takes, a NUL in a text or a number beyond all bounds, is the sender's mistake."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return problem(request, 422) if isinstance(exception, DataError) else None

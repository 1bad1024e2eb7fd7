"""What stands between a visitor without a session and the desk."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


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

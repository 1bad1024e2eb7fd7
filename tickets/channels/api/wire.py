"""What goes over the wire: JSON in, of a size that its address takes, and JSON out."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from ninja.parser import Parser

from tickets.channels.api.keys import carried, found_by
from tickets.channels.api.problems import Problem, problem_response

BODY_LIMIT = 1_000_000  # bytes; the longest description, every character escaped, is 600,000
BULK_LIMIT = 10_000_000  # bytes; 1,000 tickets of 10 KB
_TAKEN = "_body_taken"  # of a request: its body was read, and is not too large for its address
View = Callable[..., Any]


class JsonParser(Parser):
    """JSON and nothing else, of a size that a ticket can have."""

    def parse_body(self, request: HttpRequest) -> Any:
        kind = request.content_type or ""
        if kind != "application/json" and not kind.endswith("+json"):
            raise Problem(415)
        if len(request.body) > BODY_LIMIT and not hasattr(request, _TAKEN):
            raise Problem(413)
        return json.loads(request.body)


def of_many_tickets(view: View) -> View:
    """Take a body of up to BULK_LIMIT, from who has a key. `request.body` by itself takes what a form may hold."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if found_by(request, carried(request)) is None:
            return view(request, *args, **kwargs)  # 401, without looking at the body
        try:
            body = request.read(BULK_LIMIT + 1)
        except UnreadablePostError:
            return problem_response(400, "cut_short", "The body did not come whole.")
        if len(body) > BULK_LIMIT:
            said = f"The body is too large: up to {BULK_LIMIT:,} bytes. Send the tickets in several calls."
            return problem_response(413, "too_large", said)
        request.__dict__ |= {"_body": body, _TAKEN: True}
        return view(request, *args, **kwargs)

    return wrapped


def answer(content: Any, *, code: int = 200) -> HttpResponse:
    """JSON as it is: the declared schemas are documentation, and a test holds the answers to them."""
    return HttpResponse(json.dumps(content, cls=DjangoJSONEncoder), status=code, content_type="application/json")

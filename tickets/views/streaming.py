"""An answer that leaves piece by piece, however long it is: no more than a piece of it is ever held."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import cast

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse


def streamed(request: HttpRequest, pieces: Iterator[bytes], *, content_type: str) -> HttpResponse:
    """Send the pieces as they are made. An ASGI server would gather a plain iterator in memory before it sends."""
    content = _in_turn(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(content, content_type=content_type)
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return cast(HttpResponse, response)  # as all that our views give; they are alike to whoever sends them


async def _in_turn(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    def take() -> bytes | None:
        return next(pieces, None)

    try:
        while (piece := await sync_to_async(take)()) is not None:
            yield piece
    finally:
        await sync_to_async(close_old_connections)()

"""How many requests are worked on at once.

Under ASGI Django gives each request a thread, and each thread wants a connection of the pool. Under a rush hundreds of
threads then fight for the interpreter, wait for connections until their patience ends, and hardly one is answered. Here
those beyond a dozen wait outside, in their order, where waiting costs nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

AT_ONCE = 12  # below the 16 connections of the pool: sockets, MCP and health checks have the others
PATIENCE = 20.0  # seconds a request waits outside
RETRY_AFTER = 5  # seconds
# Answered without a connection, or for machines that restart whoever does not answer.
OPEN = ("/static/", "/readyz", "/healthz", "/metrics")
BUSY = "Triage Desk has more to do than it can now. Try again in a few seconds."

Scope = Any  # as every ASGI server and framework types them in a way of its own
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Gate:
    """Lets `at_once` requests through to `inside`; answers 503 to one that waited `patience` seconds in vain.

    Whoever begins to answer leaves: a long download does not keep others waiting.
    """

    def __init__(self, inside: Application, at_once: int = AT_ONCE, patience: float = PATIENCE) -> None:
        self.inside, self.patience = inside, patience
        self.places = asyncio.Semaphore(at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(OPEN):
            await self.inside(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.patience):
                await self.places.acquire()
        except TimeoutError:
            await _refuse(scope["path"], send)
            return
        inside = True

        async def answer(event: Any) -> None:
            nonlocal inside
            if inside and event["type"] == "http.response.start":
                inside = False
                self.places.release()
            await send(event)

        try:
            await self.inside(scope, receive, answer)
        finally:
            if inside:
                self.places.release()


async def _refuse(path: str, send: Send) -> None:
    if path.startswith("/api/"):
        kind = b"application/problem+json"
        problem = {"type": "about:blank", "title": "Service Unavailable", "status": 503, "code": "busy", "detail": BUSY}
        body = json.dumps(problem).encode()
    else:
        kind, body = b"text/plain; charset=utf-8", BUSY.encode()
    headers = [(b"content-type", kind), (b"retry-after", str(RETRY_AFTER).encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})

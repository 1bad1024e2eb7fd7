"""`/mcp`: MCP over streamable HTTP, beside Django in the same process. An API key opens it."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from functools import partial
from http import HTTPStatus

import structlog
from django.conf import settings
from django.http.request import split_domain_port, validate_host

from tickets.channels.api.problems import USUAL, Problem
from tickets.mcp.caller import SCOPE, TooMany, admit, in_thread
from triage.correlation import current, tracing
from triage.gate import Application, Receive, Scope, Send
from triage.proxies import Address, client_of

log = structlog.get_logger(__name__)
PATH = "/mcp"
MOST_SENT = 1_000_000  # bytes of a request


def beside(django: Application) -> Application:
    """Django, but for the address of MCP."""
    door = Door()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        at_the_door = scope["type"] == "http" and scope["path"].rstrip("/") == PATH
        await (door if at_the_door else django)(scope, receive, send)

    return application


class Door:
    """Lets requests with a key in force through to the server.

    Daphne knows no lifespan, so the server's own tasks are begun with the first request, and anew if they end.
    """

    def __init__(self) -> None:
        self._inside: Application | None = None
        self._running: asyncio.Task[None] | None = None
        self._starting: asyncio.Lock | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        with tracing():
            try:
                _check_where_from(headers)
                given = _given(headers)
                await in_thread(partial(admit, given, _client(scope)))
                if scope["method"] != "POST":  # a stream that the server would speak on, and never does
                    raise Problem(405)
            except Problem as why:
                await _refuse(send, why, wait=why.wait if isinstance(why, TooMany) else 0)
                return
            inside = await self._ready()
            await inside({**scope, "path": PATH, "raw_path": PATH.encode(), SCOPE: given}, receive, send)

    async def _ready(self) -> Application:
        self._starting = self._starting or asyncio.Lock()
        async with self._starting:
            if self._inside is None or self._running is None or self._running.done():
                started = asyncio.Event()
                self._running = asyncio.create_task(self._run(started))
                await started.wait()
        assert self._inside is not None  # noqa: S101  set before it is started
        return self._inside

    async def _run(self, started: asyncio.Event) -> None:
        from mcp.server.transport_security import TransportSecuritySettings

        from tickets.mcp.server import build  # only where somebody speaks MCP: it takes memory

        try:
            server = build()
            # Where a request comes from is checked here, by Django's hosts.
            unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
            self._inside = server.streamable_http_app(
                streamable_http_path=PATH,
                json_response=True,
                stateless_http=True,  # any process answers any request
                max_request_body_size=MOST_SENT,
                transport_security=unchecked,
            )
            async with server.session_manager.run():
                started.set()
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
        finally:
            started.set()  # whoever waits for it is not to wait for ever


def _given(headers: dict[str, str]) -> str:
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "").strip()


def _client(scope: Scope) -> Address | None:
    """Where a request comes from, as ProxyMiddleware would tell it."""
    forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"x-forwarded-for"]
    return client_of((scope.get("client") or ("",))[0], ",".join(forwarded))


def _check_where_from(headers: dict[str, str]) -> None:
    """A page elsewhere whose name was turned to this address must not speak for its reader."""
    host, _ = split_domain_port(headers.get("host", ""))
    if not host or not validate_host(host, settings.ALLOWED_HOSTS):
        raise Problem(400, "wrong_host", "This desk is not at that address.")
    origin = headers.get("origin", "")
    if origin and origin not in settings.CSRF_TRUSTED_ORIGINS:
        raise Problem(403, "wrong_origin", "Pages of other addresses do not speak MCP to this desk.")


async def _refuse(send: Send, why: Problem, *, wait: int) -> None:
    usual_code, usual_detail = USUAL.get(why.status, USUAL[400])
    document = {
        "type": "about:blank",
        "title": HTTPStatus(why.status).phrase,
        "status": why.status,
        "code": why.code or usual_code,
        "detail": why.detail or usual_detail,
        "correlation_id": current(),
    }
    body = json.dumps(document).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"x-correlation-id", current().encode())]
    headers += [(b"www-authenticate", b'Bearer realm="Triage Desk"')] if why.status == 401 else []
    headers += [(b"retry-after", str(wait).encode())] if wait else []
    headers += [(b"allow", b"POST")] if why.status == 405 else []
    await send({"type": "http.response.start", "status": why.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

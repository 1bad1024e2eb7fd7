"""Who speaks MCP: an API key, with the scopes, the sight and the limits that it has at the REST API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings
from django.db import connections

from tickets.actions.errors import Refused
from tickets.channels.api.keys import find_key
from tickets.channels.api.limits import room_without_key
from tickets.channels.api.problems import Problem
from tickets.models import ApiKey
from triage import brake
from triage.correlation import tracing
from triage.proxies import Address

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context

Told = TypeVar("Told")
SCOPE = "desk.api_key"  # where tickets.mcp.door leaves the key of a request
local_key: ContextVar[str] = ContextVar("local_key", default="")  # of `manage.py mcp`: one key for the whole talk
_threads = ThreadPoolExecutor(8, "mcp")


async def as_caller(context: Context[Any, Any], scope: str, work: Callable[[ApiKey], Told]) -> Told:
    """Do `work` with the caller's key in a thread of its own. Raises ToolError with a sentence for whoever calls."""
    request = context.request_context.request
    given = request.scope.get(SCOPE, "") if request is not None else local_key.get()
    return await in_thread(partial(_work, given, scope, work, counted=request is not None))


async def in_thread(work: Callable[[], Told]) -> Told:
    """Let the database wait where it holds up nobody; its connection ends with the work."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _then_close, work)


def identify(given: str) -> ApiKey:
    """The key in force with these letters. Raises Problem 401."""
    key = find_key(given)
    if key is None:
        raise Problem(401)
    return key


class TooMany(Problem):
    """429, with the seconds to wait."""

    def __init__(self, whose: str, wait: int) -> None:
        super().__init__(429, "too_many", f"Too many requests {whose}. Wait {wait} s.")
        self.wait = wait


def admit(given: str, address: Address | None) -> None:
    """Count one request over HTTP: of its key, or without one in force of its address, together with the REST API's.

    Raises TooMany; Problem 401 where the key is not in force. A key is never held up by what others at its address do.
    """
    key = find_key(given, address)
    if key is None:
        room = room_without_key(brake.peer_at(address))
        raise TooMany("without a key in force", room.wait) if room.wait else Problem(401)
    if wait := seconds_to_wait(key):
        raise TooMany("of this key", wait)


def seconds_to_wait(key: ApiKey) -> int:
    """Count one request of this key: 0, or how long it has to wait."""
    return brake.press({brake.mark("mcp", str(key.pk)): [brake.Limit(settings.MCP_PER_MINUTE, 60)]})


def _work(given: str, scope: str, work: Callable[[ApiKey], Told], *, counted: bool) -> Told:
    try:
        key = identify(given)
        if not counted and (wait := seconds_to_wait(key)):  # over HTTP the door has counted it
            raise _refusal(f"Too many requests of this key. Wait {wait} s.")
        if not key.may(scope):
            has = ", ".join(key.scopes) or "none"
            raise _refusal(f"This needs a key with the scope {scope}; yours has: {has}.")
        with tracing():
            return work(key)
    except Refused as why:
        raise _refusal(why.sentence) from why
    except Problem as why:
        raise _refusal(why.detail or "This API key is not known here, or it was revoked.") from why


def _refusal(words: str) -> Exception:
    from mcp.server.mcpserver.exceptions import ToolError  # only where somebody speaks MCP: it takes memory

    return ToolError(words)


def _then_close(work: Callable[[], Told]) -> Told:
    try:
        return work()
    finally:
        connections.close_all()

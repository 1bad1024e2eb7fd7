"""Channel layer over PostgreSQL's NOTIFY: one listening connection a process, fan-out in memory.

`publish()` speaks inside the caller's transaction: delivered at commit, gone on rollback. A payload holds ids, never
text: PostgreSQL takes 8,000 bytes, and a fragment is rendered by the web process that shows it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import psycopg
from asgiref.sync import async_to_sync, sync_to_async
from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.conf import settings
from django.db import connection, transaction
from psycopg import sql

CHANNEL = "triage_bus"
CLEAN_EVERY = 5.0  # seconds; messages expire after 60
_DRIVER_ONLY = (
    "cursor_factory",
    "context",
    "client_encoding",
    "prepare_threshold",
    "server_side_binding",
    "isolation_level",
    "assume_role",
    "pool",
)


def _connection_parameters() -> dict[str, Any]:
    parameters = dict(connection.get_connection_params())
    for name in _DRIVER_ONLY:
        parameters.pop(name, None)
    return parameters


async def _connect() -> psycopg.AsyncConnection[Any]:
    parameters = await sync_to_async(_connection_parameters)()
    return await psycopg.AsyncConnection.connect(**parameters, autocommit=True)


@asynccontextmanager
async def listening(channel: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A connection of its own that hears what is notified on `channel`. Raises psycopg.OperationalError."""
    async with await _connect() as connected:
        await connected.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        yield connected


class NotifyChannelLayer(InMemoryChannelLayer):
    """Groups across processes; a channel name itself is known in its own process only."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._listener: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = asyncio.Event()
        self._cleaned_at = -CLEAN_EVERY

    def _clean_expired(self) -> None:
        """Looks at every channel there is, and is asked for at every message: with 500 desks a third of the work."""
        now = time.monotonic()
        if now - self._cleaned_at >= CLEAN_EVERY:
            self._cleaned_at = now
            super()._clean_expired()

    def _ensure_listener(self) -> None:
        loop = asyncio.get_running_loop()
        if self._listener is None or self._listener.done() or self._loop is not loop:
            self._loop, self._ready = loop, asyncio.Event()
            self._listener = loop.create_task(self._listen())

    async def _listen(self) -> None:
        while True:
            try:
                async with await _connect() as listening:
                    await listening.execute(f"LISTEN {CHANNEL}")
                    self._ready.set()
                    async for notice in listening.notifies():
                        groups, message = json.loads(notice.payload)
                        for group in groups:
                            await super().group_send(group, message)
            except (psycopg.OperationalError, OSError, RuntimeError):
                # The server went away. Clients catch up by GET, so what was missed meanwhile is not lost.
                self._ready.clear()
                await asyncio.sleep(0.5)

    async def group_add(self, group: str, channel: str) -> None:
        self._ensure_listener()
        await asyncio.wait_for(self._ready.wait(), timeout=10)
        await super().group_add(group, channel)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        async with await _connect() as speaking:
            await speaking.execute("SELECT pg_notify(%s, %s)", (CHANNEL, json.dumps([[group], message])))


def publish(message: dict[str, Any], *groups: str) -> None:
    """Send `message` to everybody in `groups` when the transaction in force commits. Use from synchronous code."""
    if settings.REDIS_URL:
        layer = get_channel_layer()
        for group in groups:
            transaction.on_commit(partial(async_to_sync(layer.group_send), group, message), robust=True)
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, json.dumps([groups, message])])

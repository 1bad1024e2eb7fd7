"""Where the rows of the tickets in flight are read and written: a few threads, each with a connection of its own.

Django's ORM waits for its answers. One thread for fifty tickets would make them queue for it while the model's server
stands idle.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connections

MOST = 4
CROWD = 3  # tickets that one thread serves before another is opened: a lone ticket needs no second connection


class Threads:
    """The threads of one drain. The first is the one that outlives it; the others are closed with their connections."""

    def __init__(self) -> None:
        self._own: list[ThreadPoolExecutor] = []
        self._busy = [0]

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Await `work()`, all its database work in one thread: the one with the least to do."""
        place = min(range(len(self._busy)), key=self._busy.__getitem__)
        if self._busy[place] >= CROWD and len(self._busy) < MOST:
            place = len(self._busy)
            self._busy.append(0)
            self._own.append(ThreadPoolExecutor(1, "database"))
        self._busy[place] += 1
        try:
            async with AsyncExitStack() as stack:
                if place:
                    await stack.enter_async_context(ThreadSensitiveContext(executor=self._own[place - 1]))
                await work()
        finally:
            self._busy[place] -= 1

    async def close(self) -> None:
        """Give the connections back, once all work is done."""
        for executor in self._own:
            async with ThreadSensitiveContext(executor=executor):
                await sync_to_async(connections.close_all)()
            executor.shutdown()
        self._own, self._busy = [], [0]

"""The same text in many tickets at once: one of them is asked about, the others wait for what it was told.

Within a process an event is waited for. Between processes it is a lock of the database on what the verdict rests on:
taken only before a model is asked, so that a text which is read without one costs no query for it. It belongs to the
session, and ends with the process that held it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from triage.pipeline.types import Ask, AskedModel, Question

LOOK_EVERY = 0.25  # seconds; who asks takes one or two


class AskedElsewhere(Exception):
    """Another process was asking about the same text and was waited for: its verdict may serve."""


@dataclass(slots=True)
class Hold:
    """One text in hand. `waited`: another ticket of this process had it before."""

    basis: str
    waited: bool = False
    _settled: bool = False
    _locked: bool = False

    def asking(self, ask: Ask | None) -> Ask | None:
        """`ask`, but that the first question raises AskedElsewhere where another process had the text in hand."""
        if ask is None or not self.basis:
            return ask

        async def ask_alone(question: Question) -> AskedModel:
            if not self._settled:
                self._settled = True
                if await self._take():
                    raise AskedElsewhere
            return await ask(question)

        return ask_alone

    async def _take(self) -> bool:
        """Take the lock; whether it had to be waited for. Nobody waits longer than two calls may last."""
        until = time.monotonic() + 2 * settings.TRIAGE_MODEL_TIMEOUT
        waited = False
        while not (locked := await sync_to_async(_lock)(self.basis)) and time.monotonic() < until:
            waited = True
            await asyncio.sleep(LOOK_EVERY)
        self._locked = locked
        return waited

    async def release(self) -> None:
        if self._locked:
            with suppress(DatabaseError, InterfaceError):  # a session that is gone holds nothing
                await sync_to_async(_unlock)(self.basis)


_in_hand: dict[str, asyncio.Event] = {}  # by what a verdict rests on: what this process reads now


@asynccontextmanager
async def in_hand(basis: str) -> AsyncIterator[Hold]:
    """While a text is read. Where the same was being read here, that is waited for: its verdict then serves both.

    Waited for once only: where the first reading gave nothing to take over, the others go on side by side.
    """
    first = _in_hand.get(basis)
    if first is not None:
        await first.wait()
    mine = _in_hand.setdefault(basis, asyncio.Event()) if basis and first is None else None
    hold = Hold(basis, waited=first is not None)
    try:
        yield hold
    finally:
        if mine is not None:
            del _in_hand[basis]
            mine.set()
        await hold.release()


def _lock(basis: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [basis])
        (taken,) = cursor.fetchone()
    return bool(taken)


def _unlock(basis: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [basis])

"""One process that sends the calls of webhooks: it waits for many addresses at once, and none of them for another."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress

import psycopg
import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections

from tickets.actions import calling
from tickets.actions.calling import Errand, Outcome
from tickets.models.happenings import BELL
from tickets.webhooks import posting, signing
from triage.notify import listening

log = structlog.get_logger(__name__)
LOOK_EVERY = 1.0  # seconds: what is to be tried again rings no bell
GATHER = 0.02  # seconds in which others may end, too: one look at the database for all of them
MOST = 400  # calls under way


class Dispatcher:
    """Claims what is due whenever a bell rings or a call ends, and sends it over one poster."""

    def __init__(self) -> None:
        self.poster = posting.Poster(private=settings.WEBHOOKS_PRIVATE, http=settings.WEBHOOKS_HTTP)
        self.sending: dict[asyncio.Task[None], Errand] = {}
        self.ended: list[Outcome] = []
        self.rung = asyncio.Event()

    async def run(self) -> None:
        """Until the process ends."""
        bell = asyncio.create_task(self._listen())
        async with self.poster:
            try:
                while True:
                    try:
                        await self._turn()
                    except Exception:
                        log.exception("webhooks_broke")
                        await sync_to_async(close_old_connections)()
                        await asyncio.sleep(LOOK_EVERY)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.rung.wait(), LOOK_EVERY)
                    await asyncio.sleep(GATHER)
            finally:
                bell.cancel()

    async def work_off(self) -> int:
        """Send what is due now, and return when nothing is under way: how many attempts there were."""
        count = 0
        async with self.poster:
            while True:
                count += len(self.ended)
                await self._turn()
                if not self.sending and not self.ended:
                    return count
                if self.sending:
                    await asyncio.wait(list(self.sending), return_when=asyncio.FIRST_COMPLETED)

    async def _turn(self) -> None:
        self.rung.clear()
        ended, self.ended = self.ended, []
        if ended:
            await sync_to_async(calling.finish)(ended)
        if len(self.sending) < MOST:
            busy = Counter(errand.webhook for errand in self.sending.values())
            for errand in await sync_to_async(calling.claim)(busy):
                task = asyncio.create_task(self._send(errand))
                self.sending[task] = errand
                task.add_done_callback(self._put_down)

    def _put_down(self, task: asyncio.Task[None]) -> None:
        self.sending.pop(task, None)
        self.rung.set()

    async def _send(self, errand: Errand) -> None:
        began = time.monotonic()
        try:
            outcome = await self._attempt(errand)
        except Exception as error:
            log.exception("webhook_broke", call=errand.claimed.pk)
            outcome = Outcome(errand, False, _since(began), error=f"It broke: {type(error).__name__}.")
        self.ended.append(outcome)

    async def _attempt(self, errand: Errand) -> Outcome:
        began = time.monotonic()
        if not errand.secrets:
            why = "Its secret cannot be opened with the present SECRET_KEY. Make a new one."
            return Outcome(errand, False, 0, error=why, final=True)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Triage-Desk",
            **signing.headers(errand.secrets, errand.uuid, int(time.time()), errand.body),
        }
        try:
            answer = await self.poster.post(errand.url, errand.body, headers)
        except posting.PostingError as error:
            return Outcome(
                errand,
                False,
                _since(began),
                status=error.status,
                error=str(error),
                answer=error.answer,
                after=error.after,
                gone=isinstance(error, posting.Gone),
                final=isinstance(error, posting.NotAllowed),
            )
        return Outcome(errand, True, answer.milliseconds, status=answer.status, answer=answer.text)

    async def _listen(self) -> None:
        while True:
            try:
                async with listening(BELL) as connection:
                    self.rung.set()  # what was missed meanwhile
                    async for _ in connection.notifies():
                        self.rung.set()
            except (psycopg.OperationalError, OSError, RuntimeError):
                await asyncio.sleep(LOOK_EVERY)


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)

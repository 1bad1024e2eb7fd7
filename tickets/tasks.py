"""What the bell starts, and what the supervisor does between bells. The rows are the work; these hold no data."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections, connections
from django.urls import reverse
from django.utils import timezone

from tickets import jobs
from tickets.actions import (
    acknowledging,
    attaching,
    calling,
    carrying,
    comparing,
    deliveries,
    firing,
    fitting,
    github_events,
    github_syncs,
    github_writing,
    imports,
    mailings,
    promising,
    replay,
    triage,
)
from tickets.actions.deliveries import Claimed
from tickets.actions.snoozing import wake_due
from tickets.actions.status import close_settled
from tickets.models import Lane, ReplayTicket, Ticket
from tickets.models.work import RENEW_EVERY
from tickets.threads import Threads
from triage import batches, brake, calls, ledger
from triage import window as request_window
from triage.queue import Cluster, beat, ring, stopping

log = structlog.get_logger(__name__)
BUDGET = 40.0  # seconds a drain claims new work; well under the cluster's timeout
WITHOUT_MODEL = 6  # tickets in flight when reading is work for the processor, not waiting for the network
AT_ONCE = 3  # tickets claimed together while others are read: one claim is five round trips, for however many
PREPARED = 2  # tickets read from the database and embedded at a time: more gained nothing, and cost memory
GATHER = 0.05  # seconds
GLANCE = 0.2  # seconds between two looks for other work while tickets are read: a look costs as much as a third of one
LANES = {"interactive": (Lane.INTERACTIVE, Lane.IMPORTED), "batch": (Lane.IMPORTED,)}


def drain(queue: Cluster) -> int:
    """Work until nothing is due or time runs out, then ring again. Returns how many rows were worked on."""
    if queue == "batch":
        start_fit()
        promising.catch_up(BUDGET / 4)
    return asyncio.run(Drain(queue).run())


def start_fit() -> None:
    """Make the fit that is waited for in a process of its own: it takes longer than a drain may, and much memory.

    It stays in the cluster's group and ends with it; then its lease runs out, and it is taken up again.
    """
    claimed = fitting.claim()
    if claimed is not None:
        command = [sys.executable, "manage.py", "fit", "--claimed", str(claimed.pk), str(claimed.claim)]
        process = subprocess.Popen(command, cwd=settings.BASE_DIR, stdin=subprocess.DEVNULL)  # noqa: S603  our own
        threading.Thread(target=process.wait, name="fit", daemon=True).start()  # leaves no zombie behind


class Drain:
    """One rolling window of deliveries and tickets in flight, in one process and one event loop."""

    def __init__(self, queue: Cluster) -> None:
        self.queue = queue
        self.lanes = LANES[queue]
        # Twice the calls in flight: while half of the tickets wait for the model, the others are embedded and stored.
        self.width = 2 * settings.TRIAGE_CONCURRENCY if calls.configured() else WITHOUT_MODEL
        self.threads = Threads()
        self.gate = asyncio.Semaphore(PREPARED)
        self.reading: dict[asyncio.Task[None], Claimed] = {}
        self.comparing: dict[asyncio.Task[None], Claimed] = {}
        self.batching: dict[asyncio.Task[None], Claimed] = {}
        self.doing: dict[str, dict[asyncio.Task[None], list[Claimed]]] = {
            name: {} for name, kind in jobs.KINDS.items() if kind.cluster == queue
        }
        self.glanced = -GLANCE
        self.worked = 0

    async def run(self) -> int:
        # A drain that ended in a lost connection has left it to this thread, which outlives the drain.
        await sync_to_async(close_old_connections)()
        until = time.monotonic() + BUDGET
        renewal = asyncio.create_task(self._renew())
        with ThreadPoolExecutor(8, "send") as senders:
            try:
                while True:
                    if time.monotonic() < until and not stopping():
                        await self._take_up(senders)
                    elif await sync_to_async(self._is_due)():
                        await sync_to_async(ring)(self.queue)
                        until = -1.0
                    in_flight = {task for window in self._windows() for task in window}
                    if not in_flight:
                        break
                    await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED, timeout=1)
                    if len(in_flight) > WITHOUT_MODEL:
                        await asyncio.sleep(GATHER)  # others end at the same time: one claim for all of them
                    self._put_down()
            finally:
                renewal.cancel()
                await self.threads.close()
        await sync_to_async(close_old_connections)()
        return self.worked

    async def _take_up(self, senders: ThreadPoolExecutor) -> None:
        """Deliveries before tickets, interactive tickets before imported ones."""
        glances = not self.reading or time.monotonic() - self.glanced >= GLANCE
        if glances:
            self.glanced = time.monotonic()
            for name in await sync_to_async(jobs.due)(self.queue):
                await self._take_up_kind(name, senders)
        free = self.width - len(self.reading)
        if free >= min(AT_ONCE, self.width):
            for claimed in await sync_to_async(triage.claim)(free, self.lanes):
                work = partial(triage.triage_ticket, claimed, self.gate)
                self.reading[asyncio.create_task(self.threads.run(work))] = claimed
        if glances and self.queue == "batch":
            await self._take_up_replays()

    async def _take_up_kind(self, name: str, senders: ThreadPoolExecutor) -> None:
        kind, under_way = jobs.KINDS[name], self.doing[name]
        free = kind.at_once - len(under_way) if not kind.in_turn else 0 if under_way else kind.at_once
        if free > 0 and (taken := await sync_to_async(kind.rows.claim)(free)):
            for group in [taken] if kind.in_turn else [[claimed] for claimed in taken]:
                under_way[asyncio.create_task(_in_thread(senders, kind.do, group))] = group

    def _windows(self) -> tuple[dict[asyncio.Task[None], Any], ...]:
        return (self.reading, self.comparing, self.batching, *self.doing.values())

    async def _take_up_replays(self) -> None:
        """In what imported tickets leave free, and never more than half of it, so that the next of them has room."""
        free = min(self.width - len(self.reading), self.width // 2) - len(self.comparing)
        if free > 0:
            for claimed in await sync_to_async(comparing.claim)(free):
                work = partial(comparing.work, claimed, self.gate)
                self.comparing[asyncio.create_task(self.threads.run(work))] = claimed
        if not self.batching:
            for pk, claim in await sync_to_async(batches.claim)(1):
                self.batching[asyncio.create_task(batches.work(pk, claim))] = Claimed(pk, claim)

    def _put_down(self) -> None:
        for window in self._windows():
            for task in [task for task in window if task.done()]:
                del window[task]
                self.worked += 1
                if task.exception() is not None:
                    log.error("drain_task_broke", error=repr(task.exception()))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY)
            try:
                await sync_to_async(self._renew_leases)()
            except Exception:
                log.exception("lease_not_renewed", queue=self.queue)

    def _renew_leases(self) -> None:
        beat(self.queue)
        triage.renew(list(self.reading.values()))
        for claimed in list(self.comparing.values()):
            comparing.renew(claimed)
        for claimed in list(self.batching.values()):
            batches.renew(claimed.pk, claimed.claim)
        for name, under_way in self.doing.items():
            for claimed in [one for group in list(under_way.values()) for one in group]:
                jobs.KINDS[name].rows.renew(claimed)

    def _is_due(self) -> bool:
        if self.queue == "batch" and (ReplayTicket.objects.due(timezone.now()).exists() or batches.is_due()):
            return True
        return bool(jobs.due(self.queue)) or Ticket.objects.due_for_triage().filter(lane__in=self.lanes).exists()


async def _in_thread(senders: ThreadPoolExecutor, do: Callable[[Claimed], object], group: Sequence[Claimed]) -> None:
    await asyncio.get_running_loop().run_in_executor(senders, _do_all, do, group)


def _do_all(do: Callable[[Claimed], object], group: Sequence[Claimed]) -> None:
    try:
        for claimed in group:
            do(claimed)
    finally:
        connections.close_all()  # a sender's thread ends with the drain, and its connection with it


def warm_shared() -> None:
    """Load what all workers read and none writes, before they are forked: they share its memory."""
    from triage.engines import language, rules, tags

    try:
        language.detect("warm")
        rules.load().measured()
        tags.load()
        calls.warm()
        reverse("tickets:queue")  # addresses, of mails, fragments and webhooks, import every view
    except Exception:
        log.exception("not_warmed")


def warm() -> None:
    """Load what else reading needs, so that the first ticket does not wait for it."""
    from triage.embedding import embed
    from triage.learning.live import load_local

    warm_shared()
    try:
        embed("warm")
        load_local()
    except Exception:
        log.exception("not_warmed")


def tend() -> None:
    """Every few seconds: take back what expired, close what is settled, forget what is old, ring for what is due."""
    triage.take_back_expired()
    deliveries.give_up_expired()
    mailings.give_up_expired()
    acknowledging.give_up_expired()
    comparing.take_back_expired()
    replay.advance_all()
    close_settled()
    wake_due()
    promising.note_due()
    carrying.take_up()
    firing.note_idle()
    ledger.close_abandoned()
    brake.forget()
    request_window.forget()
    attaching.sweep()
    calling.forget()
    fitting.take_back_expired()
    fitting.ask_if_due()
    github_events.forget()
    github_syncs.begin_due()
    github_writing.note_due()
    imports.forget()
    due = Ticket.objects.due_for_triage()
    if jobs.due("interactive") or due.exists():
        ring("interactive")
    batch = promising.is_behind() or fitting.is_due() or jobs.due("batch")
    if batch or due.filter(lane=Lane.IMPORTED).exists():
        ring("batch")

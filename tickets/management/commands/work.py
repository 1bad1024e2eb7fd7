"""`manage.py work`: both worker clusters, supervised."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import threading
import time
from contextlib import suppress
from multiprocessing.sharedctypes import RawArray
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import close_old_connections, connections

from tickets import tasks
from triage import queue
from triage.cluster import NICE, STOP_SECONDS, Child, ClusterProcess
from triage.models import Heartbeat
from triage.watch import die_with_parent

TEND_EVERY = 5.0
STALL_SECONDS = 15.0
MISSING_SECONDS = 4.0
COLLECT = (50_000, 20, 100)  # garbage: queries leave little that refers to itself; Python's own took 5 % of a reading
HUNG_SECONDS = 30.0  # a round of tending that takes longer waits for an answer that does not come

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Run the worker clusters (interactive and batch) and keep them running."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        Supervisor().run()


class Board:
    """What supervisor and tender tell each other, in memory that both see."""

    def __init__(self) -> None:
        self.complete = RawArray("b", len(queue.CLUSTERS))
        self.stalled = RawArray("b", len(queue.CLUSTERS))
        self.started_at = RawArray("d", len(queue.CLUSTERS))
        self.tended_at = RawArray("d", [time.monotonic()])


class Supervisor:
    """Watches processes and waits for nobody, so that nothing holds it up; its child, the tender, watches the rows."""

    def __init__(self) -> None:
        self.parent = os.getppid()
        self.board = Board()
        self.clusters = [ClusterProcess(name) for name in queue.CLUSTERS]
        supervisor = os.getpid()
        self.tender = Child(lambda: Tender(self.board).run(supervisor=supervisor))
        self.dispatcher = Child(dispatch_webhooks)
        self.stop = threading.Event()

    def run(self) -> None:
        for end in (signal.SIGTERM, signal.SIGINT):
            signal.signal(end, lambda *_: self.stop.set())
        tasks.warm_shared()
        gc.collect()
        gc.freeze()  # what is forked from here shares these pages as long as nobody collects them
        gc.set_threshold(*COLLECT)
        try:
            while not self.stop.is_set():
                for number, one in enumerate(self.clusters):
                    self._watch(number, one)
                self._watch_tender()
                self._watch_dispatcher()
                self.stop.wait(1.0)
        finally:
            self._end()

    def _watch(self, number: int, one: ClusterProcess) -> None:
        self.board.complete[number] = one.is_complete()
        reason = self._reason_to_start(number, one)
        if reason is not None:
            if one.pid:
                logger.error("restarting cluster %s: %s", one.name, reason)
                one.end()
                with suppress(Exception):  # if the database is what is broken, locks run out by themselves
                    queue.release(one.name)
            one.start()
            self.board.started_at[number] = one.started_at
            self.board.stalled[number] = False

    def _reason_to_start(self, number: int, one: ClusterProcess) -> str | None:
        if not one.is_running():
            return "its main process or sentinel ended"
        missing = one.missing_seconds(complete=bool(self.board.complete[number]))
        if missing > MISSING_SECONDS and time.monotonic() - one.started_at > 2 * MISSING_SECONDS:
            return "a process is missing and was not replaced"
        if self.board.stalled[number]:
            return "bells wait and nothing moves"
        return None

    def _watch_tender(self) -> None:
        hung = time.monotonic() - self.board.tended_at[0] > HUNG_SECONDS
        if hung or not self.tender.is_running():
            if self.tender.pid:
                logger.error("restarting the tender: %s", "it hangs" if hung else "it ended")
                self.tender.end()
            self.board.tended_at[0] = time.monotonic()
            self.tender.start()

    def _watch_dispatcher(self) -> None:
        if not self.dispatcher.is_running():
            if self.dispatcher.pid:
                logger.error("restarting the process that calls webhooks: it ended")
            self.dispatcher.start()

    def _end(self) -> None:
        """Both clusters at once: each has its time to finish what it holds, then it is killed."""
        self.tender.end()
        self.dispatcher.end()  # what it was sending is taken up again when its lease runs out
        for one in self.clusters:
            one.ask_to_stop()
        until = time.monotonic() + STOP_SECONDS
        for one in self.clusters:
            one.end(within=until - time.monotonic())
        with suppress(Exception):
            for one in self.clusters:
                queue.release(one.name)
        connections.close_all()
        if os.environ.get("TRIAGE_UP") == str(self.parent) and os.getppid() != self.parent:
            _stop_embedded_server_if_unused()


def dispatch_webhooks() -> None:
    """Call webhooks for as long as the supervisor lives: in a process of its own, for it waits for strangers."""
    from tickets.webhooks.dispatch import Dispatcher  # only here: it takes memory

    async def run() -> None:
        await Dispatcher().run()

    die_with_parent()
    os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    asyncio.run(run())


class Tender:
    """Keeps the rows moving: takes back what expired, rings for what is due, notices a cluster that stands still."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.waiting_since: dict[queue.Cluster, float] = {}

    def run(self, *, supervisor: int) -> None:
        die_with_parent()
        while os.getppid() == supervisor:
            try:
                self.tend()
            except Exception:
                logger.exception("tending failed; trying again in %.0f s", TEND_EVERY)
            finally:
                close_old_connections()
            self.board.tended_at[0] = time.monotonic()
            time.sleep(TEND_EVERY)

    def tend(self) -> None:
        _revive_embedded_server()
        for number, name in enumerate(queue.CLUSTERS):
            self._look_at(number, name)
        tasks.tend()

    def _look_at(self, number: int, name: queue.Cluster) -> None:
        now = time.monotonic()
        if not queue.unclaimed(name):
            self.waiting_since.pop(name, None)
            if self.board.complete[number]:
                queue.beat(name)  # idle, and all of it there
            return
        since = max(self.waiting_since.setdefault(name, now), self.board.started_at[number])
        if now - since > STALL_SECONDS and not _beats(name):
            self.waiting_since.pop(name)
            self.board.stalled[number] = True


def _beats(name: queue.Cluster) -> bool:
    beat = Heartbeat.objects.filter(name=name, host=socket.gethostname()).first()
    return beat is not None and beat.age_seconds < STALL_SECONDS


def _embedded() -> bool:
    return bool(settings.DATABASES["default"]["ENGINE"] == "triage.postgres")


def _revive_embedded_server() -> None:
    if _embedded():
        from triage.postgres import server

        server.ensure(settings.DATABASES["default"]["DIRECTORY"], doubt=True)


def _stop_embedded_server_if_unused() -> None:
    """`manage.py up` was killed, so nobody else will stop the server it started."""
    if _embedded():
        from triage.postgres import server

        server.stop_if_unused(settings.DATABASES["default"]["DIRECTORY"], within=3.0)

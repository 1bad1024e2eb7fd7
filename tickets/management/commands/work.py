"""`manage.py work`: both worker clusters, supervised."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import close_old_connections, connections

from triage import cluster, queue
from triage.models import Heartbeat

TEND_EVERY = 5.0
STALL_SECONDS = 15.0
MISSING_SECONDS = 4.0
HUNG_SECONDS = 90.0  # a round of tending that takes longer waits for a database that does not come back

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Run the worker clusters (interactive and batch) and keep them running."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--cluster", choices=queue.CLUSTERS, help="Be one cluster instead (used by the supervisor)")
        parser.add_argument("--supervisor", type=int, default=0, help="With --cluster: whose child this is")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["cluster"]:
            cluster.serve(options["cluster"], supervisor=options["supervisor"] or os.getppid())
        else:
            Supervisor().run()


class Supervisor:
    """Two loops: this thread watches processes, the other one the rows; neither waits for the other."""

    def __init__(self) -> None:
        self.clusters = [_cluster_process(name) for name in queue.CLUSTERS]
        self.parent = os.getppid()
        self.stop = threading.Event()
        self.stalled: set[queue.Cluster] = set()
        self.tended_at = time.monotonic()

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())
        threading.Thread(target=self._tend_rows, name="tend", daemon=True).start()
        try:
            for one in self.clusters:
                one.start()
            while not self.stop.wait(1.0):
                for one in self.clusters:
                    self._watch(one)
                self._watch_tending()
        finally:
            self._end()

    def _watch(self, one: cluster.ClusterProcess) -> None:
        if not one.is_running():
            reason = "its main process or sentinel ended"
        elif one.incomplete_seconds() > MISSING_SECONDS and _age(one) > 2 * MISSING_SECONDS:
            reason = "a process is missing and was not replaced"
        elif one.name in self.stalled:
            reason = "bells wait and nothing moves"
        else:
            return
        logger.error("restarting cluster %s: %s", one.name, reason)
        if not one.is_running() and _age(one) < TEND_EVERY and self.stop.wait(1.0):
            return  # it did not even start: not in a tight loop
        one.end()
        self.stalled.discard(one.name)
        with suppress(Exception):  # the database may be what is broken; then the locks run out by themselves
            queue.release(one.name)
        one.start()

    def _watch_tending(self) -> None:
        late = time.monotonic() - self.tended_at
        if late > HUNG_SECONDS:
            raise CommandError(f"The database has not answered for {late:.0f} seconds; giving up, to be started anew.")

    def _tend_rows(self) -> None:
        waiting_since: dict[queue.Cluster, float] = {}
        while not self.stop.is_set():
            try:
                self._tend_once(waiting_since)
            except Exception:
                logger.exception("tending failed; trying again in %.0f s", TEND_EVERY)
            finally:
                close_old_connections()
            self.tended_at = time.monotonic()
            self.stop.wait(TEND_EVERY)
        connections.close_all()

    def _tend_once(self, waiting_since: dict[queue.Cluster, float]) -> None:
        _revive_embedded_server()
        for one in self.clusters:
            now = time.monotonic()
            if queue.unclaimed(one.name):
                since = max(waiting_since.setdefault(one.name, now), one.started_at)
                if now - since > STALL_SECONDS and not _beats(one.name):
                    self.stalled.add(one.name)
                    waiting_since.pop(one.name)
            else:
                waiting_since.pop(one.name, None)
                if one.is_complete():
                    queue.beat(one.name)  # idle, and all of it there
        _tend_tickets()

    def _end(self) -> None:
        """Both at once: each has its time to finish what it holds, then it is killed."""
        for one in self.clusters:
            one.ask_to_stop()
        until = time.monotonic() + cluster.STOP_SECONDS
        for one in self.clusters:
            one.end(within=max(0.05, until - time.monotonic()))
        with suppress(Exception):
            for one in self.clusters:
                queue.release(one.name)
        connections.close_all()
        if os.environ.get("TRIAGE_UP") == str(self.parent) and os.getppid() != self.parent:
            _stop_embedded_server_if_unused()


def _cluster_process(name: queue.Cluster) -> cluster.ClusterProcess:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "work"]
    command += ["--cluster", name, "--supervisor", str(os.getpid())]
    return cluster.ClusterProcess(name, command, workers=settings.Q_CLUSTER["workers"])


def _tend_tickets() -> None:
    from tickets import tasks  # here: what it imports may be broken, and processes are watched all the same

    tasks.tend()


def _age(one: cluster.ClusterProcess) -> float:
    return time.monotonic() - one.started_at


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

"""One django-q2 cluster as a group of processes that lives, and ends, as a whole.

django-q2 leaves orphans: kill its main process or its sentinel and the others keep working, unguarded. Here every
process of a cluster dies with its parent (Linux), and the main process stops the cluster when the supervisor is gone.
All are forked from the supervisor, which has loaded what they share: a new cluster works at once, and costs little.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import psutil
from django.conf import settings
from django.db import connections

from triage import queue
from triage.watch import die_with_parent

NICE = 10  # taking tickets in always wins over reading them
STOP_SECONDS = 7.0

logger = logging.getLogger(__name__)


class Child:
    """A forked process that leads a group of its own, and the group ends with it."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self.pid = 0
        self.started_at = 0.0

    def start(self) -> None:
        connections.close_all()  # a connection cannot be in two processes
        parent = os.getpid()
        self.started_at = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            self._be_child(parent)

    def _be_child(self, parent: int) -> NoReturn:
        code = 1
        try:
            os.setsid()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            if os.getppid() == parent:
                self._work()
            code = 0
        except BaseException:
            logger.exception("a process of the worker broke")
        finally:
            os._exit(code)

    def is_running(self) -> bool:
        if not self.pid:
            return False
        with suppress(ChildProcessError):
            if os.waitpid(self.pid, os.WNOHANG) == (0, 0):
                return True
        return False

    def signal(self, number: int, *, group: bool = False) -> None:
        if self.is_running():
            (os.killpg if group else os.kill)(self.pid, number)

    def end(self, *, within: float = 0.0) -> None:
        """Wait `within` seconds for the process to go, then kill its whole group."""
        if not self.pid:
            return
        until = time.monotonic() + within
        while self.is_running() and time.monotonic() < until:
            time.sleep(0.05)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


class ClusterProcess(Child):
    """The main process of one cluster, as its supervisor holds it."""

    def __init__(self, name: queue.Cluster) -> None:
        supervisor = os.getpid()
        super().__init__(lambda: serve(name, supervisor=supervisor))
        self.name = name
        self._auxiliaries_and_workers = settings.Q_CLUSTER["workers"] + 2  # pusher, monitor
        self._incomplete_since: float | None = None

    def is_complete(self) -> bool:
        """Whether sentinel, pusher, monitor and all workers live. django-q2 replaces one that died in half a second."""
        if not self.pid:
            return False
        return any(len(_children(sentinel)) >= self._auxiliaries_and_workers for sentinel in _children(self.pid))

    def missing_seconds(self, *, complete: bool) -> float:
        """How long processes have been missing, as far as this was asked."""
        if complete:
            self._incomplete_since = None
            return 0.0
        self._incomplete_since = self._incomplete_since or time.monotonic()
        return time.monotonic() - self._incomplete_since

    def ask_to_stop(self) -> None:
        self.signal(queue.STOP_CLAIMING, group=True)
        self.signal(signal.SIGTERM)


def serve(name: queue.Cluster, *, supervisor: int) -> None:
    """Run the cluster `name` in this process until it is told to stop or its supervisor is gone."""
    os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    signal.signal(queue.STOP_CLAIMING, signal.SIG_IGN)  # for the workers alone; inherited by the others
    _configure(name)

    def born() -> None:
        die_with_parent()
        if os.getppid() == 1:  # the parent died before we asked
            os._exit(1)

    os.register_at_fork(after_in_child=born)
    from django_q.cluster import Cluster

    cluster = Cluster()
    cluster.start()
    while cluster.sentinel.is_alive() and os.getppid() == supervisor:
        time.sleep(0.25)
    if cluster.sentinel.is_alive():
        logger.error("cluster %s stops: its supervisor is gone", name)
        os.killpg(0, queue.STOP_CLAIMING)
        cluster.stop_event.set()
        cluster.sentinel.join(STOP_SECONDS)
    os.killpg(0, signal.SIGKILL)  # this process too: whatever is left of the group is of no use


def _configure(name: queue.Cluster) -> None:
    """What Q_CLUSTER_NAME in the environment would have done, had django-q2 not been imported already."""
    from django_q.conf import Conf

    alternative = settings.Q_CLUSTER["ALT_CLUSTERS"].get(name, {})
    os.environ["Q_CLUSTER_NAME"] = Conf.CLUSTER_NAME = name
    Conf.POLL = alternative.get("poll", Conf.POLL)
    Conf.WORKERS = alternative.get("workers", Conf.WORKERS)


def _children(pid: int) -> list[int]:
    """The living children of a process. Linux keeps a list of them; elsewhere all processes have to be looked at."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        pids = [int(child) for child in listed.read_text().split()]
    except OSError:
        with suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children() if child.status() != psutil.STATUS_ZOMBIE]
        return []
    return [child for child in pids if _lives(child)]


def _lives(pid: int) -> bool:
    with suppress(psutil.Error):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False

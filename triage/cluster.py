"""One django-q2 cluster as a group of processes that lives, and ends, as a whole.

django-q2 leaves orphans: kill its main process or its sentinel and the others keep working, unguarded. Here every
process of a cluster dies with its parent (Linux), and the main process stops the cluster when the supervisor is gone.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil

from triage import queue

NICE = 10  # taking tickets in always wins over reading them
STOP_SECONDS = 7.0
_PR_SET_PDEATHSIG = 1

logger = logging.getLogger(__name__)
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(with_signal: int = signal.SIGKILL) -> None:
    """Ask the kernel to send `with_signal` when the parent (strictly: the thread that started us) is gone. Linux."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, with_signal)


def serve(name: queue.Cluster, *, supervisor: int) -> None:
    """Run the cluster `name` in this process until it is told to stop or its supervisor is gone."""
    os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    signal.signal(queue.STOP_CLAIMING, signal.SIG_IGN)  # for the workers alone; inherited by the others
    main = os.getpid()

    def born() -> None:
        die_with_parent()
        if os.getppid() == 1 and main != 1:  # the parent died before we asked
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


class ClusterProcess:
    """The supervisor's handle on one cluster."""

    def __init__(self, name: queue.Cluster, command: list[str], *, workers: int) -> None:
        self.name = name
        self.started_at = 0.0
        self._command = command
        self._auxiliaries_and_workers = workers + 2  # pusher, monitor
        self._process: subprocess.Popen[bytes] | None = None
        self._incomplete_since: float | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        environment = {**os.environ, "Q_CLUSTER_NAME": self.name, "TRIAGE_ROLE": "worker"}
        self._process = subprocess.Popen(self._command, env=environment, start_new_session=True)  # noqa: S603
        self.started_at = time.monotonic()
        self._incomplete_since = None

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def is_complete(self) -> bool:
        """Whether sentinel, pusher, monitor and all workers live. django-q2 replaces one that died in half a second."""
        if self._process is None:
            return False
        try:
            sentinels = [child for child in psutil.Process(self._process.pid).children() if _lives(child)]
            return any(
                len([child for child in sentinel.children() if _lives(child)]) >= self._auxiliaries_and_workers
                for sentinel in sentinels
            )
        except psutil.Error:
            return False

    def incomplete_seconds(self) -> float:
        """How long processes have been missing, as far as this was asked."""
        if self.is_complete():
            self._incomplete_since = None
            return 0.0
        self._incomplete_since = self._incomplete_since or time.monotonic()
        return time.monotonic() - self._incomplete_since

    def ask_to_stop(self) -> None:
        if self._process is not None and self.is_running():
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, queue.STOP_CLAIMING)
            self._process.terminate()

    def end(self, *, within: float = 0.0) -> None:
        """Wait `within` seconds for the cluster to go, then kill the whole group."""
        if self._process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            if within > 0:
                self._process.wait(within)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _lives(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)

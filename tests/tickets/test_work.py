"""The supervisor, run for real on a database of its own: whatever is killed, work goes on and nothing is left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from tickets.management.commands import work
from triage import queue
from triage.models import Heartbeat
from triage.postgres import server

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 12  # the tender, what calls webhooks, and two clusters of main, sentinel, worker, pusher and monitor
SEND = """
from django_q.tasks import async_task
for name in ("interactive", "batch"):
    async_task("math.sqrt", 4, cluster=name)
"""


@pytest.fixture(scope="module")
def var(open_folder_factory: Callable[[], Path]) -> Iterator[Path]:
    folder = open_folder_factory()
    manage(folder, "migrate", "-v0", "--skip-checks")
    yield folder
    server.stop(folder)


def environment(var: Path) -> dict[str, str]:
    unwanted = {"DATABASE_URL", "REDIS_URL", "PYTEST_VERSION"}
    return {**{k: v for k, v in os.environ.items() if k not in unwanted}, "TRIAGE_VAR": str(var)}


def manage(var: Path, *arguments: str) -> None:
    command = [sys.executable, "manage.py", *arguments]
    subprocess.run(command, cwd=ROOT, env=environment(var), check=True, stdout=subprocess.DEVNULL)


@contextmanager
def supervised(var: Path) -> Iterator[psutil.Process]:
    with (var / "worker.log").open("ab") as log:
        command = [sys.executable, "manage.py", "work"]
        process = psutil.Popen(command, cwd=ROOT, env=environment(var), stdout=log, stderr=log)
    try:
        wait_for(lambda: len(process.children(recursive=True)) == PROCESSES, 60, "all processes")
        yield process
    finally:
        if process.is_running():
            process.terminate()
        process.wait(15)


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> float:
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            pytest.fail(f"{what}: not within {seconds} seconds")
        time.sleep(0.05)
    return time.monotonic() - began


def rows(var: Path, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(**server.ensure(var).connection_parameters("triage"), autocommit=True) as connection:
        return connection.execute(query).fetchall()


def work_goes_on(var: Path, within: float) -> None:
    manage(var, "shell", "-v0", "-c", SEND)
    wait_for(lambda: rows(var, "SELECT count(*) FROM django_q_ormq") == [(0,)], within, "tasks done")


def clusters_of(supervisor: psutil.Process) -> list[list[psutil.Process]]:
    """Of each cluster: main, sentinel, and the three that the sentinel watches."""
    mains = [child for child in supervisor.children() if child.children()]
    return [[main, sentinel, *sentinel.children()] for main in mains for sentinel in main.children()]


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.faults
def test_work_goes_on_whichever_process_of_a_cluster_is_killed(var: Path) -> None:
    with supervised(var) as supervisor:
        for place in range(5):
            clusters_of(supervisor)[place % 2][place].kill()
            work_goes_on(var, within=30)
            wait_for(lambda: len(supervisor.children(recursive=True)) == PROCESSES, 60, "all processes again")


@pytest.mark.faults
def test_work_goes_on_after_the_database_is_killed(var: Path) -> None:
    with supervised(var):
        killed = server.status(var).pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: server.status(var).pid not in (None, killed), 15, "the supervisor starts the database")
        work_goes_on(var, within=30)


def test_no_process_is_left_when_the_supervisor_is_killed(var: Path) -> None:
    with supervised(var) as supervisor:
        started = supervisor.children(recursive=True)
        supervisor.kill()
        wait_for(lambda: all(is_gone(process) for process in started), 15, "all processes gone")


def test_it_stops_in_order_within_ten_seconds_and_beats_until_then(var: Path) -> None:
    with supervised(var) as supervisor:
        started = supervisor.children(recursive=True)
        newest = "SELECT count(DISTINCT name) FROM triage_heartbeat WHERE beat_at > now() - interval '10 s'"
        wait_for(lambda: rows(var, newest) == [(2,)], 15, "a sign of life of both clusters")
        assert all(process.nice() >= 10 for cluster in clusters_of(supervisor) for process in cluster)
        began = time.monotonic()
        supervisor.terminate()
        supervisor.wait(10)
        assert time.monotonic() - began < 10
        assert all(is_gone(process) for process in started)


@pytest.fixture
def tender(monkeypatch: pytest.MonkeyPatch) -> work.Tender:
    monkeypatch.setattr(queue, "_last_beat", {})
    board = work.Board()
    board.complete[0] = board.complete[1] = True
    return work.Tender(board)


@pytest.mark.django_db
def test_a_cluster_is_stalled_when_bells_wait_and_nothing_beats(tender: work.Tender) -> None:
    queue.ring("interactive")
    tender.tend()
    assert list(tender.board.stalled) == [False, False], "a bell that has just been rung is no stall"
    tender.waiting_since["interactive"] -= work.STALL_SECONDS + 1
    tender.tend()
    assert list(tender.board.stalled) == [True, False]


@pytest.mark.django_db
def test_a_busy_cluster_is_not_stalled_however_long_bells_wait(tender: work.Tender) -> None:
    queue.ring("interactive")
    queue.beat("interactive", force=True)
    tender.waiting_since["interactive"] = time.monotonic() - 3600
    tender.tend()
    assert list(tender.board.stalled) == [False, False]


@pytest.mark.django_db
def test_an_idle_cluster_beats_only_while_all_of_it_is_there(tender: work.Tender) -> None:
    tender.board.complete[1] = False
    tender.tend()
    assert list(Heartbeat.objects.values_list("name", flat=True)) == ["interactive"]

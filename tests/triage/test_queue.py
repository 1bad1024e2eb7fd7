"""The bell and the guard: django-q2's real queue with real processes, and its broker's rows."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from django_q.models import OrmQ
from django_q.queues import Queue

from triage import queue
from triage.models import Heartbeat

FORK = multiprocessing.get_context("fork")


def _echo(tasks: Any, results: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for task in iter(tasks.get, "STOP"):
        results.put((os.getpid(), task))


@contextmanager
def workers(count: int) -> Iterator[tuple[Any, Any, list[Any]]]:
    tasks, results = Queue(), Queue()
    started = [FORK.Process(target=_echo, args=(tasks, results), daemon=True) for _ in range(count)]
    for process in started:
        process.start()
    try:
        yield tasks, results, started
    finally:
        for process in started:
            process.kill()
            process.join()
        for one in (tasks, results):
            one.close()
            one.cancel_join_thread()


def _blocked_in_read(pid: int) -> bool:
    """Whether the process sleeps, waiting in poll(), as an idle worker does."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S"


def test_killing_an_idle_worker_does_not_freeze_the_others() -> None:
    for _ in range(5):
        with workers(2) as (tasks, results, (first, second)):
            for number in range(4):
                tasks.put(number)
            assert {results.get(timeout=5)[1] for _ in range(4)} == {0, 1, 2, 3}
            while not (_blocked_in_read(first.pid) and _blocked_in_read(second.pid)):
                time.sleep(0.01)
            time.sleep(0.3)
            first.kill()
            first.join()
            tasks.put("after")
            assert results.get(timeout=5) == (second.pid, "after")


def test_every_message_is_read_once_when_idle_workers_race_for_it() -> None:
    with workers(4) as (tasks, results, _):
        for number in range(200):
            tasks.put(number)
        assert sorted(results.get(timeout=10)[1] for _ in range(200)) == list(range(200))
        assert tasks.qsize() == 0


def bells(cluster: str = "interactive") -> list[OrmQ]:
    return list(OrmQ.objects.filter(key=cluster).order_by("pk"))


def claim(bell: OrmQ) -> None:
    OrmQ.objects.filter(pk=bell.pk).update(lock=timezone.now() + timedelta(seconds=90))


@pytest.mark.django_db(transaction=True)
def test_the_bell_rings_with_the_transaction_and_not_without_it() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        queue.ring("interactive")
        assert len(bells()) == 1
        _ = 1 / 0
    assert bells() == []
    with transaction.atomic():
        queue.ring("interactive")
    [bell] = bells()
    assert bell.task["func"] == "tickets.tasks.drain"
    assert bell.task["args"] == ("interactive",)


@pytest.mark.django_db(transaction=True)
def test_one_waiting_bell_is_enough_but_a_claimed_one_is_not() -> None:
    queue.ring("interactive")
    queue.ring("interactive")
    assert len(bells()) == 1
    claim(bells()[0])
    queue.ring("interactive")
    assert len(bells()) == 2
    assert queue.unclaimed("interactive") == 1
    assert queue.unclaimed("batch") == 0


@pytest.mark.django_db(transaction=True)
def test_a_bell_answered_before_our_commit_is_rung_again_after_it() -> None:
    queue.ring("interactive")
    with transaction.atomic():
        queue.ring("interactive")

        def answer() -> None:
            OrmQ.objects.all().delete()
            connection.close()

        other = threading.Thread(target=answer)
        other.start()
        other.join()
    assert len(bells()) == 1


@pytest.mark.django_db(transaction=True)
def test_the_bells_of_a_killed_cluster_ring_again_at_once() -> None:
    for cluster in queue.CLUSTERS:
        queue.ring(cluster)
    claim(bells("interactive")[0])
    claim(bells("batch")[0])
    assert queue.release("interactive") == 1
    assert queue.unclaimed("interactive") == 1
    assert queue.unclaimed("batch") == 0


@pytest.mark.django_db
def test_a_heartbeat_is_one_row_a_cluster_and_host_and_moves_on() -> None:
    queue.beat("interactive", force=True)
    first = Heartbeat.objects.get()
    assert (first.name, first.host, first.pid) == ("interactive", socket.gethostname(), os.getpid())
    queue.beat("interactive", force=True)
    assert Heartbeat.objects.get().beat_at > first.beat_at
    assert Heartbeat.latest_beat("interactive") is not None
    assert Heartbeat.latest_beat("batch") is None


@pytest.mark.django_db
def test_heartbeats_of_a_busy_worker_cost_one_row_a_second() -> None:
    queue.beat("batch", force=True)
    first = Heartbeat.objects.get().beat_at
    for _ in range(20):
        queue.beat("batch")
    assert Heartbeat.objects.get().beat_at == first


def test_a_worker_asked_to_stop_knows_it() -> None:
    def asked(results: Any) -> None:
        queue._heed_stop()
        before = queue.stopping()
        os.kill(os.getpid(), queue.STOP_CLAIMING)
        results.put((before, queue.stopping()))

    results = FORK.SimpleQueue()
    process = FORK.Process(target=asked, args=(results,))
    process.start()
    process.join(5)
    assert results.get() == (False, True)
    results.close()

"""The bell: django-q2 tasks that carry no data and only say that there is work in the rows.

Losing a bell or ringing it twice does no harm; a bell is rung so that work begins at once. The supervisor rings for
what was missed.
"""

from __future__ import annotations

import logging
import multiprocessing.queues
import os
import signal
import socket
import time
from functools import cache
from queue import Empty
from typing import Any, Literal

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

Cluster = Literal["interactive", "batch"]
CLUSTERS: tuple[Cluster, ...] = ("interactive", "batch")
BELL = "tickets.tasks.drain"
STOP_CLAIMING = signal.SIGUSR1  # django-q2 lets a running task finish, and tells it nothing
_BEAT_EVERY = 1.0  # seconds; signs of life come with every task, a row each second is enough

logger = logging.getLogger(__name__)
_last_beat: dict[str, float] = {}
_stopping = False


def ring(cluster: Cluster) -> None:
    """Have `cluster` look for work once the transaction in force is committed.

    One bell that waits unclaimed is enough for everybody: with the PostgreSQL broker the bell is a row of this
    transaction, or one that waits already. That one may be claimed and answered before our commit, so it is looked
    at again after it. With Redis the bell is rung on commit.
    """
    if settings.REDIS_URL:
        transaction.on_commit(lambda: _ring_redis(cluster), robust=True)
        return
    waiting = _waiting_bell(cluster)
    if waiting is None:
        _enqueue(cluster)
    elif connection.in_atomic_block:
        transaction.on_commit(lambda: _ring_if_answered(cluster, waiting), robust=True)


def unclaimed(cluster: Cluster) -> int:
    """How many bells wait that no worker has taken."""
    return int(_broker(cluster).queue_size())


def stopping() -> bool:
    """Whether this worker was asked to stop: a drain then claims nothing more and finishes what it holds."""
    return _stopping


def release(cluster: Cluster) -> int:
    """Make bells that a killed cluster had claimed ring again now, not when their lock runs out."""
    if settings.REDIS_URL:
        return 0
    from django_q.models import OrmQ

    now = timezone.now()
    return int(OrmQ.objects.filter(key=cluster, lock__gt=now).update(lock=now))


def beat(name: str, *, force: bool = False) -> None:
    """Record that the cluster `name` lives on this machine, at most once a second a process. Never raises."""
    from triage.models.heartbeat import Heartbeat

    now = time.monotonic()
    if not force and now - _last_beat.get(name, -_BEAT_EVERY) < _BEAT_EVERY:
        return
    try:
        with transaction.atomic():
            Heartbeat.objects.bulk_create(
                [Heartbeat(name=name, host=socket.gethostname(), pid=os.getpid(), beat_at=timezone.now())],
                update_conflicts=True,
                unique_fields=["name", "host"],
                update_fields=["pid", "beat_at"],
            )
    except (DatabaseError, InterfaceError) as error:
        logger.warning("heartbeat of %s not recorded: %s", name, type(error).__name__)
    else:
        _last_beat[name] = now


def install() -> None:
    """Repair django-q2 where a killed process would freeze its cluster, and beat with every task."""
    from django_q.queues import Queue
    from django_q.signals import post_execute, post_spawn, pre_execute

    Queue.get = _get_without_holding_the_lock
    # Strong references: a receiver that is garbage collected would beat no more.
    pre_execute.connect(_beat_with_task, weak=False, dispatch_uid="triage.queue.beat")
    post_execute.connect(_beat_with_task, weak=False, dispatch_uid="triage.queue.beat")
    post_spawn.connect(_heed_stop, weak=False, dispatch_uid="triage.queue.stop")


def _heed_stop(**_: Any) -> None:
    def stop(*_: Any) -> None:
        global _stopping  # noqa: PLW0603  one worker, one process
        _stopping = True

    signal.signal(STOP_CLAIMING, stop)


def _beat_with_task(**_: Any) -> None:
    from django_q.conf import Conf

    beat(Conf.CLUSTER_NAME)


def _get_without_holding_the_lock(self: Any, block: bool = True, timeout: float | None = None) -> Any:
    """Queue.get() of django-q2, but waiting outside the lock that its readers share.

    As published, an idle worker sleeps in get() holding that lock; killed there (by the kernel, for memory), it takes
    the lock with it and no other worker ever reads again (django-q2 issue 23). Here the lock is held only while a
    message that has arrived is read.
    """
    if not block or timeout is not None:
        item = multiprocessing.queues.Queue.get(self, block, timeout)
    else:
        while True:
            if not self._reader.poll(1.0):
                continue
            try:
                item = multiprocessing.queues.Queue.get(self, True, 0.25)
            except Empty:  # another worker was quicker
                continue
            break
    self.size.increment(-1)
    return item


def _bells(cluster: Cluster) -> Any:
    from django_q.models import OrmQ

    return OrmQ.objects.filter(key=cluster, lock__lte=timezone.now())


def _waiting_bell(cluster: Cluster) -> int | None:
    waiting: int | None = _bells(cluster).values_list("pk", flat=True).first()
    return waiting


def _ring_if_answered(cluster: Cluster, bell: int) -> None:
    if not _bells(cluster).filter(pk=bell).exists():
        ring(cluster)


def _ring_redis(cluster: Cluster) -> None:
    from redis import RedisError  # a third of a second that nobody pays who has none

    try:
        if not _broker(cluster).queue_size():
            _enqueue(cluster)
    except RedisError as error:
        # The row is stored, which is what counts; the supervisor rings for it when Redis is back.
        logger.warning("bell for %s not rung: %s", cluster, type(error).__name__)


def _enqueue(cluster: Cluster) -> None:
    from django_q.tasks import async_task

    async_task(BELL, cluster, cluster=cluster, broker=_broker(cluster), task_name=f"bell-{cluster}")


@cache  # each broker for Redis has a connection pool of its own
def _broker(cluster: Cluster) -> Any:
    from django_q.brokers import get_broker

    return get_broker(cluster)

"""Is the process alive, and can it work? For the machines that start, stop and watch it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import asdict, dataclass
from typing import Any, Literal

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from tickets.lag import lags
from triage.models import Heartbeat
from triage.queue import CLUSTERS

PATIENCE = 4.0  # seconds for all checks together: whoever asks waits five
SILENT_AFTER = 30.0  # seconds without a heartbeat
REDIS_PATIENCE = 2.0

State = Literal["ok", "degraded", "down"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one dependency answered. `detail` is for operators and holds no secret."""

    status: State
    latency_ms: float
    detail: str = ""


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process runs and answers; nothing else is asked."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Every dependency with its state and latency. A silent worker is no reason to send customers elsewhere."""
    findings = _findings()
    down = any(finding.status == "down" for finding in findings.values())
    degraded = any(finding.status == "degraded" for finding in findings.values())
    document = {
        "status": "down" if down else "degraded" if degraded else "ok",
        "checks": {name: asdict(finding) for name, finding in findings.items()},
        "queues": {} if findings["database"].status == "down" else _queues(),
    }
    response = JsonResponse(document, status=503 if down else 200)
    if down:
        response["Retry-After"] = "5"
    return response


def _queues() -> dict[str, dict[str, float]]:
    """What waits, and for how many seconds the oldest of it; nothing where the database does not say."""
    try:
        return {lag.queue: {"waiting": lag.waiting, "oldest_seconds": round(lag.oldest_seconds, 1)} for lag in lags()}
    except (DatabaseError, InterfaceError):
        return {}


def _findings() -> dict[str, Finding]:
    """All checks side by side. One that does not answer in time is down, whatever it waits for."""
    checks: dict[str, Callable[[], str]] = {"database": _database, "migrations": _migrations, "worker": _worker}
    if settings.REDIS_URL:
        checks["redis"] = _redis
    until = time.monotonic() + PATIENCE
    running = {name: _begin(name, check) for name, check in checks.items()}
    return {name: _outcome(name, future, until) for name, future in running.items()}


_waiting: dict[str, Future[Finding]] = {}
_lock = threading.Lock()


def _begin(name: str, check: Callable[[], str]) -> Future[Finding]:
    """A check that hangs is not begun twice: its thread would be lost each time somebody asks."""
    with _lock:
        future = _waiting.get(name)
        if future is None or future.done():
            future = _waiting[name] = Future()
            # A daemon: a process that is told to end must not wait for a database that says nothing.
            threading.Thread(target=_run, args=(future, check), name=f"readyz-{name}", daemon=True).start()
        return future


def _run(future: Future[Finding], check: Callable[[], str]) -> None:
    try:
        future.set_result(_measure(check))
    except BaseException as error:
        future.set_exception(error)


def _measure(check: Callable[[], str]) -> Finding:
    began = time.monotonic()
    try:
        detail = check()
    except (DatabaseError, InterfaceError, OSError) as error:
        return Finding("down", _since(began), type(error).__name__)
    finally:
        connections.close_all()
    state: State = "ok"
    if detail:
        state = "degraded" if check is _worker else "down"
    return Finding(state, _since(began), detail)


def _outcome(name: str, future: Future[Finding], until: float) -> Finding:
    try:
        finding = future.result(timeout=max(until - time.monotonic(), 0.0))
    except TooSlow:
        finding = Finding("down", PATIENCE * 1000, f"No answer within {PATIENCE:g} s.")
    # Without the database nobody can say how the worker is: the database's own line says what is wrong.
    if name == "worker" and finding.status == "down":
        return Finding("degraded", finding.latency_ms, finding.detail)
    return finding


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    return ""


_migrated = False


def _migrations() -> str:
    """Whether every migration of this version is applied. Once it is so, it stays so while the process runs."""
    global _migrated  # noqa: PLW0603  one fact a process
    if _migrated:
        return ""
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        return f"{len(missing)} migrations are not applied. Run manage.py migrate."
    _migrated = True
    return ""


def _worker() -> str:
    silent = []
    for name in CLUSTERS:
        beat = Heartbeat.objects.filter(name=name).order_by("-beat_at").first()
        if beat is None or beat.age_seconds > SILENT_AFTER:
            silent.append(name)
    return f"No sign of life from: {', '.join(silent)}. Run manage.py work." if silent else ""


def _redis() -> str:
    import redis  # only where it is used: 23 MB

    client: Any = redis.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=REDIS_PATIENCE, socket_timeout=REDIS_PATIENCE
    )
    try:
        client.ping()
    except redis.RedisError as error:
        raise ConnectionError(type(error).__name__) from error
    finally:
        client.close()
    return ""


def _since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 2)

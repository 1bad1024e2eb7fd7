from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import OperationalError
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.utils import timezone

from tickets.views import health
from triage.models import Heartbeat

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_waiting", {})
    monkeypatch.setattr(health, "_migrated", False)


def beat(**given: Any) -> None:
    for name in ("interactive", "batch"):
        Heartbeat.objects.create(name=name, host="here", pid=1, beat_at=timezone.now())


def ask() -> tuple[int, dict[str, Any]]:
    response = Client().get("/readyz")
    return response.status_code, response.json()


def test_it_is_alive_without_asking_anybody(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        response = Client().get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_it_is_ready_when_everything_answers_and_says_how_long_each_took() -> None:
    beat()
    status, document = ask()
    assert (status, document["status"]) == (200, "ok")
    assert set(document["checks"]) == {"database", "migrations", "worker"}
    for check in document["checks"].values():
        assert check["status"] == "ok"
        assert check["latency_ms"] > 0


def test_a_silent_worker_is_degraded_and_still_ready() -> None:
    status, document = ask()
    assert (status, document["status"]) == (200, "degraded")
    assert document["checks"]["worker"]["status"] == "degraded"
    assert "manage.py work" in document["checks"]["worker"]["detail"]


def test_a_heartbeat_of_long_ago_is_silence() -> None:
    beat()
    Heartbeat.objects.update(beat_at=timezone.now() - timedelta(minutes=5))
    assert ask()[1]["checks"]["worker"]["status"] == "degraded"


def test_a_database_that_refuses_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> str:
        raise OperationalError("no")

    monkeypatch.setattr(health, "_database", refuse)
    status, document = ask()
    assert (status, document["status"]) == (503, "down")
    assert document["checks"]["database"]["detail"] == "OperationalError"


def test_a_database_that_says_nothing_is_503_within_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PATIENCE", 0.3)

    def sleep() -> str:
        time.sleep(1)
        return ""

    monkeypatch.setattr(health, "_database", sleep)
    began = time.monotonic()
    status, _ = ask()
    assert status == 503
    assert time.monotonic() - began < 1
    time.sleep(1)  # let the sleeping check end before the test's database does


def test_migrations_that_are_missing_are_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda self, targets: [("tickets", False)])
    status, document = ask()
    assert status == 503
    assert "manage.py migrate" in document["checks"]["migrations"]["detail"]


def test_redis_that_is_named_and_not_there_is_503(settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    status, document = ask()
    assert status == 503
    assert document["checks"]["redis"]["status"] == "down"

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from tests.analytics.conftest import Make
from tickets.actions import keys
from tickets.actions.seeding import plant_taxonomy
from triage.models import Call, Heartbeat


def scrape(scopes: tuple[str, ...] = ("read",)) -> dict[tuple[str, ...], float]:
    """{(name, values of the labels in the order of their names): value} of one scrape."""
    _, key = keys.create(name="prometheus", scopes=scopes, username=None, source_name="API")
    response = Client().get("/metrics", headers={"Authorization": f"Bearer {key}"})
    assert response.status_code == 200
    families = text_string_to_metric_families(response.content.decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_it_counts_tickets_waiting_work_and_calls(make: Make) -> None:
    make()
    make(triage_state="triaged", status="in_review")
    for cost in ("0.25", "0.5"):
        Call.objects.create(operation="draft", provider="fake", model_asked="m", status="ok", cost=cost, latency_ms=500)
    Heartbeat.objects.create(name="batch", host="here", pid=1, beat_at=timezone.now())
    found = scrape()
    assert found["triage_tickets", "submitted", "new"] == 1
    assert found["triage_tickets", "triaged", "in_review"] == 1
    assert found["triage_queue_depth", "interactive"] == 1
    assert found["triage_queue_depth", "imported"] == 0
    assert found["triage_model_calls_total", "m", "draft", "ok"] == 2
    assert found["triage_model_cost_usd_total", "m", "draft", "ok"] == 0.75
    assert found["triage_model_seconds_mean", "m", "draft", "ok"] == 0.5
    assert found["triage_deliveries", "unknown"] == 0
    assert found["triage_worker_silence_seconds", "batch", "here"] < 60


def test_an_empty_desk_has_figures_too(db: None) -> None:
    plant_taxonomy()
    assert scrape()["triage_queue_oldest_seconds", "interactive"] == 0


def test_it_tells_nobody_without_a_key(db: None) -> None:
    plant_taxonomy()
    assert Client().get("/metrics").status_code == 401
    assert Client().get("/metrics", headers={"X-API-KEY": "td_wrong"}).status_code == 401
    _, key = keys.create(name="writer", scopes=("write",), username=None, source_name="API")
    assert Client().get("/metrics", headers={"X-API-KEY": key}).status_code == 403


def test_the_command_prints_what_the_address_gives(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    make()
    call_command("metrics")
    assert "triage_tickets{" in capsys.readouterr().out

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from tests.tickets.conftest import MakeTicket
from tickets.actions import keys, webhooks
from tickets.lag import due_by_queue, lags
from tickets.models import Lane, Ticket, Webhook, WebhookCall
from tickets.models.work import Work
from triage.models import User


@pytest.fixture
def behind(make_ticket: MakeTicket, lead: User) -> None:
    """Three tickets, of which one is imported and one is put off; and two calls of a webhook."""
    now = timezone.now()
    tickets = [make_ticket(str(number)) for number in range(3)]
    Ticket.objects.filter(pk=tickets[0].pk).update(not_before=now - timedelta(seconds=90))
    Ticket.objects.filter(pk=tickets[1].pk).update(lane=Lane.IMPORTED, not_before=now - timedelta(hours=1))
    Ticket.objects.filter(pk=tickets[2].pk).update(not_before=now + timedelta(hours=1))
    hook, _ = webhooks.keep(name="Pager", url="https://example.com/", by=lead)
    for seconds in (10, 40):
        WebhookCall.objects.create(webhook=hook, not_before=now - timedelta(seconds=seconds))


def test_each_queue_says_how_much_is_due_and_since_when(behind: None) -> None:
    found = {lag.queue: (lag.waiting, round(lag.oldest_seconds / 10)) for lag in lags()}
    assert found["tickets"] == (1, 9)
    assert found["imported tickets"] == (1, 360)
    assert found["webhooks"] == (2, 4)
    assert found["replies"] == (0, 0)
    Webhook.objects.update(active=False)
    assert {lag.queue: lag.waiting for lag in lags()}["webhooks"] == 0, "nobody waits for what is off"


def test_no_kind_of_work_is_missing() -> None:
    assert {due.model for due in due_by_queue(timezone.now()).values()} == set(Work.__subclasses__())


def test_the_command_the_health_page_and_the_metrics_show_it(behind: None) -> None:
    said = StringIO()
    call_command("status", stdout=said)
    assert "2 waiting, the oldest for 4" in said.getvalue()
    queues = Client().get("/readyz").json()["queues"]
    assert queues["imported tickets"]["waiting"] == 1
    assert queues["imported tickets"]["oldest_seconds"] >= 3600
    _, key = keys.create(name="prometheus", scopes=("read",), username=None, source_name="API")
    scraped = Client().get("/metrics", headers={"Authorization": f"Bearer {key}"}).content.decode()
    assert 'triage_work_waiting{queue="webhooks"} 2.0' in scraped
    assert 'triage_work_oldest_seconds{queue="imported tickets"} 36' in scraped

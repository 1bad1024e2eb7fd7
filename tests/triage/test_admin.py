from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from triage.models import Allowance, Breaker, Budget, Call, MessageBatch, ModelServer, Price, Spending, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin_page(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root", password="for tests only"))
    return client


def test_calls_are_read_and_never_changed(admin_page: Client) -> None:
    call = Call.objects.create(operation="draft", provider="anthropic", model_asked="claude-haiku-5-5")
    assert admin_page.get("/admin/triage/call/").status_code == 200
    page = admin_page.get(f"/admin/triage/call/{call.pk}/change/")
    assert page.status_code == 200 and b'name="_save"' not in page.content
    assert admin_page.get("/admin/triage/call/add/").status_code == 403
    assert admin_page.post(f"/admin/triage/call/{call.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_price_is_added_as_a_row_of_a_later_day(admin_page: Client) -> None:
    parts = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
    form = {"model": "claude-haiku-5-5", "valid_from": "2027-01-01", "batch_factor": "0.5", "us_factor": "1.1"}
    assert admin_page.post("/admin/triage/price/add/", {**form, **dict.fromkeys(parts, "1")}).status_code == 302
    assert Price.objects.filter(model="claude-haiku-5-5").count() == 2


def test_the_budget_is_changed_and_never_doubled(admin_page: Client) -> None:
    assert b"$0.0000" in admin_page.get("/admin/triage/budget/").content
    assert admin_page.post("/admin/triage/budget/1/change/", {"monthly_limit": "25"}).status_code == 302
    assert Budget.objects.get().monthly_limit == 25
    assert admin_page.get("/admin/triage/budget/add/").status_code == 403


def test_an_open_breaker_is_closed_by_hand(admin_page: Client) -> None:
    Breaker.objects.create(provider="api.anthropic.com", opened_at=timezone.now())
    chosen = {"action": "close", "_selected_action": ["api.anthropic.com"]}
    admin_page.post("/admin/triage/breaker/", chosen)
    assert Breaker.objects.get().state == "closed"


def test_the_budget_shows_its_share_and_caps_and_servers_are_read_and_never_changed(
    admin_page: Client, settings: Settings
) -> None:
    settings.TRIAGE_CALLS_A_DAY = 1000
    Allowance.take()
    Budget.objects.update(monthly_limit=10)
    Spending.objects.create(month=timezone.localdate().replace(day=1), cost=8)
    server = ModelServer.objects.create(endpoint="localhost:11434", model="llama-5")
    assert b"$8.0000, 80% of it" in admin_page.get("/admin/triage/budget/").content
    page = admin_page.get("/admin/triage/allowance/").content.decode()
    assert "1,000" in page and ">1<" in page
    assert b"localhost:11434" in admin_page.get("/admin/triage/modelserver/").content
    for address in ("allowance/day", f"modelserver/{server.pk}"):
        assert admin_page.post(f"/admin/triage/{address}/delete/", {"post": "yes"}).status_code == 403


def test_message_batches_say_how_they_stand_and_are_never_changed(admin_page: Client) -> None:
    batch = MessageBatch.objects.create(
        owner="replay:7", provider="anthropic", model="claude-haiku-5-5", size=40, error="The server was busy."
    )
    page = admin_page.get("/admin/triage/messagebatch/").content.decode()
    assert "replay:7" in page and "To be sent" in page and "The server was busy." in page
    assert admin_page.get("/admin/triage/messagebatch/add/").status_code == 403
    for address in ("change", "delete"):
        answer = admin_page.post(f"/admin/triage/messagebatch/{batch.pk}/{address}/", {"post": "yes"})
        assert answer.status_code == 403
    assert MessageBatch.objects.exists()

"""How it stands with the model, and one call in full."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from analytics.views.call import exact
from tests.analytics.conftest import Make
from triage.models import Allowance, Breaker, Budget, Call, Price, Spending, Tokens, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(settings: Settings) -> Settings:
    settings.ANTHROPIC_API_KEY, settings.TRIAGE_MODEL = "test-key", "claude-haiku-5-5"
    return settings


def shown(user: User, address: str = "/calls/", status: int = 200) -> str:
    client = Client()
    client.force_login(user)
    answer = client.get(address)
    assert answer.status_code == status
    return answer.content.decode()


def failed(seconds_ago: float) -> Breaker:
    at = timezone.now() - timedelta(seconds=seconds_ago)
    return Breaker.objects.create(
        provider="api.anthropic.com", failed_at=[at] * 5, opened_at=at, reason="it <i>is</i> overloaded"
    )


def test_a_provider_that_never_failed_answers(model: Settings, lead: User) -> None:
    page = shown(lead)
    assert "Answers" in page and "claude-haiku-5-5" in page and "no limit" in page


def test_an_open_breaker_is_shown_with_its_reason_and_how_long_it_rests(model: Settings, lead: User) -> None:
    failed(seconds_ago=10)
    page = shown(lead)
    assert "api.anthropic.com" in page and "more seconds" in page
    assert "Left alone for 20" in page or "Left alone for 19" in page
    assert "it &lt;i&gt;is&lt;/i&gt; overloaded" in page


def test_a_breaker_that_rested_is_being_tried_again_and_a_closed_one_answers(model: Settings, lead: User) -> None:
    breaker = failed(seconds_ago=40)
    assert "Being tried again" in shown(lead)
    Breaker.objects.filter(pk=breaker.pk).update(opened_at=None)
    page = shown(lead)
    assert "Answers" in page and "last failed" in page


def test_the_month_is_shown_with_its_limit_and_what_is_unknown(model: Settings, lead: User) -> None:
    Budget.objects.update(monthly_limit=Decimal("20"))
    Spending.objects.create(month=timezone.localdate().replace(day=1), cost=Decimal("17"), calls=9, unknown=2)
    page = shown(lead)
    assert "$17.00 of $20.00" in page and "85 %" in page and "the cost of 2 calls is not known" in page
    Spending.objects.update(cost=Decimal("20"))
    assert "all spent: the local engine reads alone" in shown(lead)


def test_caps_are_shown_with_what_is_used_of_them(model: Settings, lead: User) -> None:
    assert "This minute" not in shown(lead)
    model.TRIAGE_CALLS_A_DAY, model.TRIAGE_CALLS_A_MINUTE = 1000, 1
    Allowance.take()
    page = shown(lead)
    assert "1 of 1,000 calls" in page
    assert "1 of 1 calls: the local engine reads alone" in page


def test_the_fallback_is_named(model: Settings, lead: User) -> None:
    model.TRIAGE_FALLBACK_MODEL = "claude-sonnet-5-5"
    assert "claude-haiku-5-5, then claude-sonnet-5-5" in shown(lead)


def made(**fields: Any) -> Call:
    price = Price.of("claude-sonnet-4-5", timezone.localdate())
    cost = price.cost(Tokens(3, 0, 12_304, 0, 550)) if price else None
    assert cost is not None
    whole: dict[str, Any] = {
        "operation": "classify", "provider": "anthropic", "status": "ok", "latency_ms": 1234, "retries": 2,
        "model_asked": "claude-sonnet-4-5", "model_answered": "claude-sonnet-4-5-20250929",
        "prompt_version": "classify-abc", "max_tokens": 1024, "input_limit": 20_000, "input_characters": 20_000,
        "input_tokens": 3, "cache_read_tokens": 0, "cache_write_5m_tokens": 12_304, "cache_write_1h_tokens": 0,
        "output_tokens": 550, "input_cost": cost.input, "cache_read_cost": cost.cache_read, "output_cost": cost.output,
        "cache_write_5m_cost": cost.cache_write_5m, "cache_write_1h_cost": cost.cache_write_1h, "cost": cost.total,
        "price": cost.price, "masked": {"email": 2, "name": 1}, "request_id": "req_7", "correlation_id": "trace-1234",
    }  # fmt: skip
    return Call.objects.create(**{**whole, **fields})


def test_a_call_is_shown_in_full_its_cost_to_the_last_digit(make: Make, agent: User) -> None:
    ticket = make(team="software")
    call = made(subject_kind="ticket", subject_id=str(ticket.pk))
    page = shown(agent, f"/calls/{call.pk}/")
    for part in ("$0.054399", "$0.04614", "$0.000009", "$0.00825", "12,304", "3.7500"):
        assert part in page, part
    for fact in ("classify-abc", "claude-sonnet-4-5-20250929", "after 2 retries", "2 email", "1 name", "req_7"):
        assert fact in page, fact
    assert "1,024 tokens out; 20,000 of 20,000 characters in, the middle left out" in page
    assert "At the price of claude-sonnet-4-5 in force since 2025-09-29" in page
    assert f'href="/tickets/{ticket.pk}/"' in page and "trace-1234" in page
    assert f'href="/calls/{call.pk}/"' in shown(agent)


def test_a_call_that_left_unmasked_says_so(make: Make, agent: User) -> None:
    assert "Not masked" in shown(agent, f"/calls/{made(masked=None).pk}/")
    assert "Not masked" not in shown(agent, f"/calls/{made(masked={}).pk}/")


def test_a_call_about_a_ticket_of_another_team_leads_to_none(make: Make, agent: User) -> None:
    ticket = make(team="billing")
    call = made(subject_kind="ticket", subject_id=str(ticket.pk))
    assert f'href="/tickets/{ticket.pk}/"' not in shown(agent, f"/calls/{call.pk}/")


NOTHING = dict.fromkeys(
    ("input_cost", "cache_read_cost", "cache_write_5m_cost", "cache_write_1h_cost", "output_cost", "cost", "price")
)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"model_answered": "llama-5"}, "There is no price for llama-5 on that day."),
        ({"input_tokens": None}, "The server did not say what was used."),
        ({"status": "started", "latency_ms": None}, "It has not ended."),
    ],
)
def test_a_cost_that_nobody_knows_is_said_to_be_unknown_and_why(agent: User, fields: dict[str, Any], why: str) -> None:
    page = shown(agent, f"/calls/{made(**NOTHING, **fields).pk}/")
    assert "Not known" in page and why in page


def test_a_request_that_was_refused_cost_nothing_and_says_so(agent: User) -> None:
    call = made(
        **{**NOTHING, "cost": Decimal(0)}, status="failed", error_code="not_paid", error="It asks for <payment>."
    )
    page = shown(agent, f"/calls/{call.pk}/")
    assert "$0.00" in page and "charges nothing" in page and "It asks for &lt;payment&gt;." in page


def test_a_call_is_for_the_desk_alone(outsider: User) -> None:
    address = f"/calls/{made().pk}/"
    assert Client().get(address)["Location"].startswith("/sign-in/")
    shown(outsider, address, status=403)


def test_a_call_that_is_none_is_not_found(lead: User) -> None:
    shown(lead, "/calls/999/", status=404)


def test_exact_dollars_keep_every_digit_that_counts() -> None:
    assert exact(Decimal("0.000000005500")) == "0.0000000055"
    assert (exact(Decimal("3.000000000000")), exact(Decimal("0.5")), exact(None)) == ("3.00", "0.50", "")

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from analytics import summary
from analytics.period import ALL, TODAY, WEEK
from analytics.story import tell
from tests.analytics.conftest import Make
from tickets.models import Draft, Ticket
from triage.models import Call, User
from triage.providers import fake

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(settings: Any) -> Iterator[fake.FakeMessagesAPI]:
    with fake.FakeMessagesAPI() as server:
        settings.ANTHROPIC_BASE_URL = server.base_url
        yield server


def busy_week(make: Make) -> None:
    now = timezone.now()
    for number in range(5):
        ticket = make(category="billing", priority="P1" if number == 0 else "P3", tags=["invoice"], status="in_review",
                      triage_state="triaged", triaged_at=now, due_at=now - timedelta(minutes=1))  # fmt: skip
        Draft.objects.create(ticket=ticket, text="Hello")
    make(category="bug", status="escalated", tags=["crash"], ago=1)
    answered = make(category="bug", status="resolved", ago=2)
    Ticket.objects.filter(pk=answered.pk).update(first_replied_at=answered.created_at + timedelta(minutes=42))
    make(ago=9, tags=["invoice"], status="closed", resolved_at=now - timedelta(days=8))
    Call.objects.create(operation="classify", provider="anthropic", model_asked="m", status="ok", latency_ms=1200,
                        cost=Decimal("0.000412"), subject_kind="ticket", subject_id=str(answered.pk))  # fmt: skip


def test_the_template_tells_the_figures_and_every_number_is_borne_out(make: Make, lead: User) -> None:
    busy_week(make)
    kept = summary.write(WEEK, by=lead)
    assert kept.engine == "template"
    assert kept.unmatched == []
    for told in (
        "7 tickets came in and 1 was resolved, so the queue grew by 6.",
        "6 tickets are open now.",
        "The largest category was Billing (5, 71.4 %), then Bug (2). 1 new ticket was urgent.",
        "What keeps coming back: invoice (5 tickets, 1 in the period before).",
        "Waiting for a person: 5 drafted replies to approve, an escalated ticket and 5 tickets past",
        "first reply within 42 minutes",
        "A language model was called once for $0.00041, $0.00041 a ticket.",
    ):
        assert told in kept.text


@pytest.mark.parametrize("period", [TODAY, WEEK, ALL])
def test_an_empty_desk_has_a_summary_too(lead: User, period: Any) -> None:
    text = tell(summary.gather(period, lead))
    assert "no ticket came in and none was resolved. Nothing is open now." in text
    assert "Nothing waits for a person." in text
    assert "No language model was called" in text


def test_its_figures_are_those_its_writer_may_see(make: Make, agent: User, lead: User) -> None:
    make(team="software")
    make(team="billing")
    assert summary.gather(WEEK, agent)["tickets"]["new"] == 1
    assert summary.gather(WEEK, lead)["tickets"]["new"] == 2


def test_the_model_tells_it_where_one_is_configured(make: Make, lead: User, model: fake.FakeMessagesAPI) -> None:
    busy_week(make)
    kept = summary.write(WEEK, by=lead)
    call = Call.objects.get(operation="summary")
    assert (kept.engine, kept.call_id, kept.note) == ("model", call.pk, "")
    assert (call.subject_kind, call.status) == ("summary", "ok")
    assert call.prompt_version.startswith("summary-")
    sent = str(model.bodies)
    assert "Use only numbers that stand in the figures" in sent
    assert "awaiting_approval_now" in sent


def test_numbers_the_model_made_up_are_flagged(
    make: Make, lead: User, model: fake.FakeMessagesAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy_week(make)

    async def invented(exchange: fake.Exchange, text: str) -> None:
        await exchange.say("7 tickets came in, 71 % of them Billing. 1,300 were answered in 3.5 minutes, P1 first.")

    monkeypatch.setitem(fake.FAULTS, "invented", invented)
    model.script("invented")
    assert summary.write(WEEK, by=lead).unmatched == ["1,300", "3.5"]


@pytest.mark.parametrize("fault", ["bad_request", "refusal", "empty", "truncated", "not_json"])
def test_a_model_that_gives_no_answer_is_replaced_by_the_template(
    lead: User, model: fake.FakeMessagesAPI, fault: str
) -> None:
    model.always(fault)
    kept = summary.write(WEEK, by=lead)
    assert kept.engine == "template"
    assert "template told it" in kept.note
    assert "Nothing waits for a person." in kept.text


@pytest.mark.parametrize(
    ("text", "flagged"),
    [
        ("12 came and 3 went.", []),
        ("About 12.3 % and 12 %.", []),
        ("12.4 % it was.", ["12.4"]),
        ("1,200 tokens, 1200 tokens, 1,201 tokens", ["1,201"]),
        ("From 14 to 20 November 2026", []),
        ("P1 and 2FA and v3.1 are names", []),
        ("In 21 days, 5, 5 and 5.", ["21", "5"]),
        ("It cost $0.0004, that is $0.0005 less.", ["0.0005"]),
        ("The queue shrank by 8.", []),
    ],
)
def test_a_number_is_borne_out_at_the_precision_it_is_written_with(text: str, flagged: list[str]) -> None:
    figures = {
        "a": 12, "b": [{"c": 3, "share": 12.34}], "tokens": 1200, "cost": 0.000412, "change": -8,
        "first_day": "2026-11-14", "last_day": "2026-11-20",
    }  # fmt: skip
    assert summary.unmatched(text, figures) == flagged

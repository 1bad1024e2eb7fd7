from __future__ import annotations

import io
import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.tickets.conftest import MakeTicket
from tickets.actions import review
from tickets.management.commands import reprocess
from tickets.models import Category, Ticket
from triage.models import Call, User


def run(**options: Any) -> str:
    out = io.StringIO()
    call_command("reprocess", stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def failed(make_ticket: MakeTicket) -> Ticket:
    ticket = make_ticket(title="Unreadable")
    Ticket.objects.filter(pk=ticket.pk).update(triage_state="failed", error="It broke.")
    return ticket


def states() -> dict[str, str]:
    return dict(Ticket.objects.values_list("subject", "triage_state"))


def test_a_dry_run_says_which_tickets_and_does_nothing(reviewed: Ticket, failed: Ticket) -> None:
    out = run(dry_run=True)
    assert "2 tickets would be read again" in out
    assert "triage state: " in out
    assert states() == {"Export fails": "triaged", "Unreadable": "failed"}


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({}, {"Export fails", "Unreadable"}),
        ({"failed": True}, {"Unreadable"}),
        ({"status": "in_review"}, {"Export fails"}),
        ({"team": "software"}, {"Export fails"}),
        ({"team": "none"}, {"Unreadable"}),
        ({"category": "bug"}, set()),
        ({"source": "Support form"}, {"Export fails", "Unreadable"}),
        ({"source": "Elsewhere"}, set()),
        ({"since": "2020-01-01"}, {"Export fails", "Unreadable"}),
        ({"since": "2999-01-01T00:00:00Z"}, set()),
        ({"read_by": "model"}, set()),
    ],
)
def test_the_filters_choose(reviewed: Ticket, failed: Ticket, options: dict[str, Any], chosen: set[str]) -> None:
    run(no_wait=True, **options)
    assert {subject for subject, state in states().items() if state == "submitted"} == chosen


def test_it_waits_and_says_what_is_different_and_what_it_cost(
    reviewed: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_meanwhile(seconds: float) -> None:
        bug = Category.objects.get(key="bug")
        Ticket.objects.update(triage_state="triaged", category=bug)
        Call.objects.create(
            operation="draft",
            provider="fake",
            model_asked="m",
            cost="0.5",
            subject_kind="ticket",
            subject_id=str(reviewed.number),
        )

    monkeypatch.setattr(time, "sleep", read_meanwhile)
    out = run()
    assert "none → bug: 1" in out
    assert "$0.5000" in out


def test_without_a_worker_it_does_not_wait_for_ever(reviewed: Ticket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reprocess, "SILENT_AFTER", timedelta(0))
    with pytest.raises(CommandError, match=r"manage\.py work"):
        run()


def test_what_a_person_set_stays(reviewed: Ticket, agent: User) -> None:
    review.correct(ticket=reviewed, changes={"category": "billing"}, by=agent)
    run(no_wait=True)
    reviewed.refresh_from_db()
    assert reviewed.value_of("category") == "billing"
    assert reviewed.decided_by_person("category")


def test_a_date_that_is_none_is_a_sentence(db: None) -> None:
    with pytest.raises(CommandError, match="is no date"):
        run(since="yesterday", dry_run=True)

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F

from tests.tickets.conftest import MakeTicket, last_seen
from tickets.actions import replies
from tickets.models import Source, Ticket
from triage.correlation import acting
from triage.models import Attempt, User


def test_a_trace_leads_from_the_door_to_the_send(
    make_ticket: MakeTicket, lead: User, capsys: pytest.CaptureFixture[str]
) -> None:
    with acting("visitor", correlation_id="trace-of-one-ticket"):
        ticket = make_ticket()
    with acting(f"user:{lead.pk}", correlation_id="the-approving-request"):
        replies.approve(ticket=ticket, text="Done.", version=0, answers=last_seen(ticket), by=lead)
    call_command("trace", "trace-of-one-ticket")
    out = capsys.readouterr().out
    # In a test all of it is one transaction, so the database's own stamps are alike: the order says nothing here.
    assert sorted(line[25:34].strip() for line in out.splitlines()) == ["change", "delivery", "ticket"]
    assert f"#{ticket.number} taken in from {ticket.source}" in out
    assert "by email: queued" in out
    call_command("trace", "the-approving-request")
    assert f"by user:{lead.pk}" in capsys.readouterr().out


def test_an_id_that_nobody_knows_is_a_sentence(db: None) -> None:
    with pytest.raises(CommandError, match="Nothing is known"):
        call_command("trace", "no-such-trace")


@pytest.mark.django_db(transaction=True)
def test_the_demo_sends_its_tickets_through_the_form_of_the_running_desk(
    live_server: Any, form: Source, settings: Any
) -> None:
    settings.PORT = urlsplit(live_server.url).port
    call_command("demo", "--count", "2")
    assert Ticket.objects.filter(source=form).count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_demo_waits_where_the_form_takes_no_more_for_a_moment(
    live_server: Any, form: Source, settings: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.PORT, settings.FORM_PER_MINUTE, settings.FORM_PER_HOUR = urlsplit(live_server.url).port, 2, 3
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        Attempt.objects.update(at=F("at") - timedelta(seconds=61))

    monkeypatch.setattr("tickets.management.commands.demo.sleep", sleep)
    with pytest.raises(CommandError, match=r"no more from this address for \d+ minutes; run the same command then"):
        call_command("demo", "--count", "5")
    assert Ticket.objects.filter(source=form).count() == 3
    assert len(waits) == 1 and 50 < waits[0] <= 60
    assert "The form takes the next one in" in capsys.readouterr().out


def test_the_demo_says_when_no_desk_runs(settings: Any) -> None:
    settings.PORT = 9  # discard: nothing listens there
    with pytest.raises(CommandError, match="make up"):
        call_command("demo")

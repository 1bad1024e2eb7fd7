from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from tests.tickets.conftest import MakeTicket
from tickets import tasks
from tickets.actions import pausing, triage
from tickets.actions.errors import Forbidden
from tickets.models import Lane, Ticket, TriageState
from triage import queue
from triage.models import Pause, User

pytestmark = pytest.mark.django_db


def test_while_it_is_paused_nothing_is_claimed_and_after_it_all_that_waited(make_ticket: MakeTicket) -> None:
    Pause.begin(by="Ada")
    made = make_ticket()
    assert triage.claim(5, [Lane.INTERACTIVE]) == []
    assert Ticket.objects.get().triage_state == TriageState.SUBMITTED
    Pause.end(by="Ada")
    assert [claimed.pk for claimed in triage.claim(5, [Lane.INTERACTIVE])] == [made.pk]


def test_while_it_is_paused_the_tender_rings_for_no_ticket(make_ticket: MakeTicket) -> None:
    from django_q.models import OrmQ

    make_ticket()
    Pause.begin(by="Ada")
    OrmQ.objects.all().delete()
    tasks.tend()
    assert queue.unclaimed("interactive") == 0
    Pause.objects.update(ended_at=timezone.now(), ended_by="Ada")
    tasks.tend()
    assert queue.unclaimed("interactive") == 1


def test_a_lead_may_resume_and_an_agent_or_an_auditor_may_not(agent: User, auditor: User, lead: User) -> None:
    Pause.begin(by="Ada")
    for person in (agent, auditor):
        with pytest.raises(Forbidden):
            pausing.resume(by=person)
    assert Pause.in_force() is not None
    assert pausing.resume(by=lead)
    assert Pause.objects.get().ended_by == "Lea"


def test_what_is_skipped_is_failed_with_its_reason_and_can_be_run_again_in_bulk(
    make_ticket: MakeTicket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pausing, "PORTION", 2)
    old = [make_ticket(title=f"Old {number}") for number in range(5)]
    Ticket.objects.update(created_at=timezone.now() - timedelta(days=3))
    new = make_ticket(title="New")
    assert pausing.skip(before=timezone.now() - timedelta(days=1), by="command:resume") == 5
    assert Ticket.objects.filter(triage_state=TriageState.FAILED).count() == 5
    found = Ticket.objects.get(pk=old[0].pk)
    assert found.error.startswith("Skipped: ")
    assert found.events.order_by("pgh_id").last().actor == "command:resume"  # type: ignore[union-attr]
    assert Ticket.objects.get(pk=new.pk).triage_state == TriageState.SUBMITTED
    assert triage.submit_again(tickets=Ticket.objects.unreadable()) == 5


def test_what_is_being_read_or_was_read_is_not_skipped(make_ticket: MakeTicket) -> None:
    reading, read = make_ticket(title="One"), make_ticket(title="Two")
    triage.claim(1, [Lane.INTERACTIVE])
    Ticket.objects.filter(pk=read.pk).update(triage_state=TriageState.TRIAGED)
    assert pausing.skip(before=timezone.now() + timedelta(days=1), by="command:resume") == 0
    assert Ticket.objects.get(pk=reading.pk).triage_state == TriageState.PROCESSING


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_the_commands_pause_and_resume(make_ticket: MakeTicket) -> None:
    assert "Paused by manage.py pause" in run("pause", "--reason", "Moving house")
    assert Pause.objects.get().reason == "Moving house"
    make_ticket()
    assert "Left unread: 0 tickets." in run("resume", "--skip-before", "2020-01-31")
    assert Pause.in_force() is None
    assert "Nothing was paused" in run("resume")


def test_the_command_resumes_without_what_came_in_before_a_day(make_ticket: MakeTicket) -> None:
    make_ticket()
    run("pause")
    tomorrow = (timezone.localdate() + timedelta(days=1)).isoformat()
    assert "Left unread: 1 ticket." in run("resume", "--skip-before", tomorrow)
    assert Ticket.objects.get().triage_state == TriageState.FAILED


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01", "2026-02-30"])
def test_a_day_that_is_none_is_refused_and_nothing_is_resumed(day: str, db: None) -> None:
    run("pause")
    with pytest.raises(CommandError, match="is no date"):
        run("resume", "--skip-before", day)
    assert Pause.in_force() is not None

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from tests.tickets.conftest import MakeTicket
from tests.tickets.ruling import fire_all, make_rule
from tickets import tasks
from tickets.actions import bulk, intake, merging, replies, review, snoozing, status
from tickets.actions.drafts import last_inbound
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.models import BulkRun, Event, Notification, Status, Ticket
from tickets.models.history import changes_of
from triage.correlation import acting
from triage.models import User

ROME = ZoneInfo("Europe/Rome")
SOON = timedelta(hours=2)


def _put_off(ticket: Ticket, by: User) -> Ticket:
    return snoozing.snooze(ticket=ticket, until=timezone.now() + SOON, by=by)


def _presets(*moment: int) -> dict[str, str]:
    now = datetime(*moment, tzinfo=ROME)  # type: ignore[arg-type,misc]
    return {preset.key: f"{preset.at:%a %d %H:%M}" for preset in snoozing.presets(ROME, now)}


def test_the_presets_are_mornings_by_ones_own_clock() -> None:
    # a Wednesday at noon
    assert _presets(2026, 7, 1, 12, 10) == {
        "later": "Wed 01 15:00",
        "tomorrow": "Thu 02 09:00",
        "monday": "Mon 06 09:00",
        "week": "Wed 08 09:00",
    }


def test_a_preset_that_says_the_same_or_is_past_is_left_out() -> None:
    assert _presets(2026, 7, 5, 23, 30) == {"tomorrow": "Mon 06 09:00", "week": "Sun 12 09:00"}
    assert _presets(2026, 7, 6, 8, 0) == {"later": "Mon 06 11:00", "tomorrow": "Tue 07 09:00", "week": "Mon 13 09:00"}


def test_the_morning_stays_the_morning_when_the_clocks_change() -> None:
    saturday = datetime(2026, 10, 24, 12, 0, tzinfo=ROME)
    tomorrow = next(one for one in snoozing.presets(ROME, saturday) if one.key == "tomorrow")
    assert tomorrow.at.astimezone(UTC) == datetime(2026, 10, 25, 8, 0, tzinfo=UTC)


def test_a_snoozed_ticket_is_out_of_the_way_and_history_says_who_did_it(agent: User, reviewed: Ticket) -> None:
    with acting(f"user:{agent.pk}"):
        held = _put_off(reviewed, agent)
    assert held.is_snoozed
    assert list(Ticket.objects.snoozed()) == [reviewed] and not Ticket.objects.awake().exists()
    event = Event.objects.latest("pgh_id")
    assert event.actor == f"user:{agent.pk}" and event.snoozed_until == held.snoozed_until  # type: ignore[attr-defined]


def test_it_comes_back_at_its_time_and_the_assignee_is_told(agent: User, lead: User, reviewed: Ticket) -> None:
    Ticket.objects.filter(pk=reviewed.pk).update(assignee=agent)
    _put_off(reviewed, lead)
    assert snoozing.wake_due() == 0
    Ticket.objects.filter(pk=reviewed.pk).update(snoozed_until=timezone.now())
    assert list(Ticket.objects.awake()) == [reviewed]  # in time, whoever is late to wake it
    tasks.tend()
    reviewed.refresh_from_db()
    assert reviewed.snoozed_until is None
    assert list(Notification.objects.values_list("kind", "user__username")) == [("returned", "ada")]
    assert Event.objects.latest("pgh_id").actor == "machine:clock"


def test_it_comes_back_at_once_when_the_customer_writes(agent: User, reviewed: Ticket) -> None:
    _put_off(reviewed, agent)
    intake.add_customer_message(ticket=reviewed, text="Any news?")
    reviewed.refresh_from_db()
    assert reviewed.snoozed_until is None and not reviewed.is_snoozed


def test_a_ticket_that_ended_meanwhile_comes_back_without_a_word(agent: User, reviewed: Ticket) -> None:
    Ticket.objects.filter(pk=reviewed.pk).update(assignee=agent)
    _put_off(reviewed, agent)
    status.change(ticket=reviewed, status=Status.RESOLVED, by=agent)
    assert not Ticket.objects.snoozed().exists()
    Ticket.objects.filter(pk=reviewed.pk).update(snoozed_until=timezone.now())
    assert snoozing.wake_due() == 1
    assert not Notification.objects.exists()


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(minutes=-1), timedelta(days=400)])
def test_a_time_that_is_past_or_too_far_is_refused(agent: User, reviewed: Ticket, ahead: timedelta) -> None:
    with pytest.raises(Invalid):
        snoozing.snooze(ticket=reviewed, until=timezone.now() + ahead, by=agent)


def test_what_has_ended_is_not_put_off_and_an_auditor_puts_nothing_off(
    agent: User, auditor: User, reviewed: Ticket
) -> None:
    with pytest.raises(Forbidden):
        _put_off(reviewed, auditor)
    status.change(ticket=reviewed, status=Status.CLOSED, by=agent)
    with pytest.raises(Conflict, match="closed"):
        _put_off(reviewed, agent)


def test_it_can_be_taken_up_before_its_time(agent: User, auditor: User, reviewed: Ticket) -> None:
    _put_off(reviewed, agent)
    with pytest.raises(Forbidden):
        snoozing.wake(ticket=reviewed, by=auditor)
    assert snoozing.wake(ticket=reviewed, by=agent).snoozed_until is None


def _reopened_by_a_person(ticket: Ticket, by: User) -> None:
    status.change(ticket=ticket, status=Status.IN_REVIEW, by=by)


def _escalated(ticket: Ticket, by: User) -> None:
    review.escalate(ticket=ticket, reason="A lawyer wrote.", by=by)


def _reopened_with_others(ticket: Ticket, by: User) -> None:
    chosen = Ticket.objects.filter(pk=ticket.pk)
    bulk.start(kind="status", given="reopen", tickets=chosen, chosen="one", by=by)


def _reopened_by_a_rule(ticket: Ticket, by: User) -> None:
    make_rule(by, {"do": "status", "values": ["in_review"]}, conditions=[])
    review.correct(ticket=ticket, changes={"priority": "P1"}, by=by)
    fire_all()


def _another_is_merged_into_it(ticket: Ticket, by: User) -> None:
    merging.merge(ticket=Ticket.objects.exclude(pk=ticket.pk).get(), into=ticket, by=by)


@pytest.mark.parametrize(
    "bring_back",
    [_reopened_by_a_person, _escalated, _reopened_with_others, _reopened_by_a_rule, _another_is_merged_into_it],
)
def test_what_ended_while_it_was_put_off_and_is_work_again_is_seen_at_once(
    lead: User, reviewed: Ticket, make_ticket: MakeTicket, bring_back: Callable[[Ticket, User], None]
) -> None:
    make_ticket(title="Another")
    until = _put_off(reviewed, lead).snoozed_until
    status.change(ticket=reviewed, status=Status.RESOLVED, by=lead)
    bring_back(reviewed, lead)
    reviewed.refresh_from_db()
    assert reviewed.is_open and reviewed.snoozed_until is None
    ended = [change for change in changes_of(reviewed) if change.field == "snoozed_until" and change.after is None]
    assert [change.before for change in ended] == [until]


def test_what_is_put_off_and_escalated_is_seen_at_once(agent: User, reviewed: Ticket) -> None:
    _put_off(reviewed, agent)
    assert review.escalate(ticket=reviewed, reason="A lawyer wrote.", by=agent).snoozed_until is None
    reviewed.refresh_from_db()
    assert reviewed.snoozed_until is None


def test_reopened_with_others_and_taken_back_it_is_as_it_was(agent: User, reviewed: Ticket) -> None:
    until = _put_off(reviewed, agent).snoozed_until
    status.change(ticket=reviewed, status=Status.RESOLVED, by=agent)
    _reopened_with_others(reviewed, agent)
    bulk.undo(run=BulkRun.objects.get(), by=agent)
    reviewed.refresh_from_db()
    assert (reviewed.status, reviewed.snoozed_until) == (Status.RESOLVED, until)


def test_a_reply_taken_back_leaves_it_put_off_as_before(agent: User, reviewed: Ticket) -> None:
    until = _put_off(reviewed, agent).snoozed_until
    reply = replies.approve(
        ticket=reviewed, text="Done.", version=1, answers=last_inbound(reviewed), by=agent, undo_seconds=10
    )
    replies.take_back(delivery=reply, by=agent)
    reviewed.refresh_from_db()
    assert reviewed.is_open and reviewed.snoozed_until == until

"""Promised times in the database: whatever changes a ticket or the rules, they are reckoned anew and noted once."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.utils import timezone
from pytest_django import Settings

from tests.tickets.conftest import MakeTicket, last_seen
from tickets import policies, tasks
from tickets.actions import deleting, intake, merging, promising, replies, review, snoozing, status
from tickets.models import (
    Calendar,
    Event,
    Holiday,
    Message,
    Notification,
    Recount,
    SlaEvent,
    SlaPolicy,
    Source,
    Status,
    Team,
    Ticket,
)
from tickets.policies import Policies
from tickets.promises import Promise
from triage.models import User

OFFICE = [f"{day} 09:00-17:00" for day in ("Mon", "Tue", "Wed", "Thu", "Fri")]
HOUR = timedelta(hours=1)


def policy(priority: str = "P2", **given: Any) -> SlaPolicy:
    """A general policy with all three targets, in place of the starter's."""
    SlaPolicy.objects.filter(priority=priority, team=None, source=None).delete()
    minutes = {"response_minutes": 240, "next_response_minutes": 120, "resolution_minutes": 600}
    return SlaPolicy.objects.create(priority=priority, **{**minutes, **given})


def promises_of(ticket: Ticket) -> dict[str, Promise]:
    return {promise.target: promise for promise in Ticket.objects.get(pk=ticket.pk).promises}


def due(ticket: Ticket, target: str) -> datetime:
    found = promises_of(ticket)[target].due_at
    assert found is not None
    return found


def move(ticket: Ticket, by: timedelta) -> None:
    """As if everything had happened so much earlier: the ticket, its messages, and its history, which no code edits."""
    Ticket.objects.filter(pk=ticket.pk).update(created_at=ticket.created_at - by)
    ticket.refresh_from_db()
    for message in ticket.messages.all():
        Message.objects.filter(pk=message.pk).update(created_at=message.created_at - by)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE tickets_event SET pgh_created_at = pgh_created_at - %s::interval WHERE pgh_obj_id = %s",
            [str(by), ticket.pk],
        )
        cursor.execute("SET LOCAL session_replication_role = origin")


def clock() -> None:
    while promising.recount() or promising.note_due():
        pass


def test_a_correction_reckons_the_clock_at_once(reviewed: Ticket, agent: User) -> None:
    policy()
    held = review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    assert held.due_at == held.created_at + 4 * HOUR
    assert due(held, "resolution") == held.created_at + 10 * HOUR
    assert held.sla_look_at == held.created_at + 3.2 * HOUR


def test_the_most_specific_policy_holds(reviewed: Ticket, form: Source) -> None:
    SlaPolicy.objects.all().delete()
    team = Team.objects.get(key="software")
    made = {}
    every: list[dict[str, Any]] = [
        {}, {"priority": "P2"}, {"team": team}, {"source": form}, {"priority": "P2", "team": team},
        {"priority": "P2", "source": form}, {"team": team, "source": form},
        {"priority": "P2", "team": team, "source": form}]  # fmt: skip
    for minutes, names in enumerate(every, start=1):
        made[SlaPolicy.objects.create(response_minutes=minutes, **names).pk] = minutes
    reviewed.priority = "P2"
    won = []
    while found := Policies.current().policy_for(reviewed):
        won.append(made[found.pk])
        found.delete()
    assert won == [8, 7, 6, 5, 4, 3, 2, 1]
    assert Policies.current().terms_for(reviewed) is None


def test_a_policy_of_another_team_source_or_priority_does_not_hold(reviewed: Ticket) -> None:
    SlaPolicy.objects.all().delete()
    SlaPolicy.objects.create(priority="P1", response_minutes=1)
    SlaPolicy.objects.create(team=Team.objects.get(key="billing"), response_minutes=1)
    SlaPolicy.objects.create(source=Source.objects.get(kind="email"), response_minutes=1)
    reviewed.priority = "P2"
    assert Policies.current().policy_for(reviewed) is None


def test_working_hours_are_those_of_the_policy_else_of_the_team(reviewed: Ticket, agent: User) -> None:
    office = Calendar.objects.create(name="Office", time_zone="Europe/Rome", hours=OFFICE)
    nights = Calendar.objects.create(name="Nights", time_zone="Europe/Rome", hours=["Mon 00:00-06:00"])
    one = policy()
    Team.objects.filter(key="software").update(calendar=office)
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    assert due(reviewed, "first_response") == office.opening().add(reviewed.created_at, 4 * HOUR)
    SlaPolicy.objects.filter(pk=one.pk).update(calendar=nights)
    clock()
    assert due(reviewed, "first_response") == nights.opening().add(reviewed.created_at, 4 * HOUR)


# Pausing


def test_waiting_on_the_customer_stops_the_clock_and_their_answer_starts_it(reviewed: Ticket, agent: User) -> None:
    policy()
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    move(reviewed, 3 * HOUR)
    held = status.change(ticket=reviewed, status=Status.WAITING, by=agent)
    waits = promises_of(reviewed)["first_response"]
    assert held.due_at is None and waits.left is not None and abs(waits.left - HOUR) < timedelta(seconds=30)
    move(held, 50 * HOUR)
    intake.add_customer_message(ticket=reviewed, text="Here it is.")
    left = due(reviewed, "first_response") - timezone.now()
    assert abs(left - HOUR) < timedelta(seconds=30)


def test_an_approved_reply_meets_the_first_answer_and_a_question_starts_the_next(reviewed: Ticket, agent: User) -> None:
    policy()
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    replies.approve(ticket=reviewed, text="Try this.", version=1, answers=last_seen(reviewed), by=agent, keep_open=True)
    found = promises_of(reviewed)
    assert found["first_response"].state(timezone.now()) == "met" and found["resolution"].due_at is None
    intake.add_customer_message(ticket=reviewed, text="It does not help.")
    held = Ticket.objects.get(pk=reviewed.pk)
    asked = held.messages.latest("pk").created_at
    assert held.due_at is not None and held.sla["next"] == "next_response"
    assert abs(held.due_at - (asked + 2 * HOUR)) < timedelta(seconds=1)


def test_a_reply_that_is_taken_back_met_nothing(reviewed: Ticket, agent: User) -> None:
    policy()
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    given = {"text": "Try this.", "version": 1, "answers": last_seen(reviewed), "by": agent}
    delivery = replies.approve(ticket=reviewed, undo_seconds=60, **given)  # type: ignore[arg-type]
    assert promises_of(reviewed)["first_response"].met_at is not None
    replies.take_back(delivery=delivery, by=agent)
    assert promises_of(reviewed)["first_response"].met_at is None


def test_a_snoozed_ticket_stands_still_until_it_is_woken(reviewed: Ticket, agent: User) -> None:
    policy()
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    held = snoozing.snooze(ticket=reviewed, until=timezone.now() + 8 * HOUR, by=agent)
    assert held.due_at is None and promises_of(reviewed)["first_response"].state(timezone.now()) == "paused"
    held = snoozing.wake(ticket=reviewed, by=agent)
    assert held.due_at is not None


# Whatever changes


@pytest.mark.parametrize(
    ("change", "minutes"),
    [({"priority": "P1"}, 60), ({"team": "billing"}, 7), ({"source": "E-mail"}, 9)],
    ids=["priority", "team", "source"],
)
def test_a_raw_change_of_what_a_policy_asks_for_is_reckoned_by_the_clock(
    reviewed: Ticket, agent: User, change: dict[str, str], minutes: int
) -> None:
    policy()
    SlaPolicy.objects.create(team=Team.objects.get(key="billing"), priority="P2", response_minutes=7)
    SlaPolicy.objects.create(source=Source.objects.get(name="E-mail"), priority="P2", response_minutes=9)
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    models = {"team": Team.objects.filter(key="billing"), "source": Source.objects.filter(name="E-mail")}
    Ticket.objects.filter(pk=reviewed.pk).update(
        **{name: models[name].get() if name in models else value for name, value in change.items()}
    )
    assert Ticket.objects.get(pk=reviewed.pk).due_at == reviewed.created_at + 4 * HOUR
    clock()
    assert due(reviewed, "first_response") == reviewed.created_at + timedelta(minutes=minutes)


def test_a_change_that_concerns_no_promise_asks_nothing_of_the_clock(reviewed: Ticket, agent: User) -> None:
    policy()
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    look_at = Ticket.objects.get(pk=reviewed.pk).sla_look_at
    Ticket.objects.filter(pk=reviewed.pk).update(status=Status.ESCALATED, summary="x", assignee=agent)
    assert Ticket.objects.get(pk=reviewed.pk).sla_look_at == look_at


def test_messages_that_move_to_another_ticket_are_reckoned_with(
    reviewed: Ticket, agent: User, make_ticket: MakeTicket
) -> None:
    policy()
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    replies.approve(ticket=reviewed, text="Try this.", version=1, answers=last_seen(reviewed), by=agent, keep_open=True)
    status.change(ticket=reviewed, status=Status.IN_REVIEW, by=agent)
    other = make_ticket(title="Again", text="It still fails.")
    assert "next_response" not in promises_of(reviewed)
    other.messages.update(ticket=reviewed)
    clock()
    assert "next_response" in promises_of(reviewed)


def test_what_the_customer_wrote_in_a_merged_ticket_is_reckoned_with(
    reviewed: Ticket, lead: User, make_ticket: MakeTicket
) -> None:
    policy()
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=lead)
    replies.approve(ticket=reviewed, text="Try this.", version=1, answers=last_seen(reviewed), by=lead, keep_open=True)
    status.change(ticket=reviewed, status=Status.IN_REVIEW, by=lead)
    other = make_ticket(title="Again", text="It still fails.")
    merging.merge(ticket=other, into=reviewed, by=lead)
    clock()
    assert promises_of(reviewed)["next_response"].began_at == other.messages.get().created_at
    merging.unmerge(ticket=Ticket.objects.get(pk=other.pk), by=lead)
    clock()
    assert "next_response" not in promises_of(reviewed)


@pytest.mark.parametrize("what", ["policy", "zone", "hours", "holiday", "team"])
def test_a_changed_rule_reckons_every_open_ticket_anew_and_no_other(
    what: str, reviewed: Ticket, agent: User, make_ticket: MakeTicket
) -> None:
    office = Calendar.objects.create(name="Office", time_zone="Europe/Rome", hours=["Mon 09:00-10:00"])
    one = policy(calendar=None if what == "team" else office)
    ended = make_ticket(title="Done")
    for ticket in (reviewed, ended):
        review.correct(ticket=ticket, changes={"priority": "P2", "team": "software"}, by=agent)
    status.change(ticket=ended, status=Status.RESOLVED, by=agent)
    clock()
    before, of_ended = due(reviewed, "resolution"), promises_of(ended)
    if what == "policy":
        SlaPolicy.objects.filter(pk=one.pk).update(resolution_minutes=5_000)
    elif what == "zone":
        Calendar.objects.filter(pk=office.pk).update(time_zone="Asia/Tokyo")
    elif what == "hours":
        Calendar.objects.filter(pk=office.pk).update(hours=["Tue 09:00-10:00"])
    elif what == "holiday":
        Holiday.objects.create(calendar=office, on=before.date())
    else:
        Team.objects.filter(key="software").update(calendar=office)
    assert due(reviewed, "resolution") == before  # not in the request
    clock()
    assert due(reviewed, "resolution") != before
    assert promises_of(ended) == of_ended
    assert not Recount.objects.exists()


def test_a_policy_that_is_deleted_promises_nothing_any_more(reviewed: Ticket, agent: User) -> None:
    one = policy()
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    one.delete()
    clock()
    held = Ticket.objects.get(pk=reviewed.pk)
    assert (held.due_at, held.promises, held.sla_look_at) == (None, [], None)


def test_many_changes_of_the_rules_are_reckoned_in_one_round(reviewed: Ticket, agent: User) -> None:
    policy()
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    office = Calendar.objects.create(name="Office", hours=OFFICE)
    for day in range(1, 20):
        Holiday.objects.create(calendar=office, on=f"2026-01-{day:02}")
    assert Recount.objects.count() > 15
    rounds = 0
    while promising.recount():
        rounds += 1
    assert rounds == 2  # the tickets, and that there are no more


def test_a_calendar_without_hours_cannot_be_stored(db: None) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Calendar.objects.create(name="Never", hours=[])


def test_hours_spoiled_past_the_application_do_not_stop_the_clock(reviewed: Ticket, agent: User) -> None:
    office = Calendar.objects.create(name="Office", hours=["whenever"])
    policy(calendar=office)
    held = review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    assert held.due_at == held.created_at + 4 * HOUR


def test_a_deleted_ticket_is_left_alone_and_reckoned_when_it_is_back(reviewed: Ticket, agent: User, lead: User) -> None:
    policy()
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    deleting.delete(ticket=reviewed, by=lead)
    move_far = timezone.now() - 5 * HOUR
    Ticket.everything.filter(pk=reviewed.pk).update(created_at=move_far)
    clock()
    assert not SlaEvent.objects.exists()
    deleting.restore(ticket=Ticket.everything.get(pk=reviewed.pk), by=lead)
    clock()
    assert due(reviewed, "first_response") == move_far + 4 * HOUR


# Noting


def _late(ticket: Ticket, agent: User, by: timedelta, **given: Any) -> None:
    policy(**given)
    Ticket.objects.filter(pk=ticket.pk).update(assignee=agent)
    review.correct(ticket=Ticket.objects.get(pk=ticket.pk), changes={"priority": "P2"}, by=agent)
    move(Ticket.objects.get(pk=ticket.pk), by)


def test_a_warning_and_a_breach_are_noted_once_each_and_told(reviewed: Ticket, agent: User) -> None:
    _late(reviewed, agent, 3.5 * HOUR)
    clock()
    clock()
    warned = SlaEvent.objects.get()
    assert (warned.kind, warned.target, warned.due_at) == ("warning", "first_response", due(reviewed, "first_response"))
    assert Notification.objects.filter(user=agent, kind="sla_warning", ticket=reviewed).count() == 1
    move(Ticket.objects.get(pk=reviewed.pk), HOUR)
    clock()
    clock()
    kinds = list(SlaEvent.objects.filter(target="first_response").order_by("pk").values_list("kind", flat=True))
    assert kinds == ["warning", "breach"]
    told = Notification.objects.get(user=agent, kind="sla_breach", ticket=reviewed)
    assert told.text.startswith("First response was due")


def test_what_is_long_past_is_a_breach_without_a_warning(reviewed: Ticket, agent: User) -> None:
    _late(reviewed, agent, 5 * HOUR, resolution_minutes=None)
    clock()
    assert [event.kind for event in SlaEvent.objects.all()] == ["breach"]


def test_an_answer_that_came_too_late_between_two_looks_is_a_breach_all_the_same(reviewed: Ticket, agent: User) -> None:
    _late(reviewed, agent, 5 * HOUR, resolution_minutes=None)
    replies.approve(ticket=reviewed, text="Sorry.", version=1, answers=last_seen(reviewed), by=agent)
    clock()
    assert [event.kind for event in SlaEvent.objects.all()] == ["breach"]


def test_without_an_assignee_the_team_is_told_and_without_a_team_its_lead(
    reviewed: Ticket, agent: User, colleague: User, lead: User
) -> None:
    _late(reviewed, agent, 5 * HOUR, resolution_minutes=None)
    Ticket.objects.filter(pk=reviewed.pk).update(assignee=None)
    clock()
    assert [one.user for one in Notification.objects.filter(kind="sla_breach")] == [agent]
    SlaEvent.objects.all().delete()
    Notification.objects.all().delete()
    Ticket.objects.filter(pk=reviewed.pk).update(team=None, sla={}, sla_look_at=timezone.now())
    clock()
    assert [one.user for one in Notification.objects.filter(kind="sla_breach")] == [lead]


def test_a_shorter_promise_may_be_broken_anew_and_the_same_one_is_not(reviewed: Ticket, agent: User) -> None:
    _late(reviewed, agent, 5 * HOUR, resolution_minutes=None)
    clock()
    SlaPolicy.objects.filter(priority="P2").update(warn_percent=50)
    clock()
    assert SlaEvent.objects.count() == 1
    review.correct(ticket=reviewed, changes={"priority": "P1"}, by=agent)
    clock()
    assert sorted(SlaEvent.objects.values_list("minutes", flat=True)) == [60, 240]


def test_no_event_twice_even_where_the_notes_on_the_ticket_are_lost(reviewed: Ticket, agent: User) -> None:
    _late(reviewed, agent, 5 * HOUR, resolution_minutes=None)
    clock()
    Ticket.objects.filter(pk=reviewed.pk).update(sla={}, sla_look_at=timezone.now())
    clock()
    assert SlaEvent.objects.count() == 1 and Notification.objects.filter(kind="sla_breach").get().times == 1


def test_the_past_of_an_import_is_not_told_as_missed(make_ticket: MakeTicket, agent: User) -> None:
    policy()
    old = make_ticket(created_at=timezone.now() - timedelta(days=400))
    review.correct(ticket=old, changes={"priority": "P2"}, by=agent)
    clock()
    assert not SlaEvent.objects.exists()
    held = Ticket.objects.get(pk=old.pk)
    assert held.due_at is not None and held.due_at < timezone.now()


def test_a_row_that_turned_is_announced(reviewed: Ticket, agent: User, monkeypatch: pytest.MonkeyPatch) -> None:
    _late(reviewed, agent, 5 * HOUR)
    clock()
    heard: list[int] = []
    monkeypatch.setattr(promising, "announce_many", lambda tickets, moved: heard.extend(one.number for one in tickets))
    stamp = Ticket.objects.get(pk=reviewed.pk).updated_at
    clock()
    assert heard == []
    move(Ticket.objects.get(pk=reviewed.pk), 5 * HOUR)
    clock()
    assert heard[-1] == reviewed.number
    assert Ticket.objects.get(pk=reviewed.pk).updated_at > stamp


def test_the_supervisor_looks_at_the_clock(reviewed: Ticket, agent: User) -> None:
    _late(reviewed, agent, 5 * HOUR)
    tasks.tend()
    assert SlaEvent.objects.filter(kind="breach").exists()


@pytest.mark.django_db(transaction=True)
def test_many_workers_note_each_promise_once(make_ticket: MakeTicket, agent: User) -> None:
    policy(resolution_minutes=None)
    numbers = [make_ticket(title=f"Ticket {one}").pk for one in range(12)]
    past = timezone.now() - 5 * HOUR
    Ticket.objects.filter(pk__in=numbers).update(priority="P2", assignee=agent)
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE tickets_event SET pgh_created_at = pgh_created_at - interval '6 hours'")
        cursor.execute("UPDATE tickets_ticket SET created_at = %s, sla_look_at = now()", [past])
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        try:
            while promising.note_due(3):
                pass
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert SlaEvent.objects.filter(kind="breach").count() == 12
    assert set(Notification.objects.values_list("times", flat=True)) == {1}
    assert Notification.objects.count() == 12


# What drafts say


def test_a_draft_promises_no_more_than_every_ticket_of_the_priority_gets(taxonomy: None) -> None:
    def told() -> dict[str, float]:
        from tickets import context

        return dict(context.taxonomy()[1])

    assert told() == {"P1": 1, "P2": 4, "P3": 24, "P4": 72}
    slower = SlaPolicy.objects.create(team=Team.objects.get(key="billing"), response_minutes=480)
    assert told() == {"P1": 8, "P2": 8, "P3": 24, "P4": 72}
    slower.delete()
    office = Calendar.objects.create(name="Office", hours=OFFICE)
    SlaPolicy.objects.filter(priority="P2").update(calendar=office)
    assert told() == {"P1": 1, "P3": 24, "P4": 72}
    Team.objects.filter(key="billing").update(calendar=office)
    assert told() == {}


def test_history_has_no_step_for_what_the_clock_reckons(reviewed: Ticket, agent: User) -> None:
    _late(reviewed, agent, 5 * HOUR)
    steps = Event.objects.filter(pgh_obj=reviewed).count()
    clock()
    assert Event.objects.filter(pgh_obj=reviewed).count() == steps


def test_policies_are_remembered_for_a_second_and_not_longer(
    taxonomy: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "_remembered", None)
    settings.TESTING = False
    before = len(Policies.remembered().policies)
    SlaPolicy.objects.all().delete()
    assert len(Policies.remembered().policies) == before > 0
    monkeypatch.setattr(policies, "REMEMBERED", 0.0)
    assert len(Policies.remembered().policies) == 0


def test_a_recount_waits_until_nobody_goes_by_what_was_before(
    taxonomy: None, settings: Settings, monkeypatch: pytest.MonkeyPatch, make_ticket: MakeTicket
) -> None:
    settings.TESTING = False
    waits: list[float] = []
    monkeypatch.setattr("tickets.actions.promising.time.sleep", waits.append)
    make_ticket(title="Late")
    Recount.objects.create()
    while promising.recount():
        pass
    assert waits and min(waits) > policies.REMEMBERED

"""Who is given what by itself: the least loaded of those who are here, never against a person's word, never twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.utils import timezone

from tests.tickets.conftest import MakeTicket
from tickets import tasks
from tickets.actions import assignment, carrying, review, snoozing, status
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.load import carriers_of, least_loaded
from tickets.models import Agent, Example, Notification, Status, Suggestion, Team, Ticket
from triage.models import User
from triage.pipeline.types import FieldReading, Verdict


@pytest.fixture
def team(taxonomy: None) -> Team:
    Team.objects.filter(key="software").update(auto_assign=True)
    return Team.objects.get(key="software")


def member(name: str, team: Team, *, load: int = 0, make: MakeTicket | None = None, **given: Any) -> User:
    user = User.objects.create_user(name, f"{name}@example.org", "a long password", first_name=name.title())
    Agent.objects.create(user=user, **given).teams.add(team)
    for number in range(load):
        assert make is not None
        Ticket.objects.filter(pk=make(title=f"{name} {number}").pk).update(assignee=user, team=team)
    return user


def routed(ticket: Ticket, team: Team, *, engine: str = "local", band: str = "apply", **given: Any) -> Ticket:
    """As the machine leaves a ticket that it has read."""
    how = {"team": {"engine": engine, "confidence": 0.97, "band": band, "reason": "Like others."}}
    values = {"team": team, "provenance": how, "triage_state": "triaged", "status": "in_review", **given}
    Ticket.objects.filter(pk=ticket.pk).update(**values)
    return Ticket.objects.get(pk=ticket.pk)


def holder(ticket: Ticket) -> User | None:
    return Ticket.objects.get(pk=ticket.pk).assignee


def test_whoever_has_the_least_to_do_is_given_the_ticket(make_ticket: MakeTicket, team: Team) -> None:
    member("busy", team, load=3, make=make_ticket)
    free = member("free", team, load=1, make=make_ticket)
    ticket = routed(make_ticket(), team)
    assert carrying.take_up() == 1
    held = Ticket.objects.get(pk=ticket.pk)
    assert held.assignee == free
    assert held.provenance["assignee"]["reason"].endswith("1 of 25 open tickets.")
    assert held.events.latest("pgh_id").actor == "machine:assignment"
    assert Notification.objects.get(user=free, kind="assigned").ticket == held


def test_only_open_tickets_are_a_load(make_ticket: MakeTicket, team: Team) -> None:
    done = member("done", team, load=3, make=make_ticket)
    Ticket.objects.filter(assignee=done).update(status="closed", resolved_at=timezone.now())
    member("one", team, load=1, make=make_ticket)
    assert [one.user.username for one in least_loaded(team)] == ["done", "one"]


def test_of_equals_the_one_who_waited_longest_is_next(make_ticket: MakeTicket, team: Team) -> None:
    people = [member(name, team) for name in ("ann", "ben", "cleo")]
    got = []
    for _ in range(6):
        ticket = routed(make_ticket(), team)
        carrying.take_up()
        got.append(holder(ticket))
    assert got == [*people, *people]


@pytest.mark.parametrize("why", ["away", "full", "inactive", "auditor", "another team"])
def test_who_cannot_take_it_is_not_given_it(make_ticket: MakeTicket, team: Team, why: str) -> None:
    one = member("one", team, capacity=2, load=2 if why == "full" else 0, make=make_ticket)
    if why == "away":
        Agent.objects.filter(user=one).update(available=False)
    elif why == "inactive":
        User.objects.filter(pk=one.pk).update(is_active=False)
    elif why == "auditor":
        Agent.objects.filter(user=one).update(role="auditor")
    elif why == "another team":
        one.agent.teams.set(Team.objects.filter(key="billing"))
    ticket = routed(make_ticket(), team)
    assert carrying.take_up() == 0 and holder(ticket) is None


def test_it_is_taken_up_when_somebody_comes_back_the_most_pressing_first(make_ticket: MakeTicket, team: Team) -> None:
    one = member("one", team, capacity=1, available=False)
    later = routed(make_ticket(), team, priority="P2")
    soon = routed(make_ticket(), team, priority="P1")
    never = routed(make_ticket(), team)
    tasks.tend()
    assert not Ticket.objects.filter(assignee=one).exists()
    Agent.objects.filter(user=one).update(available=True)
    tasks.tend()
    assert [holder(ticket) for ticket in (soon, later, never)] == [one, None, None]


@pytest.mark.parametrize(
    ("given", "is_given"),
    [
        ({}, True),
        ({"engine": "person"}, True),
        ({"band": "suggest"}, False),
        ({"band": "ask"}, False),
        ({"status": "waiting"}, False),
        ({"status": "escalated"}, True),
        ({"triage_state": "submitted"}, False),
        ({"snoozed_until": datetime(2999, 1, 1, tzinfo=UTC)}, False),
        ({"deleted_at": datetime(2026, 1, 1, tzinfo=UTC)}, False),
    ],
    ids=str,
)
def test_only_what_was_applied_or_decided_and_is_at_hand_is_given(
    make_ticket: MakeTicket, team: Team, given: dict[str, Any], is_given: bool
) -> None:
    one = member("one", team)
    ticket = make_ticket()
    deleted = given.pop("deleted_at", None)
    routed(ticket, team, **given)
    Ticket.objects.filter(pk=ticket.pk).update(deleted_at=deleted)
    carrying.take_up()
    assert (Ticket.everything.get(pk=ticket.pk).assignee == one) is is_given


def test_a_team_that_does_not_want_it_keeps_its_tickets_unassigned(make_ticket: MakeTicket, team: Team) -> None:
    member("one", team)
    Team.objects.filter(pk=team.pk).update(auto_assign=False)
    ticket = routed(make_ticket(), team)
    assert carrying.take_up() == 0 and holder(ticket) is None


# Manual always wins


def test_nobody_is_a_choice_too(make_ticket: MakeTicket, team: Team, lead: User) -> None:
    one = member("one", team)
    ticket = routed(make_ticket(), team)
    carrying.take_up()
    assert holder(ticket) == one
    assignment.assign(ticket=ticket, to=None, by=lead)
    assert carrying.take_up() == 0 and holder(ticket) is None


def test_what_a_person_gave_is_not_given_anew(make_ticket: MakeTicket, team: Team, lead: User) -> None:
    member("free", team)
    busy = member("busy", team, load=5, make=make_ticket)
    ticket = routed(make_ticket(), team)
    assignment.assign(ticket=ticket, to=busy, by=lead)
    carrying.take_up()
    assert holder(ticket) == busy
    held = Ticket.objects.get(pk=ticket.pk)
    assert held.decided_by_person("assignee")


def test_a_choice_of_somebody_is_no_label_to_learn_from(make_ticket: MakeTicket, team: Team, lead: User) -> None:
    one = member("one", team)
    ticket = routed(make_ticket(), team)
    assignment.assign(ticket=ticket, to=one, by=lead)
    review.correct(ticket=ticket, changes={"priority": "P2"}, by=lead)
    assert Example.objects.get(ticket=ticket).labels == {"priority": "P2"}


def test_of_two_who_assign_at_once_the_second_sees_why_not(reviewed: Ticket, agent: User, lead: User) -> None:
    assignment.assign(ticket=reviewed, to=agent, by=agent, instead_of=None)
    with pytest.raises(Conflict, match="Ada has it now"):
        assignment.assign(ticket=reviewed, to=lead, by=lead, instead_of=None)
    assert holder(reviewed) == agent
    assignment.assign(ticket=reviewed, to=lead, by=lead, instead_of=agent)
    assert holder(reviewed) == lead


# Leaving, and moving on


def test_who_is_removed_while_working_leaves_no_ticket_behind(make_ticket: MakeTicket, team: Team, lead: User) -> None:
    gone, left = member("gone", team), member("left", team, available=False)
    decided, given = routed(make_ticket(), team), routed(make_ticket(), team)
    assignment.assign(ticket=decided, to=gone, by=lead)
    carrying.take_up()
    assert holder(given) == gone
    User.objects.filter(pk=gone.pk).update(is_active=False)
    carrying.take_up()
    assert (holder(decided), holder(given)) == (None, None)
    Agent.objects.filter(user=left).update(available=True)
    carrying.take_up()
    assert (holder(decided), holder(given)) == (left, left)


def test_who_is_deleted_leaves_what_was_theirs_to_the_next(make_ticket: MakeTicket, team: Team, lead: User) -> None:
    gone = member("gone", team)
    ticket = routed(make_ticket(), team)
    assignment.assign(ticket=ticket, to=gone, by=lead)
    gone.delete()
    other = member("other", team)
    carrying.take_up()
    assert holder(ticket) == other


def test_all_of_a_persons_tickets_are_taken_off_them_at_once(make_ticket: MakeTicket, team: Team, lead: User) -> None:
    one = member("one", team, load=3, make=make_ticket)
    ended = make_ticket()
    Ticket.objects.filter(pk=ended.pk).update(assignee=one, status="closed", resolved_at=timezone.now())
    assert assignment.release(user=one, by=lead) == 3
    assert list(Ticket.objects.filter(assignee=one)) == [ended]


def test_a_ticket_that_moves_to_another_team_is_let_go(reviewed: Ticket, agent: User, lead: User) -> None:
    assignment.assign(ticket=reviewed, to=agent, by=lead)
    review.correct(ticket=reviewed, changes={"team": "billing"}, by=lead)
    assert holder(reviewed) is None
    assignment.assign(ticket=reviewed, to=lead, by=lead)
    review.correct(ticket=reviewed, changes={"team": "hr"}, by=lead)
    assert holder(reviewed) == lead  # who sees every team


# Handing over


def test_it_is_handed_over_to_a_colleague_with_a_note(reviewed: Ticket, agent: User, lead: User) -> None:
    assignment.hand_over(ticket=reviewed, to=lead, note="The customer is angry.", by=agent)
    assert holder(reviewed) == lead
    note = reviewed.messages.get(kind="comment")
    assert (note.text, note.author) == ("The customer is angry.", agent)
    assert Notification.objects.filter(user=lead, kind="assigned", by=agent).exists()


def test_it_is_handed_over_to_a_team_whose_machine_may_give_it(
    reviewed: Ticket, agent: User, colleague: User, lead: User
) -> None:
    assignment.assign(ticket=reviewed, to=lead, by=lead)
    billing = Team.objects.get(key="billing")
    assignment.hand_over(ticket=reviewed, team=billing, note="A bill.", by=agent)
    held = Ticket.objects.get(pk=reviewed.pk)
    assert (held.team, held.assignee) == (billing, None) and held.decided_by_person("team")
    Team.objects.filter(pk=billing.pk).update(auto_assign=True)
    carrying.take_up()
    assert holder(reviewed) == colleague


@pytest.mark.parametrize("missing", ["note", "to", "sight"])
def test_a_hand_over_that_is_refused_leaves_nothing_done(
    reviewed: Ticket, agent: User, lead: User, colleague: User, missing: str
) -> None:
    given: dict[str, Any] = {"note": "" if missing == "note" else "Please.", "to": None if missing == "to" else lead}
    if missing == "sight":
        given["to"] = colleague
    with pytest.raises(Invalid):
        assignment.hand_over(ticket=reviewed, by=agent, **given)
    assert holder(reviewed) is None and not reviewed.messages.filter(kind="comment").exists()


def test_an_auditor_hands_nothing_over(reviewed: Ticket, auditor: User, lead: User) -> None:
    with pytest.raises(Forbidden):
        assignment.hand_over(ticket=reviewed, to=lead, note="x", by=auditor)
    with pytest.raises(Forbidden):
        assignment.release(user=lead, by=auditor)


def test_the_menu_tells_who_could_take_it_how_much_they_have_and_who_is_away(
    reviewed: Ticket, agent: User, colleague: User, lead: User, auditor: User, make_ticket: MakeTicket
) -> None:
    Ticket.objects.filter(pk=make_ticket().pk).update(assignee=agent)
    Agent.objects.filter(user=lead).update(available=False, capacity=7)
    told = [(one.user.username, one.words, one.member) for one in carriers_of(reviewed)]
    assert told == [("ada", "1 of 25", True), ("lea", "away, 0 of 7", False)]


# In the reading, and at once


@pytest.fixture
def no_connection_left() -> Iterator[None]:
    yield
    asyncio.run(sync_to_async(connections.close_all)())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("band", "is_given"), [("apply", True), ("suggest", False)])
def test_a_reading_that_applies_a_team_gives_the_ticket_at_once(
    no_connection_left: None, make_ticket: MakeTicket, team: Team, monkeypatch: pytest.MonkeyPatch,
    band: str, is_given: bool,
) -> None:  # fmt: skip
    one = member("one", team)

    async def read(*_: Any) -> Verdict:
        reading = FieldReading("software", 0.97, "Like others.", "local", band)  # type: ignore[arg-type]
        return Verdict(fields={"team": reading}, escalated=False, escalation_reason="", draft=None)

    monkeypatch.setattr("tickets.actions.triage.read", read)
    ticket = make_ticket()
    asyncio.run(tasks.Drain("interactive").run())
    held = Ticket.objects.get(pk=ticket.pk)
    assert Suggestion.objects.filter(ticket=ticket).exists() and held.value_of("team") == "software"
    assert (held.assignee == one) is is_given


@pytest.mark.django_db(transaction=True)
def test_tickets_in_flight_at_the_same_time_overload_nobody(make_ticket: MakeTicket, team: Team) -> None:
    people = [member(name, team, capacity=3) for name in ("ann", "ben")]
    tickets = [routed(make_ticket(title=f"Ticket {number}"), team) for number in range(8)]
    barrier = threading.Barrier(len(tickets))

    def give(number: int) -> None:
        barrier.wait()
        try:
            carrying._take_up(number)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=give, args=(ticket.pk,)) for ticket in tickets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [Ticket.objects.filter(assignee=person).count() for person in people] == [3, 3]
    assert Ticket.objects.filter(assignee=None).count() == 2


def test_what_is_put_off_or_waits_is_given_when_it_is_back(make_ticket: MakeTicket, team: Team, lead: User) -> None:
    one = member("one", team)
    ticket = routed(make_ticket(), team)
    snoozing.snooze(ticket=ticket, until=timezone.now() + timedelta(hours=1), by=lead)
    assert carrying.take_up() == 0
    snoozing.wake(ticket=ticket, by=lead)
    status.change(ticket=ticket, status=Status.WAITING, by=lead)
    assert carrying.take_up() == 0
    status.change(ticket=ticket, status=Status.IN_REVIEW, by=lead)
    assert carrying.take_up() == 1 and holder(ticket) == one

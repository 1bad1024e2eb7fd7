from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.forms.models import model_to_dict
from django.utils import timezone

from tests.tickets.conftest import MakeTicket
from tickets.actions import alterations, assignment, bulk, merging, review, snoozing, status
from tickets.actions.alterable import ALTERATIONS
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.actions.fields_in_bulk import Field
from tickets.models import (
    Agent,
    BulkRun,
    BulkTicket,
    Event,
    Example,
    Notification,
    Review,
    Status,
    Suggestion,
    Team,
    Ticket,
)
from triage.models import User

State = BulkRun.State
MakeMany = Callable[[int], list[Ticket]]


@pytest.fixture
def many(make_ticket: MakeTicket) -> MakeMany:
    """Tickets that the machine has read, of the software team."""

    def make(count: int) -> list[Ticket]:
        team = Team.objects.get(key="software")
        tickets = [make_ticket(title=f"Export {number} fails") for number in range(count)]
        for ticket in tickets:
            Suggestion.objects.create(ticket=ticket, fields={}, confidence=0.9, escalated=False)
        provenance = {"priority": {"engine": "local", "confidence": 0.9, "band": "apply", "reason": "Like others."}}
        Ticket.objects.filter(pk__in=[one.pk for one in tickets]).update(
            team=team, triage_state="triaged", status="in_review", priority="P3", provenance=provenance
        )
        return list(Ticket.objects.order_by("number"))

    return make


def _start(kind: str, given: str, by: User, tickets: Any = None) -> BulkRun:
    found = Ticket.objects.all() if tickets is None else Ticket.objects.filter(pk__in=[one.pk for one in tickets])
    return bulk.start(kind=kind, given=given, tickets=found, chosen="some", by=by)


def _in_background(monkeypatch: pytest.MonkeyPatch, portion: int = 3) -> None:
    monkeypatch.setattr(bulk, "AT_ONCE", 0)
    monkeypatch.setattr(bulk, "PORTION", portion)


def _work(run: BulkRun, turns: int = 100, seconds: float = 0.0) -> BulkRun:
    for _ in range(turns):
        for claimed in bulk.claim(1):
            bulk.work(claimed, seconds=seconds)
    run.refresh_from_db()
    return run


ALONE: dict[tuple[str, str], Callable[[Ticket, User], Any]] = {
    ("assign", "me"): lambda ticket, by: assignment.assign(ticket=ticket, to=by, by=by),
    ("field", "priority:P1"): lambda ticket, by: review.correct(ticket=ticket, changes={"priority": "P1"}, by=by),
    ("field", "priority:P3"): lambda ticket, by: review.correct(ticket=ticket, changes={"priority": "P3"}, by=by),
    ("field", "category:billing"): lambda ticket, by: review.correct(
        ticket=ticket, changes={"category": "billing"}, by=by
    ),
    ("tag", "refund, seat"): lambda ticket, by: review.correct(
        ticket=ticket, changes={"tags": ["refund", "seat"]}, by=by
    ),
    ("status", "resolved"): lambda ticket, by: status.change(ticket=ticket, status=Status.RESOLVED, by=by),
    ("status", "escalated"): lambda ticket, by: status.change(ticket=ticket, status=Status.ESCALATED, by=by),
}
NOT_ALIKE = {
    "number",
    "subject",
    "public_id",
    "created_at",
    "updated_at",
    "resolved_at",
    "due_at",
    "sla",
    "sla_look_at",
    "correlation_id",
    "not_before",
}


def _state(ticket: Ticket) -> dict[str, Any]:
    held = {name: value for name, value in vars(Ticket.objects.get(pk=ticket.pk)).items() if name[0] != "_"}
    moments = {name: held[name] is not None for name in ("resolved_at", "due_at")}
    moments["due"] = held["due_at"] and held["due_at"] - held["created_at"]
    reviews = [model_to_dict(one, exclude=["id", "ticket", "suggestion"]) for one in ticket.reviews.order_by("pk")]
    suggested = [one.suggestion and one.suggestion.ticket_id == ticket.pk for one in ticket.reviews.all()]
    examples = [one.labels for one in Example.objects.filter(ticket=ticket)]
    events = [(one.pgh_label, one.actor) for one in Event.objects.filter(pgh_obj_id=ticket.pk).order_by("pgh_id")]
    told = list(Notification.objects.filter(ticket=ticket).values_list("kind", "user"))
    plain = {name: value for name, value in held.items() if name not in NOT_ALIKE}
    return {
        **plain,
        **moments,
        "reviews": reviews,
        "of": suggested,
        "examples": examples,
        "events": events,
        "told": told,
    }


@pytest.mark.parametrize("asked", list(ALONE))
def test_each_does_to_a_ticket_what_its_single_action_does(
    asked: tuple[str, str], many: MakeMany, agent: User, lead: User
) -> None:
    from triage.correlation import acting

    one, other = many(2)
    with acting(f"user:{agent.pk}"):
        ALONE[asked](one, agent)
    run = _start(*asked, by=agent, tickets=[other])
    assert (run.state, run.changed, run.refused) == (State.DONE, 1, 0)
    assert _state(other) == _state(one)
    mine = [one for one in Event.objects.filter(pgh_obj_id=other.pk) if one.actor == f"user:{agent.pk}"]
    assert [one.correlation_id for one in mine] == [run.correlation_id] * len(mine)


def test_it_is_put_off_and_taken_up_again_as_one_alone_is(many: MakeMany, agent: User) -> None:
    one, other = many(2)
    until = timezone.now() + timedelta(hours=5)
    snoozing.snooze(ticket=one, until=until, by=agent)
    _start("snooze", until.isoformat(), agent, [other])
    assert Ticket.objects.get(pk=other.pk).snoozed_until == Ticket.objects.get(pk=one.pk).snoozed_until == until
    _start("snooze", "now", agent)
    assert not Ticket.objects.exclude(snoozed_until=None).exists()


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("assign", "ada"),
        ("field", "priority:P1"),
        ("field", "category:billing"),
        ("tag", "refund"),
        ("status", "closed"),
        ("status", "escalated"),
        ("snooze", "2999"),
    ],
)
def test_undone_every_ticket_is_as_it_was(many: MakeMany, agent: User, kind: str, given: str) -> None:
    given = (timezone.now() + timedelta(hours=5)).isoformat() if kind == "snooze" else given
    tickets = many(3)
    status.change(ticket=tickets[0], status=Status.RESOLVED, by=agent) if kind != "snooze" else None
    before = list(Ticket.objects.order_by("pk").values())
    run = _start(kind, given, agent)
    assert run.changed == (2 if (kind, given) == ("status", "resolved") else 3)
    run = bulk.undo(run=run, by=agent)
    assert (run.state, run.undone, run.kept) == (State.UNDONE, 3, 0)
    after = list(Ticket.objects.order_by("pk").values())
    reckoned = {"updated_at": None, "due_at": None, "sla": None, "sla_look_at": None}
    assert [{**now, **reckoned} for now in after] == [{**was, **reckoned} for was in before]
    assert not Review.objects.exists()
    assert not Example.objects.exists()
    with pytest.raises(Conflict):
        bulk.undo(run=run, by=agent)


def test_undo_leaves_alone_what_somebody_changed_since_and_says_so(many: MakeMany, agent: User, lead: User) -> None:
    _, second, third = many(3)
    run = _start("field", "priority:P1", agent)
    review.correct(ticket=second, changes={"priority": "P4"}, by=lead)
    review.correct(ticket=third, changes={"category": "billing"}, by=lead)  # another field: no reason to keep this one
    run = bulk.undo(run=run, by=agent)
    assert (run.undone, run.kept) == (2, 1)
    assert list(Ticket.objects.order_by("pk").values_list("priority", flat=True)) == ["P3", "P4", "P3"]
    assert BulkTicket.objects.get(run=run, ticket=second).note == "It was changed since, and is left as it is."
    assert [one.value_of("category") for one in Ticket.objects.order_by("pk")] == [None, None, "billing"]
    assert Example.objects.get(ticket=third).labels == {"category": "billing"}


def test_what_was_a_persons_before_is_theirs_again(many: MakeMany, agent: User, lead: User) -> None:
    (ticket,) = many(1)
    review.correct(ticket=ticket, changes={"priority": "P4"}, by=lead)
    bulk.undo(run=_start("field", "priority:P1", agent), by=agent)
    ticket.refresh_from_db()
    assert (ticket.priority, ticket.decided_by_person("priority")) == ("P4", True)
    assert list(Review.objects.values_list("by", "after")) == [(lead.pk, "P4")]


def test_a_team_that_the_person_does_not_see_can_be_taken_back_by_them(many: MakeMany, agent: User) -> None:
    run = _start("field", "team:billing", agent, many(2))
    assert not Ticket.objects.visible_to(agent).exists()
    bulk.undo(run=run, by=agent)
    assert Ticket.objects.visible_to(agent).count() == 2


def test_who_cannot_see_it_in_its_new_team_has_it_no_more_until_that_is_undone(
    many: MakeMany, agent: User, lead: User
) -> None:
    theirs, leads = many(2)
    assignment.assign(ticket=theirs, to=agent, by=lead)
    assignment.assign(ticket=leads, to=lead, by=lead)
    run = _start("field", "team:billing", by=lead)
    assert Ticket.objects.get(pk=theirs.pk).assignee is None
    assert Ticket.objects.get(pk=leads.pk).assignee == lead
    assert bulk.undo(run=run, by=lead).undone == 2
    given = Ticket.objects.get(pk=theirs.pk)
    assert (given.assignee, given.provenance["assignee"]["engine"]) == (agent, "person")


def test_who_may_see_a_ticket_is_asked_when_it_is_changed(
    many: MakeMany, agent: User, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _in_background(monkeypatch)
    _, second = many(2)
    run = _start("field", "priority:P1", agent)
    review.correct(ticket=second, changes={"team": "billing"}, by=lead)
    run = _work(run)
    assert (run.changed, run.refused) == (1, 1)
    second.refresh_from_db()
    assert second.priority == "P3"
    assert run.rows.get(ticket=second).note == "You do not see this ticket any more."


def test_tickets_of_other_teams_are_not_lined_up(many: MakeMany, colleague: User) -> None:
    many(2)
    with pytest.raises(Invalid):
        _start("status", "closed", colleague)
    assert not BulkRun.objects.exists()


def test_an_auditor_begins_and_undoes_nothing(many: MakeMany, auditor: User, agent: User, colleague: User) -> None:
    many(1)
    with pytest.raises(Forbidden):
        _start("status", "closed", auditor)
    run = _start("status", "closed", agent)
    for user in (auditor, colleague):
        with pytest.raises(Forbidden):
            bulk.undo(run=run, by=user)


def test_who_may_change_nothing_any_more_ends_the_run(
    many: MakeMany, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _in_background(monkeypatch)
    many(5)
    run = _start("status", "closed", agent)
    _work(run, turns=1)
    Agent.objects.filter(user=agent).update(role="auditor")
    run = _work(run)
    assert (run.state, run.changed) == (State.STOPPED, 3)
    assert "may change no tickets" in run.error


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("nothing", "", "do"),
        ("assign", "nobody-of-that-name", "assignee"),
        ("field", "priority:P9", "priority"),
        ("field", "provenance:{}", "provenance"),
        ("field", "category:nonsense", "category"),
        ("tag", " , ", "tags"),
        ("tag", "a,b,c,d,e,f", "tags"),
        ("status", "new", "status"),
        ("snooze", "yesterday", "at"),
        ("snooze", "2020-01-01T00:00:00+00:00", "until"),
    ],
)
def test_it_refuses_what_cannot_be_done_before_anything_is(
    many: MakeMany, agent: User, kind: str, given: str, field: str
) -> None:
    many(1)
    with pytest.raises(Invalid) as refused:
        _start(kind, given, agent)
    assert refused.value.field == field
    assert not BulkRun.objects.exists()


def test_a_ticket_that_cannot_be_changed_does_not_hold_up_the_others(many: MakeMany, agent: User) -> None:
    first, _ = many(2)
    Ticket.objects.filter(pk=first.pk).update(tags=["a", "b", "c", "d", "e"])
    run = _start("tag", "refund", agent)
    assert (run.state, run.changed, run.refused) == (State.DONE, 1, 1)
    assert run.rows.get(ticket=first).note == "A ticket has up to 5 tags."


@pytest.mark.parametrize("given", ["reopen", "escalated", "waiting"])
def test_what_is_merged_is_left_where_it_is_and_the_reason_said(many: MakeMany, agent: User, given: str) -> None:
    one, other = many(2)
    merging.merge(ticket=one, into=other, by=agent)
    run = _start("status", given, by=agent, tickets=[one])
    assert run.refused == 1
    assert run.rows.get().note.startswith(f"This ticket is merged into #{other.pk}.")


def test_what_was_merged_since_is_not_opened_by_an_undo(many: MakeMany, agent: User) -> None:
    one, other = many(2)
    run = _start("status", "closed", by=agent, tickets=[one])
    merging.merge(ticket=one, into=other, by=agent)
    run = bulk.undo(run=run, by=agent)
    assert (run.state, run.kept, run.undone) == (State.UNDONE, 1, 0)
    assert run.rows.get().note.startswith("This ticket is merged into")


def test_a_person_is_given_only_tickets_that_they_see(many: MakeMany, lead: User, colleague: User) -> None:
    many(1)
    run = _start("assign", "bruno", lead)
    assert (run.changed, run.refused) == (0, 1)
    assert "does not work for this ticket's team" in run.rows.get().note


def test_what_breaks_in_one_ticket_is_kept_with_that_ticket(
    many: MakeMany, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets = many(3)
    alter = Field.alter

    def breaks(self: Field, ticket: Ticket) -> bool:
        if ticket.pk == tickets[1].pk:
            raise ZeroDivisionError
        return alter(self, ticket)

    monkeypatch.setattr(Field, "alter", breaks)
    run = _start("field", "priority:P1", agent)
    assert (run.state, run.changed, run.refused) == (State.DONE, 2, 1)
    assert "ZeroDivisionError" in run.rows.get(state="refused").note
    assert list(Ticket.objects.order_by("pk").values_list("priority", flat=True)) == ["P1", "P3", "P1"]


def test_killed_in_the_middle_it_goes_on_where_it_was(
    many: MakeMany, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _in_background(monkeypatch)
    many(8)
    run = _start("field", "priority:P1", agent)
    (claimed,) = bulk.claim(1)
    monkeypatch.setattr(bulk, "_count", _dies)
    with pytest.raises(KeyboardInterrupt):
        bulk.work(claimed)
    monkeypatch.undo()
    _in_background(monkeypatch)
    assert not Ticket.objects.filter(priority="P1").exists(), "a portion that was not kept did nothing"
    assert bulk.claim(1) == [], "its lease still runs"
    BulkRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert bulk.due().exists()
    run = _work(run)
    assert (run.state, run.changed) == (State.DONE, 8)
    assert Event.objects.filter(pgh_label="changed", priority="P1").count() == 8
    assert Review.objects.count() == 8


def _dies(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_a_claim_that_was_lost_changes_nothing(many: MakeMany, agent: User, monkeypatch: pytest.MonkeyPatch) -> None:
    _in_background(monkeypatch)
    many(4)
    run = _start("status", "closed", agent)
    (claimed,) = bulk.claim(1)
    BulkRun.objects.update(claim=claimed.claim + 1)
    bulk.work(claimed)
    with pytest.raises(bulk.Fenced), connection.cursor():
        bulk._count(claimed, changed=1)
    assert not Ticket.objects.filter(status="closed").exists()
    assert BulkRun.objects.get(pk=run.pk).changed == 0


def test_stopped_it_changes_no_more_and_what_was_changed_can_be_undone(
    many: MakeMany, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _in_background(monkeypatch)
    many(8)
    run = _start("status", "closed", agent)
    _work(run, turns=1)
    run = bulk.stop(run=run, by=agent)
    run = _work(run)
    assert (run.state, run.changed, Ticket.objects.filter(status="closed").count()) == (State.STOPPED, 3, 3)
    run = _work(bulk.undo(run=run, by=agent))
    assert (run.state, run.undone, Ticket.objects.filter(status="closed").count()) == (State.UNDONE, 3, 0)
    with pytest.raises(Conflict):
        bulk.stop(run=run, by=agent)


def test_two_runs_at_once_take_turns_and_both_come_through(
    many: MakeMany, agent: User, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _in_background(monkeypatch)
    many(9)
    first = _start("field", "priority:P1", agent)
    second = _start("assign", "lea", lead)
    taken = []
    for _ in range(4):
        (claimed,) = bulk.claim(1)
        taken.append(claimed.pk)
        bulk.work(claimed, seconds=0)
    assert taken == [first.pk, second.pk] * 2
    _work(first)
    second.refresh_from_db()
    assert (first.state, second.state) == (State.DONE, State.DONE)
    assert Ticket.objects.filter(priority="P1", assignee=lead).count() == 9


def test_many_are_worked_by_the_drain_of_the_batch_cluster(
    many: MakeMany, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    monkeypatch.setattr(bulk, "ring", rung.append)
    _in_background(monkeypatch, portion=4)
    many(6)
    run = _start("status", "closed", agent)
    assert rung == ["batch"]
    assert BulkRun.objects.get(pk=run.pk).changed == 0
    assert bulk.due().exists()


def test_those_who_are_given_many_are_told_once(many: MakeMany, lead: User, agent: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(alterations, "MANY", 2)
    many(4)
    _start("assign", "ada", lead)
    told = Notification.objects.get()
    assert (told.user, told.text) == (agent, "and 3 other tickets")


def test_leads_are_told_once_of_many_that_are_escalated(
    many: MakeMany, lead: User, agent: User, monkeypatch: Any
) -> None:
    monkeypatch.setattr(alterations, "MANY", 1)
    _start("status", "escalated", by=agent, tickets=many(2))
    told = Notification.objects.get(user=lead, kind="escalated")
    assert told.text == "and 1 other ticket"


def test_many_decisions_become_examples_once_all_are_made_and_none_when_taken_back(
    many: MakeMany, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (bulk, alterations):
        monkeypatch.setattr(module, "MANY", 2)
    _in_background(monkeypatch)
    many(5)
    run = _start("field", "priority:P1", agent)
    while run.is_working:
        _work(run, turns=1)
    assert (run.state, run.teaching) == (State.DONE, True)
    assert not Example.objects.exists()
    assert bulk.due().exists()
    run = _work(run)
    assert not run.teaching
    assert [one.labels for one in Example.objects.all()] == [{"priority": "P1"}] * 5
    assert Example.objects.get(ticket=run.rows.order_by("ticket_id")[0].ticket).text.startswith("Export 0 fails")
    BulkRun.objects.update(teaching=True)  # as if it were undone in the middle of that
    run = _work(bulk.undo(run=run, by=agent))
    assert (run.state, run.teaching) == (State.UNDONE, False)
    assert not Example.objects.exists()


def test_every_kind_has_words_for_what_it_does(agent: User) -> None:
    given = {"assign": "me", "field": "priority:P1", "tag": "x", "untag": "x", "status": "closed", "read": ""}
    given["spam"] = "mark"
    given["snooze"] = (timezone.now() + timedelta(hours=5)).isoformat()
    assert {kind: bool(one.accepted(given[kind], agent)[1]) for kind, one in ALTERATIONS.items()} == dict.fromkeys(
        ALTERATIONS, True
    )


def test_reading_again_is_for_good(many: MakeMany, agent: User) -> None:
    many(2)
    run = _start("read", "", agent)
    assert Ticket.objects.filter(triage_state="submitted").count() == 2
    assert not run.may_be_undone


@pytest.mark.django_db(transaction=True)
def test_two_runs_over_the_same_tickets_in_two_processes_do_not_lock_each_other_up(
    many: MakeMany, agent: User, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _in_background(monkeypatch, portion=5)
    many(20)
    _start("field", "priority:P1", agent)
    _start("field", "category:billing", lead)
    claims = bulk.claim(2)
    broke: list[BaseException] = []

    def work(claimed: Any) -> None:
        try:
            bulk.work(claimed, seconds=30)
        except BaseException as error:
            broke.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=[claimed]) for claimed in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broke == []
    assert set(BulkRun.objects.values_list("state", "changed")) == {("done", 20)}
    assert Ticket.objects.filter(priority="P1", category__key="billing").count() == 20
    assert not bulk.due().exists()

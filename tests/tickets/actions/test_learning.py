from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from tests.tickets.conftest import MakeTicket
from tickets.actions import review
from tickets.actions.learning import decisions, remember
from tickets.actions.status import change
from tickets.context import gather
from tickets.models import ApiKey, Category, Example, Message, Status, Ticket
from triage.embedding import embed
from triage.learning import fit, gate
from triage.learning.payload import FIELDS, starter_examples
from triage.models import User
from triage.pipeline.types import Context, Inquiry, Turn

VECTOR = [1.0, *[0.0] * 383]


@pytest.fixture(autouse=True)
def nobody_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickets.actions.learning.is_held_out", lambda number: False)


def read_again(near: list[float] | None = None) -> Context:
    return gather(Inquiry("Again", (Turn("customer", "It fails."),)), near or VECTOR)


def labels_in_fit() -> list[dict[str, Any]]:
    return [dict(example.labels) for example in decisions().fitting]


def test_a_correction_is_retrieved_by_the_very_next_reading(reviewed: Ticket, agent: User) -> None:
    reviewed.embedding = VECTOR
    reviewed.save()
    review.correct(ticket=reviewed, changes={"category": "bug"}, by=agent)
    assert [dict(example.labels) for example in read_again().examples] == [{"category": "bug"}]


def test_every_way_to_decide_makes_the_same_example(reviewed: Ticket, lead: User, client: Client) -> None:
    client.force_login(lead)
    client.post(f"/tickets/{reviewed.number}/review/", {"field": "category", "value": "bug"})
    client.post(f"/tickets/{reviewed.number}/review/", {"accept": "team"})
    assert labels_in_fit() == [{"category": "bug", "team": "software"}]
    key, prefix, digest = ApiKey.mint()
    ApiKey.objects.create(name="Script", prefix=prefix, digest=digest, scopes=["write"], source=reviewed.source)
    client.patch(
        f"/api/v1/tickets/{reviewed.number}",
        {"priority": "P2"},
        content_type="application/json",
        headers={"X-API-KEY": key},
    )
    assert labels_in_fit() == [{"category": "bug", "team": "software", "priority": "P2"}]


def test_what_was_only_accepted_is_told_apart_from_what_was_changed(
    reviewed: Ticket, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickets.actions.learning.is_held_out", lambda number: True)
    review.correct(ticket=reviewed, changes={"category": "bug"}, by=agent)
    review.accept(ticket=reviewed, fields=["team"], by=agent)
    (unseen,) = decisions().unseen
    assert set(unseen.labels) == {"category", "team"}
    assert unseen.accepted == frozenset({"team"})
    review.correct(ticket=reviewed, changes={"team": "network"}, by=agent)
    assert decisions().unseen[0].accepted == frozenset()


def test_a_value_that_nobody_looked_at_is_never_a_label(reviewed: Ticket, agent: User) -> None:
    reviewed.category = Category.objects.get(key="bug")
    reviewed.provenance["category"] = {"engine": "local", "confidence": 0.99, "band": "apply", "reason": ""}
    reviewed.save()
    assert remember(reviewed) is None and labels_in_fit() == []
    review.correct(ticket=reviewed, changes={"priority": "P2"}, by=agent)
    assert labels_in_fit() == [{"priority": "P2"}]


def test_a_change_made_past_the_application_is_nobodys_decision(reviewed: Ticket) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tickets_ticket SET priority = 'P1' WHERE number = %s", [reviewed.number])
    reviewed.refresh_from_db()
    assert reviewed.priority == "P1"
    assert remember(reviewed) is None and not Example.objects.exists()


def test_a_renamed_category_keeps_its_examples(reviewed: Ticket, agent: User) -> None:
    review.correct(ticket=reviewed, changes={"category": "bug"}, by=agent)
    Category.objects.filter(key="bug").update(name="Defect")
    assert labels_in_fit() == [{"category": "bug"}]


def test_labels_of_an_inactive_category_rest_until_it_is_active_again(reviewed: Ticket, agent: User) -> None:
    review.correct(ticket=reviewed, changes={"category": "bug", "priority": "P2"}, by=agent)
    Category.objects.filter(key="bug").update(active=False)
    assert labels_in_fit() == [{"priority": "P2"}]
    Category.objects.filter(key="bug").update(active=True)
    assert labels_in_fit() == [{"category": "bug", "priority": "P2"}]


def test_a_label_of_a_single_decision_does_not_vanish_from_the_fit(reviewed: Ticket, agent: User) -> None:
    Category.objects.create(key="telescope", name="Telescope")
    review.correct(ticket=reviewed, changes={"category": "telescope"}, by=agent)
    fitted = fit.fit([*starter_examples(), *decisions().fitting], FIELDS)
    head = next(head for head in fitted.weights.heads if head.name == "category")
    assert "telescope" in head.values


def test_a_fit_learns_from_the_text_that_readings_see(make_ticket: MakeTicket, agent: User) -> None:
    ticket = make_ticket(title="Printer", text="It is jammed.\n\n> an older mail")
    ticket.messages.create(kind=Message.Kind.INBOUND, text="And again today.", created_at=timezone.now())
    review.correct(ticket=ticket, changes={"category": "bug"}, by=agent)
    inquiry = Inquiry(
        "Printer", (Turn("customer", "It is jammed.\n\n> an older mail"), Turn("customer", "And again today."))
    )
    learnt = decisions().fitting[0]
    assert learnt.text == inquiry.text
    assert np.allclose(learnt.vector, embed(inquiry.text), atol=1e-3)
    assert learnt.source == ticket.source.name


def test_a_held_out_decision_is_measured_by_and_never_fitted_on(
    reviewed: Ticket, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickets.actions.learning.is_held_out", lambda number: True)
    review.correct(ticket=reviewed, changes={"category": "bug"}, by=agent)
    found = decisions()
    assert found.fitting == [] and [dict(one.labels) for one in found.unseen] == [{"category": "bug"}]
    monkeypatch.setattr("tickets.actions.learning.is_held_out", lambda number: False)
    review.correct(ticket=reviewed, changes={"category": "question"}, by=agent)
    assert decisions().fitting == []  # once drawn, always drawn
    assert gate.is_held_out(7) == gate.is_held_out(7)


def test_the_examples_of_a_deleted_ticket_leave(make_ticket: MakeTicket, agent: User) -> None:
    ticket = make_ticket()
    review.correct(ticket=ticket, changes={"category": "bug"}, by=agent)
    assert labels_in_fit() == [{"category": "bug"}]
    Ticket.objects.filter(pk=ticket.pk).delete()
    assert labels_in_fit() == [] and not Example.objects.exists()


def test_a_resolved_ticket_is_an_answer_once_and_leaves_when_reopened(reviewed: Ticket, agent: User) -> None:
    reviewed.embedding = VECTOR
    reviewed.save()
    for text in ("First try this.", "Then update it."):
        Message.objects.create(
            ticket=reviewed, kind=Message.Kind.OUTBOUND, text=text, author=agent, created_at=timezone.now()
        )
    assert read_again().answers == []
    for status, expected in (
        (Status.RESOLVED, ["Then update it."]),
        (Status.IN_REVIEW, []),
        (Status.CLOSED, ["Then update it."]),
    ):
        change(ticket=reviewed, status=status, by=agent)
        assert [answer.reply for answer in read_again().answers] == expected


def test_a_ticket_resolved_without_a_reply_answers_nothing(reviewed: Ticket, agent: User) -> None:
    reviewed.embedding = VECTOR
    reviewed.save()
    change(ticket=reviewed, status=Status.RESOLVED, by=agent)
    assert read_again().answers == []


def test_tickets_that_nobody_decided_tell_how_sure_a_fit_is_of_what_comes_in(
    make_ticket: MakeTicket, reviewed: Ticket, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    review.correct(ticket=reviewed, changes={"category": "bug"}, by=agent)
    make_ticket()  # not read yet, so without a vector
    read = [make_ticket(title=f"Export {number} fails") for number in range(3)]
    Ticket.objects.filter(pk__in=[ticket.pk for ticket in read]).update(embedding=VECTOR)
    monkeypatch.setattr("tickets.actions.learning.UNDECIDED", 2)
    found = decisions().undecided
    assert [example.text.splitlines()[0] for example in found] == ["Export 2 fails", "Export 1 fails"]
    assert {len(example.labels) for example in found} == {0}
    assert not found[0].decided and found[0].source == read[2].source.name
    assert found[0].stands_for == 1 / 1, "nothing was decided beside the two newest, and one ticket before"
    assert found[0].text == Inquiry("Export 2 fails", (Turn("customer", read[2].messages.get().text),)).text


@pytest.mark.parametrize(("looked_at", "each"), [(5, 6 / 6), (3, 6 / 2), (2, 6 / 1)])
def test_each_undecided_ticket_stands_for_what_came_in_beside_the_decided_ones_of_its_time(
    make_ticket: MakeTicket, agent: User, monkeypatch: pytest.MonkeyPatch, looked_at: int, each: float
) -> None:
    monkeypatch.setattr("tickets.actions.learning.is_held_out", lambda number: False)
    for number in range(10):  # decided at first; then two come in for each that is decided
        ticket = make_ticket(title=f"Export {number} fails")
        Ticket.objects.filter(pk=ticket.pk).update(embedding=VECTOR)
        if number not in (4, 5, 7, 8):
            ticket.refresh_from_db()
            review.correct(ticket=ticket, changes={"category": "bug"}, by=agent)
    monkeypatch.setattr("tickets.actions.learning.UNDECIDED", looked_at)
    found = decisions().undecided
    assert [example.stands_for for example in found] == [pytest.approx(each)] * min(looked_at, 4)

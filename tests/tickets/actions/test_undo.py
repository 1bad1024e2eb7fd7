from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.tickets.conftest import MakeTicket
from tickets.actions import review, undo
from tickets.actions.errors import Conflict, Forbidden, Invalid
from tickets.models import Category, Event, Example, Review, Status, Suggestion, Team, Ticket
from tickets.models.history import changes_of
from tickets.views.proposal import rows_of
from triage.correlation import acting
from triage.models import User


def _read(ticket: Ticket, **values: Any) -> Ticket:
    """As a reading of the machine's leaves it."""
    ticket = Ticket.objects.get(pk=ticket.pk)
    with acting("machine:local"):
        for name, value in values.items():
            setattr(ticket, name, value)
            ticket.provenance[name] = {
                "engine": "local",
                "confidence": 0.8,
                "band": "suggest",
                "reason": "Like others.",
            }
        ticket.save()
    return ticket


@pytest.fixture
def reread(make_ticket: MakeTicket) -> Ticket:
    """The machine called it billing of P3 at first, and a bug of P2 for the software team later."""
    labels = {key: Category.objects.get(key=key) for key in ("billing", "bug")}
    teams = {key: Team.objects.get(key=key) for key in ("billing", "software")}
    ticket = _read(make_ticket(), category=labels["billing"], priority="P3", team=teams["billing"])
    return _read(ticket, category=labels["bug"], priority="P2", team=teams["software"], tier=2)


def _latest(ticket: Ticket) -> int:
    return undo.undoable(ticket, changes_of(ticket))["category"].event


def test_undo_gives_a_field_back_what_it_held_as_a_persons_decision(reread: Ticket, agent: User) -> None:
    held = undo.undo(ticket=reread, event=_latest(reread), fields=["category"], by=agent)
    assert (held.value_of("category"), held.value_of("priority")) == ("billing", "P2")
    assert held.decided_by_person("category") and not held.decided_by_person("priority")
    decision = Review.objects.get()
    assert (decision.field, decision.before, decision.after, decision.by) == ("category", "bug", "billing", agent)
    assert Example.objects.get(ticket=reread).labels == {"category": "billing"}


def test_a_whole_change_is_undone_at_once(reread: Ticket, agent: User) -> None:
    held = undo.undo(ticket=reread, event=_latest(reread), fields=["category", "priority", "team", "tier"], by=agent)
    assert [held.value_of(name) for name in ("category", "priority", "team", "tier")] == [
        "billing",
        "P3",
        "billing",
        None,
    ]


def test_a_first_reading_is_undone_to_nothing_and_to_manual_review(make_ticket: MakeTicket, agent: User) -> None:
    ticket = _read(make_ticket(), category=Category.objects.get(key="bug"), team=Team.objects.get(key="software"))
    held = undo.undo(ticket=ticket, event=_latest(ticket), fields=["category", "team"], by=agent)
    assert (held.value_of("category"), held.value_of("team")) == (None, "manual_review")
    assert held.decided_by_person("category")


def test_manual_review_of_a_ticket_that_had_no_team_is_nothing_to_undo(make_ticket: MakeTicket) -> None:
    ticket = _read(make_ticket(), team=Team.objects.get(key="manual_review"), priority="P3")
    assert set(undo.undoable(ticket, changes_of(ticket))) == {"priority"}


def test_what_was_undone_to_nothing_is_not_offered_as_a_suggestion_again(make_ticket: MakeTicket, agent: User) -> None:
    ticket = _read(make_ticket(), tier=2)
    Suggestion.objects.create(
        ticket=ticket, fields={"tier": {"value": 2, "engine": "local"}}, confidence=0.8, escalated=False
    )
    event = undo.undoable(ticket, changes_of(ticket))["tier"].event
    held = undo.undo(ticket=ticket, event=event, fields=["tier"], by=agent)
    row = next(row for row in rows_of(held, held.latest_suggestion) if row.name == "tier")
    assert (row.by_person, row.shown, row.suggested) == (True, "", "")


def test_what_a_person_decided_is_not_undone(reread: Ticket, agent: User) -> None:
    event = _latest(reread)
    review.accept(ticket=reread, fields=["category"], by=agent)
    with pytest.raises(Conflict):
        undo.undo(ticket=reread, event=event, fields=["category"], by=agent)
    reread.refresh_from_db()
    assert "category" not in undo.undoable(reread, changes_of(reread))


def test_an_older_change_is_not_undone_over_a_newer_one(reread: Ticket, agent: User) -> None:
    event = _latest(reread)
    _read(reread, category=Category.objects.get(key="access"))
    with pytest.raises(Conflict):
        undo.undo(ticket=reread, event=event, fields=["category"], by=agent)


def test_one_field_that_cannot_be_undone_keeps_all_of_them_as_they_are(reread: Ticket, agent: User) -> None:
    event = _latest(reread)
    review.correct(ticket=reread, changes={"priority": "P1"}, by=agent)
    with pytest.raises(Conflict):
        undo.undo(ticket=reread, event=event, fields=["category", "priority"], by=agent)
    reread.refresh_from_db()
    assert (reread.value_of("category"), reread.priority) == ("bug", "P1")


def test_a_value_that_was_retired_since_is_not_brought_back(reread: Ticket, agent: User) -> None:
    Category.objects.filter(key="billing").update(active=False)
    with pytest.raises(Invalid):
        undo.undo(ticket=reread, event=_latest(reread), fields=["category"], by=agent)


def test_an_escalation_of_the_machines_is_undone(reread: Ticket, agent: User) -> None:
    ticket = Ticket.objects.get(pk=reread.pk)
    with acting("machine:local"):
        ticket.escalated, ticket.escalation_reason = True, "Read as P1."
        ticket.set_status(Status.ESCALATED)
        ticket.save()
    event = undo.undoable(ticket, changes_of(ticket))["escalated"].event
    undo.undo(ticket=ticket, event=event, fields=["escalated"], by=agent)
    ticket.refresh_from_db()
    assert (ticket.status, ticket.escalated, ticket.decided_by_person("escalated")) == (Status.IN_REVIEW, False, True)


def test_only_the_machines_changes_of_this_ticket_can_be_undone(
    reread: Ticket, make_ticket: MakeTicket, agent: User
) -> None:
    other = make_ticket(title="Another")
    with acting("user:1"):
        Ticket.objects.filter(pk=other.pk).update(priority="P1")
    persons = Event.objects.filter(pgh_obj_id=other.pk).latest("pgh_id").pgh_id
    for ticket, event in ((other, persons), (other, _latest(reread)), (reread, 10**15)):
        with pytest.raises(Invalid):
            undo.undo(ticket=ticket, event=event, fields=["priority"], by=agent)


def test_an_auditor_undoes_nothing(reread: Ticket, auditor: User) -> None:
    with pytest.raises(Forbidden):
        undo.undo(ticket=reread, event=_latest(reread), fields=["category"], by=auditor)


def test_the_page_offers_it_beside_the_field_and_in_the_history(client: Client, reread: Ticket, lead: User) -> None:
    client.force_login(lead)
    address = f"/tickets/{reread.number}/"
    event = _latest(reread)
    shown = client.get(address).content.decode()
    assert shown.count(f'name="event" value="{event}"') >= 4 * 2 + 1
    assert 'value="category priority team tier"' in shown
    assert "Undo, back to Billing" in shown and 'aria-label="Undo Tier, back to nothing"' in shown
    answer = client.post(f"{address}reversal/", {"event": event, "field": "category"}, headers={"HX-Request": "true"})
    assert "Undone." in answer.content.decode()
    reread.refresh_from_db()
    assert reread.value_of("category") == "billing"
    again = client.post(f"{address}reversal/", {"event": event, "field": "category"}, headers={"HX-Request": "true"})
    assert again.status_code == 409
    for wrong in ({"event": "x", "field": "category"}, {"event": event}, {"event": event, "field": "number"}):
        assert client.post(f"{address}reversal/", wrong, headers={"HX-Request": "true"}).status_code in (409, 422)
